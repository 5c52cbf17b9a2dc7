package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/attest"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/serve"
	"github.com/jialing-chain/jialing/internal/serve/audit"
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
	opts    Options
	started time.Time
	ready   chan struct{}

	mu      sync.Mutex
	problem error
	addrs   [2]string // HTTP, WebSocket
	running *pipeline
	server  *serve.Server
	// teaching is nil for a node that gives no lessons.
	teaching *teaching
	// audit is nil for a node that keeps no log. Run sets it before anything else runs.
	audit *audit.Log
}

// New reads the folder, as far as opts do not stand for it. It opens neither the ledger nor a port.
func New(cfg Config, version string, log *slog.Logger, opts Options) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, version: version, log: log, genesis: opts.Genesis, key: opts.Key, opts: opts, ready: make(chan struct{}), problem: errStarting}
	var err error
	if n.genesis == nil {
		if err := CheckHalt(cfg.Dir); err != nil {
			return nil, err
		}
		if n.genesis, err = LoadGenesis(cfg.Dir); err != nil {
			return nil, err
		}
	}
	g := n.genesis
	if err := cfg.Mine.check(g.Consensus.Engine); err != nil {
		return nil, err
	}
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, err
	}
	n.suite = crypto.Remember(suite)
	if err := checkKeys(g, suite); err != nil {
		return nil, err
	}
	if n.key == nil {
		if n.key, err = LoadKey(cfg, g); err != nil {
			return nil, err
		}
	}
	if g.Consensus.Engine == chain.Solo && !g.Networked() && self(g.ValidatorSet(), n.key) == nil {
		return nil, fmt.Errorf("the key in %s is none of the genesis' validators; engine %q needs it", cfg.Dir, g.Consensus.Engine)
	}
	if g.Networked() {
		if err := errors.Join(govern.Check(g), checkOrganisations(g, n.suite)); err != nil {
			return nil, err
		}
	}
	if n.teaching, err = newTeaching(cfg.Teaching, g, n.suite, n.key, log); err != nil {
		return nil, err
	}
	n.started = n.now()
	return n, nil
}

// Run runs the node until ctx ends (nil) or something makes going on unsafe. When the storage fails because the disk is full, or the device with the node's
// key does not sign, it stops voting and taking transactions, goes on answering what it can, and resumes when there is room or the device is back.
func (n *Node) Run(ctx context.Context) (err error) {
	if err := n.openAudit(); err != nil {
		return err
	}
	defer func() { n.closeAudit(err) }()
	defer func() { err = errors.Join(err, n.closeKey()) }()
	for {
		full, err := n.runOnce(ctx)
		if !full || ctx.Err() != nil {
			return err
		}
		n.log.Info("what was missing is there again, resuming")
	}
}

// Ready is closed when ports are open, the pipeline runs and the pool holds what it held when the node stopped.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// HTTPAddr is the host:port of HTTP JSON-RPC, after Ready.
func (n *Node) HTTPAddr() string { n.mu.Lock(); defer n.mu.Unlock(); return n.addrs[0] }

// WebSocketAddr is the host:port of WebSocket JSON-RPC, after Ready.
func (n *Node) WebSocketAddr() string { n.mu.Lock(); defer n.mu.Unlock(); return n.addrs[1] }

// Genesis is the chain's.
func (n *Node) Genesis() *chain.Genesis { return n.genesis }

// Problem says why the node takes no transactions; nil when it does.
func (n *Node) Problem() error { n.mu.Lock(); defer n.mu.Unlock(); return n.problem }

// Submit gives raw transactions to the pool as local ones, for nodes without ports. It fails while the pipeline does not run.
func (n *Node) Submit(ctx context.Context, raws [][]byte) ([]*chain.Tx, []error) {
	n.mu.Lock()
	p, problem := n.running, n.problem
	n.mu.Unlock()
	if p == nil || problem != nil {
		errs := make([]error, len(raws))
		for i := range errs {
			errs[i] = fmt.Errorf("node takes no transactions now: %w", cmp.Or(problem, errStarting))
		}
		return make([]*chain.Tx, len(raws)), errs
	}
	return p.pool.AddBatch(ctx, raws, true)
}

