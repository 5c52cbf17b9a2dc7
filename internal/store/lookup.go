package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Excluded returns why the decided transaction was left out of its block, and that block's height; nil when it was not decided, or is in a block.
func (s *Store) Excluded(hash common.Hash) (x *chain.Exclusion, height uint64, err error) {
	p, err := s.findTx(hash)
	if err != nil || p == nil || p.excluded == nil {
		return nil, 0, err
	}
	return &chain.Exclusion{Tx: hash, Reason: p.excluded.Reason}, p.height, nil
}

// txPlace is where a decided transaction is.
type txPlace struct {
	tx     *chain.Tx
	height uint64
	// index is the position in the block; meaningless when excluded.
	index    uint32
	excluded *exclusion
}

// findTx finds a transaction of a durable block by its hash; one that is in a block comes before one that was left out. nil when there is none.
func (s *Store) findTx(hash common.Hash) (found *txPlace, err error) {
	visit := func(rest []byte) (bool, error) {
		if len(rest) != heightSize+2 {
			return false, s.corrupt(fmt.Errorf("transaction index: %w", errRecord))
		}
		height, position := decodeHeight(rest), uint32(binary.BigEndian.Uint16(rest[heightSize:]))
		if s.durable(height) != nil {
			return true, nil
		}
		tx, err := s.decidedTx(height, position)
		if err != nil || tx.Hash() != hash {
			return true, err
		}
		p := &txPlace{tx: tx, height: height, index: position}
		excluded, err := s.excluded(height)
		if err != nil {
			return false, err
		}
		for i := range excluded {
			switch at := excluded[i].Position; {
			case at < position:
				p.index--
			case at == position:
				p.excluded = &excluded[i]
			}
		}
		if found == nil || p.excluded == nil {
			found = p
		}
		return p.excluded != nil, nil
	}
	e := s.epochs.Load()
	if e == nil {
		return nil, nil
	}
	for epoch, more := e.last(), true; epoch >= 0 && more; epoch-- {
		if more, err = s.eachFragment(fragmentPrefix(tableTxs, epoch, hashFragment(hash)), visit); err != nil {
			return nil, fmt.Errorf("transaction %s: %w", hash, err)
		}
	}
	return found, nil
}

// chunkAt finds the chunk of a table of chunks that holds index, with the index of the last item in it.
func (s *Store) chunkAt(table byte, height uint64, index uint32) (chunk []byte, last uint16, err error) {
	if index >= chain.MaxDecisionTxs {
		return nil, 0, ErrUnknownBlock
	}
	it, err := s.db.NewIter(&pebble.IterOptions{UpperBound: prefixEnd(heightKey(table, height))})
	if err != nil {
		return nil, 0, s.readError(err)
	}
	defer it.Close()
	if it.SeekGE(chunkKey(table, height, uint16(index))) {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, 0, s.readError(err)
		}
		return bytes.Clone(value), binary.BigEndian.Uint16(it.Key()[1+heightSize:]), nil
	}
	if err := it.Error(); err != nil {
		return nil, 0, s.readError(err)
	}
	return nil, 0, s.corrupt(fmt.Errorf("block %d has no chunk for item %d in table %q", height, index, table))
}

// decidedTx reads one transaction by its position in the decision.
func (s *Store) decidedTx(height uint64, position uint32) (*chain.Tx, error) {
	chunk, last, err := s.chunkAt(tableBodies, height, position)
	if err != nil {
		return nil, err
	}
	c, err := decodeBodyChunk(chunk)
	if err != nil {
		return nil, s.corrupt(err)
	}
	i := int(position) - (int(last) + 1 - len(c.raws))
	if i < 0 {
		return nil, s.corrupt(fmt.Errorf("decision %d: transaction %d is missing", height, position))
	}
	tx, err := c.tx(i)
	if err != nil {
		return nil, s.corrupt(err)
	}
	return tx, nil
}

