package ordertest

import (
	"context"
	"log/slog"
	"math/big"
	"math/rand"
	"os"
	"slices"
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
	// Suite is what the nodes sign and hash by; intl where it is nil.
	Suite crypto.Suite
	// Latency is how long after the batch time a lone transaction on an idle chain may take to be decided, in virtual time.
	Latency time.Duration
	// Settle bounds, in virtual time, how long the engine needs for anything: a start, a restart, a burst.
	Settle time.Duration
	// Genesis sets what the engine wants of the genesis; nil: nothing.
	Genesis func(*chain.Consensus)
	// Open says that anybody may extend the chain: there are no validators, decisions come without work for them, and what is decided is so deep.
	Open bool
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
	Genesis     *chain.Genesis
	// Executed waits until the node has executed the block at height, and returns its header's hash.
	Executed func(ctx context.Context, height uint64) (crypto.Hash, error)
	// Fence is what the node knows of its own past; another one after each start.
	Fence *order.Fence
	Log   *slog.Logger
	// Last is the last decision's height, Rule and TermOf say what is settled of who rules a height and since when; for engines that change.
	Last   uint64
	Rule   func(height uint64) *chain.Rule
	TermOf func(height uint64) (chain.Term, bool)
}

// cluster is a network of nodes, each with the real driver over fakes.
type cluster struct {
	testing.TB
	engine  Engine
	genesis *chain.Genesis
	hash    crypto.Hash
	nodes   []*node
	wires   *wires
	// changes are the validator sets, each with the height from which on it rules.
	changes []setChange
	audit   *audit
}

type setChange struct {
	from   uint64
	set    chain.ValidatorSet
	engine chain.EngineKind
}

const batchTime = 5 * time.Millisecond

func newCluster(t testing.TB, e Engine, change func(*chain.Consensus)) *cluster {
	if e.Suite == nil {
		e.Suite = intl.Suite{}
	}
	g := &chain.Genesis{ChainID: 1, TimeMillis: 1, GasLimit: 1 << 40,
		Consensus: chain.Consensus{MaxBlockTxs: 10, MaxBlockBytes: 1 << 20, BatchMillis: int(batchTime.Milliseconds())}}
	if e.Genesis != nil {
		e.Genesis(&g.Consensus)
	}
	if change != nil {
		change(&g.Consensus)
	}
	c := &cluster{TB: t, engine: e, genesis: g, hash: crypto.Hash{7}, wires: newWires(), audit: newAudit()}
	for i := range e.Nodes {
		n := c.newNode(chain.ValidatorID(i+1), nil)
		g.Validators = append(g.Validators, chain.GenesisValidator{ID: n.ID, PublicKey: n.Key.Public().Bytes(), Address: address(n.ID)})
	}
	if e.Open {
		g.Validators = nil
	}
	c.changes = []setChange{{1, g.ValidatorSet(), g.Consensus.Engine}}
	for _, n := range c.nodes {
		n.Set = g.ValidatorSet()
	}
	return c
}

func address(id chain.ValidatorID) common.Address { return common.BigToAddress(big.NewInt(int64(id))) }

// newNode adds a node that is not running; a nil key is drawn.
func (c *cluster) newNode(id chain.ValidatorID, key crypto.PrivateKey) *node {
	if key == nil {
		var err error
		key, err = c.engine.Suite.GenerateKey(rand.New(rand.NewSource(int64(id))))
		require.NoError(c, err)
	}
	n := &node{c: c, peer: order.PeerID(id), ledger: new(Ledger), journal: new(Journal), inbox: make(chan message, 4096), ran: make(chan struct{})}
	n.journal.Beside(n.ledger)
	n.Node = Node{ID: id, Set: c.genesis.ValidatorSet(), Suite: c.engine.Suite, GenesisHash: c.hash, Key: key, Dir: c.TempDir(), Journal: n.journal,
		Log: logger(id), Genesis: c.genesis, Executed: n.executedHash, Heartbeat: time.Duration(c.genesis.Consensus.HeartbeatMillis) * time.Millisecond}
	n.Rule = func(height uint64) *chain.Rule { return c.ruleAt(height) }
	n.TermOf = func(height uint64) (chain.Term, bool) {
		return c.termOf(height), n.done()+chain.ActivationDelay >= height
	}
	c.nodes = append(c.nodes, n)
	return n
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
	}
}

// halt ends all nodes that run; every one must end without an error.
func (c *cluster) halt() {
	c.Helper()
	for _, n := range c.nodes {
		if n.up {
			n.stop()
		}
	}
	for _, n := range c.nodes {
		if n.up {
			require.NoError(c, n.ended(), "node %d", n.ID)
		}
	}
}

func (c *cluster) ruleAt(height uint64) *chain.Rule {
	rule := new(chain.Rule)
	for _, x := range c.changes {
		if x.from <= height {
			rule = &chain.Rule{Engine: x.engine, Set: x.set}
		}
	}
	return rule
}

func (c *cluster) setAt(height uint64) chain.ValidatorSet { return c.ruleAt(height).Set }

func (c *cluster) termOf(height uint64) (term chain.Term) {
	for i, x := range c.changes {
		if x.from <= height && (i == 0 || x.engine != term.Engine) {
			term = chain.Term{Engine: x.engine, From: x.from}
		}
	}
	return term
}

// submit brings transactions [from, to) to the pools of all running nodes, as gossip would.
func (c *cluster) submit(from, to int) {
	var txs []*chain.Tx
	for i := from; i < to; i++ {
		txs = append(txs, Tx(i))
	}
	for _, n := range c.nodes {
		n.mu.Lock()
		pool := n.pool
		n.mu.Unlock()
		if pool != nil {
			pool.Add(txs...)
		}
	}
}

// alive fails when an honest node ended by itself.
func (c *cluster) alive() {
	c.Helper()
	for _, n := range c.nodes {
		if n.up && n.evil == nil && len(n.result) > 0 {
			require.NoError(c, n.ended(), "node %d", n.ID)
			c.Fatalf("node %d ended", n.ID)
		}
	}
}

// eventually waits, in virtual time, for cond.
func (c *cluster) eventually(cond func() bool, what string) {
	c.Helper()
	for deadline := time.Now().Add(c.engine.Settle); !cond(); time.Sleep(time.Millisecond) {
		c.alive()
		require.True(c, time.Now().Before(deadline), "not in %s: %s", c.engine.Settle, what)
	}
}

// decided waits until every node has executed all transactions below n, and checks that the ledgers agree and hold each of them once.
func (c *cluster) decided(n int) {
	c.Helper()
	c.eventually(func() bool {
		for _, node := range c.nodes {
			if !node.up {
				continue
			}
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
			if d.Height > node.proven {
				require.NoError(c, node.engine.VerifyDecision(c.setAt(d.Height), d))
				node.proven = d.Height
			}
			require.LessOrEqual(c, len(d.Txs), c.genesis.Consensus.MaxBlockTxs)
			parent, millis = d.Hash(node.Suite), d.TimeMillis
			for _, h := range d.Txs {
				require.False(c, seen[h], "height %d repeats a transaction", d.Height)
				seen[h] = true
			}
		}
		if node.up {
			require.Len(c, seen, n, "node %d", node.ID)
			for i := range n {
				require.True(c, seen[Tx(i).Hash()], "node %d: transaction %d is missing", node.ID, i)
			}
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
