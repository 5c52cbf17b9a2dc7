package chain

import (
	"bytes"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"
)

// Txs is a block's ordered transactions. It implements types.DerivableList.
type Txs []*Tx

// Len is the number of transactions.
func (t Txs) Len() int { return len(t) }

// EncodeIndex writes the canonical form of transaction i, whatever its type: geth's own list would write a bare type byte for one that
// it does not know.
func (t Txs) EncodeIndex(i int, w *bytes.Buffer) { w.Write(t[i].raw) }

// Root is the header's transactionsRoot.
func (t Txs) Root() common.Hash { return types.DeriveSha(t, trie.NewStackTrie(nil)) }

// Are reports whether t holds exactly the transactions of these hashes, in their order.
func (t Txs) Are(hashes []common.Hash) bool {
	if len(t) != len(hashes) {
		return false
	}
	for i, tx := range t {
		if tx.hash != hashes[i] {
			return false
		}
	}
	return true
}

// Hashes lists the transactions' identifiers.
func (t Txs) Hashes() []common.Hash {
	out := make([]common.Hash, len(t))
	for i, tx := range t {
		out[i] = tx.hash
	}
	return out
}

// ReceiptsRoot is the header's receiptsRoot.
func ReceiptsRoot(receipts types.Receipts) common.Hash {
	return NewRecords(nil, receipts).ReceiptsRoot()
}
