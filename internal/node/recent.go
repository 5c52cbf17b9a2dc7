package node

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/store"
)

// blockHashWindow is how far back the EVM's BLOCKHASH sees.
const blockHashWindow = 256

// recentHashes answers BLOCKHASH while blocks execute ahead of the disk. Owned by the execute goroutine.
type recentHashes struct {
	ring [blockHashWindow]common.Hash
	next uint64 // the height after the newest one held
}

// load fills the window with the chain's last blocks up to head.
func (r *recentHashes) load(st *store.Store, head uint64) error {
	first := uint64(0)
	if head >= blockHashWindow {
		first = head - blockHashWindow + 1
	}
	for h := first; h <= head; h++ {
		header, err := st.Header(h)
		if err != nil {
			return fmt.Errorf("load header %d: %w", h, err)
		}
		r.add(h, header.Hash())
	}
	return nil
}

func (r *recentHashes) add(height uint64, hash common.Hash) {
	r.ring[height%blockHashWindow] = hash
	r.next = height + 1
}

// hash is zero outside the window, as the EVM defines it.
func (r *recentHashes) hash(height uint64) common.Hash {
	if height >= r.next || height+blockHashWindow < r.next {
		return common.Hash{}
	}
	return r.ring[height%blockHashWindow]
}
