package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log is its header and then records: length of the plain text(4) ‖ number(4) ‖ synced(4) ‖ check(4) ‖ sealed text. The number counts from 0. synced is how many records of
// the file were durable when this one was made. The check (CRC-32C over the file's salt and the rest) finds records behind a damaged one; what counts is the tag, which covers
// the first twelve bytes too. A record of length endMark has no text: the file was closed there.
const (
	recordHeader = 16
	maxRecord    = 32 << 10
	endMark      = 1 << 31
	maxSealed    = recordHeader + maxRecord + tagSize
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is a record's beginning.
type record struct {
	length, number, synced uint32
}

func (r record) size() int { return recordHeader + int(r.length&^endMark) + tagSize }

func (r record) append(b []byte, seed uint32) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, r.length)
	b = binary.BigEndian.AppendUint32(b, r.number)
	b = binary.BigEndian.AppendUint32(b, r.synced)
	return binary.BigEndian.AppendUint32(b, crc32.Update(seed, castagnoli, b[start:]))
}

// parseRecord takes at least recordHeader bytes.
func parseRecord(b []byte, seed uint32) (r record, ok bool) {
	r = record{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
	if r.synced > r.number || (r.length != endMark && (r.length == 0 || r.length > maxRecord)) {
		return r, false
	}
	return r, crc32.Update(seed, castagnoli, b[:12]) == binary.BigEndian.Uint32(b[12:])
}

func recordNonce(n *[nonceSize]byte, number uint32) {
	*n = [nonceSize]byte{}
	binary.BigEndian.PutUint32(n[8:], number)
}

func (h *header) seed() uint32 { return crc32.Checksum(h.salt(), castagnoli) }

// sealRecord appends a record to b.
func (h *header) sealRecord(b []byte, r record, plain []byte) []byte {
	start := len(b)
	b = r.append(b, h.seed())
	var nonce [nonceSize]byte
	recordNonce(&nonce, r.number)
	return h.aead.Seal(b, nonce[:], plain, b[start:start+12])
}

// openRecord opens a whole record in place.
func (h *header) openRecord(r record, b []byte) ([]byte, error) {
	var nonce [nonceSize]byte
	recordNonce(&nonce, r.number)
	sealed := b[recordHeader:r.size()]
	return h.aead.Open(sealed[:0], nonce[:], sealed, b[:12])
}

// logWriter appends to a log. The mutex is for re-keying; Pebble writes and syncs from one goroutine at a time.
type logWriter struct {
	fs   *FS
	name string

	// mu guards all below and is held over I/O: it serialises what reaches the file.
	mu    sync.Mutex
	inner vfs.File
	// header is nil until the first write.
	header *header
	// number is the next record's; synced are durable.
	number, synced uint32
	out            []byte
	err            error
}

// Write implements vfs.File.
func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || len(p) == 0 {
		return 0, w.err
	}
	w.out = w.out[:0]
	if w.header == nil {
		if w.header, w.err = w.fs.begin(w.name, log, w); w.err != nil {
			return 0, w.err
		}
		w.out = append(w.out, w.header.raw[:]...)
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), maxRecord)
		if w.number == math.MaxUint32 {
			w.err = fmt.Errorf("vault: %s has as many records as a file can have", w.name)
			return 0, w.err
		}
		w.out = w.header.sealRecord(w.out, record{uint32(n), w.number, w.synced}, rest[:n])
		w.number, rest = w.number+1, rest[n:]
		if len(rest) == 0 || len(w.out) >= writeBuffer {
			if _, w.err = w.inner.Write(w.out); w.err != nil {
				return 0, w.err
			}
			w.out = w.out[:0]
		}
	}
	return len(p), nil
}

// Sync implements vfs.File.
func (w *logWriter) Sync() error { return w.sync(vfs.File.Sync) }

// SyncData implements vfs.File.
func (w *logWriter) SyncData() error { return w.sync(vfs.File.SyncData) }

func (w *logWriter) sync(how func(vfs.File) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if err := how(w.inner); err != nil {
		w.err = err // nobody knows what is on the disk
		return err
	}
	w.synced = w.number
	return nil
}

// SyncTo implements vfs.File. The sealed file is longer than the plain text, so this asks for a little less than it may.
func (w *logWriter) SyncTo(length int64) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return false, w.err
	}
	return w.inner.SyncTo(length)
}

// Close implements vfs.File. The end mark vouches for the records before it. A file that may tear is as after a crash where the mark cannot be written, which loses nothing;
// others are whole only with it.
func (w *logWriter) Close() error {
	defer w.fs.ended(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.header != nil && w.err == nil {
		_, err = w.inner.Write(w.header.sealRecord(w.out[:0], record{endMark, w.number, w.synced}, nil))
		if mayTear(w.name) {
			err = nil
		} else if err == nil {
			err = w.inner.Sync()
		}
	}
	if w.err == nil {
		w.err = errors.New("vault: the file is closed")
	}
	return errors.Join(err, w.inner.Close())
}

// Preallocate implements vfs.File. It is a hint, and the sealed file hardly longer.
func (w *logWriter) Preallocate(off, length int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inner.Preallocate(off, length)
}

// Stat implements vfs.File. The size is the sealed file's: Pebble asks for logs only, to account for disk space.
func (w *logWriter) Stat() (vfs.FileInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inner.Stat()
}

// Fd implements vfs.File: Pebble only asks whether there is one.
func (w *logWriter) Fd() uintptr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inner.Fd()
}

