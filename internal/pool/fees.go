package pool

import (
	"math"
	"math/bits"
)

// The heaps that an account may stand in.
const (
	byTip = iota
	byCap
	byWorth
	heapSlots
)

// rank orders the items of a heap, the greatest first: by price, then by tie.
type rank struct {
	price price
	tie   uint64
}

func (r rank) above(s rank) bool {
	if r.price != s.price {
		return s.price.less(r.price)
	}
	return r.tie > s.tie
}

type item struct {
	rank rank
	a    *account
}

// heap is a 4-ary heap of accounts that knows where each one stands (account.pos, one-based). Ranks lie in the array itself, so that
// comparing touches no account.
type heap struct {
	items []item
	slot  int
}

const arity = 4

func (h *heap) push(a *account, r rank) {
	h.items = append(h.items, item{})
	h.up(len(h.items)-1, item{r, a})
}

// remove does nothing when a is not in h.
func (h *heap) remove(a *account) {
	i := int(a.pos[h.slot]) - 1
	if i < 0 {
		return
	}
	a.pos[h.slot] = 0
	n := len(h.items) - 1
	last := h.items[n]
	h.items[n] = item{}
	h.items = h.items[:n]
	if i == n {
		return
	}
	if i > 0 && last.rank.above(h.items[(i-1)/arity].rank) {
		h.up(i, last)
		return
	}
	h.down(i, last)
}

func (h *heap) up(i int, it item) {
	for i > 0 {
		parent := (i - 1) / arity
		if !it.rank.above(h.items[parent].rank) {
			break
		}
		h.place(i, h.items[parent])
		i = parent
	}
	h.place(i, it)
}

func (h *heap) down(i int, it item) {
	for {
		best := i*arity + 1
		if best >= len(h.items) {
			break
		}
		for c := best + 1; c <= i*arity+arity && c < len(h.items); c++ {
			if h.items[c].rank.above(h.items[best].rank) {
				best = c
			}
		}
		if !h.items[best].rank.above(it.rank) {
			break
		}
		h.place(i, h.items[best])
		i = best
	}
	h.place(i, it)
}

func (h *heap) place(i int, it item) {
	h.items[i] = it
	it.a.pos[h.slot] = int32(i + 1)
}

// market orders accounts by what the next transaction of each pays the proposer per gas, min(tip cap, fee cap − base fee), the older first
// among equals. That order changes with the base fee, so accounts are filed by the part that does not: by the tip cap where it is
// the lower one, else by the fee cap. Either is an upper bound of the truth after the base fee has moved, and build puts right what it meets.
type market struct {
	base       price
	tips, caps heap
	// worth[class] has the account with the cheapest last transaction on top.
	worth [2]heap
}

func newMarket(base price) *market {
	m := &market{base: base, tips: heap{slot: byTip}, caps: heap{slot: byCap}}
	m.worth[0].slot, m.worth[1].slot = byWorth, byWorth
	return m
}

func (m *market) rebase(base price) { m.base = base }

func (m *market) rotate(*account) {}

// pays is the effective tip; ok is false when the fee cap is below the base fee. capped tells that the fee cap decides.
func (m *market) pays(e *entry) (tip price, capped, ok bool) {
	if e.cap.less(m.base) {
		return price{}, true, false
	}
	lo, borrow := bits.Sub64(e.cap.lo, m.base.lo, 0)
	hi, _ := bits.Sub64(e.cap.hi, m.base.hi, borrow)
	if left := (price{hi, lo}); left.less(e.tip) {
		return left, true, true
	}
	return e.tip, false, true
}

func (m *market) update(a *account) {
	var head, tail *entry
	if a.count[ready] > 0 {
		head, tail = a.txs[a.firstReady()], a.lastReady()
	}
	if head != a.head {
		m.file(a, head)
	}
	if c := class(a); tail != a.tail || c != a.sizedClass {
		m.worth[a.sizedClass].remove(a)
		a.tail, a.sizedClass = tail, c
		if tail != nil {
			m.worth[c].push(a, rank{price{^tail.cap.hi, ^tail.cap.lo}, tail.seq})
		}
	}
}

func (m *market) file(a *account, head *entry) {
	m.tips.remove(a)
	m.caps.remove(a)
	a.head = head
	if head == nil {
		return
	}
	if _, capped, _ := m.pays(head); capped {
		m.caps.push(a, rank{head.cap, math.MaxUint64 - head.seq})
	} else {
		m.tips.push(a, rank{head.tip, math.MaxUint64 - head.seq})
	}
}

// victim is the last transaction of the account whose last one has the lowest fee cap, where that is below e's.
func (m *market) victim(c int, a *account, e *entry) *entry {
	if h := &m.worth[c]; len(h.items) > 0 {
		if worst := h.items[0].a; worst != a && worst.tail.cap.less(e.cap) {
			return worst.tail
		}
	}
	return nil
}

// node is a candidate of build: the account at place i of a heap, or the transaction i of an account that has already given one.
type node struct {
	rank rank
	a    *account
	heap *heap
	i    int
}

// build walks the heaps from their tops without altering them: O(k log k) for k transactions, whatever the heaps hold.
func (m *market) build(b *batch) {
	var front frontier
	var misfiled []*account
	open := func(h *heap, i int) {
		if i >= len(h.items) {
			return
		}
		it := h.items[i]
		r := it.rank
		if h == &m.caps {
			if r.price.less(m.base) {
				return // nothing below it can pay the base fee either
			}
			lo, borrow := bits.Sub64(r.price.lo, m.base.lo, 0)
			hi, _ := bits.Sub64(r.price.hi, m.base.hi, borrow)
			r.price = price{hi, lo}
		}
		front.push(node{r, it.a, h, i})
	}
	candidate := func(a *account, i int) {
		if i < len(a.txs) {
			if tip, _, ok := m.pays(a.txs[i]); ok {
				front.push(node{rank{tip, math.MaxUint64 - a.txs[i].seq}, a, nil, i})
			}
		}
	}
	open(&m.tips, 0)
	open(&m.caps, 0)
	for len(front) > 0 && !b.full() {
		n := front.pop()
		if n.heap != nil {
			for c := n.i*arity + 1; c <= n.i*arity+arity; c++ {
				open(n.heap, c)
			}
			tip, capped, ok := m.pays(n.a.head)
			if capped != (n.heap == &m.caps) {
				misfiled = append(misfiled, n.a)
			}
			n.i = n.a.firstReady()
			if !ok || tip != n.rank.price {
				candidate(n.a, n.i)
				continue
			}
		}
		if b.take(n.a.txs[n.i]) {
			candidate(n.a, n.a.nextReady(n.i+1))
		}
	}
	for _, a := range misfiled {
		m.file(a, a.head)
	}
}

// frontier is a binary heap of nodes, the best first.
type frontier []node

func (f *frontier) push(n node) {
	s := append(*f, n)
	i := len(s) - 1
	for i > 0 && n.rank.above(s[(i-1)/2].rank) {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = n
	*f = s
}

func (f *frontier) pop() node {
	s := *f
	top, last := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*f = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= len(s) {
			break
		}
		if c+1 < len(s) && s[c+1].rank.above(s[c].rank) {
			c++
		}
		if !s[c].rank.above(last.rank) {
			break
		}
		s[i] = s[c]
		i = c
	}
	s[i] = last
	return top
}
