package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

// errFileExists is an export onto a file that is there.
var errFileExists = errors.New("file exists already")

func (c *cli) dbExport() *cobra.Command {
	var dir string
	var from, to uint64
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write blocks to a file that any node of the chain can import",
		Long: `Write the chain's decisions, transactions, headers and certificates to a file. It carries its own checksums, and whoever imports it
executes every block again. The file appears under its name once it is whole.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withLedger(dir, func(st *store.Store) error { return c.export(cmd.Context(), st, args[0], from, to) })
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().Uint64Var(&from, "from", 1, "first block")
	cmd.Flags().Uint64Var(&to, "to", 0, "last block (0: the head)")
	return cmd
}

func (c *cli) export(ctx context.Context, st *store.Store, path string, from, to uint64) (err error) {
	if to == 0 {
		to = st.Head().Number.Uint64()
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("export: %w: %s", errFileExists, path))
	}
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	err = c.drawing(func(step store.Progress) error { return st.Export(ctx, f, from, to, step) })
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	info, err := os.Stat(partial)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	v := map[string]any{"file": path, "from": from, "to": to, "bytes": info.Size()}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "file\t%s\nblocks\t%d to %d\nsize\t%s\n", path, from, to, formatBytes(uint64(info.Size())))
	})
}

func (c *cli) dbImport() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the blocks of an export, executing and verifying every one; - reads stdin",
		Long: `Add the blocks of an export to a ledger of the same chain. Nothing in the file is believed: decisions, signatures and certificates
are verified and every block is executed again. Blocks that are there already are compared and skipped, so an import that was
interrupted can simply be run again.`,
		Example: "  jialing init --dir copy --genesis mychain/genesis.json\n  jialing db import mychain.export --dir copy",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.importFile(cmd.Context(), dir, args[0]) },
	}
	dirFlag(cmd, &dir)
	return cmd
}

func (c *cli) importFile(ctx context.Context, dir, path string) error {
	cfg, err := node.LoadConfig(dir)
	if err != nil {
		return err
	}
	f := os.Stdin
	if path != "-" {
		if f, err = os.Open(path); err != nil {
			return fmt.Errorf("import: %w", err)
		}
		defer f.Close()
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := c.drawing(func(step store.Progress) error { return node.Import(ctx, cfg, f, log, step) }); err != nil {
		return err
	}
	return c.withLedger(dir, func(st *store.Store) error {
		v := viewLedger(dir, st)
		return c.print(v, v.text)
	})
}
