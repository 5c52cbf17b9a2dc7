package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/solo"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// Node is one node. New, then Run; the other methods are safe for concurrent use.
type Node struct {
	cfg     Config
	version string
	log     *slog.Logger
	genesis *chain.Genesis
	suite   crypto.Suite
	key     crypto.PrivateKey
	quorum  attest.Quorum
	ready   chan struct{}

	mu      sync.Mutex
	problem error
	addrs   [2]string // HTTP, WebSocket
}

// New reads the folder. It opens neither the ledger nor a port.
func New(cfg Config, version string, log *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g, err := LoadGenesis(cfg.Dir)
	if err != nil {
		return nil, err
	}
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, err
	}
	key, err := ReadKey(filepath.Join(cfg.Dir, keyFile), suite)
	if err != nil {
		return nil, err
	}
	if self(g.ValidatorSet(), key) == nil {
		return nil, fmt.Errorf("the key in %s is none of the genesis' validators; engine %q needs it", cfg.Dir, g.Consensus.Engine)
	}
	return &Node{cfg: cfg, version: version, log: log, genesis: g, suite: suite, key: key, quorum: attest.Single,
		ready: make(chan struct{}), problem: errStarting}, nil
}

// Run runs the node until ctx ends (nil) or something makes going on unsafe. When the storage fails because the disk is full, it stops
// taking transactions, goes on answering what it can, and resumes when there is room.
func (n *Node) Run(ctx context.Context) error {
	for {
		full, err := n.runOnce(ctx)
		if !full || ctx.Err() != nil {
			return err
		}
		n.log.Info("there is room on the disk again, resuming")
	}
}

// Ready is closed when the node has answered its first request could be sent: ports are open and the pipeline runs.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// HTTPAddr is the host:port of HTTP JSON-RPC, after Ready.
func (n *Node) HTTPAddr() string { n.mu.Lock(); defer n.mu.Unlock(); return n.addrs[0] }

// WebSocketAddr is the host:port of WebSocket JSON-RPC, after Ready.
func (n *Node) WebSocketAddr() string { n.mu.Lock(); defer n.mu.Unlock(); return n.addrs[1] }

// Genesis is the chain's.
func (n *Node) Genesis() *chain.Genesis { return n.genesis }

// Problem says why the node takes no transactions; nil when it does.
func (n *Node) Problem() error { n.mu.Lock(); defer n.mu.Unlock(); return n.problem }

// runOnce opens everything, runs it and closes it. full tells that it ended because the disk was full and is no longer.
func (n *Node) runOnce(ctx context.Context) (full bool, err error) {
	st, err := openStore(&n.cfg, n.genesis, n.suite, n.log)
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := st.Close(); err == nil && cerr != nil && !full {
			err = fmt.Errorf("close ledger: %w", cerr)
		}
	}()
	p, server, err := n.compose(st)
	if err != nil {
		return false, err
	}
	if err := server.Listen(); err != nil {
		return false, err
	}
	// The next round listens on the same ports, also where the first one took free ones.
	if n.cfg.Serve.WebSocketAddr != "" {
		n.cfg.Serve.WebSocketAddr = server.WebSocketAddr()
	}
	n.cfg.Serve.Addr = server.Addr()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(gctx) })
	g.Go(func() error {
		n.started(server, st)
		var err error
		full, err = n.drive(gctx, p)
		if err == nil && gctx.Err() == nil {
			err = errResume
		}
		return err
	})
	err = g.Wait()
	if errors.Is(err, errResume) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return full, err
}

// errResume ends one round of Run so that the next can begin.
var errResume = errors.New("resume")

// drive runs the pipeline. When it ends for want of disk space it waits for some, reads being answered meanwhile, and returns full.
func (n *Node) drive(ctx context.Context, p *pipeline) (full bool, err error) {
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	guard := &diskGuard{dir: n.cfg.Dir, min: uint64(n.cfg.Store.MinFreeMiB) << 20}
	var g errgroup.Group
	g.Go(func() error { defer cancel(); return p.Run(ctx2) })
	g.Go(func() error { defer cancel(); return guard.watch(ctx2) })
	err = g.Wait()
	if ctx.Err() != nil {
		return false, nil
	}
	if err == nil {
		return false, errors.New("the pipeline ended without a reason")
	}
	if !errors.Is(err, errDiskFull) && !(errors.Is(err, store.ErrStorage) && guard.full()) {
		n.setProblem(err)
		return false, err
	}
	n.setProblem(fmt.Errorf("%w (%w)", errDiskFull, err))
	n.log.Error("stopped taking transactions: the disk is full; free some space and the node resumes by itself", "err", err)
	return true, guard.waitForRoom(ctx)
}

