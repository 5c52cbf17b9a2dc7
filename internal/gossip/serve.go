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
		if err := g.pace(ctx, from); err != nil {
			return nil, err
		}
		out, lookups, err := g.serveTxs(ctx, hashes)
		g.paceWait(from, lookups)
		return out, err
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

// serveTxs answers from the pool and, for what a block has executed, from the ledger; lookups counts those there.
func (g *Gossip) serveTxs(ctx context.Context, hashes []common.Hash) (out []byte, lookups int, err error) {
	txs, _ := g.deps.Pool.Bodies(hashes)
	out = make([]byte, 0, min(len(hashes)*256, answerBytes))
	for i, tx := range txs {
		if len(out) >= answerBytes {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, lookups, err
		}
		if tx == nil {
			lookups++
			found, err := g.deps.Blocks.Tx(hashes[i])
			if err != nil {
				return nil, lookups, fmt.Errorf("look up %s: %w", hashes[i], err)
			}
			if found == nil {
				out = append(out, 0)
				continue
			}
			tx = found.Tx
		}
		out = appendTx(out, tx.Raw())
	}
	return out, lookups, nil
}

const (
	// lookupRate is how many transactions a second are looked up in the ledger for one peer in the long run, lookupBurst at once. An honest peer asks for
	// executed ones where it lags behind, at most a few blocks' worth; each costs us some ten microseconds or a read from disk.
	lookupRate  = 20_000
	lookupBurst = 100_000
)

// pace waits until look-ups may be done for the peer again. Who asks faster waits in its own request.
func (g *Gossip) pace(ctx context.Context, id chain.Peer) error {
	for {
		wait := g.paceWait(id, 0)
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// paceWait charges a peer with look-ups that were done for it and tells how long until others may be.
func (g *Gossip) paceWait(id chain.Peer, lookups int) time.Duration {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peer(id)
	if p == nil {
		return time.Minute // more peers than there can be
	}
	p.debt = max(0, p.debt-now.Sub(p.paced).Seconds()*lookupRate) + float64(lookups)
	p.paced = now
	return time.Duration((p.debt - lookupBurst) / lookupRate * float64(time.Second))
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
