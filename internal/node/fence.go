package node

import (
	"fmt"
	"path/filepath"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/order"
)

// newFence looks whether the ledger's folder is the one in which this node's key has signed, see order.Fence and keys.Mark. A ledger that is not on the
// operating system's disks has no mark: what it may have forgotten only the other validators tell.
func (n *Node) newFence() (*order.Fence, error) {
	if n.opts.FS != nil || !n.genesis.Networked() || !contradicts(n.genesis.Consensus.Engine) && !n.genesis.Changeable() {
		return order.NewFence(order.FenceOpen, "", n.opts.Now, n.log, nil), nil
	}
	mark, err := keys.OpenMark(filepath.Join(n.cfg.Dir, dataFolder))
	if err != nil {
		return nil, fmt.Errorf("look whether the ledger's folder is a copy: %w", err)
	}
	switch mark.Past {
	case keys.CopiedFolder:
		why := "its data folder is a copy, or was put back from a backup: the key may have signed more than it knows"
		n.log.Error("this validator signs nothing until a block is decided that cannot concern what it signed before", "err", why)
		return order.NewFence(order.FenceShut, why, n.opts.Now, n.log, mark.Settle), nil
	case keys.NewFolder:
		return order.NewFence(order.FenceUnsure, "", n.opts.Now, n.log, mark.Settle), nil
	}
	return order.NewFence(order.FenceOpen, "", n.opts.Now, n.log, mark.Settle), nil
}

// contradicts tells whether two signatures of a validator may exclude each other under an engine in a way that is held against it: where validators may lie.
func contradicts(engine chain.EngineKind) bool { return engine == chain.BFT || engine == chain.PoS }

// mayAttest tells whether this node may sign the block of a height.
func (p *pipeline) mayAttest(height uint64) bool {
	rule := p.sets.Of(height)
	return rule == nil || !contradicts(rule.Engine) || p.fence.May(height)
}
