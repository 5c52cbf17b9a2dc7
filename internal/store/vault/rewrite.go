package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Usage is how much of the folder is sealed with which key.
type Usage struct {
	// Active is the key of new files.
	Active uint32
	// Keys are the numbers of all keys that vault.json holds.
	Keys []uint32
	// Converting tells that files in plain text are still read.
	Converting bool
	// OldFiles and OldBytes are sealed with another key than the active one, or not at all.
	OldFiles int
	OldBytes int64
	// Bytes are those of all files that are or will be sealed. Files are only looked at while a re-keying is pending; else the last three are 0.
	Bytes int64
}

// Pending tells that re-keying or conversion has begun and not ended.
func (u *Usage) Pending() bool { return u.Converting || len(u.Keys) > 1 }

// Pace bounds the work of Rekey: it is called with the bytes that were read, and returns when more may be, or an error that ends the work. The error of a store that has
// failed belongs here too: nothing is renamed after it.
type Pace func(ctx context.Context, n int) error

// oldFile is a file that needs sealing anew.
type oldFile struct {
	name string
	size int64
}

// Usage reads the headers of the folder's files where a re-keying is pending and nobody works on it; else it knows.
func (v *FS) Usage() (Usage, error) {
	v.mu.Lock()
	if p := v.progress; p != nil {
		u := *p
		v.mu.Unlock()
		return u, nil
	}
	v.mu.Unlock()
	u, _, err := v.survey()
	return u, err
}

// sealed notes that so much less is to be done. A re-keying that ends leaves nothing: the next question looks for itself.
func (v *FS) sealed(size int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.OldFiles--
	v.progress.OldBytes -= size
}

func (v *FS) setProgress(u *Usage) { v.mu.Lock(); defer v.mu.Unlock(); v.progress = u }

func (v *FS) survey() (Usage, []oldFile, error) {
	v.mu.Lock()
	u := Usage{Active: v.ring.active, Converting: v.ring.plain}
	for id := range v.ring.keys {
		u.Keys = append(u.Keys, id)
	}
	v.mu.Unlock()
	slices.Sort(u.Keys)
	if !u.Pending() {
		return u, nil, nil
	}
	names, err := v.List(v.dir)
	if err != nil {
		return u, nil, fmt.Errorf("list folder: %w", err)
	}
	slices.Sort(names)
	var old []oldFile
	for _, base := range names {
		name := v.PathJoin(v.dir, base)
		if isClear(name) || strings.HasSuffix(base, rewriteSuffix) {
			continue
		}
		size, isOld, err := v.look(name, u.Active)
		if err != nil {
			return u, nil, err
		}
		u.Bytes += size
		if isOld {
			old = append(old, oldFile{name, size})
			u.OldFiles++
			u.OldBytes += size
		}
	}
	return u, old, nil
}

// look tells a file's size and whether its key is another than active. A file that is gone is none.
func (v *FS) look(name string, active uint32) (size int64, old bool, err error) {
	info, err := v.FS.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("stat %s: %w", name, err)
	}
	if info.Size() == 0 || info.IsDir() {
		return info.Size(), false, nil
	}
	f, err := v.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("open %s: %w", name, err)
	}
	var b [headerSize]byte
	n, err := readAt(f, b[:], 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, false, fmt.Errorf("read %s: %w", name, err)
	}
	keyID, ok := sealedWith(b[:n])
	return info.Size(), !ok || keyID != active, nil
}

// NewKey makes a new data key active, unless a re-keying is pending: that one is to end first. The key is durable when NewKey returns.
func (v *FS) NewKey() error {
	v.keysMu.Lock()
	defer v.keysMu.Unlock()
	v.mu.Lock()
	next := v.ring.clone()
	v.mu.Unlock()
	if next.plain || len(next.keys) > 1 {
		return nil
	}
	if err := next.add(v.suite, v.master); err != nil {
		return err
	}
	return v.keep(next)
}

// keep makes next the keys, on the disk and then here. The caller holds keysMu.
func (v *FS) keep(next *ring) error {
	if err := next.store(v.FS, v.dir, v.suite); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ring.wipe()
	v.ring = next
	return nil
}

