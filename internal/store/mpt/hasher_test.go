package mpt

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
)

// Every length up to the longest node, in random order and with flushes in between, equals go-ethereum's Keccak.
func TestHasherEqualsKeccak(t *testing.T) {
	if !fourLanes {
		t.Skip("this processor has no AVX2: only go-ethereum's own Keccak would be compared with itself")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	h := newHasher()
	for round := range 50 {
		lengths := rng.Perm(maxNode + 1)
		got := make([][32]byte, len(lengths))
		want := make([][]byte, len(lengths))
		for i, n := range lengths {
			msg := h.message()
			for range n {
				msg = append(msg, byte(rng.Uint32()))
			}
			want[i] = crypto.Keccak256(msg)
			h.push(msg, &got[i])
			if rng.IntN(1+round) == 1 {
				h.flush()
			}
		}
		h.flush()
		for i := range got {
			if !bytes.Equal(got[i][:], want[i]) {
				t.Fatalf("round %d: hash of %d bytes is %x, want %x", round, lengths[i], got[i], want[i])
			}
		}
	}
}

func BenchmarkKeccak(b *testing.B) {
	for _, size := range []int{70, maxNode} {
		b.Run("single", func(b *testing.B) {
			h := newHasher()
			msg := make([]byte, size)
			var dst [32]byte
			for b.Loop() {
				h.sum(msg, &dst)
			}
		})
		b.Run("four", func(b *testing.B) {
			h := newHasher()
			msg := make([]byte, size)
			var dst [32]byte
			for b.Loop() {
				h.push(append(h.message(), msg...), &dst)
			}
		})
	}
}
