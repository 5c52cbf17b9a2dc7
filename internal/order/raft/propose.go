package raft

import (
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/order"
)

// propose fills the log while this node leads: one proposal at a time, each on the last decision.
func (s *session) propose() error {
	for {
		// What earlier leaders have committed is decided before this one builds on it.
		v, ok := s.await(func(v *view) bool {
			return v.term != 0 && v.applied >= v.opened && v.applied >= v.committed && v.behind == 0
		})
		if !ok {
			return nil
		}
		if v.set.Find(s.me) == nil { // it leads until the configuration has followed the set, but what it proposes would be nobody's
			if _, ok := s.await(func(now *view) bool { return now.term != v.term || now.set.Find(s.me) != nil }); !ok {
				return nil
			}
			continue
		}
		if err := s.proposeNext(v); err != nil {
			return err
		}
	}
}

// proposeNext proposes what follows v.last, as soon as there is something, and waits until that is decided or lost.
func (s *session) proposeNext(v view) error {
	p, err := s.build(v)
	if err != nil || p == nil {
		return err
	}
	hash := p.Hash(s.e.cfg.Suite)
	sig, err := s.host.Sign(hash[:])
	if err != nil {
		return err
	}
	o := &offer{data: encodeOrdered(p, sig), term: v.term, taken: make(chan bool, 1)}
	select {
	case s.proposals <- o:
	case <-s.ctx.Done():
		return nil
	}
	select {
	case ok := <-o.taken:
		if !ok {
			s.pauseTick()
			return nil
		}
	case <-s.ctx.Done():
		return nil
	}
	s.await(func(now *view) bool { return now.term != v.term || now.last != nil && now.last.Height >= p.Height })
	return nil
}

// build waits for something to propose; nil when this node leads no more.
func (s *session) build(v view) (*order.Proposal, error) {
	var beat <-chan time.Time
	if s.e.cfg.Heartbeat > 0 {
		timer := time.NewTimer(s.e.cfg.Heartbeat)
		defer timer.Stop()
		beat = timer.C
	}
	for empty := false; ; {
		p, err := s.host.Build(s.ctx, v.last)
		switch {
		case s.ctx.Err() != nil:
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("build: %w", err)
		case len(p.Txs) > 0 || empty:
			return p, nil
		}
		s.mu.Lock()
		changed, now := s.changed, s.view
		s.mu.Unlock()
		if now.term != v.term || now.last != v.last {
			return nil, nil
		}
		select {
		case <-s.e.bell:
		case <-changed:
		case <-beat:
			empty = true
		case <-s.ctx.Done():
			return nil, nil
		}
	}
}

func (s *session) pauseTick() {
	timer := time.NewTimer(s.e.cfg.tick())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}