// runOnce opens everything, runs it and closes it. full tells that it ended because the disk was full and is no longer.
func (n *Node) runOnce(ctx context.Context) (full bool, err error) {
	if err := n.join(ctx); err != nil || ctx.Err() != nil {
		return false, err
	}
	st, err := openStore(&n.cfg, n.opts.FS, n.genesis, n.suite, n.log)
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
	if err := n.listen(server); err != nil {
		return false, err
	}
	g, gctx := errgroup.WithContext(ctx)
	if server != nil {
		g.Go(func() error { return server.Run(gctx) })
	}
	g.Go(func() error {
		n.begin(p)
		defer n.end()
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

// listen opens the ports, if the node has any. The next round listens on the same ones, also where the first one took free ones.
func (n *Node) listen(server *serve.Server) error {
	if server == nil {
		return nil
	}
	if err := server.Listen(); err != nil {
		return err
	}
	if n.cfg.Serve.WebSocketAddr != "" {
		n.cfg.Serve.WebSocketAddr = server.WebSocketAddr()
	}
	n.cfg.Serve.Addr = server.Addr()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs, n.server = [2]string{server.Addr(), server.WebSocketAddr()}, server
	return nil
}

// errResume ends one round of Run so that the next can begin.
var errResume = errors.New("resume")

// drive runs the pipeline. When it ends for want of disk space or of the device that has its key it waits for that, reads being answered meanwhile, and
// returns full.
func (n *Node) drive(ctx context.Context, p *pipeline) (full bool, err error) {
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	guard := &diskGuard{dir: n.cfg.Dir, min: uint64(n.cfg.Store.MinFreeMiB) << 20}
	var g errgroup.Group
	g.Go(func() error { defer cancel(); return p.Run(ctx2) })
	if n.opts.FS == nil { // else there is no disk to watch
		g.Go(func() error { defer cancel(); return guard.watch(ctx2) })
	}
	g.Go(func() error { defer cancel(); return watchKey(ctx2, n.key) })
	g.Go(func() error { n.open(ctx2, p); return nil })
	err = g.Wait()
	if ctx.Err() != nil {
		return false, nil
	}
	if err == nil {
		return false, errors.New("the pipeline ended without a reason")
	}
	if errors.Is(err, keys.ErrDevice) {
		err = n.awaitDevice(ctx, err)
		return err == nil, err
	}
	if !errors.Is(err, errDiskFull) && !(errors.Is(err, store.ErrStorage) && guard.full()) {
		n.setProblem(err)
		return false, n.halted(p, err)
	}
	n.setProblem(fmt.Errorf("%w (%w)", errDiskFull, err))
	n.log.Error("stopped taking transactions: the disk is full; free some space and the node resumes by itself", "err", err)
	return true, guard.waitForRoom(ctx)
}

// halted leaves a note in the folder when the node stops for divergence or a deep fork: it must not go on as if nothing had happened.
func (n *Node) halted(p *pipeline, err error) error {
	var fork *pow.DeepFork
	if errors.As(err, &fork) && n.opts.FS == nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrHalted, err), WriteHalt(n.cfg.Dir, n.forkHalt(p.store, fork)))
	}
	var d *attest.Divergence
	if !errors.As(err, &d) || n.opts.FS != nil {
		return err
	}
	h := &Halt{Height: d.Height, Time: n.now(), Own: d.OurHeader, OwnHash: d.Ours, Certified: d.TheirHeader, CertifiedHash: d.Theirs, Signers: d.By,
		FirstKey: d.First, Detail: d.Detail, Advice: haltAdvice}
	return errors.Join(err, WriteHalt(n.cfg.Dir, h))
}

const haltAdvice = "keep a copy of this folder for the investigation; compare the node's binary and version with the others'; then remove data and halt.json " +
	"and start: the node fetches the chain again"

// resumeAttesting hands attestation the durable blocks that have no certificate yet: what died with the last process.
func (n *Node) resumeAttesting(p *pipeline) error {
	for h := n.finalized(p.store) + 1; h <= p.store.Head().Number.Uint64(); h++ {
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

// begin hands the pipeline to those who ask for it, before it runs.
func (n *Node) begin(p *pipeline) {
	if n.opts.Watch != nil {
		n.opts.Watch(&Stages{p.store, p.pool, p.engine, p.docket.All})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.problem, n.running = errStarting, p
}

// open lets transactions in once the pool is what it was.
func (n *Node) open(ctx context.Context, p *pipeline) {
	select {
	case <-p.recalled:
	case <-ctx.Done():
		return
	}
	n.mu.Lock()
	n.problem = nil
	addrs := n.addrs
	n.mu.Unlock()
	select {
	case <-n.ready:
	default:
		close(n.ready)
	}
	n.log.Info("node is running", "height", p.store.Head().Number.Uint64(), "finalized", n.finalized(p.store), "http", addrs[0], "ws", addrs[1],
		"engine", p.engine.Status().Engine, "key", n.peer().Short())
}

func (n *Node) end() {
	n.mu.Lock()
	n.running = nil
	n.mu.Unlock()
	if n.opts.Watch != nil {
		n.opts.Watch(nil)
	}
}

func (n *Node) now() time.Time {
	if n.opts.Now != nil {
		return n.opts.Now()
	}
	return time.Now()
}

// peer is this node's name on the network.
func (n *Node) peer() chain.Peer { return chain.Peer(n.key.Public().Bytes()) }

func (n *Node) setProblem(err error) { n.mu.Lock(); n.problem = err; n.mu.Unlock() }

// openStore opens the folder's ledger and makes sure that it is of this chain.
func openStore(cfg *Config, fs vfs.FS, g *chain.Genesis, suite crypto.Suite, log *slog.Logger) (*store.Store, error) {
	st, err := openLedger(cfg, fs, g, suite, log, false)
	if err != nil {
		return nil, err
	}
	if _, err := st.Init(g); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}
