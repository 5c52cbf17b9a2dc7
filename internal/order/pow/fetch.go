package pow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// fetchAhead is how many blocks are asked for at a time, the lowest that are lacking.
	fetchAhead = 32
	// againLeast and againMost bound after how long a block is asked for again, of another peer; in between it is an interval.
	againLeast = 200 * time.Millisecond
	againMost  = 5 * time.Second
	// patience is how many times a block is asked for, with all peers that there are asked at least once, before its branch is passed over: its miner may
	// withhold it. It counts again as soon as it comes.
	patience = 8
	// syncsFirst is how often catching up may bring nothing before blocks that others have delivered are asked for one by one.
	syncsFirst = 3
	// maxWithheld bounds the blocks that are passed over and asked for now and then.
	maxWithheld = 64
)

// fetch is where asking for a block stands.
type fetch struct {
	// asked is when it was asked for last, tries how often.
	asked time.Time
	tries int
	// holding: it has come, and its transactions are waited for.
	holding bool
}

// hold is a block whose transactions are waited for, and what came of it.
type hold struct {
	node     *node
	decision *chain.Decision
	from     order.PeerID
	err      error
}

// again is after how long a block is asked for again.
func (s *session) again() time.Duration { return min(max(s.e.cfg.interval(), againLeast), againMost) }

// offers notes that a peer has n's branch. What is wanted of it is asked for at once.
func (s *session) offers(n *node, from order.PeerID) {
	if n.held || n.invalid || n == s.tree.root {
		return
	}
	if n.withheld && !n.fetch.holding && s.e.cfg.Now().Sub(n.fetch.asked) >= s.again() {
		s.want(from, n)
	}
	if n.from == 0 {
		n.from = from
	}
}

// want asks a peer for blocks.
func (s *session) want(from order.PeerID, ns ...*node) {
	hashes := make([]crypto.Hash, len(ns))
	for i, n := range ns {
		hashes[i] = n.hash
		n.fetch.asked = s.e.cfg.Now()
		n.fetch.tries++
	}
	s.host.Send(from, wantFrame(hashes))
}

// fetchBlocks asks for the blocks that the best headers' branch lacks.
func (s *session) fetchBlocks() {
	t, now := s.tree, s.e.cfg.Now()
	if t.best == t.tip {
		return
	}
	first := t.root.header.Height + 1
	if depth := t.rules.depth; s.syncs < syncsFirst && s.farBehind() {
		first = t.best.header.Height - depth + 2 // those below are in ledgers: deliverNext catches up
	}
	var batch []*node
	var to order.PeerID
	flush := func() {
		if len(batch) > 0 {
			s.want(to, batch...)
			batch = nil
		}
	}
	top := t.root.header.Height + s.maxAhead()
	for n, lacking := s.bestPath.at(first), 0; n != nil && lacking < fetchAhead && n.header.Height <= top; n = s.bestPath.at(n.header.Height + 1) {
		if n.held {
			continue
		}
		lacking++
		if n.fetch.holding || !n.fetch.asked.IsZero() && now.Sub(n.fetch.asked) < s.again() {
			continue
		}
		who := s.holder(n, now)
		if who == 0 {
			continue
		}
		if who != to || len(batch) == maxWant {
			flush()
		}
		to, batch = who, append(batch, n)
	}
	flush()
}

// holder is the peer to ask for a block: first who told of it, then the others by turns; 0 when there is none.
func (s *session) holder(n *node, now time.Time) order.PeerID {
	if n.fetch.tries == 0 && n.from != 0 && s.peers[n.from] != nil {
		return n.from
	}
	ids := s.peers.ids(now)
	if len(ids) == 0 {
		return 0
	}
	return ids[(int(n.header.Height)+n.fetch.tries)%len(ids)]
}

