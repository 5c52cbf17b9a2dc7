package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"
)

// load is transactions and how to send them.
type load struct {
	txs         []signed
	batch       int
	connections int
	// window bounds what is sent and in no block.
	window int
	// rate in transactions per second; 0 is as fast as the window allows.
	rate float64
	// patience is how long there may be no block; 0 is headTimeout.
	patience time.Duration
	// final asks for the latencies until finality on another node than the one that was sent to.
	final bool
}

// outcome is what became of a load, all of whose transactions are in blocks.
type outcome struct {
	first, last time.Time // first send; arrival of the last block, on a network at the last of the nodes
	from, to    uint64    // heights: the blocks (from, to]
	latencies   []time.Duration
	gas         uint64
	// finals are the latencies until a receipt of the block, which is final, came from the node next to the one that was sent to.
	finals []time.Duration
}

func (o *outcome) seconds() float64 { return o.last.Sub(o.first).Seconds() }

// drive sends the load to the nodes in turn and returns when all of it is in blocks of all of them. A refused transaction, one that is in no
// block, and one that nobody sent are errors.
func drive(ctx context.Context, nodes []string, l load) (*outcome, error) {
	view, err := dialView(ctx, nodes[0])
	if err != nil {
		return nil, err
	}
	defer view.close()
	senders := make([]*sender, l.connections)
	for i := range senders {
		if senders[i], err = dialSender(ctx, nodes[i%len(nodes)]); err != nil {
			return nil, err
		}
		senders[i].node = i % len(nodes)
		defer senders[i].close()
	}
	heads, err := view.subscribe(ctx)
	if err != nil {
		return nil, err
	}
	defer heads.close()
	start, err := view.height(ctx)
	if err != nil {
		return nil, err
	}
	d := newDriver(l, start)
	var tell []string // of finality
	if l.final {
		tell = nodes
	}
	final, err := newFinality(ctx, tell, start)
	if err != nil {
		return nil, err
	}
	defer final.close()
	g, gctx := errgroup.WithContext(ctx)
	for i := range tell {
		g.Go(func() error { return final.follow(gctx, i) })
	}
	g.Go(func() error {
		err := view.follow(gctx, heads, start, l.patience, func(b seen) (bool, error) {
			final.seen(b.block)
			return d.seen(b)
		})
		if err == nil {
			final.endAt(d.outcome.to)
		}
		return err
	})
	g.Go(func() error { return d.sendAll(gctx, senders) })
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("%w (%d of %d transactions were in blocks)", err, d.included, len(l.txs))
	}
	if len(nodes) > 1 {
		if err := awaitHeight(ctx, nodes, d.outcome.to); err != nil {
			return nil, err
		}
		d.outcome.last = time.Now()
	}
	if l.final {
		d.outcome.finals = final.latencies(d)
	}
	return &d.outcome, nil
}

// driver matches what is sent with what blocks hold.
type driver struct {
	load
	outcome  outcome
	messages [][]byte
	index    map[common.Hash]int
	included int
	// room holds a token for every batch that may still be sent.
	room chan struct{}

	mu sync.Mutex
	// due is when each transaction's turn to be sent came, whether or not the sender was in time.
	due []time.Time
	// via is the node that each batch was sent to, heights the block of each transaction.
	via     []int
	heights []uint64
}

func newDriver(l load, height uint64) *driver {
	d := &driver{load: l, index: make(map[common.Hash]int, len(l.txs)), due: make([]time.Time, len(l.txs)),
		heights: make([]uint64, len(l.txs)), room: make(chan struct{}, l.window/l.batch)}
	d.outcome.from, d.outcome.to = height, height
	d.outcome.latencies = make([]time.Duration, 0, len(l.txs))
	for i, tx := range l.txs {
		d.index[tx.hash] = i
	}
	for at := 0; at < len(l.txs); at += l.batch {
		d.messages = append(d.messages, batchMessage(l.txs[at:min(at+l.batch, len(l.txs))]))
	}
	d.via = make([]int, len(d.messages))
	for range cap(d.room) {
		d.room <- struct{}{}
	}
	return d
}

// sendAll spreads the batches over the connections and waits for all answers.
func (d *driver) sendAll(ctx context.Context, senders []*sender) error {
	next := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(next)
		return d.pace(ctx, next)
	})
	for _, s := range senders {
		g.Go(func() error {
			for i := range next {
				d.via[i] = s.node
				if err := s.send(ctx, d.messages[i]); err != nil {
					return err
				}
			}
			return s.flush(ctx)
		})
	}
	return g.Wait()
}

// pace hands out the batches at the rate, as far as the window has room.
func (d *driver) pace(ctx context.Context, next chan<- int) error {
	begin := time.Now()
	d.outcome.first = begin
	for i := range d.messages {
		due := begin
		if d.rate > 0 {
			due = begin.Add(time.Duration(float64(i*d.batch) / d.rate * float64(time.Second)))
			if err := sleepUntil(ctx, due); err != nil {
				return err
			}
		}
		select {
		case <-d.room:
		case <-ctx.Done():
			return ctx.Err()
		}
		if d.rate == 0 {
			due = time.Now()
		}
		d.mu.Lock()
		for j := i * d.batch; j < min((i+1)*d.batch, len(d.txs)); j++ {
			d.due[j] = due
		}
		d.mu.Unlock()
		select {
		case next <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seen counts a block's transactions.
func (d *driver) seen(b seen) (enough bool, err error) {
	batches := d.included / d.batch
	d.mu.Lock()
	for _, hash := range b.Transactions {
		i, ours := d.index[hash]
		if !ours {
			d.mu.Unlock()
			return false, fmt.Errorf("block %d holds %s, which we did not send, or which was in a block before", b.Number, hash)
		}
		delete(d.index, hash)
		d.heights[i] = uint64(b.Number)
		d.outcome.latencies = append(d.outcome.latencies, b.at.Sub(d.due[i]))
	}
	d.mu.Unlock()
	d.included += len(b.Transactions)
	d.outcome.gas += uint64(b.GasUsed)
	d.outcome.last, d.outcome.to = b.at, uint64(b.Number)
	enough = d.included == len(d.txs)
	for range d.included/d.batch - batches {
		d.room <- struct{}{}
	}
	return enough, nil
}
