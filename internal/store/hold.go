package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// A node that joins a long chain fetches the state after one block in chunks (chunk.go), from several peers at once. While it does, the chain goes on; each peer
// holds that state readable with a snapshot of the database. A snapshot is free to take and costs what it keeps compaction from dropping, so few are held and
// none for long. Peers hold the same height by being asked for one that they have not passed yet.

const (
	// maxHeld bounds the states held, and waited for, at a time: one that is being fetched and the next.
	maxHeld = 2
	// holdTime is how long a state is held. At 20 MB/s it is enough for 12 GB.
	holdTime = 10 * time.Minute
	// MaxHoldAhead is how far above the head a height may be that is to be held: some seconds of a busy chain.
	MaxHoldAhead = 256
	// waitTime is how long a height that has not come is waited for.
	waitTime = time.Minute
)

var (
	// ErrNotHeld: the state at that height is not held, and cannot be any more.
	ErrNotHeld = errors.New("the state at this height is not held for fetching")
	// ErrHoldsFull: as many states are held as may be.
	ErrHoldsFull = fmt.Errorf("%d states are held for fetching already", maxHeld)
)

// held is one state. The read side of mu is taken while a chunk is made.
type held struct {
	height uint64
	until  time.Time

	mu   sync.RWMutex
	root common.Hash
	snap *pebble.Snapshot // nil: not committed yet, or given up
}

// holds are the states held. Safe for concurrent use.
type holds struct {
	now func() time.Time

	mu   sync.Mutex
	list []*held
}

// HoldState holds the state after the block at height for fetching: that of the head, or one up to MaxHoldAhead above it as soon as it is committed. Asking again is
// harmless and holds no longer. ErrNotHeld when the height has been passed, ErrHoldsFull when others are held. Safe for concurrent use.
func (s *Store) HoldState(height uint64) error {
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	head := s.head.Load() // under mu: holdReached comes after the head has moved, so no height slips through
	if head == nil {
		return ErrEmpty
	}
	s.holds.expire()
	top := head.header.Number.Uint64()
	for _, h := range s.holds.list {
		if h.height == height {
			return nil
		}
	}
	switch {
	case height < top || height == 0:
		return fmt.Errorf("height %d: %w, the head is %d", height, ErrNotHeld, top)
	case height > top+MaxHoldAhead:
		return fmt.Errorf("height %d: %w yet, the head is %d", height, ErrNotHeld, top)
	case len(s.holds.list) >= maxHeld:
		return fmt.Errorf("height %d: %w", height, ErrHoldsFull)
	}
	h := &held{height: height, until: s.holds.now().Add(waitTime)}
	if height == top {
		if err := s.openHeld(h); err != nil {
			return fmt.Errorf("height %d: %w", height, err)
		}
	}
	s.holds.list = append(s.holds.list, h)
	return nil
}

// openHeld takes the snapshot. The caller holds holds.mu.
func (s *Store) openHeld(h *held) error {
	snap := s.db.NewSnapshot()
	header, _, err := s.header(snap, h.height)
	if err == nil {
		var record []byte
		if record, err = s.getFrom(snap, metaHead); err == nil {
			if top, _, _, decodeErr := decodeHead(record); decodeErr != nil || top != h.height {
				err = errors.Join(ErrNotHeld, decodeErr) // the next block has just been applied
			}
		}
	}
	if err != nil {
		return errors.Join(err, snap.Close())
	}
	h.mu.Lock()
	h.snap, h.root, h.until = snap, header.Root, s.holds.now().Add(holdTime)
	h.mu.Unlock()
	return nil
}

// HeldStates lists the states that are held or waited for, lowest first. Safe for concurrent use.
func (s *Store) HeldStates() (out []chain.HeldState) {
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	s.holds.expire()
	for _, h := range s.holds.list {
		h.mu.RLock()
		out = append(out, chain.HeldState{Height: h.height, Ready: h.snap != nil, Left: h.until.Sub(s.holds.now())})
		h.mu.RUnlock()
	}
	if len(out) == 2 && out[0].Height > out[1].Height {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// holdReached is called after each commit, before the next: it takes the snapshot of a height that was waited for, and drops what has been held long enough.
func (s *Store) holdReached(height uint64) {
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	if len(s.holds.list) == 0 {
		return
	}
	s.holds.expire()
	for _, h := range s.holds.list {
		if h.height == height && h.snap == nil {
			if err := s.openHeld(h); err != nil {
				s.log.Warn("cannot hold the state for fetching", "height", height, "err", err)
			}
		}
	}
}

// expire drops what is past its time. The caller holds mu.
func (s *holds) expire() {
	now, kept := s.now(), s.list[:0]
	for _, h := range s.list {
		if h.until.After(now) {
			kept = append(kept, h)
		} else {
			h.drop()
		}
	}
	clear(s.list[len(kept):])
	s.list = kept
}

// drop waits for the chunks that are being made.
func (h *held) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.snap != nil {
		h.snap.Close() //nolint:errcheck // frees memory only
		h.snap = nil
	}
}

// close drops everything.
func (s *holds) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.list {
		h.drop()
	}
	s.list = nil
}

// withHeld calls fn with the snapshot of a held state.
func (s *Store) withHeld(height uint64, fn func(snap *pebble.Snapshot, root common.Hash) error) error {
	s.holds.mu.Lock()
	s.holds.expire()
	var found *held
	for _, h := range s.holds.list {
		if h.height == height {
			found = h
		}
	}
	if found == nil {
		s.holds.mu.Unlock()
		return fmt.Errorf("height %d: %w", height, ErrNotHeld)
	}
	found.mu.RLock() // before holds.mu is released: expire cannot drop it in between
	s.holds.mu.Unlock()
	defer found.mu.RUnlock()
	if found.snap == nil {
		return fmt.Errorf("height %d: %w yet", height, ErrNotHeld)
	}
	return fn(found.snap, found.root)
}
