package ordertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// The contract's tests are themselves tested on the simplest engine of several nodes: the first validator leads for ever, the others follow
// what it signed. It survives restarts, not the loss of its leader, so it is good for this only.
func TestSeveralNodes(t *testing.T) {
	Run(t, Engine{Nodes: 4, Latency: 0, Settle: 2 * time.Second, New: func(_ testing.TB, n Node) order.Engine {
		return &leader{Node: n, bell: make(chan struct{}, 1), inbox: make(chan message, 1024)}
	}})
}

// leader keeps each decision in a file before it sends it; followers ask for what they lack.
type leader struct {
	Node
	bell   chan struct{}
	inbox  chan message
	height atomic.Uint64
}

const (
	offer = iota + 1 // offer ‖ decision
	ask              // ask ‖ height
	// patience is after how long a follower asks for what may have been lost.
	patience = 100 * time.Millisecond
)

func (e *leader) Run(ctx context.Context, h order.Host) error {
	last, set, err := h.Sync(ctx, 0)
	if err != nil {
		return order.Ended(ctx, err)
	}
	if e.ID == set[0].ID {
		return order.Ended(ctx, e.lead(ctx, h, last))
	}
	return order.Ended(ctx, e.follow(ctx, h, last, set))
}

func (e *leader) file(height uint64) string {
	return filepath.Join(e.Dir, fmt.Sprintf("%020d", height))
}

func (e *leader) lead(ctx context.Context, h order.Host, last *chain.Decision) error {
	e.Pending()
	var beat <-chan time.Time
	for {
		if e.Heartbeat > 0 && beat == nil {
			beat = time.After(e.Heartbeat)
		}
		empty := false
		select {
		case <-ctx.Done():
			return nil
		case m := <-e.inbox:
			if len(m.body) == 9 && m.body[0] == ask {
				if b, err := os.ReadFile(e.file(binary.BigEndian.Uint64(m.body[1:]))); err == nil {
					h.Send(m.from, append([]byte{offer}, b...))
				}
			}
			continue
		case <-e.bell:
		case <-beat:
			empty = true
		}
		p, err := h.Build(ctx, last)
		if err != nil {
			return err
		}
		if len(p.Txs) == 0 && !empty {
			continue
		}
		if last, err = e.decide(ctx, h, p); err != nil {
			return err
		}
		beat = nil
		e.Pending()
	}
}

func (e *leader) decide(ctx context.Context, h order.Host, p *order.Proposal) (*chain.Decision, error) {
	hash := p.Hash(e.Suite)
	proof, err := h.Sign(hash[:])
	if err != nil {
		return nil, err
	}
	d := p.Decide(proof)
	if b, err := os.ReadFile(e.file(d.Height)); err == nil { // sent before it was delivered here: there is no taking it back
		if d, err = chain.DecodeDecision(b); err != nil {
			return nil, err
		}
	} else if err := os.WriteFile(e.file(d.Height), d.Encode(), 0o600); err != nil {
		return nil, err
	}
	h.Broadcast(append([]byte{offer}, d.Encode()...))
	return d, e.deliver(ctx, h, d)
}

func (e *leader) follow(ctx context.Context, h order.Host, last *chain.Decision, set chain.ValidatorSet) error {
	next := uint64(1)
	if last != nil {
		next = last.Height + 1
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.bell:
			continue
		case <-time.After(patience):
			h.Send(order.PeerID(set[0].ID), binary.BigEndian.AppendUint64([]byte{ask}, next))
			continue
		case m := <-e.inbox:
			if len(m.body) == 0 || m.body[0] != offer {
				continue
			}
			d, err := chain.DecodeDecision(m.body[1:])
			if err != nil || d.Height != next || e.VerifyDecision(set, d) != nil {
				continue
			}
			proposal := order.Proposal(*d)
			proposal.Proof = nil
			if err := h.Verify(ctx, &proposal); errors.Is(err, order.ErrProposal) {
				continue // it will be asked for again
			} else if err != nil {
				return err
			}
			if err := e.deliver(ctx, h, d); err != nil {
				return err
			}
			next++
		}
	}
}

func (e *leader) deliver(ctx context.Context, h order.Host, d *chain.Decision) error {
	if _, err := h.Deliver(ctx, d); err != nil {
		return err
	}
	e.height.Store(d.Height)
	return nil
}

func (e *leader) Pending() {
	select {
	case e.bell <- struct{}{}:
	default:
	}
}

func (e *leader) Handle(from order.PeerID, msg []byte) {
	select {
	case e.inbox <- message{from, msg}:
	default:
	}
}

func (e *leader) VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w: %w", order.ErrProof, err)
	}
	if len(set) == 0 || d.Proposer != set[0].ID {
		return fmt.Errorf("%w: not by the leader", order.ErrProof)
	}
	hash := d.Hash(e.Suite)
	if err := order.VerifySig(e.Suite, e.GenesisHash, &set[0], hash[:], d.Proof); err != nil {
		return fmt.Errorf("%w: %w", order.ErrProof, err)
	}
	return nil
}

func (e *leader) Status() order.Status {
	return order.Status{Engine: "leader", Height: e.height.Load()}
}
