package eth

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
)

// sealedBlock is a durable block with what belongs to it. Immutable.
type sealedBlock struct {
	*chain.Block
	receipts types.Receipts
	decision *chain.Decision
	excluded []chain.Exclusion
}

// place is where a transaction stands.
type place struct {
	height uint64
	// index is in the block or, with excluded, in the decision's exclusions.
	index    uint32
	excluded bool
}

// recent holds the newest blocks, the oldest leaves first. Safe for concurrent use.
type recent struct {
	maxBlocks, maxTxs int

	mu     sync.RWMutex
	blocks map[uint64]*sealedBlock
	hashes map[common.Hash]uint64
	txs    map[common.Hash]place
	// oldest is the lowest height held, when blocks is not empty; head is the last one published.
	oldest, head uint64
	// changed is closed and replaced when head moves.
	changed chan struct{}
}

func newRecent(maxBlocks, maxTxs int, head uint64) *recent {
	return &recent{
		maxBlocks: maxBlocks, maxTxs: maxTxs, head: head, oldest: head + 1, changed: make(chan struct{}),
		blocks: make(map[uint64]*sealedBlock), hashes: make(map[common.Hash]uint64), txs: make(map[common.Hash]place),
	}
}

// add takes the next block. The write set is let go: it is the largest part and nobody asks for it.
func (r *recent) add(e *chain.Executed) {
	b := &sealedBlock{Block: e.Block, receipts: e.Receipts, decision: e.Decision, excluded: e.Excluded}
	height := e.Block.Height()
	r.mu.Lock()
	if len(r.blocks) == 0 {
		r.oldest = height
	}
	r.blocks[height] = b
	r.hashes[b.Hash] = height
	for i, tx := range b.Txs {
		r.txs[tx.Hash()] = place{height: height, index: uint32(i)}
	}
	for i, x := range b.excluded {
		if _, executed := r.txs[x.Tx]; !executed {
			r.txs[x.Tx] = place{height: height, index: uint32(i), excluded: true}
		}
	}
	for r.oldest < height && (len(r.blocks) > r.maxBlocks || len(r.txs) > r.maxTxs) {
		r.evict()
	}
	r.head = height
	changed := r.changed
	r.changed = make(chan struct{})
	r.mu.Unlock()
	close(changed)
}

// evict removes the oldest block. r.mu is held.
func (r *recent) evict() {
	b := r.blocks[r.oldest]
	if b != nil {
		delete(r.hashes, b.Hash)
		for _, tx := range b.Txs {
			r.forget(tx.Hash())
		}
		for _, x := range b.excluded {
			r.forget(x.Tx)
		}
		delete(r.blocks, r.oldest)
	}
	r.oldest++
}

// forget removes a transaction unless a later block holds it too. r.mu is held.
func (r *recent) forget(tx common.Hash) {
	if r.txs[tx].height == r.oldest {
		delete(r.txs, tx)
	}
}

// watch returns the last published height and what is closed when it moves.
func (r *recent) watch() (head uint64, changed <-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.head, r.changed
}

func (r *recent) block(height uint64) *sealedBlock {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.blocks[height]
}

func (r *recent) heightOf(hash common.Hash) (uint64, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	h, ok := r.hashes[hash]
	return h, ok
}

// tx finds a transaction that a recent block holds or leaves out.
func (r *recent) tx(hash common.Hash) (*sealedBlock, place, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, ok := r.txs[hash]
	if !ok {
		return nil, p, false
	}
	return r.blocks[p.height], p, true
}

// bell wakes all who wait for the next time that something happens; while nobody does, ringing it costs nothing. Safe for concurrent use.
type bell struct {
	mu sync.Mutex
	// waited is nil while nobody has asked for it since the last ring.
	waited chan struct{}
}

// next is closed at the next ring.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waited == nil {
		b.waited = make(chan struct{})
	}
	return b.waited
}

func (b *bell) ring() {
	b.mu.Lock()
	waited := b.waited
	b.waited = nil
	b.mu.Unlock()
	if waited != nil {
		close(waited)
	}
}

// pendingWindow holds the newest hashes that became executable. Safe for concurrent use.
type pendingWindow struct {
	mu   sync.Mutex
	ring []common.Hash
	// next is the number of hashes that ever came.
	next    uint64
	changed chan struct{}
}

func newPendingWindow(size int) *pendingWindow {
	return &pendingWindow{ring: make([]common.Hash, size), changed: make(chan struct{})}
}

func (w *pendingWindow) add(txs []*chain.Tx) {
	if len(txs) == 0 {
		return
	}
	w.mu.Lock()
	for _, tx := range txs {
		w.ring[w.next%uint64(len(w.ring))] = tx.Hash()
		w.next++
	}
	changed := w.changed
	w.changed = make(chan struct{})
	w.mu.Unlock()
	close(changed)
}

// position is where the next hash goes.
func (w *pendingWindow) position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// read returns the hashes from a position on, at most max. missed is how many of them are already gone; then there are none.
func (w *pendingWindow) read(from uint64, max int) (hashes []common.Hash, missed uint64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := uint64(len(w.ring))
	if w.next-from > size {
		return nil, w.next - from - size, w.changed
	}
	n := min(w.next-from, uint64(max))
	hashes = make([]common.Hash, 0, n)
	for i := range n {
		hashes = append(hashes, w.ring[(from+i)%size])
	}
	return hashes, 0, w.changed
}
