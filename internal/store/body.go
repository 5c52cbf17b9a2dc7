package store

import (
	"encoding/binary"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// A body chunk holds neighbouring transactions of one decision:
//
//	uvarint(n) ‖ n × uvarint(length of raw) ‖ n × sender(20) ‖ n × raw
//
// Its key carries the index of its last transaction, so that one seek to an index finds the chunk that holds it.

const (
	// chunkTxs and chunkBytes close a chunk of transactions or receipts, whichever comes first: small enough to read one transaction without the block,
	// large enough that keys and lengths cost little. One oversized transaction makes a chunk of its own.
	chunkTxs   = 128
	chunkBytes = 32 << 10
)

// splitChunks calls fn with the half-open ranges of n items whose sizes are given by size.
func splitChunks(n int, size func(i int) int, fn func(from, to int)) {
	from, bytes := 0, 0
	for i := range n {
		if i > from && (i-from == chunkTxs || bytes+size(i) > chunkBytes) {
			fn(from, i)
			from, bytes = i, 0
		}
		bytes += size(i)
	}
	if from < n {
		fn(from, n)
	}
}

func appendBodyChunk(b []byte, txs chain.Txs) []byte {
	b = binary.AppendUvarint(b, uint64(len(txs)))
	for _, tx := range txs {
		b = binary.AppendUvarint(b, uint64(len(tx.Raw())))
	}
	for _, tx := range txs {
		sender := tx.Sender()
		b = append(b, sender[:]...)
	}
	for _, tx := range txs {
		b = append(b, tx.Raw()...)
	}
	return b
}

// bodyChunk is a decoded chunk: raw transactions and senders, still pointing into the stored bytes.
type bodyChunk struct {
	raws    [][]byte
	senders []byte
}

func decodeBodyChunk(b []byte) (c bodyChunk, err error) {
	n, b, err := uvarint(b, chunkTxs)
	if err != nil || n == 0 {
		return c, fmt.Errorf("transactions: %w: count", errRecord)
	}
	var lengths [chunkTxs]int
	total := 0
	for i := range int(n) {
		length, rest, err := uvarint(b, chain.MaxTxSize)
		if err != nil {
			return c, fmt.Errorf("transactions: %w: length", errRecord)
		}
		lengths[i], b = int(length), rest
		total += int(length)
	}
	if len(b) != int(n)*common.AddressLength+total {
		return c, fmt.Errorf("transactions: %w: %d bytes", errRecord, len(b))
	}
	c.senders, b = b[:n*common.AddressLength], b[n*common.AddressLength:]
	c.raws = make([][]byte, n)
	for i := range c.raws {
		c.raws[i], b = b[:lengths[i]:lengths[i]], b[lengths[i]:]
	}
	return c, nil
}

// tx decodes transaction i of the chunk. It keeps the chunk's memory.
func (c *bodyChunk) tx(i int) (*chain.Tx, error) {
	return chain.RestoreTx(c.raws[i], common.Address(c.senders[i*common.AddressLength:]))
}
