package mpt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
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

// pebbleStore is the durable state in Pebble, as the store keeps it.
type pebbleStore struct{ db *pebble.DB }

func (p pebbleStore) Get(key []byte) ([]byte, error) {
	v, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return bytes.Clone(v), nil
}

func (p pebbleStore) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = fn(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}

type pebbleBatch struct{ b *pebble.Batch }

func (p pebbleBatch) Set(k, v []byte) error           { return p.b.Set(k, v, nil) }
func (p pebbleBatch) Delete(k []byte) error           { return p.b.Delete(k, nil) }
func (p pebbleBatch) DeleteRange(lo, hi []byte) error { return p.b.DeleteRange(lo, hi, nil) }

// newPebble returns a store with a million slots of one owner, compacted, and their root.
func newPebble(b *testing.B, owner key) (pebbleStore, common.Hash, common.Hash) {
	db := must(pebble.Open("", &pebble.Options{FS: vfs.NewMem(), Logger: discard{}, CacheSize: 256 << 20}))
	b.Cleanup(func() { db.Close() })
	p := pebbleStore{db}
	f := must(NewForest(testConfig(), p, EmptyRoot))
	batch := db.NewBatch()
	tr := must(f.Storage(owner, EmptyRoot))
	for i, k := range benchKeyList() {
		leaf := slotLeaf(uint64(i))
		tr.Update(k, leaf)
		batch.Set(flatKey(owner, k), leaf, nil)
	}
	must(0, f.HashStorage())
	f.Accounts().Update(key{1}, tr.hash[:])
	batch.Set(flatKey(key{}, key{1}), tr.hash[:], nil)
	root, c, err := f.Commit(1)
	must(0, err)
	must(0, c.Apply(pebbleBatch{batch}))
	must(0, batch.Commit(pebble.NoSync))
	must(0, db.Flush())
	must(0, db.Compact(context.Background(), []byte{0}, []byte{0xff}, false))
	return p, root, tr.Root()
}

type discard struct{}

func (discard) Infof(string, ...any)  {}
func (discard) Errorf(string, ...any) {}
func (discard) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

// BenchmarkCold1M reads the pages that it changes back from Pebble: the cache budget holds next to nothing.
func BenchmarkCold1M(b *testing.B) {
	owner := key{9}
	p, root, storage := newPebble(b, owner)
	cfg := testConfig()
	cfg.CacheBytes = minCacheBytes
	f := must(NewForest(cfg, p, root))
	rng := rand.New(rand.NewPCG(3, 4))
	gen := uint64(1)
	start := cpuTime()
	for b.Loop() {
		gen++
		tr := must(f.Storage(owner, storage))
		batch := p.db.NewBatch()
		for range benchOps {
			k, leaf := benchKey(rng.IntN(benchKeys)), slotLeaf(rng.Uint64())
			tr.Update(k, leaf)
			batch.Set(flatKey(owner, k), leaf, nil)
		}
		_, c, err := f.Commit(gen)
		must(0, err)
		storage = tr.Root()
		must(0, c.Apply(pebbleBatch{batch}))
		must(0, batch.Commit(pebble.NoSync))
		f.Durable(gen)
	}
	report(b, start)
	b.ReportMetric(float64(f.Stats().Loads)/float64(b.N)/benchOps, "loads/key")
}

// BenchmarkView proves one slot of a million on a throw-away view over Pebble.
func BenchmarkView(b *testing.B) {
	owner := key{9}
	p, _, storage := newPebble(b, owner)
	rng := rand.New(rand.NewPCG(3, 4))
	b.ReportAllocs()
	for b.Loop() {
		must(NewView(testLayout, p, owner, storage).Prove(benchKey(rng.IntN(benchKeys))))
	}
}

// BenchmarkManyTries changes one slot of each of 1,000 small live tries, out of 20,000.
func BenchmarkManyTries(b *testing.B) {
	f := must(NewForest(testConfig(), newMemory(), EmptyRoot))
	roots := make([]common.Hash, 20_000)
	for i := range roots {
		tr := must(f.Storage(benchKey(i), EmptyRoot))
		for k := range 20 {
			tr.Update(benchKey(k), slotLeaf(uint64(i)))
		}
	}
	must(0, f.HashStorage())
	for i := range roots {
		roots[i] = f.storage[benchKey(i)].Root()
	}
	rng := rand.New(rand.NewPCG(3, 4))
	start := cpuTime()
	for b.Loop() {
		changed := make(map[int]*Trie)
		for range 1000 {
			i := rng.IntN(len(roots))
			changed[i] = must(f.Storage(benchKey(i), roots[i]))
			changed[i].Update(benchKey(rng.IntN(20)), slotLeaf(rng.Uint64()))
		}
		must(0, f.HashStorage())
		for i, tr := range changed {
			roots[i] = tr.Root()
		}
	}
	n := float64(b.N) * 1000 * 1000
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/n, "cpu-µs/trie")
	b.ReportMetric(float64(f.count().Bytes)/float64(len(roots)), "mem-B/trie")
}

// BenchmarkGenesis1M builds a trie of a million keys in one commit, and checks it.
func BenchmarkGenesis1M(b *testing.B) {
	start := cpuTime()
	for b.Loop() {
		f := must(NewForest(testConfig(), newMemory(), EmptyRoot))
		for i, k := range benchKeyList() {
			f.Accounts().Update(k, accountLeaf(uint64(i)))
		}
		_, _, err := f.Commit(0)
		must(0, err)
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N)/benchKeys/1000, "cpu-µs/key")
}

// BenchmarkCheck1M checks a million slots in Pebble.
func BenchmarkCheck1M(b *testing.B) {
	p, _, storage := newPebble(b, key{9})
	start := cpuTime()
	for b.Loop() {
		must(0, Check(testLayout, p, key{9}, storage))
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N)/benchKeys/1000, "cpu-µs/key")
}
