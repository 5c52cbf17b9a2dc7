package node

import (
	"context"
	"crypto/ecdsa"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// rich is the funded account of test chains.
func rich(t testing.TB) *ecdsa.PrivateKey {
	key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte("rich")))
	require.NoError(t, err)
	return key
}

func testGenesis(t testing.TB, nodeKey crypto.PrivateKey) *chain.Genesis {
	wei, ok := new(big.Int).SetString("1000000000000000000000000", 10)
	require.True(t, ok)
	return &chain.Genesis{
		Name: "test", ChainID: 2026, TimeMillis: 1_790_000_000_000, Suite: "intl",
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 5000, MaxBlockBytes: 8 << 20, BatchMillis: 5},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "node1", PublicKey: nodeKey.Public().Bytes(), Address: common.Address{0xc0}}},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesZero}, GasLimit: 1_000_000_000,
		Alloc: map[common.Address]chain.GenesisAccount{gethcrypto.PubkeyToAddress(rich(t).PublicKey): {Balance: (*math.HexOrDecimal256)(wei)}},
	}
}

// newFolder makes a node's folder on a free port.
func newFolder(t testing.TB) (Config, *chain.Genesis) {
	return newFolderOf(t, func(*chain.Genesis) {})
}

// newFolderOf is newFolder with another genesis.
func newFolderOf(t testing.TB, change func(*chain.Genesis)) (Config, *chain.Genesis) {
	dir := filepath.Join(t.TempDir(), "node")
	key, err := intl.Suite{}.GenerateKey(newDeterministic())
	require.NoError(t, err)
	g := testGenesis(t, key)
	change(g)
	require.NoError(t, Init(dir, g, key))
	cfg, err := LoadConfig(dir)
	require.NoError(t, err)
	cfg.Serve.Addr = "127.0.0.1:0"
	cfg.Store.MinFreeMiB = 0
	return cfg, g
}

type deterministic byte

func newDeterministic() *deterministic { d := deterministic(1); return &d }

func (d *deterministic) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(*d)
		*d++
	}
	return len(b), nil
}

// start runs a node; stop ends it and fails the test if it did not end cleanly.
func start(t testing.TB, cfg Config) (n *Node, c *ethclient.Client, stop func()) {
	n, err := New(cfg, "jialing/test", slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-done:
		cancel()
		require.NoError(t, err)
		t.Fatal("node ended at once")
	}
	rc, err := rpc.DialContext(ctx, "ws://"+n.WebSocketAddr())
	require.NoError(t, err)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		rc.Close()
		cancel()
		require.NoError(t, <-done)
	}
	t.Cleanup(stop)
	return n, ethclient.NewClient(rc), stop
}

// TestNodeIsReadyWhenItsPoolIsWhatItWas: what a client is told before that would be wrong.
func TestNodeIsReadyWhenItsPoolIsWhatItWas(t *testing.T) {
	first, _ := newFolder(t)
	_, c, stop := start(t, first)
	mined(t, c, send(t, c, rich(t), 0, &common.Address{1}, 1, 21000, nil))
	stop()
	names, err := filepath.Glob(filepath.Join(first.Dir, poolJournal, "*.journal"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	journal, err := os.ReadFile(names[0])
	require.NoError(t, err)

	cfg, _ := newFolder(t) // of the same chain, which has not executed the transaction
	pipe := filepath.Join(cfg.Dir, poolJournal, filepath.Base(names[0]))
	require.NoError(t, os.Mkdir(filepath.Dir(pipe), 0o700))
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	n, err := New(cfg, "jialing/test", slog.New(slog.DiscardHandler), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the pool reads its journal
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.HTTPAddr() != "" }, patience, 1e6)
	conn, err := ethclient.Dial("http://" + n.HTTPAddr())
	require.NoError(t, err)
	defer conn.Close()
	sender := gethcrypto.PubkeyToAddress(rich(t).PublicKey)
	_, err = conn.PendingNonceAt(ctx, sender)
	require.ErrorContains(t, err, "the node is starting")
	_, errs := n.Submit(ctx, [][]byte{{1}})
	require.ErrorIs(t, errs[0], errStarting)
	require.ErrorIs(t, n.Problem(), errStarting)
	select {
	case <-n.Ready():
		require.Fail(t, "the node does not know yet what it had acknowledged")
	default:
	}
	_, err = w.Write(journal)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	<-n.Ready()
	require.NoError(t, n.Problem())
	nonce, err := conn.PendingNonceAt(ctx, sender)
	require.NoError(t, err)
	require.Equal(t, uint64(1), nonce)
	cancel()
	require.NoError(t, <-done)
}

func mined(t testing.TB, c *ethclient.Client, tx *types.Transaction) *types.Receipt {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	heads := make(chan *types.Header, 16)
	sub, err := c.SubscribeNewHead(ctx, heads)
	require.NoError(t, err)
	defer sub.Unsubscribe()
	for {
		if r, err := c.TransactionReceipt(ctx, tx.Hash()); err == nil {
			return r
		}
		select {
		case <-heads:
		case <-ctx.Done():
			t.Fatalf("transaction %s has no receipt after 30 s", tx.Hash())
		}
	}
}

func send(t testing.TB, c *ethclient.Client, key *ecdsa.PrivateKey, nonce uint64, to *common.Address, value int64, gas uint64, data []byte) *types.Transaction {
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(2026)), &types.DynamicFeeTx{ChainID: big.NewInt(2026), Nonce: nonce,
		GasTipCap: new(big.Int), GasFeeCap: new(big.Int), Gas: gas, To: to, Value: big.NewInt(value), Data: data})
	require.NoError(t, err)
	require.NoError(t, c.SendTransaction(context.Background(), tx))
	return tx
}

