package mpt

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/ethdb/memorydb"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/triedb"
)

type key = [32]byte

// newOracle returns go-ethereum's own trie, kept in memory.
func newOracle() *trie.Trie {
	return trie.NewEmpty(triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil))
}

// model is one trie as a map, go-ethereum's trie of the same content, and a generator of keys for it.
type model struct {
	owner  key
	leaves map[key][]byte
	trie   *trie.Trie
	pool   []key // keys once used
	stems  []key // keys whose prefixes are shared
}

func newModel(rng *rand.Rand, owner key) *model {
	m := &model{owner: owner, leaves: make(map[key][]byte), trie: newOracle()}
	for range 4 {
		m.stems = append(m.stems, randomKey(rng))
	}
	return m
}

func randomKey(rng *rand.Rand) (k key) {
	for i := range k {
		k[i] = byte(rng.Uint32())
	}
	return k
}

// key returns a key: random, used before, or equal to a stem but for a few nibbles.
func (m *model) key(rng *rand.Rand) (k key) {
	switch p := rng.IntN(10); {
	case p < 3 && len(m.pool) > 0:
		return m.pool[rng.IntN(len(m.pool))]
	case p < 6:
		k = randomKey(rng)
	default:
		k = m.stems[rng.IntN(len(m.stems))]
		for range 1 + rng.IntN(3) {
			at := 63 - rng.IntN(4)
			if rng.IntN(3) == 0 {
				at = rng.IntN(64)
			}
			setNibble(&k, at, byte(rng.IntN(16)))
		}
	}
	m.pool = append(m.pool, k)
	return k
}

func randomValue(rng *rand.Rand) []byte {
	n := 1 + rng.IntN(40)
	if rng.IntN(3) == 0 {
		n = 1
	}
	v := make([]byte, n, n+len(plainTail))
	for i := range v {
		v[i] = byte(1 + rng.IntN(255))
	}
	if rng.IntN(6) == 0 {
		v = append(v, plainTail...)
	}
	return v
}

// expectedRecords derives which records a trie must have from nothing but its leaves: key → explicit bits and skip, without the hash.
func (m *model) expectedRecords() map[string]string {
	out := make(map[string]string)
	keys := make([]string, 0, len(m.leaves))
	for k := range m.leaves {
		keys = append(keys, hex.EncodeToString(k[:]))
	}
	slices.Sort(keys)
	if len(keys) > 8 {
		m.derive(out, keys, 0, 0)
	}
	return out
}

func (m *model) derive(out map[string]string, keys []string, from, depth int) {
	explicit := uint16(0)
	for n := range 16 {
		var group []string
		for _, k := range keys {
			if k[depth:depth+1] == fmt.Sprintf("%x", n) {
				group = append(group, k)
			}
		}
		if len(group) > 8 {
			explicit |= 1 << n
			below := depth + 1
			for first, last := group[0], group[len(group)-1]; first[below] == last[below]; below++ {
			}
			m.derive(out, group, depth+1, below)
		}
	}
	path := keys[0][:from]
	if from%2 == 1 {
		path += "0"
	}
	k := "61"
	if m.owner != (key{}) {
		k = "73" + hex.EncodeToString(m.owner[:])
	}
	out[k+fmt.Sprintf("%02x", from)+path] = fmt.Sprintf("%04x+%s", explicit, keys[0][from:depth])
}

func (m *model) checkRecords(t *testing.T, db *memory) {
	t.Helper()
	lo, hi := []byte("a"), []byte("b")
	if m.owner != (key{}) {
		lo = append([]byte("s"), m.owner[:]...)
		hi = append(append([]byte("s"), m.owner[:]...), 0xff)
	}
	got := make(map[string]string)
	db.Scan(lo, hi, func(k, v []byte) error {
		var r record
		if err := r.decode(v); err != nil {
			t.Fatalf("record %x: %v", k, err)
		}
		got[hex.EncodeToString(k)] = fmt.Sprintf("%04x+%s", r.explicit, pathString(&r.skip, r.skipLen))
		return nil
	})
	want := m.expectedRecords()
	for k, v := range want {
		if got[k] != v {
			t.Fatalf("record %s is %q, want %q", k, got[k], v)
		}
	}
	for k, v := range got {
		if want[k] != v {
			t.Fatalf("record %s is %q, want %q", k, v, want[k])
		}
	}
}

