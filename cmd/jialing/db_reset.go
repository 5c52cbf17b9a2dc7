package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

// errVoice is a ledger with which a validator would forget what it has voted.
var errVoice = errors.New("this chain's nodes may have signed what must not be forgotten")

func (c *cli) dbReset() *cobra.Command {
	var dir string
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Remove the ledger of a node of a chain of work, so that it fetches the chain again",
		Long: `Remove the ledger of a stopped node of a chain of work, and halt.json with it, so that the node fetches the chain of the most work when it starts.
Key, genesis and node.toml stay. This is the way out of a fork deeper than the chain's depth (docs/work.md).

On chains whose nodes sign, a ledger also holds what a validator must remember of its votes: there "reset" refuses, and docs/operations.md says what to do.`,
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error { return c.resetLedger(dir, yes) },
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it; without this flag it only says what would be removed")
	return cmd
}

func (c *cli) resetLedger(dir string, yes bool) error {
	g, err := node.LoadGenesis(dir)
	if err != nil {
		return err
	}
	if g.Consensus.Engine != chain.PoW {
		return fmt.Errorf("%w: its engine is %q", errVoice, g.Consensus.Engine)
	}
	var head, decided uint64
	// Opening it makes sure that no node runs on it.
	err = c.withLedger(dir, func(st *store.Store) error {
		head = st.Head().Number.Uint64()
		last, err := st.LastDecision()
		if last != nil {
			decided = last.Height
		}
		return err
	})
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return err
	}
	cfg, err := node.LoadConfig(dir)
	if err != nil {
		return err
	}
	data, halt := cfg.DataFolder(), node.HaltPath(dir)
	v := map[string]any{"ledger": data, "head": head, "removed": yes}
	if !yes {
		return c.print(v, func(w io.Writer) {
			fmt.Fprintf(w, "would remove\t%s, up to block %d\nand\t%s\nnext\trepeat with --yes\n", data, decided, halt)
		})
	}
	if err := os.RemoveAll(data); err != nil {
		return fmt.Errorf("remove the ledger: %w", err)
	}
	if err := os.Remove(halt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", halt, err)
	}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "removed\t%s, which ended at block %d\nnext\tjialing start --dir %s: it fetches the chain of the most work\n", data, head, dir)
	})
}
