package chain

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Records are a block's transactions with their receipts as others may prove them. Ethereum's own roots rest on Keccak-256; Root commits to the same
// bytes by the suite's hash alone, so that on a chain of the suite gm a record is proven by SM3 and SM2.
type Records struct {
	txs      Txs
	receipts [][]byte
}

// What goes before the bytes that are hashed keeps leaves, inner nodes and roots apart (as in RFC 6962, section 2.1).
const (
	recordLeaf byte = iota
	recordNode
	recordRoot
)

// NewRecords encodes the receipts, one for each transaction, with all fields derived.
func NewRecords(txs Txs, receipts types.Receipts) *Records {
	r := &Records{txs: txs, receipts: make([][]byte, len(receipts))}
	for i, receipt := range receipts {
		b, err := receipt.MarshalBinary()
		if err != nil {
			panic("chain: encode receipt: " + err.Error()) // MarshalBinary fails on no receipt: its fields are all of encodable types
		}
		r.receipts[i] = b
	}
	return r
}

// Receipt is the consensus encoding (EIP-2718) of receipt i.
func (r *Records) Receipt(i int) []byte { return r.receipts[i] }

// Len implements types.DerivableList, of the receipts.
func (r *Records) Len() int { return len(r.receipts) }

// EncodeIndex implements types.DerivableList, of the receipts.
func (r *Records) EncodeIndex(i int, w *bytes.Buffer) { w.Write(r.receipts[i]) }

// ReceiptsRoot is the header's receiptsRoot.
func (r *Records) ReceiptsRoot() common.Hash { return types.DeriveSha(r, trie.NewStackTrie(nil)) }

// Root is Extra.Records: the suite's hash of 2 ‖ number of records(8, big-endian) ‖ root of their tree. The tree's leaves are the hashes of
// 0 ‖ hash of the raw transaction ‖ hash of the encoded receipt, its nodes those of 1 ‖ left ‖ right, where the left part has as many leaves as the
// greatest power of two below the number of both. The tree of no record is 32 zero bytes.
func (r *Records) Root(suite crypto.Suite) crypto.Hash {
	leaves := r.leaves(suite)
	return recordsRoot(suite, len(leaves), recordTree(suite, leaves))
}

// Proof lists the hashes beside the path from record i to the root of the tree, from below.
func (r *Records) Proof(suite crypto.Suite, i int) []crypto.Hash {
	out := []crypto.Hash{}
	leaves := r.leaves(suite)
	for len(leaves) > 1 {
		k := leftOf(len(leaves))
		if i < k {
			out, leaves = append(out, recordTree(suite, leaves[k:])), leaves[:k]
		} else {
			out, leaves, i = append(out, recordTree(suite, leaves[:k])), leaves[k:], i-k
		}
	}
	for a, b := 0, len(out)-1; a < b; a, b = a+1, b-1 {
		out[a], out[b] = out[b], out[a]
	}
	return out
}

func (r *Records) leaves(suite crypto.Suite) []crypto.Hash {
	out := make([]crypto.Hash, len(r.txs))
	for i, tx := range r.txs {
		out[i] = hashPair(suite, recordLeaf, suite.Sum(tx.raw), suite.Sum(r.receipts[i]))
	}
	return out
}

func recordTree(suite crypto.Suite, leaves []crypto.Hash) crypto.Hash {
	switch len(leaves) {
	case 0:
		return crypto.Hash{}
	case 1:
		return leaves[0]
	}
	k := leftOf(len(leaves))
	return hashPair(suite, recordNode, recordTree(suite, leaves[:k]), recordTree(suite, leaves[k:]))
}

// leftOf is the greatest power of two below n > 1.
func leftOf(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

func hashPair(suite crypto.Suite, kind byte, a, b crypto.Hash) crypto.Hash {
	var buf [1 + 2*len(a)]byte
	buf[0] = kind
	copy(buf[1:], a[:])
	copy(buf[1+len(a):], b[:])
	return suite.Sum(buf[:])
}

func recordsRoot(suite crypto.Suite, n int, tree crypto.Hash) crypto.Hash {
	return suite.Sum(append(binary.BigEndian.AppendUint64([]byte{recordRoot}, uint64(n)), tree[:]...))
}
