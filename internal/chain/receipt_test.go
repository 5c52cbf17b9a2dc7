package chain_test

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestReceiptsEqualGeth stores random receipts, reads them back and compares every field, the blooms and the root with geth's.
func TestReceiptsEqualGeth(t *testing.T) {
	v := chain.NewVerifier(testGenesis())
	rapid.Check(t, func(t *rapid.T) {
		header := &chain.Header{Number: big.NewInt(rapid.Int64Range(1, 1<<40).Draw(t, "height")), Time: rapid.Uint64().Draw(t, "time"),
			Difficulty: new(big.Int), BaseFee: new(big.Int).SetUint64(rapid.Uint64Range(1, 5e9).Draw(t, "base fee"))}
		block := header.Hash()
		var ours, geths types.Receipts
		var txs types.Transactions
		at := chain.ReceiptPosition{}
		for i := range rapid.IntRange(0, 8).Draw(t, "count") {
			inner := rapid.SampledFrom(oneOfEachType(t)).Draw(t, "tx")
			tx, err := chain.NewTx(inner)
			require.NoError(t, err)
			require.NoError(t, v.Verify(tx))
			executed := drawReceipt(t)

			r, err := chain.DecodeReceipt(chain.EncodeReceipt(executed))
			require.NoError(t, err)
			at.Index = uint32(i)
			chain.DeriveReceipt(r, tx, header, block, at)
			at.GasBefore += r.GasUsed
			at.LogsBefore += uint32(len(r.Logs))
			ours = append(ours, r)

			executed.CumulativeGasUsed = at.GasBefore
			geths, txs = append(geths, executed), append(txs, inner)
		}
		err := geths.DeriveFields(testGenesis().ChainConfig(), block, header.Number.Uint64(), header.Time, header.BaseFee, nil, txs)
		require.NoError(t, err)
		require.Equal(t, len(geths), len(ours))
		for i := range geths {
			require.Equal(t, geths[i], ours[i])
		}
		require.Equal(t, types.DeriveSha(geths, trie.NewStackTrie(nil)), chain.ReceiptsRoot(ours))
	})
	require.Equal(t, types.EmptyReceiptsHash, chain.ReceiptsRoot(nil))
}

// TestEffectiveGasPrice: a fee cap under the base fee pays the fee cap; without a base fee gas is free.
func TestEffectiveGasPrice(t *testing.T) {
	tx, err := chain.NewTx(oneOfEachType(t)[2]) // cap 3 gwei, tip 1 wei
	require.NoError(t, err)
	for base, want := range map[int64]int64{0: 0, 1e9: 1e9 + 1, 3e9 - 1: 3e9, 3e9: 3e9, 4e9: 3e9} {
		require.Equal(t, want, chain.EffectiveGasPrice(tx, big.NewInt(base)).Int64(), "base fee %d", base)
	}
}

func drawReceipt(t *rapid.T) *chain.Receipt {
	r := &chain.Receipt{Status: rapid.Uint64Range(0, 1).Draw(t, "status"), GasUsed: rapid.Uint64Range(0, 1<<40).Draw(t, "gas"), Logs: []*types.Log{}}
	for range rapid.IntRange(0, 4).Draw(t, "logs") {
		l := &types.Log{Address: common.Address{rapid.Byte().Draw(t, "address")}, Topics: []common.Hash{}, Data: rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "data")}
		for range rapid.IntRange(0, 4).Draw(t, "topics") {
			l.Topics = append(l.Topics, common.Hash{rapid.Byte().Draw(t, "topic")})
		}
		r.Logs = append(r.Logs, l)
	}
	return r
}
