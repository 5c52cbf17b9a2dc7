package execute

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestMessageOfAnSM2Transaction: to the EVM a transaction of type 0x50 is one of type 2 with the same fields, whoever sent it.
func TestMessageOfAnSM2Transaction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string) *big.Int {
			return new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, name))
		}
		tip := number("tip")
		inner := &types.DynamicFeeTx{ChainID: big.NewInt(7), Nonce: rapid.Uint64().Draw(t, "nonce"), GasTipCap: tip, GasFeeCap: number("fee cap"),
			Gas: rapid.Uint64().Draw(t, "gas"), Value: number("value"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), V: new(big.Int), R: big.NewInt(1),
			S: big.NewInt(1), AccessList: types.AccessList{{Address: common.Address{1}, StorageKeys: []common.Hash{{2}}}}}
		if inner.GasFeeCap.Cmp(tip) < 0 {
			inner.GasFeeCap, inner.GasTipCap = tip, inner.GasFeeCap
		}
		to := []byte{}
		if rapid.Bool().Draw(t, "call") {
			inner.To = &common.Address{3}
			to = inner.To[:]
		}
		sender := common.Address{4}
		restore := func(raw []byte, err error) *chain.Tx {
			require.NoError(t, err)
			tx, err := chain.RestoreTx(raw, sender)
			require.NoError(t, err)
			return tx
		}
		ours, err := rlp.EncodeToBytes([]any{inner.ChainID, inner.Nonce, inner.GasTipCap, inner.GasFeeCap, inner.Gas, to, inner.Value, inner.Data, inner.AccessList,
			make([]byte, 64), inner.R, inner.S})
		tx := restore(append([]byte{chain.SM2TxType}, ours...), err)
		baseFee := uint256.MustFromBig(number("base fee"))
		if rapid.Bool().Draw(t, "free") {
			baseFee.Clear()
		}
		require.Equal(t, message(restore(types.NewTx(inner).MarshalBinary()), baseFee), message(tx, baseFee))
		require.Equal(t, chain.SM2, tx.Kind())
	})
}
