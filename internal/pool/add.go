package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// chunk is how many transactions a worker takes at once: handing over costs about 1 µs, verifying one transaction 35.
	chunk = 16
	// window is how many transactions of one call are verified before they are admitted; it bounds what a call of any size holds.
	window = 1024
)

// work is some transactions on their way through the workers: what came in and what became of it, place by place.
type work struct {
	raws    [][]byte
	local   bool
	urgent  bool
	entries []*entry
	reads   []reading
	errs    []error
}

func (w *work) part(at, end int) *work {
	return &work{w.raws[at:end], w.local, w.urgent, w.entries[at:end], w.reads[at:end], w.errs[at:end]}
}

// reading is an account's state as of some block at or after height. ok is false when nothing was read.
type reading struct {
	snapshot
	height uint64
	ok     bool
}

// Add decodes, verifies and admits one transaction and returns it. raw belongs to the pool from here on. local transactions are journaled
// before Add returns and are the last to be evicted. A transaction that is pooled already gives ErrAlreadyKnown; every refusal matches
// one of the package's errors or chain's.
//
// Add waits for a free worker. Cancelling ctx ends that wait; a transaction that a worker has taken is admitted or refused all the same.
func (p *Pool) Add(ctx context.Context, raw []byte, local bool) (*chain.Tx, error) {
	txs, errs := p.AddBatch(ctx, [][]byte{raw}, local)
	return txs[0], errs[0]
}

// AddBatch is Add for many: one result per raw transaction, a nil Tx where there is an error. They are admitted in the given order.
func (p *Pool) AddBatch(ctx context.Context, raws [][]byte, local bool) ([]*chain.Tx, []error) {
	return p.add(ctx, raws, local, false)
}

// AddUrgent is AddBatch for transactions of peers that a proposal waits for: the workers take them before all others.
func (p *Pool) AddUrgent(ctx context.Context, raws [][]byte) ([]*chain.Tx, []error) {
	return p.add(ctx, raws, false, true)
}

func (p *Pool) add(ctx context.Context, raws [][]byte, local, urgent bool) ([]*chain.Tx, []error) {
	txs, errs := make([]*chain.Tx, len(raws)), make([]error, len(raws))
	if err := p.wait(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return txs, errs
	}
	for at := 0; at < len(raws); at += window {
		end := min(at+window, len(raws))
		p.addWindow(ctx, &work{raws: raws[at:end], local: local, urgent: urgent, errs: errs[at:end]}, txs[at:end])
	}
	return txs, errs
}

func (p *Pool) addWindow(ctx context.Context, w *work, txs []*chain.Tx) {
	w.entries, w.reads = make([]*entry, len(w.raws)), make([]reading, len(w.raws))
	errs := w.errs
	p.verify(ctx, w)
	if w.local && p.journal != nil {
		p.gate.RLock()
		defer p.gate.RUnlock()
		if err := p.keep(w.entries); err != nil {
			for i := range errs {
				if errs[i] == nil {
					errs[i] = err
				}
			}
		}
	}
	for i, e := range w.entries {
		if errs[i] == nil {
			txs[i] = e.tx // before admission: the entry may be gone right after it
		}
	}
	p.admitAll(w)
	for i, err := range errs {
		if err != nil {
			txs[i] = nil
		}
	}
}

