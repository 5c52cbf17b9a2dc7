package eth

import (
	"context"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"
)

// go-ethereum's own client is the oracle of shapes: it recomputes hashes and roots and refuses missing fields.
func TestEthclientReadsWhatWeServe(t *testing.T) {
	for _, transport := range []string{"http", "ws"} {
		for _, where := range []string{"memory", "ledger"} {
			t.Run(transport+" from "+where, func(t *testing.T) {
				f := newFake(t)
				if where == "ledger" {
					f.seal(f.kinds())
					f.seal(nil)
				}
				n := newNode(t, f, nil)
				if where == "memory" {
					n.publish(f.kinds())
					n.publish(nil)
				}
				url := n.url
				if transport == "ws" {
					url = n.ws
				}
				c, err := ethclient.Dial(url)
				require.NoError(t, err)
				defer c.Close()
				readBlocks(t, c, f)
			})
		}
	}
}

func readBlocks(t *testing.T, c *ethclient.Client, f *fake) {
	ctx := context.Background()
	id, err := c.ChainID(ctx)
	require.NoError(t, err)
	require.EqualValues(t, testChainID, id.Uint64())
	for h := range uint64(3) {
		want := f.at(h)
		b, err := c.BlockByNumber(ctx, new(big.Int).SetUint64(h))
		require.NoError(t, err)
		require.Equal(t, want.Hash, b.Hash())
		require.Equal(t, len(want.Txs), len(b.Transactions()))
		for i, tx := range b.Transactions() {
			require.Equal(t, want.Txs[i].Hash(), tx.Hash())
			raw, err := tx.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, want.Txs[i].Raw(), raw)
			got, pending, err := c.TransactionByHash(ctx, tx.Hash())
			require.NoError(t, err)
			require.False(t, pending)
			require.Equal(t, tx.Hash(), got.Hash())
			r, err := c.TransactionReceipt(ctx, tx.Hash())
			require.NoError(t, err)
			require.Equal(t, want.receipts[i], r)
		}
		header, err := c.HeaderByHash(ctx, want.Hash)
		require.NoError(t, err)
		require.Equal(t, want.Hash, header.Hash())
	}
	_, err = c.BlockByNumber(ctx, big.NewInt(99))
	require.ErrorIs(t, err, ethereum.NotFound)
	_, err = c.TransactionReceipt(ctx, testMissing)
	require.ErrorIs(t, err, ethereum.NotFound)
	_, _, err = c.TransactionByHash(ctx, testMissing)
	require.ErrorIs(t, err, ethereum.NotFound)
	balance, err := c.BalanceAt(ctx, testSender, big.NewInt(1))
	require.NoError(t, err)
	require.EqualValues(t, 1001, balance.Uint64())
	balance, err = c.BalanceAtHash(ctx, testSender, f.at(2).Hash)
	require.NoError(t, err)
	require.EqualValues(t, 1002, balance.Uint64())
	code, err := c.CodeAt(ctx, testToken, nil)
	require.NoError(t, err)
	require.Equal(t, tokenCode, code)
	logs, err := c.FilterLogs(ctx, ethereum.FilterQuery{FromBlock: big.NewInt(0), ToBlock: big.NewInt(2), Addresses: []common.Address{testToken}})
	require.NoError(t, err)
	require.Len(t, logs, 2)
}
