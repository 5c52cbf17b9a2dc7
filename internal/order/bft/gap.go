package bft

import "time"

// gapPatience is how long the others may be ahead without a decision here before this node asks for what it lacks: a message that was lost is not sent
// again by those who have gone on.
const gapPatience = 100 * time.Millisecond

// gap watches whether the others have gone on without this node.
type gap struct {
	timer *time.Timer
	armed bool
	given uint64
}

func newGap() *gap {
	g := &gap{timer: time.NewTimer(time.Hour)}
	g.timer.Stop()
	return g
}

// look begins to wait when the others are further than the library takes messages of.
func (g *gap) look(s *session) {
	if g.armed {
		return
	}
	if given, far := s.lags(); far {
		g.armed, g.given = true, given
		g.timer.Reset(gapPatience)
	}
}

// over asks for what is missing if nothing was decided meanwhile.
func (g *gap) over(s *session) {
	g.armed = false
	if given, far := s.lags(); far && given == g.given {
		s.askCatchUp(true)
	}
	g.look(s)
}

// lags tells how far the library is, and whether others have decided more than the next height.
func (s *session) lags() (given uint64, far bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.givenAt, s.intake.held.frontier.Load() > s.givenAt+2
}
