package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order/pow"
)

// workNet are whole nodes of a chain of work in folders, over real sockets. Blocks are as easy to find as they can be, faster than messages travel: where two mine
// at a time they part for longer than the depth.
type workNet struct {
	*testing.T
	genesis *chain.Genesis
	cfgs    []Config
}

const testDepth = 3

func newWorkNet(t *testing.T, nodes int) *workNet {
	key, err := intl.Suite{}.GenerateKey(newDeterministic())
	require.NoError(t, err)
	w := &workNet{T: t, genesis: testGenesis(t, key)}
	g := w.genesis
	g.Consensus.Engine, g.Validators, g.TimeMillis = chain.PoW, []chain.GenesisValidator{}, uint64(time.Now().Add(-time.Second).UnixMilli())
	g.Consensus.Work = &chain.WorkParams{BlockMillis: 100, Depth: testDepth, Bits: 0x207fffff, HalfLifeMillis: 2000, Reward: (*math.HexOrDecimal256)(big.NewInt(1e18))}
	require.NoError(t, g.Validate())
	for n := range nodes {
		seed := make([]byte, 32)
		seed[0] = byte(n + 1)
		key, err := intl.Suite{}.ParsePrivateKey(seed)
		require.NoError(t, err)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		cfg := DefaultConfig()
		cfg.Dir = filepath.Join(t.TempDir(), "node")
		cfg.Network.Listen, cfg.Serve.Addr, cfg.Store.MinFreeMiB = l.Addr().String(), "127.0.0.1:0", 0
		cfg.Store.CacheMiB, cfg.Store.CommitmentMiB = 8, 8
		cfg.Mine = MineConfig{Enabled: true, Threads: 1, Coinbase: common.Address{0xc0, byte(n)}.Hex()}
		require.NoError(t, l.Close())
		require.NoError(t, InitConfig(cfg, g, key))
		cfg, err = LoadConfig(cfg.Dir)
		require.NoError(t, err)
		w.cfgs = append(w.cfgs, cfg)
	}
	return w
}

// knows makes a node dial another one.
func (w *workNet) knows(n, other int) {
	w.cfgs[n].Network.Peers = []string{w.cfgs[other].Network.Listen}
}

// runningNode is one with its client.
type runningNode struct {
	*client.Client
	node  *Node
	ended chan error
	stop  func()
}

func (w *workNet) start(n int) *runningNode {
	node, err := New(w.cfgs[n], "jialing/test", slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Options{})
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &runningNode{node: node, ended: make(chan error, 1)}
	go func() { r.ended <- node.Run(ctx) }()
	select {
	case <-node.Ready():
	case err := <-r.ended:
		w.Fatal("the node ended at once: ", err)
	}
	r.Client, err = client.Dial(ctx, "http://"+node.HTTPAddr())
	require.NoError(w, err)
	stopped := false
	r.stop = func() {
		if !stopped {
			stopped = true
			r.Close()
			cancel()
			r.ended <- <-r.ended
		}
	}
	w.Cleanup(r.stop)
	return r
}

func ask[T any](t require.TestingT, r *runningNode, method string, args ...any) (out T) {
	require.NoError(t, r.RPC().CallContext(context.Background(), &out, method, args...))
	return out
}

func (r *runningNode) height(t require.TestingT, tag rpc.BlockNumber) uint64 {
	var out struct{ Number math.HexOrDecimal64 }
	require.NoError(t, r.RPC().CallContext(context.Background(), &out, "eth_getBlockByNumber", tag, false))
	return uint64(out.Number)
}

func (w *workNet) waitFor(height uint64, nodes ...*runningNode) {
	w.Helper()
	deadline := time.After(patience)
	for {
		late := slices.IndexFunc(nodes, func(n *runningNode) bool { return n.height(w, rpc.FinalizedBlockNumber) < height })
		if late < 0 {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			w.Fatalf("final height %d was not reached by node %d: %v", height, late, ask[any](w, nodes[late], "jl_nodeStatus"))
		}
	}
}

// mines makes a node look for blocks, or no longer.
func (r *runningNode) mines(t *testing.T, threads int) {
	r.node.mu.Lock()
	p := r.node.running
	r.node.mu.Unlock()
	require.NoError(t, p.miner.SetThreads(threads))
}

