package mpt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Large blocks on several goroutines give go-ethereum's roots, the records that one goroutine gives, and survive eviction and late durability.
func TestParallelEqualsGeth(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	owner := randomKey(rng)
	var worlds []*world
	for _, workers := range []int{1, 4} {
		w := newWorld(t, seed, 0)
		w.cfg.Workers = workers
		w.models[owner] = newModel(rand.New(rand.NewPCG(seed, 3)), owner)
		w.roots[owner] = EmptyRoot
		w.open()
		worlds = append(worlds, w)
	}
	for _, size := range []int{8000, 4000, 1000, 4000, 300} {
		for _, w := range worlds {
			w.forest.cfg.CacheBytes = int64(size) << 6
			w.commit(size)
			w.persist(1)
		}
		if a, b := worlds[0].db.clone(), worlds[1].db; fmt.Sprint(a.sorted()) != fmt.Sprint(b.sorted()) {
			t.Fatal("one and four goroutines wrote different records")
		}
	}
	for _, w := range worlds {
		w.verify()
	}
}

// Deleting nearly everything makes the root take in its children, whichever goroutine they were changed on.
func TestParallelShrink(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, left := range []int{0, 1, 2, 9, 30, 200} {
		w := newWorld(t, uint64(left), 0)
		w.cfg.Workers = 4
		w.open()
		m := w.models[key{}]
		for range 3000 {
			m.pool = append(m.pool, randomKey(rng))
		}
		w.batch(m, m.pool, false)
		w.batch(m, m.pool[left:], true)
		w.verify()
	}
}

// All keys share their first nibbles: the root branch has one child, and the root node is an extension, a leaf, or nothing.
func TestOneChildOfRoot(t *testing.T) {
	w := newWorld(t, 31, 0)
	m := w.models[key{}]
	stem := m.stems[0]
	under := func(depth, n int) (keys []key) {
		for range n {
			k := randomKey(w.rng)
			for i := range depth {
				setNibble(&k, i, byte(nibble(&stem, i)))
			}
			keys = append(keys, k)
		}
		return keys
	}
	for _, shared := range []int{1, 2, 7, 40} {
		for _, n := range []int{1, 2, 8, 9, 300} {
			keys := under(shared, n)
			w.batch(m, keys, false)
			w.verify()
			w.open()
			w.batch(m, under(shared, 400), false)
			w.verify()
			w.batch(m, under(0, 3), false) // beside the others
			w.verify()
			var others []key
			for k := range m.leaves {
				if !slices.Contains(keys, k) {
					others = append(others, k)
				}
			}
			w.open()
			w.batch(m, others, true)
			w.verify()
			w.batch(m, keys, true)
			w.verify()
		}
	}
}

// batch commits one block that sets or deletes keys of one trie, and makes it durable.
func (w *world) batch(m *model, keys []key, deletes bool) {
	w.t.Helper()
	w.gen++
	tr, flat := w.trie(m), make(map[key][]byte)
	for _, k := range keys {
		var v []byte
		if !deletes {
			v = randomValue(w.rng)
		}
		m.change(w.t, k, v)
		flat[k] = v
		if err := tr.Update(k, v); err != nil {
			w.t.Fatal(err)
		}
	}
	_, changes, err := w.forest.Commit(w.gen)
	if err != nil {
		w.t.Fatal(err)
	}
	if tr.Root() != m.trie.Hash() {
		w.t.Fatalf("block %d: root %x, go-ethereum's is %x", w.gen, tr.Root(), m.trie.Hash())
	}
	if err := changes.Apply(w.db); err != nil {
		w.t.Fatal(err)
	}
	for k, v := range flat {
		w.db.writeFlat(m.owner, k, v)
	}
	w.roots[m.owner] = tr.Root()
	w.forest.Durable(w.gen)
}

// Views on snapshots, brought back to earlier blocks by reverse diffs, give the roots and proofs of those blocks, while the forest moves on.
func TestViewAtEarlierBlocks(t *testing.T) {
	w := newWorld(t, 11, 0)
	m := w.models[key{}]
	const blocks = 20
	var roots []common.Hash
	var reverse []map[key][]byte // old values of what a block changed
	var leaves []map[key][]byte
	var snapshots []*memory
	for range blocks {
		old := make(map[key][]byte)
		var keys []key
		for range 40 {
			k := m.key(w.rng)
			if _, ok := old[k]; !ok {
				keys = append(keys, k)
				old[k] = m.leaves[k]
			}
		}
		w.batch(m, keys, w.rng.IntN(3) == 0)
		now := make(map[key][]byte)
		for k, v := range m.leaves {
			now[k] = v
		}
		roots, reverse, leaves = append(roots, m.trie.Hash()), append(reverse, old), append(leaves, now)
		snapshots = append(snapshots, w.db.clone())
	}
	var wg sync.WaitGroup
	for h := range blocks {
		head := h + (blocks-h)/2
		wg.Go(func() {
			view := NewView(testLayout, snapshots[head], key{}, roots[head])
			for b := head; b > h; b-- {
				for k, v := range reverse[b] {
					if err := view.Update(k, v); err != nil {
						t.Error(err)
					}
				}
			}
			if root, err := view.Hash(); err != nil || root != roots[h] {
				t.Errorf("block %d seen from %d: root %x (%v), want %x", h, head, root, err, roots[h])
				return
			}
			for _, k := range m.pool[:50] {
				nodes, err := view.Prove(k)
				if err == nil {
					err = verifyProof(roots[h], k, nodes, leaves[h][k])
				}
				if err != nil {
					t.Errorf("block %d: %v", h, err)
				}
			}
		})
	}
	for range 20 { // the live trie moves on meanwhile
		w.batch(m, m.pool[w.rng.IntN(len(m.pool)):], w.rng.IntN(2) == 0)
	}
	wg.Wait()
}
