package bft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// libraryLog is the library's Logger. What it says goes to DEBUG. Some of it tells what the library tells in no other way; v1.0.1's words are known
// here and in handover.go, and tests fail if another version chooses others.
type libraryLog struct{ s *session }

const (
	saysRole     = "Changing to %s role, current view: %d, current leader: %d"
	saysSilence  = "Heartbeat timeout (%v) from %d expired; last heartbeat was observed %s ago"
	saysChange   = "Node %d sent view data msg, with next view %d, to the new leader %d"
	saysTakeover = "Node %d is creating a view %d for the in flight proposal"
	saysTaken    = "Node %d started a view %d for the in flight proposal"
)

// Debugf implements the library's Logger.
func (l libraryLog) Debugf(format string, args ...any) {
	switch {
	case format == saysChange && len(args) == 3:
		if view, ok := args[1].(uint64); ok {
			l.s.intake.changeView.Store(view)
			l.s.intake.flush()
		}
	case format == saysTakeover:
		l.s.intake.freeze(true)
	case format == saysTaken:
		l.s.intake.freeze(false)
	}
	l.write(format, args)
	l.s.handover.hear(l.s, format)
}

// Infof implements the library's Logger.
func (l libraryLog) Infof(format string, args ...any) {
	if format == saysRole && len(args) == 3 {
		view, ok1 := args[1].(uint64)
		leader, ok2 := args[2].(uint64)
		if ok1 && ok2 {
			l.s.entered(view, chain.ValidatorID(leader))
		}
	}
	l.write(format, args)
}

// Warnf implements the library's Logger.
func (l libraryLog) Warnf(format string, args ...any) {
	if format == saysSilence && len(args) == 3 {
		if leader, ok := args[1].(uint64); ok {
			if silent, ok := args[2].(time.Duration); ok && !l.s.dead() {
				l.s.e.log.Info("the leader is silent, asking for a change", "height", l.s.height()+1, "leader", leader, "silent", silent)
			}
		}
	}
	l.write(format, args)
}

// Errorf implements the library's Logger.
func (l libraryLog) Errorf(format string, args ...any) { l.write(format, args) }

// Panicf implements the library's Logger. It must not return, and must not end the process: the session ends with the error, and the goroutine.
func (l libraryLog) Panicf(format string, args ...any) {
	l.s.finish(fmt.Errorf("%w: %w", errGaveUp, fmt.Errorf(format, args...)))
	runtime.Goexit()
}

// errGaveUp: the library found what it thinks cannot be.
var errGaveUp = errors.New("the consensus library gave up")

func (l libraryLog) write(format string, args []any) {
	if l.s.e.log.Enabled(context.Background(), slog.LevelDebug) {
		l.s.e.log.Debug("smartbft", "says", fmt.Sprintf(format, args...))
	}
}

// entered is told when the library enters a view, before anything happens in it.
func (s *session) entered(view uint64, leader chain.ValidatorID) {
	if s.dead() {
		return
	}
	s.mu.Lock()
	other := s.leader != leader || s.view != view
	first := s.leader == 0
	s.view, s.leader, s.changing, s.hinted = view, leader, false, time.Time{}
	if other {
		s.leaderFrom = time.Now()
	}
	height := s.givenAt + 1
	s.mu.Unlock()
	s.intake.changeView.Store(view)
	s.e.leads(view, leader)
	if other && !first {
		s.e.log.Info("another leader", "height", height, "view", view, "leader", leader)
	}
	s.dropTicket()
	s.intake.flush()
	s.wakeProposer()
}
