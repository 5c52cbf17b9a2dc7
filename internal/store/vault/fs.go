package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// FS is the disk as the store sees it: every file but a few (isClear) is sealed. Safe for concurrent use.
type FS struct {
	vfs.FS
	dir    string
	suite  crypto.Suite
	master Master

	// keysMu makes changes of the key file follow each other; it is held over I/O, never under mu.
	keysMu sync.Mutex

	// mu guards all below. It is held over renames and removals too, so that re-keying cannot bring back a file that is being removed.
	mu   sync.Mutex
	ring *ring
	// writers are the files that are open for writing; readers the open tables.
	writers map[any]written
	readers map[string]map[*pageReader]struct{}
	// rewriting is the file that is being sealed anew; gone tells that it has been removed or replaced meanwhile.
	rewriting string
	gone      bool
	// progress is what Rewrite still has to do; nil while it does not work.
	progress *Usage
	// ending is closed and replaced when a writer closes.
	ending chan struct{}
}

// written is a file that is being written; it has a key from the first write on.
type written struct {
	name  string
	keyID uint32
}

// rewriteSuffix marks files that were being sealed anew.
const rewriteSuffix = ".rekey"

// isClear tells the files that stay as they are: a lock without content, the store's format and the heights that it had reached, which every peer is told, and the wrapped keys.
func isClear(name string) bool {
	base := strings.TrimSuffix(filepath.Base(name), ".tmp")
	return base == "LOCK" || base == "FORMAT" || base == "ANCHOR" || base == KeyFileName
}

// Exists tells whether the folder has a key file.
func Exists(fs vfs.FS, dir string) (bool, error) {
	names, err := fs.List(dir)
	if err != nil {
		return false, fmt.Errorf("list folder: %w", err)
	}
	return slices.Contains(names, KeyFileName), nil
}

// Create makes the key file of a folder, with one key. plain tells that the folder has a ledger in plain text, which Rekey will seal.
func Create(fs vfs.FS, dir string, suite crypto.Suite, m Master, plain bool) error {
	r := &ring{plain: plain, keys: make(map[uint32][]byte), wrapped: make(map[uint32]string)}
	if err := r.add(suite, m); err != nil {
		return err
	}
	defer r.wipe()
	return r.store(fs, dir, suite)
}

// Open opens the folder's keys. It alters nothing before the master key has proved right. The folder must be locked by the caller.
func Open(fs vfs.FS, dir string, suite crypto.Suite, m Master) (*FS, error) {
	text, err := readKeyFile(fs, dir)
	if err != nil {
		return nil, err
	}
	r, err := decodeRing(suite, text, m)
	if err != nil {
		return nil, err
	}
	v := &FS{FS: fs, dir: dir, suite: suite, master: m, ring: r, writers: make(map[any]written), readers: make(map[string]map[*pageReader]struct{}),
		ending: make(chan struct{})}
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, rewriteSuffix) { // what a crash has left of a rewriting
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return nil, fmt.Errorf("remove %s: %w", name, err)
			}
		}
	}
	return v, nil
}

// Wipe overwrites the data keys when no file is open any more.
func (v *FS) Wipe() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ring.wipe()
}

// Unwrap implements vfs.FS.
func (v *FS) Unwrap() vfs.FS { return v.FS }

// begin gives a file that is being written its header, under the key that is active now.
func (v *FS) begin(name string, f form, w any) (*header, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, err := newHeader(v.suite, f, v.ring.active, v.ring.keys[v.ring.active], boundName(name))
	if err == nil {
		v.writers[w] = written{name, h.keyID}
	}
	return h, err
}

func (v *FS) ended(w any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.writers, w)
	close(v.ending)
	v.ending = make(chan struct{})
}

func (v *FS) forget(r *pageReader) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.readers[r.name], r)
	if len(v.readers[r.name]) == 0 {
		delete(v.readers, r.name)
	}
}

// touched notes that a name no longer means the file that it did. The caller holds mu.
func (v *FS) touched(names ...string) {
	for _, name := range names {
		v.gone = v.gone || name == v.rewriting
	}
}

// Create implements vfs.FS.
func (v *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touched(name)
	f, err := v.FS.Create(name, category)
	if err != nil || isClear(name) {
		return f, err
	}
	return v.writer(name, f), nil
}

// writer wraps a new, empty file. The caller holds mu.
func (v *FS) writer(name string, f vfs.File) vfs.File {
	var w vfs.File = &logWriter{fs: v, name: name, inner: f}
	if formOf(name) == pages {
		w = &pageWriter{File: f, fs: v, name: name}
	}
	v.writers[w] = written{name: name}
	return w
}

// OpenReadWrite implements vfs.FS, for files in clear only: Pebble opens none so.
func (v *FS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if !isClear(name) {
		return nil, fmt.Errorf("open %s for reading and writing: %w", name, vfs.ErrUnsupported)
	}
	return v.FS.OpenReadWrite(name, category, opts...)
}

