package order

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// maxHeld bounds the proposals whose transactions are held: the one in flight and those of the views before it. Each is as large as a block.
const maxHeld = 4

// held keeps the transactions of the newest proposals that this node built or verified, also in a former life. The pool may let go of a transaction between its
// proposal and its decision (a sender replaces it, a block makes it unpayable), and a decision whose transactions nobody has would stop the
// chain. Safe for concurrent use.
type held struct {
	mu   sync.Mutex
	sets []chain.Txs // newest last
}

func (h *held) keep(txs chain.Txs) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sets) == maxHeld {
		h.sets = append(h.sets[:0], h.sets[1:]...)
	}
	h.sets = append(h.sets, txs)
}

// find returns the transactions of exactly these hashes, nil if no held proposal has them.
func (h *held) find(hashes []common.Hash) chain.Txs {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.sets) - 1; i >= 0; i-- {
		if h.sets[i].Are(hashes) {
			return h.sets[i]
		}
	}
	return nil
}

// fill puts what any held proposal has into the empty places of txs, whose hashes are given, and lists the hashes of those that stay empty.
func (h *held) fill(txs chain.Txs, hashes []common.Hash) (missing []common.Hash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lack := make(map[common.Hash]int)
	for i, tx := range txs {
		if tx == nil {
			lack[hashes[i]] = i
		}
	}
	for _, set := range h.sets {
		for _, tx := range set {
			if i, ok := lack[tx.Hash()]; ok {
				txs[i] = tx
				delete(lack, tx.Hash())
			}
		}
	}
	for i, tx := range txs {
		if tx == nil {
			missing = append(missing, hashes[i])
		}
	}
	return missing
}

// clear forgets all: their height is decided.
func (h *held) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sets = nil
}
