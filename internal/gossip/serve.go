package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// snapshot is one listing of our pool, kept while a peer reads it page by page.
type snapshot struct {
	id     uint64
	hashes []common.Hash
	taken  time.Time
}

const (
	// snapshots is how many listings of more than a page are kept, the oldest go first: some 4 MiB each where the pool is full. A peer whose listing is
	// gone begins again. They are never shared: a listing must be younger than what made the peer ask, or what it lacks may not be in it.
	snapshots = 4
	// snapshotLife is how long one is kept, listWait the least time between two new ones for one peer, who waits longer by himself.
	snapshotLife = 30 * time.Second
	listWait     = 200 * time.Millisecond
)

// Refusals of a listing. They can happen to an honest peer.
var (
	errSnapshot = errors.New("that list is forgotten, begin again")
	errTooSoon  = errors.New("lists are asked for too often")
)

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
		return g.serveList(from, snapshot, offset)
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

// serveList answers with a page of a listing of our pool.
func (g *Gossip) serveList(from chain.Peer, id uint64, offset int) ([]byte, error) {
	s, err := g.listing(from, id)
	if err != nil {
		return nil, err
	}
	offset = min(offset, len(s.hashes))
	p := page{snapshot: s.id, total: len(s.hashes), hashes: s.hashes[offset:min(offset+listPage, len(s.hashes))]}
	return p.encode(), nil
}

// listing finds a kept listing, or makes a new one where id is 0.
func (g *Gossip) listing(from chain.Peer, id uint64) (snapshot, error) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.snapshots = slices.DeleteFunc(g.snapshots, func(s snapshot) bool { return now.Sub(s.taken) > snapshotLife })
	if id != 0 {
		i := slices.IndexFunc(g.snapshots, func(s snapshot) bool { return s.id == id })
		if i < 0 {
			return snapshot{}, errSnapshot
		}
		return g.snapshots[i], nil
	}
	p := g.peer(from)
	if p == nil || now.Sub(p.listedAt) < listWait {
		return snapshot{}, errTooSoon
	}
	p.listedAt = now
	g.listed++
	s := snapshot{id: g.listed, taken: now}
	g.mu.Unlock()
	s.hashes = g.deps.Pool.Waiting(maxList)
	g.mu.Lock()
	if len(s.hashes) > listPage {
		if len(g.snapshots) == snapshots {
			g.snapshots = slices.Delete(g.snapshots, 0, 1)
		}
		g.snapshots = append(g.snapshots, s)
	}
	return s, nil
}