// checkProof compares our proof with go-ethereum's, node by node, and has it verified.
func (m *model) checkProof(t *testing.T, tr *Trie, k key) {
	t.Helper()
	nodes := must(tr.Prove(k))
	if err := verifyProof(tr.Root(), k, nodes, m.leaves[k]); err != nil {
		t.Fatal(err)
	}
	theirs := memorydb.New()
	if err := m.trie.Prove(k[:], theirs); err != nil {
		t.Fatal(err)
	}
	if theirs.Len() != len(nodes) {
		t.Fatalf("proof of %x has %d nodes, go-ethereum's has %d", k, len(nodes), theirs.Len())
	}
}

func verifyProof(root common.Hash, k key, nodes [][]byte, want []byte) error {
	db := memorydb.New()
	h := newHasher()
	for _, n := range nodes {
		var hash [32]byte
		h.sum(n, &hash)
		db.Put(hash[:], n)
	}
	if root == EmptyRoot {
		if len(nodes) != 0 {
			return fmt.Errorf("proof in an empty trie has %d nodes", len(nodes))
		}
		return nil
	}
	got, err := trie.VerifyProof(root, k[:], db)
	if err != nil {
		return fmt.Errorf("proof of %x: %w", k, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("proof of %x gives %x, want %x", k, got, want)
	}
	return nil
}

// block is a commit that waits to become durable.
type block struct {
	gen     uint64
	changes *Changes
	flat    func(*memory)
	roots   map[key]common.Hash
}

// world runs a forest against models of its tries, with a pipeline of commits that are not durable yet.
type world struct {
	t              *testing.T
	rng            *rand.Rand
	db             *memory
	forest         *Forest
	cfg            Config
	gen            uint64
	queue          []block
	models         map[key]*model
	roots          map[key]common.Hash // durable
	ops            int
	loads, evicted int
}

func newWorld(t *testing.T, seed uint64, owners int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), db: newMemory(), cfg: testConfig(), models: make(map[key]*model), roots: make(map[key]common.Hash)}
	w.cfg.Workers = 1 + w.rng.IntN(4)
	w.models[key{}] = newModel(w.rng, key{})
	for range owners {
		owner := randomKey(w.rng)
		w.models[owner] = newModel(w.rng, owner)
	}
	for owner := range w.models {
		w.roots[owner] = EmptyRoot
	}
	w.open()
	return w
}

func (w *world) open() {
	if w.forest != nil {
		w.loads, w.evicted = w.loads+w.forest.count().Loads, w.evicted+w.forest.count().Evicted
	}
	w.forest = must(NewForest(w.cfg, w.db, w.roots[key{}]))
}

// owners in a fixed order, for the seed to determine the run.
func (w *world) owners() []key {
	var list []key
	for owner := range w.models {
		list = append(list, owner)
	}
	slices.SortFunc(list, func(a, b key) int { return bytes.Compare(a[:], b[:]) })
	return list
}

func (w *world) trie(m *model) *Trie {
	if m.owner == (key{}) {
		return w.forest.Accounts()
	}
	return must(w.forest.Storage(m.owner, m.trie.Hash()))
}

// commit makes a block of random changes and compares the roots.
func (w *world) commit(size int) {
	w.gen++
	var flat []func(*memory)
	roots := make(map[key]common.Hash)
	for _, owner := range w.owners() {
		m := w.models[owner]
		tr := w.trie(m)
		if owner != (key{}) && w.rng.IntN(1+1500/size) == 0 {
			tr.Reset()
			m.trie, m.leaves = newOracle(), make(map[key][]byte)
			t := testLayout.table(owner)
			flat = append(flat, func(db *memory) { db.DeleteRange(t.leaves[:33], successor(bytes.Clone(t.leaves[:33]))) })
		}
		deletes := w.rng.IntN(7)
		for range w.rng.IntN(size + 1) {
			k, v := m.key(w.rng), randomValue(w.rng)
			if w.rng.IntN(10) < deletes {
				v = nil
			}
			m.change(w.t, k, v)
			if err := tr.Update(k, v); err != nil {
				w.t.Fatal(err)
			}
			flat = append(flat, func(db *memory) { db.writeFlat(owner, k, v) })
			w.ops++
		}
	}
	if w.rng.IntN(2) == 0 {
		if err := w.forest.HashStorage(); err != nil {
			w.t.Fatal(err)
		}
	}
	tries := make(map[key]*Trie)
	for owner, m := range w.models {
		tries[owner] = w.forest.trieOf(owner)
		roots[owner] = m.trie.Hash()
	}
	root, changes, err := w.forest.Commit(w.gen)
	if err != nil {
		w.t.Fatal(err)
	}
	if root != roots[key{}] {
		w.t.Fatalf("block %d: root %x, go-ethereum's is %x", w.gen, root, roots[key{}])
	}
	for owner, tr := range tries {
		if tr != nil && tr.Root() != roots[owner] {
			w.t.Fatalf("block %d: root of %x is %x, go-ethereum's is %x", w.gen, owner, tr.Root(), roots[owner])
		}
	}
	w.queue = append(w.queue, block{gen: w.gen, changes: changes, roots: roots, flat: func(db *memory) {
		for _, fn := range flat {
			fn(db)
		}
	}})
}

