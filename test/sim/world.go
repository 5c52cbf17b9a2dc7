package sim

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/store"
)

// world is one simulated network of nodes with its clients, faults and checks. One goroutine drives it; what others touch says so.
type world struct {
	seed    uint64
	plan    *plan
	rng     *rand.Rand
	suite   crypto.Suite
	genesis *chain.Genesis
	// genesisHash is the suite's hash of block 0's header, what signatures are for; set by the first node that opens its ledger.
	genesisHash atomic.Pointer[crypto.Hash]
	net         *network
	members     []*member
	clients     *workload
	check       *checker
	start       time.Time
	nodeLog     *nodeLog
	events      *eventLog

	// mu guards what is below.
	mu      sync.Mutex
	failure error
	counts  map[string]int
	// ids are the numbers of the peers in the newest sets that name them.
	ids map[chain.Peer]chain.ValidatorID
}

// member is one host: a place in the network with a key, a disk, a clock, and a node while that runs.
type member struct {
	index int
	// founder: it is in the founding set. Its number is w.idOf(peer).
	founder bool
	key     crypto.PrivateKey
	peer    chain.Peer
	// account votes for it, or is paid for the blocks that it finds with solver; that is nil where blocks are not found by work.
	account *account
	solver  pow.Solver
	// dir is the node's folder: on the simulated disk for its ledger, on the real one for what it asks the machine.
	dir  string
	disk *disk
	// clock is how far the host's clock is off, in nanoseconds.
	clock atomic.Int64
	// vice is what a Byzantine member does; nil for an honest one.
	vice *vice
	// untrusted: it is Byzantine or forgot what it promised (a lost disk), so nothing that it says counts.
	untrusted atomic.Bool
	// ailing: its disk refuses writes, so that it may stop by itself.
	ailing bool

	// now is the running node; nil while there is none. The driving goroutine changes it.
	now atomic.Pointer[life]
}

// life is one run of a member's node.
type life struct {
	m      *member
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run, after done

	// mu is held for reading while the stages are used, and guards them and what follows.
	mu     sync.RWMutex
	stages *node.Stages
	// end is the network of the run that works now: a node that joins has one for that before its own.
	end    *endpoint
	killed bool
}

// newWorld lays out a world; nothing runs yet.
func newWorld(p *plan, dir string) (*world, error) {
	w := &world{seed: p.seed, plan: p, rng: rand.New(rand.NewPCG(p.seed, 1)), suite: p.suite, start: time.Now(),
		events: new(eventLog), nodeLog: new(nodeLog), counts: make(map[string]int), ids: make(map[chain.Peer]chain.ValidatorID)}
	var peers []chain.Peer
	keys := rand.NewChaCha8(seedBytes(p.seed, "keys"))
	for i := range p.nodes {
		key, err := w.suite.GenerateKey(keys)
		if err != nil {
			return nil, err
		}
		m := &member{index: i, key: key, peer: chain.Peer(key.Public().Bytes()), dir: filepath.Join(dir, fmt.Sprintf("member-%d", i))}
		if m.disk, err = newDisk(m.dir); err != nil {
			return nil, err
		}
		m.founder, m.account = i < p.validators, newAccount(p.seed, fmt.Sprintf("member %d", i))
		if p.work != nil {
			m.solver = newSolver(p, i)
		}
		if of, twin := p.twins[i]; twin {
			m.key, m.peer, m.founder = w.members[of].key, w.members[of].peer, true
		}
		if kinds := p.vices[i]; kinds != 0 {
			m.untrusted.Store(true)
			m.vice = newVice(w, m, kinds, rand.New(rand.NewPCG(p.seed, uint64(i)|1<<40)))
		}
		w.members = append(w.members, m)
		peers = append(peers, m.peer)
	}
	w.clients = newWorkload(w, p.accounts)
	w.genesis = w.makeGenesis()
	if err := w.genesis.Validate(); err != nil {
		return nil, err
	}
	w.check = newChecker(w)
	w.net = newNetwork(p.seed, peers)
	w.net.tap = w.check.sent
	w.net.reported = w.check.reported
	w.net.blocked = func(host int, protocol string, took time.Duration) {
		w.fail("member %d: its handler of %q held up the network for %s", host, protocol, took)
	}
	return w, nil
}

