package main

import (
	"context"
	"fmt"
	"io"

	"github.com/jialing-chain/jialing/internal/govern"
)

// engineView is what "jialing engine show" shows.
type engineView struct {
	// Engine rules now; Next, where there is one, from block From on.
	Engine string `json:"engine"`
	Next   string `json:"next,omitempty"`
	From   uint64 `json:"from,omitempty"`
	Head   uint64 `json:"head"`
	// Choices are the other engines, with what hinders a change to them.
	Choices   []engineChoice   `json:"choices"`
	Proposals []engineProposal `json:"proposals"`
}

type engineChoice struct {
	Engine    string `json:"engine"`
	Hindrance string `json:"hindrance,omitempty"`
}

func (e *engines) view(ctx context.Context) (*engineView, error) {
	head, err := e.conn.Head(ctx)
	if err != nil {
		return nil, err
	}
	v := &engineView{Head: head.Number.Uint64(), Choices: []engineChoice{}}
	out, err := e.call(ctx, "ruling")
	if err != nil {
		return nil, err
	}
	if v.Engine, err = engineWord(out[0].(uint8)); err != nil {
		return nil, err
	}
	if out, err = e.call(ctx, "decided"); err != nil {
		return nil, err
	}
	if v.Next, err = engineWord(out[0].(uint8)); err != nil {
		return nil, err
	}
	if v.From = out[1].(uint64); v.From <= v.Head {
		v.Next, v.From = "", 0
	}
	for code, kind := range govern.EngineCodes {
		if code == 0 || string(kind) == v.Engine {
			continue
		}
		if out, err = e.call(ctx, "hindrance", uint8(code)); err != nil {
			return nil, err
		}
		why, err := engineHindrance(out[0].(uint8))
		if err != nil {
			return nil, err
		}
		v.Choices = append(v.Choices, engineChoice{string(kind), why})
	}
	v.Proposals, err = e.open(ctx)
	return v, err
}

func (v *engineView) text(w io.Writer) {
	fmt.Fprintf(w, "engine\t%s\n", v.Engine)
	if v.Next != "" {
		fmt.Fprintf(w, "to come\t%s, from block %d on (the last block is %d)\n", v.Next, v.From, v.Head)
	}
	for _, c := range v.Choices {
		why := "possible: jialing engine propose " + c.Engine
		if c.Hindrance != "" {
			why = "not now: " + c.Hindrance
		}
		fmt.Fprintf(w, "%s\t%s\n", c.Engine, why)
	}
	for _, p := range v.Proposals {
		fmt.Fprintf(w, "proposal %d\t%s, by validator %d: %d of %d votes, until block %d\n", p.Number, p.Engine, p.Proposer, p.Votes, p.Needed, p.Expires)
	}
}
