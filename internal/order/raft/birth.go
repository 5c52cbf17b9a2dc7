package raft

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// A validator that begins with an empty journal is new, or has lost one, and with it the votes that it gave: it could give them twice. It cannot tell which
// by itself. So it draws a name for this life and asks the others; each remembers, before it answers, the first life that it heard of under a
// validator's number. More than half of the others must say that this is the first; as any two such halves share one who remembers, a second life under
// the number is always found out. Who comes later learns from the answers which lives there have been. A second life follows without a voice until the chain's decision gives it another number.

// askBirthEvery is how often the others are asked until enough have answered.
const (
	askBirthEvery = 300 * time.Millisecond
	// askBirthFor is after how long a node that is behind looks first what the chain has decided meanwhile.
	askBirthFor = 3 * time.Second
)

// beBorn tells whether this node may take part as member me; it waits for the others' answers where it must.
func (e *Engine) beBorn(ctx context.Context, h order.Host, j *journal, me chain.ValidatorID, set chain.ValidatorSet) (bool, error) {
	if j.alive && j.member == me {
		return true, nil
	}
	if len(j.birth) == 0 || j.member != me {
		birth := make([]byte, birthSize)
		if _, err := rand.Read(birth); err != nil { // no two lives share it; nothing that is agreed on depends on it
			return false, fmt.Errorf("raft: name this life: %w", err)
		}
		r := &record{Member: me, Birth: birth, Known: j.lives()}
		if err := j.write(r, true); err != nil {
			return false, err
		}
		j.alive = false
		if err := j.take(r); err != nil {
			return false, err
		}
	}
	first, err := e.askOthers(ctx, h, j, me, set)
	if err != nil || !first {
		return false, err
	}
	return true, j.begin(e.cfg.Founders, max(e.cfg.From, 1)-1)
}

// askOthers tells whether more than half of the other validators say that this is this member's first life.
func (e *Engine) askOthers(ctx context.Context, h order.Host, j *journal, me chain.ValidatorID, set chain.ValidatorSet) (bool, error) {
	need := (len(set)-1)/2 + 1 // of len(set) − 1 others
	if len(set) == 1 {
		return true, nil
	}
	began := time.Now()
	yes := make(map[chain.ValidatorID]bool)
	ticker := time.NewTicker(askBirthEvery)
	defer ticker.Stop()
	ask := func() {
		for _, v := range set {
			if v.ID != me && !yes[v.ID] {
				h.Send(order.PeerID(v.ID), birthFrame(me, j.birth))
			}
		}
	}
	ask()
	for len(yes) < need {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-ticker.C:
			select {
			case <-h.Behind():
				if time.Since(began) >= askBirthFor {
					return false, nil // the chain may have given this node another number, or none
				}
			default:
			}
			ask()
		case l := <-e.inbox:
			from := chain.ValidatorID(l.from)
			if from == me || set.Find(from) == nil || len(l.msg) == 0 {
				continue
			}
			switch l.msg[0] {
			case frameBirth:
				if err := e.answerBirth(h, j, from, l.msg[1:]); err != nil {
					return false, err
				}
			case frameBirthAnswer:
				about, first, known, err := parseBirthAnswer(l.msg[1:])
				if err != nil || about.Member != me || !bytes.Equal(about.Birth, j.birth) {
					continue
				}
				if !first {
					e.log.Error("this validator has lost its journal and may have voted before: it follows only; have it voted out and in again, under a new number", "peer", from)
					return false, nil
				}
				if err := j.learn(known); err != nil {
					return false, err
				}
				yes[from] = true
			}
		}
	}
	return true, nil
}

// answerBirth remembers a validator's first life and answers whether the one that asks is it.
func (e *Engine) answerBirth(h order.Host, j *journal, from chain.ValidatorID, b []byte) error {
	l, err := parseBirth(b)
	if err != nil || l.Member != from {
		return nil
	}
	known, ok := j.known[from]
	if !ok {
		if err := j.append(&record{Known: []life{{from, bytes.Clone(l.Birth)}}}); err != nil {
			return err
		}
		known = string(l.Birth)
	}
	h.Send(order.PeerID(from), birthAnswer(from, l.Birth, known == string(l.Birth), j.lives()))
	return nil
}

// learn remembers lives that others know.
func (j *journal) learn(lives []life) error {
	var r record
	for _, l := range lives {
		if _, ok := j.known[l.Member]; !ok && l.Member != j.member {
			r.Known = append(r.Known, l)
		}
	}
	if len(r.Known) == 0 {
		return nil
	}
	return j.append(&r)
}
