package store

import (
	"encoding/binary"
	"fmt"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
)

// A receipt chunk holds neighbouring receipts of one block:
//
//	uvarint(n) ‖ uvarint(gas used before) ‖ uvarint(logs before) ‖ n × (uvarint(length) ‖ uvarint(gas used) ‖ uvarint(logs)) ‖ n × chain.EncodeReceipt
//
// Gas and log counts stand beside the receipts so that one receipt is derived without decoding those before it.

// receiptHead is what the chunk says of a receipt without decoding it.
type receiptHead struct {
	at     chain.ReceiptPosition
	length int
	gas    uint64
	logs   uint32
}

// receiptChunk is a decoded chunk, still pointing into the stored bytes.
type receiptChunk struct {
	heads []receiptHead
	raws  [][]byte
}

func appendReceiptChunk(b []byte, encoded [][]byte, receipts types.Receipts, gasBefore uint64, logsBefore uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(receipts)))
	b = binary.AppendUvarint(b, gasBefore)
	b = binary.AppendUvarint(b, uint64(logsBefore))
	for i, r := range receipts {
		b = binary.AppendUvarint(b, uint64(len(encoded[i])))
		b = binary.AppendUvarint(b, r.GasUsed)
		b = binary.AppendUvarint(b, uint64(len(r.Logs)))
	}
	for _, e := range encoded {
		b = append(b, e...)
	}
	return b
}

// decodeReceiptChunk reverses appendReceiptChunk. last is the index of the chunk's last receipt in the block, from the key.
func decodeReceiptChunk(b []byte, last uint16) (c receiptChunk, err error) {
	bad := func(what string) (receiptChunk, error) {
		return receiptChunk{}, fmt.Errorf("receipts: %w: %s", errRecord, what)
	}
	n, b, err := uvarint(b, chunkTxs)
	if err != nil || n == 0 || n > uint64(last)+1 {
		return bad("count")
	}
	at := chain.ReceiptPosition{Index: uint32(last) + 1 - uint32(n)}
	if at.GasBefore, b, err = uvarint(b, 1<<62); err != nil {
		return bad("gas before")
	}
	logs, b, err := uvarint(b, 1<<31)
	if err != nil {
		return bad("logs before")
	}
	at.LogsBefore = uint32(logs)
	c.heads = make([]receiptHead, n)
	total := uint64(0)
	for i := range c.heads {
		var length, gas, logs uint64
		if length, b, err = uvarint(b, 1<<30); err != nil {
			return bad("length")
		}
		if gas, b, err = uvarint(b, 1<<50); err != nil {
			return bad("gas")
		}
		if logs, b, err = uvarint(b, 1<<24); err != nil {
			return bad("logs")
		}
		c.heads[i] = receiptHead{at, int(length), gas, uint32(logs)}
		at.Index, at.GasBefore, at.LogsBefore = at.Index+1, at.GasBefore+gas, at.LogsBefore+uint32(logs)
		total += length
	}
	if uint64(len(b)) != total {
		return bad("length")
	}
	c.raws = make([][]byte, n)
	for i, h := range c.heads {
		c.raws[i], b = b[:h.length:h.length], b[h.length:]
	}
	return c, nil
}

// receipt decodes receipt i of the chunk; derived fields are empty.
func (c *receiptChunk) receipt(i int) (*chain.Receipt, error) {
	r, err := chain.DecodeReceipt(c.raws[i])
	if err != nil {
		return nil, err
	}
	if h := &c.heads[i]; len(r.Logs) != int(h.logs) || r.GasUsed != h.gas {
		return nil, fmt.Errorf("receipts: %w: %d logs and %d gas, the chunk says %d and %d", errRecord, len(r.Logs), r.GasUsed, h.logs, h.gas)
	}
	return r, nil
}

// writeReceipts puts a block's receipts into the batch.
func writeReceipts(b *batch, height uint64, receipts types.Receipts) {
	encoded := make([][]byte, len(receipts))
	for i, r := range receipts {
		encoded[i] = chain.EncodeReceipt(r)
	}
	var gas uint64
	var logs uint32
	buf := make([]byte, 0, chunkBytes+chunkBytes/4)
	splitChunks(len(receipts), func(i int) int { return len(encoded[i]) }, func(from, to int) {
		buf = appendReceiptChunk(buf[:0], encoded[from:to], receipts[from:to], gas, logs)
		b.set(chunkKey(tableReceipts, height, uint16(to-1)), buf)
		for _, r := range receipts[from:to] {
			gas += r.GasUsed
			logs += uint32(len(r.Logs))
		}
	})
}
