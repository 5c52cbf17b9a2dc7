package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
)

func (c *cli) txShow() *cobra.Command {
	var abiFile string
	cmd := &cobra.Command{
		Use: "show HASH", Short: "Show a transaction with its receipt", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			contract, err := loadABI(abiFile)
			if err != nil {
				return err
			}
			conn, ctx, done, err := c.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			v, err := readTx(ctx, conn, hash, contract)
			if err != nil {
				return err
			}
			return c.print(v, v.text)
		},
	}
	cmd.Flags().StringVar(&abiFile, "abi", "", `ABI or artifact file, or "token" or "evidence": events are then named`)
	return cmd
}

// txView is a transaction with what became of it.
type txView struct {
	Hash      common.Hash     `json:"hash"`
	Kind      string          `json:"kind"` // how it is signed
	PublicKey hexutil.Bytes   `json:"publicKey,omitempty"`
	Status    string          `json:"status"` // pending, succeeded, failed
	From      common.Address  `json:"from"`
	To        *common.Address `json:"to,omitempty"`
	Contract  *common.Address `json:"contractAddress,omitempty"`
	Nonce     uint64          `json:"nonce"`
	Value     string          `json:"value"`
	Data      hexutil.Bytes   `json:"data,omitempty"`
	Block     *uint64         `json:"block,omitempty"`
	BlockHash *common.Hash    `json:"blockHash,omitempty"`
	Index     *uint           `json:"index,omitempty"`
	Finalized bool            `json:"finalized"`
	GasUsed   uint64          `json:"gasUsed,omitempty"`
	GasLimit  uint64          `json:"gasLimit"`
	GasPrice  string          `json:"gasPrice,omitempty"`
	Logs      []logView       `json:"logs,omitempty"`
	value     *big.Int
	price     *big.Int
}

type logView struct {
	Address common.Address `json:"address"`
	Event   string         `json:"event,omitempty"`
	Values  map[string]any `json:"values,omitempty"`
	Topics  []common.Hash  `json:"topics"`
	Data    hexutil.Bytes  `json:"data"`
}

func readTx(ctx context.Context, conn *client.Client, hash common.Hash, contract *abi.ABI) (*txView, error) {
	tx, err := conn.Transaction(ctx, hash)
	if errors.Is(err, ethereum.NotFound) {
		if excluded, err := conn.Excluded(ctx, hash); err != nil {
			return nil, err
		} else if excluded != nil {
			return nil, excluded
		}
		return nil, fmt.Errorf("the node knows no transaction %s: %w", hash, err)
	}
	if err != nil {
		return nil, err
	}
	v := &txView{Hash: hash, Kind: tx.Kind, Status: "pending", From: tx.From, To: tx.To, Nonce: tx.Nonce, Value: tx.Value.String(), Data: tx.Data, GasLimit: tx.Gas,
		PublicKey: tx.PublicKey, value: tx.Value}
	r, err := conn.Receipt(ctx, hash)
	if errors.Is(err, ethereum.NotFound) {
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	v.addReceipt(r, contract)
	if final, err := conn.Finalized(ctx); err == nil {
		v.Finalized = final.Number.Cmp(r.BlockNumber) >= 0
	}
	return v, nil
}

func (v *txView) addReceipt(r *types.Receipt, contract *abi.ABI) {
	v.Status = "failed"
	if r.Status == types.ReceiptStatusSuccessful {
		v.Status = "succeeded"
	}
	height := r.BlockNumber.Uint64()
	v.Block, v.BlockHash, v.Index = &height, &r.BlockHash, &r.TransactionIndex
	v.GasUsed, v.price = r.GasUsed, r.EffectiveGasPrice
	v.GasPrice = bigString(r.EffectiveGasPrice)
	if v.To == nil {
		v.Contract = &r.ContractAddress
	}
	for _, l := range r.Logs {
		v.Logs = append(v.Logs, describeLog(l, contract))
	}
}

func (v *txView) text(w io.Writer) {
	fmt.Fprintf(w, "transaction\t%s\nstatus\t%s\nfrom\t%s\nsigned with\t%s\n", v.Hash, v.Status, v.From, v.Kind)
	if v.To != nil {
		fmt.Fprintf(w, "to\t%s\n", v.To)
	}
	if v.Contract != nil {
		fmt.Fprintf(w, "contract\t%s\n", v.Contract)
	}
	fmt.Fprintf(w, "value\t%s\nnonce\t%d\n", formatAmount(v.value), v.Nonce)
	if v.Block == nil {
		return
	}
	fmt.Fprintf(w, "block\t%d, position %d\nfinalized\t%v\ngas\t%d of %d at %s\n", *v.Block, *v.Index, v.Finalized, v.GasUsed, v.GasLimit, formatPrice(v.price))
	for _, l := range v.Logs {
		l.text(w)
	}
}

func formatPrice(price *big.Int) string {
	if price == nil || price.Sign() == 0 {
		return "no fee"
	}
	return formatAmount(price)
}
