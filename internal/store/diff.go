package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A diff chunk is a row of entries, ascending by flat key, each
//
//	shared(1) ‖ rest(1) ‖ last rest bytes of the key ‖ uvarint(0: there was no record; else 1+length) ‖ record before the block
//
// where shared counts the leading bytes that the key has in common with the entry before (0 in a chunk's first).

// diffChunkBytes closes a chunk: a look-up reads one whole chunk, and 4 KiB is what Pebble reads at least.
const diffChunkBytes = 4096

// maxDiffChunks is what a chunk's number (2 bytes) can hold: 2^16 chunks are over five million changes in one block.
const maxDiffChunks = 1 << 16

// appendDiffEntry appends one entry; prev is the key of the entry before in the chunk, nil in the first.
func appendDiffEntry(b, prev, key, record []byte) []byte {
	shared := 0
	for shared < len(prev) && shared < len(key) && prev[shared] == key[shared] {
		shared++
	}
	b = append(b, byte(shared), byte(len(key)-shared))
	b = append(b, key[shared:]...)
	if record == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(record))+1)
	return append(b, record...)
}

// walkDiffChunk calls fn for every entry until it returns false. record is nil when there was none; key and record are valid during the call only.
func walkDiffChunk(b []byte, fn func(key, record []byte) bool) error {
	var buf [slotKeySize]byte
	prev := 0
	for len(b) > 0 {
		if len(b) < 2 {
			return fmt.Errorf("diff: %w: cut entry", errRecord)
		}
		shared, rest := int(b[0]), int(b[1])
		if shared > prev || (shared+rest != accountKeySize && shared+rest != slotKeySize) || len(b) < 2+rest {
			return fmt.Errorf("diff: %w: key of %d+%d bytes", errRecord, shared, rest)
		}
		copy(buf[shared:], b[2:2+rest])
		prev = shared + rest
		n, tail, err := uvarint(b[2+rest:], 1+mptMaxRecord)
		if err != nil || (n > 0 && uint64(len(tail)) < n-1) {
			return fmt.Errorf("diff: %w: record length", errRecord)
		}
		var record []byte
		if n > 0 {
			record, tail = tail[:n-1:n-1], tail[n-1:]
		}
		if !fn(buf[:prev], record) {
			return nil
		}
		b = tail
	}
	return nil
}

// mptMaxRecord bounds a flat record: an account's leaf has at most 110 bytes.
const mptMaxRecord = 128

// findInDiffChunk returns a copy of the record before the block, nil when there was none. found is false when the chunk lacks the key.
func findInDiffChunk(b, key []byte) (record []byte, found bool, err error) {
	err = walkDiffChunk(b, func(k, r []byte) bool {
		c := bytes.Compare(k, key)
		if c == 0 {
			found = true
			record = bytes.Clone(r)
		}
		return c < 0
	})
	return record, found, err
}

// chunkList is the value of tableChanges: the numbers of the chunks of that block that hold keys of that fragment, ascending; nearly always one. The first is
// written as it is, the others as their distance.
func appendChunkList(b []byte, chunks []uint16) []byte {
	last := uint16(0)
	for _, c := range chunks {
		b = binary.AppendUvarint(b, uint64(c-last))
		last = c
	}
	return b
}

func decodeChunkList(b []byte) ([]uint16, error) {
	out := make([]uint16, 0, 1)
	last := uint64(0)
	for len(b) > 0 {
		n, rest, err := uvarint(b, maxDiffChunks-1)
		if err != nil || last+n >= maxDiffChunks {
			return nil, fmt.Errorf("change index: %w", errRecord)
		}
		last += n
		out = append(out, uint16(last))
		b = rest
	}
	return out, nil
}
