package order

import (
	"context"
	"fmt"

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
	if err := d.node.Ledger.AppendDecision(ctx, dec, txs); err != nil {
		return nil, fmt.Errorf("order: append decision %d: %w", dec.Height, err)
	}
	d.node.Pool.Decided(txs)
	d.held.clear()
	d.last.Store(dec)
	return nil, d.handOn(ctx, Work{dec, txs})
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

// bodies collects the decision's transactions: from its proposal, else from the pool, and from the peers where that lacks some.
func (d *Driver) bodies(ctx context.Context, dec *chain.Decision) (chain.Txs, error) {
	if txs := d.held.find(dec.Txs); txs != nil {
		return txs, nil
	}
	txs, missing := d.node.Pool.Bodies(dec.Txs)
	if len(missing) == 0 {
		return txs, nil
	}
	lacks := fmt.Errorf("%w: height %d: %d of %d, the first is %s", ErrMissing, dec.Height, len(missing), len(dec.Txs), missing[0])
	if d.node.Network == nil {
		return nil, lacks
	}
	d.node.Log.Info("order: fetching transactions of a decision", "height", dec.Height, "count", len(missing))
	fetchCtx, cancel := context.WithTimeout(ctx, d.cfg.FetchWait)
	defer cancel()
	got, err := d.node.Network.Fetch(fetchCtx, PeerID(dec.Proposer), missing)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lacks, err)
	}
	if len(got) != len(missing) {
		return nil, fmt.Errorf("%w: the network returned %d", lacks, len(got))
	}
	next := 0
	for i := range txs {
		if txs[i] != nil {
			continue
		}
		if got[next] == nil || got[next].Hash() != dec.Txs[i] {
			return nil, fmt.Errorf("%w: no peer has %s", lacks, dec.Txs[i])
		}
		txs[i] = got[next]
		next++
	}
	return txs, nil
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
func (d *Driver) Sync(context.Context, uint64) (*chain.Decision, chain.ValidatorSet, error) {
	return d.last.Load(), d.set, nil
}
