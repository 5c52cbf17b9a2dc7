package node

import (
	"github.com/jialing-chain/jialing/internal/store"
)

// finalized is the last final height that the ledger knows of: where nobody signs, all that is durable is final.
func (n *Node) finalized(st *store.Store) uint64 {
	if !n.genesis.Consensus.Engine.Signed() {
		return st.Head().Number.Uint64()
	}
	return st.Finalized()
}
