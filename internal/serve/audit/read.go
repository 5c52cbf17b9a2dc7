package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jialing-chain/jialing/internal/crypto"
)

const suffix = ".jsonl"

// Broken is the first record that is not what was written.
type Broken struct {
	File string
	// Line counts from 1. Seq is the record that should stand there; 0 when that is not known.
	Line int
	Seq  uint64
	Why  error
	// Torn tells that the line has no end, as a crash leaves it: that is no forgery.
	Torn bool
}

// Error implements error.
func (b *Broken) Error() string {
	at := fmt.Sprintf("%s, line %d", b.File, b.Line)
	if b.Seq != 0 {
		at += fmt.Sprintf(" (record %d)", b.Seq)
	}
	return at + ": " + b.Why.Error()
}

// Unwrap gives Why.
func (b *Broken) Unwrap() error { return b.Why }

var errTorn = errors.New("it is half written, as a crash leaves it; the node keeps it aside when it starts")

// reading is the state of walking along the chain.
type reading struct {
	suite crypto.Suite
	// seq and hash are of the last good record; started tells that there was one.
	seq     uint64
	hash    crypto.Hash
	started bool
	// good is where the last good record of the current file ends, in bytes.
	good int64
}

// file walks along one file. each may be nil and may end the walk by an error. What does not fit is a *Broken.
func (c *reading) file(name string, f io.Reader, each func(*Record) error) error {
	c.good = 0
	in := bufio.NewReaderSize(f, maxLine+1)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		broken := &Broken{File: name, Line: number}
		if c.started {
			broken.Seq = c.seq + 1
		}
		switch {
		case err == io.EOF && len(line) == 0:
			return nil
		case err == io.EOF:
			broken.Why, broken.Torn = errTorn, true
			return broken
		case errors.Is(err, bufio.ErrBufferFull):
			broken.Why = errForm
			return broken
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		}
		r, err := decode(c.suite, bytes.TrimSuffix(line, []byte("\n")))
		if err == nil && (c.started || r.Seq == 1) {
			err = r.follows(c.seq, c.hash)
		}
		if err != nil {
			broken.Why = err
			return broken
		}
		c.seq, c.hash, c.started = r.Seq, r.Hash, true
		c.good += int64(len(line))
		if each != nil {
			if err := each(r); err != nil {
				return err
			}
		}
	}
}

// files are the log's, oldest first.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	var out []string
	for _, e := range entries {
		if n, ok := number(e.Name()); ok && fileName(n) == e.Name() && e.Type().IsRegular() {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

func fileName(n uint64) string { return fmt.Sprintf("%09d%s", n, suffix) }

func number(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// Report is what Verify found in a log that is whole.
type Report struct {
	Files int `json:"files"`
	// First is the oldest record that is there: above 1 when older files were moved away. Seq and Head are the newest. All 0 for an empty log.
	First uint64      `json:"first"`
	Seq   uint64      `json:"seq"`
	Head  crypto.Hash `json:"head"`
}

// Verify walks along the whole log of a folder, or along the one file that path names. each, if not nil, gets every record. The error is a *Broken where the
// chain is.
func Verify(path string, suite crypto.Suite, each func(*Record) error) (Report, error) {
	var rep Report
	info, err := os.Stat(path)
	if err != nil {
		return rep, fmt.Errorf("read audit log: %w", err)
	}
	names := []string{filepath.Base(path)}
	dir := filepath.Dir(path)
	if info.IsDir() {
		dir = path
		if names, err = files(path); err != nil {
			return rep, err
		}
	}
	walk := reading{suite: suite}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return rep, fmt.Errorf("read audit log: %w", err)
		}
		err = walk.file(name, f, func(r *Record) error {
			if rep.First == 0 {
				rep.First = r.Seq
			}
			rep.Seq, rep.Head = r.Seq, r.Hash
			if each == nil {
				return nil
			}
			return each(r)
		})
		f.Close()
		if err != nil {
			return rep, err
		}
		rep.Files++
	}
	return rep, nil
}
