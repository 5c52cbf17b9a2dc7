package node

import (
	"context"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
)

var testFunds = math.HexOrDecimal256(*big.NewInt(1e18))

// newAccounts makes one account of each kind, both funded in the genesis that change alters.
func newAccounts(t testing.TB) (sm2, secp client.Account, fund func(*chain.Genesis)) {
	sm2, err := client.NewSM2()
	require.NoError(t, err)
	secp, err = client.NewSecp256k1()
	require.NoError(t, err)
	return sm2, secp, func(g *chain.Genesis) {
		for _, a := range []client.Account{sm2, secp} {
			g.Alloc[a.Address()] = chain.GenesisAccount{Balance: &testFunds}
		}
	}
}

// startKinds runs a node of a chain that takes these kinds and connects a client to it.
func startKinds(t *testing.T, fund func(*chain.Genesis), kinds ...chain.TxKind) (cfg Config, c *client.Client, stop func()) {
	cfg, _ = newFolderOf(t, func(g *chain.Genesis) {
		g.Transactions = kinds
		fund(g)
	})
	cfg.Access.Anonymous = append(cfg.Access.Anonymous, "debug") // requireTraced asks
	n, _, stop := start(t, cfg)
	return cfg, dialNode(t, n), stop
}

func dialNode(t *testing.T, n *Node) *client.Client {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, "ws://"+n.WebSocketAddr())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// succeed sends a transaction and wants it done.
func succeed(t *testing.T, c *client.Client, from client.Account, tx client.Tx) *types.Receipt {
	t.Helper()
	ctx := patient(t)
	hash, err := c.Send(ctx, from, tx)
	require.NoError(t, err)
	r, err := c.WaitReceipt(ctx, hash)
	require.NoError(t, err)
	require.EqualValues(t, types.ReceiptStatusSuccessful, r.Status)
	return r
}

// TestBothKindsOnOneChain has accounts of both kinds pay each other and use one contract, and reads it all again after a restart.
func TestBothKindsOnOneChain(t *testing.T) {
	sm2, secp, fund := newAccounts(t)
	cfg, c, stop := startKinds(t, fund, chain.SM2, chain.Secp256k1)
	one, two := sm2.Address(), secp.Address()

	succeed(t, c, sm2, client.Tx{To: &two, Value: big.NewInt(10)})
	succeed(t, c, secp, client.Tx{To: &one, Value: big.NewInt(3)})
	creation, err := apps.Token.Creation(big.NewInt(1_000_000))
	require.NoError(t, err)
	deployed := succeed(t, c, sm2, client.Tx{Data: creation})
	token := deployed.ContractAddress
	for _, step := range []struct {
		from   client.Account
		to     common.Address
		amount int64
	}{{sm2, two, 500}, {secp, one, 200}} {
		data, err := apps.Token.ABI.Pack("transfer", step.to, big.NewInt(step.amount))
		require.NoError(t, err)
		r := succeed(t, c, step.from, client.Tx{To: &token, Data: data})
		require.Len(t, r.Logs, 1)
		require.Equal(t, common.BytesToHash(step.from.Address().Bytes()), r.Logs[0].Topics[1], "the contract sees the sender")
	}
	requireTraced(t, c, deployed.TxHash)

	ctx := patient(t)
	proof, trust := fetchProof(t, c, deployed.TxHash)
	proven, err := client.Verify(proof, trust)
	require.NoError(t, err)
	require.Equal(t, one, proven.From)
	require.Equal(t, client.KindSM2, proven.Kind)
	head, err := c.Head(ctx)
	require.NoError(t, err)
	stop()

	n, _, _ := start(t, cfg)
	c = dialNode(t, n)
	again, err := c.Block(ctx, head.Number)
	require.NoError(t, err)
	require.Equal(t, head.Hash(), again.Hash)
	tx, err := c.Transaction(ctx, deployed.TxHash)
	require.NoError(t, err)
	require.Equal(t, one, tx.From)
	require.Equal(t, client.KindSM2, tx.Kind)
	r, err := c.Receipt(ctx, deployed.TxHash)
	require.NoError(t, err)
	require.EqualValues(t, client.SM2TxType, r.Type)
	require.Equal(t, deployed, r)
	for account, want := range map[common.Address]int64{one: 999_700, two: 300} {
		data, err := apps.Token.ABI.Pack("balanceOf", account)
		require.NoError(t, err)
		out, err := c.CallRaw(ctx, ethereum.CallMsg{To: &token, Data: data}, nil)
		require.NoError(t, err)
		require.EqualValues(t, want, new(big.Int).SetBytes(out).Int64())
	}
}

