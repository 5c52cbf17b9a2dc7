package vault

import (
	"crypto/cipher"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// BenchmarkSeal and BenchmarkOpen say what a page of a given size costs on each suite: the choice of pageBits.
func BenchmarkSeal(b *testing.B) {
	benchmarkPages(b, func(a cipher.AEAD, plain, sealed, out, nonce []byte) { a.Seal(out[:0], nonce, plain, nil) })
}

func BenchmarkOpen(b *testing.B) {
	benchmarkPages(b, func(a cipher.AEAD, plain, sealed, out, nonce []byte) {
		if _, err := a.Open(out[:0], nonce, sealed, nil); err != nil {
			b.Fatal(err)
		}
	})
}

func benchmarkPages(b *testing.B, do func(a cipher.AEAD, plain, sealed, out, nonce []byte)) {
	for _, s := range suites {
		for _, size := range []int{256, 4 << 10, 8 << 10, 16 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%s/%d", s.Name(), size), func(b *testing.B) {
				a, err := s.AEAD(make([]byte, s.KeySize()))
				require.NoError(b, err)
				plain, nonce := text(size), make([]byte, nonceSize)
				sealed, out := a.Seal(nil, nonce, plain, nil), make([]byte, 0, size+tagSize)
				b.SetBytes(int64(size))
				for b.Loop() {
					do(a, plain, sealed, out, nonce)
				}
			})
		}
	}
}

// BenchmarkRandomBlock reads blocks of 8 KiB at random places of a table in memory, as Pebble does when its cache has not got them.
func BenchmarkRandomBlock(b *testing.B) {
	const size = 8 << 20
	run := func(b *testing.B, fs vfs.FS) {
		write(b, fs, "d/1.sst", text(size))
		f, err := fs.Open("d/1.sst")
		require.NoError(b, err)
		defer f.Close()
		p := make([]byte, 8<<10)
		b.SetBytes(int64(len(p)))
		at := int64(1)
		for b.Loop() {
			if _, err := f.ReadAt(p, at%(size-int64(len(p)))); err != nil {
				b.Fatal(err)
			}
			at += 7_654_321
		}
	}
	b.Run("plain", func(b *testing.B) {
		mem := vfs.NewMem()
		require.NoError(b, mem.MkdirAll("d", 0o755))
		run(b, mem)
	})
	for _, s := range suites {
		b.Run(s.Name(), func(b *testing.B) {
			mem := vfs.NewMem()
			require.NoError(b, mem.MkdirAll("d", 0o755))
			require.NoError(b, Create(mem, "d", s, master{s, 1}, false))
			run(b, reopen(b, mem, s))
		})
	}
}
