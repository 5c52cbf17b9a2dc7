package mpt

import (
	"encoding/binary"
	"math/bits"
)

// A path is the leading nibbles of a 32-byte key, the high nibble of each byte first; whoever holds one also holds its length.

func nibble(key *[32]byte, i int) int {
	return int(key[i>>1]>>(4*(^i&1))) & 15
}

func setNibble(key *[32]byte, i int, v byte) {
	shift := 4 * (^i & 1)
	key[i>>1] = key[i>>1]&^(15<<shift) | v<<shift
}

// commonPrefix counts the leading nibbles that a and b share, up to 64.
func commonPrefix(a, b *[32]byte) int {
	for i := 0; i < 32; i += 8 {
		if x := binary.BigEndian.Uint64(a[i:]) ^ binary.BigEndian.Uint64(b[i:]); x != 0 {
			return i*2 + bits.LeadingZeros64(x)/4
		}
	}
	return 64
}

// clearFrom zeroes the nibbles from n on.
func clearFrom(key *[32]byte, n int) {
	if n&1 == 1 {
		key[n>>1] &= 0xf0
		n++
	}
	clear(key[n>>1:])
}

// pathString prints the first n nibbles as hexadecimal digits.
func pathString(key *[32]byte, n int) string {
	const digits = "0123456789abcdef"
	s := make([]byte, n)
	for i := range s {
		s[i] = digits[nibble(key, i)]
	}
	return string(s)
}

func bytesLess(a, b *[32]byte) bool {
	if x, y := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:]); x != y {
		return x < y
	}
	return string(a[:]) < string(b[:])
}

func keyPrefix(key *[32]byte) uint64 { return binary.BigEndian.Uint64(key[:]) }
