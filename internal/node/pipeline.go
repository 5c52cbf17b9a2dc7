package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// pipeline is the sentence: pool → order → execute → attest → store → serve. Run owns all of its goroutines.
type pipeline struct {
	pool       *pool.Pool
	engine     order.Engine
	order      *order.Driver
	execute    *execute.Executor
	attest     *attest.Attester
	store      *store.Store
	serve      *eth.API
	validators chain.ValidatorSet
	stages     *stageMetrics
	log        *slog.Logger

	// executed is the last executed height; the store's head is the last durable one.
	executed atomic.Uint64
	// head is the last executed header and recent the hashes up to it. Both are the execute goroutine's.
	head   *chain.Header
	recent recentHashes
}

// executedBlocks bounds the blocks that are executed and not yet durable: one is being written, one waits, one executes.
const executedBlocks = 1

// Run moves transactions through the stages until ctx ends (nil) or a stage fails (its error).
func (p *pipeline) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	executed := make(chan *chain.Executed, executedBlocks)
	g.Go(func() error { return named("pool", p.pool.Run(ctx)) })
	g.Go(func() error { return named("order", p.order.Run(ctx, p.engine, p.executed.Load())) })
	g.Go(func() error { return p.runExecute(ctx, executed) })
	g.Go(func() error { return p.runStore(ctx, executed) })
	g.Go(func() error { return named("attest", p.attest.Run(ctx)) })
	g.Go(func() error { return p.announcePending(ctx) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runExecute turns decisions into blocks, in order, each on the state that the one before left.
func (p *pipeline) runExecute(ctx context.Context, out chan<- *chain.Executed) error {
	for {
		var work order.Work
		select {
		case w, open := <-p.order.Work():
			if !open {
				return ctx.Err()
			}
			work = w
		case <-ctx.Done():
			return ctx.Err()
		}
		start := time.Now()
		e, err := p.execute.Execute(ctx, execute.Input{
			Parent: p.head, Decision: work.Decision, Txs: work.Txs, State: p.store.Tip(), Validators: p.validators, Next: p.validators,
			BlockHash: p.recent.hash,
		}, p.store)
		if err != nil {
			return fmt.Errorf("execute block %d: %w", work.Decision.Height, err)
		}
		p.stages.observe("execute", start)
		p.head = e.Block.Header
		p.recent.add(e.Block.Height(), e.Block.Hash)
		p.executed.Store(e.Block.Height())
		select {
		case out <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// runStore makes each block durable with our own signature in it, and only then tells anybody.
func (p *pipeline) runStore(ctx context.Context, in <-chan *chain.Executed) error {
	for {
		var e *chain.Executed
		select {
		case e = <-in:
		case <-ctx.Done():
			return ctx.Err()
		}
		start := time.Now()
		own, err := p.attest.Own(e.Block.Header)
		if err != nil {
			return fmt.Errorf("attest block %d: %w", e.Block.Height(), err)
		}
		if err := p.store.Commit(ctx, e, own); err != nil {
			return fmt.Errorf("store block %d: %w", e.Block.Height(), err)
		}
		p.stages.observe("store", start)
		if err := p.publish(e, own); err != nil {
			return err
		}
	}
}

// publish tells the other stages of a durable block.
func (p *pipeline) publish(e *chain.Executed, own *chain.Attestation) error {
	p.stages.block(e)
	p.pool.Executed(e)
	p.serve.Publish(e)
	if err := p.attest.Executed(e.Block.Header, own); err != nil {
		return fmt.Errorf("attest block %d: %w", e.Block.Height(), err)
	}
	p.log.Debug("block", "height", e.Block.Height(), "hash", e.Block.Hash, "txs", len(e.Block.Txs), "excluded", len(e.Excluded),
		"gas", e.Block.Header.GasUsed)
	return nil
}

// pendingFeed is how many batches of new transactions may wait to be announced; beyond it the pool drops the subscriber and we ask again,
// so subscribers of pending transactions may miss some under overload. Nothing else depends on them.
const pendingFeed = 256

// announcePending carries new executable transactions from the pool to subscribers.
func (p *pipeline) announcePending(ctx context.Context) error {
	for {
		feed, cancel := p.pool.Subscribe(pendingFeed)
		for open := true; open; {
			var txs []*chain.Tx
			select {
			case <-ctx.Done():
				cancel()
				return ctx.Err()
			case txs, open = <-feed:
				if open {
					p.serve.PublishPending(txs)
				}
			}
		}
		cancel()
		p.log.Warn("subscribers of pending transactions missed some: the pool is faster than they are")
	}
}

// named says which stage an error is from; nil stays nil.
func named(stage string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", stage, err)
	}
	return nil
}
