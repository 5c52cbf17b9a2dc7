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

// finality notes when each block was final on each node, which is when the node had said so and a receipt of the block had come from it.
type finality struct {
	from uint64
	// told are the nodes' subscriptions.
	told []*finalHeads
	// ended is closed when to is known, the last height of interest.
	ended chan struct{}
	to    uint64

	mu sync.Mutex
	// at is by node and height.
	at []map[uint64]time.Time
	// last is the last transaction of each block that the driver has seen; zero for an empty block.
	last map[uint64]common.Hash
}

// finalHeads is a node that tells of final blocks.
type finalHeads struct {
	view  *chainView
	heads *subscription
}

// newFinality returns once all nodes will tell of every block that is final from now on.
func newFinality(ctx context.Context, nodes []string, from uint64) (*finality, error) {
	f := &finality{from: from, ended: make(chan struct{}), last: make(map[uint64]common.Hash)}
	for _, url := range nodes {
		view, err := dialView(ctx, url)
		if err != nil {
			f.close()
			return nil, err
		}
		heads, err := view.subscribeTo(ctx, "newFinalizedHeads")
		if err != nil {
			view.close()
			f.close()
			return nil, err
		}
		f.told = append(f.told, &finalHeads{view, heads})
		f.at = append(f.at, make(map[uint64]time.Time))
	}
	return f, nil
}

func (f *finality) close() {
	for _, t := range f.told {
		t.heads.close()
		t.view.close()
	}
}

// endAt says which height is the last of interest. Call it once.
func (f *finality) endAt(height uint64) {
	f.to = height
	close(f.ended)
}

// seen takes a block from the driver, which spares the nodes the question for it.
func (f *finality) seen(b *block) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[uint64(b.Number)] = b.last()
}

// follow listens to one node until the last height is final there. Of blocks that are final in one go it asks for a receipt of the newest.
func (f *finality) follow(ctx context.Context, node int) error {
	t, final, ended := f.told[node], f.from, f.ended
	quiet := time.NewTimer(headTimeout)
	defer quiet.Stop()
	for ended != nil || final < f.to {
		select {
		case a := <-t.heads.arrived:
			quiet.Reset(headTimeout)
			now := t.heads.newest(a)
			if now <= final {
				continue
			}
			if err := f.readReceipt(ctx, t.view, now); err != nil {
				return err
			}
			f.note(node, final, now)
			final = now
		case <-ended:
			ended = nil
		case err := <-t.heads.Err():
			return fmt.Errorf("the subscription to final heads ended: %v", err)
		case <-quiet.C:
			return fmt.Errorf("node %d says of no block after %d that it is final, for %s", node+1, final, headTimeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// note keeps that a node has the blocks (from, to] final.
func (f *finality) note(node int, from, to uint64) {
	at := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for h := from + 1; h <= to; h++ {
		f.at[node][h] = at
	}
}

// readReceipt fetches the receipt of a block's last transaction.
func (f *finality) readReceipt(ctx context.Context, view *chainView, height uint64) error {
	f.mu.Lock()
	hash, known := f.last[height]
	f.mu.Unlock()
	if !known {
		b, err := view.block(ctx, height)
		if err != nil {
			return err
		}
		hash = b.last()
	}
	if hash == (common.Hash{}) {
		return nil
	}
	var receipt *struct {
		TransactionHash common.Hash `json:"transactionHash"`
	}
	if err := view.rpc.CallContext(ctx, &receipt, "eth_getTransactionReceipt", hash); err != nil {
		return fmt.Errorf("read a receipt: %w", err)
	}
	if receipt == nil || receipt.TransactionHash != hash {
		return fmt.Errorf("block %d is final and the node has no receipt of its transaction %s", height, hash)
	}
	return nil
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

// errBehind is a node that does not come along.
var errBehind = errors.New("a node is behind")

// statusPause is between two questions how far a node is.
const statusPause = 5 * time.Millisecond

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
				if err := sleepUntil(ctx, time.Now().Add(statusPause)); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}
