package mpt

import (
	"math/bits"
	"slices"
)

// op is one pending change: the new leaf of key as appendStored writes it (n ‖ stored value), or nothing for a deletion.
type op struct {
	key  [32]byte
	leaf []byte
}

// worker changes and hashes subtrees. Several work side by side on disjoint subtrees of one arena; each has buffers of its own.
type worker struct {
	allocator
	*hasher
	reader Reader
	table  *table // of the trie at hand
	stamp  uint32 // put on every branch touched
	loads  int    // branches read from the store so far
	log    opLog  // node records to write

	buf    []byte // leaf blocks being put together, used as a stack
	queues [64][]item
	deep   int // deepest queue in use
	temps  []*[branchChunk]branch
	used   int // temps in use
	value  []byte
}

func newWorker(a *arena, r Reader) *worker {
	return &worker{allocator: newAllocator(a), hasher: newHasher(), reader: r}
}

// apply changes the subtree of b by ops, which are sorted, distinct, and all start with b's path.
func (w *worker) apply(b *branch, ops []op) error {
	b.stamp = w.stamp
	var absorb uint16
	for rest := ops; len(rest) > 0 && b.explicit != 0; {
		n, group, tail := nextGroup(rest, int(b.depth))
		if rest = tail; b.explicit>>n&1 == 0 {
			continue
		}
		fate, err := w.descend(b, n, group)
		if err != nil {
			return err
		}
		switch fate {
		case changed:
			b.dirty |= 1 << n
		case absorbed:
			absorb |= 1 << n
		}
	}
	w.settle(b, ops, absorb)
	return nil
}

// nextGroup cuts from ops the leading ones that have the same nibble at depth.
func nextGroup(ops []op, depth int) (n int, group, rest []op) {
	n = nibble(&ops[0].key, depth)
	end := 1
	for end < len(ops) && nibble(&ops[end].key, depth) == n {
		end++
	}
	return n, ops[:end], ops[end:]
}

// fate is what became of an explicit child.
type fate uint8

const (
	unchanged fate = iota
	changed
	absorbed // it is too small to be explicit: its parent is to take over its leaves
)

// hashOps is the number of changes after which a subtree is hashed at once, while it is in the processor's cache. Fewer would leave lanes of the
// hasher empty.
const hashOps = 32

// descend applies ops, which all have nibble n at p's depth, to p's explicit child n. It writes nothing of p but kids[n].
func (w *worker) descend(p *branch, n int, ops []op) (fate, error) {
	c, err := w.kid(p, n)
	if err != nil {
		return unchanged, err
	}
	c.stamp = w.stamp
	fork := int(c.depth)
	for i := range ops {
		if len(ops[i].leaf) > 0 {
			fork = min(fork, commonPrefix(&ops[i].key, &c.path))
		}
	}
	if fork < int(c.depth) {
		c = w.split(p, n, fork)
	}
	for len(ops) > 0 && commonPrefix(&ops[0].key, &c.path) < int(c.depth) { // deletions of what is not there
		ops = ops[1:]
	}
	for len(ops) > 0 && commonPrefix(&ops[len(ops)-1].key, &c.path) < int(c.depth) {
		ops = ops[:len(ops)-1]
	}
	if err := w.apply(c, ops); err != nil {
		return unchanged, err
	}
	switch {
	case c.dirty == 0:
		return unchanged, nil
	case c.small():
		return absorbed, nil
	case bits.OnesCount16(c.child) == 1:
		return changed, w.collapse(p, n, c)
	case len(ops) >= hashOps:
		w.hashChildren(c)
	}
	return changed, nil
}

// split puts a new branch at depth fork into the extension above p's child n.
func (w *worker) split(p *branch, n, fork int) *branch {
	c := w.branch(p.kids[n])
	h, x := w.newBranch(&c.path, fork)
	m := nibble(&c.path, fork)
	x.kids[m] = p.kids[n]
	x.child, x.explicit, x.dirty = 1<<m, 1<<m, 1<<m
	p.kids[n] = h
	return x
}

// collapse puts the only child of c, an explicit one, into c's place.
func (w *worker) collapse(p *branch, n int, c *branch) error {
	m := bits.TrailingZeros16(c.child)
	g, err := w.kid(c, m)
	if err != nil {
		return err
	}
	g.stamp = w.stamp
	w.deleteRecord(&g.path, int(c.depth)+1)
	h := p.kids[n]
	p.kids[n] = c.kids[m]
	w.freeBranch(h)
	return nil
}

