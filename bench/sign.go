package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/big"
	"runtime"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/client"
)

// signed is a transaction ready to be sent.
type signed struct {
	hash common.Hash
	raw  []byte
}

// transferGas is enough for any ERC-20 transfer of the token (51,500 to a new holder).
const transferGas = 60_000

// transferData is the call data of transfer(to, amount).
func transferData(to common.Address, amount *big.Int) []byte {
	data := make([]byte, 4+32+32)
	copy(data, common.FromHex("a9059cbb"))
	copy(data[16:], to[:])
	amount.FillBytes(data[36:])
	return data
}

// signTransfers signs n transfers of one unit, on all cores. Nothing is charged for gas, so holders need no ether.
func (c *token) signTransfers(ctx context.Context, h *holders, p *payments, n int) ([]signed, error) {
	type draw struct {
		from, to int
		nonce    uint64
	}
	draws := make([]draw, n)
	for i := range draws {
		draws[i].from, draws[i].to, draws[i].nonce = p.draw()
		c.moved[draws[i].from]--
		c.moved[draws[i].to]++
	}
	out := make([]signed, n)
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < n && ctx.Err() == nil; i += workers {
				d := draws[i]
				raw, err := h.sign(d.from, c.chainID, &client.Tx{Nonce: &d.nonce, TipCap: new(big.Int), FeeCap: new(big.Int), Gas: transferGas, To: &c.address,
					Data: transferData(h.addresses[d.to], big.NewInt(1))})
				if err != nil {
					return fmt.Errorf("sign transfer: %w", err)
				}
				out[i] = signed{client.TxHash(raw), raw}
			}
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

// sign signs holder i's transaction, of type 2 or, where holders sign with SM2, 0x50.
func (h *holders) sign(i int, chainID *big.Int, tx *client.Tx) ([]byte, error) {
	if h.kind == client.KindSM2 {
		return h.signSM2(i, chainID, tx)
	}
	inner, err := types.SignNewTx(h.key(i), types.LatestSignerForChainID(chainID), &types.DynamicFeeTx{ChainID: chainID, Nonce: *tx.Nonce, GasTipCap: tx.TipCap,
		GasFeeCap: tx.FeeCap, Gas: tx.Gas, To: tx.To, Value: new(big.Int), Data: tx.Data})
	if err != nil {
		return nil, err
	}
	return inner.MarshalBinary()
}

// batchMessage is the JSON-RPC batch that sends txs, with ids from 0.
func batchMessage(txs []signed) []byte {
	b := []byte{'['}
	for i, tx := range txs {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"jsonrpc":"2.0","id":%d,"method":"eth_sendRawTransaction","params":["0x`, i)
		b = hex.AppendEncode(b, tx.raw)
		b = append(b, `"]}`...)
	}
	return append(b, ']')
}
