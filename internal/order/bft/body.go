package bft

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// maxBodies bounds the bodies that are kept; the oldest gives way.
	maxBodies = 3 * perOwner
	// perOwner and perOwnerBytes bound those that came from one leader, or by asking: what a node that is behind holds back, and the last decisions for those
	// who lack theirs; twenty of the largest ones. A leader that sends more pushes out its own.
	perOwner      = reach + 4
	perOwnerBytes = 20 * chain.MaxDecisionTxs * common.HashLength
	// askBodyEvery is the pace of asking for a decided body that nobody has sent.
	askBodyEvery = 100 * time.Millisecond
)

// asked is the owner of bodies that were asked for.
const asked chain.ValidatorID = 0

// body is a proposal with the form in which it travels.
type body struct {
	*order.Proposal
	raw   []byte
	owner chain.ValidatorID
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

// put keeps a body that owner sent.
func (b *bodies) put(hash crypto.Hash, p *order.Proposal, raw []byte, owner chain.ValidatorID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[hash] != nil {
		return
	}
	count, bytes := 0, len(raw)
	for _, h := range b.age {
		if found := b.all[h]; found.owner == owner {
			count++
			bytes += len(found.raw)
		}
	}
	for count > 0 && (count >= perOwner || bytes > perOwnerBytes) {
		first := slices.IndexFunc(b.age, func(h crypto.Hash) bool { return b.all[h].owner == owner })
		count--
		bytes -= len(b.all[b.age[first]].raw)
		b.drop(first)
	}
	if len(b.age) >= maxBodies {
		b.drop(0)
	}
	b.all[hash], b.age = &body{p, raw, owner}, append(b.age, hash)
	close(b.bell)
	b.bell = make(chan struct{})
}

// drop forgets the i-th oldest. It runs under mu.
func (b *bodies) drop(i int) {
	delete(b.all, b.age[i])
	b.age = slices.Delete(b.age, i, i+1)
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
