package pool

import (
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"
)

// The functions of this file change accounts. All run under p.mu. Whoever calls one marks the account with p.touch; before the lock is let
// go, and before anyone asks the queues, p.settle files the marked accounts where they now belong.

// setStatus moves e, which belongs to a, and keeps the counts.
func (p *Pool) setStatus(a *account, e *entry, s status) {
	if e.status == s {
		return
	}
	p.uncount(a, e)
	e.status = s
	p.count(a, e)
}

func (p *Pool) count(a *account, e *entry) {
	a.count[e.status]++
	p.counts[e.status]++
	p.bytes[e.status] += e.size
	if e.status == ready {
		p.readyGas += e.gas
		e.since = p.now().UnixNano()
	}
}

func (p *Pool) uncount(a *account, e *entry) {
	a.count[e.status]--
	p.counts[e.status]--
	p.bytes[e.status] -= e.size
	if e.status == ready {
		p.readyGas -= e.gas
	}
}

// insert puts e into a at index i, which must be free.
func (p *Pool) insert(a *account, i int, e *entry) {
	a.txs = slices.Insert(a.txs, i, e)
	a.lead = min(a.lead, i)
	a.spent.Add(&a.spent, &e.cost)
	p.all[e.hash] = e
	e.account = a
	p.count(a, e)
	p.extend(a)
}

// remove takes the transaction at index i out of a. It lets the body go: a queue may hold on to the entry for a while.
func (p *Pool) remove(a *account, i int) *entry {
	e := a.txs[i]
	if i == 0 {
		a.txs[0] = nil
		a.txs = a.txs[1:]
	} else {
		a.txs = slices.Delete(a.txs, i, i+1)
	}
	if i < a.lead {
		a.lead--
	}
	a.spent.Sub(&a.spent, &e.cost)
	delete(p.all, e.hash)
	p.uncount(a, e)
	if i < a.exec {
		p.cut(a, i, a.exec-1)
	}
	e.tx = nil
	return e
}

// cut ends a's run at i; the transactions [i:end) that belonged to it now wait for a nonce.
func (p *Pool) cut(a *account, i, end int) {
	for _, e := range a.txs[i:end] {
		if e.status == ready {
			p.setStatus(a, e, gapped)
		}
	}
	a.exec = i
}

// extend lengthens a's run as far as the nonces go.
func (p *Pool) extend(a *account) {
	for a.exec < len(a.txs) && a.txs[a.exec].nonce == a.nonce+uint64(a.exec) {
		if e := a.txs[a.exec]; e.status == gapped {
			p.setStatus(a, e, ready)
			p.announce(e)
		}
		a.exec++
	}
}

// advance sets the account's nonce as a block left it. What is below leaves: the included transaction silently, others with a note.
func (p *Pool) advance(a *account, nonce uint64, included *entry) {
	if nonce == a.nonce {
		return
	}
	exec, drop := a.exec, 0
	if nonce < a.nonce { // the account was deleted and lives again
		p.cut(a, 0, exec)
		exec = 0
	}
	for drop < len(a.txs) && a.txs[drop].nonce < nonce {
		drop++
	}
	a.exec = 0 // the run is put right below, so remove need not cut it
	for range drop {
		if e := p.remove(a, 0); e != included {
			p.note(e.hash, fmt.Sprintf("%v: next nonce %d, tx nonce %d", ErrNonceTooLow, nonce, e.nonce))
		}
	}
	a.nonce, a.exec = nonce, max(0, exec-drop)
	p.extend(a)
}

func (p *Pool) touch(a *account) {
	if !a.dirty {
		a.dirty = true
		p.dirty = append(p.dirty, a)
	}
}

// settle files the touched accounts and forgets those without transactions.
func (p *Pool) settle() {
	for i, a := range p.dirty {
		p.dirty[i] = nil
		a.dirty = false
		if len(a.txs) == 0 {
			delete(p.accounts, a.addr)
		}
		p.ready.update(a)
		waiting := &p.waiting[class(a)]
		if a.count[gapped] == 0 {
			waiting.remove(a)
		} else if !a.gap.in {
			a.gapSince = p.now()
			waiting.push(a)
		}
	}
	p.dirty = p.dirty[:0]
}

// affordable drops transactions from the end until the account can pay for the rest. Decided ones stay: their block drops them.
func (p *Pool) affordable(a *account) {
	for i := len(a.txs) - 1; i >= 0 && (a.spent.Gt(&a.balance) || !a.eoa); i-- {
		if a.txs[i].status == decided {
			continue
		}
		reason := ErrInsufficientFunds.Error()
		if !a.eoa {
			reason = ErrSenderNoEOA.Error()
		}
		p.note(p.remove(a, i).hash, reason)
	}
}

// note remembers why a transaction left, the oldest note making room.
func (p *Pool) note(hash common.Hash, reason string) {
	if _, known := p.reasons[hash]; !known {
		if old := p.noted[p.nextNote]; old != (common.Hash{}) {
			delete(p.reasons, old)
		}
		p.noted[p.nextNote] = hash
		p.nextNote = (p.nextNote + 1) % len(p.noted)
	}
	p.reasons[hash] = reason
}

// class is 0 for accounts that may lose transactions first, 1 for local ones.
func class(a *account) int {
	if a.local {
		return 1
	}
	return 0
}

// bumped reports whether next pays enough more than prev to replace it: both caps by percent, and the fee cap by at least 1 wei, so that on a
// chain without fees two transactions with price 0 never replace each other.
func bumped(prev, next *entry, percent int) bool {
	enough := func(prev, next *uint256.Int) bool {
		want, overflow := new(uint256.Int).MulOverflow(prev, uint256.NewInt(uint64(100+percent)))
		if overflow {
			return false
		}
		have, overflow := new(uint256.Int).MulOverflow(next, uint256.NewInt(100))
		return overflow || !have.Lt(want)
	}
	return next.tx.FeeCap().Gt(prev.tx.FeeCap()) && enough(prev.tx.FeeCap(), next.tx.FeeCap()) && enough(prev.tx.TipCap(), next.tx.TipCap())
}
