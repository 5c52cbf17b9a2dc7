package mpt

import (
	"bytes"
	"fmt"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
)

// kid returns p's explicit child n, reading it if it is not live.
func (w *worker) kid(p *branch, n int) (*branch, error) {
	if p.kids[n]&stubFlag == 0 {
		return w.branch(p.kids[n]), nil
	}
	stub := p.kids[n]
	path, from := p.path, int(p.depth)+1
	setNibble(&path, from-1, byte(n))
	depth := from
	if stub&stubSkip != 0 {
		r, err := w.readRecord(&path, from)
		if err != nil {
			return nil, err
		}
		if r == nil || r.skipLen == 0 || from+r.skipLen > 63 {
			return nil, w.damaged(&path, from, "node record changed while it was read", nil)
		}
		for i := range r.skipLen {
			setNibble(&path, from+i, byte(nibble(&r.skip, i)))
		}
		depth += r.skipLen
	}
	h, c := w.newBranch(&path, depth)
	if err := w.fill(c, uint16(stub)); err != nil {
		return nil, err
	}
	if hash := w.nodeHash(c, from); hash != p.refs[n] {
		return nil, w.damaged(&path, from, fmt.Sprintf("hash is %x, the parent says %x", hash, p.refs[n]), nil)
	}
	if c.small() {
		return nil, w.damaged(&path, from, "stray node record: too few leaves", nil)
	}
	p.kids[n] = h
	return c, nil
}

// readRoot returns the root branch of the trie with the given root, and whether it has a record.
func (w *worker) readRoot(root common.Hash) (h uint32, recorded bool, err error) {
	var top [32]byte
	h, b := w.newBranch(&top, 0)
	b.stamp = w.stamp
	if root == EmptyRoot {
		return h, false, nil
	}
	r, err := w.readRecord(&top, 0)
	if err != nil {
		return 0, false, err
	}
	var explicit uint16
	if r != nil {
		if explicit = r.explicit; r.skipLen > 0 {
			return 0, false, w.damaged(&top, 0, "the root's record has an extension", nil)
		}
	}
	if err := w.fill(b, explicit); err != nil {
		return 0, false, err
	}
	w.hashChildren(b)
	hash, err := w.rootHash(b)
	if err == nil && hash != root {
		err = w.damaged(&top, 0, fmt.Sprintf("root is %x, want %x", hash, root), nil)
	}
	if err == nil && r != nil && r.hash != root {
		err = w.damaged(&top, 0, fmt.Sprintf("the root's record says %x, want %x", r.hash, root), nil)
	}
	if err == nil && r != nil && b.small() {
		err = w.damaged(&top, 0, "stray node record: too few leaves", nil)
	}
	return h, r != nil, err
}

// small says that b has too few leaves to be explicit.
func (b *branch) small() bool { return b.explicit == 0 && b.count <= pageLeaves }

// readRecord returns the record of the node at the first depth nibbles of path, or nil.
func (w *worker) readRecord(path *[32]byte, depth int) (*record, error) {
	var key [maxKey]byte
	b, err := w.reader.Get(w.table.nodeKey(key[:0], path, depth))
	if err != nil {
		return nil, fmt.Errorf("read node record: %w", err)
	}
	if b == nil {
		return nil, nil
	}
	r := new(record)
	if err := r.decode(b); err != nil {
		return nil, w.damaged(path, depth, "node record", err)
	}
	return r, nil
}

// fill reads the children of b, which has no live ones yet: the records of the explicit ones and the leaves of the others. References of the latter are
// left dirty.
func (w *worker) fill(b *branch, explicit uint16) error {
	w.loads++
	b.explicit, b.child = explicit, explicit
	if explicit != 0 {
		if err := w.readKids(b); err != nil {
			return err
		}
	}
	mark, total := len(w.buf), 0
	for implicit := ^explicit; implicit != 0; {
		first := bits.TrailingZeros16(implicit)
		last := first + bits.TrailingZeros16(^(implicit >> first)) - 1
		implicit &^= (1<<(last-first+1) - 1) << first
		count, err := w.readLeaves(b, first, last)
		if err != nil {
			return err
		}
		total += count
	}
	w.setLeaves(b, w.buf[mark:], total)
	w.buf = w.buf[:mark]
	b.dirty = b.child &^ b.explicit
	return nil
}

