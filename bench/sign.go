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
	signer := types.LatestSignerForChainID(c.chainID)
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < n && ctx.Err() == nil; i += workers {
				d := draws[i]
				tx, err := types.SignNewTx(h.key(d.from), signer, &types.DynamicFeeTx{
					ChainID: c.chainID, Nonce: d.nonce, GasTipCap: new(big.Int), GasFeeCap: new(big.Int), Gas: transferGas,
					To: &c.address, Value: new(big.Int), Data: transferData(h.addresses[d.to], big.NewInt(1)),
				})
				if err != nil {
					return fmt.Errorf("sign transfer: %w", err)
				}
				raw, err := tx.MarshalBinary()
				if err != nil {
					return fmt.Errorf("encode transfer: %w", err)
				}
				out[i] = signed{tx.Hash(), raw}
			}
			return ctx.Err()
		})
	}
	return out, g.Wait()
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