func (w *world) makeGenesis() *chain.Genesis {
	g := &chain.Genesis{Name: "simulation", ChainID: chainID, TimeMillis: uint64(time.Now().UnixMilli()), Suite: w.suite.Name(), GasLimit: 100_000_000,
		Consensus: chain.Consensus{Engine: chain.BFT, MaxBlockTxs: 64, MaxBlockBytes: 1 << 20, BatchMillis: 5,
			HeartbeatMillis: w.plan.heartbeatMillis, BFT: w.plan.bft},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesZero}, Alloc: make(map[common.Address]chain.GenesisAccount)}
	if w.plan.bft == nil {
		g.Consensus.Engine, g.Consensus.Raft = chain.Raft, chain.DefaultRaftParams()
	}
	for _, m := range w.members {
		if m.founder && !w.isTwin(m) {
			v := chain.GenesisValidator{ID: chain.ValidatorID(m.index + 1), Name: fmt.Sprintf("member-%d", m.index), PublicKey: m.key.Public().Bytes(),
				Address: m.account.address}
			g.Validators = append(g.Validators, v)
			w.ids[m.peer] = v.ID
		}
	}
	for _, a := range w.clients.accounts {
		g.Alloc[a.address] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(big.NewInt(initialBalance))}
	}
	if w.plan.work != nil {
		w.ofWork(g)
		return g
	}
	if w.plan.stake {
		w.ofStake(g)
	}
	if w.plan.engines > 0 {
		w.ofChange(g)
	}
	g.Alloc[govern.Address] = govern.Account(g)
	return g
}

// isTwin tells that a member is another's second process.
func (w *world) isTwin(m *member) bool { _, ok := w.plan.twins[m.index]; return ok }

// now is the time since the world's beginning.
func (w *world) now() time.Duration { return time.Since(w.start) }

// logf adds a line to the event log. Any goroutine.
func (w *world) logf(format string, args ...any) { w.events.add(w.now(), fmt.Sprintf(format, args...)) }

// fail records a broken invariant; the first one counts. Any goroutine.
func (w *world) fail(format string, args ...any) {
	err := fmt.Errorf("at %s: %s", w.now().Round(time.Millisecond), fmt.Sprintf(format, args...))
	w.mu.Lock()
	first := w.failure == nil
	if first {
		w.failure = err
	}
	w.mu.Unlock()
	if first {
		w.logf("BROKEN: %v", err)
	}
}

// count counts something for the summary. Any goroutine.
func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

func (w *world) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// config is a node's, as small as it may be, so that many fit into one process.
func (w *world) config(m *member) node.Config {
	cfg := node.DefaultConfig()
	cfg.Dir = m.dir
	cfg.Store.CacheMiB, cfg.Store.CommitmentMiB, cfg.Store.MinFreeMiB = 8, 8, 0
	cfg.Execute.CodeCacheMiB = 1
	if m.solver != nil {
		cfg.Mine.Enabled, cfg.Mine.Coinbase = m.founder, m.account.address.Hex()
	}
	cfg.Pool.Workers, cfg.Pool.MaxTxs, cfg.Pool.Reasons, cfg.Pool.Journal = 1, 4096, 256, ""
	return cfg
}

