package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/jialing-chain/jialing/internal/store/vault"
)

const (
	// l0Throttle is the number of overlapping runs in level 0 above which commits wait for compaction: every read has to look into each of them.
	l0Throttle = 24
	// neverStop disables Pebble's own stop of writes, which cannot be left when compactions fail; throttle takes its place.
	neverStop = 1 << 20
)

// options says how Pebble is run, and why.
func (s *Store) options(mustExist bool) *pebble.Options {
	o := &pebble.Options{
		FS:       s.fs,
		Lock:     s.lock,
		Comparer: comparer,
		// From this version on, the log tells a torn tail from damage, and a table's footer has a checksum.
		FormatMajorVersion: pebble.FormatTableFormatV6,
		// Pebble takes what memtables hold out of its cache. Without this, two of them left a small cache no room for blocks at all, and every read of
		// cold state read a table's whole bloom filter from the disk again.
		CacheSize:    s.cfg.BlockCacheBytes + 2*int64(s.cfg.MemTableBytes),
		MemTableSize: s.cfg.MemTableBytes,
		// Several memtables may wait for one flush: a burst does not stop commits.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4, // at 2, compactions write a third more; bloom filters keep four runs cheap to read
		L0StopWritesThreshold:       neverStop,
		// A wide base level: about two flushes are merged into it at once, and small chains need one level only.
		LBaseMaxBytes: 256 << 20,
		// Flushes are split where tables begin, so that the ranges that only grow (bodies, receipts) move down without being rewritten.
		FlushSplitBytes:             4 << 20,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, 2 },
		MaxOpenFiles:                1024,
		WALBytesPerSync:             1 << 20,
		BytesPerSync:                1 << 20,
		ErrorIfNotExists:            mustExist,
		Logger:                      s.events,
		EventListener:               s.events.listener(),
		MaxManifestFileSize:         4 << 20,
		TargetByteDeletionRate:      0,
		DisableAutomaticCompactions: false,
	}
	o.TargetFileSizes[0] = 8 << 20
	for i := range o.Levels {
		l := &o.Levels[i]
		// Point reads of random keys want small blocks; 8 KiB halves the index of 4 KiB.
		l.BlockSize = 8 << 10
		l.IndexBlockSize = 64 << 10
		// Ten bits keep false positives at 1 %. Also at the last level: new accounts, new slots and index look-ups that find nothing are common.
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.FilterType = pebble.TableFilter
		// Most bytes are hashes and signatures, which no algorithm shortens; what can be shortened (zeros in logs and call data) the fastest one does.
		l.Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	// Statistics for read-triggered compactions cost CPU on every read; writes alone keep the tree in shape.
	o.Experimental.ReadSamplingMultiplier = -1
	o.Experimental.L0CompactionConcurrency = 8
	return o
}

func (s *Store) openPebble() error {
	state, err := readStamp(s.fs, s.cfg.Dir)
	if err != nil {
		return err
	}
	if state == stampNone {
		if err := writeStamp(s.fs, s.cfg.Dir, stampCreating); err != nil {
			return err
		}
	}
	s.fs.holdRemovals()
	s.db, err = pebble.Open(s.cfg.Dir, s.options(state == stampReady))
	if err != nil && state == stampCreating && s.fs.failure() == nil {
		// A crash while the database was made has left of its files what it liked, and nothing was in them.
		if err := s.clearUnfinished(); err != nil {
			return err
		}
		s.db, err = pebble.Open(s.cfg.Dir, s.options(false))
	}
	if err != nil {
		if s.fs.failure() != nil {
			return s.Err()
		}
		return s.openError(err)
	}
	if state != stampReady {
		if err := writeStamp(s.fs, s.cfg.Dir, stampReady); err != nil {
			return err
		}
	}
	return s.Err()
}

// clearUnfinished removes the files of a database that was never ready.
func (s *Store) clearUnfinished() error {
	s.fs.dropRemovals()
	names, err := s.cfg.FS.List(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("list folder: %w", err)
	}
	for _, n := range names {
		if n == "LOCK" || n == stampName || n == vault.KeyFileName {
			continue
		}
		if err := s.cfg.FS.Remove(s.cfg.FS.PathJoin(s.cfg.Dir, n)); err != nil {
			return fmt.Errorf("remove what a crash has left of a new database: %w", err)
		}
	}
	s.fs.holdRemovals()
	return nil
}

