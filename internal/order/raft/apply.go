package raft

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/jialing-chain/jialing/internal/order"
)

// behindPatience is how long peers may be ahead before this node asks for what it lacks: the log usually brings it sooner.
const behindPatience = time.Second

// apply decides what is committed, in its order, and catches up where the log does not lead. It is the one goroutine that delivers and syncs.
func (s *session) apply() error {
	for {
		v := s.look()
		switch {
		case v.behind > 0:
			if err := s.catchUp(v.behind); err != nil {
				return err
			}
		case v.applied < v.committed:
			if err := s.applyNext(v.applied + 1); err != nil {
				return err
			}
		default:
			s.mu.Lock()
			changed := s.changed
			idle := s.view.behind == 0 && s.view.applied >= s.view.committed
			s.mu.Unlock()
			if !idle {
				continue
			}
			select {
			case <-changed:
			case <-s.host.Behind():
				if err := s.lookAhead(); err != nil {
					return err
				}
			case <-s.ctx.Done():
				return nil
			}
		}
		if s.ctx.Err() != nil {
			return nil
		}
	}
}

// applyNext decides the entry at index.
func (s *session) applyNext(index uint64) error {
	entries, err := s.journal.storage.Entries(index, index+1, 1<<62)
	if errors.Is(err, raft.ErrCompacted) { // a snapshot came meanwhile
		return s.skip(index)
	}
	if err != nil {
		return fmt.Errorf("read entry %d: %w", index, err)
	}
	e := entries[0]
	if e.GetType() == raftpb.EntryNormal && len(e.GetData()) > 0 {
		p, sig, err := decodeOrdered(e.GetData())
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		if err := s.decide(p, sig); err != nil {
			return err
		}
	}
	s.update(func(v *view) { v.applied = max(v.applied, index) })
	return nil
}

// decide delivers a committed proposal if it follows the last decision. One that does not is of a leader that had lost its office, or decided already.
func (s *session) decide(p *order.Proposal, sig []byte) error {
	v := s.look()
	height, parent := uint64(0), [32]byte{}
	if v.last != nil {
		height, parent = v.last.Height, v.last.Hash(s.e.cfg.Suite)
	}
	if p.Height != height+1 || p.Parent != parent || v.set.Find(p.Proposer) == nil {
		s.e.log.Debug("raft: an entry that does not follow", "height", p.Height, "last", height)
		return nil
	}
	d := p.Decide(sig)
	set, err := s.host.Deliver(s.ctx, d)
	if err != nil {
		return fmt.Errorf("deliver decision %d: %w", d.Height, err)
	}
	s.e.settled(d)
	s.update(func(v *view) {
		v.last = d
		if set != nil {
			v.set = set
		}
	})
	if set != nil {
		s.e.members.Store(&set)
		s.e.log.Info("the validators change", "height", d.Height+1, "count", len(set))
	}
	return nil
}

// skip goes on behind the snapshot, once the ledger has what it stands for.
func (s *session) skip(index uint64) error {
	snapshot, err := s.journal.storage.Snapshot()
	if err != nil {
		return err
	}
	first, err := s.journal.storage.FirstIndex()
	if err != nil {
		return err
	}
	height, err := heightOf(snapshot)
	if err != nil {
		return err
	}
	if height > s.height() {
		return s.catchUp(height)
	}
	s.update(func(v *view) { v.applied = max(v.applied, index, first-1) })
	return nil
}

// catchUp fetches decisions up to height from the peers.
func (s *session) catchUp(height uint64) error {
	if err := s.sync(height); err != nil {
		return err
	}
	if s.height() < height {
		s.pause()
		return nil
	}
	s.update(func(v *view) { v.behind = 0 })
	return nil
}

// lookAhead fetches what peers have decided, if the log has not brought it meanwhile.
func (s *session) lookAhead() error {
	before := s.height()
	timer := time.NewTimer(behindPatience)
	defer timer.Stop()
	for {
		s.mu.Lock()
		changed, moved := s.changed, s.view.applied < s.view.committed
		s.mu.Unlock()
		if moved {
			return nil
		}
		select {
		case <-timer.C:
			if s.height() > before {
				return nil
			}
			return s.sync(0)
		case <-changed:
		case <-s.ctx.Done():
			return nil
		}
	}
}

// sync takes what the host could fetch.
func (s *session) sync(height uint64) error {
	before := s.height()
	last, set, err := s.host.Sync(s.ctx, height)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	if last != nil && last.Height > before {
		s.e.log.Info("caught up with the peers", "from", before, "height", last.Height)
		s.e.settled(last)
		s.e.members.Store(&set)
		s.update(func(v *view) { v.last, v.set = last, set })
	}
	return nil
}

func (s *session) pause() {
	timer := time.NewTimer(behindPatience)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}
