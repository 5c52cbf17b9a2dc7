package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// maxKept bounds the proposals that are kept: the one in flight and those of the views before it. Each is as large as a block.
const maxKept = 4

// kept numbers the records of tableKept: first ≤ number < next.
type kept struct {
	// turn is held by whoever reads or writes the numbers.
	turn        chan struct{}
	first, next uint64
	// blocks are the keys of tableKeptBlocks with their heights.
	blocks map[string]uint64
}

// KeepProposal remembers the transactions of a proposal that this node is about to agree to, verified. It does not wait for the disk: whatever is made
// durable after it (a vote in the EngineLog) makes this durable too, as both are in one log. AppendDecision forgets all that are kept, a fifth one the
// oldest. Safe for concurrent use.
func (s *Store) KeepProposal(txs chain.Txs) error {
	s.kept.turn <- struct{}{}
	defer func() { <-s.kept.turn }()
	size := 16
	for _, tx := range txs {
		size += len(tx.Raw()) + common.AddressLength + 4
	}
	b := s.newBatch(size + 256)
	defer b.close()
	first, next := s.kept.first, s.kept.next
	if next-first >= maxKept {
		b.delete(keptKey(first))
		first++
	}
	b.set(keptKey(next), appendKept(make([]byte, 0, size), txs))
	if err := s.apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("keep proposal: %w", err)
	}
	s.kept.first, s.kept.next = first, next+1
	return nil
}

// KeptProposals are the transactions of the proposals that are kept, oldest first.
func (s *Store) KeptProposals() (out []chain.Txs, err error) {
	lo := []byte{tableKept}
	err = s.scan(s.db, lo, prefixEnd(lo), func(_, value []byte) error {
		txs, err := decodeKept(append([]byte(nil), value...))
		if err != nil {
			return s.corrupt(fmt.Errorf("kept proposal: %w", err))
		}
		out = append(out, txs)
		return nil
	})
	return out, err
}

// openKept finds the records that are there.
func (s *Store) openKept() error {
	s.kept.first, s.kept.next = 0, 0
	lo := []byte{tableKept}
	return s.scan(s.db, lo, prefixEnd(lo), func(key, _ []byte) error {
		if len(key) != 1+8 {
			return s.corrupt(fmt.Errorf("kept proposal: a key of %d bytes", len(key)))
		}
		number := binary.BigEndian.Uint64(key[1:])
		if number == math.MaxUint64 {
			return s.corrupt(errors.New("kept proposal: the last number"))
		}
		if s.kept.next == 0 {
			s.kept.first = number
		}
		s.kept.next = number + 1
		return nil
	})
}

// forgetKept puts into b that nothing of what is kept by now is kept any more; forgotten is to be called once b is applied.
func (s *Store) forgetKept(b *batch) (forgotten func()) {
	s.kept.turn <- struct{}{}
	defer func() { <-s.kept.turn }()
	end := s.kept.next
	for n := s.kept.first; n < end; n++ {
		b.delete(keptKey(n))
	}
	return func() {
		s.kept.turn <- struct{}{}
		defer func() { <-s.kept.turn }()
		s.kept.first = max(s.kept.first, end)
	}
}

func keptKey(number uint64) []byte { return binary.BigEndian.AppendUint64([]byte{tableKept}, number) }

// appendKept appends txs as body chunks, each behind its length.
func appendKept(b []byte, txs chain.Txs) []byte {
	buf := make([]byte, 0, chunkBytes+chunkBytes/4)
	splitChunks(len(txs), func(i int) int { return len(txs[i].Raw()) + common.AddressLength }, func(from, to int) {
		buf = appendBodyChunk(buf[:0], txs[from:to])
		b = append(binary.AppendUvarint(b, uint64(len(buf))), buf...)
	})
	return b
}

func decodeKept(b []byte) (txs chain.Txs, err error) {
	for len(b) > 0 {
		size, rest, err := uvarint(b, uint64(len(b)))
		if err != nil || size > uint64(len(rest)) {
			return nil, errors.New("a chunk is cut off")
		}
		c, err := decodeBodyChunk(rest[:size])
		if err != nil {
			return nil, err
		}
		for i := range c.raws {
			tx, err := c.tx(i)
			if err != nil {
				return nil, err
			}
			txs = append(txs, tx)
		}
		b = rest[size:]
	}
	return txs, nil
}
