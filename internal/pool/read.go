package pool

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Get returns a pooled transaction, decided ones included; nil when there is none with that hash.
func (p *Pool) Get(hash common.Hash) *chain.Tx {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.all[hash]; e != nil {
		return e.tx
	}
	return nil
}

// Bodies returns the transactions with these hashes, nil where the pool has none, and lists those.
func (p *Pool) Bodies(hashes []common.Hash) (txs chain.Txs, missing []common.Hash) {
	txs = make(chain.Txs, len(hashes))
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, h := range hashes {
		if e := p.all[h]; e != nil {
			txs[i] = e.tx
		} else {
			missing = append(missing, h)
		}
	}
	return txs, missing
}

// DecidedAlready returns the first of hashes that was decided and not yet executed; ok is false when there is none.
func (p *Pool) DecidedAlready(hashes []common.Hash) (hash common.Hash, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range hashes {
		if e := p.all[h]; e != nil && e.status == decided {
			return h, true
		}
	}
	return common.Hash{}, false
}

// Reason says why a transaction was dropped after it had been pooled, or left out by a block; "" when that is not known (any more).
func (p *Pool) Reason(hash common.Hash) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reasons[hash]
}

// PendingNonce is the nonce that addr's next transaction should have: the state's, and on past what is pooled without a gap.
func (p *Pool) PendingNonce(addr common.Address) (uint64, error) {
	p.mu.Lock()
	if a := p.accounts[addr]; a != nil {
		defer p.mu.Unlock()
		return a.pendingNonce(), nil
	}
	p.mu.Unlock()
	acc, err := p.chain.State().Account(addr)
	if err != nil {
		return 0, fmt.Errorf("pending nonce of %s: %w", addr, err)
	}
	if acc == nil {
		return 0, nil
	}
	return acc.Nonce, nil
}

// Status counts the transactions without a gap before them (decided ones included) and those with one.
func (p *Pool) Status() (pending, queued int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[ready] + p.counts[decided], p.counts[gapped]
}

// Content is the pool as txpool_content shows it: per sender in nonce order.
type Content struct {
	Pending, Queued map[common.Address][]*chain.Tx
	// Truncated tells that the pool holds more than was asked for.
	Truncated bool
}

// Content lists whole accounts until they hold max transactions: an answer of the pool's full size would help nobody and hold the lock.
func (p *Pool) Content(max int) Content {
	c := Content{Pending: make(map[common.Address][]*chain.Tx), Queued: make(map[common.Address][]*chain.Tx)}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.accounts {
		if n >= max {
			c.Truncated = true
			return c
		}
		n += len(a.txs)
		c.add(a)
	}
	return c
}

// ContentFrom lists one account's transactions.
func (p *Pool) ContentFrom(addr common.Address) (pending, queued []*chain.Tx) {
	c := Content{Pending: make(map[common.Address][]*chain.Tx), Queued: make(map[common.Address][]*chain.Tx)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.accounts[addr]; a != nil {
		c.add(a)
	}
	return c.Pending[addr], c.Queued[addr]
}

func (c *Content) add(a *account) {
	for _, e := range a.txs {
		if e.status == gapped {
			c.Queued[a.addr] = append(c.Queued[a.addr], e.tx)
		} else {
			c.Pending[a.addr] = append(c.Pending[a.addr], e.tx)
		}
	}
}
