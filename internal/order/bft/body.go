package bft

import (
	"context"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// maxBodies bounds the bodies that are kept, each up to chain.MaxDecisionTxs hashes: the proposals of a few views, and the last decisions for
	// those who lack theirs. A leader that sends more is lying.
	maxBodies = 16
	// askBodyEvery is the pace of asking for a decided body that nobody has sent.
	askBodyEvery = 100 * time.Millisecond
)

// body is a proposal with the form in which it travels.
type body struct {
	*order.Proposal
	raw []byte
}

// bodies keeps proposals by their hash. Safe for concurrent use.
type bodies struct {
	mu   sync.Mutex
	all  map[crypto.Hash]*body
	age  []crypto.Hash // oldest first
	bell chan struct{} // closed and replaced when one comes
}

func newBodies() *bodies {
	return &bodies{all: make(map[crypto.Hash]*body), bell: make(chan struct{})}
}

func (b *bodies) put(hash crypto.Hash, p *order.Proposal, raw []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[hash] != nil {
		return
	}
	if len(b.age) == maxBodies {
		delete(b.all, b.age[0])
		b.age = append(b.age[:0], b.age[1:]...)
	}
	b.all[hash], b.age = &body{p, raw}, append(b.age, hash)
	close(b.bell)
	b.bell = make(chan struct{})
}

func (b *bodies) get(hash crypto.Hash) (found *body, bell <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[hash], b.bell
}

// wait returns the body once it is here, and calls ask every now and then until it is; nil when ctx ends before.
func (b *bodies) wait(ctx context.Context, hash crypto.Hash, ask func()) *body {
	for {
		found, bell := b.get(hash)
		if found != nil {
			return found
		}
		ask()
		timer := time.NewTimer(askBodyEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-bell:
			timer.Stop()
		case <-timer.C:
		}
	}
}
