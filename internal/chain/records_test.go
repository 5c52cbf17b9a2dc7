package chain_test

import (
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// TestRecordsRoot holds root and proofs against another way to build the same tree: level by level, what has no neighbour moves up as it is.
func TestRecordsRoot(t *testing.T) {
	sum := func(kind byte, parts ...[]byte) crypto.Hash { return suite.Sum(append([][]byte{{kind}}, parts...)...) }
	for n := range 40 {
		txs, receipts := make(chain.Txs, n), make(types.Receipts, n)
		level := make([]crypto.Hash, n)
		for i := range n {
			txs[i] = unsignedTx(t, uint64(i))
			receipts[i] = &types.Receipt{Type: txs[i].Type(), Status: 1, CumulativeGasUsed: uint64(i)}
			raw, err := receipts[i].MarshalBinary()
			require.NoError(t, err)
			tx, receipt := suite.Sum(txs[i].Raw()), suite.Sum(raw)
			level[i] = sum(0, tx[:], receipt[:])
		}
		paths, at := make([][]crypto.Hash, n), make([]int, n)
		for i := range at {
			at[i], paths[i] = i, []crypto.Hash{}
		}
		for len(level) > 1 {
			for i, a := range at {
				if beside := a ^ 1; beside < len(level) {
					paths[i] = append(paths[i], level[beside])
				}
				at[i] = a / 2
			}
			var next []crypto.Hash
			for i := 0; i < len(level); i += 2 {
				if i+1 == len(level) {
					next = append(next, level[i])
				} else {
					next = append(next, sum(1, level[i][:], level[i+1][:]))
				}
			}
			level = next
		}
		top := crypto.Hash{}
		if n > 0 {
			top = level[0]
		}
		r := chain.NewRecords(txs, receipts)
		require.Equal(t, sum(2, binary.BigEndian.AppendUint64(nil, uint64(n)), top[:]), r.Root(suite), "%d records", n)
		require.Equal(t, chain.ReceiptsRoot(receipts), r.ReceiptsRoot())
		for i := range n {
			require.Equal(t, paths[i], r.Proof(suite, i), "record %d of %d", i, n)
		}
	}
}

func unsignedTx(t *testing.T, nonce uint64) *chain.Tx {
	tx, err := chain.NewTx(types.NewTx(&types.DynamicFeeTx{ChainID: big.NewInt(1), Nonce: nonce, Gas: 21_000, V: new(big.Int), R: big.NewInt(1), S: big.NewInt(1)}))
	require.NoError(t, err)
	return tx
}