// readKids reads the records of b's explicit children.
func (w *worker) readKids(b *branch) error {
	var want [maxKey]byte
	lo, hi := w.table.childRange(make([]byte, 0, 2*maxKey+1), &b.path, int(b.depth))
	path, depth, seen := b.path, int(b.depth)+1, uint16(0)
	err := w.reader.Scan(lo, hi, func(key, value []byte) error {
		n := int(key[len(key)-1])
		if depth&1 == 1 {
			n >>= 4
		}
		setNibble(&path, depth-1, byte(n&15))
		var r record
		switch err := r.decode(value); {
		case !bytes.Equal(key, w.table.nodeKey(want[:0], &path, depth)):
			return w.damaged(&path, depth, fmt.Sprintf("stray node record with key %x", key), nil)
		case b.explicit>>(n&15)&1 == 0:
			return w.damaged(&path, depth, "stray node record: the parent does not know of it", nil)
		case err != nil:
			return w.damaged(&path, depth, "node record", err)
		case depth+r.skipLen > 63:
			return w.damaged(&path, depth, "node record reaches below the leaves", nil)
		default:
			n &= 15
			seen |= 1 << n
			b.refs[n] = r.hash
			b.kids[n] = stubOf(r.explicit, r.skipLen > 0)
			return nil
		}
	})
	if missing := b.explicit &^ seen; err == nil && missing != 0 {
		setNibble(&path, depth-1, byte(bits.TrailingZeros16(missing)))
		return w.damaged(&path, depth, "missing node record", nil)
	}
	return err
}

// readLeaves appends to w.buf the leaves under b's children first to last.
func (w *worker) readLeaves(b *branch, first, last int) (total int, err error) {
	depth, prefix := int(b.depth), w.table.prefix
	lo, hi := w.table.leafRange(&b.path, depth, first, last)
	var key [32]byte
	count := [16]int{}
	err = w.reader.Scan(lo, hi, func(k, v []byte) error {
		if len(k) != prefix+32 {
			return w.damaged(&b.path, depth, fmt.Sprintf("stray flat record with key %x", k), nil)
		}
		copy(key[:], k[prefix:])
		n := nibble(&key, depth)
		if count[n]++; count[n] > pageLeaves {
			return w.damaged(&key, depth+1, "missing node record above too many leaves", nil)
		}
		if w.table.decode != nil {
			if w.value, err = w.table.decode(w.value[:0], v); err != nil {
				return w.damaged(&key, 64, "flat record", err)
			}
			v = w.value
		}
		if len(v) == 0 || len(v) > MaxValue {
			return w.damaged(&key, 64, fmt.Sprintf("flat record: leaf value of %d bytes", len(v)), nil)
		}
		b.child |= 1 << n
		w.buf = appendStored(append(w.buf, key[:]...), v)
		total++
		return nil
	})
	return total, err
}

// nodeHash returns the reference of the node that stands at depth from over b, whose own references may be dirty. Nothing is logged.
func (w *worker) nodeHash(b *branch, from int) (hash [32]byte) {
	w.hashChildren(b)
	if from < int(b.depth) {
		w.sum(w.extensionOver(b, from), &hash)
	} else {
		w.sum(appendBranch(w.message(), b), &hash)
	}
	return hash
}

func (w *worker) damaged(path *[32]byte, depth int, reason string, err error) error {
	return &DamagedError{Owner: w.table.owner, Path: pathString(path, depth), Reason: reason, Err: err}
}