func (r *runningNode) tip(t *testing.T) uint64 {
	return ask[struct{ Work struct{ Tip uint64 } }](t, r, "jl_nodeStatus").Work.Tip
}

// TestChainOfWork: two nodes mine one chain, take transactions, mark blocks final, mint what the genesis says and prove what happened; a third one fetches all.
func TestChainOfWork(t *testing.T) {
	w := newWorkNet(t, 3)
	w.knows(1, 0)
	w.knows(2, 1)
	w.cfgs[2].Mine = DefaultMineConfig()
	w.cfgs[1].Mine.Enabled = false
	a, b := w.start(0), w.start(1)
	w.waitFor(2, a, b)
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(w.genesis.ChainID))
	tx := types.MustSignNewTx(rich(t), signer, &types.LegacyTx{To: &common.Address{9}, Gas: 21_000, GasPrice: new(big.Int), Value: big.NewInt(5)})
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, tx.Hash(), ask[common.Hash](t, a, "eth_sendRawTransaction", "0x"+common.Bytes2Hex(raw)))
	var receipt *types.Receipt
	require.Eventually(t, func() bool {
		receipt = ask[*types.Receipt](t, b, "eth_getTransactionReceipt", tx.Hash())
		return receipt != nil
	}, patience, 5*time.Millisecond)
	at := receipt.BlockNumber.Uint64()
	require.GreaterOrEqual(t, b.height(t, rpc.FinalizedBlockNumber), at, "who has a receipt has one for good")

	// The header that names the block is testDepth above it; before it is final there is no proof.
	w.waitFor(at+2*testDepth, a, b)
	trust, err := client.TrustFromGenesis(w.genesis.Encode())
	require.NoError(t, err)
	p, err := a.Proof(t.Context(), tx.Hash())
	require.NoError(t, err)
	proven, err := client.Verify(p, trust)
	require.NoError(t, err)
	require.Equal(t, at, proven.Height)
	require.Equal(t, at+testDepth, proven.Work.Named)
	require.GreaterOrEqual(t, proven.Work.Confirmations, testDepth)
	require.Empty(t, proven.Signers)
	refusesForgedWork(t, p, trust)
	certificate := ask[map[string]any](t, b, "jl_getCertificate", fmt.Sprintf("0x%x", at))
	require.Equal(t, "work", certificate["kind"])

	// The other one takes over.
	a.mines(t, 0)
	var tip uint64
	require.Eventually(t, func() bool {
		tip = a.tip(t)
		return tip == b.tip(t)
	}, patience, 5*time.Millisecond)
	require.Nil(t, ask[map[string]any](t, b, "jl_getCertificate", "latest"), "no final header names it yet")
	b.mines(t, 1)
	w.waitFor(tip+1, a, b)

	// What is minted is what the genesis says, and goes to who found the block.
	final := min(a.height(t, rpc.FinalizedBlockNumber), b.height(t, rpc.FinalizedBlockNumber))
	sum := new(big.Int)
	for n := range 2 {
		balance := (*big.Int)(ask[*math.HexOrDecimal256](t, a, "eth_getBalance", common.Address{0xc0, byte(n)}, fmt.Sprintf("0x%x", final)))
		require.Positive(t, balance.Sign(), "both have found some")
		sum.Add(sum, balance)
	}
	require.Equal(t, w.genesis.Consensus.Work.Issued(final), sum)
	decision := ask[map[string]any](t, a, "jl_getDecision", fmt.Sprintf("0x%x", at))
	require.Equal(t, "0x0", decision["proposer"])
	require.NotEmpty(t, decision["coinbase"])
	require.Empty(t, ask[map[string]any](t, a, "jl_getValidators", "latest")["validators"])

	// A node that follows fetches all of it, mines nothing and gives no work away.
	c := w.start(2)
	w.waitFor(final, c)
	for h := uint64(1); h <= final; h++ {
		require.Equal(t, ask[map[string]any](t, a, "eth_getBlockByNumber", fmt.Sprintf("0x%x", h), false)["hash"],
			ask[map[string]any](t, c, "eth_getBlockByNumber", fmt.Sprintf("0x%x", h), false)["hash"])
	}
	require.False(t, ask[bool](t, c, "eth_mining"))
	require.True(t, ask[bool](t, b, "eth_mining"))
	require.False(t, ask[bool](t, a, "eth_mining"))
	require.ErrorContains(t, c.RPC().CallContext(t.Context(), new(any), "eth_getWork"), "no account to credit")
	require.Eventually(t, func() bool { // between a block and the next work there is a moment without
		var work []string
		return a.RPC().CallContext(t.Context(), &work, "eth_getWork") == nil && len(work) == 4
	}, patience, 5*time.Millisecond)

	// A restart goes on where it was.
	before := b.height(t, rpc.FinalizedBlockNumber)
	b.stop()
	require.NoError(t, <-b.ended)
	w.cfgs[1].Mine.Enabled = true
	b = w.start(1)
	require.GreaterOrEqual(t, b.height(t, rpc.FinalizedBlockNumber), before, "what was final is final at the start")
	w.waitFor(before+testDepth, a, b, c)
}

