package mpt

import (
	"bytes"
	"math/bits"
	"slices"
)

// prove returns the nodes from the root towards key, which end with its leaf or with the node that shows its absence. References are up to date.
func (w *worker) prove(root *branch, key *[32]byte) ([][]byte, error) {
	if root.child == 0 {
		return nil, nil
	}
	first, err := w.rootNode(root)
	if err != nil {
		return nil, err
	}
	proof := [][]byte{bytes.Clone(first)}
	b := root
	if root.child&(root.child-1) == 0 { // the root node is an extension or a leaf
		if root.explicit == 0 {
			return w.proveRun(nil, wholeRun(w.leaves(root)), 0, key), nil
		}
		if b, err = w.kid(root, bits.TrailingZeros16(root.child)); err != nil {
			return nil, err
		}
		if commonPrefix(key, &b.path) < int(b.depth) {
			return proof, nil
		}
		proof = append(proof, appendBranch(nil, b))
	}
	for {
		b.stamp = w.stamp
		n, from := nibble(key, int(b.depth)), int(b.depth)+1
		switch {
		case b.child>>n&1 == 0:
			return proof, nil
		case b.explicit>>n&1 == 0:
			return w.proveRun(proof, findRun(w.leaves(b), int(b.depth), n), from, key), nil
		}
		if b, err = w.kid(b, n); err != nil {
			return nil, err
		}
		if from < int(b.depth) {
			proof = append(proof, bytes.Clone(w.extensionOver(b, from)))
			if commonPrefix(key, &b.path) < int(b.depth) {
				return proof, nil
			}
		}
		proof = append(proof, appendBranch(nil, b))
	}
}

// proveRun appends the nodes towards key of the subtree that stands at depth from over the leaves of r.
func (w *worker) proveRun(proof [][]byte, r run, from int, key *[32]byte) [][]byte {
	top := len(proof)
	w.runNode(r, from, key, &proof)
	slices.Reverse(proof[top:])
	return proof
}

// runNode encodes the top node of the subtree that stands at depth from over the leaves of r. If key is not nil, it appends to proof the nodes towards
// key that have a hash, the top one last.
func (w *worker) runNode(r run, from int, key *[32]byte, proof *[][]byte) []byte {
	if r.count == 1 {
		node := appendLeaf(nil, r.leaves, from)
		w.keep(proof, key, node, from)
		return node
	}
	t := new(branch)
	t.reset(leafKey(r.leaves), r.prefix())
	depth := int(t.depth)
	below := key
	if key != nil && commonPrefix(key, &t.path) < depth {
		below = nil
	}
	for block := r.leaves; len(block) > 0; {
		n, r, rest := nextRun(block, depth)
		block = rest
		next := below
		if below != nil && nibble(below, depth) != n {
			next = nil
		}
		t.child |= 1 << n
		if node := w.runNode(r, depth+1, next, proof); len(node) < 32 {
			t.setEmbedded(n, node)
		} else {
			w.sum(node, &t.refs[n])
		}
	}
	node := appendBranch(nil, t)
	if from == depth {
		w.keep(proof, key, node, from)
		return node
	}
	ref := node
	if len(node) >= 32 {
		var hash [32]byte
		w.sum(node, &hash)
		ref = hash[:]
		w.keep(proof, below, node, depth)
	}
	node = appendExtension(nil, &t.path, from, depth, ref)
	w.keep(proof, key, node, from)
	return node
}

// keep appends a node that lies on the way to key and is not part of its parent; the root, at depth 0, never is.
func (w *worker) keep(proof *[][]byte, key *[32]byte, node []byte, from int) {
	if key != nil && (len(node) >= 32 || from == 0) {
		*proof = append(*proof, node)
	}
}

// get returns a copy of the leaf value of key, or nil.
func (w *worker) get(root *branch, key *[32]byte) ([]byte, error) {
	for b := root; ; {
		b.stamp = w.stamp
		n := nibble(key, int(b.depth))
		if b.explicit>>n&1 == 0 {
			leaf := findLeaf(w.leaves(b), key)
			if leaf == nil {
				return nil, nil
			}
			stored, tail := leafValue(leaf)
			return append(append(make([]byte, 0, len(stored)+len(tail)), stored...), tail...), nil
		}
		c, err := w.kid(b, n)
		if err != nil {
			return nil, err
		}
		if commonPrefix(key, &c.path) < int(c.depth) {
			return nil, nil
		}
		b = c
	}
}
