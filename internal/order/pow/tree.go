package pow

import (
	"slices"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// node is a header in the tree, with its block where that is here.
type node struct {
	header   Header
	hash     crypto.Hash
	parent   *node
	children []*node
	// from told of it; 0 is this node itself, or its journal.
	from order.PeerID
	// decision is the block; nil until it has come and been held against the header.
	decision *chain.Decision
	// held: its transactions are here. complete: and those of all before it. seq numbers the completed in their order.
	held, complete bool
	seq            uint64
	// checked: its executed hash is what this node executed. invalid: it or one before it breaks a rule. withheld: its block, or one's before it, was not to
	// be had for long.
	checked, invalid, withheld bool
	// fetch is where asking for the block stands.
	fetch fetch
}

// tree holds what is above the last delivered decision, its root. One goroutine owns it.
type tree struct {
	rules *rules
	root  *node
	nodes map[crypto.Hash]*node
	// heights lists the nodes by height; some may have left the tree.
	heights map[uint64][]*node
	// tip is the last block of the branch that counts; best the last header of the most work, which may be ahead of it.
	tip, best *node
	// executed are the hashes of executed headers by height, those that headers above the root may name.
	executed map[uint64]crypto.Hash
	seq      uint64
	// bodies counts the held blocks above the root.
	bodies int
	limit  int
}

func newTree(r *rules, root *node, limit int) *tree {
	return &tree{rules: r, root: root, nodes: map[crypto.Hash]*node{root.hash: root}, heights: make(map[uint64][]*node), tip: root, best: root, executed: make(map[uint64]crypto.Hash), limit: limit}
}

// add puts in a header that stands for itself and follows parent, a valid node of the tree.
func (t *tree) add(parent *node, h *Header, hash crypto.Hash, from order.PeerID) *node {
	n := &node{header: *h, hash: hash, parent: parent, from: from, withheld: parent.withheld, checked: h.Height <= t.rules.depth}
	t.nodes[hash] = n
	t.heights[h.Height] = append(t.heights[h.Height], n)
	parent.children = append(parent.children, n)
	t.check(n)
	if !n.withheld && !n.invalid && n.header.Work.Gt(&t.best.header.Work) {
		t.best = n
	}
	return n
}

// hold notes that n's block is here with its transactions. It reports whether another branch counts now.
func (t *tree) hold(n *node) (changed bool) {
	if n.held {
		return false
	}
	n.held = true
	t.bodies++
	if n.withheld && !n.parent.withheld {
		t.unmark(n)
	}
	return t.completed(n)
}

// completed marks n and what follows it complete, as far as that is so.
func (t *tree) completed(n *node) (changed bool) {
	for queue := []*node{n}; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		if !n.held || n.complete || n.invalid || !n.parent.complete {
			continue
		}
		t.seq++
		n.complete, n.seq = true, t.seq
		if n.header.Work.Gt(&t.tip.header.Work) {
			t.tip, changed = n, true
		}
		queue = append(queue, n.children...)
	}
	if t.tip.header.Work.Gt(&t.best.header.Work) {
		t.best = t.tip
	}
	return changed
}

// check holds n's executed hash against what this node executed, if it has. It reports whether n broke the rule.
func (t *tree) check(n *node) (broke bool) {
	h := n.header.Height
	if n.checked || n.invalid || h <= t.rules.depth {
		return false
	}
	executed, ok := t.executed[h-t.rules.depth]
	if !ok {
		return false
	}
	if n.checked = executed == n.header.Executed; !n.checked {
		t.invalidate(n)
		return true
	}
	return false
}

// ran notes the hash of the executed header at height and returns the headers that named another.
func (t *tree) ran(height uint64, hash crypto.Hash) (broken []*node) {
	t.executed[height] = hash
	for _, n := range t.heights[height+t.rules.depth] {
		if t.nodes[n.hash] == n && t.check(n) {
			broken = append(broken, n)
		}
	}
	return broken
}

// invalidate excludes n and all that follows it.
func (t *tree) invalidate(n *node) {
	each(n, func(n *node) { n.invalid, n.complete = true, false })
	t.choose()
}

// withhold passes over n and all that follows it until its block comes.
func (t *tree) withhold(n *node) {
	each(n, func(n *node) { n.withheld = true })
	t.choose()
}

// unmark takes n and what follows it up again.
func (t *tree) unmark(n *node) {
	each(n, func(n *node) { n.withheld = false })
	t.choose()
}

