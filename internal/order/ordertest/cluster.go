package ordertest

import (
	"context"
	"errors"
	"log/slog"
	"math/big"
	"math/rand"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
)

// Engine describes the engine under test.
type Engine struct {
	// Nodes is how many validators it wants.
	Nodes int
	// New makes one node's engine. Dir is the node's own folder, the same after a restart.
	New func(t testing.TB, n Node) order.Engine
	// Latency is how long after the batch time a lone transaction on an idle chain may take to be decided, in virtual time.
	Latency time.Duration
	// Settle bounds, in virtual time, how long the engine needs for anything: a start, a restart, a burst.
	Settle time.Duration
}

// Node is what an engine is made from.
type Node struct {
	ID          chain.ValidatorID
	Set         chain.ValidatorSet
	Suite       crypto.Suite
	GenesisHash crypto.Hash
	Key         crypto.PrivateKey
	Dir         string
	Heartbeat   time.Duration
	Journal     order.Journal
	Log         *slog.Logger
}

// cluster is a network of nodes, each with the real driver over fakes.
type cluster struct {
	testing.TB
	engine  Engine
	genesis *chain.Genesis
	hash    crypto.Hash
	nodes   []*node
}

type node struct {
	Node
	c      *cluster
	pool   *Pool
	ledger *Ledger
	engine order.Engine
	inbox  chan message

	// executed is how far the node executed before it stopped; only changed while it is stopped, or by its consumer.
	mu       sync.Mutex
	executed uint64
	paused   bool
	resume   chan struct{}
	stop     context.CancelFunc
	result   chan error
}

const batchTime = 5 * time.Millisecond

func newCluster(t testing.TB, e Engine, change func(*chain.Consensus)) *cluster {
	g := &chain.Genesis{ChainID: 1, TimeMillis: 1, GasLimit: 1 << 40,
		Consensus: chain.Consensus{MaxBlockTxs: 10, MaxBlockBytes: 1 << 20, BatchMillis: int(batchTime.Milliseconds())}}
	if change != nil {
		change(&g.Consensus)
	}
	c := &cluster{TB: t, engine: e, genesis: g, hash: crypto.Hash{7}}
	random := rand.New(rand.NewSource(1))
	for i := range e.Nodes {
		key, err := intl.Suite{}.GenerateKey(random)
		require.NoError(t, err)
		id := chain.ValidatorID(i + 1)
		g.Validators = append(g.Validators, chain.GenesisValidator{ID: id, PublicKey: key.Public().Bytes(), Address: common.BigToAddress(big.NewInt(int64(id)))})
		c.nodes = append(c.nodes, &node{c: c, ledger: new(Ledger), inbox: make(chan message, 4096), Node: Node{ID: id, Suite: intl.Suite{},
			GenesisHash: c.hash, Key: key, Dir: t.TempDir(), Journal: new(Journal), Log: logger(id), Heartbeat: time.Duration(g.Consensus.HeartbeatMillis) * time.Millisecond}})
	}
	for _, n := range c.nodes {
		n.Set = g.ValidatorSet()
	}
	return c
}

// logger writes what nodes log to the file that ORDERTEST_LOG names, for whoever looks for a fault.
func logger(id chain.ValidatorID) *slog.Logger {
	path := os.Getenv("ORDERTEST_LOG")
	if path == "" {
		return slog.New(slog.DiscardHandler)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id)
}

// start runs all nodes.
func (c *cluster) start() {
	for _, n := range c.nodes {
		n.start()
		c.Cleanup(n.stop) // for a test that fails: what still runs would hide why
	}
}

// halt ends all nodes; every one must end without an error.
func (c *cluster) halt() {
	c.Helper()
	for _, n := range c.nodes {
		n.stop()
	}
	for _, n := range c.nodes {
		require.NoError(c, <-n.result)
		n.pool = nil // it does not outlive its process
	}
}

func (n *node) start() {
	if n.pool == nil {
		n.pool = NewPool()
	}
	n.engine = n.c.engine.New(n.c, n.Node)
	cfg := order.DefaultConfig()
	var peers order.Network
	if len(n.c.nodes) > 1 {
		peers = &network{from: order.PeerID(n.ID), peers: n.c.others, pool: n.pool}
	}
	d, err := order.NewDriver(cfg, order.Node{Genesis: n.c.genesis, GenesisHash: n.GenesisHash, Suite: n.Suite, ID: n.ID, Key: n.Key,
		Pool: n.pool, Ledger: n.ledger, Network: peers})
	require.NoError(n.c, err)
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.result, n.resume = cancel, make(chan error, 1), make(chan struct{}, 1)
	executed := n.executed
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() { n.consume(d.Work(), over) })
	running.Go(func() {
		for {
			select {
			case <-over:
				return
			case m := <-n.inbox:
				n.engine.Handle(m.from, m.body)
			}
		}
	})
	go func() {
		err := d.Run(ctx, watched{n.engine, n.c}, executed)
		close(over)
		running.Wait()
		n.result <- err
	}()
}

