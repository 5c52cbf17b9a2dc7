package pow

import (
	"context"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// delivery is what the deliverer is to do: deliver the block of a node, or catch up to the last of chosen.
type delivery struct {
	node   *node
	chosen []*node
}

// outcome is what became of it: the last decision, and the dropped blocks' names are let go by the loop.
type outcome struct {
	delivery
	last *chain.Decision
}

const (
	// maxSync is how many decisions are fetched at once: some pages of the ledger.
	maxSync = 1024
	// syncPause is after how long catching up is tried again where it brought nothing: the peers may be about to deliver what is looked for.
	syncPause = 500 * time.Millisecond
)

// deliverNext gives the deliverer what is next, if anything is.
func (s *session) deliverNext() error {
	if s.delivering {
		return nil
	}
	t := s.tree
	height := t.root.header.Height + 1
	confirming := height + t.rules.depth - 1
	next, last := s.tipPath.at(height), s.tipPath.at(confirming)
	if next != nil && last != nil && last.checked && s.bestPath.at(height) == next {
		s.delivering = true
		s.deliveries <- delivery{node: next}
		return nil
	}
	// A branch of headers that has more work and leaves next out: its blocks may still come, or are passed over in the end. Where it is as deep as peers
	// deliver, they have it in their ledgers.
	next, last = s.bestPath.at(height), s.bestPath.at(confirming)
	if next == nil || last == nil || !last.checked || next.fetch.holding || s.e.cfg.Now().Before(s.syncAt) {
		return nil
	}
	if next.complete && !s.farBehind() {
		return nil // the blocks above it are fetched one by one
	}
	d := delivery{}
	chosen := make(map[uint64]crypto.Hash)
	for n := next; n != nil && len(d.chosen) < maxSync && n.header.Height+t.rules.depth-1 <= t.best.header.Height; n = s.bestPath.at(n.header.Height + 1) {
		d.chosen = append(d.chosen, n)
		chosen[n.header.Height] = n.hash
	}
	s.e.choose(chosen)
	s.delivering = true
	s.deliveries <- d
	return nil
}

// farBehind tells whether blocks above the tip are delivered elsewhere, so that they are to be had from ledgers only.
func (s *session) farBehind() bool {
	return s.tree.best.header.Height > s.tree.tip.header.Height+s.tree.rules.depth
}

// deliver does what the loop asks for.
func (s *session) deliver(ctx context.Context) error {
	for {
		var d delivery
		select {
		case d = <-s.deliveries:
		case <-ctx.Done():
			return nil
		}
		o := outcome{delivery: d}
		if d.node != nil {
			if _, err := s.host.Deliver(ctx, d.node.decision); err != nil {
				return fmt.Errorf("deliver decision %d: %w", d.node.header.Height, err)
			}
			o.last = d.node.decision
		} else {
			last, _, err := s.host.Sync(ctx, d.chosen[len(d.chosen)-1].header.Height)
			if err != nil {
				return fmt.Errorf("catch up: %w", err)
			}
			o.last = last
		}
		select {
		case s.outcomes <- o:
		case <-ctx.Done():
			return nil
		}
	}
}

// delivered moves the root of the tree up to what was delivered.
func (s *session) delivered(o outcome) error {
	s.delivering = false
	now := s.e.cfg.Now()
	up := []*node{o.node}
	if o.node == nil {
		s.e.choose(nil)
		up = nil
		for _, n := range o.chosen {
			if o.last != nil && n.header.Height <= o.last.Height {
				up = append(up, n)
			}
		}
		if len(up) == 0 {
			s.syncs++
			s.syncAt = now.Add(syncPause)
			return nil
		}
		s.syncs = 0
		s.e.log.Info("caught up with the peers", "from", s.tree.root.header.Height, "height", o.last.Height)
	}
	for _, n := range up {
		if err := s.settle(n, now); err != nil {
			return err
		}
	}
	return nil
}

// settle makes n, which is delivered, the root.
func (s *session) settle(n *node, now time.Time) error {
	if n.parent != s.tree.root || s.tree.nodes[n.hash] != n {
		return fmt.Errorf("%w: block %d was delivered and is not above the root", order.ErrSequence, n.header.Height)
	}
	if len(s.tree.root.children) > 1 && s.tree.best.at(n.header.Height) != n && s.tree.tip.at(n.header.Height) != n {
		return s.deepFork(n.parent.header.Height, n.header.Height, n, s.tree.tip) // another branch took over while this one was delivered
	}
	for _, gone := range s.tree.advance(n) {
		if err := s.host.DropBlock(gone.header.Height, gone.header.Decision); err != nil {
			return err
		}
	}
	s.e.settled(n.header.Height, now)
	return nil
}

// follow asks for the headers that are executed, one after the other. The first that a header above the root may name is depth below it.
func (s *session) follow(ctx context.Context, root uint64) error {
	height := uint64(1)
	if depth := s.e.rules.depth; root+1 > depth {
		height = root + 1 - depth
	}
	for ; ; height++ {
		hash, err := s.e.cfg.Executed(ctx, height)
		if err != nil {
			return fmt.Errorf("executed header %d: %w", height, err)
		}
		select {
		case s.ran <- executed{height, hash}:
		case <-ctx.Done():
			return nil
		}
	}
}

// deepFork is the error of a branch to theirs that leaves out what is delivered.
func (s *session) deepFork(fork, delivered uint64, ours, theirs *node) error {
	end := func(n *node) End { return End{n.header.Height, n.hash, n.header.Work.ToBig()} }
	return &DeepFork{Fork: fork, Delivered: delivered, Ours: end(ours), Theirs: end(theirs)}
}
