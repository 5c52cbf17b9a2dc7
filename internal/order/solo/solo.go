// Package solo is the engine of a chain with one validator: it decides alone, at once. Other nodes follow it.
//
// It stands in the order stage of pool → order → execute → attest → store → serve. It owns nothing but a doorbell. A decision's proof is the
// validator's signature on its hash, so a stranger can check it as he would another engine's.
package solo

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Engine implements order.Engine.
type Engine struct {
	suite     crypto.Suite
	genesis   crypto.Hash
	public    []byte
	heartbeat time.Duration
	bell      chan struct{}
	height    atomic.Uint64
	leader    atomic.Uint64
}

// New returns the engine of the node with that public key on the chain whose genesis header has that suite hash: it decides where the key is the sole
// validator's and follows otherwise. With a heartbeat above zero, an empty decision is made after that long without one.
func New(suite crypto.Suite, genesis crypto.Hash, public []byte, heartbeat time.Duration) *Engine {
	return &Engine{suite: suite, genesis: genesis, public: public, heartbeat: heartbeat, bell: make(chan struct{}, 1)}
}

// Run implements order.Engine.
func (e *Engine) Run(ctx context.Context, h order.Host) error {
	last, err := e.follow(ctx, h)
	if err != nil || ctx.Err() != nil {
		return order.Ended(ctx, err)
	}
	var beat <-chan time.Time // never, without a heartbeat
	rewind := func() {
		if e.heartbeat > 0 {
			beat = time.After(e.heartbeat)
		}
	}
	rewind()
	e.Pending() // the pool may have been filled before this engine listened
	for {
		empty := false
		select {
		case <-ctx.Done():
			return nil
		case <-e.bell:
		case <-beat:
			empty = true
		}
		for ctx.Err() == nil {
			d, err := e.decide(ctx, h, last, empty)
			if err != nil {
				return order.Ended(ctx, err)
			}
			if d == nil {
				break
			}
			last, empty = d, false
			rewind()
		}
	}
}

// follow brings the ledger to where the peers are, for as long as this node is not the validator.
func (e *Engine) follow(ctx context.Context, h order.Host) (*chain.Decision, error) {
	for {
		last, set, err := h.Sync(ctx, 0)
		if err != nil {
			return nil, fmt.Errorf("solo: %w", err)
		}
		if last != nil {
			e.height.Store(last.Height)
		}
		if len(set) > 0 {
			e.leader.Store(uint64(set[0].ID))
			if bytes.Equal(set[0].PublicKey, e.public) {
				return last, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-h.Behind():
		}
	}
}

// decide makes one decision; nil when there is nothing to decide on.
func (e *Engine) decide(ctx context.Context, h order.Host, last *chain.Decision, empty bool) (*chain.Decision, error) {
	p, err := h.Build(ctx, last)
	if err != nil {
		return nil, fmt.Errorf("solo: %w", err)
	}
	if len(p.Txs) == 0 && !empty {
		return nil, nil
	}
	hash := p.Hash(e.suite)
	proof, err := h.Sign(hash[:])
	if err != nil {
		return nil, fmt.Errorf("solo: %w", err)
	}
	d := p.Decide(proof)
	if _, err := h.Deliver(ctx, d); err != nil {
		return nil, fmt.Errorf("solo: %w", err)
	}
	e.height.Store(d.Height)
	return d, nil
}

// Pending implements order.Engine.
func (e *Engine) Pending() {
	select {
	case e.bell <- struct{}{}:
	default:
	}
}

// Handle implements order.Engine: nobody has anything to say to a sole validator.
func (e *Engine) Handle(order.PeerID, []byte) {}

// VerifyDecision implements order.Engine.
func (e *Engine) VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error {
	return order.VerifySigned(e.suite, e.genesis, set, d)
}

// Status implements order.Engine.
func (e *Engine) Status() order.Status {
	return order.Status{Engine: chain.Solo, Height: e.height.Load(), Leader: chain.ValidatorID(e.leader.Load())}
}
