package bft

import (
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// repeatAfter is after how long without progress messages are sent again: well above a round trip, well below a leader's timeout.
const repeatAfter = 300 * time.Millisecond

// behindPatience is how long peers may be ahead before this node asks for what it lacks: agreement usually brings it sooner.
const behindPatience = time.Second

// shortPatience is the same for who has decided nothing since the session began, and so maybe comes from far behind, and while this node asks for another
// leader: agreement stands still then, and the next leader takes nobody's state who has decided less than it has.
const shortPatience = 100 * time.Millisecond

// hintPatience is how long a peer may speak of a later view before this node asks for it.
const hintPatience = 500 * time.Millisecond

// tend does what only time brings: it repeats messages, catches up when agreement does not, and watches what waits too long.
func (s *session) tend() {
	ticker := time.NewTicker(s.e.cfg.tick())
	defer ticker.Stop()
	var behind, repeated time.Time
	var behindAt uint64
	watch := watcher{every: s.e.cfg.requestTimeout() / 4}
	began := s.height()
	stand := standstill{since: time.Now(), height: began}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.host.Behind():
			if behind.IsZero() {
				behind, behindAt = time.Now(), s.height()
			}
			continue
		case <-ticker.C:
		}
		now := time.Now()
		if now.Sub(repeated) >= repeatAfter {
			s.repeat(now)
			repeated = now
		}
		patience := behindPatience
		if _, _, changing := s.where(); changing || s.height() == began {
			patience = shortPatience
		}
		if !behind.IsZero() && now.Sub(behind) >= patience {
			if s.height() == behindAt {
				s.askCatchUp(true)
			}
			behind = time.Time{}
		}
		s.mu.Lock()
		hinted := !s.hinted.IsZero() && now.Sub(s.hinted) >= hintPatience
		if hinted {
			s.hinted = time.Time{}
		}
		s.mu.Unlock()
		if hinted {
			s.askCatchUp(true)
		}
		s.hurry()
		watch.look(s, now)
		if s.handover.stands(now) && s.allSettled() {
			s.e.log.Info("the consensus library waits for what has ended, beginning again", "height", s.height()+1)
			s.finish(nil)
			return
		}
		if stand.tooLong(s, now) {
			s.e.log.Info("no decision for long though transactions wait, beginning again", "height", s.height()+1)
			s.finish(nil)
			return
		}
	}
}

// standstill watches how long transactions wait without any decision.
type standstill struct {
	since  time.Time
	height uint64
}

// tooLong tells that asking for other leaders has not helped. After long faults the library's patience has grown to minutes, and validators may wait in
// states that no message of the others ends; a new session has neither, and goes on from ledger and journal.
func (w *standstill) tooLong(s *session, now time.Time) bool {
	patience := s.e.cfg.requestTimeout()
	s.mu.Lock()
	delivers := s.delivers // execution is behind, and its waiting is as it should be
	s.mu.Unlock()
	if h := s.height(); delivers || h != w.height || len(s.host.Overdue(patience, 1)) == 0 {
		w.since, w.height = now, h
		return false
	}
	return now.Sub(w.since) >= max(5*patience, 4*s.e.cfg.viewChangeTimeout())
}

// repeat sends again what may have been lost.
func (s *session) repeat(now time.Time) {
	s.mu.Lock()
	height, changing := s.givenAt, s.changing
	s.mu.Unlock()
	for _, m := range s.out.due(now.Add(-repeatAfter), height, changing, now.Add(-s.e.cfg.viewChangeTimeout())) {
		for _, v := range s.set {
			if (m.to == 0 || chain.ValidatorID(m.to) == v.ID) && s.out.lacks(v.ID, m) {
				s.send(uint64(v.ID), m.frame)
			}
		}
	}
}

// watcher looks after transactions that wait too long.
type watcher struct {
	every time.Duration
	next  time.Time
}

// look tells the leader of transactions that have waited for half the request timeout, as it may not have them, and asks for another leader when
// they have waited for all of it, though decisions had room or none was made.
func (w *watcher) look(s *session, now time.Time) {
	if now.Before(w.next) {
		return
	}
	w.next = now.Add(w.every)
	s.mu.Lock()
	view, leader, since := s.view, s.leader, s.leaderFrom
	idle := s.delivers || s.changing || leader == s.me
	s.mu.Unlock()
	patience := s.e.cfg.requestTimeout()
	if idle || now.Sub(since) < patience/2 {
		return
	}
	waiting := s.host.Overdue(patience/2, maxWaiting)
	if len(waiting) == 0 {
		return
	}
	if overdue := s.host.Overdue(patience, 1); len(overdue) > 0 && now.Sub(since) >= patience {
		s.e.log.Info("a transaction waits too long, asking for another leader", "height", s.height()+1, "view", view, "leader", leader,
			"tx", overdue[0], "waited", patience)
		s.lib.Complain(view, true)
		return
	}
	s.send(uint64(leader), waitingFrame(waiting))
}
