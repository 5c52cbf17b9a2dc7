package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"golang.org/x/sync/errgroup"
)

// finalityPause is between two questions whether a block is final: nodes announce blocks when they have them, not when they are certified.
const finalityPause = time.Millisecond

// finality notes when each block was final on each node, which is when the node had said so and a receipt of the block had come from it.
type finality struct {
	from uint64
	// ended is closed when to is known, the last height of interest.
	ended chan struct{}
	to    uint64

	mu sync.Mutex
	// at is by node and height.
	at []map[uint64]time.Time
}

func newFinality(nodes int, from uint64) *finality {
	f := &finality{from: from, ended: make(chan struct{}), at: make([]map[uint64]time.Time, nodes)}
	for i := range f.at {
		f.at[i] = make(map[uint64]time.Time)
	}
	return f
}

// endAt says which height is the last of interest. Call it once.
func (f *finality) endAt(height uint64) {
	f.to = height
	close(f.ended)
}

// follow watches one node until the last height is final there.
func (f *finality) follow(ctx context.Context, node int, url string) error {
	view, err := dialView(ctx, url)
	if err != nil {
		return err
	}
	defer view.close()
	heads, err := view.subscribe(ctx)
	if err != nil {
		return err
	}
	defer heads.close()
	final, head, ended := f.from, f.from, f.ended
	for {
		select {
		case a := <-heads.arrived:
			head = max(head, uint64(a.head.Number))
		case <-ended:
			head, ended = max(head, f.to), nil
		case err := <-heads.Err():
			return fmt.Errorf("the subscription to new heads ended: %v", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if final, err = f.note(ctx, view, node, final, head); err != nil {
			return err
		}
		if ended == nil && final >= f.to {
			return nil
		}
	}
}

// note asks until everything up to head is final.
func (f *finality) note(ctx context.Context, view *chainView, node int, final, head uint64) (uint64, error) {
	begin := time.Now()
	for final < head {
		status, err := view.status(ctx)
		if err != nil {
			return final, err
		}
		now := uint64(status.Finalized)
		if now == final {
			if time.Since(begin) > headTimeout {
				return final, fmt.Errorf("block %d of node %d is not final after %s", head, node+1, headTimeout)
			}
			if err := sleepUntil(ctx, time.Now().Add(finalityPause)); err != nil {
				return final, err
			}
			continue
		}
		if err := view.readReceipt(ctx, now); err != nil {
			return final, err
		}
		at := time.Now()
		f.mu.Lock()
		for h := final + 1; h <= now; h++ {
			f.at[node][h] = at
		}
		f.mu.Unlock()
		final = now
	}
	return final, nil
}

// latencies are from each transaction's turn to finality on the node next to the one that it was sent to.
func (f *finality) latencies(d *driver) (out []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, due := range d.due {
		if at, ok := f.at[(d.via[i/d.batch]+1)%len(f.at)][d.heights[i]]; ok {
			out = append(out, at.Sub(due))
		}
	}
	return out
}

// status is what of jl_status the benchmark needs.
type status struct {
	Finalized hexutil.Uint64 `json:"finalized"`
}

func (v *chainView) status(ctx context.Context) (*status, error) {
	s := new(status)
	if err := v.rpc.CallContext(ctx, s, "jl_status"); err != nil {
		return nil, fmt.Errorf("read the node's status: %w", err)
	}
	return s, nil
}

// role is what of jl_nodeStatus the benchmark needs: validators' numbers, null where there is none.
type role struct {
	Validator *uint64 `json:"validator"`
	Leader    *uint64 `json:"leader"`
}

func (v *chainView) role(ctx context.Context) (*role, error) {
	r := new(role)
	if err := v.rpc.CallContext(ctx, r, "jl_nodeStatus"); err != nil {
		return nil, fmt.Errorf("read the node's status: %w", err)
	}
	return r, nil
}

// readReceipt fetches the receipt of a block's last transaction.
func (v *chainView) readReceipt(ctx context.Context, height uint64) error {
	b, err := v.block(ctx, height)
	if err != nil || len(b.Transactions) == 0 {
		return err
	}
	hash := b.Transactions[len(b.Transactions)-1]
	var receipt *struct {
		TransactionHash common.Hash `json:"transactionHash"`
	}
	if err := v.rpc.CallContext(ctx, &receipt, "eth_getTransactionReceipt", hash); err != nil {
		return fmt.Errorf("read a receipt: %w", err)
	}
	if receipt == nil || receipt.TransactionHash != hash {
		return fmt.Errorf("block %d is final and the node has no receipt of its transaction %s", height, hash)
	}
	return nil
}

// errBehind is a node that does not come along.
var errBehind = errors.New("a node is behind")

// awaitHeight returns when the height is final on all nodes.
func awaitHeight(ctx context.Context, nodes []string, height uint64) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, url := range nodes {
		g.Go(func() error {
			view, err := dialView(ctx, url)
			if err != nil {
				return err
			}
			defer view.close()
			var last uint64
			moved := time.Now()
			for {
				s, err := view.status(ctx)
				if err != nil {
					return err
				}
				if uint64(s.Finalized) >= height {
					return nil
				}
				if now := uint64(s.Finalized); now > last {
					last, moved = now, time.Now()
				} else if time.Since(moved) > headTimeout {
					return fmt.Errorf("%w: node %d has had no block after %d for %s, others have %d", errBehind, i+1, last, headTimeout, height)
				}
				if err := sleepUntil(ctx, time.Now().Add(5*finalityPause)); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}