// Tx finds a transaction in a durable block by its hash; nil without an error when there is none.
func (s *Store) Tx(hash common.Hash) (*chain.TxLookup, error) {
	p, err := s.findTx(hash)
	if err != nil || p == nil || p.excluded != nil {
		return nil, err
	}
	header, blockHash, err := s.header(s.db, p.height)
	if err != nil {
		return nil, fmt.Errorf("transaction %s: %w", hash, err)
	}
	return &chain.TxLookup{Tx: p.tx, BlockHash: blockHash, Height: p.height, Index: p.index, Time: header.Time}, nil
}

// Receipt finds a receipt by its transaction's hash, all fields filled; nil without an error when no durable block has the transaction.
func (s *Store) Receipt(hash common.Hash) (*chain.Receipt, error) {
	p, err := s.findTx(hash)
	if err != nil || p == nil || p.excluded != nil {
		return nil, err
	}
	header, blockHash, err := s.header(s.db, p.height)
	if err != nil {
		return nil, fmt.Errorf("receipt %s: %w", hash, err)
	}
	c, i, err := s.receiptChunkAt(p.height, p.index)
	if err != nil {
		return nil, fmt.Errorf("receipt %s: %w", hash, err)
	}
	r, err := c.receipt(i)
	if err != nil {
		return nil, s.corrupt(fmt.Errorf("receipt %s: %w", hash, err))
	}
	chain.DeriveReceipt(r, p.tx, header, blockHash, c.heads[i].at)
	return r, nil
}

// receiptChunkAt reads the chunk with the receipt at index, and the receipt's place in it.
func (s *Store) receiptChunkAt(height uint64, index uint32) (c receiptChunk, i int, err error) {
	chunk, last, err := s.chunkAt(tableReceipts, height, index)
	if err != nil {
		return c, 0, err
	}
	if c, err = decodeReceiptChunk(chunk, last); err != nil {
		return c, 0, s.corrupt(err)
	}
	if i = int(index) - int(c.heads[0].at.Index); i < 0 {
		return c, 0, s.corrupt(fmt.Errorf("block %d: receipt %d is missing", height, index))
	}
	return c, i, nil
}

// Receipts returns the receipts of the block at height in order, all fields filled.
func (s *Store) Receipts(height uint64) (types.Receipts, error) {
	if first := s.first.Load(); first > 0 && height > 0 && height <= first {
		return nil, fmt.Errorf("receipts of block %d: %w", height, ErrNotKept)
	}
	block, err := s.Block(height)
	if err != nil {
		return nil, err
	}
	receipts, err := s.receiptsFrom(s.db, block)
	if err != nil {
		return nil, fmt.Errorf("receipts of block %d: %w", height, err)
	}
	return receipts, nil
}

func (s *Store) receiptsFrom(r pebble.Reader, block *chain.Block) (types.Receipts, error) {
	out := make(types.Receipts, 0, len(block.Txs))
	lo := heightKey(tableReceipts, block.Height())
	err := s.scan(r, lo, prefixEnd(lo), func(key, value []byte) error {
		c, err := decodeReceiptChunk(value, binary.BigEndian.Uint16(key[1+heightSize:]))
		if err != nil {
			return s.corrupt(err)
		}
		for i := range c.raws {
			r, err := c.receipt(i)
			if err != nil {
				return s.corrupt(err)
			}
			at := c.heads[i].at
			if int(at.Index) != len(out) || len(out) == len(block.Txs) {
				return s.corrupt(fmt.Errorf("receipt %d stands where %d belongs", at.Index, len(out)))
			}
			chain.DeriveReceipt(r, block.Txs[at.Index], block.Header, block.Hash, at)
			out = append(out, r)
		}
		return nil
	})
	if err == nil && len(out) != len(block.Txs) {
		err = s.corrupt(fmt.Errorf("%d receipts for %d transactions", len(out), len(block.Txs)))
	}
	return out, err
}
