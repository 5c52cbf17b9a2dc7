package pool

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// queue orders the accounts that have something ready: fair without fees, by price with them. It runs under Pool.mu.
type queue interface {
	// update files a after its transactions changed; a.served tells that some were decided.
	update(a *account)
	// build fills b, the best first. Asked again without a change in between, it gives the same.
	build(b *batch)
	// victim is the ready transaction of a class of accounts to give up so that e, of account a (which may be new), fits; nil when none of
	// them is worth less than e.
	victim(class int, a *account, e *entry) *entry
	// rebase sets the next block's base fee.
	rebase(base price)
}

// batch collects one proposal.
type batch struct {
	hashes   []common.Hash
	maxTxs   int
	maxBytes int
	maxGas   uint64
	misfits  int
	// taken tells of transactions that count as listed already; nil: of none.
	taken func(*chain.Tx) bool
}

// maxMisfits ends a batch after that many transactions did not fit: what is left of the room is small, and looking on would cost more than it gives.
const maxMisfits = 64

// leastGas is what any transaction needs.
const leastGas = 21_000

func (b *batch) full() bool {
	return len(b.hashes) >= b.maxTxs || b.misfits >= maxMisfits || b.maxGas < leastGas || b.maxBytes <= 0
}

// take adds e if it fits and is not taken already; what follows e may come next then.
func (b *batch) take(e *entry) bool {
	if b.taken != nil && b.taken(e.tx) {
		return true
	}
	if e.size > b.maxBytes || e.gas > b.maxGas {
		b.misfits++
		return false
	}
	b.hashes = append(b.hashes, e.hash)
	b.maxBytes -= e.size
	b.maxGas -= e.gas
	return true
}

// turns lets accounts with ready transactions take turns, in the order in which they first had one.
type turns struct {
	ring list
	// sizes[class][n] holds the accounts with n ready transactions, for n ≥ 2: who has only one is nobody's victim.
	sizes [2][]list
	// most[class] is an upper bound of the largest n in use.
	most [2]int
}

func newTurns() *turns {
	return &turns{ring: list{of: func(a *account) *links { return &a.turn }}}
}

func (t *turns) update(a *account) {
	n := a.count[ready]
	switch {
	case n == 0:
		t.ring.remove(a)
	case !a.turn.in:
		t.ring.push(a)
	case a.served: // to the end
		t.ring.remove(a)
		t.ring.push(a)
	}
	a.served = false
	c := class(a)
	if a.size.in {
		if a.sized == n && a.sizedClass == c {
			return
		}
		t.sizes[a.sizedClass][a.sized].remove(a)
	}
	if n < 2 {
		return
	}
	for len(t.sizes[c]) <= n {
		t.sizes[c] = append(t.sizes[c], list{of: func(a *account) *links { return &a.size }})
	}
	t.sizes[c][n].push(a)
	a.sized, a.sizedClass = n, c
	t.most[c] = max(t.most[c], n)
}

func (t *turns) rebase(price) {}

func (t *turns) build(b *batch) {
	type cursor struct {
		a *account
		i int
	}
	var round []cursor
	step := func(a *account, i int) {
		if i < len(a.txs) && b.take(a.txs[i]) {
			round = append(round, cursor{a, a.nextReady(i + 1)})
		}
	}
	for a := t.ring.first; a != nil && !b.full(); a = a.turn.next {
		step(a, a.firstReady())
	}
	for len(round) > 0 && !b.full() {
		last := round
		round = round[:0]
		for _, c := range last {
			if b.full() {
				return
			}
			step(c.a, c.i)
		}
	}
}

// victim is the last transaction of the account with the most ready ones, where that has more than e's account would have with e.
func (t *turns) victim(c int, a *account, e *entry) *entry {
	for t.most[c] >= 2 && t.sizes[c][t.most[c]].first == nil {
		t.most[c]--
	}
	if t.most[c] < 2 || t.most[c] <= a.count[ready]+1 {
		return nil
	}
	return t.sizes[c][t.most[c]].first.lastReady()
}
