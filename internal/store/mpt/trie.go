package mpt

import (
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
)

// Trie is one trie: of a Forest, or a View of its own. It belongs to one goroutine at a time, a Forest's tries to that of the Forest. A Forest's
// storage trie must not be used after the next Commit: ask the Forest again.
type Trie struct {
	forest   *Forest
	table    table
	hash     common.Hash // root, without the pending updates
	root     uint32      // handle of the root branch, 0: not live
	recorded bool        // the root has a record; known once the root is live
	listed   bool        // in the forest's dirty
	wipe     bool        // delete all that the store has, before the pending updates
	pending  []pending
	values   []byte
	ops      []op // pending, sorted
}

// pending is an update as it came in; its leaf lies in values.
type pending struct {
	key      [32]byte
	from, to uint32
}

// NewView returns a throw-away trie over a consistent snapshot: root is the trie's root in it. A view takes what it needs from r, never from a Forest;
// Update, Hash, Get and Prove act on memory of its own. A zero owner stands for the account trie. Errors of the layout surface on first use.
func NewView(l Layout, r Reader, owner, root common.Hash) *Trie {
	f := &Forest{cfg: Config{Layout: l, Workers: 1}, reader: r, arena: newArena(), err: l.validate()}
	f.worker(0).log.off = true
	return &Trie{forest: f, table: l.table(owner), hash: root}
}

// Update sets the value of a key, which is a hash already; an empty value deletes the key. The last update of a key counts. The value is copied.
func (t *Trie) Update(key common.Hash, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("trie value of %d bytes: at most %d fit", len(value), MaxValue)
	}
	t.forest.enlist(t)
	from := uint32(len(t.values))
	if len(value) > 0 {
		t.values = appendStored(t.values, value)
	}
	t.pending = append(t.pending, pending{key: key, from: from, to: uint32(len(t.values))})
	return nil
}

// Reset deletes everything: the pending updates, the nodes, and in the commit's changes the node records. The flat state is the caller's to delete.
func (t *Trie) Reset() {
	t.forest.enlist(t)
	t.wipe = true
	t.pending, t.values = t.pending[:0], t.values[:0]
}

// Root is the root as of the last Hash, HashStorage or Commit: pending updates do not show.
func (t *Trie) Root() common.Hash { return t.hash }

// Hash applies the pending updates and returns the root.
func (t *Trie) Hash() (common.Hash, error) {
	err := t.forest.update([]*Trie{t})
	return t.hash, err
}

// Get returns the leaf value of key, or nil.
func (t *Trie) Get(key common.Hash) (value []byte, err error) {
	err = t.read(func(w *worker, root *branch) error {
		value, err = w.get(root, (*[32]byte)(&key))
		return err
	})
	return value, err
}

// Prove returns the nodes from the root towards key (EIP-1186): they prove the value of key, or that it has none. An empty trie has no nodes.
func (t *Trie) Prove(key common.Hash) (nodes [][]byte, err error) {
	err = t.read(func(w *worker, root *branch) error {
		nodes, err = w.prove(root, (*[32]byte)(&key))
		return err
	})
	return nodes, err
}

// read runs fn on the up-to-date trie.
func (t *Trie) read(fn func(w *worker, root *branch) error) error {
	if err := t.forest.update([]*Trie{t}); err != nil {
		return err
	}
	w := t.forest.worker(0)
	w.attend(t)
	err := t.open(w)
	if err == nil {
		err = fn(w, w.branch(t.root))
	}
	return t.forest.fail(err)
}

// open makes the root branch live.
func (t *Trie) open(w *worker) (err error) {
	if t.root == 0 {
		t.root, t.recorded, err = w.readRoot(t.hash)
	}
	return err
}

// sort turns the pending updates into ops: in key order, the last one of each key.
func (t *Trie) sort() {
	type ref struct {
		prefix uint64
		i      uint32
	}
	refs := make([]ref, len(t.pending))
	for i := range refs {
		refs[i] = ref{prefix: keyPrefix(&t.pending[i].key), i: uint32(i)}
	}
	slices.SortFunc(refs, func(a, b ref) int {
		switch {
		case a.prefix < b.prefix:
			return -1
		case a.prefix > b.prefix:
			return 1
		case bytesLess(&t.pending[a.i].key, &t.pending[b.i].key):
			return -1
		case bytesLess(&t.pending[b.i].key, &t.pending[a.i].key):
			return 1
		}
		return int(a.i) - int(b.i)
	})
	t.ops = t.ops[:0]
	for k, r := range refs {
		p := &t.pending[r.i]
		if k+1 < len(refs) && t.pending[refs[k+1].i].key == p.key {
			continue
		}
		t.ops = append(t.ops, op{key: p.key, leaf: t.values[p.from:p.to]})
	}
}

// apply brings the pending updates into a trie whose ops are sorted. The root branch is left dirty if anything changed.
func (t *Trie) apply(w *worker) error {
	if err := t.clear(w); err != nil || len(t.ops) == 0 {
		return err
	}
	if err := t.open(w); err != nil {
		return err
	}
	return w.apply(w.branch(t.root), t.ops)
}

// clear empties the trie if it was Reset.
func (t *Trie) clear(w *worker) error {
	if !t.wipe {
		return nil
	}
	if t.root != 0 {
		w.freeTree(t.root)
	} else if t.hash != EmptyRoot {
		var top [32]byte
		r, err := w.readRecord(&top, 0)
		if err != nil {
			return err
		}
		t.recorded = r != nil
	}
	if t.recorded {
		w.log.deleteRange(t.table.nodeRange())
	}
	var err error
	t.root, t.recorded, err = w.readRoot(EmptyRoot)
	t.hash = EmptyRoot
	return err
}

// done drops the applied updates, keeping moderate buffers.
func (t *Trie) done() {
	const keep = 1 << 14
	t.wipe, t.listed = false, false
	t.pending, t.values, t.ops = t.pending[:0], t.values[:0], t.ops[:0]
	if cap(t.pending) > keep {
		t.pending, t.values, t.ops = nil, nil, nil
	}
}
