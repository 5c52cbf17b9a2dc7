package order

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Build implements Host. Its time is the node's clock, or the parent's where the clock stands behind it.
func (d *Driver) Build(ctx context.Context, parent *chain.Decision) (*Proposal, error) {
	if err := d.fill(ctx, parent); err != nil {
		return nil, err
	}
	c := d.node.Genesis.Consensus
	p := &Proposal{Height: 1, Proposer: d.self(), TimeMillis: max(d.nowMillis(), d.node.Genesis.TimeMillis)}
	if parent != nil {
		hash := crypto.Hash{}
		if last := d.last.Load(); last != nil && last.Decision == parent {
			hash = last.hash
		} else {
			hash = parent.Hash(d.node.Suite)
		}
		p.Height, p.Parent, p.TimeMillis = parent.Height+1, hash, max(d.nowMillis(), parent.TimeMillis)
	}
	// What the pool has let go of since it listed it stays out, and the rest is held until it is decided.
	txs, missing := d.node.Pool.Bodies(d.node.Pool.Build(c.MaxBlockTxs, c.MaxBlockBytes, d.node.Genesis.GasLimit))
	if len(missing) > 0 {
		txs = slices.DeleteFunc(txs, func(tx *chain.Tx) bool { return tx == nil })
	}
	p.Txs = txs.Hashes()
	if err := d.keep(txs); err != nil {
		return nil, err
	}
	return p, nil
}

// self is this node's number in the set of the next height, which names it by its key; where it does not, the configured one.
func (d *Driver) self() chain.ValidatorID {
	key := d.node.Key.Public().Bytes()
	for _, v := range d.rule.Load().Set {
		if bytes.Equal(v.PublicKey, key) {
			return v.ID
		}
	}
	return d.node.ID
}

// fill waits until the batch is full. One that is not goes when its first transaction has waited for the batch time, and the block before it is final
// or has had the time for that.
func (d *Driver) fill(ctx context.Context, parent *chain.Decision) error {
	c := d.node.Genesis.Consensus
	batch, pace := wait{}, wait{}
	defer batch.stop()
	defer pace.stop()
	for {
		rung, moved := d.rung(), d.moved() // before looking, or what happens in between is missed
		txs, bytes, gas, since := d.node.Pool.Ready()
		if txs == 0 || txs >= c.MaxBlockTxs || bytes >= c.MaxBlockBytes || gas >= d.node.Genesis.GasLimit {
			return nil
		}
		if since.IsZero() {
			batch.over = true
		}
		batch.start(time.Duration(c.BatchMillis)*time.Millisecond - d.node.Now().Sub(since))
		if parent == nil || moved == nil || d.node.Final.Finalized() >= parent.Height {
			pace.over = true
		}
		pace.start(d.cfg.Pace)
		if batch.over && pace.over {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("order: build: %w", ctx.Err())
		case <-batch.end:
			batch.over = true
		case <-pace.end:
			pace.over = true
		case <-rung:
		case <-moved:
		}
	}
}

// moved is closed when the next block is final; nil where proposals do not wait for that.
func (d *Driver) moved() <-chan struct{} {
	if d.node.Final == nil || d.cfg.Pace == 0 || len(d.rule.Load().Set) < 2 {
		return nil
	}
	return d.node.Final.Moved()
}

// wait is one that begins at most once. Its zero value has not begun.
type wait struct {
	timer *time.Timer
	end   <-chan time.Time
	over  bool
}

// start begins it, for that long; with nothing to wait for it is over.
func (w *wait) start(long time.Duration) {
	switch {
	case w.over || w.timer != nil:
	case long <= 0:
		w.over = true
	default:
		w.timer = time.NewTimer(long)
		w.end = w.timer.C
	}
}

func (w *wait) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (d *Driver) nowMillis() uint64 { return uint64(max(d.node.Now().UnixMilli(), 0)) }

