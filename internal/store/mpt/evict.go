package mpt

import (
	"math/bits"
	"slices"
	"unsafe"
)

// trieBytes is what a live trie takes besides its branches and leaves: the struct and its place in the map.
const trieBytes = int64(unsafe.Sizeof(Trie{})) + 64

// evict drops the subtrees untouched for longest when the cache is over its budget: down to three quarters of it, so that the walk over all live
// branches, some 50 ns each, is rare.
func (f *Forest) evict() {
	durable := f.durableStamp()
	bytes := f.count().Bytes
	if bytes <= f.cfg.CacheBytes {
		return
	}
	w := f.worker(0)
	ages := make(map[uint32]int64) // bytes by stamp
	w.measure(f.accounts.root, ages)
	for _, t := range f.storage {
		ages[t.stamp(w)] += trieBytes
		w.measure(t.root, ages)
	}
	stamps := make([]uint32, 0, len(ages))
	for s := range ages {
		stamps = append(stamps, s)
	}
	slices.Sort(stamps)
	limit, found := uint32(0), false
	for _, s := range stamps {
		if s > durable || bytes <= f.cfg.CacheBytes/4*3 {
			break
		}
		limit, found = s, true
		bytes -= ages[s]
	}
	if !found {
		return
	}
	before := f.count().Branches
	for owner, t := range f.storage {
		switch {
		case t.listed || t.stamp(w) > limit:
			w.prune(t.root, limit)
		default:
			w.freeTree(t.root)
			t.root = 0
			delete(f.storage, owner)
		}
	}
	w.prune(f.accounts.root, limit)
	f.evicted += before - f.count().Branches
}

// durableStamp is the stamp of the last durable commit.
func (f *Forest) durableStamp() (stamp uint32) {
	n := 0
	for n < len(f.commits) && f.commits[n].gen < f.durable.Load() {
		n++
	}
	if n == 0 {
		return f.durableBefore
	}
	f.durableBefore = f.commits[n-1].stamp
	f.commits = slices.Delete(f.commits, 0, n)
	return f.durableBefore
}

// stamp tells when the trie was touched last; a trie that was only asked for never was.
func (t *Trie) stamp(w *worker) uint32 {
	if t.root == 0 {
		return 0
	}
	return w.branch(t.root).stamp
}

// measure adds the memory of a live subtree to the stamps it would go with.
func (w *worker) measure(h uint32, ages map[uint32]int64) {
	if h == 0 {
		return
	}
	b := w.branch(h)
	ages[b.stamp] += branchBytes
	if b.bytes > 0 {
		ages[b.stamp] += int64(blockSizes[classOf(int(b.bytes))])
	}
	w.liveKids(b, func(n int) { w.measure(b.kids[n], ages) })
}

// prune drops the subtrees below a live branch that were not touched after limit. A branch's stamp is never older than those below it.
func (w *worker) prune(h, limit uint32) {
	if h == 0 {
		return
	}
	b := w.branch(h)
	w.liveKids(b, func(n int) {
		c := w.branch(b.kids[n])
		if c.stamp > limit {
			w.prune(b.kids[n], limit)
			return
		}
		stub := stubOf(c.explicit, c.depth > b.depth+1)
		w.freeTree(b.kids[n])
		b.kids[n] = stub
	})
}

// freeTree frees a live subtree.
func (w *worker) freeTree(h uint32) {
	if h == 0 {
		return
	}
	b := w.branch(h)
	w.liveKids(b, func(n int) { w.freeTree(b.kids[n]) })
	w.freeBranch(h)
}

// liveKids calls fn for the explicit children of b that are live.
func (w *worker) liveKids(b *branch, fn func(n int)) {
	for m := b.explicit; m != 0; m &= m - 1 {
		if n := bits.TrailingZeros16(m); b.kids[n]&stubFlag == 0 {
			fn(n)
		}
	}
}
