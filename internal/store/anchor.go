package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// anchorName is a file beside the database that says how far it had come. Pebble takes a log that was cut off at its end for one whose writer crashed, and opens at an
// earlier block without a word; the anchor knows better. It is overwritten in place after each durable batch and not synced: after a crash of the machine it may be
// behind, never ahead, so it accuses no healthy folder.
const anchorName = "ANCHOR"

// anchorSize is head height(8) ‖ last decision's height(8) ‖ CRC-32(4).
const anchorSize = 20

// anchor is the open file. Safe for concurrent use.
type anchor struct {
	mu             sync.Mutex
	f              vfs.File
	block, decided uint64
}

// openAnchor reads the file. One that is missing, or torn by a crash of the machine, counts as zero.
func openAnchor(fs *failStopFS, dir string) (*anchor, error) {
	name := fs.PathJoin(dir, anchorName)
	a := new(anchor)
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	if slices.Contains(names, anchorName) {
		b, err := readSmallFile(fs, name)
		if err != nil {
			return nil, err
		}
		if len(b) == anchorSize && crc32.ChecksumIEEE(b[:16]) == binary.BigEndian.Uint32(b[16:]) {
			a.block, a.decided = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		}
	}
	if a.f, err = fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return a, nil
}

// raise records that the blocks and decisions up to these are durable.
func (a *anchor) raise(block, decided uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.block, a.decided = max(a.block, block), max(a.decided, decided)
	b := binary.BigEndian.AppendUint64(make([]byte, 0, anchorSize), a.block)
	b = binary.BigEndian.AppendUint64(b, a.decided)
	_, _ = a.f.WriteAt(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), 0) // a failure stops the store by itself (failStopFS)
}

func (a *anchor) close() error { return a.f.Close() }

// checkAnchor refuses a database that is behind its anchor.
func (s *Store) checkAnchor() error {
	var block, decided uint64
	if h := s.head.Load(); h != nil {
		block, decided = h.header.Number.Uint64(), s.decided.Load().height
	}
	if block < s.anchor.block || decided < s.anchor.decided {
		return fmt.Errorf("%w: %s says that block %d and decision %d were stored, the database ends at block %d and decision %d, so the end of its log (*.log) is "+
			"damaged or missing; restore the folder from a backup, or remove it and fetch the chain again",
			ErrCorrupt, s.fs.PathJoin(s.cfg.Dir, anchorName), s.anchor.block, s.anchor.decided, block, decided)
	}
	return nil
}