// passOver has branches passed over whose blocks do not come, and asks for such blocks now and then.
func (s *session) passOver(now time.Time) {
	t := s.tree
	if t.best != t.tip && now.Sub(s.lookedAt) >= s.again() {
		s.lookedAt = now
		n := s.firstLacking()
		if n != nil && n.header.Height <= t.root.header.Height+s.maxAhead() && !n.fetch.holding && n.fetch.tries >= patience+len(s.peers.ids(now)) && now.Sub(n.fetch.asked) >= s.again() {
			s.e.log.Warn("a block is not to be had, its branch is passed over", "height", n.header.Height, "hash", n.hash, "peer", n.from)
			s.e.refused("withheld")
			t.withhold(n)
			if len(s.withheld) < maxWithheld {
				s.withheld = append(s.withheld, n)
			}
		}
	}
	rest := s.withheld[:0]
	for _, n := range s.withheld {
		if t.nodes[n.hash] != n || !n.withheld || n.invalid {
			continue
		}
		rest = append(rest, n)
		if who := s.holder(n, now); who != 0 && !n.fetch.holding && now.Sub(n.fetch.asked) >= patience*s.again() {
			s.want(who, n)
		}
	}
	clear(s.withheld[len(rest):])
	s.withheld = rest
}

// firstLacking is the first node of the best headers' branch whose block is not here.
func (s *session) firstLacking() *node {
	for n := s.bestPath.at(s.tree.root.header.Height + 1); n != nil; n = s.bestPath.at(n.header.Height + 1) {
		if !n.held {
			return n
		}
	}
	return nil
}

// hold waits for blocks' transactions.
func (s *session) hold(ctx context.Context) error {
	for {
		var h hold
		select {
		case h = <-s.holds:
		case <-ctx.Done():
			return nil
		}
		p := order.Proposal(*h.decision)
		p.Proof = nil
		h.err = s.host.HoldBlock(ctx, h.from, &p, h.node.header.Decision, nil)
		select {
		case s.held <- h:
		case <-ctx.Done():
			return nil
		}
	}
}

// holding takes up a block whose transactions are here, or are not to be had.
func (s *session) holding(ctx context.Context, h hold) error {
	n := h.node
	n.fetch.holding = false
	n.fetch.asked = s.e.cfg.Now()
	if s.tree.nodes[n.hash] != n || n.invalid || n == s.tree.root {
		return s.host.DropBlock(n.header.Height, n.header.Decision) // it was delivered, or another was, meanwhile
	}
	switch {
	case errors.Is(h.err, order.ErrProposal):
		s.tree.invalidate(n)
		return s.judge(h.from, fmt.Errorf("%w: %w", errRule, h.err))
	case errors.Is(h.err, order.ErrMissing):
		s.e.refused("transactions")
		n.fetch.tries++
		return nil
	case h.err != nil && ctx.Err() != nil:
		return nil
	case h.err != nil:
		return h.err
	}
	return s.adopt(n, h.decision)
}

// adopt takes in a block that is here with its transactions.
func (s *session) adopt(n *node, d *chain.Decision) error {
	n.decision = d
	if err := s.journaled(d); err != nil {
		return err
	}
	before := s.tree.tip
	if !s.tree.hold(n) {
		return nil
	}
	if at := junction(before, s.tree.tip); at != nil && at != before {
		depth := int(before.header.Height - at.header.Height)
		s.e.note(func(w *order.WorkStatus) {
			w.Reorgs++
			w.Deepest = max(w.Deepest, depth)
		})
		s.e.log.Info("another branch has more work", "height", s.tree.tip.header.Height, "from", at.header.Height, "depth", depth)
	}
	return nil
}

// restore takes up the blocks of the journal, as far as their transactions are here.
func (s *session) restore(ctx context.Context) error {
	missing := 0
	for _, d := range s.journal.restored {
		if d.Height <= s.tree.root.header.Height {
			continue
		}
		h, hash, err := s.read(d.Proof)
		var n *node
		if err == nil {
			n, err = s.accept(h, hash, 0)
		}
		if err == nil {
			err = s.e.rules.block(n, d)
		}
		if err == nil && !n.held && missing < holders { // each that is missing takes its time; the rest is asked for
			p := order.Proposal(*d)
			p.Proof = nil
			if err = s.host.HoldBlock(ctx, 0, &p, h.Decision, nil); err == nil {
				n.decision = d
				s.tree.hold(n)
			} else if errors.Is(err, order.ErrMissing) || errors.Is(err, order.ErrProposal) {
				missing++
				err = nil
			}
		}
		if err := s.judge(0, err); err != nil {
			return err
		}
	}
	s.journal.restored = nil
	return nil
}
