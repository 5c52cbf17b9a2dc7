package node

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/serve"
)

// testNetwork is a network of whole nodes over real sockets, with ledgers in memory, whose clocks say that the chain is an hour old.
type testNetwork struct {
	*testing.T
	genesis *chain.Genesis
	nodes   []*testNode
	nonce   uint64
	sender  *ecdsa.PrivateKey
}

type testNode struct {
	key  crypto.PrivateKey
	cfg  Config
	fs   *vfs.MemFS
	node *Node
	stop func()
	// operator acts for the node where it is not nil.
	operator Operator

	mu     sync.Mutex
	stages *Stages
}

// patience bounds every wait of these tests; a busy machine may need much of it, a healthy one needs milliseconds.
const patience = 60 * time.Second

func newTestNetwork(t *testing.T) *testNetwork {
	key, err := intl.Suite{}.GenerateKey(newDeterministic())
	require.NoError(t, err)
	w := &testNetwork{T: t, genesis: testGenesis(t, key), sender: rich(t)}
	g := w.genesis
	g.Consensus.Engine, g.Consensus.BFT, g.Validators = chain.BFT, chain.DefaultBFTParams(), nil
	g.TimeMillis = uint64(time.Now().Add(-time.Hour).UnixMilli())
	g.Alloc[common.Address{1}] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(big.NewInt(1))}
	for n := byte(1); n <= 4; n++ {
		node := w.add(n)
		g.Validators = append(g.Validators, chain.GenesisValidator{ID: chain.ValidatorID(n), Name: "node", PublicKey: node.key.Public().Bytes(),
			Address: common.Address{0xc0, n}, Endpoint: node.cfg.Network.Listen})
	}
	g.Alloc[govern.Address] = govern.Account(g)
	require.NoError(t, g.Validate())
	return w
}

// add makes a node on a free port; it does not run.
func (w *testNetwork) add(n byte) *testNode {
	seed := make([]byte, 32)
	seed[0] = n
	key, err := intl.Suite{}.ParsePrivateKey(seed)
	require.NoError(w, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w, err)
	cfg := DefaultConfig()
	cfg.Dir, cfg.Pool.Journal, cfg.Network.Listen = "node", "", l.Addr().String()
	cfg.Store.CacheMiB, cfg.Store.CommitmentMiB = 8, 8
	require.NoError(w, l.Close())
	node := &testNode{key: key, cfg: cfg, fs: vfs.NewMem()}
	w.nodes = append(w.nodes, node)
	return node
}

func (w *testNetwork) start(n *testNode) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	node, err := New(n.cfg, "jialing/test", log, Options{Genesis: w.genesis, Key: n.key, FS: n.fs, Operator: n.operator, Headless: true, Watch: func(s *Stages) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.stages = s
	}})
	require.NoError(w, err)
	n.node = node
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	var once sync.Once
	n.stop = func() { once.Do(func() { cancel(); require.NoError(w, <-done) }) }
	w.Cleanup(n.stop)
}

// state is the node's head, finalized height and first block; zero while it does not run.
func (n *testNode) state() (head *chain.Header, finalized, first uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stages == nil {
		return nil, 0, 0
	}
	return n.stages.Store.Head(), n.stages.Store.Finalized(), n.stages.Store.First()
}

// waitFor polls until all given nodes have finalized height.
func (w *testNetwork) waitFor(height uint64, nodes ...*testNode) {
	w.Helper()
	require.Eventually(w, func() bool {
		for _, n := range nodes {
			if _, finalized, _ := n.state(); finalized < height {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond, "height %d", height)
}

// pay sends a transaction to a node and waits until all given nodes have its block final.
func (w *testNetwork) pay(to *testNode, nodes ...*testNode) {
	w.Helper()
	before, _, _ := nodes[0].state()
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(w.genesis.ChainID))
	raw, err := types.MustSignNewTx(w.sender, signer, &types.LegacyTx{Nonce: w.nonce, To: &common.Address{1}, Gas: 21_000, GasPrice: new(big.Int),
		Value: big.NewInt(1)}).MarshalBinary()
	require.NoError(w, err)
	w.nonce++
	_, errs := to.node.Submit(context.Background(), [][]byte{raw})
	require.NoError(w, errs[0])
	w.waitFor(before.Number.Uint64()+1, nodes...)
}

// tells reads a node's subscription of final blocks: it has to hold every height once, in order, and not before the ledger has a certificate.
func (w *testNetwork) tells(finals serve.Feed, from, to uint64, n *testNode) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for from <= to {
		events, err := finals.Next(ctx)
		require.NoError(w, err)
		for _, e := range events {
			head := new(types.Header)
			require.NoError(w, json.Unmarshal(e, head))
			require.Equal(w, from, head.Number.Uint64())
			n.mu.Lock()
			st := n.stages.Store
			n.mu.Unlock()
			require.GreaterOrEqual(w, st.Finalized(), from, "it is said to be final")
			kept, err := st.Header(from)
			require.NoError(w, err)
			require.Equal(w, kept.Hash(), head.Hash())
			from++
		}
	}
}

// TestNewNodeOfLongChainFetchesItsState lets a node join a chain that is long for its configuration: it must not execute the chain again.
func TestNewNodeOfLongChainFetchesItsState(t *testing.T) {
	w := newTestNetwork(t)
	founders := w.nodes[:4]
	for _, n := range founders {
		w.start(n)
	}
	require.Eventually(t, func() bool {
		for _, n := range founders {
			if head, _, _ := n.state(); head == nil {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond, "all nodes run")
	<-founders[1].node.Ready()
	finals, err := founders[1].running().serve.Subscribe("newFinalizedHeads", nil)
	require.NoError(t, err)
	const long = 40
	for i := range long {
		w.pay(founders[i%4], founders...)
	}
	w.tells(finals, 1, long, founders[1])
	follower := w.add(9)
	follower.cfg.CatchUp.SnapshotThreshold = long / 2
	// States are asked to be held at a height that comes soon, so the chain must move while the node joins.
	joined := make(chan struct{})
	w.start(follower)
	go func() {
		defer close(joined)
		select {
		case <-follower.node.Ready():
		case <-time.After(patience):
		}
	}()
	for moving := true; moving; {
		select {
		case <-joined:
			moving = false
		default:
			w.pay(founders[0], founders...)
		}
	}
	head, _, _ := founders[0].state()
	w.waitFor(head.Number.Uint64(), follower)
	_, _, first := follower.state()
	require.Greater(t, first, uint64(long/2), "it began with a state, not with block 0")
	for range 3 {
		w.pay(follower, w.nodes...) // it takes transactions and follows
	}
	want, _, _ := founders[0].state()
	got, _, _ := follower.state()
	require.Equal(t, want.Hash(), got.Hash())
	follower.stop()
	w.pay(founders[1], founders...)
	w.start(follower) // what it has fetched is a ledger like any other
	head, _, _ = founders[0].state()
	w.waitFor(head.Number.Uint64(), follower)
}
