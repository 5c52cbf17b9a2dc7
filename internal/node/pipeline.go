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
	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/gossip"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// pipeline is the sentence: pool → order → execute → attest → store → serve. Run owns all of its goroutines.
type pipeline struct {
	suite       crypto.Suite
	key         crypto.PrivateKey
	genesisHash crypto.Hash
	// fence keeps a validator that may have forgotten what it signed from signing.
	fence *order.Fence
	// docket keeps what convicts validators.
	docket *docket
	// operator is nil on a chain without stake.
	operator *operator
	pool     *pool.Pool
	engine   order.Engine
	order    *order.Driver
	execute  *execute.Executor
	attest   *attest.Attester
	store    *store.Store
	serve    *eth.API
	sets     *govern.Tracker
	stages   *stageMetrics
	kinds    *kindCounter
	story    *story
	log      *slog.Logger

	// network is nil on a chain of one node, and then so are gossip and catchup.
	network Network
	gossip  *gossip.Gossip
	catchup *catchup.CatchUp
	members *members
	writes  recentWrites
	// admission is nil on a chain that lets everybody in.
	admission *admission

	// rekey is nil on a node whose ledger is in plain text.
	rekey *rekeyer

	// teaching is nil on a node that gives no lessons.
	teaching *teaching

	// recalled is closed when the pool knows again all that it had acknowledged before the node stopped: a client that asked earlier for its next nonce
	// would get one that is used.
	recalled chan struct{}
	// executed is the last executed height; the store's head is the last durable one.
	executed atomic.Uint64
	// headers are for an engine whose blocks name executed ones, and miner is that engine; nil with others.
	headers *executedHeaders
	miner   *powMiner
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
	g.Go(func() error { return named("order", p.order.Run(ctx, p.teaching.around(p.engine), p.executed.Load())) })
	g.Go(func() error { return p.recall(ctx) })
	g.Go(func() error { return p.runExecute(ctx, executed) })
	g.Go(func() error { return p.runStore(ctx, executed) })
	g.Go(func() error { return named("attest", p.attest.Run(ctx)) })
	g.Go(func() error { return p.followFinality(ctx) })
	g.Go(func() error { return p.announcePending(ctx) })
	g.Go(func() error { return p.docket.Run(ctx) })
	g.Go(func() error { return p.operator.Run(ctx) })
	if p.network != nil {
		g.Go(func() error { return named("network", p.network.Run(ctx)) })
		g.Go(func() error { return named("gossip", p.gossip.Run(ctx)) })
		g.Go(func() error { return named("catch-up", p.catchup.Run(ctx)) })
	}
	if p.admission != nil {
		g.Go(func() error { return p.admission.Run(ctx) })
	}
	if p.rekey != nil {
		g.Go(func() error { return p.rekey.Run(ctx) })
	}
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// recall waits until the pool has what its journal and the ledger held for it.
func (p *pipeline) recall(ctx context.Context) error {
	for _, done := range []<-chan struct{}{p.pool.Opened(), p.order.Replayed()} {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	close(p.recalled)
	return nil
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
		p.story.ordered(work.Decision)
		if err := p.attest.Wait(ctx); err != nil {
			return err
		}
		e, err := p.executeOne(ctx, &work)
		if err != nil {
			return fmt.Errorf("execute block %d: %w", work.Decision.Height, err)
		}
		select {
		case out <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// executeOne makes the block of a decision.
func (p *pipeline) executeOne(ctx context.Context, work *order.Work) (*chain.Executed, error) {
	start, height := time.Now(), work.Decision.Height
	rule, err := p.sets.At(ctx, height)
	if err != nil {
		return nil, err
	}
	next, err := p.sets.At(ctx, height+1)
	if err != nil {
		return nil, err
	}
	e, err := p.execute.Execute(ctx, execute.Input{Parent: p.head, Decision: work.Decision, Txs: work.Txs, State: p.store.Tip(), Rule: rule, Next: next,
		BlockHash: p.recent.hash}, p.store)
	if err != nil {
		return nil, err
	}
	if e.Change, err = p.sets.Executed(height, e.Writes, p.store.Tip()); err != nil {
		return nil, err
	}
	p.stages.observe("execute", start)
	p.head = e.Block.Header
	p.recent.add(height, e.Block.Hash)
	p.writes.add(e)
	p.executed.Store(height)
	if p.headers != nil {
		if err := p.headers.add(e.Block.Header); err != nil {
			return nil, err
		}
	}
	p.story.executed(e)
	if p.network != nil && (e.Change != nil || !sameSet(rule, next)) {
		p.meet()
	}
	return e, nil
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

// publish tells the other stages of a durable block: first the other validators, who wait for our signature.
func (p *pipeline) publish(e *chain.Executed, own *chain.Attestation) error {
	p.story.durable(e.Block.Height())
	if err := p.attest.Executed(e.Block.Header, own); err != nil {
		return fmt.Errorf("attest block %d: %w", e.Block.Height(), err)
	}
	if p.admission != nil {
		if err := p.admission.durable(e.Block.Height(), e.Writes); err != nil {
			return err
		}
	}
	if p.network != nil {
		p.catchup.SetExecuted(e.Block.Height())
	}
	p.stages.block(e)
	p.pool.Executed(e)
	p.serve.Publish(e)
	p.log.Debug("block", "height", e.Block.Height(), "hash", e.Block.Hash, "txs", len(e.Block.Txs), "excluded", len(e.Excluded),
		"gas", e.Block.Header.GasUsed)
	return nil
}

// followFinality tells of blocks that have become final.
func (p *pipeline) followFinality(ctx context.Context) error {
	for {
		moved := p.attest.Moved()
		finalized := p.attest.Finalized()
		p.story.certified(finalized)
		if p.network != nil {
			p.catchup.SetFinalized(finalized)
		}
		p.serve.PublishFinal()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
