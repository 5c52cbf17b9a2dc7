package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pageBits: pages of 4 KiB. A read of one of Pebble's blocks (8 KiB before compression) opens two or three of them; larger pages open more that was not asked for, which SM4
// without instructions of its own makes dear, smaller ones cost more calls and tags. docs/adr/0012 has the figures.
const (
	pageBits   = 12
	pageSize   = 1 << pageBits
	sealedPage = pageSize + tagSize
)

// writeBuffer is what is sealed before it goes to the file, so that few calls write a table.
const writeBuffer = 32 * sealedPage

// readBuffer bounds what one step of a long read holds.
const readBuffer = 64 * sealedPage

// errPagesOrder is a use that Pebble makes of no table.
var errPagesOrder = errors.New("vault: tables are written from the front, once")

func pageNonce(n *[nonceSize]byte, index uint64, last bool) {
	*n = [nonceSize]byte{}
	if last {
		n[0] = 1
	}
	binary.BigEndian.PutUint64(n[4:], index)
}

// pagesSize is the length of the plain text in a file of this length.
func pagesSize(file int64) (int64, error) {
	if file == 0 {
		return 0, nil
	}
	body := file - headerSize
	whole, rest := body/sealedPage, body%sealedPage
	switch {
	case body <= tagSize || (rest > 0 && rest <= tagSize):
		return 0, fmt.Errorf("%w: %d bytes is no length of a table", ErrAltered, file)
	case rest > 0:
		rest -= tagSize
	}
	return whole*pageSize + rest, nil
}

// pageWriter writes a table. Pebble calls it from one goroutine.
type pageWriter struct {
	vfs.File
	fs     *FS
	name   string
	header *header
	index  uint64
	page   []byte
	out    []byte
	err    error
}

// Write implements vfs.File.
func (w *pageWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if w.header == nil {
		if w.header, w.err = w.fs.begin(w.name, pages, w); w.err != nil {
			return 0, w.err
		}
		w.out = append(w.out, w.header.raw[:]...)
	}
	for rest := p; len(rest) > 0; {
		if len(w.page) == pageSize { // more follows, so it is not the last
			w.seal(w.page, false)
			w.page = w.page[:0]
		}
		if len(w.page) == 0 && len(rest) > pageSize {
			w.seal(rest[:pageSize], false)
			rest = rest[pageSize:]
		} else {
			n := min(pageSize-len(w.page), len(rest))
			w.page, rest = append(w.page, rest[:n]...), rest[n:]
		}
		if len(w.out) >= writeBuffer {
			if w.flush(); w.err != nil {
				return 0, w.err
			}
		}
	}
	return len(p), nil
}

func (w *pageWriter) seal(page []byte, last bool) {
	var nonce [nonceSize]byte
	pageNonce(&nonce, w.index, last)
	w.out = w.header.aead.Seal(w.out, nonce[:], page, nil)
	w.index++
}

func (w *pageWriter) flush() {
	if len(w.out) > 0 && w.err == nil {
		_, w.err = w.File.Write(w.out)
		w.out = w.out[:0]
	}
}

// Sync implements vfs.File. It begins to write out whole pages; the last page, and durability, come with Close: that is when Pebble counts on a table.
func (w *pageWriter) Sync() error {
	w.flush()
	if w.err == nil {
		_, w.err = w.SyncTo(int64(w.index) * pageSize)
	}
	return w.err
}

// SyncData implements vfs.File, as Sync.
func (w *pageWriter) SyncData() error { return w.Sync() }

// SyncTo implements vfs.File.
func (w *pageWriter) SyncTo(length int64) (bool, error) {
	_, err := w.File.SyncTo(headerSize + length/pageSize*sealedPage)
	return false, err
}

// Close implements vfs.File: it seals the last page and makes the table durable.
func (w *pageWriter) Close() error {
	defer w.fs.ended(w)
	if w.header != nil && w.err == nil {
		w.seal(w.page, true)
		w.flush()
		w.page = w.page[:0]
	}
	if w.err == nil {
		w.err = w.File.Sync()
	}
	err := errors.Join(w.err, w.File.Close())
	if w.err == nil {
		w.err = errPagesOrder
	}
	return err
}

// WriteAt implements vfs.File.
func (w *pageWriter) WriteAt([]byte, int64) (int, error) { return 0, errPagesOrder }

// Read implements vfs.File.
func (w *pageWriter) Read([]byte) (int, error) { return 0, errPagesOrder }

// ReadAt implements vfs.File.
func (w *pageWriter) ReadAt([]byte, int64) (int, error) { return 0, errPagesOrder }

