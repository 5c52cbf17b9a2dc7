package mpt

import (
	"fmt"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
)

// Check reads all of one trie from a consistent snapshot, its flat records and its node records, recomputes every hash, and compares with root. The first
// record that is missing, malformed, stray, or does not fit is returned as a *DamagedError. Memory is bounded by the trie's depth.
func Check(l Layout, r Reader, owner, root common.Hash) error {
	t := NewView(l, r, owner, root)
	w := t.forest.worker(0)
	w.attend(t)
	if t.forest.err != nil {
		return t.forest.err
	}
	if err := t.open(w); err != nil {
		return err
	}
	c := checker{worker: w}
	if t.recorded {
		c.records++
	}
	b := w.branch(t.root)
	if err := c.check(b); err != nil {
		return err
	}
	if root == EmptyRoot {
		if _, err := w.readLeaves(b, 0, 15); err != nil {
			return err
		}
		if b.child != 0 {
			return w.damaged(&b.path, 0, "flat records under an empty root", nil)
		}
	}
	return c.count(b)
}

type checker struct {
	*worker
	records int // met on the way
}

// check reads everything below b; a branch's hash is compared as it is read.
func (c *checker) check(b *branch) error {
	for m := b.explicit; m != 0; m &= m - 1 {
		n := bits.TrailingZeros16(m)
		stub := b.kids[n]
		kid, err := c.kid(b, n)
		if err != nil {
			return err
		}
		c.records++
		if err := c.check(kid); err != nil {
			return err
		}
		c.freeBranch(b.kids[n])
		b.kids[n] = stub
	}
	return nil
}

// count looks for records that no parent leads to.
func (c *checker) count(root *branch) error {
	lo, hi := c.table.nodeRange()
	total := 0
	err := c.reader.Scan(lo, hi, func(_, _ []byte) error { total++; return nil })
	if err != nil || total == c.records {
		return err
	}
	known := make(map[string]bool)
	if err := c.gather(root, known); err != nil {
		return err
	}
	return c.reader.Scan(lo, hi, func(k, _ []byte) error {
		if known[string(k)] {
			return nil
		}
		var path [32]byte
		rest := k[c.table.prefix:]
		depth := 0
		if len(rest) > 0 {
			depth = min(int(rest[0]), 2*copy(path[:], rest[1:]))
		}
		return c.damaged(&path, depth, fmt.Sprintf("stray node record with key %x", k), nil)
	})
}

// gather collects the keys of the records below b. It is only run to name a stray one.
func (c *checker) gather(b *branch, known map[string]bool) error {
	if !b.small() && b.depth == 0 {
		known[string(c.table.nodeKey(nil, &b.path, 0))] = true
	}
	for m := b.explicit; m != 0; m &= m - 1 {
		n := bits.TrailingZeros16(m)
		kid, err := c.kid(b, n)
		if err != nil {
			return err
		}
		known[string(c.table.nodeKey(nil, &kid.path, int(b.depth)+1))] = true
		if err := c.gather(kid, known); err != nil {
			return err
		}
	}
	return nil
}