// keep journals entries. It runs under p.gate.
func (p *Pool) keep(entries []*entry) error {
	select {
	case <-p.closed:
		return ErrClosed
	default:
	}
	records := make([]*chain.Tx, 0, len(entries))
	for _, e := range entries {
		if e != nil {
			records = append(records, e.tx)
		}
	}
	if err := p.journal.append(records); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// verify runs w through the workers in chunks and waits for all of them.
func (p *Pool) verify(ctx context.Context, w *work) {
	var running sync.WaitGroup
	defer running.Wait()
	jobs := p.jobs
	if w.urgent {
		jobs = p.urgent
	}
	for at := 0; at < len(w.raws); at += chunk {
		part := w.part(at, min(at+chunk, len(w.raws)))
		running.Add(1)
		var err error
		select {
		case jobs <- func() { p.check(ctx, part); running.Done() }:
			continue
		case <-p.closed:
			err = ErrClosed
		case <-ctx.Done():
			err = fmt.Errorf("add transaction: %w", ctx.Err())
		}
		running.Done()
		for i := at; i < len(w.raws); i++ {
			w.errs[i] = err
		}
		return
	}
}

func (p *Pool) worker(stop <-chan struct{}) {
	for {
		select {
		case job := <-p.urgent:
			job()
			continue
		default:
		}
		select {
		case <-stop:
			return
		case job := <-p.urgent:
			job()
		case job := <-p.jobs:
			job()
		}
	}
}

// check does all that needs no order: decoding, the known ones out, stateless rules, signatures, permission, reading of unknown senders.
func (p *Pool) check(ctx context.Context, w *work) {
	txs := make([]*chain.Tx, len(w.raws))
	for i, raw := range w.raws {
		txs[i], w.errs[i] = chain.DecodeTx(raw)
	}
	p.mu.Lock()
	for i, tx := range txs {
		if tx != nil && p.all[tx.Hash()] != nil {
			txs[i], w.errs[i] = nil, ErrAlreadyKnown
		}
	}
	p.mu.Unlock()
	for i, tx := range txs {
		if tx != nil {
			w.entries[i], w.errs[i] = p.checkTx(ctx, tx, w.local)
		}
	}
	p.prefetch(w.entries, w.reads)
}

func (p *Pool) checkTx(ctx context.Context, tx *chain.Tx, local bool) (*entry, error) {
	if err := p.rules.check(tx); err != nil { // before the signature: it is far cheaper
		return nil, err
	}
	if err := p.verifier.Verify(tx); err != nil {
		return nil, err
	}
	if p.permission != nil {
		if err := p.permission.Allow(ctx, p.chain.State(), tx); err != nil {
			return nil, err
		}
	}
	e, ok := newEntry(tx, local, p.rules.zero)
	if !ok {
		return nil, ErrInsufficientFunds
	}
	return e, nil
}

// prefetch reads the accounts of senders that the pool does not hold. A failed read is left for admitAll to repeat and report.
func (p *Pool) prefetch(entries []*entry, reads []reading) {
	unknown := 0
	p.mu.Lock()
	for i, e := range entries {
		if e != nil && p.accounts[e.sender] == nil {
			reads[i].height, reads[i].ok = p.height, true
			unknown++
		}
	}
	p.mu.Unlock()
	if unknown == 0 {
		return
	}
	state := p.chain.State() // taken after the height, so it is that block's or a later one's
	for i, e := range entries {
		if !reads[i].ok {
			continue
		}
		if i > 0 && reads[i-1].ok && entries[i-1].sender == e.sender {
			reads[i] = reads[i-1]
			continue
		}
		var err error
		reads[i].snapshot, err = readAccount(state, e.sender)
		reads[i].ok = err == nil
	}
}

func readAccount(state chain.State, addr common.Address) (s snapshot, err error) {
	acc, err := state.Account(addr)
	if err != nil {
		return s, fmt.Errorf("read account %s: %w", addr, err)
	}
	if acc == nil {
		return snapshot{codeHash: chain.EmptyCodeHash, eoa: true}, nil
	}
	s = snapshot{nonce: acc.Nonce, balance: acc.Balance, codeHash: acc.CodeHash, eoa: acc.CodeHash == chain.EmptyCodeHash}
	if !s.eoa {
		code, err := state.Code(acc.CodeHash)
		if err != nil {
			return s, fmt.Errorf("read code of %s: %w", addr, err)
		}
		_, s.eoa = types.ParseDelegation(code)
	}
	return s, nil
}

// admitAll admits what check left without an error, in order. Where an account must be read after all, it is, without the lock.
func (p *Pool) admitAll(w *work) {
	todo := make([]int, 0, len(w.entries))
	for i := range w.entries {
		if w.errs[i] == nil {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		unread := todo[:0]
		p.mu.Lock()
		for _, i := range todo {
			if w.errs[i] = p.admit(w.entries[i], &w.reads[i]); errors.Is(w.errs[i], errUnread) {
				unread = append(unread, i)
			}
		}
		height := p.height
		p.release()
		todo = unread
		if len(todo) == 0 {
			return
		}
		state := p.chain.State() // taken after height, so it is that block's or a later one's
		unread = todo[:0]
		for _, i := range todo {
			s, err := readAccount(state, w.entries[i].sender)
			if w.errs[i] = err; err == nil {
				w.reads[i] = reading{s, height, true}
				unread = append(unread, i)
			}
		}
		todo = unread
	}
}