var errAppendOnly = errors.New("vault: the file is open for appending")

// Read implements vfs.File.
func (w *logWriter) Read([]byte) (int, error) { return 0, errAppendOnly }

// ReadAt implements vfs.File.
func (w *logWriter) ReadAt([]byte, int64) (int, error) { return 0, errAppendOnly }

// WriteAt implements vfs.File.
func (w *logWriter) WriteAt([]byte, int64) (int, error) { return 0, errAppendOnly }

// Prefetch implements vfs.File.
func (w *logWriter) Prefetch(int64, int64) error { return nil }

// logReader reads a log from the front. For one goroutine, as Pebble uses it.
type logReader struct {
	vfs.File
	name string
	// header is nil where the file is empty or torn before its first record.
	header *header
	seed   uint32
	// at is where the next record begins, number its number.
	at     int64
	number uint32
	// plain is what has been opened and not been read yet; read how much of the plain text went before.
	plain []byte
	read  int64
	buf   []byte
	err   error
	// ended tells that the end mark was met.
	ended bool
}

func newLogReader(f vfs.File, name string, h *header) *logReader {
	r := &logReader{File: f, name: name, header: h, at: headerSize}
	if h == nil {
		r.err = io.EOF
		return r
	}
	r.seed = h.seed()
	return r
}

// Read implements vfs.File.
func (r *logReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err == nil {
			r.plain, r.err = r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	r.read += int64(n)
	return n, nil
}

// ReadAt implements vfs.File by reading from the front: Pebble reads no log at random, so it only has to be right.
func (r *logReader) ReadAt(p []byte, off int64) (int, error) {
	again := newLogReader(r.File, r.name, r.header)
	if _, err := io.CopyN(io.Discard, again, off); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(again, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// Prefetch implements vfs.File.
func (r *logReader) Prefetch(int64, int64) error { return nil }

// Fd implements vfs.File.
func (r *logReader) Fd() uintptr { return vfs.InvalidFd }

// next opens the next record; io.EOF is the end, torn or not.
func (r *logReader) next() ([]byte, error) {
	if r.buf == nil {
		r.buf = make([]byte, maxSealed)
	}
	n, err := readAt(r.File, r.buf[:recordHeader], r.at)
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", r.name, r.at, err)
	}
	if n < recordHeader {
		return nil, r.torn()
	}
	rec, ok := parseRecord(r.buf, r.seed)
	if !ok || rec.number != r.number {
		return nil, r.torn()
	}
	if n, err = readAt(r.File, r.buf[recordHeader:rec.size()], r.at+recordHeader); err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", r.name, r.at, err)
	}
	if n < rec.size()-recordHeader {
		return nil, r.torn()
	}
	plain, err := r.header.openRecord(rec, r.buf)
	if err != nil {
		return nil, r.torn()
	}
	if rec.length == endMark {
		r.ended = true
		return nil, io.EOF
	}
	r.at, r.number = r.at+int64(rec.size()), r.number+1
	return plain, nil
}

// torn decides about a record that is not there or does not open: io.EOF if a crash may have left it so, ErrAltered if not.
func (r *logReader) torn() error {
	if !mayTear(r.name) {
		return altered(r.name, r.at)
	}
	witness, err := r.witness()
	if err != nil {
		return fmt.Errorf("read %s: %w", r.name, err)
	}
	if witness {
		return altered(r.name, r.at)
	}
	return io.EOF
}

// witness looks behind a record that fails for one that says that it was durable. It reads the rest of the file once.
func (r *logReader) witness() (bool, error) {
	const window = 8 * maxSealed
	buf := make([]byte, window+maxSealed)
	for base := r.at + 1; ; {
		n, err := readAt(r.File, buf, base)
		if err != nil || n < recordHeader {
			return false, err
		}
		i := 0
		for ; i <= n-recordHeader && i < window; i++ {
			// Most places fail here, at the price of one comparison.
			if number := binary.BigEndian.Uint32(buf[i+4:]); number <= r.number || number-r.number > uint32(n)+uint32(base-r.at) {
				continue
			}
			rec, ok := parseRecord(buf[i:], r.seed)
			if !ok || rec.size() > n-i {
				continue
			}
			if _, err := r.header.openRecord(rec, append([]byte(nil), buf[i:i+rec.size()]...)); err != nil {
				continue
			}
			if rec.synced > r.number {
				return true, nil
			}
			i += rec.size() - 1
		}
		if n < len(buf) {
			return false, nil
		}
		base += int64(i)
	}
}

// readAt fills p as far as the file goes.
func readAt(f io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}
