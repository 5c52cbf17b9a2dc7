package chain

import (
	"github.com/ethereum/go-ethereum/common"
)

// TxLookup is a transaction with its place in the chain.
type TxLookup struct {
	Tx        *Tx
	BlockHash common.Hash
	Height    uint64
	Index     uint32
	// Time is the block's, in Unix seconds.
	Time uint64
}

// LogQuery selects logs as eth_getLogs does.
type LogQuery struct {
	// From and To are heights, both included.
	From, To uint64
	// Addresses: any of them; empty matches all.
	Addresses []common.Address
	// Topics: per position any of the listed; an empty position matches every topic, but as in geth a log must have as many topics as there are positions.
	Topics [][]common.Hash
	// MaxResults bounds the answer; more is an error, never a cut list.
	MaxResults int
	// MaxBytes likewise bounds the data of the logs in the answer together; 0 is no bound.
	MaxBytes int
}

// AccountProof is EIP-1186's answer. Proof nodes are RLP, from the root to the leaf.
type AccountProof struct {
	Address     common.Address
	Account     Account
	StorageHash common.Hash
	Proof       [][]byte
	Storage     []SlotProof
}

// SlotProof proves one slot against AccountProof.StorageHash.
type SlotProof struct {
	Key, Value common.Hash
	Proof      [][]byte
}
