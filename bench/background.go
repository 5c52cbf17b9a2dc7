package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/sync/errgroup"
)

// Sizes of the load in the background of faults. Batches are small so that blocks come often: a pause is seen to the time between two batches.
const (
	backgroundBatch   = 5
	backgroundWorkers = 16
	// defaultRate is for runs that have not measured what the chain takes.
	defaultRate = 200
)

// askTimeout is when a client gives up one node and goes to the next; retryTimeout when it gives up a batch.
const (
	askTimeout   = 5 * time.Second
	retryTimeout = time.Minute
)

// background is a steady load that lives with nodes coming and going: what one does not take goes to the next, as a client with a list of nodes
// does it. Everything that is signed must be in a block at the end.
type background struct {
	b     *bench
	rate  float64
	start uint64
	// sent counts transfers that a node has accepted.
	sent int

	mu sync.Mutex
	// nodes are those that live, by number; the others are nil.
	nodes []*rpc.Client
}

// underLoad runs f beside the background load, waits until everything sent is in blocks of all nodes, and checks that nothing is missing.
func (b *bench) underLoad(ctx context.Context, f func(context.Context, *background) error) error {
	l := &background{b: b, rate: b.Rate, nodes: make([]*rpc.Client, len(b.nodes))}
	if l.rate == 0 {
		l.rate = b.report.TxsPerSecond / 2
	}
	if l.rate == 0 {
		l.rate = defaultRate
	}
	for i, p := range b.nodes {
		l.add(i, p.ws)
	}
	defer l.close()
	var err error
	if l.start, err = b.height(ctx, 0); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	sending, stop := context.WithCancel(gctx)
	defer stop()
	g.Go(func() error { return l.run(gctx, sending) })
	g.Go(func() error { defer stop(); return f(gctx, l) })
	if err := g.Wait(); err != nil {
		return err
	}
	return l.settle(ctx)
}

// add makes a node one of those that are sent to.
func (l *background) add(node int, url string) {
	c, err := rpc.DialOptions(context.Background(), "http"+strings.TrimPrefix(url, "ws"))
	if err != nil { // of the URL: HTTP connects when something is asked
		panic("bench: " + err.Error())
	}
	l.mu.Lock()
	l.nodes[node] = c
	l.mu.Unlock()
}

// remove makes it none of them.
func (l *background) remove(node int) {
	l.mu.Lock()
	c := l.nodes[node]
	l.nodes[node] = nil
	l.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

func (l *background) close() {
	for i := range l.nodes {
		l.remove(i)
	}
}

// run signs and sends until sending ends; then it waits for what is on its way.
func (l *background) run(ctx, sending context.Context) error {
	batches := make(chan []signed)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return l.pace(gctx, sending, batches)
	})
	for worker := range backgroundWorkers {
		g.Go(func() error {
			turn := worker
			for batch := range batches {
				if err := l.send(gctx, batch, turn); err != nil {
					return err
				}
				turn++
			}
			return nil
		})
	}
	return g.Wait()
}

// pace signs a batch when its turn has come. It does not catch up with what it could not send for want of workers.
func (l *background) pace(ctx, sending context.Context, batches chan<- []signed) error {
	every := time.Duration(backgroundBatch / l.rate * float64(time.Second))
	for next := time.Now(); ; {
		if sleepUntil(sending, next) != nil {
			return ctx.Err()
		}
		txs, err := l.b.token.signTransfers(ctx, l.b.holders, l.b.payments, backgroundBatch)
		if err != nil {
			return err
		}
		l.sent += len(txs)
		l.b.committed += len(txs)
		select {
		case batches <- txs:
		case <-ctx.Done():
			return ctx.Err()
		}
		if next = next.Add(every); time.Until(next) < -time.Second {
			next = time.Now()
		}
	}
}

// send gives a batch to the first node, from that turn on, that takes it.
func (l *background) send(ctx context.Context, batch []signed, turn int) error {
	begin := time.Now()
	var last error
	for try := 0; time.Since(begin) < retryTimeout; try++ {
		l.mu.Lock()
		c := l.nodes[(turn+try)%len(l.nodes)]
		l.mu.Unlock()
		if c != nil {
			if last = post(ctx, c, batch); last == nil {
				return nil
			}
		}
		if try%len(l.nodes) == len(l.nodes)-1 {
			if err := sleepUntil(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("no node took a batch of transfers for %s: %w", retryTimeout, last)
}

// post sends a batch to one node. What the node has already, from an earlier try or from others, is as good as taken.
func post(ctx context.Context, c *rpc.Client, batch []signed) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	calls := make([]rpc.BatchElem, len(batch))
	for i, tx := range batch {
		calls[i] = rpc.BatchElem{Method: "eth_sendRawTransaction", Args: []any{hexutil.Bytes(tx.raw)}, Result: new(common.Hash)}
	}
	if err := c.BatchCallContext(ctx, calls); err != nil {
		return err
	}
	var errs []error
	for _, call := range calls {
		if call.Error != nil && !strings.Contains(call.Error.Error(), "already known") && !strings.Contains(call.Error.Error(), "nonce too low") {
			errs = append(errs, call.Error)
		}
	}
	return errors.Join(errs...)
}

// settle waits until as many transfers are in blocks as were signed, and all nodes have these blocks. One that is missing is an error.
func (l *background) settle(ctx context.Context) error {
	view, err := dialView(ctx, l.b.nodes[0].ws)
	if err != nil {
		return err
	}
	defer view.close()
	height, committed, moved := l.start, 0, time.Now()
	for committed < l.sent {
		head, err := view.height(ctx)
		if err != nil {
			return err
		}
		for ; height < head; height++ {
			b, err := view.block(ctx, height+1)
			if err != nil {
				return err
			}
			committed, moved = committed+len(b.Transactions), time.Now()
		}
		if time.Since(moved) > headTimeout {
			return fmt.Errorf("%d transfers were accepted and %d are in blocks; nothing has come for %s", l.sent, committed, headTimeout)
		}
		if err := sleepUntil(ctx, time.Now().Add(20*time.Millisecond)); err != nil {
			return err
		}
	}
	if committed > l.sent {
		return fmt.Errorf("%d transfers were sent and blocks hold %d", l.sent, committed)
	}
	return awaitHeight(ctx, l.b.urls(), height)
}
