package node

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/gossip"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// compose fits the stages together on an open ledger. The server is nil for a headless node.
func (n *Node) compose(st *store.Store) (*pipeline, *serve.Server, error) {
	registry := prometheus.NewRegistry()
	p, err := n.newPipeline(st, registry)
	if err != nil {
		return nil, nil, err
	}
	if p.serve, err = eth.New(n.cfg.RPC, eth.Sources{Genesis: n.genesis, Suite: n.suite, Ledger: st, States: st,
		Pool: gatedPool{servePool{p.pool}, n.Problem, p.recalled}, Calls: p.execute, Node: serveNode{n, p}, Admin: administration{n}, Miner: p.mining(), Teaching: n.lessons(p)}, n.now); err != nil {
		return nil, nil, err
	}
	if n.opts.Headless {
		return p, nil, nil
	}
	cfg, access := n.cfg.serveConfig()
	server, err := serve.New(cfg, serve.Backend{Services: p.serve.Services(), Sender: p.serve, Feeds: p.serve, Ready: n.usable(p), Methods: eth.Methods(),
		Access: access, Suite: n.suite, Audit: n.auditor(), Registry: registry, Log: n.log})
	return p, server, err
}

// newPipeline makes the stages, in the order in which they know each other.
func (n *Node) newPipeline(st *store.Store, registry *prometheus.Registry) (*pipeline, error) {
	g0, err := st.Header(0)
	if err != nil {
		return nil, fmt.Errorf("read block 0: %w", err)
	}
	p := &pipeline{suite: n.suite, key: n.key, store: st, head: st.Head(), members: newMembers(n.peer(), n.genesis.Consensus.Engine), teaching: n.teaching,
		recalled: make(chan struct{}), log: n.log}
	if p.genesisHash, err = chain.HeaderHash(n.suite, g0); err != nil {
		return nil, err
	}
	height := p.head.Number.Uint64()
	p.executed.Store(height)
	if err := p.recent.load(st, height); err != nil {
		return nil, err
	}
	if p.sets, err = govern.NewTracker(n.genesis, n.suite, st); err != nil {
		return nil, err
	}
	if p.fence, err = n.newFence(); err != nil {
		return nil, err
	}
	executeCfg := n.cfg.Execute.config()
	executeCfg.ChainHash = p.genesisHash
	if p.execute, err = execute.New(executeCfg, n.genesis, n.suite); err != nil {
		return nil, err
	}
	poolCfg := n.cfg.Pool
	if poolCfg.Journal != "" {
		poolCfg.Journal = filepath.Join(n.cfg.Dir, poolCfg.Journal)
	}
	if p.pool, err = pool.New(poolCfg, n.genesis, poolChain{st, p.execute}, poolOptions(st, n.log, n.opts.Now)); err != nil {
		return nil, err
	}
	if p.rekey, err = newRekeyer(&n.cfg.Store.Encryption, st, p.pool, registry, n.log); err != nil {
		return nil, err
	}
	if p.network, err = n.newNetwork(p.genesisHash, registry); err != nil {
		return nil, err
	}
	p.network = n.teaching.wrap(p.network, p.falsehoods(n.teaching))
	if p.story, err = newStory(n.log, n.now, registry); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if err := n.newOrder(p); err != nil {
		return nil, err
	}
	if p.kinds, err = newKindCounter(p.engine, registry); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if err := n.newAttest(p); err != nil {
		return nil, err
	}
	if err := n.newDocket(p); err != nil {
		return nil, err
	}
	n.newOperator(p)
	if p.network != nil {
		if err := n.newAdmission(p, registry); err != nil {
			return nil, err
		}
		p.link()
		p.meet()
	}
	if p.stages, err = newStageMetrics(registry, p.pool, st, p.attest.Finalized); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return p, nil
}

// newNetwork is nil on a chain of one node that stays one.
func (n *Node) newNetwork(genesis crypto.Hash, registry *prometheus.Registry) (Network, error) {
	if n.opts.Network != nil {
		return n.opts.Network()
	}
	if n.genesis.Consensus.Engine == chain.Solo && !n.genesis.Networked() {
		return nil, nil
	}
	net, err := p2p.New(n.cfg.Network, p2p.Identity{Suite: n.suite, Key: n.key, Genesis: genesis, ChainID: n.genesis.ChainID, Version: n.version}, n.log)
	if err != nil {
		return nil, err
	}
	return net, registry.Register(net)
}

// newOrder makes the engine, its driver, and what brings transactions and decisions from other nodes.
func (n *Node) newOrder(p *pipeline) error {
	o := order.Node{Genesis: n.genesis, GenesisHash: p.genesisHash, Suite: n.suite, Key: n.key, Pool: p.pool, Ledger: p.store, Sets: p.sets,
		Now: n.opts.Now, Log: n.log}
	if me := p.self(p.head.Number.Uint64() + 1); me != nil {
		o.ID = me.ID
	}
	var err error
	if n.genesis.Consensus.Engine == chain.PoW {
		err = n.newMiner(p)
	} else {
		p.engine, err = newEngine(n.genesis, n.suite, p.genesisHash, n.key, p.store, p.sets, p.fence, n.log)
	}
	if err != nil {
		return err
	}
	if p.network != nil {
		if err := n.newExchange(p); err != nil {
			return err
		}
		o.Network, o.CatchUp, o.Final = orderLinks{p}, p.catchup, orderFinality{p}
	}
	p.order, err = order.NewDriver(n.cfg.Order, o)
	return err
}

// newExchange makes what brings transactions and decisions from other nodes.
func (n *Node) newExchange(p *pipeline) (err error) {
	peers := exchange{p.network}
	p.gossip, err = gossip.New(n.cfg.Gossip, gossip.Deps{Network: peers, Pool: known{p.pool, p}, Blocks: p.store, Verifier: chain.NewVerifier(n.genesis),
		Full: func(err error) bool { return errors.Is(err, pool.ErrFull) || errors.Is(err, pool.ErrAccountLimit) }, Log: n.log})
	if err != nil {
		return err
	}
	var served catchup.States
	if n.genesis.Consensus.Engine.Signed() { // else there is no certificate by which a state could be believed
		served = states{p.store}
	}
	p.catchup, err = catchup.New(n.cfg.CatchUp, catchup.Deps{Network: peers, Ledger: p.store, Pool: p.pool, Sets: p.sets, States: served, Suite: n.suite,
		Genesis: n.genesis, GenesisHash: p.genesisHash, Certified: p.certified, Now: n.opts.Now, Log: n.log})
	if err != nil {
		return err
	}
	p.catchup.SetFirst(max(p.store.First(), 1))
	p.catchup.SetExecuted(p.head.Number.Uint64())
	p.catchup.SetFinalized(n.finalized(p.store))
	return nil
}

func (n *Node) newAttest(p *pipeline) error {
	cfg := attest.Config{Suite: n.suite, Genesis: p.genesisHash, Key: n.key, Store: p.store, Rule: p.sets.Of, May: p.mayAttest, Unsigned: !n.genesis.Consensus.Engine.Signed(),
		Finalized: n.finalized(p.store), Log: n.log}
	if p.network != nil {
		cfg.Network, cfg.Refused, cfg.Explain, cfg.Writes = attestLinks{p.network}, p.refused, p.explain, p.writes.writes
	}
	p.attest = attest.New(cfg)
	return n.resumeAttesting(p)
}
