package store

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/cockroachdb/pebble/v2"
)

// The indexes by hash (transactions, logs, changes) grow for ever, and their keys fall anywhere: in one ordered range, every compaction would rewrite a part
// of all that the chain has ever written, more the longer it lives. So the keys begin with an epoch, a run of blocks with about epochEntries entries. Writes
// go to the newest epoch only; a finished one is never rewritten. A look-up asks the epochs that its heights lie in, which costs a bloom filter each where
// there is nothing.

// epochEntries closes an epoch. Its entries take about 200 MB, the size of Pebble's base level: within an epoch, compaction stays two levels deep. A token
// transfer makes about six.
const epochEntries = 8 << 20

const epochSize = 2

// epochs says which blocks belong to which epoch. Immutable.
type epochs struct {
	// starts are the first heights of the epochs; the first is 0.
	starts []uint64
	// entries counts those of the last epoch.
	entries uint64
}

// of is the epoch of the block at height.
func (e *epochs) of(height uint64) int {
	return sort.Search(len(e.starts), func(i int) bool { return e.starts[i] > height }) - 1
}

// last is the newest epoch.
func (e *epochs) last() int { return len(e.starts) - 1 }

// grow returns the epochs with the next block, which begins an epoch if the last one is full.
func (e *epochs) grow(height, limit uint64) (next *epochs, begun bool) {
	next = &epochs{starts: e.starts, entries: e.entries}
	if e.entries < limit || len(e.starts) == 1<<(8*epochSize) {
		return next, false
	}
	next.starts = append(e.starts[:len(e.starts):len(e.starts)], height)
	next.entries = 0
	return next, true
}

func epochKey(epoch int) []byte {
	return binary.BigEndian.AppendUint16([]byte{tableEpochs}, uint16(epoch))
}

// loadEpochs reads the starts; entries comes from the head.
func (s *Store) loadEpochs(r pebble.Reader, entries uint64) (*epochs, error) {
	e := &epochs{entries: entries}
	lo := []byte{tableEpochs}
	err := s.scan(r, lo, prefixEnd(lo), func(key, value []byte) error {
		if len(key) != 1+epochSize || len(value) != 8 || int(binary.BigEndian.Uint16(key[1:])) != len(e.starts) {
			return s.corrupt(fmt.Errorf("epochs: %w", errRecord))
		}
		start := binary.BigEndian.Uint64(value)
		if n := len(e.starts); (n == 0) != (start == 0) || (n > 0 && e.starts[n-1] >= start) {
			return s.corrupt(fmt.Errorf("epoch %d begins at %d", n, start))
		}
		e.starts = append(e.starts, start)
		return nil
	})
	if err == nil && len(e.starts) == 0 {
		err = s.corrupt(fmt.Errorf("epochs: %w: none", errRecord))
	}
	return e, err
}
