package main

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
)

func (c *cli) blockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "block", Short: "Look at blocks"}
	c.rpcFlags(cmd)
	cmd.AddCommand(
		&cobra.Command{
			Use: "show NUMBER|HASH|TAG", Short: "Show a block; tags are latest, safe, finalized and earliest", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return c.showBlock(cmd.Context(), args[0]) },
		},
		&cobra.Command{
			Use: "latest", Short: "Show the latest block", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return c.showBlock(cmd.Context(), "latest") },
		})
	return cmd
}

type blockView struct {
	Number    uint64         `json:"number"`
	Hash      common.Hash    `json:"hash"`
	Parent    common.Hash    `json:"parent"`
	Time      time.Time      `json:"time"`
	Proposer  common.Address `json:"proposer"`
	StateRoot common.Hash    `json:"stateRoot"`
	GasUsed   uint64         `json:"gasUsed"`
	GasLimit  uint64         `json:"gasLimit"`
	BaseFee   string         `json:"baseFee"`
	Finalized bool           `json:"finalized"`
	Txs       []common.Hash  `json:"transactions"`
}

// shownTxs is how many transactions of a block the table lists; --json has all.
const shownTxs = 20

func (c *cli) showBlock(ctx context.Context, which string) error {
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	b, err := readBlock(ctx, conn, which)
	if err != nil {
		return err
	}
	v := blockView{Number: b.Header.Number.Uint64(), Hash: b.Hash, Parent: b.Header.ParentHash, Time: client.BlockTime(b.Header), Proposer: b.Header.Coinbase,
		StateRoot: b.Header.Root, GasUsed: b.Header.GasUsed, GasLimit: b.Header.GasLimit, BaseFee: bigString(b.Header.BaseFee), Txs: b.Txs}
	if final, err := conn.Finalized(ctx); err == nil {
		v.Finalized = final.Number.Cmp(b.Header.Number) >= 0
	}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "block\t%d\nhash\t%s\nparent\t%s\ntime\t%s\nproposer\t%s\nstate root\t%s\n", v.Number, v.Hash, v.Parent,
			v.Time.Format(timeLayout), v.Proposer, v.StateRoot)
		fmt.Fprintf(w, "gas\t%d of %d\nbase fee\t%s\nfinalized\t%v\ntransactions\t%d\n", v.GasUsed, v.GasLimit, formatAmount(b.Header.BaseFee), v.Finalized, len(v.Txs))
		for _, h := range v.Txs[:min(shownTxs, len(v.Txs))] {
			fmt.Fprintf(w, "\t%s\n", h)
		}
		if len(v.Txs) > shownTxs {
			fmt.Fprintf(w, "\t… and %d more, --json lists all\n", len(v.Txs)-shownTxs)
		}
	})
}

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func readBlock(ctx context.Context, conn *client.Client, which string) (*client.Block, error) {
	switch which {
	case "latest", "safe", "finalized", "earliest":
		return conn.BlockByTag(ctx, which)
	}
	if len(which) == 2+2*common.HashLength {
		var hash common.Hash
		if err := hash.UnmarshalText([]byte(which)); err != nil {
			return nil, usagef("%q is no block hash", which)
		}
		return conn.BlockByHash(ctx, hash)
	}
	n, ok := new(big.Int).SetString(which, 0)
	if !ok || n.Sign() < 0 || !n.IsInt64() {
		return nil, usagef("%q is no block: give a number, a hash, latest, safe, finalized or earliest", which)
	}
	return conn.Block(ctx, n)
}

func bigString(v *big.Int) string {
	if v == nil {
		return "0"
	}
	return v.String()
}
