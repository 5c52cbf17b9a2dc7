package order

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/params"

	"github.com/jialing-chain/jialing/internal/chain"
)

// waitsLonger is how many times longer than those that are decided a transaction must wait to count as left out, and waitsMost bounds in times the given
// wait how far that may go: a leader that lets all wait must not hide that it leaves some out.
const (
	waitsLonger = 2
	waitsMost   = 5
)

// Overdue implements Host. A transaction is overdue when it has been ready for longer than wait, and for much longer than those that were decided in
// that time, and no decision was full: under more load than the chain bears, or than this machine does, transactions wait long, and that is no
// leader's fault. A leader that fills its blocks can still leave some out.
func (d *Driver) Overdue(wait time.Duration, most int) []common.Hash {
	now := d.node.Now()
	if d.full.Load() > now.Add(-wait).UnixNano() {
		return nil
	}
	longest := d.node.Pool.LongestWait(now.Add(-waitsMost * wait))
	return d.node.Pool.Stale(now.Add(-min(max(wait, waitsLonger*longest), waitsMost*wait)), most)
}

// noteRoom remembers when decisions are full: when there are transactions that would not have fitted.
func (d *Driver) noteRoom(txs chain.Txs) {
	c := d.node.Genesis.Consensus
	bytes, gas := 0, uint64(0)
	for _, tx := range txs {
		bytes += len(tx.Raw())
		gas += tx.Gas()
	}
	if len(txs) == c.MaxBlockTxs || bytes+chain.MaxTxSize > c.MaxBlockBytes || gas+params.MaxTxGas > d.node.Genesis.GasLimit {
		d.full.Store(d.node.Now().UnixNano())
	}
}

// maxWants bounds the wishes that wait: a wish that finds no room is repeated by whoever has it.
const maxWants = 16

// want is a peer's wish for transactions to be decided.
type want struct {
	from   PeerID
	hashes []common.Hash
}

// Wanted implements Host.
func (d *Driver) Wanted(from PeerID, hashes []common.Hash) {
	if d.node.Network == nil {
		return
	}
	select {
	case d.wants <- want{from, hashes}:
	default:
	}
}

// fetchWanted gets what peers want decided and the pool lacks. The network gives it to the pool.
func (d *Driver) fetchWanted(ctx context.Context, over <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case w := <-d.wants:
			_, missing := d.node.Pool.Bodies(w.hashes)
			if len(missing) == 0 {
				continue
			}
			fetchCtx, cancel := context.WithTimeout(ctx, d.cfg.VerifyWait)
			_, err := d.node.Network.Fetch(fetchCtx, w.from, missing)
			cancel()
			if err != nil {
				d.node.Log.Debug("order: fetch transactions that a peer waits for", "peer", w.from, "count", len(missing), "err", err)
			}
		}
	}
}
