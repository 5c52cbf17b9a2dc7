package pool

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// geth is the oracle of what a transaction costs before its first opcode.
func TestGasAgainstGeth(t *testing.T) {
	osaka := genesis(chain.FeesZero, 0).ChainConfig().Rules(new(big.Int), true, 0)
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 1, 255}), 0, 3000).Draw(rt, "data")
		var list types.AccessList
		for range rapid.IntRange(0, 5).Draw(rt, "tuples") {
			list = append(list, types.AccessTuple{StorageKeys: make([]common.Hash, rapid.IntRange(0, 5).Draw(rt, "keys"))})
		}
		auths := make([]types.SetCodeAuthorization, rapid.IntRange(0, 4).Draw(rt, "authorizations"))
		var to *common.Address
		if len(auths) > 0 || rapid.Bool().Draw(rt, "call") {
			to = &common.Address{1}
		}
		var inner types.TxData = &types.DynamicFeeTx{ChainID: big.NewInt(testChainID), To: to, Data: data, AccessList: list}
		if len(auths) > 0 {
			inner = &types.SetCodeTx{ChainID: uint256.NewInt(testChainID), To: *to, Data: data, AccessList: list, AuthList: auths}
		} else {
			auths = nil
		}
		tx, err := chain.DecodeTx(sign(t, person(1), inner))
		require.NoError(t, err)
		want, err := core.IntrinsicGas(data, list, auths, common.Address{}, to, new(uint256.Int), osaka)
		require.NoError(t, err)
		if got := intrinsicGas(tx); got != want {
			rt.Fatalf("intrinsic gas %d, geth says %d", got, want)
		}
		want, err = core.FloorDataGas(osaka, common.Address{}, to, new(uint256.Int), data, list)
		require.NoError(t, err)
		if got := floorDataGas(data); got != want {
			rt.Fatalf("floor %d, geth says %d", got, want)
		}
	})
}