// compose fits the stages together on an open ledger.
func (n *Node) compose(st *store.Store) (*pipeline, *serve.Server, error) {
	head := st.Head()
	g0, err := st.Header(0)
	if err != nil {
		return nil, nil, fmt.Errorf("read block 0: %w", err)
	}
	genesisHash, err := chain.HeaderHash(n.suite, g0)
	if err != nil {
		return nil, nil, err
	}
	set := n.genesis.ValidatorSet()
	p := &pipeline{store: st, validators: set, head: head, log: n.log}
	p.executed.Store(head.Number.Uint64())
	if err := p.recent.load(st, head.Number.Uint64()); err != nil {
		return nil, nil, err
	}
	if p.execute, err = execute.New(n.cfg.Execute.config(), n.genesis, n.suite); err != nil {
		return nil, nil, err
	}
	poolCfg := n.cfg.Pool
	if poolCfg.Journal != "" {
		poolCfg.Journal = filepath.Join(n.cfg.Dir, poolCfg.Journal)
	}
	if p.pool, err = pool.New(poolCfg, n.genesis, poolChain{st, p.execute}, pool.Options{Log: n.log}); err != nil {
		return nil, nil, err
	}
	me := self(set, n.key)
	p.order, err = order.NewDriver(n.cfg.Order, order.Node{Genesis: n.genesis, GenesisHash: genesisHash, Suite: n.suite, ID: me.ID, Key: n.key,
		Pool: p.pool, Ledger: st, Log: n.log})
	if err != nil {
		return nil, nil, err
	}
	p.engine = solo.New(n.suite, genesisHash, me.ID, time.Duration(n.genesis.Consensus.HeartbeatMillis)*time.Millisecond)
	p.attest = attest.New(attest.Config{Suite: n.suite, Genesis: genesisHash, Key: n.key, Quorum: n.quorum, Store: st,
		Validators: func(uint64) chain.ValidatorSet { return set }, Finalized: st.Finalized()})
	if err := n.resumeAttesting(p); err != nil {
		return nil, nil, err
	}
	registry := prometheus.NewRegistry()
	if p.stages, err = newStageMetrics(registry, p.pool, st, p.attest.Finalized); err != nil {
		return nil, nil, fmt.Errorf("register metrics: %w", err)
	}
	p.serve, err = eth.New(n.cfg.RPC, eth.Sources{Genesis: n.genesis, Suite: n.suite, Ledger: st, States: st,
		Pool: gatedPool{servePool{p.pool}, n.Problem}, Calls: p.execute, Node: serveNode{n, p}}, time.Now)
	if err != nil {
		return nil, nil, err
	}
	server, err := serve.New(n.cfg.Serve, serve.Backend{Services: p.serve.Services(), Sender: p.serve, Feeds: p.serve, Ready: n.Problem,
		Registry: registry, Log: n.log})
	return p, server, err
}

// resumeAttesting hands attestation the durable blocks that have no certificate yet: what died with the last process.
func (n *Node) resumeAttesting(p *pipeline) error {
	for h := p.store.Finalized() + 1; h <= p.store.Head().Number.Uint64(); h++ {
		header, err := p.store.Header(h)
		if err != nil {
			return fmt.Errorf("read header %d: %w", h, err)
		}
		own, err := p.store.Attestation(h)
		if err != nil {
			return fmt.Errorf("read attestation %d: %w", h, err)
		}
		if err := p.attest.Executed(header, own); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) started(server *serve.Server, st *store.Store) {
	n.mu.Lock()
	n.problem = nil
	n.addrs = [2]string{server.Addr(), server.WebSocketAddr()}
	n.mu.Unlock()
	select {
	case <-n.ready:
	default:
		close(n.ready)
	}
	n.log.Info("node is running", "height", st.Head().Number.Uint64(), "finalized", st.Finalized(), "http", server.Addr(), "ws", server.WebSocketAddr())
}

func (n *Node) setProblem(err error) { n.mu.Lock(); n.problem = err; n.mu.Unlock() }

// openStore opens the folder's ledger and makes sure that it is of this chain.
func openStore(cfg *Config, g *chain.Genesis, suite crypto.Suite, log *slog.Logger) (*store.Store, error) {
	sc := cfg.storeConfig(g, log)
	st, err := store.Open(sc, suite)
	if err != nil {
		return nil, err
	}
	if _, err := st.Init(g); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}
