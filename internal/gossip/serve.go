package gossip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// snapshot is one listing of our pool, shared by all peers that compare at about the same time: after a partition all of them do.
type snapshot struct {
	id     uint64
	hashes []common.Hash
	taken  time.Time
}

const (
	// snapshotFresh is how long a new comparison may begin with a snapshot, snapshotLife how long one that has begun may go on.
	snapshotFresh = time.Second
	snapshotLife  = 30 * time.Second
)

var errSnapshot = errors.New("that list is forgotten, begin again")

// Serve answers a request of Method.
func (g *Gossip) Serve(ctx context.Context, from chain.Peer, request []byte) ([]byte, error) {
	if len(request) == 0 {
		g.deps.Network.Report(from, misbehaviour, "gossip: empty request")
		return nil, errWire
	}
	switch body := request[1:]; request[0] {
	case kindTxs:
		hashes, err := decodeHashes(body, maxAsk)
		if err != nil {
			g.deps.Network.Report(from, misbehaviour, "gossip: request: "+err.Error())
			return nil, err
		}
		return g.serveTxs(ctx, hashes)
	case kindList:
		snapshot, offset, err := decodeListRequest(body)
		if err != nil {
			g.deps.Network.Report(from, misbehaviour, "gossip: request: "+err.Error())
			return nil, err
		}
		return g.serveList(snapshot, offset)
	}
	g.deps.Network.Report(from, misbehaviour, "gossip: request of an unknown kind")
	return nil, fmt.Errorf("%w: request of kind %d", errWire, request[0])
}

// serveTxs answers from the pool and, for what a block has executed, from the ledger.
func (g *Gossip) serveTxs(ctx context.Context, hashes []common.Hash) ([]byte, error) {
	txs, _ := g.deps.Pool.Bodies(hashes)
	out := make([]byte, 0, min(len(hashes)*256, answerBytes))
	for i, tx := range txs {
		if len(out) >= answerBytes {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if tx == nil {
			found, err := g.deps.Blocks.Tx(hashes[i])
			if err != nil {
				return nil, fmt.Errorf("look up %s: %w", hashes[i], err)
			}
			if found == nil {
				out = append(out, 0)
				continue
			}
			tx = found.Tx
		}
		out = appendTx(out, tx.Raw())
	}
	return out, nil
}

// serveList answers with a page of a snapshot of our pool.
func (g *Gossip) serveList(id uint64, offset int) ([]byte, error) {
	g.mu.Lock()
	s, now := g.snapshot, time.Now()
	g.mu.Unlock()
	age := now.Sub(s.taken)
	switch {
	case id != 0 && (id != s.id || age > snapshotLife):
		return nil, errSnapshot
	case id == 0 && (s.id == 0 || age > snapshotFresh):
		s = g.newSnapshot(now)
	}
	offset = min(offset, len(s.hashes))
	p := page{snapshot: s.id, total: len(s.hashes), hashes: s.hashes[offset:min(offset+listPage, len(s.hashes))]}
	return p.encode(), nil
}

// newSnapshot replaces the kept one. Two at the same time replace each other: the peer of the one that lost begins again.
func (g *Gossip) newSnapshot(now time.Time) snapshot {
	hashes := g.deps.Pool.Waiting(maxList)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.snapshot = snapshot{id: g.snapshot.id + 1, hashes: hashes, taken: now}
	return g.snapshot
}
