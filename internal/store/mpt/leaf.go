package mpt

import "bytes"

// A leaf block is the leaves of a branch's non-explicit children in key order, each
//
//	key(32) ‖ n(1) ‖ stored value
//
// where the low seven bits of n count the stored bytes and the high bit says that plainTail was cut off them.

const (
	// MaxValue bounds a leaf value: an account's RLP has at most 110 bytes, a slot's 33.
	MaxValue = maxStored

	// pageLeaves is the largest subtree that is kept as leaves only. Larger: fewer records to write, more leaves to hash again for each change. At eight, a
	// change hashes at most eight leaves more, about what one record costs; and a branch over nine leaves never encodes to less than 32 bytes
	// (9 × 3 + 8), so a record's reference is always a hash.
	pageLeaves = 8

	leafHead   = 33
	maxStored  = 127
	tailCut    = 0x80
	leafLength = 0x7f
)

// appendStored appends n ‖ stored value.
func appendStored(dst, value []byte) []byte {
	if short, ok := bytes.CutSuffix(value, plainTail); ok {
		dst = append(dst, byte(len(short))|tailCut)
		return append(dst, short...)
	}
	dst = append(dst, byte(len(value)))
	return append(dst, value...)
}

// leafSize is the size of the first leaf of a non-empty block.
func leafSize(block []byte) int { return leafHead + int(block[32]&leafLength) }

func leafKey(leaf []byte) *[32]byte { return (*[32]byte)(leaf) }

// leafValue splits the first leaf's value into the stored part and the constant tail.
func leafValue(leaf []byte) (stored, tail []byte) {
	stored = leaf[leafHead:leafSize(leaf)]
	if leaf[32]&tailCut != 0 {
		tail = plainTail
	}
	return stored, tail
}

// run is a piece of a leaf block: the leaves that share one nibble.
type run struct {
	leaves []byte
	count  int
	last   int // offset of the last leaf
}

// nextRun cuts from a non-empty block its leading leaves that have the same nibble at depth.
func nextRun(block []byte, depth int) (n int, r run, rest []byte) {
	n = nibble(leafKey(block), depth)
	end := 0
	for end < len(block) && nibble(leafKey(block[end:]), depth) == n {
		r.last = end
		r.count++
		end += leafSize(block[end:])
	}
	r.leaves = block[:end]
	return n, r, block[end:]
}

// findRun returns the leaves with nibble n at depth.
func findRun(block []byte, depth, n int) run {
	for len(block) > 0 {
		m, r, rest := nextRun(block, depth)
		if m == n {
			return r
		}
		block = rest
	}
	return run{}
}

// wholeRun makes a run of all leaves of a block.
func wholeRun(block []byte) run {
	r := run{leaves: block}
	for end := 0; end < len(block); end += leafSize(block[end:]) {
		r.last = end
		r.count++
	}
	return r
}

// prefix is the number of nibbles that all leaves of a run of two or more share.
func (r *run) prefix() int {
	return commonPrefix(leafKey(r.leaves), leafKey(r.leaves[r.last:]))
}

// findLeaf returns the leaf with the given key, or nil.
func findLeaf(block []byte, key *[32]byte) []byte {
	for len(block) > 0 {
		n := leafSize(block)
		if *leafKey(block) == *key {
			return block[:n]
		}
		block = block[n:]
	}
	return nil
}
