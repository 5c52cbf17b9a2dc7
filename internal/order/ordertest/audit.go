package ordertest

import (
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// audit holds against every honest node what it has ever signed, across crashes and restored folders: no two of it may exclude each other.
type audit struct {
	mu     sync.Mutex
	signed map[slot]crypto.Hash
	// last is the highest height for which each node has signed a commit.
	last map[*node]uint64
}

// slot is where a node may say one thing only.
type slot struct {
	n            *node
	height, view uint64
}

func newAudit() *audit {
	return &audit{signed: make(map[slot]crypto.Hash), last: make(map[*node]uint64)}
}

// audited is the host of an honest node.
type audited struct {
	order.Host
	n *node
}

// Sign implements order.Host.
func (a audited) Sign(msg []byte) ([]byte, error) {
	claim, err := chain.ParseClaim(order.SigningMessage(a.n.GenesisHash, msg))
	if err == nil && claim.Commit {
		a.n.c.audit.take(a.n, &claim)
	}
	return a.Host.Sign(msg)
}

func (a *audit) take(n *node, claim *chain.Claim) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := slot{n, claim.Height, claim.View}
	if first, said := a.signed[s]; said && first != claim.What {
		n.c.Errorf("node %d signs two commits at height %d in view %d: %s and %s", n.ID, claim.Height, claim.View, first, claim.What)
	}
	a.signed[s] = claim.What
	a.last[n] = max(a.last[n], claim.Height)
}

// lastSigned is the highest height for which a node has signed a commit.
func (c *cluster) lastSigned(n *node) uint64 {
	c.audit.mu.Lock()
	defer c.audit.mu.Unlock()
	return c.audit.last[n]
}
