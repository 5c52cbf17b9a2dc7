package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// maxFile is where a new file is begun: small enough to read and to move away, some fifty thousand records.
const maxFile = 16 << 20

// ErrInUse is a log that another process writes.
var ErrInUse = errors.New("the audit log is in use by a running node")

// Log is an open log. Its methods are safe for concurrent use.
type Log struct {
	dir   string
	suite crypto.Suite
	now   func() time.Time
	log   *slog.Logger
	lock  *os.File
	limit int64

	mu   sync.Mutex // guards the fields below; writing is under it, as records have an order
	file *os.File
	// number is the file's, size what of it is good.
	number uint64
	size   int64
	seq    uint64
	head   crypto.Hash
	// failed is set when the disk's state is no longer known; nothing is written after that.
	failed error
}

// Open opens the log of a folder, which it makes. What a crash left half written is put aside and recorded; a chain that is broken is left as it is, and
// a record in a new file tells of it. now is the wall clock.
func Open(dir string, suite crypto.Suite, now func() time.Time, log *slog.Logger) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, fmt.Errorf("lock audit log: %w", err)
	}
	l := &Log{dir: dir, suite: suite, now: now, log: log, lock: lock, limit: maxFile}
	if err := l.resume(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Append opens the log of a folder, records e and closes it: for commands that change a node's folder while the node does not run. It is ErrInUse when it does.
func Append(dir string, suite crypto.Suite, e Entry) error {
	l, err := Open(dir, suite, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, err = l.Append(e)
	return errors.Join(err, l.Close())
}

// Append records e; it is on disk when Append returns. An error means that it is not on record.
func (l *Log) Append(e Entry) (Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(e)
}

// Begin records that who is about to do something; what is not on record must not be done.
func (l *Log) Begin(who, action string, params []byte) (seq uint64, err error) {
	r, err := l.Append(Entry{Who: who, Action: action, Params: params, Result: Begun})
	return r.Seq, err
}

// End records how what Begin announced has ended; "" is well.
func (l *Log) End(seq uint64, who, action, failure string) error {
	if failure == "" {
		failure = OK
	}
	_, err := l.Append(Entry{Who: who, Action: action, Result: failure, Of: seq})
	return err
}

// Head is the newest record's number and hash; both zero for an empty log.
func (l *Log) Head() (uint64, crypto.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq, l.head
}

// Close gives the folder free.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.file != nil {
		err = l.file.Close()
		l.file = nil
	}
	l.failed = os.ErrClosed
	return errors.Join(err, l.lock.Close())
}

// resume finds the chain's end. Only the newest file is read: the older ones are Verify's matter.
func (l *Log) resume() error {
	names, err := files(l.dir)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return l.begin(1)
	}
	// A file that a crash left without a record says nothing; then the one before it does.
	for len(names) > 1 && emptyFile(filepath.Join(l.dir, names[len(names)-1])) {
		if err := os.Remove(filepath.Join(l.dir, names[len(names)-1])); err != nil {
			return fmt.Errorf("open audit log: %w", err)
		}
		names = names[:len(names)-1]
	}
	name := names[len(names)-1]
	l.number, _ = number(name)
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	l.file = f
	walk := reading{suite: l.suite}
	err = walk.file(name, f, nil)
	l.seq, l.head, l.size = walk.seq, walk.hash, walk.good
	broken := new(Broken)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &broken):
		return err
	case broken.Torn:
		return l.putAside()
	}
	l.log.Error("the audit log is broken; it goes on in a new file: see jialing audit verify", "err", err)
	if err := l.begin(l.number + 1); err != nil {
		return err
	}
	_, err = l.append(Entry{Who: "node", Action: "audit log broken", Result: broken.Error()})
	return err
}

func emptyFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == 0
}

// putAside moves the half record at the end into a file of its own and records that.
func (l *Log) putAside() error {
	info, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	// A crash tears one record; more bytes than one has are not looked at, but counted.
	torn := make([]byte, min(info.Size()-l.size, maxLine))
	if _, err := l.file.ReadAt(torn, l.size); err != nil {
		return fmt.Errorf("read the torn end of the audit log: %w", err)
	}
	name := fmt.Sprintf("torn-%d", l.seq+1)
	for i := 2; ; i++ {
		err := writeWhole(filepath.Join(l.dir, name), torn)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("put the torn end of the audit log aside: %w", err)
		}
		// A crash right after the last time: the same bytes need no second file.
		if old, err := os.ReadFile(filepath.Join(l.dir, name)); err == nil && bytes.Equal(old, torn) {
			break
		}
		name = fmt.Sprintf("torn-%d.%d", l.seq+1, i)
	}
	if err := l.sync(); err != nil {
		return err
	}
	if err := errors.Join(l.file.Truncate(l.size), l.file.Sync()); err != nil {
		return fmt.Errorf("cut the torn end of the audit log: %w", err)
	}
	l.log.Warn("the audit log ended in half a record, which a crash leaves; it was put aside", "file", name)
	_, err = l.append(Entry{Who: "node", Action: "audit log torn", Params: torn, Result: fmt.Sprintf("%d bytes put aside in %s", len(torn), name)})
	return err
}

func writeWhole(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// begin makes a new file and closes the last one.
func (l *Log) begin(number uint64) error {
	f, err := os.OpenFile(filepath.Join(l.dir, fileName(number)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("begin an audit file: %w", err)
	}
	if l.file != nil {
		l.file.Close() // everything in it is synced
	}
	l.file, l.number, l.size = f, number, 0
	return l.sync()
}

// sync makes the folder's entries durable.
func (l *Log) sync() error {
	d, err := os.Open(l.dir)
	if err != nil {
		return fmt.Errorf("sync audit folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync audit folder: %w", err)
	}
	return nil
}

// append writes a record. A write that fails is cut off, so that the next one can be tried (a full disk gets room again); a sync that fails is final, as the
// kernel may have dropped what it could not write.
func (l *Log) append(e Entry) (Record, error) {
	if l.failed != nil {
		return Record{}, fmt.Errorf("write audit record: %w", l.failed)
	}
	if l.size >= l.limit {
		if err := l.begin(l.number + 1); err != nil {
			return Record{}, err
		}
	}
	r := newRecord(l.suite, l.seq+1, l.head, l.now(), e)
	line, err := r.encode()
	if err != nil {
		return Record{}, err
	}
	if _, err := l.file.WriteAt(line, l.size); err != nil {
		if cerr := l.file.Truncate(l.size); cerr != nil {
			l.failed = cerr
		}
		return Record{}, fmt.Errorf("write audit record: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		l.failed = err
		return Record{}, fmt.Errorf("write audit record: %w", err)
	}
	l.seq, l.head, l.size = r.Seq, r.Hash, l.size+int64(len(line))
	return r, nil
}
