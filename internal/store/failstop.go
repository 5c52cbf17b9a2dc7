package store

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failStopFS makes the first failed write a full stop. Pebble has no answer to a failing log or manifest: it exits the process or panics with locks
// held, and after a failed sync nobody knows what is on the disk. Here, once any write, sync, creation or rename fails, the disk below is never altered
// again; files created later live in memory. What is on the disk is then what a crash at that instant leaves, and Pebble, which sees its log succeed, goes on
// serving reads. The store checks failure() after every batch and acknowledges none that follows a failure.
//
//   - A table under construction (.sst) gets the error, or Pebble would read it back incomplete. Its flush is retried and then goes to memory.
//   - Compactions are not worth memory: creating their tables fails, after a pause, since Pebble tries again at once.
//   - Log, manifest and marker files are not read while the database is open: their errors are noted and swallowed.
//
// Safe for concurrent use.
type failStopFS struct {
	vfs.FS
	// memory holds what is created after the failure.
	memory *vfs.MemFS
	failed atomic.Pointer[error]
	onFail func(error)
	// failing is closed by the failure, closing by release.
	failing, closing chan struct{}
	once             sync.Once

	mu sync.Mutex
	// held are removals asked for while holding: Pebble drops its old logs while it opens, before the store has found their content complete.
	held    []string
	holding bool
}

func newFailStopFS(fs vfs.FS, onFail func(error)) *failStopFS {
	return &failStopFS{FS: fs, memory: vfs.NewMem(), onFail: onFail, failing: make(chan struct{}), closing: make(chan struct{})}
}

