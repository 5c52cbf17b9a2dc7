package mpt

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/crypto"
)

const (
	rate      = 136 // bytes of a message that one permutation takes in
	maxBlocks = maxNode/rate + 1
)

type (
	state4  [25][4]uint64 // four Keccak states side by side
	message struct {
		buf  [maxBlocks * rate]byte
		len  int // without the padding
		size int // with the padding, in blocks
		dst  *[32]byte
	}
)

// hasher computes Keccak-256 of many short messages, four at a time: messages of one length wait until there are four. flush hashes those that wait.
// One goroutine at a time.
type hasher struct {
	single  crypto.KeccakState
	next    *message                   // being filled
	waiting [maxBlocks + 1][4]*message // by length in blocks
	count   [maxBlocks + 1]int
	free    []*message
	a, b    state4
	zero    [rate]byte
}

func newHasher() *hasher {
	return &hasher{single: crypto.NewKeccakState(), next: new(message)}
}

// message returns an empty buffer with room for any node. It is good until push.
func (h *hasher) message() []byte { return h.next.buf[:0] }

// push takes the message that was appended to message() and leaves its hash in dst, at the latest on flush.
func (h *hasher) push(msg []byte, dst *[32]byte) {
	if !fourLanes {
		h.sum(msg, dst)
		return
	}
	m := h.next
	m.dst, m.len, m.size = dst, len(msg), len(msg)/rate+1
	pad := m.buf[len(msg) : m.size*rate]
	clear(pad)
	pad[0] = 0x01
	pad[len(pad)-1] |= 0x80
	k := h.count[m.size]
	h.waiting[m.size][k] = m
	h.count[m.size] = k + 1
	if k == 3 {
		h.run(&h.waiting[m.size], 4)
		h.count[m.size] = 0
	}
	if last := len(h.free) - 1; last >= 0 {
		h.next, h.free = h.free[last], h.free[:last]
	} else {
		h.next = new(message)
	}
}

// flush hashes what waits, mixing lengths so that few lanes stay empty.
func (h *hasher) flush() {
	var mixed [4]*message
	n := 0
	for size := maxBlocks; size > 0; size-- {
		for _, m := range h.waiting[size][:h.count[size]] {
			mixed[n] = m
			if n++; n == 4 {
				h.run(&mixed, 4)
				n = 0
			}
		}
		h.count[size] = 0
	}
	if n > 0 {
		h.run(&mixed, n)
	}
}

// run hashes the first n messages of ms, of any lengths.
func (h *hasher) run(ms *[4]*message, n int) {
	if n == 1 {
		h.sum(ms[0].buf[:ms[0].len], ms[0].dst)
		h.free = append(h.free, ms[0])
		return
	}
	blocks := 0
	for _, m := range ms[:n] {
		blocks = max(blocks, m.size)
	}
	h.a = state4{}
	for i := range blocks {
		p := [4]*byte{&h.zero[0], &h.zero[0], &h.zero[0], &h.zero[0]}
		for k, m := range ms[:n] {
			if i < m.size {
				p[k] = &m.buf[i*rate]
			}
		}
		absorb4(&h.a, p[0], p[1], p[2], p[3])
		permute4(&h.a, &h.b)
		for k, m := range ms[:n] {
			if i == m.size-1 {
				for w := range 4 {
					binary.LittleEndian.PutUint64(m.dst[8*w:], h.a[w][k])
				}
			}
		}
	}
	h.free = append(h.free, ms[:n]...)
}

// sum hashes one message of any length.
func (h *hasher) sum(msg []byte, dst *[32]byte) {
	h.single.Reset()
	h.single.Write(msg)
	h.single.Read(dst[:])
}