// requireTraced has the node run a transaction again under each kind of tracer.
func requireTraced(t *testing.T, c *client.Client, hash common.Hash) {
	t.Helper()
	for _, tracer := range []map[string]any{{}, {"tracer": "callTracer"}, {"tracer": "prestateTracer"}} {
		var out json.RawMessage
		require.NoError(t, c.RPC().CallContext(patient(t), &out, "debug_traceTransaction", hash, tracer), "%v", tracer)
		require.NotEmpty(t, out)
	}
}

// fetchProof waits until the transaction's block is final and fetches its proof, and what to trust.
func fetchProof(t *testing.T, c *client.Client, hash common.Hash) (*client.Proof, *client.Trust) {
	ctx := patient(t)
	r, err := c.Receipt(ctx, hash)
	require.NoError(t, err)
	require.NoError(t, c.WaitFinal(ctx, r.BlockNumber.Uint64()))
	proof, err := c.Proof(ctx, hash)
	require.NoError(t, err)
	var genesis json.RawMessage
	require.NoError(t, c.RPC().CallContext(ctx, &genesis, "jl_genesis"))
	trust, err := client.ParseTrust(genesis)
	require.NoError(t, err)
	return proof, trust
}

// TestKindsThatAChainRefuses sends each kind to a chain of the other.
func TestKindsThatAChainRefuses(t *testing.T) {
	sm2, secp, fund := newAccounts(t)
	for _, c := range []struct {
		takes     chain.TxKind
		good, bad client.Account
		text      string
	}{
		{chain.Secp256k1, secp, sm2, `the sender signed with sm2, the genesis lists ["secp256k1"]: send it from an account of a kind that is listed`},
		{chain.SM2, sm2, secp, `the sender signed with secp256k1, the genesis lists ["sm2"]: send it from an account of a kind that is listed`},
	} {
		_, conn, _ := startKinds(t, fund, c.takes)
		to := c.bad.Address()
		succeed(t, conn, c.good, client.Tx{To: &to, Value: big.NewInt(1)})
		_, err := conn.Send(patient(t), c.bad, client.Tx{To: &to})
		require.ErrorContains(t, err, c.text)
	}
}

// TestNetworkCarriesBothKinds sends transactions of both kinds to different nodes of a network: they reach all pools, are ordered, attested and read back from
// the disk; one node is stopped meanwhile and fetches their blocks from the others.
func TestNetworkCarriesBothKinds(t *testing.T) {
	w := newTestNetwork(t)
	sm2, secp, fund := newAccounts(t)
	fund(w.genesis)
	w.genesis.Transactions = []chain.TxKind{chain.Secp256k1, chain.SM2}
	for _, n := range w.nodes[:3] {
		w.start(n)
	}
	for _, n := range w.nodes[:3] {
		<-n.node.Ready() // a node waits for others before it is
	}
	w.pay(w.nodes[0], w.nodes[:3]...)
	nonces := make(map[common.Address]uint64)
	sign := func(from client.Account, to common.Address) []byte {
		nonce := nonces[from.Address()]
		nonces[from.Address()]++
		raw, err := from.SignTx(new(big.Int).SetUint64(w.genesis.ChainID), &client.Tx{To: &to, Value: big.NewInt(1), Gas: 21_000, Nonce: &nonce,
			FeeCap: new(big.Int), TipCap: new(big.Int)})
		require.NoError(t, err)
		return raw
	}
	const rounds = 20
	for i := range rounds {
		from, to := sm2, secp
		if i%2 == 1 {
			from, to = secp, sm2
		}
		_, errs := w.nodes[i%3].node.Submit(context.Background(), [][]byte{sign(from, to.Address()), sign(sm2, common.Address{0xdd})})
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
	}
	done := func(n *testNode) bool {
		head, finalized, _ := n.state()
		if head == nil || finalized < head.Number.Uint64() {
			return false
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		state, err := n.stages.Store.State(head.Number.Uint64())
		require.NoError(t, err)
		acc, err := state.Account(common.Address{0xdd})
		require.NoError(t, err)
		return acc != nil && acc.Balance.Uint64() == rounds
	}
	for _, n := range w.nodes[:3] {
		require.Eventually(t, func() bool { return done(n) }, patience, 5*time.Millisecond)
	}
	w.start(w.nodes[3])
	require.Eventually(t, func() bool { return done(w.nodes[3]) }, patience, 5*time.Millisecond, "the fourth node has fetched what it missed")
}
