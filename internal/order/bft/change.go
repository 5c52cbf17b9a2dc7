package bft

import (
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
)

// What becomes of the messages of a change of the view.

type passedKey struct {
	from    chain.ValidatorID
	newView bool
}

// passedOne is the height that was told last, and how often one was.
type passedOne struct {
	height uint64
	times  int
}

// maxStates is how many states of one validator for one view are looked at: one that was behind tells its state again when it has caught up, which
// takes it one session or two.
const maxStates = 8

// judgeViewData passes the first state that a validator tells for the view that the library prepares, checked: the library does not always check.
func (s *session) judgeViewData(h heldBack, d *smartbftprotos.SignedViewData) verdict {
	view, height, ok := nextView(d)
	if !ok || d.Signer != uint64(h.from) {
		return drop
	}
	return s.judgeChange(h, view, height, passedKey{h.from, false}, d)
}

// judgeNewView checks what the library does not: that the states in it are of different validators, and each signed by its own.
func (s *session) judgeNewView(h heldBack, v *smartbftprotos.NewView) verdict {
	if len(v.SignedViewData) == 0 || len(v.SignedViewData) > len(s.set) {
		return drop
	}
	seen := make(map[uint64]bool, len(s.set))
	var view uint64
	for i, d := range v.SignedViewData {
		next, _, ok := nextView(d)
		if !ok || seen[d.Signer] || (i > 0 && next != view) {
			return drop
		}
		seen[d.Signer], view = true, next
	}
	if leaderOf(s.set, view) != h.from {
		return drop
	}
	out := s.judgeChange(h, view, 0, passedKey{h.from, true}, v.SignedViewData...)
	if out == pass {
		s.proves(h.m)
	}
	return out
}

// nextView is the view that a state is told for, and the height of the last decision that it tells.
func nextView(d *smartbftprotos.SignedViewData) (view, height uint64, ok bool) {
	data := new(smartbftprotos.ViewData)
	if proto.Unmarshal(d.RawViewData, data) != nil || data.LastDecision == nil {
		return 0, 0, false
	}
	if len(data.LastDecision.Metadata) > 0 {
		md, err := parseMetadata(data.LastDecision.Metadata)
		if err != nil {
			return 0, 0, false
		}
		height = md.LatestSequence
	}
	return data.NextView, height, true
}

// judgeChange holds a message back until the library prepares its view, and passes it once, if the states in it are signed; again only if it tells of a
// later decision. Signatures come last: they are the costly part.
func (s *session) judgeChange(h heldBack, view, height uint64, key passedKey, states ...*smartbftprotos.SignedViewData) verdict {
	in := &s.intake
	now := in.changeView.Load()
	entered, _, _ := s.where()
	switch {
	case view < now, view <= entered:
		return drop
	case view > now && time.Since(h.at) < s.e.cfg.viewChangeTimeout():
		return hold
	case view > now:
		return drop
	}
	if in.passedView != view {
		in.passedView = view
		clear(in.passed)
	}
	before, known := in.passed[key]
	if known && (height <= before.height || before.times >= maxStates) {
		return drop
	}
	for _, d := range states {
		if s.verify(d.Signer, viewDataMessage(d.RawViewData), d.Signature) != nil {
			return drop
		}
	}
	in.passed[key] = passedOne{height, before.times + 1}
	return pass
}
