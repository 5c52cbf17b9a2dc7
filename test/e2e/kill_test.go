package e2e

import (
	"context"
	"crypto/ecdsa"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"
)

// defaultChainID is what init gives a chain without --chain-id.
const defaultChainID = 2026

// kills is how many random instants a run tries.
const kills = 50

// restartLimit is what a restart may take on a chain of a thousand blocks.
const restartLimit = 2 * time.Second

// devKeys are the accounts that init --dev funds: the well-known ones of Hardhat and Anvil.
var devKeys = []string{
	"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
	"59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
	"5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
	"7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
}

// acknowledged is a receipt as it was served, with the state root of its block.
type acknowledged struct {
	Hash        common.Hash    `json:"transactionHash"`
	BlockHash   common.Hash    `json:"blockHash"`
	BlockNumber hexutil.Uint64 `json:"blockNumber"`
	Index       hexutil.Uint64 `json:"transactionIndex"`
	Status      hexutil.Uint64 `json:"status"`
	Cumulative  hexutil.Uint64 `json:"cumulativeGasUsed"`
}

type block struct {
	Hash      common.Hash `json:"hash"`
	StateRoot common.Hash `json:"stateRoot"`
}

// TestKillLosesNothing kills the node at random instants under load. Every transaction whose receipt had been served must be there after the
// restart, in the same place of the same block, over the same state root.
func TestKillLosesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("JIALING_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("JIALING_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := initChain(t)
	l := &load{served: map[common.Hash]acknowledged{}, blocks: map[uint64]block{}}
	for i := range kills {
		p := startNode(t, dir)
		l.check(t, p, rnd)
		ctx, cancel := context.WithCancel(context.Background())
		var work sync.WaitGroup
		for _, key := range devKeys {
			work.Go(func() { l.run(ctx, t, p, key) })
		}
		time.Sleep(time.Duration(10+rnd.IntN(300)) * time.Millisecond) // the instant of death
		p.kill()
		cancel()
		work.Wait()
		if i%10 == 9 {
			t.Logf("%d kills, %d receipts served, head before the last start %d", i+1, len(l.served), p.Head)
		}
	}
	require.NotEmpty(t, l.served)
	p := startNode(t, dir)
	l.check(t, p, rnd)
	grow(t, p, 1000)
	p.kill()
	p = startNode(t, dir)
	require.GreaterOrEqual(t, p.Head, uint64(1000))
	t.Logf("restart after kill -9 at height %d took %s", p.Head, p.took)
	require.Less(t, p.took, restartLimit)
	l.check(t, p, rnd)
	p.stop()
	_, stderr, err := jialing(t, "db", "check", "--dir", dir)
	require.NoError(t, err, stderr)
}

// load remembers what the node has told its clients.
type load struct {
	mu     sync.Mutex
	served map[common.Hash]acknowledged
	fresh  []common.Hash // served since the last check
	blocks map[uint64]block
}

// run sends transfers from one account and asks for their receipts until the node dies.
func (l *load) run(ctx context.Context, t *testing.T, p *process, key string) {
	k, err := gethcrypto.HexToECDSA(key)
	if err != nil {
		t.Error(err)
		return
	}
	var nonce hexutil.Uint64
	if p.client.CallContext(ctx, &nonce, "eth_getTransactionCount", gethcrypto.PubkeyToAddress(k.PublicKey), "pending") != nil {
		return
	}
	for ctx.Err() == nil {
		batch := make([]rpc.BatchElem, 20)
		receipts := make([]rpc.BatchElem, len(batch))
		for i := range batch {
			raw, hash := transfer(t, k, uint64(nonce)+uint64(i))
			batch[i] = rpc.BatchElem{Method: "eth_sendRawTransaction", Args: []any{raw}, Result: new(common.Hash)}
			receipts[i] = rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{hash}, Result: new(*acknowledged)}
		}
		if p.client.BatchCallContext(ctx, batch) != nil {
			return
		}
		for _, b := range batch {
			if b.Error != nil {
				t.Errorf("send: %v", b.Error)
				return
			}
		}
		nonce += hexutil.Uint64(len(batch))
		for open := true; open && ctx.Err() == nil; {
			if p.client.BatchCallContext(ctx, receipts) != nil {
				return
			}
			open = l.note(ctx, p, receipts)
		}
	}
}

// note remembers the receipts that came and says whether some are still open.
func (l *load) note(ctx context.Context, p *process, receipts []rpc.BatchElem) (open bool) {
	for _, r := range receipts {
		a := *r.Result.(**acknowledged)
		if r.Error != nil || a == nil {
			open = true
			continue
		}
		height := uint64(a.BlockNumber)
		l.mu.Lock()
		if _, known := l.served[a.Hash]; !known {
			l.served[a.Hash] = *a
			l.fresh = append(l.fresh, a.Hash)
		}
		_, have := l.blocks[height]
		l.mu.Unlock()
		if have {
			continue
		}
		var b block
		if p.client.CallContext(ctx, &b, "eth_getBlockByNumber", hexutil.Uint64(height), false) == nil {
			l.mu.Lock()
			l.blocks[height] = b
			l.mu.Unlock()
		}
	}
	return open
}

// check asks a restarted node for everything served since the last check, for a sample of what is older, and for the blocks.
func (l *load) check(t *testing.T, p *process, rnd *rand.Rand) {
	ask := l.fresh
	l.fresh = nil
	for hash := range l.served {
		if rnd.IntN(20) == 0 {
			ask = append(ask, hash)
		}
	}
	for _, hash := range ask {
		want := l.served[hash]
		var got *acknowledged
		p.call(&got, "eth_getTransactionReceipt", hash)
		require.NotNil(t, got, "a served receipt is gone: %s of block %d, head is %d", hash, want.BlockNumber, p.Head)
		require.Equal(t, want, *got)
	}
	for height, want := range l.blocks {
		var got *block
		p.call(&got, "eth_getBlockByNumber", hexutil.Uint64(height), false)
		require.NotNil(t, got, "block %d is gone", height)
		require.Equal(t, want, *got)
	}
}

// grow makes blocks until the chain has that height.
func grow(t *testing.T, p *process, height uint64) {
	k, err := gethcrypto.HexToECDSA(devKeys[0])
	require.NoError(t, err)
	var nonce, at hexutil.Uint64
	for p.call(&at, "eth_blockNumber"); uint64(at) < height; p.call(&at, "eth_blockNumber") {
		p.call(&nonce, "eth_getTransactionCount", gethcrypto.PubkeyToAddress(k.PublicKey), "pending")
		raw, _ := transfer(t, k, uint64(nonce))
		var r acknowledged
		p.call(&r, "eth_sendRawTransactionSync", raw)
	}
}

func transfer(t testing.TB, k *ecdsa.PrivateKey, nonce uint64) (hexutil.Bytes, common.Hash) {
	chainID := big.NewInt(defaultChainID)
	tx, err := types.SignNewTx(k, types.LatestSignerForChainID(chainID), &types.DynamicFeeTx{ChainID: chainID, Nonce: nonce, GasTipCap: new(big.Int),
		GasFeeCap: new(big.Int), Gas: 21_000, To: &common.Address{0xee}, Value: big.NewInt(1)})
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return raw, tx.Hash()
}