// Open implements vfs.FS.
func (v *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, err := v.FS.Open(name, opts...)
	if err != nil || isClear(name) {
		return f, err
	}
	out, err := v.reader(name, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if r, ok := out.(*pageReader); ok {
		if v.readers[name] == nil {
			v.readers[name] = make(map[*pageReader]struct{})
		}
		v.readers[name][r] = struct{}{}
	}
	return out, nil
}

// reader looks at a file's beginning. The caller holds mu.
func (v *FS) reader(name string, f vfs.File) (vfs.File, error) {
	h, plain, err := v.header(name, f)
	if err != nil {
		return nil, err
	}
	if formOf(name) == log {
		if plain {
			return f, nil
		}
		return newLogReader(f, name, h), nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", name, err)
	}
	r := &pageReader{fs: v, name: name, inner: f, header: h, size: info.Size(), file: info.Size()}
	if h != nil {
		if r.size, err = pagesSize(info.Size()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

// header reads a file's header. It is nil for a plain file, where these are allowed, for an empty file and for the torn beginning of a log. The caller holds mu.
func (v *FS) header(name string, f vfs.File) (h *header, plain bool, err error) {
	var b [headerSize]byte
	n, err := readAt(f, b[:], 0)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", name, err)
	}
	keyID, ok := sealedWith(b[:n])
	if !ok {
		torn := n < headerSize || b == [headerSize]byte{} // nothing of the file was ever synced
		switch {
		case n == 0 || (torn && mayTear(name) && !v.ring.plain) || (b == [headerSize]byte{} && mayTear(name)):
			return nil, false, nil
		case v.ring.plain:
			return nil, true, nil
		}
		return nil, false, fmt.Errorf("%w: %s is not encrypted", ErrAltered, name)
	}
	key := v.ring.keys[keyID]
	if key == nil {
		return nil, false, fmt.Errorf("%w: %s is sealed with key %d, which %s does not hold", ErrAltered, name, keyID, KeyFileName)
	}
	if h, err = parseHeader(v.suite, b[:], key, formOf(name), boundName(name)); err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	return h, false, nil
}

// ReuseForWrite implements vfs.FS. A log that is used again is overwritten from the front under a new header, which is durable before the file takes its new name, so that
// never a file bears the name of one and the content of another. A log under an old key is not used again: what lies behind the new records would keep that key in use.
func (v *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touched(oldname, newname)
	f, header, err := v.reuse(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	if f == nil {
		if err := v.FS.Remove(oldname); err != nil {
			return nil, err
		}
		f, err := v.FS.Create(newname, category)
		if err != nil {
			return nil, err
		}
		return v.writer(newname, f), nil
	}
	w := &logWriter{fs: v, name: newname, inner: f, header: header}
	v.writers[w] = written{newname, header.keyID}
	return w, nil
}

// reuse returns the file at its first record, or nil where it is better made anew. The caller holds mu.
func (v *FS) reuse(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, *header, error) {
	r, err := v.FS.Open(oldname)
	if err != nil {
		return nil, nil, err
	}
	var b [headerSize]byte
	n, err := readAt(r, b[:], 0)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", oldname, err)
	}
	if keyID, ok := sealedWith(b[:n]); !ok || keyID != v.ring.active || formOf(newname) != log {
		return nil, nil, nil
	}
	h, err := newHeader(v.suite, log, v.ring.active, v.ring.keys[v.ring.active], boundName(newname))
	if err != nil {
		return nil, nil, err
	}
	f, err := v.FS.OpenReadWrite(oldname, category)
	if err != nil {
		return nil, nil, err
	}
	if _, err = f.Write(bytes.Clone(h.raw[:])); err == nil { // Write may alter what it is given
		err = f.Sync()
	}
	if err == nil {
		err = v.FS.Rename(oldname, newname)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reuse %s: %w", oldname, err), f.Close())
	}
	return f, h, nil
}

// Link implements vfs.FS. A name to which a file is bound cannot be changed.
func (v *FS) Link(oldname, newname string) error {
	if boundName(oldname) != boundName(newname) || isClear(oldname) != isClear(newname) {
		return fmt.Errorf("link %s: %w", newname, vfs.ErrUnsupported)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touched(newname)
	return v.FS.Link(oldname, newname)
}

// Rename implements vfs.FS.
func (v *FS) Rename(oldname, newname string) error {
	if boundName(oldname) != boundName(newname) || isClear(oldname) != isClear(newname) {
		return fmt.Errorf("rename %s: %w", oldname, vfs.ErrUnsupported)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touched(oldname, newname)
	return v.FS.Rename(oldname, newname)
}

// Remove implements vfs.FS.
func (v *FS) Remove(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touched(name)
	return v.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (v *FS) RemoveAll(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = true
	return v.FS.RemoveAll(name)
}

// Stat implements vfs.FS. Of a table it tells the length of the plain text, which Pebble compares with its manifest.
func (v *FS) Stat(name string) (vfs.FileInfo, error) {
	info, err := v.FS.Stat(name)
	if err != nil || info.IsDir() || isClear(name) || formOf(name) != pages {
		return info, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	f, err := v.FS.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := v.reader(name, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return sizedInfo{info, r.(*pageReader).size}, nil
}

// Lock implements vfs.FS.
func (v *FS) Lock(name string) (io.Closer, error) { return v.FS.Lock(name) }
