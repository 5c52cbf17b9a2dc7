package chain

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Block is a header with its transactions. Immutable.
type Block struct {
	Header *Header
	// Hash is Header.Hash(), kept because it costs an RLP encoding.
	Hash common.Hash
	Txs  Txs
}

// NewBlock computes the hash.
func NewBlock(h *Header, txs Txs) *Block { return &Block{Header: h, Hash: h.Hash(), Txs: txs} }

// Height is the block number.
func (b *Block) Height() uint64 { return b.Header.Number.Uint64() }

// Receipt is Ethereum's. In storage and on the wire only its consensus fields travel; Derive fills the rest.
type Receipt = types.Receipt

// Exclusion is a decided transaction that the block left out because it stopped being valid between admission and execution.
type Exclusion struct {
	Tx common.Hash
	// Reason is the same sentence on every node.
	Reason string
}

// Executed is all that executing one decision gave. Immutable; it is what execute hands to store, attest, pool and serve.
type Executed struct {
	Block    *Block
	Decision *Decision
	Receipts types.Receipts
	// Excluded lists the decided transactions that are not in Block, in decided order.
	Excluded []Exclusion
	Writes   WriteSet
	// Change is the rule that Writes settled for a later height; nil when they changed none.
	Change *SetChange
}

// SetChange says which validator set rules from a height on, by which engine, until another change.
type SetChange struct {
	// From is the first height that Rule is for, ActivationDelay above the block whose writes settled it. 0: the founding one.
	From uint64
	Rule
}