// Rewrite seals every file anew that is under another key than the active one, or none, and returns when there are no such files. It can be ended at any time and begun again.
// A file that cannot be read and is an orphan, which the database refers to no longer or not yet, is what a crash left of it, and is removed.
func (v *FS) Rewrite(ctx context.Context, pace Pace, orphan func(base string) (bool, error)) error {
	defer v.setProgress(nil)
	for {
		v.mu.Lock()
		ending, busy := v.ending, v.oldWriters()
		v.mu.Unlock()
		u, old, err := v.survey()
		if err != nil {
			return err
		}
		v.setProgress(&u)
		done := 0
		for _, f := range old {
			ok, err := v.rewrite(ctx, f.name, pace)
			if errors.Is(err, ErrAltered) {
				ok, err = v.removeOrphan(f.name, orphan, err)
			}
			if err != nil {
				return fmt.Errorf("seal %s anew: %w", f.name, err)
			}
			if ok {
				done++
				v.sealed(f.size)
			}
		}
		if len(old) == 0 && busy == 0 {
			return nil
		}
		if done < len(old) || busy > 0 { // tables that are being written: they become files to seal anew when they are closed
			if done > 0 {
				continue
			}
			select {
			case <-ending:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// oldWriters counts the open files under another key than the active one. The caller holds mu.
func (v *FS) oldWriters() (n int) {
	for _, w := range v.writers {
		if w.keyID != 0 && w.keyID != v.ring.active {
			n++
		}
	}
	return n
}

// take notes that a file is about to be sealed anew, or returns the writer that has it open.
func (v *FS) take(name string) (writer any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for w, f := range v.writers {
		if f.name == name {
			return w
		}
	}
	v.rewriting, v.gone = name, false
	return nil
}

// rewrite seals one file anew. false: that has to wait for its writer to close it.
func (v *FS) rewrite(ctx context.Context, name string, pace Pace) (bool, error) {
	switch w := v.take(name).(type) {
	case *pageWriter:
		return false, nil
	case *logWriter:
		return w.rekey(ctx, pace)
	}
	defer func() { v.mu.Lock(); v.rewriting = ""; v.mu.Unlock() }()
	tmp := name + rewriteSuffix
	err := v.copyTo(ctx, name, tmp, pace)
	if err == nil {
		err = v.replace(name, tmp)
	}
	if err == nil {
		return true, nil
	}
	if rerr := v.FS.Remove(tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if errors.Is(err, errGone) {
		return true, nil
	}
	return false, err
}

// removeOrphan removes a file that cannot be read for why, if nobody needs it.
func (v *FS) removeOrphan(name string, orphan func(base string) (bool, error), why error) (bool, error) {
	is, err := orphan(v.PathBase(name))
	if err != nil || !is {
		return false, errors.Join(why, err)
	}
	if err := v.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// errGone is a file that was removed or replaced while it was being sealed anew.
var errGone = errors.New("the file is gone")

// copyTo writes a durable copy of name's plain text, sealed as name with the active key.
func (v *FS) copyTo(ctx context.Context, name, tmp string, pace Pace) (err error) {
	src, err := v.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	f, err := v.FS.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	v.mu.Lock()
	dst := v.writer(name, f)
	v.mu.Unlock()
	if err := copyPaced(ctx, dst, src, pace); err != nil {
		return errors.Join(err, dst.Close())
	}
	if err := dst.Sync(); err != nil {
		return errors.Join(err, dst.Close())
	}
	if w, ok := dst.(*logWriter); ok && mayTear(name) { // its end mark is to be durable too, so that nothing of the copy can pass for a tear
		return w.finish()
	}
	return dst.Close()
}

// copyPaced copies in steps of what a table's writer writes at once.
func copyPaced(ctx context.Context, dst io.Writer, src io.Reader, pace Pace) error {
	buf := make([]byte, 32*pageSize)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buf)
		if n > 0 {
			if err := pace(ctx, n); err != nil {
				return err
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// replace puts tmp in name's place, for those too that have name open.
func (v *FS) replace(name, tmp string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return errGone
	}
	if err := v.FS.Rename(tmp, name); err != nil {
		return err
	}
	if err := syncDir(v.FS, v.dir); err != nil {
		return err
	}
	for r := range v.readers[name] {
		if err := v.reopen(r); err != nil {
			return err
		}
	}
	return nil
}

// reopen changes a reader over. The caller holds mu.
func (v *FS) reopen(r *pageReader) error {
	f, err := v.FS.Open(r.name, vfs.RandomReadsOption)
	if err != nil {
		return err
	}
	h, _, err := v.header(r.name, f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return r.swap(f, h, info.Size())
}

// DropOldKeys ends a re-keying: it removes the keys from vault.json that no file uses, and files in plain text are read no longer. It fails if there is still one.
func (v *FS) DropOldKeys() error {
	v.keysMu.Lock()
	defer v.keysMu.Unlock()
	_, old, err := v.survey()
	if err != nil {
		return err
	}
	v.mu.Lock()
	busy := v.oldWriters()
	next := v.ring.clone()
	v.mu.Unlock()
	if len(old) > 0 || busy > 0 {
		return fmt.Errorf("vault: %d files and %d open ones still need the old keys", len(old), busy)
	}
	for id, key := range next.keys {
		if id != next.active {
			clear(key)
			delete(next.keys, id)
			delete(next.wrapped, id)
		}
	}
	next.plain = false
	if err := syncDir(v.FS, v.dir); err != nil { // the files' new forms, before what opens the old ones goes
		return err
	}
	return v.keep(next)
}
