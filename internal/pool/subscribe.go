package pool

import (
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
)

// subscribers are the listeners for new ready transactions. The zero value is ready.
type subscribers struct {
	mu     sync.Mutex
	chans  map[chan []*chain.Tx]struct{}
	closed bool
}

// Subscribe delivers transactions as they become ready, in batches that the receiver must not alter. A subscriber that lets buf batches pile up
// loses its subscription: its channel is closed, which tells it that something was lost, and it may subscribe again. The channel also closes
// when the pool ends and when cancel is called, which may be done any number of times.
func (p *Pool) Subscribe(buf int) (ch <-chan []*chain.Tx, cancel func()) {
	c := make(chan []*chain.Tx, max(buf, 1))
	p.subs.add(c)
	return c, func() { p.subs.remove(c) }
}

// SubscribeLocal is Subscribe for the local ones among them: what this node has to spread.
func (p *Pool) SubscribeLocal(buf int) (ch <-chan []*chain.Tx, cancel func()) {
	c := make(chan []*chain.Tx, max(buf, 1))
	p.locals.add(c)
	return c, func() { p.locals.remove(c) }
}

// announce tells the subscribers of e, which has become ready, when the lock is let go. It runs under p.mu.
func (p *Pool) announce(e *entry) {
	p.fresh = append(p.fresh, e.tx)
	if e.local {
		p.freshLocal = append(p.freshLocal, e.tx)
	}
}

func (s *subscribers) add(c chan []*chain.Tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close(c)
		return
	}
	if s.chans == nil {
		s.chans = make(map[chan []*chain.Tx]struct{})
	}
	s.chans[c] = struct{}{}
}

func (s *subscribers) remove(c chan []*chain.Tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
}

// drop runs under s.mu, which makes closing safe against publish.
func (s *subscribers) drop(c chan []*chain.Tx) {
	if _, there := s.chans[c]; there {
		delete(s.chans, c)
		close(c)
	}
}

// publish never blocks: the sends under s.mu give up at once when a buffer is full.
func (s *subscribers) publish(txs []*chain.Tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.chans {
		select {
		case c <- txs:
		default:
			s.drop(c)
		}
	}
}

func (s *subscribers) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.chans {
		s.drop(c)
	}
}
