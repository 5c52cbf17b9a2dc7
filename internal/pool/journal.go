package pool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// ErrJournal is wrapped by the refusal of a local transaction that could not be made to survive a restart: nothing was pooled.
var ErrJournal = errors.New("transaction journal cannot be written")

// A journal file is journalMagic and then records: length of sender‖raw (4, big-endian) ‖ CRC-32C of it (4) ‖ sender (20) ‖ raw. The sender
// stands there so that reading back need not recover signatures only to find the nonce used; it decides nothing else.
//
// A file of sealedMagic has, in place of sender‖raw, what Sealer made of it.
const (
	journalMagic = "jialing/pool/1\n"
	sealedMagic  = "jialing/pool/2\n"
	recordHeader = 8
	// sealedRoom is what a Sealer may add: key, salt, number and tag.
	sealedRoom      = 256
	maxRecord       = common.AddressLength + chain.MaxTxSize + sealedRoom
	minJournalBytes = 1 << 20
	journalPattern  = "pending-*.journal"
)

// EmptyJournal is the length of a journal's file without records.
const EmptyJournal = int64(len(journalMagic))

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sealer encrypts the journal's records where the node's ledger is encrypted. Open takes what Seal made under any key that is still there. Safe for concurrent use.
type Sealer interface {
	// Seal appends the sealed plain, which is at most sealedRoom bytes longer, to dst.
	Seal(dst, plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// errSealed is a journal that was sealed, on a node whose ledger is not.
var errSealed = errors.New("the journal is encrypted and the ledger is not: switch [store.encryption] on again, or remove the journal")

// errTorn is a journal that ends within a record or holds an altered one.
var errTorn = errors.New("journal record is incomplete or altered")

// journal appends records to the newest of its files. Safe for concurrent use.
type journal struct {
	dir  string
	sync bool
	// sealer is nil where the records are in plain text.
	sealer Sealer
	// full rings when the file has reached its size.
	full chan struct{}

	// mu guards next only.
	mu   sync.Mutex
	next *group

	// file serialises the writes to the file and guards the fields below; it is held over I/O and never together with another lock.
	file  sync.Mutex
	f     *os.File
	seq   uint64
	size  int64
	limit int64
	bytes int64
}

// group is what several callers append with one write.
type group struct {
	buf     []byte
	written bool
	err     error
}

// appendRecord appends one record; sealer may be nil.
func appendRecord(b []byte, sealer Sealer, sender common.Address, raw []byte) ([]byte, error) {
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	if sealer == nil {
		b = append(append(b, sender[:]...), raw...)
	} else {
		var err error
		if b, err = sealer.Seal(b, append(sender.Bytes(), raw...)); err != nil {
			return nil, err
		}
	}
	body := b[start+recordHeader:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(body)))
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(body, castagnoli))
	return b, nil
}

// openRecord returns a record's sender‖raw.
func openRecord(sealer Sealer, sealed bool, body []byte) ([]byte, error) {
	if sealed {
		var err error
		if body, err = sealer.Open(body); err != nil {
			return nil, errTorn
		}
	}
	if len(body) <= common.AddressLength {
		return nil, errTorn
	}
	return body, nil
}

// readJournal calls f for every whole record and returns the length of what is whole. The error is nil at a clean end, errTorn behind the last
// whole record, or the reader's.
func readJournal(r io.Reader, sealer Sealer, f func(sender common.Address, raw []byte)) (whole int64, err error) {
	magic := make([]byte, len(journalMagic))
	if _, err := io.ReadFull(r, magic); err != nil || (string(magic) != journalMagic && string(magic) != sealedMagic) {
		return 0, torn(err)
	}
	sealed := string(magic) == sealedMagic
	if sealed && sealer == nil {
		return 0, errSealed
	}
	whole = int64(len(magic))
	var head [recordHeader]byte
	for {
		switch _, err := io.ReadFull(r, head[:]); {
		case errors.Is(err, io.EOF):
			return whole, nil
		case err != nil:
			return whole, torn(err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n <= common.AddressLength || n > maxRecord {
			return whole, errTorn
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return whole, torn(err)
		}
		if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
			return whole, errTorn
		}
		if body, err = openRecord(sealer, sealed, body); err != nil {
			return whole, err
		}
		f(common.Address(body[:common.AddressLength]), body[common.AddressLength:])
		whole += recordHeader + int64(n)
	}
}

func torn(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// append makes verified transactions durable to the degree configured. Concurrent callers share one write: the first to get the
// file writes for all that have lined up.
func (j *journal) append(txs []*chain.Tx) error {
	j.mu.Lock()
	if j.next == nil {
		j.next = new(group)
	}
	g := j.next
	for _, tx := range txs {
		b, err := appendRecord(g.buf, j.sealer, tx.Sender(), tx.Raw())
		if err != nil { // what of these is in the group already may stay there: nothing is lost by a record too much
			j.mu.Unlock()
			return fmt.Errorf("seal journal record: %w", err)
		}
		g.buf = b
	}
	j.mu.Unlock()

	j.file.Lock()
	defer j.file.Unlock()
	if g.written {
		return g.err
	}
	j.mu.Lock()
	j.next = nil
	j.mu.Unlock()
	g.written = true
	g.err = j.write(g.buf)
	return g.err
}

// write appends b or leaves the file as it was.
func (j *journal) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := j.f.Write(b)
	if err == nil && j.sync {
		err = j.f.Sync()
	}
	if err != nil {
		_, seek := j.f.Seek(j.size, io.SeekStart)
		return errors.Join(err, j.f.Truncate(j.size), seek)
	}
	j.size += int64(len(b))
	if j.size >= j.limit {
		select {
		case j.full <- struct{}{}:
		default:
		}
	}
	return nil
}

// create makes the file that follows seq, with its magic.
func (j *journal) create(seq uint64) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(j.dir, fmt.Sprintf("pending-%016x.journal", seq)), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	magic := journalMagic
	if j.sealer != nil {
		magic = sealedMagic
	}
	if _, err := f.WriteString(magic); err != nil {
		return nil, errors.Join(fmt.Errorf("create journal: %w", err), f.Close(), os.Remove(f.Name()))
	}
	if err := syncDir(j.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("create journal: %w", err), f.Close())
	}
	return f, nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// postpone lets the file grow by its size again before full rings.
func (j *journal) postpone() {
	j.file.Lock()
	defer j.file.Unlock()
	j.limit = j.size + j.bytes
}

// turn directs all further records to f, the file of seq.
func (j *journal) turn(f *os.File, seq uint64) (old *os.File) {
	j.file.Lock()
	defer j.file.Unlock()
	old = j.f
	j.f, j.seq, j.size, j.limit = f, seq, int64(len(journalMagic)), j.bytes
	return old
}

// finish makes what was written durable and deletes the files before the current one.
func (j *journal) finish() error {
	j.file.Lock()
	defer j.file.Unlock()
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	j.limit = j.size + j.bytes // measured from what still waits, or a full pool would rotate at every record
	names, err := j.files()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != j.f.Name() {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("delete old journal: %w", err)
			}
		}
	}
	return nil
}

// files lists the journal's files, the oldest first.
func (j *journal) files() ([]string, error) {
	names, err := filepath.Glob(filepath.Join(j.dir, journalPattern))
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	slices.Sort(names) // the number has a fixed width
	return names, nil
}

func (j *journal) close() {
	j.file.Lock()
	defer j.file.Unlock()
	j.f.Close() // every record that Add acknowledged is written; there is nothing left to fail
}
