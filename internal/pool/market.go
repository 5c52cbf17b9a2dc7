package pool

import (
	"math"
	"math/bits"
)

// market orders accounts by what the next transaction of each pays the proposer per gas, min(tip cap, fee cap − base fee), the older first
// among equals. That order changes with the base fee, so these transactions are filed by the part of it that does not: by the tip cap
// where it is the lower one, else by the fee cap. Either is an upper bound of the truth after the base fee has moved, and build puts right what it meets.
type market struct {
	base       price
	tips, caps heap
	// aside are accounts whose next transaction a build took out of the heaps. Most are decided on soon; the next build files the others again.
	aside []*account
	// worth[class] has the last transactions of all accounts, the cheapest first. It is kept only while the pool is full, from the first
	// victim asked for until less than half of those accounts are left: tracked is their number.
	worth   [2]heap
	tracked int
}

func newMarket(base price) *market {
	return &market{base: base, tips: heap{in: inTips}, caps: heap{in: inCaps}, worth: [2]heap{{in: inWorth}, {in: inLocalWorth}}}
}

func (m *market) rebase(base price) {
	m.base = base
	if m.tracked > 0 && len(m.tips.items)+len(m.caps.items) < m.tracked/2 {
		m.tracked = 0
		m.worth[0].clear()
		m.worth[1].clear()
	}
}

// pays is the effective tip; ok is false when the fee cap is below the base fee. capped tells that the fee cap decides.
func (m *market) pays(e *entry) (tip price, capped, ok bool) {
	if e.cap.less(m.base) {
		return price{}, true, false
	}
	if left := e.cap.minus(m.base); left.less(e.tip) {
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
		if a.head != nil {
			m.tips.drop(a.head)
			m.caps.drop(a.head)
		}
		if a.head = head; head != nil {
			m.file(head)
		}
	}
	c := class(a)
	if m.tracked > 0 && a.tail != nil && (a.tail != tail || c != a.sizedClass) {
		m.worth[a.sizedClass].drop(a.tail)
	}
	a.tail, a.sizedClass = tail, c
	if m.tracked > 0 && tail != nil {
		m.track(a)
	}
}

func (m *market) file(e *entry) {
	if _, capped, _ := m.pays(e); capped {
		m.caps.push(e, rank{e.cap, math.MaxUint64 - e.seq})
	} else {
		m.tips.push(e, rank{e.tip, math.MaxUint64 - e.seq})
	}
}

func (m *market) track(a *account) {
	m.worth[a.sizedClass].push(a.tail, rank{price{^a.tail.cap.hi, ^a.tail.cap.lo}, a.tail.seq})
}

// refile brings back what builds took out and no decision did.
func (m *market) refile() {
	for _, a := range m.aside {
		if a.head != nil && a.head.filed&(inTips<<1|inCaps<<1) == 0 {
			m.file(a.head)
		}
	}
	clear(m.aside)
	m.aside = m.aside[:0]
}

// victim is the last transaction of the account whose last one has the lowest fee cap, where that is below e's.
func (m *market) victim(c int, a *account, e *entry) *entry {
	if m.tracked == 0 {
		m.refile()
		for _, h := range []*heap{&m.tips, &m.caps} {
			for _, it := range h.items {
				if h.counts(it.e) {
					m.track(it.e.account)
					m.tracked++
				}
			}
		}
	}
	if worst := m.worth[c].top(); worst != nil && worst.e.account != a && worst.e.cap.less(e.cap) {
		return worst.e
	}
	return nil
}

// build takes the best again and again from three places: the two heaps, and next, which holds what follows the transactions already taken. It
// costs O(k log n) for k transactions.
func (m *market) build(b *batch) {
	m.refile()
	var next frontier
	follow := func(a *account, i int) {
		if i < len(a.txs) {
			if tip, _, ok := m.pays(a.txs[i]); ok {
				next.push(node{rank{tip, math.MaxUint64 - a.txs[i].seq}, a, i})
			}
		}
	}
	for !b.full() {
		best, from := rank{}, (*heap)(nil)
		if it := m.tips.top(); it != nil {
			best, from = it.rank, &m.tips
		}
		if it := m.caps.top(); it != nil && !it.rank.price.less(m.base) {
			if r := (rank{it.rank.price.minus(m.base), it.rank.tie}); from == nil || r.above(best) {
				best, from = r, &m.caps
			}
		}
		if len(next) > 0 && (from == nil || next[0].rank.above(best)) {
			if n := next.pop(); b.take(n.a.txs[n.i]) {
				follow(n.a, n.a.nextReady(n.i+1))
			}
			continue
		}
		if from == nil {
			return
		}
		e := from.items[0].e
		from.pop()
		m.aside = append(m.aside, e.account)
		if tip, _, ok := m.pays(e); !ok || tip != best.price { // filed at another base fee
			follow(e.account, e.account.firstReady())
		} else if b.take(e) {
			follow(e.account, e.account.nextReady(e.account.firstReady()+1))
		}
	}
}

// node is transaction i of an account, at the rank that it has now.
type node struct {
	rank rank
	a    *account
	i    int
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
	for c := 1; c < len(s); c = 2*i + 1 {
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

// minus is p − q, which must not be negative.
func (p price) minus(q price) price {
	lo, borrow := bits.Sub64(p.lo, q.lo, 0)
	hi, _ := bits.Sub64(p.hi, q.hi, borrow)
	return price{hi, lo}
}
