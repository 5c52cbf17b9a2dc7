package mpt

import "testing"

// checkMemory compares what the cache counts with what is reachable: nothing leaks, nothing is freed twice.
func (w *world) checkMemory() {
	w.t.Helper()
	f := w.forest
	ages := make(map[uint32]int64)
	worker := f.worker(0)
	worker.measure(f.accounts.root, ages)
	reachable := int64(len(f.storage)) * trieBytes
	for _, t := range f.storage {
		worker.measure(t.root, ages)
	}
	for _, n := range ages {
		reachable += n
	}
	if counted := f.count().Bytes; counted != reachable {
		w.t.Fatalf("cache counts %d bytes, %d are reachable", counted, reachable)
	}
}

// The cache keeps to its budget once commits are durable, keeps what is not durable, and prefers what was touched last.
func TestEviction(t *testing.T) {
	w := newWorld(t, 5, 0)
	m := w.models[key{}]
	for range 20_000 {
		m.pool = append(m.pool, randomKey(w.rng))
	}
	w.batch(m, m.pool, false)
	full := w.forest.count().Bytes
	const budget = 1 << 20
	w.forest.cfg.CacheBytes = budget
	hot := m.pool[:20]
	for range 5 {
		w.batch(m, hot, false) // evicts what the commits before made durable
		if n := w.forest.count().Bytes; n > budget {
			t.Fatalf("%d bytes live, the budget is %d", n, budget)
		}
		w.checkMemory()
	}
	if full <= budget || w.forest.count().Evicted == 0 {
		t.Fatalf("nothing to evict: %d bytes of %d", full, budget)
	}
	loads := w.forest.count().Loads
	w.batch(m, hot, false)
	if n := w.forest.count().Loads - loads; n != 0 {
		t.Errorf("%d branches were read for keys that were touched just before", n)
	}
	w.queue = nil
	for range 4 { // not durable: everything touched stays
		w.commit(8000)
	}
	for k := range m.leaves {
		if must(w.forest.Accounts().Get(k)) == nil {
			t.Fatalf("key %x is gone", k)
		}
	}
	if live := w.forest.count().Bytes; live <= budget {
		t.Errorf("%d bytes live though four commits are not durable", live)
	}
	for range 2 { // what was read above counts as touched by the first
		w.persist(len(w.queue))
		w.commit(1)
	}
	if n := w.forest.count().Bytes; n > budget {
		t.Errorf("%d bytes live after all is durable, the budget is %d", n, budget)
	}
	w.persist(len(w.queue))
	w.verify()
}
