package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// State is the state after the durable block at height. ErrUnknownBlock above the head, ErrPruned below what is kept; a read of the view may give ErrPruned later
// when pruning passes it.
func (s *Store) State(height uint64) (chain.State, error) {
	h := s.head.Load()
	switch {
	case h == nil || height > h.header.Number.Uint64():
		return nil, fmt.Errorf("state at height %d: %w", height, ErrUnknownBlock)
	case height < s.oldest.Load():
		return nil, fmt.Errorf("state at height %d: %w, the oldest kept is %d", height, ErrPruned, s.oldest.Load())
	}
	return &view{s: s, height: height}, nil
}

// Header returns the header at height, ErrUnknownBlock above the head. Callers must not alter it.
func (s *Store) Header(height uint64) (*chain.Header, error) {
	if err := s.durable(height); err != nil {
		return nil, fmt.Errorf("header %d: %w", height, err)
	}
	h, _, err := s.header(s.db, height)
	if err != nil {
		return nil, fmt.Errorf("header %d: %w", height, err)
	}
	return h, nil
}

// durable says whether the block at height may be shown: a batch becomes visible to reads before it is synced.
func (s *Store) durable(height uint64) error {
	if h := s.head.Load(); h == nil || height > h.header.Number.Uint64() {
		return ErrUnknownBlock
	}
	return nil
}

// header reads a header and its block hash.
func (s *Store) header(r pebble.Reader, height uint64) (*chain.Header, common.Hash, error) {
	var hash common.Hash
	if height > maxHeight {
		return nil, hash, ErrUnknownBlock
	}
	record, err := s.getFrom(r, heightKey(tableHeaders, height))
	if err != nil {
		return nil, hash, err
	}
	if record == nil {
		return nil, hash, s.absent(height)
	}
	header, hash, err := decodeHeader(record)
	if err != nil || header.Number.Uint64() != height {
		return nil, hash, s.corrupt(fmt.Errorf("header: %w (%w)", errRecord, err))
	}
	return header, hash, nil
}

// absent says why there is no record of a height.
func (s *Store) absent(height uint64) error {
	if height < s.first.Load() {
		return ErrNotKept
	}
	return ErrUnknownBlock
}

func decodeHeader(record []byte) (*chain.Header, common.Hash, error) {
	if len(record) < hashSize {
		return nil, common.Hash{}, errRecord
	}
	header := new(chain.Header)
	if err := rlp.DecodeBytes(record[hashSize:], header); err != nil {
		return nil, common.Hash{}, err
	}
	if header.Number == nil || !header.Number.IsUint64() {
		return nil, common.Hash{}, errRecord
	}
	return header, common.Hash(record[:hashSize]), nil
}

// HeightOf finds a durable block by its hash.
func (s *Store) HeightOf(hash common.Hash) (height uint64, ok bool, err error) {
	h, height, err := s.headerByHash(hash)
	return height, h != nil, err
}

// HeaderByHash finds a durable block's header by its hash; nil without an error when there is none.
func (s *Store) HeaderByHash(hash common.Hash) (*chain.Header, error) {
	h, _, err := s.headerByHash(hash)
	return h, err
}

func (s *Store) headerByHash(hash common.Hash) (found *chain.Header, height uint64, err error) {
	_, err = s.eachFragment(hashPrefix(hashFragment(hash)), func(rest []byte) (bool, error) {
		at := decodeHeight(rest)
		if s.durable(at) != nil {
			return true, nil
		}
		header, have, err := s.header(s.db, at)
		if err == nil && have == hash {
			found, height = header, at
		}
		return found == nil, err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("block %s: %w", hash, err)
	}
	return found, height, nil
}

// eachFragment calls fn with the key's part behind the prefix for every entry of the fragment, ascending, until fn returns false; more is then false.
func (s *Store) eachFragment(prefix []byte, fn func(rest []byte) (more bool, err error)) (more bool, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{UpperBound: prefixEnd(prefix)})
	if err != nil {
		return false, s.readError(err)
	}
	defer it.Close()
	for ok := it.SeekPrefixGE(prefix); ok; ok = it.Next() {
		rest := it.Key()[len(prefix):]
		if len(rest) < heightSize {
			return false, s.corrupt(fmt.Errorf("index: %w", errRecord))
		}
		if more, err := fn(rest); err != nil || !more {
			return false, err
		}
	}
	if err := it.Error(); err != nil {
		return false, s.readError(err)
	}
	return true, nil
}

// Block returns the block at height, its transactions verified.
func (s *Store) Block(height uint64) (*chain.Block, error) {
	if err := s.durable(height); err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	header, hash, err := s.header(s.db, height)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	b := &chain.Block{Header: header, Hash: hash}
	if height == 0 {
		return b, nil
	}
	_, txs, err := s.Decision(height)
	if err != nil {
		return nil, err
	}
	excluded, err := s.excluded(height)
	if err != nil {
		return nil, err
	}
	b.Txs = included(txs, excluded)
	return b, nil
}

// included is what remains of the decided transactions.
func included(txs chain.Txs, excluded []exclusion) chain.Txs {
	if len(excluded) == 0 {
		return txs
	}
	out := make(chain.Txs, 0, len(txs))
	next := 0
	for i, tx := range txs {
		if next < len(excluded) && int(excluded[next].Position) == i {
			next++
			continue
		}
		out = append(out, tx)
	}
	return out
}

// excluded reads the positions that the block at height left out, ascending.
func (s *Store) excluded(height uint64) ([]exclusion, error) { return s.excludedFrom(s.db, height) }

func (s *Store) excludedFrom(r pebble.Reader, height uint64) ([]exclusion, error) {
	record, err := s.getFrom(r, heightKey(tableExclusions, height))
	if err != nil || record == nil {
		return nil, err
	}
	out, err := decodeExclusions(record)
	if err != nil {
		return nil, s.corrupt(fmt.Errorf("exclusions of block %d: %w", height, err))
	}
	return out, nil
}

func decodeExclusions(record []byte) ([]exclusion, error) {
	var out []exclusion
	if err := rlp.DecodeBytes(record, &out); err != nil {
		return nil, err
	}
	for i, x := range out {
		if x.Position >= chain.MaxDecisionTxs || (i > 0 && out[i-1].Position >= x.Position) {
			return nil, errRecord
		}
	}
	return out, nil
}

// Exclusions lists the decided transactions that the block at height left out, in decided order.
func (s *Store) Exclusions(height uint64) ([]chain.Exclusion, error) {
	if err := s.durable(height); err != nil {
		return nil, fmt.Errorf("exclusions of block %d: %w", height, err)
	}
	excluded, err := s.excluded(height)
	if err != nil || len(excluded) == 0 {
		return nil, err
	}
	d, _, err := s.Decision(height)
	if err != nil {
		return nil, err
	}
	out := make([]chain.Exclusion, len(excluded))
	for i, x := range excluded {
		if int(x.Position) >= len(d.Txs) {
			return nil, s.corrupt(fmt.Errorf("exclusions of block %d: %w", height, errRecord))
		}
		out[i] = chain.Exclusion{Tx: d.Txs[x.Position], Reason: x.Reason}
	}
	return out, nil
}
