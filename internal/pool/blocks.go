package pool

import (
	"fmt"
	"math"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// lockBlock is how many transactions of a block are handled under one hold of the lock, so that a large block delays Add by a fraction of a millisecond.
const lockBlock = 512

// Ready is what Build could give now: how many transactions, their bytes and gas limits, and since when the oldest of those that no Build has
// seen waits (zero when all were seen).
func (p *Pool) Ready() (txs, bytes int, gas uint64, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[ready], p.bytes[ready], p.readyGas, p.since
}

// Build lists the next transactions to order: at most maxTxs, of at most maxBytes together and with gas limits that sum up to at most
// maxGas. It takes nothing out; only Decided does. Its work is proportional to the result.
func (p *Pool) Build(maxTxs, maxBytes int, maxGas uint64) []common.Hash {
	return p.BuildBeyond(nil, maxTxs, maxBytes, maxGas)
}

// BuildBeyond is Build for whoever orders behind blocks that are not decided: what taken tells of (a transaction of those blocks, or another of the same
// account and nonce) is left out, and what follows it comes as if it were decided. Its work is proportional to the result and to what it leaves out.
func (p *Pool) BuildBeyond(taken func(*chain.Tx) bool, maxTxs, maxBytes int, maxGas uint64) []common.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &batch{maxTxs: maxTxs, maxBytes: maxBytes, maxGas: maxGas, taken: taken, hashes: make([]common.Hash, 0, min(maxTxs, p.counts[ready]))}
	p.ready.build(b)
	p.since = time.Time{}
	return b.hashes
}

// Waiting lists up to max of the transactions that Build could give, in its order: what another node may lack. Unlike Build it changes nothing.
// Its work is proportional to the result.
func (p *Pool) Waiting(max int) []common.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &batch{maxTxs: max, maxBytes: math.MaxInt, maxGas: math.MaxUint64, hashes: make([]common.Hash, 0, min(max, p.counts[ready]))}
	p.ready.build(b)
	return b.hashes
}

// staleLook is how many of the transactions at the head of the queue Stale looks at: those that wait longest take turns first, so they are there.
const staleLook = 1024

// Stale lists up to max transactions that have been ready since before then and that Build would give among its first ones: if others are ordered
// and these are not, whoever orders leaves them out. Unlike Build it changes nothing. Its work is bounded.
func (p *Pool) Stale(before time.Time, max int) (stale []common.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &batch{maxTxs: staleLook, maxBytes: math.MaxInt, maxGas: math.MaxUint64}
	p.ready.build(b)
	for _, h := range b.hashes {
		if len(stale) == max {
			break
		}
		if e := p.all[h]; e != nil && e.since < before.UnixNano() {
			stale = append(stale, h)
		}
	}
	return stale
}

// Decided tells that txs, verified, are ordered: from here on their nonces are used and Build leaves them out. Transactions that the pool
// does not know are taken in, whatever its bounds; one with the same nonce as a decided one leaves.
func (p *Pool) Decided(txs chain.Txs) {
	var strange []*entry
	now, longest := p.now(), time.Duration(0)
	p.inSteps(len(txs), func(i int) {
		if e := p.all[txs[i].Hash()]; e != nil {
			if e.status == ready {
				longest = max(longest, now.Sub(time.Unix(0, e.since)))
			}
			p.setStatus(e.account, e, decided)
			e.account.served = true
			p.touch(e.account)
		} else if e, ok := newEntry(txs[i], false, p.rules.zero); ok { // a cost above 256 bits never executes
			strange = append(strange, e)
		}
	})
	reads := make([]reading, len(strange))
	p.prefetch(strange, reads)
	p.inSteps(len(strange), func(i int) { p.decide(strange[i], &reads[i]) })
	p.mu.Lock()
	p.waits[p.nextWait] = waited{now, longest}
	p.nextWait = (p.nextWait + 1) % len(p.waits)
	p.mu.Unlock()
}

// waited is how long a decision's transactions had been ready here.
type waited struct {
	at      time.Time
	longest time.Duration
}

// LongestWait is how long the transactions of the last decisions since then had been ready when they were decided, the longest of them: under more load
// than the chain bears that is long for all of them.
func (p *Pool) LongestWait(since time.Time) (longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.waits {
		if w.at.After(since) {
			longest = max(longest, w.longest)
		}
	}
	return longest
}