func TestWholeSentenceAndRestart(t *testing.T) {
	cfg, _ := newFolder(t)
	_, c, stop := start(t, cfg)
	ctx := context.Background()
	key := rich(t)

	creation, err := apps.Token.Creation(big.NewInt(1_000_000))
	require.NoError(t, err)
	r := mined(t, c, send(t, c, key, 0, nil, 0, 3_000_000, creation))
	require.EqualValues(t, types.ReceiptStatusSuccessful, r.Status)
	token := r.ContractAddress

	to := common.Address{0xaa}
	data, err := apps.Token.ABI.Pack("transfer", to, big.NewInt(77))
	require.NoError(t, err)
	r = mined(t, c, send(t, c, key, 1, &token, 0, 200_000, data))
	require.EqualValues(t, types.ReceiptStatusSuccessful, r.Status)
	require.Len(t, r.Logs, 1)
	finals := make(chan *types.Header, 16)
	sub, err := c.Client().EthSubscribe(ctx, finals, "newFinalizedHeads")
	require.NoError(t, err)
	r2 := mined(t, c, send(t, c, key, 2, &to, 5, 21_000, nil))
	for told := uint64(0); told < r2.BlockNumber.Uint64(); {
		select {
		case final := <-finals:
			if told = final.Number.Uint64(); told == r2.BlockNumber.Uint64() {
				require.Equal(t, r2.BlockHash, final.Hash())
			}
		case err := <-sub.Err():
			t.Fatalf("the subscription to final blocks ended: %v", err)
		case <-time.After(30 * time.Second):
			t.Fatalf("no block after %d is said to be final", told)
		}
	}

	height, err := c.BlockNumber(ctx)
	require.NoError(t, err)
	head, err := c.HeaderByNumber(ctx, nil)
	require.NoError(t, err)
	stop()

	_, c, _ = start(t, cfg)
	again, err := c.BlockNumber(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, again, height)
	same, err := c.HeaderByNumber(ctx, new(big.Int).SetUint64(height))
	require.NoError(t, err)
	require.Equal(t, head.Hash(), same.Hash())
	back, err := c.TransactionReceipt(ctx, r2.TxHash)
	require.NoError(t, err)
	require.Equal(t, r2.BlockHash, back.BlockHash)
	balance, err := c.BalanceAt(ctx, to, nil)
	require.NoError(t, err)
	require.EqualValues(t, 5, balance.Int64())
	mined(t, c, send(t, c, key, 3, &to, 5, 21_000, nil))
	fin, err := c.HeaderByNumber(ctx, big.NewInt(int64(rpc.FinalizedBlockNumber)))
	require.NoError(t, err)
	require.Greater(t, fin.Number.Uint64(), uint64(0))
}
