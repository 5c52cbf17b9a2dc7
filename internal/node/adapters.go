package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// poolChain is the chain as the pool sees it: after the last staged block, so that a sender's next transaction is judged by the newest
// state there is.
type poolChain struct {
	store   *store.Store
	execute *execute.Executor
}

func (c poolChain) State() chain.State    { return c.store.Tip() }
func (c poolChain) Head() *chain.Header   { return c.store.Head() }
func (c poolChain) NextBaseFee() *big.Int { return c.execute.NextBaseFee(c.store.Head()) }

// servePool is the pool as clients see it.
type servePool struct{ *pool.Pool }

func (p servePool) Content(max int) (pending, queued map[common.Address][]*chain.Tx) {
	c := p.Pool.Content(max)
	return c.Pending, c.Queued
}

// serveNode answers what clients ask about the node itself. It is safe for concurrent use.
type serveNode struct {
	*Node
	p *pipeline
}

func (n serveNode) Finalized() uint64 { return n.p.attest.Finalized() }

func (n serveNode) Rule(height uint64) (*chain.Rule, error) {
	if rule := n.p.sets.Of(height); rule != nil {
		return rule, nil
	}
	return nil, fmt.Errorf("the validators of block %d are not settled yet", height)
}

// me is this node among the validators that rule now; nil when it is none.
func (n serveNode) me() *chain.Validator { return n.p.self(n.p.executed.Load() + 1) }

func (n serveNode) Status() eth.NodeStatus {
	s := eth.NodeStatus{Version: n.version, Executed: n.p.executed.Load(), Durable: n.p.store.Head().Number.Uint64()}
	if me := n.me(); me != nil {
		s.Coinbase = me.Address
	}
	if n.p.miner != nil {
		s.Coinbase = n.cfg.Mine.account()
	}
	if n.p.network != nil {
		s.Peers = len(n.p.network.Connected())
	}
	if b, err := json.Marshal(n.p.engine.Status()); err == nil {
		s.Engine = b
	}
	if err := n.Problem(); err != nil {
		s.Problem = err.Error()
	}
	return s
}

// gatedPool refuses transactions while the node cannot take them to a block, and tells no account's next nonce before it knows again what it had
// acknowledged before it stopped.
type gatedPool struct {
	servePool
	problem func() error
	// recalled is closed when the pool is what it was.
	recalled <-chan struct{}
}

func (p gatedPool) AddBatch(ctx context.Context, raws [][]byte, local bool) ([]*chain.Tx, []error) {
	if err := p.problem(); err != nil {
		errs := make([]error, len(raws))
		for i := range errs {
			errs[i] = fmt.Errorf("node takes no transactions now: %w", err)
		}
		return make([]*chain.Tx, len(raws)), errs
	}
	return p.Pool.AddBatch(ctx, raws, local)
}

func (p gatedPool) PendingNonce(addr common.Address) (uint64, error) {
	select {
	case <-p.recalled:
		return p.Pool.PendingNonce(addr)
	default:
		return 0, fmt.Errorf("pending nonce: %w", errStarting)
	}
}

// errStarting is a node's problem until its pipeline runs and its pool is what it was.
var errStarting = errors.New("the node is starting")
