package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/store"
)

func (c *cli) dbRekey() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Seal an encrypted ledger with a new data key, while the node runs or is stopped",
		Long: `Draw a new data key and seal every file of the ledger anew; the old keys are removed from vault.json when no file needs them.

With --rpc a running node does it beside its work, at the pace of store.encryption.rekey_mib_per_second, and the command returns at once:
"db rekey status" says how far it is. That is an administrative method: the caller needs the role. With --dir the command does it on a stopped
node. Either way it can be interrupted at any time; it goes on when the node starts, or when the command is run again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("rpc") == cmd.Flags().Changed("dir") {
				return usagef("which ledger? give --rpc URL of a running node, or --dir DIR of a stopped one")
			}
			if cmd.Flags().Changed("rpc") {
				return c.rekeyRunning(cmd.Context())
			}
			return c.rekeyStopped(cmd.Context(), dir)
		},
	}
	dirFlag(cmd, &dir)
	c.rpcFlags(cmd)
	cmd.AddCommand(c.dbRekeyStatus())
	return cmd
}

func (c *cli) dbRekeyStatus() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how far a ledger is sealed with its newest key",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("rpc") == cmd.Flags().Changed("dir") {
				return usagef("which ledger? give --rpc URL of a running node, or --dir DIR of a stopped one")
			}
			if cmd.Flags().Changed("rpc") {
				return c.showRekeying(cmd.Context())
			}
			return c.withLedger(dir, func(st *store.Store) error { return c.printEncryption(dir, st) })
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

func (c *cli) rekeyStopped(ctx context.Context, dir string) error {
	cfg, err := c.ledgerConfig(dir)
	if err != nil {
		return err
	}
	return c.withLedger(dir, func(st *store.Store) error {
		if err := c.rekeyOpen(ctx, cfg, st, false); err != nil {
			return err
		}
		return c.printEncryption(dir, st)
	})
}

func (c *cli) rekeyRunning(ctx context.Context) error {
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	var begun json.RawMessage
	if err := conn.RPC().CallContext(ctx, &begun, "jl_rekey"); err != nil {
		return err
	}
	return c.showRekeying(ctx)
}

func (c *cli) showRekeying(ctx context.Context) error {
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	var status struct {
		Encryption *encryptionView `json:"encryption"`
	}
	if err := conn.RPC().CallContext(ctx, &status, "jl_nodeStatus"); err != nil {
		return err
	}
	v := encryptionView{}
	if status.Encryption != nil {
		v = *status.Encryption
		v.Encrypted = true
	}
	return c.print(v, v.text)
}