// trieOf returns the live trie of an owner, if there is one.
func (f *Forest) trieOf(owner key) *Trie {
	if owner == (key{}) {
		return f.accounts
	}
	return f.storage[owner]
}

func (m *model) change(t *testing.T, k key, v []byte) {
	if len(v) == 0 {
		delete(m.leaves, k)
		if err := m.trie.Delete(k[:]); err != nil {
			t.Fatal(err)
		}
		return
	}
	m.leaves[k] = v
	if err := m.trie.Update(k[:], v); err != nil {
		t.Fatal(err)
	}
}

// persist makes the oldest n waiting blocks durable.
func (w *world) persist(n int) {
	for ; n > 0 && len(w.queue) > 0; n-- {
		b := w.queue[0]
		w.queue = w.queue[1:]
		b.flat(w.db)
		if err := b.changes.Apply(w.db); err != nil {
			w.t.Fatal(err)
		}
		w.roots = b.roots
		w.forest.Durable(b.gen)
	}
}

// verify compares the durable state with the models; nothing may be waiting.
func (w *world) verify() {
	w.t.Helper()
	w.checkMemory()
	for _, owner := range w.owners() {
		m := w.models[owner]
		m.checkRecords(w.t, w.db)
		if err := Check(testLayout, w.db, owner, w.roots[owner]); err != nil {
			w.t.Fatal(err)
		}
		view := NewView(testLayout, w.db, owner, w.roots[owner])
		tr := w.trie(m)
		for range 5 {
			k := m.key(w.rng)
			m.checkProof(w.t, tr, k)
			m.checkProof(w.t, view, k)
			if got := must(tr.Get(k)); !bytes.Equal(got, m.leaves[k]) {
				w.t.Fatalf("Get(%x) is %x, want %x", k, got, m.leaves[k])
			}
		}
	}
}

func (w *world) run(ops, size int) {
	for w.ops < ops {
		w.forest.cfg.CacheBytes = 0 // evict all that may be
		if w.rng.IntN(2) == 0 {
			w.forest.cfg.CacheBytes = int64(w.rng.IntN(1 << 18))
		}
		w.commit(size)
		w.persist(w.rng.IntN(3))
		if w.rng.IntN(1+1000/size) == 0 {
			w.persist(len(w.queue))
			w.verify()
		}
		if w.rng.IntN(1+2000/size) == 0 {
			w.persist(len(w.queue))
			w.open()
		}
	}
	w.persist(len(w.queue))
	w.verify()
}

// Random blocks over several tries, with eviction, reopening, and commits that become durable late: every root equals go-ethereum's, the stored records are
// exactly those that the leaves call for, and proofs are go-ethereum's.
func TestForestEqualsGeth(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for i, size := range []int{3, 12, 60, 600} {
		t.Run(fmt.Sprintf("size=%d", size), func(t *testing.T) {
			t.Logf("seed %d", seed+uint64(i))
			w := newWorld(t, seed+uint64(i), 3)
			w.run(10_000, size)
			w.open()
			t.Logf("%d operations in %d blocks, %d branches loaded, %d evicted", w.ops, w.gen, w.loads, w.evicted)
		})
	}
}

// The same without the four-lane hasher, as on a processor that lacks AVX2.
func TestSingleLane(t *testing.T) {
	defer func(was bool) { fourLanes = was }(fourLanes)
	fourLanes = false
	w := newWorld(t, 77, 2)
	w.run(2000, 100)
}
