package eth

import (
	"context"
	"sync/atomic"
)

// gate lets a number of heavy requests run at once and a number wait; more are refused at once, which is kinder than a timeout.
type gate struct {
	what    string
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
}

func newGate(what string, slots, queue int) *gate {
	return &gate{what: what, slots: make(chan struct{}, slots), queue: int64(queue)}
}

// enter waits for a slot; leave gives it back.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-g.slots }
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return nil, limitExceeded("server is busy: %d %s run and %d wait, try again", cap(g.slots), g.what, g.queue)
	}
	defer g.waiting.Add(-1)
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, clientError(ctx.Err())
	}
}