// decide takes in a decided transaction that was not pooled when the decision came.
func (p *Pool) decide(fresh *entry, r *reading) {
	if e := p.all[fresh.hash]; e != nil { // it has come since
		p.setStatus(e.account, e, decided)
		p.touch(e.account)
		return
	}
	a := p.accounts[fresh.sender]
	if a == nil {
		s, ok := p.current(fresh.sender, r)
		if !ok { // the state cannot be read: believe the decision until its block tells
			s = snapshot{nonce: fresh.nonce, eoa: true}
			s.balance.SetAllOne()
		}
		a = newAccount(fresh.sender, s)
	}
	if fresh.nonce < a.nonce {
		return // execution will leave it out
	}
	p.seq++
	fresh.seq = p.seq
	i, taken := a.index(fresh.nonce)
	switch {
	case taken && a.txs[i].status == decided:
		return // so it will here: the first one decided has the nonce
	case taken:
		p.replace(a, i, fresh)
		p.setStatus(a, fresh, decided)
	default:
		fresh.status = decided
		p.insert(a, i, fresh)
	}
	p.accounts[a.addr] = a
	p.touch(a)
}

// Executed takes a block's transactions out, brings every account that the block changed up to date and drops what can no longer be paid
// or has a used nonce. What the block left out may be ordered again, Config.Retries times. It must be called once per block, in height order, after
// Chain answers for that block.
func (p *Pool) Executed(x *chain.Executed) {
	base := priceOfBig(p.chain.NextBaseFee())
	p.mu.Lock()
	p.height = x.Block.Height()
	p.ready.rebase(base)
	if len(p.recent) == recentBlocks {
		copy(p.recent, p.recent[1:])
		p.recent = p.recent[:recentBlocks-1]
	}
	p.recent = append(p.recent, written{p.height, x.Writes})
	p.mu.Unlock()

	p.inSteps(len(x.Block.Txs), func(i int) { p.included(x.Block.Txs[i]) })
	p.inSteps(len(x.Writes), func(i int) { p.refresh(&x.Writes[i]) })
	p.inSteps(len(x.Excluded), func(i int) { p.excluded(&x.Excluded[i]) })
	p.ring() // a lower base fee may have made transactions payable, an exclusion others orderable
}

// inSteps calls f(0) to f(n−1) under the lock, letting go of it now and then. Between steps every account is consistent.
func (p *Pool) inSteps(n int, f func(int)) {
	for at := 0; at < n; at += lockBlock {
		p.mu.Lock()
		for i := at; i < min(at+lockBlock, n); i++ {
			f(i)
		}
		p.release()
	}
}

// included takes out a transaction of the block, and others with its nonce or a lower one.
func (p *Pool) included(tx *chain.Tx) {
	e := p.all[tx.Hash()]
	if e == nil { // a block of transactions that this pool never had
		if a := p.accounts[tx.Sender()]; a != nil && tx.Nonce() >= a.nonce {
			p.advance(a, tx.Nonce()+1, nil)
			p.touch(a)
		}
		return
	}
	p.advance(e.account, e.nonce+1, e)
	p.touch(e.account)
}

func (p *Pool) refresh(c *chain.AccountChange) {
	a := p.accounts[c.Address]
	if a == nil {
		return
	}
	nonce := a.nonce
	if !a.apply(c) {
		p.log.Warn("pool: block changed an account's code without naming it", "height", p.height, "account", c.Address)
	}
	next := a.nonce
	a.nonce = nonce
	p.advance(a, next, nil)
	p.affordable(a)
	p.touch(a)
}

func (p *Pool) excluded(x *chain.Exclusion) {
	e := p.all[x.Tx]
	if e == nil {
		p.note(x.Tx, x.Reason)
		return
	}
	a := e.account
	i, _ := a.index(e.nonce)
	if int(e.tries) >= p.cfg.Retries {
		p.remove(a, i)
		p.note(e.hash, fmt.Sprintf("left out of %d blocks: %s", e.tries+1, x.Reason))
	} else {
		e.tries++
		a.lead = min(a.lead, i)
		p.setStatus(a, e, gapped)
		if i < a.exec {
			p.setStatus(a, e, ready)
		}
		p.affordable(a)
	}
	p.touch(a)
}
