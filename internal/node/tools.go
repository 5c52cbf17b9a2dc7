package node

import (
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve/eth"
)

// Details is what jialing status and jialing doctor ask about beyond Status. What cannot be read stays zero: an answer with a gap is worth more than none.
func (n serveNode) Details() eth.NodeDetails {
	engine := n.p.engine.Status()
	d := eth.NodeDetails{
		PublicKey: n.key.Public().Bytes(), Ordered: engine.Height, Leader: engine.Leader, View: engine.View, PoolMax: n.cfg.Pool.MaxTxs,
		DiskReserve: uint64(n.cfg.Store.MinFreeMiB) << 20, Now: time.Now(),
	}
	if me := self(n.p.validators, n.key); me != nil {
		d.Validator = me.ID
	}
	if h, err := n.p.store.Header(0); err == nil {
		d.Genesis, _ = chain.HeaderHash(n.suite, h) // block 0 passed this when the node started
	}
	if free, err := freeBytes(n.cfg.Dir); err == nil {
		d.DiskFree = free
	}
	return d
}

// Peers are the other nodes that this one knows of.
func (n serveNode) Peers() []eth.PeerStatus { return nil }