// choose finds tip and best anew among all.
func (t *tree) choose() {
	t.tip, t.best = t.root, t.root
	for _, n := range t.nodes {
		if n.invalid {
			continue
		}
		if c := n.header.Work.Cmp(&t.tip.header.Work); n.complete && (c > 0 || c == 0 && n.seq < t.tip.seq) {
			t.tip = n
		}
	}
	t.best = t.tip
	for _, n := range t.nodes {
		if !n.invalid && !n.withheld && n.header.Work.Gt(&t.best.header.Work) {
			t.best = n
		}
	}
}

// each calls f for n and all that follows it.
func each(n *node, f func(*node)) {
	for stack := []*node{n}; len(stack) > 0; {
		last := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], last.children...)
		f(last)
	}
}

// at is n's ancestor (or n) at height, which is not above n's; nil below what is remembered.
func (n *node) at(height uint64) *node {
	for n != nil && n.header.Height > height {
		n = n.parent
	}
	return n
}

// advance makes n, a child of the root, the root: it is delivered. It returns the blocks beside it that are dropped.
func (t *tree) advance(n *node) (dropped []*node) {
	old := t.root
	for _, c := range old.children {
		if c == n {
			continue
		}
		each(c, func(n *node) {
			delete(t.nodes, n.hash)
			if n.held {
				t.bodies--
				dropped = append(dropped, n)
			}
		})
	}
	if n.held {
		t.bodies--
	}
	beside := len(old.children) > 1
	old.children = []*node{n}
	delete(t.nodes, old.hash)
	n.held, n.complete, n.checked, n.decision = true, true, true, nil
	t.root = n
	a := n
	for range medianOf {
		if a.parent == nil {
			break
		}
		a = a.parent
	}
	a.parent = nil
	for h := range t.executed {
		if h+t.rules.depth <= n.header.Height {
			delete(t.executed, h)
		}
	}
	delete(t.heights, n.header.Height)
	if t.tip == old {
		t.tip = n
	}
	if t.best == old {
		t.best = n
	}
	if beside {
		t.choose() // what counted may be gone
	}
	for _, c := range n.children {
		t.completed(c)
	}
	return dropped
}

// prune makes room in a full tree: side branches go of which no block is here. Who has one of more work will tell of it again.
func (t *tree) prune() {
	keep := make(map[*node]bool)
	for _, n := range []*node{t.tip, t.best} {
		for ; n != nil && n.header.Height >= t.root.header.Height; n = n.parent {
			keep[n] = true
		}
	}
	var visit func(n *node) bool
	visit = func(n *node) bool { // tells whether n stays
		stays := n.children[:0]
		for _, c := range n.children {
			if visit(c) {
				stays = append(stays, c)
			}
		}
		n.children = stays
		if len(stays) > 0 || keep[n] || n.held {
			return true
		}
		delete(t.nodes, n.hash)
		return false
	}
	// The tree is as deep as it has headers: no recursion along the best branch, whose side branches are what goes.
	for n := range keep {
		stays := n.children[:0]
		for _, c := range n.children {
			if keep[c] || visit(c) {
				stays = append(stays, c)
			}
		}
		n.children = stays
	}
	clear(t.heights)
	for _, n := range t.nodes {
		if n != t.root {
			t.heights[n.header.Height] = append(t.heights[n.header.Height], n)
		}
	}
}

// path are the nodes from above the root to the end of a branch.
type path struct {
	nodes []*node
}

// follow makes p the path to end.
func (p *path) follow(root, end *node) {
	for len(p.nodes) > 0 && p.nodes[0].header.Height <= root.header.Height {
		p.nodes = p.nodes[1:]
	}
	if len(p.nodes) > 0 && p.nodes[0].parent != root {
		p.nodes = nil
	}
	var more []*node
	for n := end; n != root && n != nil && p.at(n.header.Height) != n; n = n.parent {
		more = append(more, n)
	}
	p.nodes = p.nodes[:end.header.Height-root.header.Height-uint64(len(more))]
	slices.Reverse(more)
	p.nodes = append(p.nodes, more...)
}

// at is the node at height, nil where the path has none.
func (p *path) at(height uint64) *node {
	if len(p.nodes) == 0 || height < p.nodes[0].header.Height || height-p.nodes[0].header.Height >= uint64(len(p.nodes)) {
		return nil
	}
	return p.nodes[height-p.nodes[0].header.Height]
}

// full tells whether there is no room for a header.
func (t *tree) full() bool { return len(t.nodes) >= t.limit }

// junction is the last node that two branches share.
func junction(a, b *node) *node {
	for a != b && a != nil && b != nil {
		if a.header.Height >= b.header.Height {
			a = a.parent
		} else {
			b = b.parent
		}
	}
	if a != b {
		return nil
	}
	return a
}
