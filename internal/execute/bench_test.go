package execute_test

import (
	"context"
	"math/big"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

const (
	benchTxs     = 2000
	benchSenders = 500
)

// noCommitment takes the writes and computes nothing.
type noCommitment struct{}

func (noCommitment) Stage(context.Context, uint64, chain.WriteSet) (common.Hash, error) {
	return common.Hash{1}, nil
}

// crowd is a world with many funded senders.
func crowd(b testing.TB) *world {
	w := newWorld(b, func(g *chain.Genesis) {
		for i := range benchSenders {
			key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte{byte(i), byte(i >> 8), 9}))
			require.NoError(b, err)
			g.Alloc[gethcrypto.PubkeyToAddress(key.PublicKey)] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(big.NewInt(1e18))}
		}
		withSystemContracts(g)
		g.Fees = chain.Fees{Mode: chain.FeesZero}
	}, execute.DefaultConfig())
	w.keys, w.addrs = nil, nil
	for i := range benchSenders {
		key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte{byte(i), byte(i >> 8), 9}))
		require.NoError(b, err)
		w.keys, w.addrs = append(w.keys, key), append(w.addrs, gethcrypto.PubkeyToAddress(key.PublicKey))
	}
	return w
}

func recipient(i int) common.Address {
	return common.BytesToAddress(gethcrypto.Keccak256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
}

// benchBlock executes one block again and again on the same parent, without commitment: steady state of caches and memory.
func benchBlock(b *testing.B, w *world, txs chain.Txs, gas uint64) {
	in := w.input(txs...)
	in.State = w.ledger.Copy()
	check := func() {
		out, err := w.exec.Execute(context.Background(), in, noCommitment{})
		require.NoError(b, err)
		require.Empty(b, out.Excluded)
		for _, r := range out.Receipts {
			require.Equal(b, types.ReceiptStatusSuccessful, r.Status)
		}
		require.GreaterOrEqual(b, out.Block.Header.GasUsed, gas*uint64(len(txs)))
	}
	check()
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		if _, err := w.exec.Execute(context.Background(), in, noCommitment{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/1000/float64(b.N*len(txs)), "cpu-µs/tx")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N*len(txs)), "µs/tx")
}

// cpuTime is this process's, user and system: what a busy machine does not spoil.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTransfer is a block of plain transfers, half of them to new accounts.
func BenchmarkTransfer(b *testing.B) {
	w := crowd(b)
	txs := make(chain.Txs, benchTxs)
	for i := range txs {
		to := w.addrs[i*7%benchSenders]
		if i%2 == 0 {
			to = recipient(i)
		}
		txs[i] = w.sign(i%benchSenders, transfer(uint64(i/benchSenders), to, 5))
	}
	benchBlock(b, w, txs, 21_000)
}

// BenchmarkERC20Transfer is a block of OpenZeppelin ERC-20 transfers of one token between holders and new ones.
func BenchmarkERC20Transfer(b *testing.B) {
	w := crowd(b)
	creation, err := apps.Token.Creation(new(big.Int).Lsh(big.NewInt(1), 100))
	require.NoError(b, err)
	out := w.block(w.sign(0, &types.LegacyTx{Gas: 5_000_000, GasPrice: new(big.Int), Data: creation}))
	require.Equal(b, types.ReceiptStatusSuccessful, out.Receipts[0].Status)
	token := out.Receipts[0].ContractAddress
	nonces := make([]uint64, benchSenders)
	nonces[0] = 1
	call := func(from int, to common.Address, amount int64) *chain.Tx {
		data, err := apps.Token.ABI.Pack("transfer", to, big.NewInt(amount))
		require.NoError(b, err)
		tx := w.sign(from, &types.DynamicFeeTx{ChainID: w.signer.ChainID(), Nonce: nonces[from], To: &token, Gas: 100_000, Data: data})
		nonces[from]++
		return tx
	}
	var fund chain.Txs
	for i := 1; i < benchSenders; i++ {
		fund = append(fund, call(0, w.addrs[i], 1_000_000))
	}
	w.block(fund...)
	txs := make(chain.Txs, benchTxs)
	for i := range txs {
		to := w.addrs[i*7%benchSenders]
		if i%2 == 0 {
			to = recipient(i)
		}
		txs[i] = call(i%benchSenders, to, 5)
	}
	benchBlock(b, w, txs, 28_000)
}
