package store

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// batch builds one Pebble batch without a call that can fail on the way: Pebble's only error in building a batch is one of size (4 GiB), which it panics
// with. Keys and values are copied.
type batch struct {
	b *pebble.Batch
	// epoch is where index entries go, entries their number.
	epoch   int
	entries uint64
}

func (s *Store) newBatch(sizeHint int) *batch { return &batch{b: s.db.NewBatchWithSize(sizeHint)} }

func (b *batch) set(key, value []byte) {
	op := b.b.SetDeferred(len(key), len(value))
	copy(op.Key, key)
	copy(op.Value, value)
	op.Finish() //nolint:errcheck // nil for a batch without an index
}

// setFragment sets an index entry, whose key is built in place.
func (b *batch) setFragment(table byte, fragment, height uint64, value []byte) {
	op := b.b.SetDeferred(fragmentHead+heightSize, len(value))
	b.putFragment(op.Key, table, fragment, height)
	copy(op.Value, value)
	op.Finish() //nolint:errcheck // nil for a batch without an index
}

func (b *batch) setTx(fragment, height uint64, index uint16) {
	op := b.b.SetDeferred(fragmentHead+heightSize+2, 0)
	b.putFragment(op.Key, tableTxs, fragment, height)
	binary.BigEndian.PutUint16(op.Key[fragmentHead+heightSize:], index)
	op.Finish() //nolint:errcheck // nil for a batch without an index
}

func (b *batch) putFragment(key []byte, table byte, fragment, height uint64) {
	key[0] = table
	binary.BigEndian.PutUint16(key[1:], uint16(b.epoch))
	binary.BigEndian.PutUint64(key[1+epochSize:], fragment)
	appendHeight(key[:fragmentHead], height)
	b.entries++
}

func (b *batch) delete(key []byte) {
	op := b.b.DeleteDeferred(len(key))
	copy(op.Key, key)
	op.Finish() //nolint:errcheck // nil for a batch without an index
}

func (b *batch) deleteRange(lo, hi []byte) {
	op := b.b.DeleteRangeDeferred(len(lo), len(hi))
	copy(op.Key, lo)
	copy(op.Value, hi)
	op.Finish() //nolint:errcheck // nil for a batch without an index
}

// setOrDelete writes a flat record; an empty one is none.
func (b *batch) setOrDelete(key, record []byte) {
	if len(record) == 0 {
		b.delete(key)
		return
	}
	b.set(key, record)
}

// close returns the batch's memory. It is safe after apply.
func (b *batch) close() { b.b.Close() } //nolint:errcheck // frees memory only

// batchWriter is the commitment's way into a batch.
type batchWriter struct{ b *pebble.Batch }

func (w batchWriter) Set(key, value []byte) error     { return w.b.Set(key, value, nil) }
func (w batchWriter) Delete(key []byte) error         { return w.b.Delete(key, nil) }
func (w batchWriter) DeleteRange(lo, hi []byte) error { return w.b.DeleteRange(lo, hi, nil) }
