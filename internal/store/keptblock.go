package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// maxKeptBlocks bounds the blocks that are kept: an engine of branches is final after at most 1,000 blocks and keeps few beside them. Each may be as large as a
// block, but who sends one has worked for it.
const maxKeptBlocks = 4096

// ErrKept is returned when maxKeptBlocks are kept.
var ErrKept = errors.New("too many undecided blocks are kept")

// KeepBlock remembers the transactions, verified, of a block that is not decided, under the hash of the decision that it may become. It does not wait for the
// disk: whatever is made durable after it makes this durable too. AppendDecision forgets those of its height and below. Safe for concurrent use.
func (s *Store) KeepBlock(height uint64, hash crypto.Hash, txs chain.Txs) error {
	if height > maxHeight {
		return fmt.Errorf("keep block %d: heights end at %d", height, uint64(maxHeight))
	}
	s.kept.turn <- struct{}{}
	defer func() { <-s.kept.turn }()
	if len(s.kept.blocks) >= maxKeptBlocks {
		return fmt.Errorf("keep block %d: %w", height, ErrKept)
	}
	size := 0
	for _, tx := range txs {
		size += len(tx.Raw()) + common.AddressLength + 4
	}
	b := s.newBatch(size + 256)
	defer b.close()
	key := keptBlockKey(height, hash)
	b.set(key, appendKept(make([]byte, 0, size+16), txs))
	if err := s.apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("keep block %d: %w", height, err)
	}
	s.kept.blocks[string(key)] = height
	return nil
}

// DropBlock forgets what KeepBlock remembers of one block. Safe for concurrent use.
func (s *Store) DropBlock(height uint64, hash crypto.Hash) error {
	s.kept.turn <- struct{}{}
	defer func() { <-s.kept.turn }()
	key := keptBlockKey(height, hash)
	if _, ok := s.kept.blocks[string(key)]; !ok {
		return nil
	}
	b := s.newBatch(64)
	defer b.close()
	b.delete(key)
	if err := s.apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("drop block %d: %w", height, err)
	}
	delete(s.kept.blocks, string(key))
	return nil
}

// KeptBlocks calls fn with the blocks that are kept, the lowest first.
func (s *Store) KeptBlocks(fn func(height uint64, hash crypto.Hash, txs chain.Txs)) error {
	lo := []byte{tableKeptBlocks}
	return s.scan(s.db, lo, prefixEnd(lo), func(key, value []byte) error {
		txs, err := decodeKept(append([]byte(nil), value...))
		if err != nil {
			return s.corrupt(fmt.Errorf("kept block: %w", err))
		}
		fn(keptHeight(key), crypto.Hash(key[1+heightSize:]), txs)
		return nil
	})
}

// openKeptBlocks finds the records that are there.
func (s *Store) openKeptBlocks() error {
	s.kept.blocks = make(map[string]uint64)
	lo := []byte{tableKeptBlocks}
	return s.scan(s.db, lo, prefixEnd(lo), func(key, _ []byte) error {
		if len(key) != 1+heightSize+hashSize {
			return s.corrupt(fmt.Errorf("kept block: a key of %d bytes", len(key)))
		}
		s.kept.blocks[string(key)] = keptHeight(key)
		return nil
	})
}

func keptHeight(key []byte) uint64 {
	var height [8]byte
	copy(height[8-heightSize:], key[1:])
	return binary.BigEndian.Uint64(height[:])
}

// forgetBlocks puts into b that no block up to height is kept any more; forgotten is to be called once b is applied.
func (s *Store) forgetBlocks(b *batch, height uint64) (forgotten func()) {
	s.kept.turn <- struct{}{}
	defer func() { <-s.kept.turn }()
	var gone []string
	for key, h := range s.kept.blocks {
		if h <= height {
			b.delete([]byte(key))
			gone = append(gone, key)
		}
	}
	return func() {
		s.kept.turn <- struct{}{}
		defer func() { <-s.kept.turn }()
		for _, key := range gone {
			delete(s.kept.blocks, key)
		}
	}
}

func keptBlockKey(height uint64, hash crypto.Hash) []byte {
	return append(heightKey(tableKeptBlocks, height), hash[:]...)
}

// DecisionProof returns the proof of the decision at height without its transactions. Safe for concurrent use; ErrUnknownBlock as Decision.
func (s *Store) DecisionProof(height uint64) ([]byte, error) {
	if last := s.decided.Load(); last == nil || height > last.height || height == 0 {
		return nil, fmt.Errorf("decision %d: %w", height, ErrUnknownBlock)
	}
	record, err := s.getFrom(s.db, heightKey(tableDecisions, height))
	if err != nil {
		return nil, fmt.Errorf("decision %d: %w", height, err)
	}
	if record == nil {
		return nil, fmt.Errorf("decision %d: %w", height, s.absent(height))
	}
	d, _, _, err := decodeDecision(record)
	if err != nil || d.Height != height {
		return nil, s.corrupt(fmt.Errorf("decision %d: %w", height, err))
	}
	return d.Proof, nil
}
