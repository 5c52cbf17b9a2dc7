package mpt

import "fmt"

// Writer takes the records of a commit, in practice into the store's batch. The arguments are valid during the call only.
type Writer interface {
	Set(key, value []byte) error
	Delete(key []byte) error
	DeleteRange(lo, hi []byte) error // [lo, hi)
}

// Changes are the node records that one commit sets and deletes. They do not change any more, and may be applied from any goroutine, once for every
// commit and in the order of the commits.
type Changes struct {
	logs []opLog
}

// Records counts the operations.
func (c *Changes) Records() (n int) {
	for i := range c.logs {
		n += c.logs[i].n
	}
	return n
}

// Bytes counts the bytes of their keys and values.
func (c *Changes) Bytes() (n int) {
	for i := range c.logs {
		n += len(c.logs[i].b) - 3*c.logs[i].n
	}
	return n
}

// Apply hands the operations to w in order, up to the first error.
func (c *Changes) Apply(w Writer) error {
	for i := range c.logs {
		if err := c.logs[i].apply(w); err != nil {
			return fmt.Errorf("write node records: %w", err)
		}
	}
	return nil
}

// opLog is a sequence of operations, each  kind(1) ‖ n(1) ‖ m(1) ‖ key(n) ‖ value or second key(m).
type opLog struct {
	b   []byte
	n   int
	off bool // drop everything: nobody will read it
}

const (
	opSet = iota
	opDelete
	opDeleteRange
)

func (l *opLog) add(kind byte, key, value []byte) {
	if l.off {
		return
	}
	l.b = append(l.b, kind, byte(len(key)), byte(len(value)))
	l.b = append(append(l.b, key...), value...)
	l.n++
}

func (l *opLog) set(key, value []byte)     { l.add(opSet, key, value) }
func (l *opLog) delete(key []byte)         { l.add(opDelete, key, nil) }
func (l *opLog) deleteRange(lo, hi []byte) { l.add(opDeleteRange, lo, hi) }

func (l *opLog) apply(w Writer) (err error) {
	for b := l.b; len(b) > 0 && err == nil; {
		kind, n, m := b[0], 3+int(b[1]), int(b[2])
		key, value := b[3:n], b[n:n+m]
		switch b = b[n+m:]; kind {
		case opSet:
			err = w.Set(key, value)
		case opDelete:
			err = w.Delete(key)
		default:
			err = w.DeleteRange(key, value)
		}
	}
	return err
}