// TestDeepForkHalts: two nodes that mined apart for longer than the depth meet. The one with less work halts and says what there is; a checkpoint keeps it on its
// chain, and without its ledger it follows the other one.
func TestDeepForkHalts(t *testing.T) {
	w := newWorkNet(t, 2)
	a, b := w.start(0), w.start(1)
	w.waitFor(2, b)
	b.stop()
	require.NoError(t, <-b.ended)
	ours := uint64(2 + 4*testDepth)
	w.waitFor(ours+20, a) // the difficulty is the same or higher there, so this is more work
	w.knows(1, 0)
	w.cfgs[1].Mine.Enabled = false
	b = w.start(1)
	var err error
	select {
	case err = <-b.ended:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	b.ended <- err
	var fork *pow.DeepFork
	require.ErrorAs(t, err, &fork)
	require.ErrorIs(t, err, ErrHalted)
	require.Zero(t, fork.Fork)
	h, err := ReadHalt(w.cfgs[1].Dir)
	require.NoError(t, err)
	require.NotNil(t, h.Fork)
	require.Equal(t, fork.Delivered, h.Fork.Final)
	require.Contains(t, h.Advice, "jialing db reset")
	require.Contains(t, h.Fork.Checkpoint, "1:0x")
	_, err = New(w.cfgs[1], "jialing/test", slog.New(slog.DiscardHandler), Options{})
	require.ErrorIs(t, err, ErrHalted, "it does not start as if nothing had happened")

	// It stays on its own chain with a checkpoint.
	require.NoError(t, os.Remove(HaltPath(w.cfgs[1].Dir)))
	stays := w.cfgs[1]
	stays.Mine.Checkpoints = []string{h.Fork.Checkpoint}
	stays.Mine.Enabled = true
	require.NoError(t, stays.Validate())
	follows := w.cfgs[1]
	w.cfgs[1] = stays
	b = w.start(1)
	w.waitFor(h.Fork.Final+1, b)
	// For it the other one sends what its rules forbid, which costs standing.
	require.Eventually(t, func() bool {
		for _, p := range ask[[]struct {
			Score       int
			BannedUntil *int64
		}](t, b, "jl_peers") {
			if p.Score < 0 || p.BannedUntil != nil {
				return true
			}
		}
		return false
	}, patience, 5*time.Millisecond)
	require.NotEqual(t, ask[map[string]any](t, a, "eth_getBlockByNumber", "0x1", false)["hash"], ask[map[string]any](t, b, "eth_getBlockByNumber", "0x1", false)["hash"])
	b.stop()
	require.NoError(t, <-b.ended)

	// Without its ledger it fetches the chain of the most work.
	require.NoError(t, os.RemoveAll(follows.DataFolder()))
	w.cfgs[1] = follows
	b = w.start(1)
	w.waitFor(ours+20, b)
	require.Equal(t, ask[map[string]any](t, a, "eth_getBlockByNumber", "0x1", false)["hash"], ask[map[string]any](t, b, "eth_getBlockByNumber", "0x1", false)["hash"])
}

func TestMineConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  MineConfig
		want string
	}{
		"the default":        {DefaultMineConfig(), ""},
		"no threads":         {MineConfig{}, "threads must be 1"},
		"no account":         {MineConfig{Enabled: true, Threads: 1}, "must name the account"},
		"no address":         {MineConfig{Threads: 1, Coinbase: "me"}, "is no address"},
		"the zero address":   {MineConfig{Threads: 1, Coinbase: "0x0000000000000000000000000000000000000000"}, "rewards would be lost"},
		"a checkpoint":       {MineConfig{Threads: 1, Checkpoints: []string{"7:0x" + common.Bytes2Hex(make([]byte, 32))}}, ""},
		"a malformed one":    {MineConfig{Threads: 1, Checkpoints: []string{"7"}}, "HEIGHT:HASH"},
		"one of the genesis": {MineConfig{Threads: 1, Checkpoints: []string{"0:0x" + common.Bytes2Hex(make([]byte, 32))}}, "HEIGHT:HASH"},
		"half a hash":        {MineConfig{Threads: 1, Checkpoints: []string{"7:0x11"}}, "64 hex digits"},
	} {
		err := tc.cfg.Validate()
		if tc.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, tc.want, name)
		}
	}
	c := MineConfig{Checkpoints: []string{"9:" + crypto.Hash{9}.String(), "5:" + crypto.Hash{1}.String()}}
	got := c.merge([]chain.WorkCheckpoint{{Height: 5, Hash: crypto.Hash{5}}, {Height: 11, Hash: crypto.Hash{11}}})
	require.Equal(t, []chain.WorkCheckpoint{{Height: 5, Hash: crypto.Hash{5}}, {Height: 9, Hash: crypto.Hash{9}}, {Height: 11, Hash: crypto.Hash{11}}}, got)
	require.Error(t, (&MineConfig{Enabled: true}).check(chain.BFT))
	require.NoError(t, (&MineConfig{Enabled: true}).check(chain.PoW))
}

