package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Pruning removes the reverse diffs of blocks up to a new oldest height, oldest first, one block a batch: the low-water mark, the block's diff (one range deletion) and its
// index entries (one deletion each; each was written once, so a SingleDelete meets its Set and both vanish in a compaction). Batches are not synced: what a
// crash brings back is removed again. The mark rises in memory before the batch is applied, so no reader takes a missing entry for "unchanged".

// Prune removes the history of all but the last keep blocks, and compacts what that frees. State at the head stays readable with keep 0. It may run beside everything else;
// it ends early, with what is done staying done, when ctx ends.
func (s *Store) Prune(ctx context.Context, keep uint64, progress Progress) error {
	h := s.head.Load()
	if h == nil {
		return ErrEmpty
	}
	top := h.header.Number.Uint64()
	if keep >= top {
		return nil
	}
	if err := s.pruneTo(ctx, top-keep, progress); err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	for _, table := range []byte{tableDiffs, tableChanges} {
		if err := s.db.Compact(ctx, []byte{table}, []byte{table + 1}, false); err != nil {
			return fmt.Errorf("prune: compact: %w", err)
		}
	}
	return s.Err()
}

// pruneTo makes target the oldest height.
func (s *Store) pruneTo(ctx context.Context, target uint64, progress Progress) error {
	s.pruneMu.Lock()
	defer s.pruneMu.Unlock()
	from := s.oldest.Load()
	for height := from + 1; height <= target; height++ {
		if err := s.writable(ctx); err != nil {
			return err
		}
		if err := s.pruneBlock(height); err != nil {
			return fmt.Errorf("block %d: %w", height, err)
		}
		progress.report("prune", height-from, target-from)
	}
	return nil
}

// pruneBlock removes one block's diff: the block becomes the oldest whose state can be read.
func (s *Store) pruneBlock(height uint64) error {
	b := s.newBatch(64 << 10)
	defer b.close()
	b.set(metaOldest, binary.BigEndian.AppendUint64(nil, height))
	seen := make(map[uint64]struct{})
	err := s.diffAt(s.db, height, func(key, _ []byte) error {
		fragment := flatFragment(key)
		if _, dup := seen[fragment]; !dup {
			seen[fragment] = struct{}{}
			b.singleDelete(fragmentKey(tableChanges, fragment, height))
		}
		return nil
	})
	if err != nil {
		return err
	}
	lo := heightKey(tableDiffs, height)
	b.deleteRange(lo, prefixEnd(lo))
	s.oldest.Store(height)
	return s.apply(b, pebble.NoSync)
}

// pruner prunes behind the head while the chain goes on. Its goroutine starts with the store and ends with Close.
type pruner struct {
	s      *Store
	bell   chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// newPruner starts the background work; without Config.StateHistory there is none.
func newPruner(s *Store) *pruner {
	p := &pruner{s: s, bell: make(chan struct{}, 1)}
	if s.cfg.StateHistory == 0 {
		return p
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.done.Go(func() { p.run(ctx) })
	p.ring()
	return p
}

// ring says that the head has moved. It never blocks.
func (p *pruner) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

func (p *pruner) run(ctx context.Context) {
	for {
		select {
		case <-p.bell:
		case <-ctx.Done():
			return
		}
		h := p.s.head.Load()
		if h == nil || h.header.Number.Uint64() <= p.s.cfg.StateHistory {
			continue
		}
		err := p.s.pruneTo(ctx, h.header.Number.Uint64()-p.s.cfg.StateHistory, nil)
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStorage) {
			p.s.log.Error("pruning stopped", "err", err)
			return
		}
	}
}

// close ends the background work.
func (p *pruner) close() {
	if p.cancel != nil {
		p.cancel()
	}
	p.done.Wait()
}
