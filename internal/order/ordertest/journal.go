package ordertest

import (
	"slices"
	"sync"
	"time"
)

// Journal is an order.Journal in memory that outlives its node.
type Journal struct {
	mu      sync.Mutex
	entries [][]byte
	fail    error
	failing failing
	delay   time.Duration
	// beside is in the same log; nil: none.
	beside *Ledger
}

// Beside puts the journal into the log of a ledger: what is appended here makes durable what was written there before. Call it before use.
func (j *Journal) Beside(l *Ledger) { j.beside = l }

// FailAfter makes appending fail with err once n more have succeeded.
func (j *Journal) FailAfter(n int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failing = failing{n, err}
}

// Delay makes appending take d.
func (j *Journal) Delay(d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.delay = d
}

// Fail makes appending fail with err, or work again with nil.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail, j.failing = err, failing{}
}

// Append implements order.Journal.
func (j *Journal) Append(entry []byte, truncate bool) error {
	err := j.append(entry, truncate)
	if err == nil && j.beside != nil {
		j.beside.Sync()
	}
	return err
}

func (j *Journal) append(entry []byte, truncate bool) error {
	j.mu.Lock()
	delay := j.delay
	j.mu.Unlock()
	time.Sleep(delay) // in virtual time
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail = j.failing.write(j.fail); j.fail != nil {
		return j.fail
	}
	if truncate {
		j.entries = nil
	}
	j.entries = append(j.entries, slices.Clone(entry))
	return nil
}

// Entries implements order.Journal.
func (j *Journal) Entries() ([][]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries), nil
}

// failing counts writes down to a failure.
type failing struct {
	after int
	err   error
}

// write is called for each write; it returns what has failed before, or fails now.
func (f *failing) write(before error) error {
	if before != nil || f.err == nil {
		return before
	}
	if f.after--; f.after < 0 {
		return f.err
	}
	return nil
}