// Verify implements Host. It holds the proposal against the last delivered decision.
func (d *Driver) Verify(ctx context.Context, p *Proposal) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: height %d: %s", ErrProposal, p.Height, fmt.Sprintf(format, args...))
	}
	c := d.node.Genesis.Consensus
	if err := d.follows((*chain.Decision)(p)); err != nil {
		return fmt.Errorf("%w: %w", ErrProposal, err)
	}
	if limit := d.nowMillis() + uint64(maxDrift.Milliseconds()); p.TimeMillis > limit {
		return refuse("time %d is more than %s ahead of this node's clock", p.TimeMillis, maxDrift)
	}
	if len(p.Txs) > c.MaxBlockTxs {
		return refuse("%d transactions, at most %d", len(p.Txs), c.MaxBlockTxs)
	}
	if h, ok := d.node.Pool.DecidedAlready(p.Txs); ok {
		return refuse("transaction %s is decided already", h)
	}
	txs, err := d.await(ctx, PeerID(p.Proposer), p)
	if err != nil {
		return err
	}
	if err := d.fits(p, txs); err != nil {
		return err
	}
	return d.keep(txs)
}

// fits checks a proposal's transactions against the genesis' bounds.
func (d *Driver) fits(p *Proposal, txs chain.Txs) error {
	bytes, gas := 0, uint64(0)
	for _, tx := range txs {
		bytes += len(tx.Raw())
		gas += tx.Gas() // at most 65,536 times EIP-7825's cap
	}
	if limit := d.node.Genesis.Consensus.MaxBlockBytes; bytes > limit {
		return fmt.Errorf("%w: height %d: %d bytes of transactions, at most %d", ErrProposal, p.Height, bytes, limit)
	}
	if limit := d.node.Genesis.GasLimit; gas > limit {
		return fmt.Errorf("%w: height %d: %d gas, at most %d", ErrProposal, p.Height, gas, limit)
	}
	return nil
}

// Hold implements Host.
func (d *Driver) Hold(ctx context.Context, p *Proposal) error {
	if d.held.find(p.Txs) != nil {
		return nil
	}
	txs, err := d.await(ctx, PeerID(p.Proposer), p)
	if err != nil {
		return err
	}
	return d.keep(txs)
}

// keep holds the transactions of a proposal until it is decided, in a crash too where others may decide on it: they count on every validator that has
// agreed to have them.
func (d *Driver) keep(txs chain.Txs) error {
	d.held.keep(txs)
	if len(txs) == 0 || d.node.Network == nil {
		return nil
	}
	if err := d.node.Ledger.KeepProposal(txs); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	return nil
}

// follows checks that dec can be the next decision.
func (d *Driver) follows(dec *chain.Decision) error {
	var height, millis uint64 = 1, d.node.Genesis.TimeMillis
	var parent crypto.Hash
	if last := d.last.Load(); last != nil {
		height, millis, parent = last.Height+1, last.TimeMillis, last.hash
	}
	if err := dec.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrSequence, err)
	}
	switch {
	case dec.Height != height:
		return fmt.Errorf("%w: height %d, the next is %d", ErrSequence, dec.Height, height)
	case dec.Parent != parent:
		return fmt.Errorf("%w: height %d names parent %s, the last decision is %s", ErrSequence, height, dec.Parent, parent)
	case dec.TimeMillis < millis:
		return fmt.Errorf("%w: height %d has time %d, before its parent's %d", ErrSequence, height, dec.TimeMillis, millis)
	case !d.rule.Load().Engine.Signed():
		if dec.Proposer != 0 {
			return fmt.Errorf("%w: height %d is proposed by %d, the engine has no validators", ErrSequence, height, dec.Proposer)
		}
	case d.rule.Load().Set.Find(dec.Proposer) == nil:
		return fmt.Errorf("%w: height %d is proposed by %d, no validator", ErrSequence, height, dec.Proposer)
	}
	return nil
}