// openError explains why Pebble refused the folder, with the files that it may mean: its own texts name tables, but neither log nor manifest.
func (s *Store) openError(err error) error {
	if isPermission(err) {
		return err
	}
	var files []string
	if names, listErr := s.fs.List(s.cfg.Dir); listErr == nil {
		for _, n := range names {
			if strings.HasSuffix(n, ".log") || strings.HasPrefix(n, "MANIFEST-") {
				files = append(files, n)
			}
		}
	}
	return fmt.Errorf("%w, nothing was removed: %w (log and manifest: %s); restore the folder from a backup, or remove it and fetch the chain again",
		ErrCorrupt, err, strings.Join(files, ", "))
}

// isLocked tells a lock that somebody holds from one that could not be tried.
func isLocked(err error) bool {
	for _, e := range []error{os.ErrPermission, os.ErrNotExist, syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, e) {
			return false
		}
	}
	return true
}

func isPermission(err error) bool { return errors.Is(err, os.ErrPermission) }

// readError wraps an error of reading, with the damaged file's name when that is the cause.
func (s *Store) readError(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, vault.ErrAltered) {
		if path := s.events.damaged(); path != "" {
			return fmt.Errorf("%w: file %s: %w", ErrCorrupt, path, err)
		}
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("read: %w", err)
}

// corrupt marks an error as damage found by the store itself.
func (s *Store) corrupt(err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrPruned) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// throttle makes a commit wait while level 0 is too deep. It ends when compaction has caught up, ctx ends, or the store fails.
func (s *Store) throttle(ctx context.Context) error {
	if !s.events.flushed.Swap(false) {
		return nil // level 0 grows by flushes only
	}
	return s.waitBelow(ctx, l0Throttle, func() int { return int(s.db.Metrics().Levels[0].Sublevels) })
}

func (s *Store) waitBelow(ctx context.Context, limit int, depth func() int) error {
	for {
		changed := s.events.next()
		if depth() < limit {
			return nil
		}
		select {
		case <-changed:
		case <-s.fs.failing:
			return s.Err()
		case <-ctx.Done():
			s.events.flushed.Store(true)
			return ctx.Err()
		}
	}
}

// pebbleEvents is Pebble's logger and event listener. Safe for concurrent use.
type pebbleEvents struct {
	log *slog.Logger

	// flushed tells that a flush has ended since throttle last looked.
	flushed atomic.Bool

	mu sync.Mutex
	// changed is closed and replaced at the end of every flush and compaction.
	changed chan struct{}
	// path is the last file that was found damaged.
	path string
}

func newPebbleEvents(log *slog.Logger) *pebbleEvents {
	return &pebbleEvents{log: log.With("part", "pebble"), changed: make(chan struct{})}
}

// Infof implements pebble.Logger.
func (e *pebbleEvents) Infof(format string, args ...any) { e.log.Debug(fmt.Sprintf(format, args...)) }

// Errorf implements pebble.Logger.
func (e *pebbleEvents) Errorf(format string, args ...any) { e.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf implements pebble.Logger. Pebble expects it not to return, but ending the process is not a library's to decide: the disk is cut off after
// a failed write already (failStopFS), so what Pebble does from here on cannot reach it.
func (e *pebbleEvents) Fatalf(format string, args ...any) { e.log.Error(fmt.Sprintf(format, args...)) }

func (e *pebbleEvents) listener() *pebble.EventListener {
	l := &pebble.EventListener{
		BackgroundError: func(err error) { e.log.Error("background work failed", "err", err) },
		DataCorruption:  e.corruption,
		FlushEnd: func(pebble.FlushInfo) {
			e.flushed.Store(true)
			e.turn()
		},
		CompactionEnd: func(pebble.CompactionInfo) { e.turn() },
	}
	l.EnsureDefaults(nil)
	return l
}

func (e *pebbleEvents) corruption(info pebble.DataCorruptionInfo) {
	e.mu.Lock()
	e.path = info.Path
	e.mu.Unlock()
	e.log.Error("a data file is damaged", "file", info.Path, "err", info.Details)
}

func (e *pebbleEvents) damaged() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.path
}

// turn notes the end of a flush or compaction.
func (e *pebbleEvents) turn() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.changed)
	e.changed = make(chan struct{})
}

// next is closed at the next end of a flush or compaction.
func (e *pebbleEvents) next() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}
