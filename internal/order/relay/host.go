package relay

import (
	"context"
	"encoding/binary"
	"sync/atomic"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// host is the driver as the engine of one term has it: up to the term's last height. Behind that every call fails as if the engine's context had ended,
// which it has.
type host struct {
	order.Host
	term  chain.Term
	terms Terms
	// end ends the engine's context.
	end context.CancelFunc
	// over tells that height is the term's last one or beyond it.
	over   atomic.Bool
	height atomic.Uint64
}

// reached notes how far the ledger is, and ends the engine with its term.
func (h *host) reached(height uint64) error {
	h.height.Store(height)
	if term, ok := h.terms.TermOf(height + 1); ok && term == h.term {
		return nil
	}
	h.over.Store(true)
	h.end()
	return context.Canceled
}

// Build implements order.Host.
func (h *host) Build(ctx context.Context, parent *chain.Decision) (*order.Proposal, error) {
	if h.over.Load() {
		return nil, context.Canceled
	}
	return h.Host.Build(ctx, parent)
}

// Verify implements order.Host.
func (h *host) Verify(ctx context.Context, p *order.Proposal) error {
	if h.over.Load() {
		return context.Canceled
	}
	return h.Host.Verify(ctx, p)
}

// Deliver implements order.Host. After the term's last decision it reports success: that decision stands, and the engine's context has ended.
func (h *host) Deliver(ctx context.Context, d *chain.Decision) (chain.ValidatorSet, error) {
	if h.over.Load() {
		return nil, context.Canceled
	}
	set, err := h.Host.Deliver(ctx, d)
	if err != nil || d.Height < h.height.Load() {
		return set, err
	}
	if h.reached(d.Height) != nil {
		return nil, nil
	}
	return set, nil
}

// Sync implements order.Host. What it fetches may go beyond the term, and then the engine has nothing more to do.
func (h *host) Sync(ctx context.Context, from uint64) (*chain.Decision, chain.ValidatorSet, error) {
	last, set, err := h.Host.Sync(ctx, from)
	if err != nil || last == nil {
		return last, set, err
	}
	if err := h.reached(last.Height); err != nil {
		return nil, nil, err
	}
	return last, set, nil
}

// Send implements order.Host.
func (h *host) Send(to order.PeerID, msg []byte) { h.Host.Send(to, h.stamp(msg)) }

// Broadcast implements order.Host.
func (h *host) Broadcast(msg []byte) { h.Host.Broadcast(h.stamp(msg)) }

// stamp says of which term a message is, by its first height: one byte on a chain that never changed its engine.
func (h *host) stamp(msg []byte) []byte {
	b := make([]byte, 0, binary.MaxVarintLen64+len(msg))
	return append(binary.AppendUvarint(b, h.term.From), msg...)
}
