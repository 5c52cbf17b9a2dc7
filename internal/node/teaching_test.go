package node

import (
	"context"
	"log/slog"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
)

// newLesson is a running network of four whose nodes are in teaching mode.
func newLesson(t *testing.T) *testNetwork {
	w := newTestNetwork(t)
	for _, n := range w.nodes {
		n.cfg.Teaching.Enabled = true
		w.start(n)
	}
	for _, n := range w.nodes {
		<-n.node.Ready()
		require.Eventually(t, func() bool { return len(n.running().network.Connected()) == 3 }, patience, 5*time.Millisecond)
	}
	return w
}

// running is the node's pipeline.
func (n *testNode) running() *pipeline {
	n.node.mu.Lock()
	defer n.node.mu.Unlock()
	return n.node.running
}

func (n *testNode) peer() chain.Peer { return chain.Peer(n.key.Public().Bytes()) }

// cut isolates a side from the others, as jl_isolate on each of its nodes does; no others heal.
func (w *testNetwork) cut(side []*testNode, others ...*testNode) {
	var peers []chain.Peer
	for _, o := range others {
		peers = append(peers, o.peer())
	}
	for _, n := range side {
		n.node.teaching.isolate(peers)
	}
}

// submit gives a node a transaction and does not wait for its block.
func (w *testNetwork) submit(to *testNode) {
	w.Helper()
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(w.genesis.ChainID))
	raw, err := types.MustSignNewTx(w.sender, signer, &types.LegacyTx{Nonce: w.nonce, To: &common.Address{1}, Gas: 21_000, GasPrice: new(big.Int),
		Value: big.NewInt(1)}).MarshalBinary()
	require.NoError(w, err)
	w.nonce++
	_, errs := to.node.Submit(context.Background(), [][]byte{raw})
	require.NoError(w, errs[0])
}

// sent is how many of the engine's messages of a kind a node has sent.
func (n *testNode) sent(t *testing.T, kind string) float64 {
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(n.running().kinds.total))
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); l[0].GetValue() == "out" && l[1].GetValue() == kind {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestPartitionStopsAndHeals: four validators split two and two decide nothing, and go on once they are one network again. What came meanwhile is decided.
func TestPartitionStopsAndHeals(t *testing.T) {
	w := newLesson(t)
	w.pay(w.nodes[0], w.nodes...)
	require.Positive(t, w.leader().sent(t, order.KindProposal), "the engine's messages are counted by kind")
	left, right := w.nodes[:2], w.nodes[2:]
	w.cut(left, right...)
	before, _, _ := w.nodes[0].state()
	elections := w.nodes[0].sent(t, order.KindElection) + w.nodes[2].sent(t, order.KindElection)
	w.submit(w.nodes[0])
	w.submit(w.nodes[0])
	require.Eventually(t, func() bool {
		return w.nodes[0].sent(t, order.KindElection)+w.nodes[2].sent(t, order.KindElection) > elections
	}, patience,
		20*time.Millisecond, "nobody lost patience with a leader that has no quorum")
	for _, n := range w.nodes {
		head, _, _ := n.state()
		require.Equal(t, before.Number, head.Number, "a block without a quorum")
	}
	for _, n := range left {
		require.Len(t, n.running().network.Connected(), 1, "only the other one of this side is left")
	}
	w.cut(left)
	w.waitFor(before.Number.Uint64()+1, w.nodes...)
	w.pay(w.nodes[3], w.nodes...)
}

// leader is the node that node 0 takes for the leader.
func (w *testNetwork) leader() *testNode {
	return w.nodes[w.nodes[0].running().engine.Status().Leader-1]
}

// TestLiars: one of four lies in each of the ways; the others go on, and can name it where it signed two things.
func TestLiars(t *testing.T) {
	for _, lie := range teachable[chain.BFT] {
		t.Run(lie, func(t *testing.T) {
			w := newLesson(t)
			w.pay(w.nodes[0], w.nodes...)
			liar := w.leader()
			honest := slices.DeleteFunc(slices.Clone(w.nodes), func(n *testNode) bool { return n == liar })
			require.NoError(t, liar.node.teaching.misbehave(lie))
			for range 5 {
				w.pay(honest[0], honest...)
			}
			if lie != LieDoubleSign {
				require.NotEqual(t, liar, w.nodes[honest[0].running().engine.Status().Leader-1], "who proposes nothing of use is replaced")
				return
			}
			id := chain.ValidatorID(slices.Index(w.nodes, liar) + 1)
			require.Eventually(t, func() bool {
				w.pay(honest[0], honest...)
				for _, n := range honest {
					for _, e := range n.running().engine.Status().Evidence {
						require.Equal(t, id, e.Validator, "the honest are not accused")
						return true
					}
				}
				return false
			}, patience, time.Millisecond, "nobody noticed two commits")
			require.NoError(t, liar.node.teaching.misbehave(""))
		})
	}
}

// TestLessonsAreRefused: a node whose node.toml does not ask for lessons gives none, and a chain that certifies nodes has none that does.
func TestLessonsAreRefused(t *testing.T) {
	w := newTestNetwork(t)
	n := w.nodes[0]
	w.start(n)
	require.Nil(t, n.node.teaching)
	require.Nil(t, n.node.lessons(nil))
	require.Nil(t, n.node.teaching.status())

	key, err := intl.Suite{}.GenerateKey(newDeterministic())
	require.NoError(t, err)
	g := testGenesis(t, key)
	g.Admission = chain.AdmitCertificates
	_, err = newTeaching(TeachingConfig{Enabled: true}, g, intl.Suite{}, key, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, ErrTeaching)
	none, err := newTeaching(TeachingConfig{}, g, intl.Suite{}, key, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Nil(t, none)

	g.Admission = ""
	solo, err := newTeaching(TeachingConfig{Enabled: true}, g, intl.Suite{}, key, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.ErrorIs(t, solo.misbehave(LieSilent), ErrTeaching, "one node alone lies to nobody")
	require.NoError(t, solo.misbehave(""))
}

// TestIsolateByName: peers are called by name or key; who is unknown is refused and nothing is cut.
func TestIsolateByName(t *testing.T) {
	w := newLesson(t)
	w.pay(w.nodes[0], w.nodes...)
	n, p := w.nodes[0].node, w.nodes[0].running()
	l := n.lessons(p)
	require.ErrorContains(t, l.Isolate(context.Background(), []string{"nobody"}), "neither the name nor the public key")
	require.Empty(t, n.teaching.status().Cut)
	key := w.nodes[1].peer()
	require.NoError(t, l.Isolate(context.Background(), []string{key.String()}))
	require.Equal(t, []hexutil.Bytes{hexutil.Bytes(key)}, n.teaching.status().Cut)
	require.NotContains(t, p.network.Connected(), key)
	for _, other := range p.network.Peers() {
		require.Equal(t, other.Peer != key, other.Connected, other.LastError)
	}
	_, err := p.network.Request(context.Background(), key, methodTxs.Name, nil)
	require.ErrorIs(t, err, ErrTeaching)
	w.pay(w.nodes[0], w.nodes[2:]...)
	require.NoError(t, l.Isolate(context.Background(), nil))
	require.Contains(t, p.network.Connected(), key)
	require.Error(t, l.Misbehave(context.Background(), "gossip"))
	require.NoError(t, l.Misbehave(context.Background(), LieSilent))
	require.Equal(t, LieSilent, n.teaching.status().Lie)
}
