package pool

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// maxEvictions bounds what one admission may push out: one large transaction must not cost a thousand small ones their place.
const maxEvictions = 64

// errUnread asks admitAll to read the sender's account first.
var errUnread = errors.New("account not read")

// admit applies every rule that depends on the sender's account and puts e into the pool. It runs under p.mu.
func (p *Pool) admit(e *entry, r *reading) error {
	if p.all[e.hash] != nil {
		return ErrAlreadyKnown
	}
	a := p.accounts[e.sender]
	if a == nil {
		s, ok := p.current(e.sender, r)
		if !ok {
			return errUnread
		}
		a = newAccount(e.sender, s)
	}
	if !a.eoa {
		return fmt.Errorf("%w: address %s", ErrSenderNoEOA, e.sender)
	}
	if e.nonce < a.nonce {
		return fmt.Errorf("%w: next nonce %d, tx nonce %d", ErrNonceTooLow, a.nonce, e.nonce)
	}
	i, taken := a.index(e.nonce)
	var old *entry
	if taken {
		old = a.txs[i]
	}
	if err := p.admissible(a, old, e); err != nil {
		return err
	}
	if err := p.makeRoom(a, old, e); err != nil {
		return err
	}
	if e.local && !a.local {
		p.waiting[class(a)].remove(a)
		a.local = true
	}
	if i, taken = a.index(e.nonce); taken { // room may have been made in this very account
		p.replace(a, i, e)
	} else {
		p.insert(a, i, e)
		if e.status == gapped && a.gap.in { // it now waits as long as the newest of its gapped transactions may
			p.waiting[class(a)].remove(a)
		}
	}
	p.seq++
	e.seq = p.seq
	p.accounts[a.addr] = a
	p.touch(a)
	return nil
}

// admissible checks e against the account and its other transactions; old is the one with the same nonce, if any.
func (p *Pool) admissible(a *account, old, e *entry) error {
	if old != nil && old.status == decided {
		return fmt.Errorf("%w: next nonce %d, tx nonce %d: a transaction with it is being executed", ErrNonceTooLow, a.pendingNonce(), e.nonce)
	}
	need, overflow := new(uint256.Int).AddOverflow(&a.spent, &e.cost)
	if old != nil {
		need.Sub(need, &old.cost)
	}
	if overflow || need.Gt(&a.balance) {
		return fmt.Errorf("%w: balance %s, queued cost %s, tx cost %s", ErrInsufficientFunds, a.balance.Dec(), a.spent.Dec(), e.cost.Dec())
	}
	switch {
	case old != nil:
		if !bumped(old, e, p.cfg.PriceBumpPercent) {
			return ErrReplaceUnderpriced
		}
	case e.nonce == a.pendingNonce():
		if a.count[ready] >= p.cfg.AccountExecutable {
			return fmt.Errorf("%w: %d transactions are ready", ErrAccountLimit, a.count[ready])
		}
	case a.count[gapped] >= p.cfg.AccountGapped:
		return fmt.Errorf("%w: %d transactions wait for nonce %d", ErrAccountLimit, a.count[gapped], a.pendingNonce())
	}
	return nil
}

// makeRoom evicts until e fits: gapped transactions first, then what the queue thinks worth less than e; for a local e, then the same among
// local accounts. An e that would itself be gapped evicts nothing.
func (p *Pool) makeRoom(a *account, old, e *entry) error {
	count, size := 1, e.size
	if old != nil {
		count, size = 0, e.size-old.size
	}
	fits := func() bool {
		return p.counts[gapped]+p.counts[ready]+count <= p.cfg.MaxTxs && p.bytes[gapped]+p.bytes[ready]+size <= p.cfg.MaxBytes
	}
	isReady := e.nonce <= a.pendingNonce()
	for evictions := 0; !fits(); evictions++ {
		if !isReady || evictions == maxEvictions || !p.evict(a, e) {
			return fmt.Errorf("%w: %d transactions, %d bytes", ErrFull, p.counts[gapped]+p.counts[ready], p.bytes[gapped]+p.bytes[ready])
		}
	}
	return nil
}

// evict drops one transaction in favour of e; false when there is none to drop.
func (p *Pool) evict(a *account, e *entry) bool {
	p.settle()
	for c := range p.waiting {
		if c == 1 && !e.local {
			return false
		}
		if loser := p.waiting[c].first; loser != nil {
			p.dropGapped(loser, 1, ErrEvicted.Error())
			p.touch(loser)
			return true
		}
		if v := p.ready.victim(c, a, e); v != nil {
			i, _ := v.account.index(v.nonce)
			p.note(p.remove(v.account, i).hash, ErrEvicted.Error())
			p.touch(v.account)
			return true
		}
	}
	return false
}

// replace puts e into the place of the transaction at index i of a, which has the same nonce.
func (p *Pool) replace(a *account, i int, e *entry) {
	old := a.txs[i]
	p.uncount(a, old)
	e.status = old.status
	a.txs[i] = e
	p.count(a, e)
	a.spent.Add(a.spent.Sub(&a.spent, &old.cost), &e.cost)
	delete(p.all, old.hash)
	old.tx = nil
	p.all[e.hash] = e
	e.account = a
	p.note(old.hash, ErrReplaced.Error())
	if e.status == ready {
		p.announce(e)
	}
}

// current is the account as of p.height, from a reading that may be older by a few blocks; ok is false when it cannot be told.
func (p *Pool) current(addr common.Address, r *reading) (s snapshot, ok bool) {
	if !r.ok || p.height-r.height > uint64(len(p.recent)) {
		return s, false
	}
	s = r.snapshot
	for _, w := range p.recent {
		if w.height <= r.height {
			continue
		}
		i, found := slices.BinarySearchFunc(w.writes, addr, func(c chain.AccountChange, addr common.Address) int { return c.Address.Cmp(addr) })
		if found && !s.apply(&w.writes[i]) {
			return s, false
		}
	}
	return s, true
}

// apply makes s what c left; false when c does not say whether the account's code is a delegation.
func (s *snapshot) apply(c *chain.AccountChange) bool {
	if c.Account == nil {
		*s = snapshot{codeHash: chain.EmptyCodeHash, eoa: true}
		return true
	}
	s.nonce, s.balance = c.Account.Nonce, c.Account.Balance
	if c.Account.CodeHash == s.codeHash {
		return true
	}
	s.codeHash = c.Account.CodeHash
	if s.eoa = s.codeHash == chain.EmptyCodeHash; s.eoa {
		return true
	}
	_, s.eoa = types.ParseDelegation(c.Code)
	return c.Code != nil
}
