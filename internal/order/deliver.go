package order

import (
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Deliver implements Host.
func (d *Driver) Deliver(ctx context.Context, dec *chain.Decision) (chain.ValidatorSet, error) {
	if dec.Height <= d.height() {
		return nil, d.again(dec)
	}
	if err := d.follows(dec); err != nil {
		return nil, err
	}
	txs, err := d.bodies(ctx, dec)
	if err != nil {
		return nil, err
	}
	return d.take(ctx, dec, txs)
}

// take keeps dec, which follows the last one, and hands it on with its transactions. It returns the set that rules the next height where
// that is another one.
func (d *Driver) take(ctx context.Context, dec *chain.Decision, txs chain.Txs) (chain.ValidatorSet, error) {
	if err := d.node.Ledger.AppendDecision(ctx, dec, txs); err != nil {
		return nil, fmt.Errorf("order: append decision %d: %w", dec.Height, err)
	}
	// Where one validator decides alone no vote of others brings the same decision back, so it must outlive a crash before they can hear of it.
	if d.node.Network != nil && d.rule.Load().Engine == chain.Solo {
		if err := d.node.Ledger.SyncDecisions(); err != nil {
			return nil, fmt.Errorf("order: decision %d: %w", dec.Height, err)
		}
	}
	d.node.Pool.Decided(txs)
	d.noteRoom(txs)
	d.held.clear()
	d.branches.decided(dec.Height)
	d.last.Store(d.tip(dec))
	if err := d.handOn(ctx, Work{dec, txs}); err != nil {
		return nil, err
	}
	d.noteRoom(txs) // again: a full decision that waits for execution keeps the next one from being made, here as on the leader
	return d.settle(ctx, dec.Height)
}

// settle makes the set of the height after the given one the driver's, and returns it if it is new.
func (d *Driver) settle(ctx context.Context, height uint64) (chain.ValidatorSet, error) {
	if d.node.CatchUp != nil {
		d.node.CatchUp.SetHeight(height)
	}
	if d.node.Sets == nil {
		return nil, nil
	}
	rule, err := d.node.Sets.At(ctx, height+1)
	if err != nil {
		return nil, fmt.Errorf("order: validators of height %d: %w", height+1, err)
	}
	if rule.Hash(d.node.Suite) == d.rule.Load().Hash(d.node.Suite) {
		return nil, nil
	}
	d.rule.Store(rule)
	return rule.Set, nil
}

// again accepts a decision that is in the ledger already, as engines repeat one after a crash, and nothing else of its height.
func (d *Driver) again(dec *chain.Decision) error {
	have, _, err := d.node.Ledger.Decision(dec.Height)
	if err != nil {
		return fmt.Errorf("order: read decision %d: %w", dec.Height, err)
	}
	if a, b := have.Hash(d.node.Suite), dec.Hash(d.node.Suite); a != b {
		return fmt.Errorf("%w: height %d is decided as %s, now the engine says %s", ErrSequence, dec.Height, a, b)
	}
	return nil
}

// Bodies returns the transactions of these hashes from the pool and from the proposals that this node has agreed to, nil in the places of the missing
// ones, and lists those. Safe for concurrent use.
func (d *Driver) Bodies(hashes []common.Hash) (txs chain.Txs, missing []common.Hash) {
	txs, missing = d.node.Pool.Bodies(hashes)
	if len(missing) > 0 {
		missing = d.held.fill(txs, hashes)
	}
	if len(missing) > 0 {
		missing = d.branches.fill(txs, hashes)
	}
	return txs, missing
}

// bodies collects the decision's transactions: from its proposal, else from the pool, and from the peers where that lacks some. A quorum has agreed to
// have them, so it asks until they are here: without them this node cannot go on, and with a new start it could not either.
func (d *Driver) bodies(ctx context.Context, dec *chain.Decision) (chain.Txs, error) {
	if txs := d.held.find(dec.Txs); txs != nil {
		return txs, nil
	}
	if d.branches.some() {
		if txs := d.branches.of(dec.Hash(d.node.Suite)); txs.Are(dec.Txs) {
			return txs, nil
		}
	}
	txs, missing := d.Bodies(dec.Txs)
	if len(missing) == 0 {
		return txs, nil
	}
	if d.node.Network == nil {
		return nil, fmt.Errorf("%w: height %d: %d of %d, the first is %s", ErrMissing, dec.Height, len(missing), len(dec.Txs), missing[0])
	}
	d.node.Log.Info("order: fetching transactions of a decision", "height", dec.Height, "count", len(missing))
	for {
		fetchCtx, cancel := context.WithTimeout(ctx, d.cfg.FetchWait)
		got, err := d.fetch(fetchCtx, PeerID(dec.Proposer), missing)
		lack := fillIn(txs, dec.Txs, got)
		if lack > 0 {
			<-fetchCtx.Done() // peers that answer at once are not asked more often
			lack = len(d.held.fill(txs, dec.Txs))
		}
		cancel()
		switch {
		case lack == 0:
			return txs, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w: height %d: %d of %d: %w", ErrMissing, dec.Height, lack, len(dec.Txs), ctx.Err())
		}
		d.node.Log.Warn("no peer has the transactions of a decision, asking again", "height", dec.Height, "count", lack, "err", err)
	}
}

// fetch asks the peers, that one first, and returns what they have of hashes.
func (d *Driver) fetch(ctx context.Context, first PeerID, hashes []common.Hash) (map[common.Hash]*chain.Tx, error) {
	txs, err := d.node.Network.Fetch(ctx, first, hashes)
	if err != nil {
		return nil, err
	}
	got := make(map[common.Hash]*chain.Tx, len(txs))
	for _, tx := range txs {
		if tx != nil {
			got[tx.Hash()] = tx
		}
	}
	return got, nil
}

// fillIn puts got into the empty places of txs, whose hashes are given, and counts those that stay empty.
func fillIn(txs chain.Txs, hashes []common.Hash, got map[common.Hash]*chain.Tx) (lack int) {
	for i, tx := range txs {
		if tx != nil {
			continue
		}
		if txs[i] = got[hashes[i]]; txs[i] == nil {
			lack++
		}
	}
	return lack
}

// handOn waits for room in the pipeline.
func (d *Driver) handOn(ctx context.Context, w Work) error {
	select {
	case d.out <- w:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("order: hand on decision %d: %w", w.Decision.Height, ctx.Err())
	}
}

// Sync implements Host. Without catch-up there is nothing beyond the own ledger.
func (d *Driver) Sync(ctx context.Context, from uint64) (*chain.Decision, chain.ValidatorSet, error) {
	if d.node.CatchUp != nil && (from == 0 || from > d.height()) {
		if err := d.node.CatchUp.Fetch(ctx, d.height()+1, from, d.verifyFetched, d.takeFetched); err != nil {
			return nil, nil, fmt.Errorf("order: catch up from %d: %w", d.height()+1, err)
		}
	}
	var last *chain.Decision
	if t := d.last.Load(); t != nil {
		last = t.Decision
	}
	return last, d.rule.Load().Set, nil
}

// verifyFetched checks a decision by the set of its height. It is asked in order, at most chain.ActivationDelay ahead of takeFetched.
func (d *Driver) verifyFetched(ctx context.Context, dec *chain.Decision) error {
	rule := d.rule.Load()
	if d.node.Sets != nil && dec.Height != d.height()+1 {
		var err error
		if rule, err = d.node.Sets.At(ctx, dec.Height); err != nil {
			return fmt.Errorf("order: validators of height %d: %w", dec.Height, err)
		}
	}
	if err := d.engine.VerifyDecision(rule.Set, dec); err != nil {
		return err
	}
	if c, ok := d.engine.(Chooser); ok {
		return c.Chosen(dec)
	}
	return nil
}

// takeFetched takes a decision that verifyFetched has passed.
func (d *Driver) takeFetched(ctx context.Context, dec *chain.Decision, txs chain.Txs) error {
	if dec.Height <= d.height() {
		return d.again(dec)
	}
	if err := d.follows(dec); err != nil {
		return err
	}
	if slices.Contains(txs, nil) || !txs.Are(dec.Txs) {
		return fmt.Errorf("%w: height %d came with other transactions", ErrMissing, dec.Height)
	}
	_, err := d.take(ctx, dec, txs)
	return err
}
