package node

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// liar stands before an engine whose node may be told to propose what is invalid. It implements order.Engine.
type liar struct {
	order.Engine
	t *teaching
}

// around puts an engine into the hands of a lesson; without one it stays what it is.
func (t *teaching) around(e order.Engine) order.Engine {
	if t == nil {
		return e
	}
	l := liar{e, t}
	if c, ok := e.(order.Chooser); ok {
		return struct {
			liar
			order.Chooser
		}{l, c}
	}
	return l
}

// Run implements order.Engine.
func (l liar) Run(ctx context.Context, h order.Host) error {
	if b, ok := h.(order.Branches); ok {
		return l.Engine.Run(ctx, liarsBranches{b, liarsHost{h, l.t}})
	}
	return l.Engine.Run(ctx, liarsHost{h, l.t})
}

// liarsHost is the engine's host, whose proposals may be lies.
type liarsHost struct {
	order.Host
	t *teaching
}

// aheadOfTime is how far ahead of all clocks an invalid proposal is: further than anybody accepts.
const aheadOfTime = 3_600_000

// Build implements order.Host.
func (l liarsHost) Build(ctx context.Context, parent *chain.Decision) (*order.Proposal, error) {
	p, err := l.Host.Build(ctx, parent)
	if err == nil && l.t.lies(LieInvalid) && len(p.Txs) > 0 {
		p.TimeMillis += aheadOfTime
		l.t.told("a proposal an hour ahead of time", "height", p.Height)
	}
	return p, err
}

// Verify implements order.Host: a liar finds nothing wrong with anything.
func (l liarsHost) Verify(ctx context.Context, p *order.Proposal) error {
	if l.t.lies(LieInvalid) {
		return nil
	}
	return l.Host.Verify(ctx, p)
}

// liarsBranches is liarsHost for an engine whose decisions are blocks on branches first.
type liarsBranches struct {
	order.Branches
	as liarsHost
}

// Build implements order.Host.
func (l liarsBranches) Build(ctx context.Context, parent *chain.Decision) (*order.Proposal, error) {
	return l.as.Build(ctx, parent)
}

// Verify implements order.Host.
func (l liarsBranches) Verify(ctx context.Context, p *order.Proposal) error {
	return l.as.Verify(ctx, p)
}

// BuildOn implements order.Branches.
func (l liarsBranches) BuildOn(height uint64, parent crypto.Hash, branch []crypto.Hash, coinbase common.Address, atLeast uint64) (*order.Proposal, chain.Txs) {
	p, txs := l.Branches.BuildOn(height, parent, branch, coinbase, atLeast)
	if l.as.t.lies(LieInvalid) {
		p.TimeMillis += aheadOfTime
		l.as.t.told("a block an hour ahead of time", "height", p.Height)
	}
	return p, txs
}

// falsehoods is what a node sends in place of a message of ordering or attesting. A node that is honest sends the message.
func (p *pipeline) falsehoods(t *teaching) func(protocol string, msg []byte) [][]byte {
	return func(protocol string, msg []byte) [][]byte {
		honest := [][]byte{msg}
		ordering, attesting := protocol == p.orderProtocol().Name, protocol == protocolAttest.Name
		if !ordering && !attesting {
			return honest
		}
		switch {
		case t.lies(LieSilent):
			t.told("silence", "protocol", protocol)
			return nil
		case t.lies(LieDoubleSign):
			lie, err := p.contradict(t, attesting, msg)
			if err != nil {
				t.log.Warn("teaching mode: a lie did not come out", "protocol", protocol, "err", err)
			}
			if lie != nil {
				t.told("a second signature beside the first", "protocol", protocol)
				return append([][]byte{lie}, honest...)
			}
		}
		return honest
	}
}

// contradict signs something else than a message does; nil where the message signs nothing.
func (p *pipeline) contradict(t *teaching, attesting bool, msg []byte) ([]byte, error) {
	if attesting {
		me := p.self(p.executed.Load() + 1)
		if me == nil {
			return nil, nil
		}
		return attest.Contradict(msg, me.ID, func(height uint64, header crypto.Hash) ([]byte, error) {
			return t.key.Sign(chain.AttestationMessage(p.genesisHash, height, header))
		})
	}
	if c, ok := p.engine.(contradictor); ok {
		return c.Contradict(msg, func(msg []byte) ([]byte, error) { return t.key.Sign(order.SigningMessage(p.genesisHash, msg)) })
	}
	return nil, nil
}

// contradictor is an engine that can say what would contradict a message of its own.
type contradictor interface {
	Contradict(msg []byte, sign func(msg []byte) ([]byte, error)) ([]byte, error)
}
