package mpt

import (
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
)

// item is a branch waiting to be hashed, and where its reference goes: child n of the parent to. The branch is a live one, or a temporary one
// that stands for a branch over a few leaves of to's block.
type item struct {
	b    *branch
	to   *branch
	n    uint8
	from uint8    // depth at which the node starts: an extension fills the gap to b
	live *table   // the trie's, if b is a live branch: its record is to be written
	hash [32]byte // of b, when an extension stands above it
}

// hashChild brings the reference of p's explicit child n up to date, and logs the records of all explicit nodes on the way.
func (w *worker) hashChild(p *branch, n int) {
	w.queueChild(p, n)
	w.hashQueues()
}

// hashChildren brings all references in b up to date.
func (w *worker) hashChildren(b *branch) {
	w.queueDirty(b)
	w.hashQueues()
}

func (w *worker) queue(it item) {
	depth := int(it.b.depth)
	w.deep = max(w.deep, depth)
	w.queues[depth] = append(w.queues[depth], it)
}

func (w *worker) queueChild(p *branch, n int) {
	c := w.branch(p.kids[n])
	w.queue(item{b: c, to: p, n: uint8(n), from: p.depth + 1, live: w.table})
	w.queueDirty(c)
}

// queueDirty queues what has to be hashed before b can be: leaves go to the hasher at once.
func (w *worker) queueDirty(b *branch) {
	implicit := b.dirty & b.child &^ b.explicit
	b.embedded &^= b.dirty
	for m := b.dirty & b.explicit; m != 0; m &= m - 1 {
		w.queueChild(b, bits.TrailingZeros16(m))
	}
	for block := w.leaves(b); implicit != 0; {
		n, r, rest := nextRun(block, int(b.depth))
		block = rest
		if implicit>>n&1 == 1 {
			implicit &^= 1 << n
			w.queueRun(b, n, r)
		}
	}
	b.dirty = 0
}

// queueRun queues the subtree of a run of leaves that is child n of b.
func (w *worker) queueRun(b *branch, n int, r run) {
	from := int(b.depth) + 1
	if r.count == 1 {
		if node := appendLeaf(w.message(), r.leaves, from); len(node) < 32 {
			b.setEmbedded(n, node)
		} else {
			w.push(node, &b.refs[n])
		}
		return
	}
	t := w.temp(leafKey(r.leaves), r.prefix())
	w.queue(item{b: t, to: b, n: uint8(n), from: uint8(from)})
	for block := r.leaves; len(block) > 0; {
		n, r, rest := nextRun(block, int(t.depth))
		block = rest
		t.child |= 1 << n
		w.queueRun(t, n, r)
	}
}

// temp returns a branch that lasts until hashQueues is done.
func (w *worker) temp(path *[32]byte, depth int) *branch {
	if w.used == len(w.temps)*branchChunk {
		w.temps = append(w.temps, new([branchChunk]branch))
	}
	t := &w.temps[w.used/branchChunk][w.used%branchChunk]
	w.used++
	t.reset(path, depth)
	return t
}

// hashQueues hashes what was queued, deepest first, and logs the records.
func (w *worker) hashQueues() {
	w.flush()
	for ; w.deep >= 0; w.deep-- {
		queue := w.queues[w.deep]
		for i := range queue {
			w.hashItem(&queue[i])
		}
		w.flush()
		for i := range queue {
			it := &queue[i]
			if it.from < it.b.depth && it.to.embedded>>it.n&1 == 0 {
				w.push(appendExtension(w.message(), &it.b.path, int(it.from), int(it.b.depth), it.hash[:]), &it.to.refs[it.n])
			}
		}
		w.flush()
		for i := range queue {
			if it := &queue[i]; it.live != nil {
				w.logRecord(it.live, it.b, int(it.from), &it.to.refs[it.n])
			}
		}
		w.queues[w.deep] = queue[:0]
	}
	w.deep, w.used = 0, 0
}

// hashItem hashes a branch; a short one it finishes, extension and all.
func (w *worker) hashItem(it *item) {
	node := appendBranch(w.message(), it.b)
	switch extended := it.from < it.b.depth; {
	case len(node) >= 32 && extended:
		w.push(node, &it.hash)
	case len(node) >= 32:
		w.push(node, &it.to.refs[it.n])
	case extended:
		var short [32]byte
		ref := short[:copy(short[:], node)]
		if node = appendExtension(w.message(), &it.b.path, int(it.from), int(it.b.depth), ref); len(node) < 32 {
			it.to.setEmbedded(int(it.n), node)
		} else {
			w.sum(node, &it.to.refs[it.n])
			it.from = it.b.depth // nothing left to wrap
		}
	default:
		it.to.setEmbedded(int(it.n), node)
	}
}

func (w *worker) logRecord(trie *table, b *branch, from int, hash *[32]byte) {
	if w.log.off {
		return
	}
	var key [maxKey]byte
	var value [2 + 32 + 1 + 32]byte
	r := record{explicit: b.explicit, hash: *hash, skipLen: int(b.depth) - from}
	for i := range r.skipLen {
		setNibble(&r.skip, i, byte(nibble(&b.path, from+i)))
	}
	w.log.set(trie.nodeKey(key[:0], &b.path, from), r.append(value[:0]))
}

// rootHash hashes a root branch whose references are up to date. The root node is hashed whatever its size.
func (w *worker) rootHash(root *branch) (hash common.Hash, err error) {
	if root.child == 0 {
		return EmptyRoot, nil
	}
	node, err := w.rootNode(root)
	if err == nil {
		w.sum(node, (*[32]byte)(&hash))
	}
	return hash, err
}

// rootNode encodes the root node in canonical form: a root branch with one child is none. The root must not be empty.
func (w *worker) rootNode(root *branch) ([]byte, error) {
	switch {
	case root.child&(root.child-1) != 0:
		return appendBranch(w.message(), root), nil
	case root.explicit == 0:
		return w.runNode(wholeRun(w.leaves(root)), 0, nil, nil), nil
	}
	c, err := w.kid(root, bits.TrailingZeros16(root.child))
	if err != nil {
		return nil, err
	}
	return w.extensionOver(c, 0), nil
}

// extensionOver encodes the extension from depth from down to c.
func (w *worker) extensionOver(c *branch, from int) []byte {
	var hash [32]byte
	w.sum(appendBranch(w.message(), c), &hash)
	return appendExtension(w.message(), &c.path, from, int(c.depth), hash[:])
}
