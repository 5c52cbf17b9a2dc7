package gossip

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// fetchParallel bounds the peers that one Fetch asks at a time, askParallel the requests to one of them.
	fetchParallel = 3
	askParallel   = 4
	// fetchPause is how long Fetch waits after all peers were asked in vain, before it asks again: what is missing may be on its way to them, or to us.
	fetchPause = 50 * time.Millisecond
)

// Fetch returns verified transactions in the order of hashes, nil in the places of those that no peer had before ctx ended. What has come already and
// waits for the pool goes there first; for the rest it asks prefer first ("": anyone), then the others. What comes is given to the pool as well,
// whose refusal does not matter here. The error is for too many hashes.
func (g *Gossip) Fetch(ctx context.Context, prefer chain.Peer, hashes []common.Hash) (chain.Txs, error) {
	if len(hashes) > chain.MaxDecisionTxs {
		return nil, fmt.Errorf("gossip: fetch %d transactions, at most %d", len(hashes), chain.MaxDecisionTxs)
	}
	f := &fetch{g: g, index: make(map[common.Hash]int, len(hashes)), txs: make(chain.Txs, len(hashes))}
	for i, h := range hashes {
		f.index[h] = i
	}
	f.left = len(f.index)
	f.lookup()
	for !f.complete() && ctx.Err() == nil {
		if g.hurry(ctx, f.missing()) {
			f.lookup()
		}
		f.round(ctx, g.order(prefer))
		if f.complete() {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(fetchPause):
		}
		f.lookup()
	}
	// A hash that was asked for twice has its transaction at its last place only.
	out := make(chain.Txs, len(hashes))
	for i, h := range hashes {
		out[i] = f.txs[f.index[h]]
	}
	return out, nil
}

// hurry gives those of hashes to the pool that have come and wait for it, before all else that waits, and waits for those that it is being given.
// Asking for them again would cost their way and a second verification. It tells whether there were any.
func (g *Gossip) hurry(ctx context.Context, hashes []common.Hash) bool {
	waiting, given := g.waiting()
	if len(hashes) == 0 || len(waiting)+len(given) == 0 {
		return false
	}
	wanted := make(map[common.Hash]struct{}, len(hashes))
	for _, h := range hashes {
		wanted[h] = struct{}{}
	}
	var soon []delivery
	for _, w := range given { // first: what is there need not be given twice
		if len(w.pick(wanted)) > 0 {
			soon = append(soon, w)
		}
	}
	found := len(soon) > 0
	for _, w := range waiting {
		if raws := w.pick(wanted); len(raws) > 0 {
			found = true
			g.admitUrgent(ctx, w.from, raws)
		}
	}
	for _, w := range soon {
		select {
		case <-w.done:
		case <-ctx.Done():
			return found
		}
	}
	return found
}

// delivery is what a peer has sent and the pool has not got yet.
type delivery struct {
	from    chain.Peer
	parcels []*parcel
	// done closes when the pool has got it; nil while it waits.
	done <-chan struct{}
}

// waiting lists what waits for the pool and what it is being given.
func (g *Gossip) waiting() (waiting, given []delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, p := range g.peers {
		if len(p.queue) > 0 {
			waiting = append(waiting, delivery{from: id, parcels: slices.Clone(p.queue)})
		}
		if len(p.working) > 0 {
			given = append(given, delivery{from: id, parcels: p.working, done: p.done})
		}
	}
	return waiting, given
}

// pick takes the raw transactions that are wanted, and wants them no more.
func (d *delivery) pick(wanted map[common.Hash]struct{}) (raws [][]byte) {
	for _, p := range d.parcels {
		if len(wanted) == 0 {
			break
		}
		hashes, all := p.index()
		for i, h := range hashes {
			if _, ok := wanted[h]; ok {
				delete(wanted, h)
				raws = append(raws, all[i])
			}
		}
	}
	return raws
}

// order lists the connected peers, prefer first, the others beginning with another one each time.
func (g *Gossip) order(prefer chain.Peer) []chain.Peer {
	peers := slices.Clone(g.deps.Network.Connected())
	if n := len(peers); n > 1 {
		turn := int(g.round.Add(1)) % n
		peers = slices.Concat(peers[turn:], peers[:turn])
	}
	if i := slices.Index(peers, prefer); i > 0 {
		peers = slices.Insert(slices.Delete(peers, i, i+1), 0, prefer)
	}
	return peers
}

// fetch is one call of Fetch.
type fetch struct {
	g *Gossip
	// index is where each hash has its place.
	index map[common.Hash]int

	// mu guards what has come and how much has not.
	mu   sync.Mutex
	txs  chain.Txs
	left int
}

