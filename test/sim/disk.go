package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is one host's disk: Pebble's in-memory file system, which knows what was synced. Its faults may be switched at any time; mem changes only while
// no node uses it.
type disk struct {
	folder string
	mem    *vfs.MemFS
	// full makes whatever needs room fail with ENOSPC.
	full atomic.Bool
	// slow is how long a sync takes, in nanoseconds, while the stages work: Pebble holds a mutex around the syncs of its opening and closing, which in
	// a bubble stops the clock that the sync waits for.
	slow    atomic.Int64
	working atomic.Bool
	// refused counts the operations that failed: a node that stopped with an error without one has another reason.
	refused atomic.Int64
}

// newDisk returns an empty disk with a durable folder for a node.
func newDisk(folder string) (*disk, error) {
	d := &disk{folder: folder}
	return d, d.wipe()
}

// wipe replaces the disk by an empty one.
func (d *disk) wipe() error {
	d.mem = vfs.NewCrashableMem()
	if err := d.mem.MkdirAll(d.folder, 0o755); err != nil {
		return err
	}
	for name := d.folder; ; name = d.mem.PathDir(name) {
		f, err := d.mem.OpenDir(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if d.mem.PathDir(name) == name {
			return nil
		}
	}
}

// open is the file system for one life of a node.
func (d *disk) open() vfs.FS { return &faultFS{FS: d.mem, d: d} }

// crash is what a loss of power leaves now: all that was synced, and of what was not keep percent of the blocks and names. The node that still writes
// to the old content does not reach it.
func (d *disk) crash(keep int, rng *rand.Rand) *vfs.MemFS {
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng})
}

// room is an error while the disk is full.
func (d *disk) room(op, name string) error {
	if d.full.Load() {
		d.refused.Add(1)
		return &os.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

// faultFS fails what needs room on a full disk and takes its time to sync on a slow one.
type faultFS struct {
	vfs.FS
	d *disk
}

// Create implements vfs.FS.
func (fs *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.d.room("create", name); err != nil {
		return nil, err
	}
	return fs.wrap(name)(fs.FS.Create(name, c))
}

// OpenReadWrite implements vfs.FS.
func (fs *faultFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.wrap(name)(fs.FS.OpenReadWrite(name, c, opts...))
}

// ReuseForWrite implements vfs.FS.
func (fs *faultFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.wrap(newname)(fs.FS.ReuseForWrite(oldname, newname, c))
}

// MkdirAll implements vfs.FS.
func (fs *faultFS) MkdirAll(dir string, perm os.FileMode) error {
	if err := fs.d.room("mkdir", dir); err != nil {
		return err
	}
	return fs.FS.MkdirAll(dir, perm)
}

// Unwrap implements vfs.FS.
func (fs *faultFS) Unwrap() vfs.FS { return fs.FS }

func (fs *faultFS) wrap(name string) func(f vfs.File, err error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &faultFile{f, fs.d, filepath.Ext(name) == ".log"}, nil
	}
}

// faultFile is a file for writing. Only syncs of the log are slow: that is what a commit waits for, and Pebble holds a mutex while it syncs manifests
// and folders.
type faultFile struct {
	vfs.File
	d   *disk
	log bool
}

// Write implements vfs.File.
func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.d.room("write", "a file"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// WriteAt implements vfs.File.
func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.d.room("write", "a file"); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Sync implements vfs.File.
func (f *faultFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *faultFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *faultFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *faultFile) sync(do func() error) error {
	if slow := f.d.slow.Load(); slow > 0 && f.log && f.d.working.Load() {
		time.Sleep(time.Duration(slow))
	}
	if err := do(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