// failure is the first error, nil while all is well.
func (fs *failStopFS) failure() error {
	if e := fs.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// release lets waiting compactions fail at once. Call it before closing the database.
func (fs *failStopFS) release() { fs.once.Do(func() { close(fs.closing) }) }

// note records err as the failure unless there is one already.
func (fs *failStopFS) note(op, name string, err error) {
	wrapped := fmt.Errorf("%s %s: %w", op, name, err)
	if fs.failed.CompareAndSwap(nil, &wrapped) {
		close(fs.failing)
		fs.onFail(wrapped)
	}
}

const (
	// compactionCategory is what Pebble calls the tables that compactions write.
	compactionCategory = "pebble-compaction"
	// failPause keeps the retries of compactions from taking a processor.
	failPause = time.Second
)

func isTable(name string) bool { return filepath.Ext(name) == ".sst" }

// Create implements vfs.FS.
func (fs *failStopFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if fs.failure() == nil {
		f, err := fs.FS.Create(name, category)
		if err == nil {
			return &failStopFile{File: f, fs: fs, name: name}, nil
		}
		fs.note("create", name, err)
	}
	if category == compactionCategory {
		pause := time.NewTimer(failPause)
		defer pause.Stop()
		select {
		case <-fs.closing:
		case <-pause.C:
		}
		return nil, fs.failure()
	}
	return fs.createInMemory(name, category)
}

func (fs *failStopFS) createInMemory(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.memory.MkdirAll(fs.PathDir(name), 0o755); err != nil {
		return nil, err
	}
	return fs.memory.Create(name, category)
}

// Open implements vfs.FS.
func (fs *failStopFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if fs.failure() != nil {
		if f, err := fs.memory.Open(name, opts...); err == nil {
			return f, nil
		}
	}
	return fs.FS.Open(name, opts...)
}

// OpenReadWrite implements vfs.FS.
func (fs *failStopFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if fs.failure() == nil {
		f, err := fs.FS.OpenReadWrite(name, category, opts...)
		if err == nil {
			return &failStopFile{File: f, fs: fs, name: name}, nil
		}
		fs.note("open", name, err)
	}
	return fs.createInMemory(name, category)
}

// OpenDir implements vfs.FS.
func (fs *failStopFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &failStopFile{File: f, fs: fs, name: name}, nil
}

// ReuseForWrite implements vfs.FS.
func (fs *failStopFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if fs.failure() == nil {
		f, err := fs.FS.ReuseForWrite(oldname, newname, category)
		if err == nil {
			return &failStopFile{File: f, fs: fs, name: newname}, nil
		}
		fs.note("reuse", newname, err)
	}
	return fs.createInMemory(newname, category)
}

// Link implements vfs.FS.
func (fs *failStopFS) Link(oldname, newname string) error {
	return fs.swallow("link", newname, func() error { return fs.FS.Link(oldname, newname) })
}

// Rename implements vfs.FS.
func (fs *failStopFS) Rename(oldname, newname string) error {
	return fs.swallow("rename", newname, func() error { return fs.FS.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (fs *failStopFS) MkdirAll(dir string, perm os.FileMode) error {
	return fs.swallow("create folder", dir, func() error { return fs.FS.MkdirAll(dir, perm) })
}

// Remove implements vfs.FS. A failed removal loses nothing, so it is no failure; after one, files stay: the manifest on the disk still names them.
func (fs *failStopFS) Remove(name string) error {
	if fs.failure() != nil {
		return nil
	}
	fs.mu.Lock()
	if fs.holding {
		fs.held = append(fs.held, name)
		fs.mu.Unlock()
		return nil
	}
	fs.mu.Unlock()
	return fs.FS.Remove(name)
}

// holdRemovals defers removals until releaseRemovals; if that never comes, the files stay.
func (fs *failStopFS) holdRemovals() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.holding = true
}

// dropRemovals forgets what was asked for while holding.
func (fs *failStopFS) dropRemovals() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.held, fs.holding = nil, false
}

func (fs *failStopFS) releaseRemovals() {
	fs.mu.Lock()
	held := fs.held
	fs.held, fs.holding = nil, false
	fs.mu.Unlock()
	for _, name := range held {
		_ = fs.Remove(name) // what stays is found and removed at the next start
	}
}

// RemoveAll implements vfs.FS.
func (fs *failStopFS) RemoveAll(name string) error {
	if fs.failure() != nil {
		return nil
	}
	return fs.FS.RemoveAll(name)
}

// Stat implements vfs.FS.
func (fs *failStopFS) Stat(name string) (vfs.FileInfo, error) {
	if fs.failure() != nil {
		if info, err := fs.memory.Stat(name); err == nil {
			return info, nil
		}
	}
	return fs.FS.Stat(name)
}

// Unwrap implements vfs.FS.
func (fs *failStopFS) Unwrap() vfs.FS { return fs.FS }

// Lock implements vfs.FS.
func (fs *failStopFS) Lock(name string) (io.Closer, error) { return fs.FS.Lock(name) }

func (fs *failStopFS) swallow(op, name string, do func() error) error {
	if fs.failure() == nil {
		if err := do(); err != nil {
			fs.note(op, name, err)
		}
	}
	return nil
}

// failStopFile is a file on the disk that was opened for writing before any failure, or a folder.
type failStopFile struct {
	vfs.File
	fs   *failStopFS
	name string
}

// guard runs do unless the disk is cut off, and decides whether Pebble learns of the failure.
func (f *failStopFile) guard(op string, do func() error) error {
	if f.fs.failure() == nil {
		err := do()
		if err == nil {
			return nil
		}
		f.fs.note(op, f.name, err)
	}
	if isTable(f.name) {
		return f.fs.failure()
	}
	return nil
}

// Write implements vfs.File.
func (f *failStopFile) Write(p []byte) (int, error) {
	err := f.guard("write", func() error {
		_, err := f.File.Write(p)
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt implements vfs.File.
func (f *failStopFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.guard("write", func() error {
		_, err := f.File.WriteAt(p, off)
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sync implements vfs.File.
func (f *failStopFile) Sync() error { return f.guard("sync", f.File.Sync) }

// SyncData implements vfs.File.
func (f *failStopFile) SyncData() error { return f.guard("sync", f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *failStopFile) SyncTo(length int64) (full bool, err error) {
	err = f.guard("sync", func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// Preallocate implements vfs.File. It is a hint: without it the write itself fails if it must.
func (f *failStopFile) Preallocate(offset, length int64) error {
	if f.fs.failure() == nil {
		_ = f.File.Preallocate(offset, length)
	}
	return nil
}

// Close implements vfs.File. The descriptor is closed whatever has happened; an error counts, since it may be a late write error.
func (f *failStopFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.fs.note("close", f.name, err)
		if isTable(f.name) {
			return err
		}
	}
	return nil
}
