package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// finalized is the last final height that the ledger knows of: where nobody signs, all that is durable is final.
func (n *Node) finalized(st *store.Store) uint64 {
	if !n.genesis.Consensus.Engine.Signed() {
		return st.Head().Number.Uint64()
	}
	return st.Finalized()
}

// errNoExecution is an engine that only verifies.
var errNoExecution = errors.New("nothing is executed here")

// newWorkEngine makes an engine of work; as it is it verifies and does nothing else.
func newWorkEngine(g *chain.Genesis, suite crypto.Suite, genesis crypto.Hash, st *store.Store, log *slog.Logger, with func(*pow.Config)) (*pow.Engine, error) {
	journal, err := st.EngineLog()
	if err != nil {
		return nil, err
	}
	cfg := pow.Config{Suite: suite, GenesisHash: genesis, GenesisMillis: g.TimeMillis, Params: *g.Consensus.Work, Journal: journal, Log: log,
		Executed: func(context.Context, uint64) (crypto.Hash, error) { return crypto.Hash{}, errNoExecution }}
	with(&cfg)
	return pow.New(cfg)
}

// newMiner makes the pipeline's engine one of work.
func (n *Node) newMiner(p *pipeline) error {
	p.headers = newExecutedHeaders(n.suite, p.store)
	engine, err := newWorkEngine(n.genesis, n.suite, p.genesisHash, p.store, n.log, func(cfg *pow.Config) {
		cfg.Executed, cfg.Now, cfg.Solver = p.headers.at, n.opts.Now, n.opts.Solver
		cfg.Coinbase = n.cfg.Mine.account()
		if n.cfg.Mine.Enabled {
			cfg.Threads = n.cfg.Mine.Threads
		}
		cfg.Misbehaved = p.misbehaved
		cfg.Params.Checkpoints = n.cfg.Mine.merge(cfg.Params.Checkpoints)
	})
	if err != nil {
		return err
	}
	p.engine, p.miner = engine, &powMiner{engine, n.suite, n.cfg.Mine.account()}
	return nil
}

// misbehaved lowers the score of a peer whose work is not what it says.
func (p *pipeline) misbehaved(from order.PeerID, why string) {
	if peer, ok := p.members.peer(from); ok && p.network != nil {
		p.network.Report(peer, p2p.Misbehaviour, "work: "+why)
	}
}

// forkHalt is the account of a deep fork.
func (n *Node) forkHalt(st *store.Store, f *pow.DeepFork) *Halt {
	end := func(e pow.End) ForkEnd { return ForkEnd{e.Height, e.Hash, e.Work.String()} }
	h := &Halt{Height: f.Delivered, Time: n.now(), Detail: f.Error(), Advice: forkAdvice,
		Fork: &ForkHalt{Last: f.Fork, Final: f.Delivered, Ours: end(f.Ours), Theirs: end(f.Theirs)}}
	if proof, err := st.DecisionProof(f.Fork + 1); err == nil { // else the account has one thing less
		h.Fork.Checkpoint = fmt.Sprintf("%d:%s", f.Fork+1, pow.Hash(n.suite, proof))
	}
	return h
}

const forkAdvice = "find out why the chains parted for longer than the depth: a partition, or an attack by more than half of the hash power. " +
	"Transactions that are only on this node's chain are lost on the other one: write them down (jialing db export) before anything else. " +
	"To follow the chain of more work: jialing db reset --dir DIR, then start; the node fetches that chain. To stay on this chain, as every node that is to stay must: " +
	"add the checkpoint of this file to [mine] checkpoints in node.toml, remove halt.json, then start"

// mining is nil where blocks are not found by work.
func (p *pipeline) mining() eth.Miner {
	if p.miner == nil {
		return nil
	}
	return p.miner
}

// keptHeaders is how many hashes of executed headers are remembered: more than are executed and not durable.
const keptHeaders = 64

// executedHeaders tells the suite's hashes of executed headers as soon as there are any. Safe for concurrent use.
type executedHeaders struct {
	suite crypto.Suite
	store *store.Store

	mu     sync.Mutex
	top    uint64
	recent map[uint64]crypto.Hash
	moved  chan struct{} // closed and replaced when top moves
}

func newExecutedHeaders(suite crypto.Suite, st *store.Store) *executedHeaders {
	return &executedHeaders{suite: suite, store: st, top: st.Head().Number.Uint64(), recent: make(map[uint64]crypto.Hash), moved: make(chan struct{})}
}

// add tells of the next executed block, which need not be durable.
func (x *executedHeaders) add(h *chain.Header) error {
	hash, err := chain.HeaderHash(x.suite, h)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.top = h.Number.Uint64()
	x.recent[x.top] = hash
	delete(x.recent, x.top-keptHeaders)
	close(x.moved)
	x.moved = make(chan struct{})
	return nil
}

// at waits until the block at height is executed.
func (x *executedHeaders) at(ctx context.Context, height uint64) (crypto.Hash, error) {
	for {
		x.mu.Lock()
		hash, recent := x.recent[height]
		top, moved := x.top, x.moved
		x.mu.Unlock()
		switch {
		case recent:
			return hash, nil
		case height <= top:
			h, err := x.store.Header(height)
			if err != nil {
				return crypto.Hash{}, fmt.Errorf("read header %d: %w", height, err)
			}
			return chain.HeaderHash(x.suite, h)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return crypto.Hash{}, ctx.Err()
		}
	}
}

// powMiner is the engine as clients see it. Safe for concurrent use.
type powMiner struct {
	engine   *pow.Engine
	suite    crypto.Suite
	coinbase common.Address
}

func (m *powMiner) Work() (*eth.WorkPackage, error) {
	t, err := m.engine.Work()
	if err != nil {
		return nil, err
	}
	return &eth.WorkPackage{Header: t.Header, Target: t.Target, Height: t.Height}, nil
}

func (m *powMiner) Submit(ctx context.Context, header []byte, extra, nonce uint64) error {
	err := m.engine.Submit(ctx, pow.Hash(m.suite, header), extra, nonce)
	if errors.Is(err, pow.ErrStale) {
		return fmt.Errorf("%w: %w", eth.ErrStaleWork, err)
	}
	return err
}

func (m *powMiner) SetThreads(n int) error { return m.engine.SetThreads(n) }

func (m *powMiner) Status() eth.WorkStatus {
	w := m.engine.Status().Work
	return eth.WorkStatus{Coinbase: m.coinbase, Threads: w.Mining, Rate: w.HashRate, Tip: w.Tip, Headers: w.Headers, Work: w.Work, Difficulty: w.Difficulty,
		Blocks: w.Blocks, Orphans: w.Orphans, Forks: w.Forks, Reorgs: w.Reorgs, Deepest: w.Deepest, Mined: w.Mined, Refused: w.Refused}
}
