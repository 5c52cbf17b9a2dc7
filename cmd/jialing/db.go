package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

func (c *cli) dbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Look after the ledger on disk; the node must be stopped",
	}
	cmd.AddCommand(c.dbCheck(), c.dbPrune(), c.dbExport(), c.dbImport(), c.dbUsage(), c.dbEncrypt(), c.dbRekey(), c.dbMaster(), c.dbReset())
	return cmd
}

// withLedger opens the ledger of a stopped node, runs work on it and closes it.
func (c *cli) withLedger(dir string, work func(*store.Store) error) error {
	cfg, err := c.ledgerConfig(dir)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, _, err := node.OpenLedger(cfg, log)
	if err != nil {
		return err
	}
	err = work(st)
	if cerr := st.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close the ledger: %w", cerr)
	}
	return err
}

// ledgerView is where a ledger stands.
type ledgerView struct {
	Dir       string      `json:"dir"`
	Head      uint64      `json:"head"`
	HeadHash  common.Hash `json:"headHash"`
	StateRoot common.Hash `json:"stateRoot"`
	Finalized uint64      `json:"finalized"`
	Oldest    uint64      `json:"oldestState"`
}

func viewLedger(dir string, st *store.Store) ledgerView {
	head, finalized := st.Head(), st.Finalized()
	if g, err := st.Genesis(); err == nil && !g.Consensus.Engine.Signed() {
		finalized = head.Number.Uint64() // where nobody signs, what is in the ledger is final
	}
	return ledgerView{dir, head.Number.Uint64(), head.Hash(), head.Root, finalized, st.Oldest()}
}

func (v *ledgerView) text(w io.Writer) {
	fmt.Fprintf(w, "folder\t%s\nhead\tblock %d, %s\nstate root\t%s\nfinalized\tblock %d\noldest state\tblock %d\n", v.Dir, v.Head, v.HeadHash,
		v.StateRoot, v.Finalized, v.Oldest)
}

func (c *cli) dbCheck() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read everything and verify it: blocks, receipts, indexes, state, history",
		Long: `Read everything and verify it against the hashes that hold it together. Nothing is written. What a damaged ledger contradicts is
named and the exit code is 1. A full check re-reads the whole folder; "db export" with "db import" goes further and executes every
block again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withLedger(dir, func(st *store.Store) error {
				if err := c.drawing(func(step store.Progress) error { return st.Check(cmd.Context(), step) }); err != nil {
					return err
				}
				v := viewLedger(dir, st)
				return c.print(v, func(w io.Writer) {
					v.text(w)
					fmt.Fprintln(w, "everything agrees")
				})
			})
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

// drawing runs work with a progress bar.
func (c *cli) drawing(work func(store.Progress) error) error {
	step, end := c.progress()
	defer end()
	return work(step)
}

func (c *cli) dbPrune() *cobra.Command {
	var dir string
	var keep uint64
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Forget old states; blocks, receipts and the latest state stay",
		Long: `Forget the states of all but the last N blocks, so that questions about older states are refused. Blocks, transactions, receipts
and logs are kept for ever. What a genesis asks all nodes to keep (retention.stateBlocks) is pruned while the node runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("keep") {
				return usagef("how many blocks' states are to stay readable? give --keep N")
			}
			return c.prune(cmd.Context(), dir, keep)
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().Uint64Var(&keep, "keep", 0, "past blocks whose state stays readable")
	return cmd
}

func (c *cli) prune(ctx context.Context, dir string, keep uint64) error {
	var v struct {
		ledgerView
		Before int64 `json:"bytesBefore"`
		After  int64 `json:"bytesAfter"`
	}
	var err error
	if v.Before, err = folderSize(dir); err != nil {
		return err
	}
	err = c.withLedger(dir, func(st *store.Store) error {
		err := c.drawing(func(step store.Progress) error { return st.Prune(ctx, keep, step) })
		v.ledgerView = viewLedger(dir, st)
		return err
	})
	if err != nil {
		return err
	}
	if v.After, err = folderSize(dir); err != nil { // closed, so that files no longer needed are gone
		return err
	}
	return c.print(v, func(w io.Writer) {
		v.text(w)
		fmt.Fprintf(w, "disk\t%s before, %s after\n", formatBytes(uint64(v.Before)), formatBytes(uint64(v.After)))
	})
}

// folderSize is the size of all files beneath dir.
func folderSize(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return total, fmt.Errorf("%w: %s", node.ErrNotInitialised, dir)
	}
	return total, err
}

func (c *cli) dbUsage() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "usage", Short: "Show what takes the disk space", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.withLedger(dir, func(st *store.Store) error {
				u, err := st.Usage()
				if err != nil {
					return err
				}
				v := struct {
					ledgerView
					*store.Usage
				}{viewLedger(dir, st), u}
				return c.print(v, func(w io.Writer) {
					v.text(w)
					fmt.Fprintln(w)
					for _, t := range u.Tables {
						fmt.Fprintf(w, "%s\t%s\n", t.Name, formatBytes(t.Bytes))
					}
					fmt.Fprintf(w, "log\t%s\ntotal\t%s\n", formatBytes(u.Log), formatBytes(u.Total))
				})
			})
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

// formatBytes shows a size in the binary unit that reads best.
func formatBytes(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v /= 1 << 10; v < 1<<10 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
