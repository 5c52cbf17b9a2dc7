package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MarkFile is the name of a mark in the folder that it marks.
const MarkFile = "signing.mark"

// Mark tells the folder in which a key has signed from a copy of it: it names its own file by what the file system gives to a file when it makes it and to no
// other, so that whoever copies the folder, or puts back an older one, has a mark that names another file. It cannot tell a disk that was rolled back as a
// whole; the other validators can. It holds no secret.
type Mark struct {
	path string
	// Past is what the mark said when it was opened.
	Past Past
	body markBody
}

// Past is what a folder knows of what was signed in it.
type Past int

const (
	// NewFolder: there was no mark, or none that can be read.
	NewFolder Past = iota
	// OwnFolder: the mark is of this folder.
	OwnFolder
	// CopiedFolder: the mark is of another folder, of which this one is a copy.
	CopiedFolder
)

// markBody is the file.
type markBody struct {
	// Born is when the file was made, in nanoseconds, by the file system's word; Inode its number there. One of them is 0 where there is no such word.
	Born  int64  `json:"born,omitempty"`
	Inode uint64 `json:"inode"`
	// Starts counts openings, so that a mark differs from that in any older copy: tools that put back what differs then put back the mark too, as another file.
	Starts uint64 `json:"starts"`
}

// maxMark bounds the file in bytes.
const maxMark = 1 << 10

// OpenMark reads the mark of a folder, and makes one where there is none. A folder whose mark says that it is a copy stays one until Settle.
func OpenMark(dir string) (*Mark, error) {
	m := &Mark{path: filepath.Join(dir, MarkFile)}
	f, err := os.Open(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, m.Settle()
	}
	if err != nil {
		return nil, fmt.Errorf("open mark: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMark))
	if err != nil {
		return nil, fmt.Errorf("read mark: %w", err)
	}
	now, err := identify(f)
	if err != nil {
		return nil, fmt.Errorf("read mark: %w", err)
	}
	if json.Unmarshal(b, &m.body) != nil || m.body.Inode == 0 {
		return m, m.Settle() // it broke off while it was made
	}
	if !m.body.same(now) {
		m.Past = CopiedFolder
		return m, nil
	}
	m.Past = OwnFolder
	return m, m.Settle()
}

// Settle makes the folder its own: durable on return.
func (m *Mark) Settle() (err error) {
	f, err := os.OpenFile(m.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	now, err := identify(f)
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	now.Starts = m.body.Starts + 1
	b, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	// In place: another file in its stead would be another folder's. The file is far smaller than what a disk writes at once.
	if _, err := f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	if err := errors.Join(f.Truncate(int64(len(b))), f.Sync(), syncFolder(filepath.Dir(m.path))); err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	m.body = now
	return nil
}

// same tells whether both name one file. The time of birth is told in ticks of some milliseconds, in which a copy may be made, and a number is given again when
// its file is gone: it takes both. A disk that moved to where numbers are others is taken for a copy, and settled as one.
func (b markBody) same(other markBody) bool {
	return b.Inode == other.Inode && (b.Born == 0 || other.Born == 0 || b.Born == other.Born)
}
