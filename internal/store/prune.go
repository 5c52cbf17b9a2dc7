package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Pruning removes the reverse diffs of blocks up to a new oldest height, in steps: the low-water mark and one range deletion. The change index goes by whole
// epochs, once all their blocks are below the mark; until then its entries stay, unread. Batches are not synced: what a crash brings back is removed again.
// The mark rises in memory before the batch is applied, so no reader takes a missing entry for "unchanged".

// pruneStep is the number of blocks that one batch prunes, and that gather behind the head before the background work starts: a range deletion for each block
// would burden every read of the history.
const pruneStep = 64

// Prune removes the history of all but the last keep blocks, and compacts what that frees. State at the head stays readable with keep 0. It may run beside
// everything else; it ends early, with what is done staying done, when ctx ends.
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
	for at := from; at < target; {
		if err := s.writable(ctx); err != nil {
			return err
		}
		next := min(at+pruneStep, target)
		if err := s.pruneBlocks(at, next); err != nil {
			return fmt.Errorf("block %d: %w", next, err)
		}
		at = next
		progress.report("prune", at-from, target-from)
	}
	return nil
}

// pruneBlocks makes to the oldest height, which was from.
func (s *Store) pruneBlocks(from, to uint64) error {
	b := s.newBatch(1024)
	defer b.close()
	b.set(metaOldest, binary.BigEndian.AppendUint64(nil, to))
	b.deleteRange(heightKey(tableDiffs, from+1), heightKey(tableDiffs, to+1))
	e := s.epochs.Load()
	for epoch := e.of(from); epoch < e.of(to+1); epoch++ { // from's own epoch too: it may have ended just there, after it was pruned to
		lo := binary.BigEndian.AppendUint16([]byte{tableChanges}, uint16(epoch))
		b.deleteRange(lo, prefixEnd(lo))
	}
	s.oldest.Store(to)
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
		if h == nil || h.header.Number.Uint64() < p.s.oldest.Load()+p.s.cfg.StateHistory+pruneStep {
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