// refusesForgedWork holds altered proofs against the verifier, and the true one against a verifier who asks for more.
func refusesForgedWork(t *testing.T, p *client.Proof, trust *client.Trust) {
	encoded := p.Encode()
	for name, tc := range map[string]struct {
		alter func(p *client.Proof, t *client.Trust)
		want  string
	}{
		"too few headers": {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work = p.Certificate.Work[:testDepth] }, "work headers, want"},
		"none":            {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work = nil }, "work headers, want"},
		"no kind":         {func(p *client.Proof, _ *client.Trust) { p.Certificate.Kind = "" }, "no certificate of work"},
		"a signature beside it": {func(p *client.Proof, _ *client.Trust) {
			p.Certificate.Attestations = []client.ProofAttestation{{Validator: 1}}
		}, "no certificate of work"},
		"a gap":                   {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work = slices.Delete(p.Certificate.Work, 1, 2) }, "does not follow"},
		"another decision":        {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work[0][60] ^= 1 }, ""},
		"another executed header": {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work[testDepth][90] ^= 1 }, ""},
		"an easier target": {func(p *client.Proof, _ *client.Trust) {
			copy(p.Certificate.Work[0][140:], []byte{0x20, 0x7f, 0xff, 0xfe})
		}, "the rules say"},
		"another parent's time": {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work[1][131] ^= 1 }, "contradicts the times"},
		"a larger sum":          {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work[1][150] ^= 1 }, ""},
		"half a header":         {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work[0] = p.Certificate.Work[0][:100] }, "bytes, must have 176"},
		"another chain's":       {func(p *client.Proof, _ *client.Trust) { p.Certificate.Work[0][4] ^= 1 }, "another chain"},
		"links":                 {func(p *client.Proof, _ *client.Trust) { p.Links = append(p.Links, p.Header) }, "does not follow"},
		"more work is asked for": {func(_ *client.Proof, t *client.Trust) {
			t.Work.LeastWork = (*hexutil.Big)(new(big.Int).Lsh(big.NewInt(1), 100))
		}, "are asked for"},
		"a checkpoint": {func(p *client.Proof, t *client.Trust) {
			t.Work.Checkpoints = []client.TrustedCheckpoint{{Height: p.Certificate.Height, Hash: common.Hash{1}}}
		}, "the chain goes through"},
		"another depth": {func(_ *client.Proof, t *client.Trust) { t.Work.Depth-- }, "names another block"},
	} {
		forged, err := client.ParseProof(encoded)
		require.NoError(t, err)
		asked, err := client.ParseTrust(trust.Encode())
		require.NoError(t, err)
		tc.alter(forged, asked)
		_, err = client.Verify(forged, asked)
		require.ErrorIs(t, err, client.ErrProof, name)
		require.ErrorContains(t, err, tc.want, name)
	}
	_, err := client.VerifyCertificate(&p.Certificate, trust)
	require.ErrorContains(t, err, "verified with its block")
}