// begin starts the member's node.
func (w *world) begin(m *member) {
	if m.now.Load() != nil {
		return
	}
	cfg := w.config(m)
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		w.fail("%v", err)
		return
	}
	l := &life{m: m, done: make(chan struct{})}
	n, err := node.New(cfg, "simulation", w.nodeLog.logger(m.index), node.Options{Genesis: w.genesis, Key: m.key, FS: m.disk.open(), Headless: true,
		Network: func() (node.Network, error) { return l.connect(w.net) },
		Now:     func() time.Time { return time.Now().Add(time.Duration(m.clock.Load())) },
		Watch:   l.watch,
		Solver:  m.solver,
	})
	if err != nil {
		w.fail("member %d: %v", m.index, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	m.now.Store(l)
	go func() {
		l.err = n.Run(ctx)
		close(l.done)
	}()
}

// connect makes the network of one run.
func (l *life) connect(n *network) (node.Network, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = newEndpoint(n, l.m.index)
	l.end.dead = l.killed
	return l.m.vice.wrap(l.end), nil
}

// cutOff ends the member's network for good, at once.
func (l *life) cutOff(n *network) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed = true
	if l.end != nil {
		n.detach(l.end)
	}
}

// watch learns the stages while they work.
func (l *life) watch(s *node.Stages) {
	l.m.disk.working.Store(s != nil)
	l.mu.Lock()
	l.stages = s
	l.mu.Unlock()
}

// read calls f with the stages unless they do not work now. f must not wait for anything.
func (l *life) read(f func(s *node.Stages)) bool {
	if l == nil {
		return false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.stages == nil {
		return false
	}
	f(l.stages)
	return true
}

// stopWait bounds, in the bubble's time, how long a node may take to stop.
const stopWait = 30 * time.Second

// end stops the member's node as an operator does.
func (w *world) end(m *member) {
	l := m.now.Load()
	if l == nil {
		return
	}
	l.cancel()
	w.await(m, l)
}

// kill cuts the power: the network ends, the disk keeps what it keeps, and the process is gone.
func (w *world) kill(m *member, keep int) {
	l := m.now.Load()
	if l == nil {
		return
	}
	l.cutOff(w.net) // first, so that nothing is promised that the disk does not hold
	left := m.disk.crash(keep, w.rng)
	l.cancel()
	w.await(m, l)
	m.disk.mem = left
}

// await waits for the end of a node that was told to stop.
func (w *world) await(m *member, l *life) {
	select {
	case <-l.done:
		if l.err != nil && !m.ailing && !errors.Is(l.err, context.Canceled) {
			w.fail("member %d stopped with an error: %v", m.index, l.err)
		}
	case <-time.After(stopWait):
		w.fail("member %d does not stop", m.index)
	}
	m.now.Store(nil)
}

// wipe takes the member's disk away. It has forgotten what it promised.
func (w *world) wipe(m *member) {
	if err := m.disk.wipe(); err != nil {
		w.fail("member %d: new disk: %v", m.index, err)
	}
}

// reap notices nodes that have ended by themselves.
func (w *world) reap() {
	for _, m := range w.members {
		l := m.now.Load()
		if l == nil {
			continue
		}
		select {
		case <-l.done:
			m.now.Store(nil)
			switch {
			case m.ailing:
				w.logf("member %d stopped: %v", m.index, l.err)
			case m.vice != nil:
				w.logf("member %d, which is Byzantine, stopped: %v", m.index, l.err)
				w.begin(m)
			default:
				w.fail("member %d ended by itself: %v", m.index, l.err)
			}
		default:
		}
	}
}

// close stops everything.
func (w *world) close() {
	for _, m := range w.members {
		if l := m.now.Load(); l != nil {
			l.cancel()
		}
	}
	for _, m := range w.members {
		if l := m.now.Load(); l != nil {
			w.await(m, l)
		}
	}
}

// trusted are the honest members whose node runs, with the stages of each; f must not wait.
func (w *world) trusted(f func(m *member, st *store.Store)) {
	for _, m := range w.members {
		if !m.untrusted.Load() {
			m.now.Load().read(func(s *node.Stages) { f(m, s.Store) })
		}
	}
}

func (w *world) reportOf(by, of int, offence p2p.Offence, why string) string {
	return fmt.Sprintf("member %d reports member %d (%d): %s", by, of, offence, why)
}