// pageReader is a table open for reading, sealed or, while a ledger is converted, plain. Safe for concurrent use, but for Read.
type pageReader struct {
	fs   *FS
	name string

	// mu is held shared over reads, exclusively to change over to the file's new form (swap).
	mu    sync.RWMutex
	inner vfs.File
	// header is nil for a plain file.
	header *header
	// size is the plain text's length, file the file's.
	size, file int64
	pos        int64
}

// Read implements vfs.File.
func (r *pageReader) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	n, err := r.ReadAt(p[:min(int64(len(p)), r.size-r.pos)], r.pos)
	r.pos += int64(n)
	return n, err
}

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}

// ReadAt implements vfs.File.
func (r *pageReader) ReadAt(p []byte, off int64) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.header == nil {
		return r.inner.ReadAt(p, off)
	}
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset", r.name)
	}
	want := len(p)
	p = p[:max(0, min(int64(len(p)), r.size-off))]
	buf := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buf)
	done := 0
	for done < len(p) {
		n, err := r.pagesAt(p[done:], off+int64(done), *buf)
		if err != nil {
			return done, err
		}
		done += n
	}
	if done < want {
		return done, io.EOF
	}
	return done, nil
}

// pagesAt reads as much of p as buf has room for.
func (r *pageReader) pagesAt(p []byte, off int64, buf []byte) (int, error) {
	first := off / pageSize
	count := min((off+int64(len(p))+pageSize-1)/pageSize-first, readBuffer/sealedPage)
	start := headerSize + first*sealedPage
	buf = buf[:min(count*sealedPage, r.file-start)]
	if n, err := r.inner.ReadAt(buf, start); n < len(buf) {
		return 0, fmt.Errorf("read %s at %d: %w", r.name, start, errors.Join(err, io.ErrUnexpectedEOF))
	}
	done := 0
	for i := first; i < first+count; i++ {
		sealed := buf[:min(sealedPage, len(buf))]
		buf = buf[len(sealed):]
		var nonce [nonceSize]byte
		pageNonce(&nonce, uint64(i), start+(i-first+1)*sealedPage >= r.file)
		skip := max(0, int(off-i*pageSize))
		to := sealed[:0]
		whole := skip == 0 && len(p)-done >= len(sealed)-tagSize
		if whole {
			to = p[done:done]
		}
		plain, err := r.header.aead.Open(to, nonce[:], sealed, nil)
		if err != nil {
			return 0, altered(r.name, start+(i-first)*sealedPage)
		}
		if whole {
			done += len(plain)
		} else {
			done += copy(p[done:], plain[skip:])
		}
	}
	return done, nil
}

// altered names a place that does not open.
func altered(name string, offset int64) error {
	return fmt.Errorf("%w: %s at byte %d", ErrAltered, name, offset)
}

// swap changes over to the same plain text in another file.
func (r *pageReader) swap(inner vfs.File, h *header, file int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.inner
	r.inner, r.header, r.file = inner, h, file
	return old.Close()
}

// Stat implements vfs.File.
func (r *pageReader) Stat() (vfs.FileInfo, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	info, err := r.inner.Stat()
	if err != nil {
		return nil, err
	}
	return sizedInfo{info, r.size}, nil
}

// Prefetch implements vfs.File.
func (r *pageReader) Prefetch(off, length int64) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.header == nil {
		return r.inner.Prefetch(off, length)
	}
	first := off / pageSize
	last := (off + length + pageSize - 1) / pageSize
	return r.inner.Prefetch(headerSize+first*sealedPage, (last-first)*sealedPage)
}

// Close implements vfs.File.
func (r *pageReader) Close() error {
	r.fs.forget(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inner.Close()
}

// Fd implements vfs.File. A descriptor would change with the file.
func (r *pageReader) Fd() uintptr { return vfs.InvalidFd }

// Write implements vfs.File.
func (r *pageReader) Write([]byte) (int, error) { return 0, errReadOnly }

// WriteAt implements vfs.File.
func (r *pageReader) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }

// Preallocate implements vfs.File.
func (r *pageReader) Preallocate(int64, int64) error { return errReadOnly }

// Sync implements vfs.File.
func (r *pageReader) Sync() error { return nil }

// SyncData implements vfs.File.
func (r *pageReader) SyncData() error { return nil }

// SyncTo implements vfs.File.
func (r *pageReader) SyncTo(int64) (bool, error) { return true, nil }

// errReadOnly is a write to a file that was opened for reading.
var errReadOnly = errors.New("vault: the file is open for reading")

// sizedInfo tells the length of the plain text.
type sizedInfo struct {
	vfs.FileInfo
	size int64
}

// Size implements os.FileInfo.
func (i sizedInfo) Size() int64 { return i.size }