// watched checks what the driver would forgive: after a cancellation Run returns nil.
type watched struct {
	order.Engine
	testing.TB
}

func (w watched) Run(ctx context.Context, h order.Host) error {
	err := w.Engine.Run(ctx, h)
	if err != nil && errors.Is(err, context.Canceled) {
		w.Errorf("the engine returned %q for a cancellation", err)
	}
	return err
}

// consume executes: it checks that the work is durable and without gaps.
func (n *node) consume(work <-chan order.Work, over <-chan struct{}) {
	for {
		n.mu.Lock()
		paused := n.paused
		n.mu.Unlock()
		if paused {
			select {
			case <-n.resume:
				continue
			case <-over:
				return
			}
		}
		select {
		case w, ok := <-work:
			if !ok {
				return
			}
			n.execute(w)
		case <-n.resume:
		}
	}
}

func (n *node) execute(w order.Work) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.executed+1 != w.Decision.Height {
		n.c.Errorf("node %d: height %d handed on after %d", n.ID, w.Decision.Height, n.executed)
	}
	if n.ledger.Height() < w.Decision.Height {
		n.c.Errorf("node %d: height %d handed on before it was durable", n.ID, w.Decision.Height)
	}
	for i, tx := range w.Txs {
		if tx == nil || tx.Hash() != w.Decision.Txs[i] {
			n.c.Errorf("node %d: height %d: transaction %d is not the decided one", n.ID, w.Decision.Height, i)
		}
	}
	n.executed = w.Decision.Height
}

// pause stops or resumes execution.
func (n *node) pause(on bool) {
	n.mu.Lock()
	n.paused = on
	n.mu.Unlock()
	select {
	case n.resume <- struct{}{}:
	default:
	}
}

func (n *node) done() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.executed
}

// others are all nodes but the one with that id.
func (c *cluster) others(id order.PeerID) []*peer {
	var out []*peer
	for _, n := range c.nodes {
		if order.PeerID(n.ID) != id {
			out = append(out, &peer{order.PeerID(n.ID), n.inbox})
		}
	}
	return out
}

// submit brings transactions [from, to) to every pool, as gossip would.
func (c *cluster) submit(from, to int) {
	var txs []*chain.Tx
	for i := from; i < to; i++ {
		txs = append(txs, Tx(i))
	}
	for _, n := range c.nodes {
		n.pool.Add(txs...)
	}
}

// eventually waits, in virtual time, for cond.
func (c *cluster) eventually(cond func() bool, what string) {
	c.Helper()
	for deadline := time.Now().Add(c.engine.Settle); !cond(); time.Sleep(time.Millisecond) {
		require.True(c, time.Now().Before(deadline), "not in %s: %s", c.engine.Settle, what)
	}
}

// decided waits until every node has executed all transactions below n, and checks that the ledgers agree and hold each of them once.
func (c *cluster) decided(n int) {
	c.Helper()
	c.eventually(func() bool {
		for _, node := range c.nodes {
			if count(node.ledger.Decisions()) < n || node.done() < node.ledger.Height() {
				return false
			}
		}
		return true
	}, "all transactions decided and executed")
	c.agree(n)
}

func count(ds []*chain.Decision) (n int) {
	for _, d := range ds {
		n += len(d.Txs)
	}
	return n
}

// agree checks every ledger: heights, parents, times, proofs, each of the first n transactions exactly once, and equal to the others'.
func (c *cluster) agree(n int) {
	c.Helper()
	var first []*chain.Decision
	for _, node := range c.nodes {
		ds := node.ledger.Decisions()
		seen := make(map[common.Hash]bool)
		var parent crypto.Hash
		var millis uint64
		for i, d := range ds {
			require.EqualValues(c, i+1, d.Height)
			require.Equal(c, parent, d.Parent)
			require.GreaterOrEqual(c, d.TimeMillis, millis)
			require.NoError(c, node.engine.VerifyDecision(node.Set, d))
			require.LessOrEqual(c, len(d.Txs), c.genesis.Consensus.MaxBlockTxs)
			parent, millis = d.Hash(node.Suite), d.TimeMillis
			for _, h := range d.Txs {
				require.False(c, seen[h], "height %d repeats a transaction", d.Height)
				seen[h] = true
			}
		}
		require.Len(c, seen, n)
		for i := range n {
			require.True(c, seen[Tx(i).Hash()], "transaction %d is missing", i)
		}
		if first == nil {
			first = ds
		}
		for i := range min(len(first), len(ds)) {
			require.Equal(c, first[i].Hash(node.Suite), ds[i].Hash(node.Suite), "two nodes differ at height %d", i+1)
		}
	}
}

// height is the highest of all ledgers.
func (c *cluster) height() uint64 {
	var hs []uint64
	for _, n := range c.nodes {
		hs = append(hs, n.ledger.Height())
	}
	return slices.Max(hs)
}
