package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// diffWriter writes one block's reverse diff and its index into a batch. Keys must come in ascending order.
type diffWriter struct {
	b       *batch
	height  uint64
	chunk   []byte
	number  int
	prev    [slotKeySize]byte
	prevLen int
	index   []changeEntry
}

type changeEntry struct {
	fragment uint64
	chunk    uint16
}

func newDiffWriter(b *batch, height uint64, sizeHint int) *diffWriter {
	return &diffWriter{b: b, height: height, chunk: make([]byte, 0, diffChunkBytes+256), index: make([]changeEntry, 0, sizeHint)}
}

// add appends one change: the flat key and its record before the block, nil when there was none. Block 0 has no diff, nothing was before it.
func (w *diffWriter) add(key, record []byte) {
	if w.height == 0 {
		return
	}
	w.chunk = appendDiffEntry(w.chunk, w.prev[:w.prevLen], key, record)
	w.prevLen = copy(w.prev[:], key)
	w.index = append(w.index, changeEntry{flatFragment(key), uint16(w.number)})
	if len(w.chunk) >= diffChunkBytes {
		w.flush()
	}
}

func (w *diffWriter) flush() {
	if len(w.chunk) > 0 {
		w.b.set(chunkKey(tableDiffs, w.height, uint16(w.number)), w.chunk)
		w.chunk, w.prevLen = w.chunk[:0], 0
		w.number++
	}
}

// finish writes the last chunk and the index.
func (w *diffWriter) finish() error {
	w.flush()
	if w.number > maxDiffChunks {
		return fmt.Errorf("block %d changes too much state for its history: %d chunks, at most %d", w.height, w.number, maxDiffChunks)
	}
	slices.SortFunc(w.index, func(a, b changeEntry) int {
		if c := cmp.Compare(a.fragment, b.fragment); c != 0 {
			return c
		}
		return cmp.Compare(a.chunk, b.chunk)
	})
	var value []byte
	var chunks []uint16
	for i := 0; i < len(w.index); {
		fragment := w.index[i].fragment
		chunks = chunks[:0]
		for ; i < len(w.index) && w.index[i].fragment == fragment; i++ {
			if c := w.index[i].chunk; len(chunks) == 0 || chunks[len(chunks)-1] != c {
				chunks = append(chunks, c)
			}
		}
		value = appendChunkList(value[:0], chunks)
		w.b.setFragment(tableChanges, fragment, w.height, value)
	}
	return nil
}

// firstChangeAfter finds the first block above height that changed the flat key, and returns the record before that block (nil when there was none).
func (s *Store) firstChangeAfter(key []byte, height uint64) (record []byte, found bool, err error) {
	fragment := flatFragment(key)
	e := s.epochs.Load()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableChanges}, UpperBound: []byte{tableChanges + 1}})
	if err != nil {
		return nil, false, s.readError(err)
	}
	defer it.Close()
	for epoch := e.of(height + 1); epoch <= e.last(); epoch++ {
		for ok := it.SeekPrefixGE(fragmentKey(tableChanges, epoch, fragment, height+1)); ok; ok = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return nil, false, s.readError(err)
			}
			if record, found, err = s.changeAt(it.Key(), value, key, height); err != nil || found {
				return record, found, err
			}
		}
		if err := it.Error(); err != nil {
			return nil, false, s.readError(err)
		}
	}
	return nil, false, nil
}

// changeAt looks for the flat key in the diff that an entry of the change index leads to. height is the reader's, for telling pruned from damaged.
func (s *Store) changeAt(entry, value, key []byte, height uint64) (record []byte, found bool, err error) {
	if len(entry) != fragmentHead+heightSize {
		return nil, false, s.corrupt(fmt.Errorf("change index: %w: key of %d bytes", errRecord, len(entry)))
	}
	at := decodeHeight(entry[fragmentHead:])
	chunks, err := decodeChunkList(value)
	if err != nil {
		return nil, false, s.corrupt(err)
	}
	for _, c := range chunks {
		chunk, err := s.get(chunkKey(tableDiffs, at, c))
		switch {
		case err != nil:
			return nil, false, err
		case chunk == nil && s.oldest.Load() > height:
			return nil, false, ErrPruned
		case chunk == nil:
			return nil, false, s.corrupt(fmt.Errorf("diff of block %d lacks chunk %d", at, c))
		}
		if record, found, err = findInDiffChunk(chunk, key); err != nil {
			return nil, false, s.corrupt(err)
		}
		if found {
			return record, true, nil
		}
	}
	return nil, false, nil
}

// diffAt calls fn for every entry of the diff of the block at height, ascending by key.
func (s *Store) diffAt(r pebble.Reader, height uint64, fn func(key, record []byte) error) error {
	lo := heightKey(tableDiffs, height)
	return s.scan(r, lo, prefixEnd(lo), func(_, chunk []byte) (err error) {
		walkErr := walkDiffChunk(chunk, func(key, record []byte) bool {
			err = fn(key, record)
			return err == nil
		})
		if walkErr != nil {
			return s.corrupt(fmt.Errorf("block %d: %w", height, walkErr))
		}
		return err
	})
}
