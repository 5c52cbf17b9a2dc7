package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// askAfter is how long Verify waits without any of a proposal's transactions coming in before it asks the proposer for them. While they come, they are on
	// their way through the pool, and asking would only have each verified twice.
	askAfter = 30 * time.Millisecond
	// askOld is the age from which on a block of an engine of branches is asked for at once.
	askOld = time.Second
	// verifyWaits bounds, in times VerifyWait, how long a proposal whose transactions keep coming in may hold up the engine.
	verifyWaits = 4
)

// awaited is a proposal's transactions, as far as they are here.
type awaited struct {
	txs chain.Txs
	// lack are the hashes of the missing ones, at their positions in txs.
	lack []common.Hash
	at   []int
}

// look asks the pool for what is missing.
func (a *awaited) look(p Pool) {
	found, missing := p.Bodies(a.lack)
	if len(missing) < len(a.lack) {
		a.take(func(i int) *chain.Tx { return found[i] })
	}
}

// take puts in what find has for the i-th missing one.
func (a *awaited) take(find func(i int) *chain.Tx) {
	n := 0
	for i, at := range a.at {
		if a.txs[at] = find(i); a.txs[at] == nil {
			a.lack[n], a.at[n] = a.lack[i], at
			n++
		}
	}
	a.lack, a.at = a.lack[:n], a.at[:n]
}

// await returns the proposal's transactions once all are here; it asks from first. It gives up when none has come for VerifyWait.
func (d *Driver) await(ctx context.Context, from PeerID, p *Proposal) (chain.Txs, error) {
	rung := d.rung() // before looking, or a ring in between is missed
	a := &awaited{txs: make(chain.Txs, len(p.Txs)), lack: append([]common.Hash(nil), p.Txs...), at: make([]int, len(p.Txs))}
	for i := range a.at {
		a.at[i] = i
	}
	a.look(d.node.Pool)
	if len(a.lack) == 0 {
		return a.txs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, verifyWaits*d.cfg.VerifyWait)
	fetched := make(chan map[common.Hash]*chain.Tx, 1)
	asking := false
	defer func() {
		cancel()
		if asking {
			<-fetched
		}
	}()
	wait := askAfter
	if p.Proposer == 0 && p.TimeMillis+uint64(askOld.Milliseconds()) < d.nowMillis() {
		wait = 0 // nothing of an old block is on its way through the pools
	}
	quiet, patience := time.NewTimer(wait), time.NewTimer(d.cfg.VerifyWait)
	defer quiet.Stop()
	defer patience.Stop()
	unknown := func() error {
		return fmt.Errorf("%w: height %d: %d of %d transactions are unknown, the first is %s", ErrProposal, p.Height, len(a.lack), len(p.Txs), a.lack[0])
	}
	for {
		before := len(a.lack)
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, unknown()
			}
			return nil, fmt.Errorf("order: verify: %w", ctx.Err())
		case <-patience.C:
			return nil, unknown()
		case <-quiet.C:
			if d.node.Network != nil && !asking {
				asking = true
				d.ask(ctx, from, p, append([]common.Hash(nil), a.lack...), fetched)
			}
		case got := <-fetched:
			asking = false
			a.take(func(i int) *chain.Tx { return got[a.lack[i]] })
		case <-rung:
		}
		rung = d.rung()
		a.look(d.node.Pool)
		if len(a.lack) == 0 {
			return a.txs, nil
		}
		if len(a.lack) < before {
			quiet.Reset(askAfter)
			patience.Reset(d.cfg.VerifyWait)
		}
	}
}

// ask fetches transactions of a proposal, first from that peer, and sends what came to out, whose buffer has room.
func (d *Driver) ask(ctx context.Context, from PeerID, p *Proposal, missing []common.Hash, out chan<- map[common.Hash]*chain.Tx) {
	go func() {
		found, err := d.fetch(ctx, from, missing)
		if err != nil {
			d.node.Log.Debug("order: fetch transactions of a proposal", "height", p.Height, "count", len(missing), "err", err)
		}
		out <- found
	}()
}
