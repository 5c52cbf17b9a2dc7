package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
)

// mergeBytes bounds what a worker hands to the pool at once, some hundred transactions: the pool verifies in parallel only inside a call, but what is
// in a call becomes known at its end only, and a proposal may wait for it.
const mergeBytes = 16 << 10

// parcel is a batch that waits for the pool.
type parcel struct {
	batch []byte

	// once guards what Fetch makes of it.
	once   sync.Once
	raws   [][]byte
	hashes []common.Hash
}

// index finds the hashes of its transactions, which nobody needs but who looks for one here. One that is malformed holds none.
func (p *parcel) index() ([]common.Hash, [][]byte) {
	p.once.Do(func() {
		raws, err := decodeTxs(p.batch, maxBatchTxs, false)
		if err != nil {
			return // the worker will report it
		}
		p.raws, p.hashes = raws, make([]common.Hash, len(raws))
		for i, raw := range raws {
			p.hashes[i] = gethcrypto.Keccak256Hash(raw)
		}
	})
	return p.hashes, p.raws
}

// enqueue keeps a batch for the pool, or drops it where the peer has too much waiting.
func (g *Gossip) enqueue(from chain.Peer, batch []byte) {
	g.mu.Lock()
	p := g.peer(from)
	if p == nil || p.queued+len(batch) > g.cfg.QueueBytes {
		if p != nil {
			p.lacks = true
		}
		g.mu.Unlock()
		g.stats.dropped.Add(1)
		ring(g.compareBell)
		return
	}
	p.queue = append(p.queue, &parcel{batch: batch})
	p.queued += len(batch)
	start := !p.busy
	p.busy = true
	g.mu.Unlock()
	if start {
		g.schedule(p)
	}
}

// schedule gives p to a worker. There is room for twice the peers that can be known, so only ghosts of peers that are gone can fill it.
func (g *Gossip) schedule(p *peer) {
	select {
	case g.work <- p:
	default:
		g.mu.Lock()
		p.queue, p.queued, p.busy, p.lacks = nil, 0, false, true
		g.mu.Unlock()
		g.stats.dropped.Add(1)
	}
}

// receive takes batches into the pool until ctx ends. A peer is with one worker at a time, so its transactions keep their order.
func (g *Gossip) receive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-g.work:
			if more := g.admitQueued(ctx, p); more {
				g.schedule(p)
			}
		}
	}
}

// admitQueued takes some of a peer's batches into the pool and tells whether more wait.
func (g *Gossip) admitQueued(ctx context.Context, p *peer) (more bool) {
	g.mu.Lock()
	n, size := 0, 0
	for n < len(p.queue) && (n == 0 || size+len(p.queue[n].batch) <= mergeBytes) {
		size += len(p.queue[n].batch)
		n++
	}
	batches := p.queue[:n:n]
	p.queue = p.queue[n:]
	if len(p.queue) == 0 {
		p.queue = nil
	}
	done := make(chan struct{})
	p.working, p.done = batches, done
	g.mu.Unlock()
	defer close(done)

	var raws [][]byte
	for _, b := range batches {
		some, err := decodeTxs(b.batch, maxBatchTxs, false)
		if err != nil {
			g.deps.Network.Report(p.id, misbehaviour, "gossip: batch: "+err.Error())
			continue
		}
		if raws == nil {
			raws = some
		} else {
			raws = append(raws, some...)
		}
	}
	g.admit(ctx, p.id, raws, false)

	g.mu.Lock()
	defer g.mu.Unlock()
	p.working, p.done = nil, nil
	p.queued -= size
	p.busy = len(p.queue) > 0
	return p.busy
}

// admit hands a peer's transactions to the pool, passes on what is new and judges the peer by what is bad. full tells that the pool had no room.
func (g *Gossip) admit(ctx context.Context, from chain.Peer, raws [][]byte, urgent bool) (full bool) {
	if len(raws) == 0 {
		return false
	}
	// The pool keeps raw bytes for as long as a transaction waits. A copy of its own per transaction costs a thousandth of its verification and
	// keeps one that waits long from holding the memory of a whole message.
	own := make([][]byte, len(raws))
	for i, raw := range raws {
		own[i] = bytes.Clone(raw)
	}
	var txs []*chain.Tx
	var errs []error
	if urgent {
		txs, errs = g.deps.Pool.AddUrgent(ctx, own)
	} else {
		txs, errs = g.deps.Pool.AddBatch(ctx, own, false)
	}
	fresh := txs[:0]
	var bad, crowded int
	var worst error
	for i, err := range errs {
		switch {
		case err == nil:
			fresh = append(fresh, txs[i])
		case invalid(err):
			bad, worst = bad+1, err
		case g.deps.Full(err):
			crowded++
		}
	}
	g.stats.received.Add(uint64(len(raws)))
	g.stats.admitted.Add(uint64(len(fresh)))
	g.stats.refused.Add(uint64(bad))
	g.stats.noRoom.Add(uint64(crowded))
	if bad > 0 {
		g.deps.Network.Report(from, misbehaviour, fmt.Sprintf("gossip: %d of %d transactions are invalid: %v", bad, len(raws), worst))
	}
	if crowded > 0 {
		g.mu.Lock()
		if p := g.peers[from]; p != nil {
			p.lacks = true
		}
		g.mu.Unlock()
		ring(g.compareBell)
	}
	g.passOn(ctx, from, fresh)
	return crowded > 0
}

// urgentPiece is how many urgent transactions are handed to the pool at once: whoever waits for a proposal's transactions goes on waiting while he sees
// some of them come.
const urgentPiece = 64

// admitUrgent is admit for what a proposal waits for.
func (g *Gossip) admitUrgent(ctx context.Context, from chain.Peer, raws [][]byte) {
	for piece := range slices.Chunk(raws, urgentPiece) {
		g.admit(ctx, from, piece, true)
	}
}

// passOn hands new transactions of a peer to the sender where somebody needs them. What it skips by the links as they are now is in the pool
// already, so a later change of links finds it by comparison.
func (g *Gossip) passOn(ctx context.Context, from chain.Peer, txs []*chain.Tx) {
	if len(txs) == 0 {
		return
	}
	g.mu.Lock()
	needed := len(g.targets(from)) > 0
	g.mu.Unlock()
	if !needed {
		return
	}
	select {
	case g.relays <- relay{from, txs}:
	case <-ctx.Done():
	}
}

// invalid tells errors that make a transaction worthless on every node of the chain, so that no honest node sends it.
func invalid(err error) bool {
	for _, bad := range []error{chain.ErrTxEncoding, chain.ErrTxTooLarge, chain.ErrTxType, chain.ErrBlobTx, chain.ErrChainID, chain.ErrUnprotectedTx,
		chain.ErrTxSignature, chain.ErrTxKind, chain.ErrTipAboveFeeCap} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}