// settle applies ops to the leaf block of b, takes in the children that ought no longer be explicit, and makes explicit the ones that grew.
// Ops under explicit children have been dealt with.
func (w *worker) settle(b *branch, ops []op, absorb uint16) {
	if absorb == 0 && w.replace(b, ops) {
		return
	}
	depth, old, mark, total := int(b.depth), w.leaves(b), len(w.buf), 0
	for n := range 16 {
		var r run
		if len(old) > 0 && nibble(leafKey(old), depth) == n {
			_, r, old = nextRun(old, depth)
		}
		var group []op
		if len(ops) > 0 && nibble(&ops[0].key, depth) == n {
			_, group, ops = nextGroup(ops, depth)
		}
		bit, from := uint16(1)<<n, len(w.buf)
		switch {
		case absorb&bit != 0:
			c := w.branch(b.kids[n])
			w.deleteRecord(&c.path, depth+1)
			w.buf = append(w.buf, w.leaves(c)...)
			r.count = int(c.count)
			w.freeBranch(b.kids[n])
			b.kids[n] = 0
			b.explicit &^= bit
			b.dirty |= bit
		case b.explicit&bit != 0:
			continue
		case len(group) == 0:
			w.buf = append(w.buf, r.leaves...)
		default:
			var differs bool
			if r.count, differs = w.merge(r.leaves, group); differs {
				b.dirty |= bit
			}
		}
		if b.child &^= bit; r.count > 0 {
			b.child |= bit
		}
		if r.count > pageLeaves {
			b.kids[n] = w.build(w.buf[from:])
			b.explicit |= bit
			w.buf = w.buf[:from]
			continue
		}
		total += r.count
	}
	w.setLeaves(b, w.buf[mark:], total)
	w.buf = w.buf[:mark]
}

// replace writes new values over old ones of the same length and reports whether that was all there was to do to the leaf block.
func (w *worker) replace(b *branch, ops []op) bool {
	block, all := w.leaves(b), true
	for i := range ops {
		n := nibble(&ops[i].key, int(b.depth))
		if b.explicit>>n&1 == 1 {
			continue
		}
		for len(block) > 0 && bytesLess(leafKey(block), &ops[i].key) {
			block = block[leafSize(block):]
		}
		leaf := ops[i].leaf
		switch {
		case len(block) == 0 || *leafKey(block) != ops[i].key:
			all = all && len(leaf) == 0
		case len(leaf) == 0 || block[32] != leaf[0]:
			all = false
		case string(block[leafHead:leafSize(block)]) != string(leaf[1:]):
			copy(block[leafHead:], leaf[1:])
			b.dirty |= 1 << n
		}
	}
	return all
}

// merge appends to w.buf the leaves of a run changed by ops.
func (w *worker) merge(leaves []byte, ops []op) (count int, differs bool) {
	for len(leaves) > 0 || len(ops) > 0 {
		order := 0 // of the next leaf and the next op
		switch {
		case len(ops) == 0:
			order = -1
		case len(leaves) == 0:
			order = 1
		case bytesLess(leafKey(leaves), &ops[0].key):
			order = -1
		case *leafKey(leaves) != ops[0].key:
			order = 1
		}
		if order < 0 {
			n := leafSize(leaves)
			w.buf = append(w.buf, leaves[:n]...)
			leaves = leaves[n:]
			count++
			continue
		}
		leaf := ops[0].leaf
		if order == 0 {
			n := leafSize(leaves)
			differs = differs || string(leaves[32:n]) != string(leaf)
			leaves = leaves[n:]
		} else {
			differs = differs || len(leaf) > 0
		}
		if len(leaf) > 0 {
			w.buf = append(append(w.buf, ops[0].key[:]...), leaf...)
			count++
		}
		ops = ops[1:]
	}
	return count, differs
}

// build makes a branch of more than pageLeaves leaves.
func (w *worker) build(leaves []byte) uint32 {
	all := wholeRun(leaves)
	h, b := w.newBranch(leafKey(leaves), all.prefix())
	b.stamp = w.stamp
	mark, total := len(w.buf), 0
	for len(leaves) > 0 {
		var n int
		var r run
		n, r, leaves = nextRun(leaves, int(b.depth))
		b.child |= 1 << n
		if r.count > pageLeaves {
			b.explicit |= 1 << n
			b.kids[n] = w.build(r.leaves)
			continue
		}
		w.buf = append(w.buf, r.leaves...)
		total += r.count
	}
	b.dirty = b.child
	w.setLeaves(b, w.buf[mark:], total)
	w.buf = w.buf[:mark]
	if all.count >= 8*hashOps {
		w.hashChildren(b)
	}
	return h
}

// trim lets go of buffers that an unusually large update has left behind.
func (w *worker) trim() {
	const bytes, items, chunks = 1 << 20, 1 << 12, 32
	if cap(w.buf) > bytes {
		w.buf = nil
	}
	for i := range w.queues {
		if cap(w.queues[i]) > items {
			w.queues[i] = nil
		}
	}
	if len(w.temps) > chunks {
		w.temps = slices.Clone(w.temps[:chunks])
	}
}

// deleteRecord logs that the node at the first depth nibbles of path has no record any more.
func (w *worker) deleteRecord(path *[32]byte, depth int) {
	var key [maxKey]byte
	w.log.delete(w.table.nodeKey(key[:0], path, depth))
}
