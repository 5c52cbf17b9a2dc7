package p2p

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// TestFrames: what is appended comes back, whatever the sizes, and io.EOF stands between frames only.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 4*firstPiece)), 0, 6).Draw(t, "sizes")
		var wire []byte
		for i, n := range sizes {
			wire = appendFrame(wire, bytes.Repeat([]byte{byte(i + 1)}, n))
		}
		r := bufio.NewReader(bytes.NewReader(wire))
		for i, n := range sizes {
			msg, err := readFrame(r, 4*firstPiece)
			if err != nil || !bytes.Equal(msg, bytes.Repeat([]byte{byte(i + 1)}, n)) {
				t.Fatalf("frame %d of %d bytes: %v", i, n, err)
			}
		}
		if _, err := readFrame(r, 1); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("after the last frame: %v", err)
		}
		if len(wire) > 0 {
			r = bufio.NewReader(bytes.NewReader(wire[:len(wire)-1]))
			var err error
			for range sizes {
				if _, err = readFrame(r, 4*firstPiece); err != nil {
					break
				}
			}
			if last := sizes[len(sizes)-1]; err == nil || last > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("a frame cut short: %v", err)
			}
		}
	})
}

// TestFrameClaims: a claim beyond the bound is refused before anything is read or allocated for it, one within the bound costs what has arrived.
func TestFrameClaims(t *testing.T) {
	for _, claim := range []uint64{1 << 20, 1 << 30, math.MaxInt64, math.MaxUint64} {
		r := bufio.NewReader(bytes.NewReader(binary.AppendUvarint(nil, claim)))
		_, err := readFrame(r, 1<<20-1)
		require.ErrorIs(t, err, errTooLong)
	}
	wire := append(binary.AppendUvarint(nil, 1<<30), make([]byte, 100<<10)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readFrame(bufio.NewReader(bytes.NewReader(wire)), 1<<30)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20), "a gigabyte was claimed, a hundred kilobytes came")
	_, err = readFrame(bufio.NewReader(bytes.NewReader(bytes.Repeat([]byte{0xff}, 20))), 1<<30)
	require.Error(t, err)
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{}, 10)
	f.Add(appendFrame(nil, []byte("votes")), 10)
	f.Add(binary.AppendUvarint(nil, 1<<40), 1<<20)
	f.Add([]byte{0x80, 0x80}, 3)
	f.Fuzz(func(t *testing.T, wire []byte, limit int) {
		limit = max(0, min(limit, 1<<24))
		r := bufio.NewReader(bytes.NewReader(wire))
		total := 0
		for {
			msg, err := readFrame(r, limit)
			if err != nil {
				break
			}
			total += len(msg)
			if len(msg) > limit || total > len(wire) {
				t.Fatalf("%d bytes of %d, limit %d", total, len(wire), limit)
			}
		}
	})
}

func sampleHello() *hello {
	return &hello{Instance: [16]byte{1, 2}, Genesis: crypto.Hash{3, 4}, ChainID: 1337, Version: "jialing/1.2.3", Endpoint: "node1.example:30301"}
}

// TestHelloEncoding: the encoding is fixed for ever, since nodes of all versions have to read it, and later fields are skipped.
func TestHelloEncoding(t *testing.T) {
	h := sampleHello()
	wire := h.encode()
	want := append([]byte{1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4}, make([]byte, 30)...)
	want = append(want, 0, 0, 0, 0, 0, 0, 0x05, 0x39)
	want = append(append(want, 13), "jialing/1.2.3"...)
	want = append(append(want, 19), "node1.example:30301"...)
	want = append(want, 0) // no certificates
	require.Equal(t, want, wire)
	earlier, err := decodeHello(wire[:len(wire)-1])
	require.NoError(t, err, "an earlier version shows none")
	require.Equal(t, *h, earlier)
	for _, tail := range []string{"", "a later version's field"} {
		got, err := decodeHello(append(wire, tail...))
		require.NoError(t, err)
		require.Equal(t, *h, got)
	}
	for n := range len(wire) - 1 {
		_, err := decodeHello(wire[:n])
		require.ErrorIs(t, err, errHello, "cut to %d bytes", n)
	}
	for name, alter := range map[string]func(*hello){
		"version too long":  func(h *hello) { h.Version = string(make([]byte, maxVersion+1)) },
		"terminal escape":   func(h *hello) { h.Version = "\x1b[2J" },
		"endpoint no port":  func(h *hello) { h.Endpoint = "node1" },
		"endpoint too long": func(h *hello) { h.Endpoint = string(bytes.Repeat([]byte("a"), maxEndpoint)) + ":1" },
		"endpoint path":     func(h *hello) { h.Endpoint = "node1/../x:1" },
	} {
		bad := sampleHello()
		alter(bad)
		_, err := decodeHello(bad.encode())
		require.ErrorIs(t, err, errHello, name)
	}
	_, err = decodeHello(append(wire, make([]byte, maxHello)...))
	require.ErrorIs(t, err, errHello, "too long")
}

func FuzzHello(f *testing.F) {
	f.Add(sampleHello().encode())
	f.Add((&hello{}).encode())
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		h, err := decodeHello(wire)
		if err != nil {
			return
		}
		again, err := decodeHello(h.encode())
		if err != nil || again != h {
			t.Fatalf("%+v comes back as %+v: %v", h, again, err)
		}
	})
}

func FuzzVerdict(f *testing.F) {
	f.Add(encodeVerdict(otherChain, "is of another chain"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		v, text, err := decodeVerdict(wire)
		if err != nil {
			return
		}
		if again, text2, err := decodeVerdict(encodeVerdict(v, text)); err != nil || again != v || text2 != text {
			t.Fatalf("%v %q comes back as %v %q: %v", v, text, again, text2, err)
		}
		if v.String() == "" {
			t.Fatal("a verdict without words")
		}
	})
}

func FuzzRumours(f *testing.F) {
	f.Add(encodeRumours([]rumour{{"key", "host:1"}, {chain.Peer(make([]byte, 32)), "127.0.0.1:30301"}}))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		rumours, err := decodeRumours(wire)
		if err != nil {
			return
		}
		if len(rumours) > maxTold {
			t.Fatalf("%d peers", len(rumours))
		}
		again, err := decodeRumours(encodeRumours(rumours))
		if err != nil || len(again) != len(rumours) {
			t.Fatalf("%v come back as %v: %v", rumours, again, err)
		}
	})
}
