package pow

import (
	"context"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// freshLeast and freshMost bound after how long work on the same tip is made anew: with transactions that have come, and for a newer time. In between it
	// is a quarter and a half of an interval.
	freshLeast = 50 * time.Millisecond
	freshMost  = 2 * time.Second
)

// offerWork offers what is to be worked on: a block on the tip, once the header that it has to name is executed.
func (s *session) offerWork() {
	if !s.e.mines() {
		return
	}
	t, now := s.tree, s.e.cfg.Now()
	height := t.tip.header.Height + 1
	executed, ready := crypto.Hash{}, true
	if height > t.rules.depth {
		executed, ready = t.executed[height-t.rules.depth]
	}
	switch {
	case !ready || now.Before(s.mineAfter) || s.farBehind() || !s.e.work.needed(now):
		s.offered = nil // blocks are executed or fetched first, or nobody works
		s.e.work.offer(nil)
		return
	case s.offered != nil && s.offered.parent == t.tip:
		age, interval := now.Sub(s.offeredAt), s.e.cfg.interval()
		if age < min(max(interval/4, freshLeast), freshMost) || !s.fresh && age < min(max(interval/2, freshLeast), freshMost) {
			return
		}
	}
	s.fresh = false
	branch := make([]crypto.Hash, 0, len(s.tipPath.nodes))
	for _, n := range s.tipPath.nodes {
		branch = append(branch, n.header.Decision)
	}
	parent := crypto.Hash{}
	if height > 1 {
		parent = t.tip.header.Decision
	}
	p, txs := s.host.BuildOn(height, parent, branch, s.e.cfg.Coinbase, t.rules.earliest(t.tip))
	hash := p.Hash(s.e.cfg.Suite)
	h := t.rules.next(t.tip, p.Decide(nil), hash, executed)
	encoded := h.Encode()
	s.offered = &template{id: Hash(s.e.cfg.Suite, encoded), header: h, encoded: encoded, proposal: p, hash: hash, txs: txs, parent: t.tip}
	s.offeredAt = now
	s.e.work.offer(s.offered)
}

// solved takes in an own block: it is in the journal before anybody hears of it.
func (s *session) solved(ctx context.Context, found solution) error {
	t := found.template
	if t.parent != s.tree.tip {
		found.accepted <- fmt.Errorf("%w: block %d has a successor", ErrStale, t.header.Height-1)
		return nil
	}
	h := t.header
	h.Extra, h.Nonce = found.extra, found.nonce
	encoded := h.Encode()
	hash, err := s.e.rules.alone(&h, encoded)
	if err == nil && s.tree.nodes[hash] != nil {
		err = fmt.Errorf("%w: block %s is here", ErrStale, hash)
	}
	var n *node
	if err == nil {
		n, err = s.accept(&h, hash, 0)
	}
	if err != nil {
		s.offered = nil
		found.accepted <- err
		return s.judge(0, err)
	}
	if err := s.host.HoldBlock(ctx, 0, t.proposal, t.hash, t.txs); err != nil {
		found.accepted <- err
		return err
	}
	d := t.proposal.Decide(encoded)
	if err := s.adopt(n, d); err != nil {
		found.accepted <- err
		return err
	}
	s.e.note(func(w *order.WorkStatus) { w.Mined++ })
	s.e.log.Info("mined a block", "height", h.Height, "hash", hash, "count", len(d.Txs))
	s.relayed, s.said = s.tree.tip, s.e.cfg.Now()
	s.host.Broadcast(blockFrame(d))
	s.tipPath.follow(s.tree.root, s.tree.tip)
	s.offerWork()
	found.accepted <- nil
	return nil
}
