package bft

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/order"
)

// propose makes proposals while this node leads. The library would ask for one by a callback that holds up everything else, so a proposal is built
// here, where waiting for a batch to fill costs nothing; then the library gets a ticket, a request that says no more than that there is one.
func (s *session) propose() {
	var beat <-chan time.Time
	var timer *time.Timer
	if s.e.cfg.Heartbeat > 0 {
		timer = time.NewTimer(s.e.cfg.Heartbeat)
		defer timer.Stop()
		beat = timer.C
	}
	var ticket uint64
	at := s.height()
	s.e.Pending() // the pool may have been filled before this engine listened
	for {
		empty := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.e.bell:
		case <-s.tickets:
		case <-beat:
			empty = true
			timer.Reset(s.e.cfg.Heartbeat)
		}
		if h := s.height(); h != at {
			at = h
			if timer != nil {
				timer.Reset(s.e.cfg.Heartbeat)
			}
		}
		if !s.mayPropose() {
			continue
		}
		p := s.build(empty)
		if p == nil {
			continue
		}
		ticket++
		s.dropTicket() // a decided one's is gone already
		s.mu.Lock()
		ready := s.leader == s.me && !s.changing && s.proposed < p.Height
		if ready {
			s.stash, s.ticket = p, ticket
		}
		s.mu.Unlock()
		if !ready {
			continue
		}
		if err := s.lib.SubmitRequest(binary.BigEndian.AppendUint64(nil, ticket)); err != nil {
			s.e.log.Debug("the consensus library takes no proposal now", "height", p.Height, "err", err)
			s.dropTicket()
		}
	}
}

// mayPropose tells whether this node leads and has nothing in flight.
func (s *session) mayPropose() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := uint64(1)
	if s.last != nil {
		next = s.last.Height + 1
	}
	return s.leader == s.me && !s.changing && s.view >= s.promised.view && s.stash == nil && s.proposed < next && s.givenAt < next
}

// build returns a proposal with transactions, or one without if a heartbeat is due; nil when there is nothing to propose.
func (s *session) build(empty bool) *order.Proposal {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	p, err := s.host.Build(s.ctx, last)
	if err != nil {
		if s.ctx.Err() == nil {
			s.finish(err)
		}
		return nil
	}
	next := uint64(1)
	if last != nil {
		next = last.Height + 1
	}
	if p.Height != next {
		s.finish(fmt.Errorf("the host built a proposal of height %d, the next is %d", p.Height, next))
		return nil
	}
	if len(p.Txs) == 0 && !empty {
		return nil
	}
	return p
}

// dropTicket takes back the ticket that the library has not drawn.
func (s *session) dropTicket() {
	s.mu.Lock()
	ticket := s.ticket
	s.stash, s.ticket = nil, 0
	s.mu.Unlock()
	if ticket != 0 {
		_ = s.lib.Pool.RemoveRequest(ticketInfo(ticket)) // the error says that it is not there
	}
}

// wakeProposer makes it look again: the view or the last decision is another one.
func (s *session) wakeProposer() {
	select {
	case s.tickets <- struct{}{}:
	default:
	}
}

// emptyDue tells whether an empty proposal of the leader is acceptable: clocks differ, so at half the heartbeat.
func (s *session) emptyDue() bool {
	beat := s.e.cfg.Heartbeat
	return beat > 0 && time.Since(s.e.Status().LastDecision) >= beat/2
}