// missing lists what has not come, each hash once.
func (f *fetch) missing() (out []common.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for h, i := range f.index {
		if f.txs[i] == nil {
			out = append(out, h)
		}
	}
	// In the order in which they were asked for, which is the order of execution.
	slices.SortFunc(out, func(a, b common.Hash) int { return f.index[a] - f.index[b] })
	return out
}

func (f *fetch) complete() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left == 0
}

// lookup takes what the pool has got meanwhile.
func (f *fetch) lookup() {
	hashes := f.missing()
	if len(hashes) == 0 {
		return
	}
	txs, _ := f.g.deps.Pool.Bodies(hashes)
	f.put(hashes, txs)
}

func (f *fetch) put(hashes []common.Hash, txs chain.Txs) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, tx := range txs {
		if at := f.index[hashes[i]]; tx != nil && f.txs[at] == nil {
			f.txs[at] = tx
			f.left--
		}
	}
}

// round asks each peer once: the next one when one has answered without giving everything, or when it takes long.
func (f *fetch) round(ctx context.Context, peers []chain.Peer) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	done := make(chan struct{}, len(peers))
	hedge := time.NewTimer(0)
	defer hedge.Stop()
	next, asking := 0, 0
	for next < len(peers) || asking > 0 {
		select {
		case <-ctx.Done():
			return
		case <-hedge.C:
		case <-done:
			asking--
			if f.complete() {
				return
			}
		}
		if next < len(peers) && asking < fetchParallel {
			peer := peers[next]
			next, asking = next+1, asking+1
			running.Go(func() {
				f.askPeer(ctx, peer)
				done <- struct{}{}
			})
			hedge.Reset(f.g.cfg.HedgeWait)
		}
	}
}

// askPeer asks one peer for all that is missing.
func (f *fetch) askPeer(ctx context.Context, peer chain.Peer) {
	asks, askCtx := errgroup.WithContext(ctx)
	asks.SetLimit(askParallel)
	for part := range slices.Chunk(f.missing(), maxAsk) {
		asks.Go(func() error { return f.askPart(askCtx, peer, part) })
	}
	if err := asks.Wait(); err != nil && ctx.Err() == nil {
		f.g.deps.Log.Debug("gossip: fetching transactions", "peer", peer.Short(), "err", err)
	}
}

// askPart asks until the peer has said yes or no to every hash.
func (f *fetch) askPart(ctx context.Context, peer chain.Peer, hashes []common.Hash) error {
	for len(hashes) > 0 {
		raws, err := f.g.ask(ctx, peer, hashes)
		if err != nil {
			return err
		}
		if len(raws) == 0 {
			return fmt.Errorf("an answer of nothing")
		}
		txs, err := f.g.accept(ctx, peer, raws, hashes[:len(raws)])
		f.put(hashes[:len(raws)], txs)
		if err != nil {
			f.g.deps.Network.Report(peer, misbehaviour, "gossip: answer: "+err.Error())
			return err
		}
		hashes = hashes[len(raws):]
	}
	return nil
}

// accept takes a peer's answer to a request for hashes: into the pool, which verifies, and what that refuses is verified here. What is wrong stays nil;
// the error is one of what is wrong.
func (g *Gossip) accept(ctx context.Context, from chain.Peer, raws [][]byte, hashes []common.Hash) (chain.Txs, error) {
	got := make([][]byte, 0, len(raws))
	for i, raw := range raws {
		if len(raw) == 0 {
			continue
		}
		if have := gethcrypto.Keccak256Hash(raw); have != hashes[i] {
			return make(chain.Txs, len(raws)), fmt.Errorf("%w: asked for %s, got %s", errWire, hashes[i], have)
		}
		got = append(got, raw)
	}
	g.stats.fetched.Add(uint64(len(got)))
	g.admitUrgent(ctx, from, got)
	txs, _ := g.deps.Pool.Bodies(hashes)
	return txs, g.verify(raws, txs)
}

// verify fills in, in parallel, the transactions that the pool has refused.
func (g *Gossip) verify(raws [][]byte, txs chain.Txs) error {
	var work errgroup.Group
	workers := min(runtime.GOMAXPROCS(0), len(raws))
	for w := range workers {
		work.Go(func() (worst error) {
			for i := w; i < len(raws); i += workers {
				if len(raws[i]) == 0 || txs[i] != nil {
					continue
				}
				tx, err := chain.DecodeTx(slices.Clone(raws[i])) // it outlives the answer, see admit
				if err == nil {
					err = g.deps.Verifier.Verify(tx)
				}
				if err != nil {
					worst = err
					continue
				}
				txs[i] = tx
			}
			return worst
		})
	}
	return work.Wait()
}
