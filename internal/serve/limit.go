package serve

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// limitKey is whom a limit counts: a named identity, or an address.
type limitKey struct {
	name string
	addr netip.Addr
}

// limiter is a token bucket per caller. It holds a bounded number: of more, the one that has been idle longest is forgotten, which gives it a full bucket
// should it come again. Safe for concurrent use.
type limiter struct {
	most int

	mu      sync.Mutex // guards what is below
	buckets map[limitKey]*list.Element
	byUse   list.List // of *bucket, newest first
}

type bucket struct {
	key   limitKey
	units float64
	at    time.Time
}

func newLimiter(most int) *limiter {
	return &limiter{most: most, buckets: make(map[limitKey]*list.Element)}
}

// take asks for cost units; wait is how long to come back later, 0 when they are granted. What costs more than a burst is granted to a full bucket, which
// then owes it: else it could never be.
func (l *limiter) take(key limitKey, cost, rate, burst int, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.buckets[key]
	if e == nil {
		if len(l.buckets) >= l.most {
			old := l.byUse.Back()
			delete(l.buckets, old.Value.(*bucket).key)
			l.byUse.Remove(old)
		}
		e = l.byUse.PushFront(&bucket{key, float64(burst), now})
		l.buckets[key] = e
	} else {
		l.byUse.MoveToFront(e)
	}
	b := e.Value.(*bucket)
	if passed := now.Sub(b.at); passed > 0 {
		b.units = min(float64(burst), b.units+passed.Seconds()*float64(rate))
		b.at = now
	}
	need := float64(min(cost, burst))
	if b.units < need {
		return time.Duration((need-b.units)/float64(rate)*float64(time.Second)) + 1
	}
	b.units -= float64(cost)
	return 0
}
