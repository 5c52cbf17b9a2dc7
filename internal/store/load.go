package store

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// loadHead reads and checks what Open must know. An empty folder has no head.
func (s *Store) loadHead() error {
	record, err := s.get(metaHead)
	if err != nil || record == nil {
		return err
	}
	height, hash, entries, err := decodeHead(record)
	if err != nil {
		return s.corrupt(err)
	}
	e, err := s.loadEpochs(s.db, entries)
	if err != nil {
		return err
	}
	s.epochs.Store(e)
	header, stored, err := s.header(s.db, height)
	if err != nil {
		return fmt.Errorf("head block %d: %w", height, err)
	}
	if got := header.Hash(); got != hash || stored != hash {
		return s.corrupt(fmt.Errorf("head block %d has hash %s, recorded is %s", height, got, hash))
	}
	for _, m := range []struct {
		key []byte
		to  *atomic.Uint64
	}{{metaFinalized, &s.finalized}, {metaOldest, &s.oldest}, {metaFirst, &s.first}} {
		if err := s.loadNumber(m.key, m.to); err != nil {
			return err
		}
	}
	if err := s.loadDecided(height); err != nil {
		return err
	}
	if height > 0 {
		extra, err := chain.DecodeExtra(header.Extra)
		if err != nil {
			return s.corrupt(fmt.Errorf("head block %d: %w", height, err))
		}
		if err := s.hasDecision(height, extra.Decision, "in its block's header"); err != nil {
			return err
		}
	}
	if err := s.loadSets(); err != nil {
		return err
	}
	s.head.Store(&head{header, hash})
	s.staging.Store(height)
	s.applying.Store(height)
	return nil
}

func (s *Store) loadNumber(key []byte, to *atomic.Uint64) error {
	b, err := s.get(key)
	if err != nil || b == nil {
		return err
	}
	if len(b) != 8 {
		return s.corrupt(fmt.Errorf("%s: %w", key[1:], errRecord))
	}
	to.Store(binary.BigEndian.Uint64(b))
	return nil
}

// loadDecided reads the end of the chain of decisions, which is at or above the head.
func (s *Store) loadDecided(head uint64) error {
	b, err := s.get(metaDecided)
	if err != nil {
		return err
	}
	if len(b) != 8+hashSize {
		return s.corrupt(fmt.Errorf("decided: %w", errRecord))
	}
	d := &decided{binary.BigEndian.Uint64(b), crypto.Hash(b[8:])}
	if d.height < head {
		return s.corrupt(fmt.Errorf("the last decision is %d, the head block is %d", d.height, head))
	}
	if d.height > 0 {
		if err := s.hasDecision(d.height, d.hash, "recorded"); err != nil {
			return err
		}
	}
	s.decided.Store(d)
	if err := s.openKept(); err != nil {
		return err
	}
	return s.openKeptBlocks()
}

// hasDecision checks that the decision at height is there under its hash.
func (s *Store) hasDecision(height uint64, want crypto.Hash, who string) error {
	record, err := s.get(heightKey(tableDecisions, height))
	if err != nil {
		return err
	}
	_, hash, _, err := decodeDecision(record)
	if err != nil {
		return s.corrupt(fmt.Errorf("decision %d: %w", height, err))
	}
	if hash != want {
		return s.corrupt(fmt.Errorf("decision %d has hash %s, %s is %s", height, hash, who, want))
	}
	return nil
}
