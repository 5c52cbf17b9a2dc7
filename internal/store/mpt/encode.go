package mpt

import "math/bits"

// The RLP of the three kinds of nodes, as the Ethereum yellow paper's appendix D defines them. Every append function writes one node.

// maxNode is the longest encoding: a branch of 16 hashes.
const maxNode = 3 + 16*33 + 1

func appendList(dst []byte, payload int) []byte {
	switch {
	case payload <= 55:
		return append(dst, 0xc0+byte(payload))
	case payload <= 255:
		return append(dst, 0xf8, byte(payload))
	default:
		return append(dst, 0xf9, byte(payload>>8), byte(payload))
	}
}

func appendString(dst, s, tail []byte) []byte {
	n := len(s) + len(tail)
	switch {
	case n == 1 && s[0] < 0x80:
		return append(dst, s[0])
	case n <= 55:
		dst = append(dst, 0x80+byte(n))
	default:
		dst = append(dst, 0xb8, byte(n))
	}
	return append(append(dst, s...), tail...)
}

func stringSize(s, tail []byte) int {
	n := len(s) + len(tail)
	switch {
	case n == 1 && s[0] < 0x80:
		return 1
	case n <= 55:
		return 1 + n
	default:
		return 2 + n
	}
}

// appendLeaf encodes a leaf whose path starts at nibble from.
func appendLeaf(dst, leaf []byte, from int) []byte {
	key := leafKey(leaf)
	value, tail := leafValue(leaf)
	compact := (64-from)/2 + 1
	head := 1 // the compact path's string header: a single byte below 0x80 is its own
	if compact == 1 {
		head = 0
	}
	dst = appendList(dst, head+compact+stringSize(value, tail))
	if head == 1 {
		dst = append(dst, 0x80+byte(compact))
	}
	if from&1 == 1 {
		dst = append(dst, 0x30|key[from>>1]&15)
		from++
	} else {
		dst = append(dst, 0x20)
	}
	dst = append(dst, key[from>>1:]...)
	return appendString(dst, value, tail)
}

// appendExtension encodes an extension over the nibbles [from, to) of path to a child given by its reference.
func appendExtension(dst []byte, path *[32]byte, from, to int, ref []byte) []byte {
	compact := (to-from)/2 + 1
	head := 1
	if compact == 1 {
		head = 0
	}
	dst = appendList(dst, head+compact+refSize(ref))
	if head == 1 {
		dst = append(dst, 0x80+byte(compact))
	}
	if (to-from)&1 == 1 {
		dst = append(dst, 0x10|byte(nibble(path, from)))
		from++
	} else {
		dst = append(dst, 0)
	}
	for ; from < to; from += 2 {
		dst = append(dst, byte(nibble(path, from)<<4|nibble(path, from+1)))
	}
	return appendRef(dst, ref)
}

// appendRef embeds a reference in its parent: a hash as a string, a short node as it is.
func appendRef(dst, ref []byte) []byte {
	if len(ref) == 32 {
		dst = append(dst, 0xa0)
	}
	return append(dst, ref...)
}

func refSize(ref []byte) int {
	if len(ref) == 32 {
		return 33
	}
	return len(ref)
}

// short returns the reference of child n if it is embedded: a node of less than 32 bytes.
func (b *branch) short(n int) []byte { return b.refs[n][:1+b.refs[n][0]-0xc0] }

// setEmbedded stores a node of less than 32 bytes as the reference of child n.
func (b *branch) setEmbedded(n int, node []byte) {
	copy(b.refs[n][:], node)
	b.embedded |= 1 << n
}

// appendBranch encodes b without its extension, from its children's references.
func appendBranch(dst []byte, b *branch) []byte {
	hashed := bits.OnesCount16(b.child &^ b.embedded)
	payload := 33*hashed + 16 - bits.OnesCount16(b.child) + 1
	for m := b.embedded & b.child; m != 0; m &= m - 1 {
		payload += len(b.short(bits.TrailingZeros16(m)))
	}
	dst = appendList(dst, payload)
	at := len(dst)
	dst = append(dst, make([]byte, payload)...)
	for n := 0; n < 16; n++ {
		switch {
		case b.child>>n&1 == 0:
			dst[at] = 0x80
			at++
		case b.embedded>>n&1 == 1:
			at += copy(dst[at:], b.short(n))
		default:
			dst[at] = 0xa0
			*(*[32]byte)(dst[at+1:]) = b.refs[n]
			at += 33
		}
	}
	dst[at] = 0x80
	return dst
}
