package mpt

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Benchmarks of the chain's target: a trie of a million keys, 10,000 of them changed in a block.
const (
	benchKeys = 1_000_000
	benchOps  = 10_000
)

var benchKeyList = sync.OnceValue(func() []key {
	list := make([]key, benchKeys)
	for i := range list {
		list[i] = makeBenchKey(i)
	}
	return list
})

func benchKey(i int) key { return benchKeyList()[i] }

// cpuTime is the processor time of this process so far: unlike the clock it does not count what others on the machine do.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report prints wall and processor time a key.
func report(b *testing.B, since time.Duration) {
	n := float64(b.N) * benchOps * 1000
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "µs/key")
	b.ReportMetric(float64((cpuTime()-since).Nanoseconds())/n, "cpu-µs/key")
	b.ReportMetric(0, "ns/op")
}

func makeBenchKey(i int) (k key) {
	rng := rand.NewPCG(uint64(i), 7)
	for j := 0; j < 32; j += 8 {
		x := rng.Uint64()
		for b := range 8 {
			k[j+b] = byte(x >> (8 * b))
		}
	}
	return k
}

// slotLeaf is the leaf of a token balance, accountLeaf that of a plain account.
func slotLeaf(n uint64) []byte {
	v := []byte{0x89, 0x05}
	for i := range 8 {
		v = append(v, byte(n>>(8*i)))
	}
	return v
}

func accountLeaf(n uint64) []byte {
	v := []byte{0xf8, 0x4d, 0x82, 0x01, byte(n), 0x88, 0x05}
	for i := range 7 {
		v = append(v, byte(n>>(8*i)))
	}
	return append(v, plainTail...)
}

// sink counts what a commit writes.
type sink struct{ bytes, records int }

func (s *sink) Set(k, v []byte) error          { s.bytes += len(k) + len(v); s.records++; return nil }
func (s *sink) Delete(k []byte) error          { s.bytes += len(k); s.records++; return nil }
func (s *sink) DeleteRange(lo, _ []byte) error { s.bytes += len(lo); s.records++; return nil }

func benchForest(b *testing.B, workers int, leaf func(uint64) []byte, storage bool) {
	cfg := testConfig()
	cfg.Workers = workers
	f := must(NewForest(cfg, newMemory(), EmptyRoot))
	owner := key{1}
	root := EmptyRoot
	trie := func() *Trie {
		if storage {
			return must(f.Storage(owner, root))
		}
		return f.Accounts()
	}
	t := trie()
	for i := range benchKeys {
		t.Update(benchKey(i), leaf(uint64(i)))
	}
	gen := uint64(0)
	commit := func() *Changes {
		gen++
		_, c, err := f.Commit(gen)
		if err != nil {
			b.Fatal(err)
		}
		f.Durable(gen)
		root = t.Root()
		return c
	}
	commit()
	benchKeyList()
	runtime.GC()
	rng := rand.New(rand.NewPCG(3, 4))
	var s sink
	start := cpuTime()
	for b.Loop() {
		t = trie()
		for range benchOps {
			t.Update(benchKey(rng.IntN(benchKeys)), leaf(rng.Uint64()))
		}
		commit().Apply(&s)
	}
	report(b, start)
	n := float64(b.N) * benchOps
	b.ReportMetric(float64(s.bytes)/n, "B/key")
	b.ReportMetric(float64(s.records)/n, "records/key")
	b.ReportMetric(float64(f.Stats().Bytes)/benchKeys, "mem-B/key")
}

func BenchmarkBlock1M(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("slots/workers=%d", workers), func(b *testing.B) { benchForest(b, workers, slotLeaf, true) })
		b.Run(fmt.Sprintf("accounts/workers=%d", workers), func(b *testing.B) { benchForest(b, workers, accountLeaf, false) })
	}
	b.Run("geth", func(b *testing.B) {
		t := newOracle()
		for i := range benchKeys {
			k := benchKey(i)
			t.MustUpdate(k[:], slotLeaf(uint64(i)))
		}
		t.Hash()
		runtime.GC()
		rng := rand.New(rand.NewPCG(3, 4))
		var root common.Hash
		start := cpuTime()
		for b.Loop() {
			for range benchOps {
				k := benchKey(rng.IntN(benchKeys))
				t.MustUpdate(k[:], slotLeaf(rng.Uint64()))
			}
			root = t.Hash()
		}
		_ = root
		report(b, start)
	})
}
