package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

// encryptFlag is that of the commands that make a ledger.
func encryptFlag(cmd *cobra.Command, encrypt *bool) {
	cmd.Flags().BoolVar(encrypt, "encrypt", false, "encrypt the ledger, under a master key that is drawn and written to "+node.LedgerKeyFile+
		" in the node's folder; keep it elsewhere")
}

// encryptNew makes the master key of a node's folder that is about to be made.
func encryptNew(cfg *node.Config, encrypt bool) error {
	if !encrypt {
		return nil
	}
	cfg.Store.Encryption.Enabled, cfg.Store.Encryption.KeyFile = true, node.LedgerKeyFile
	if isNodeFolder(cfg.Dir) {
		return nil // it is about to be refused, and keeps what it has
	}
	return node.NewLedgerKey(cfg.Dir)
}

// errNotConfigured is a ledger that is to be encrypted by a node whose node.toml knows nothing of it.
var errNotConfigured = errors.New("node.toml does not switch encryption on")

func (c *cli) dbEncrypt() *cobra.Command {
	var dir string
	var newKey, begin bool
	cmd := &cobra.Command{
		Use:   "encrypt",
		Short: "Encrypt the ledger of a stopped node that was in plain text",
		Long: `Encrypt a ledger in plain text. First say in node.toml which master key is to protect it:

  [store.encryption]
  enabled = true
  key_file = "ledger.key"

--new-key draws such a key. Every file is sealed anew and replaces the old one when it is whole, so the command can be interrupted and run
again, or the node started: it goes on by itself. With --begin the command does nothing but begin, and the node does the work while it runs.

What was deleted from a disk can often be read back: where the plain text must not be found, wipe the free space, or make the node anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.encryptLedger(cmd.Context(), dir, newKey, begin) },
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&newKey, "new-key", false, "draw a master key and write it to "+node.LedgerKeyFile+" in the node's folder")
	cmd.Flags().BoolVar(&begin, "begin", false, "only begin; the node does the work while it runs")
	return cmd
}

func (c *cli) encryptLedger(ctx context.Context, dir string, newKey, begin bool) error {
	cfg, err := c.ledgerConfig(dir)
	if err != nil {
		return err
	}
	if newKey {
		if err := node.NewLedgerKey(dir); err != nil {
			return err
		}
	}
	if !cfg.Store.Encryption.Enabled {
		return errNotConfigured
	}
	st, err := node.EncryptLedger(cfg, c.quietLog())
	if err != nil {
		return err
	}
	if !begin {
		err = c.rekeyOpen(ctx, cfg, st, true)
	}
	if err == nil {
		err = c.printEncryption(dir, st)
	}
	return errors.Join(err, st.Close())
}

// ledgerConfig is node.toml with the places where passphrases come from.
func (c *cli) ledgerConfig(dir string) (node.Config, error) {
	cfg, err := node.LoadConfig(dir)
	cfg.Passphrases = c.sources()
	return cfg, err
}

func (c *cli) quietLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// rekeyOpen seals the files of a stopped node's ledger anew. Old keys go where nothing that waits for the node may still need them.
func (c *cli) rekeyOpen(ctx context.Context, cfg node.Config, st *store.Store, resume bool) error {
	waits, err := node.JournalWaits(cfg)
	if err != nil {
		return err
	}
	return c.drawing(func(step store.Progress) error {
		o := store.RekeyOptions{Resume: resume, Progress: step}
		if !waits {
			o.Release = func(context.Context) error { return nil }
		}
		return st.Rekey(ctx, o)
	})
}

// encryptionView is how far a ledger is sealed.
type encryptionView struct {
	Dir        string   `json:"dir,omitempty"`
	Encrypted  bool     `json:"encrypted"`
	Key        uint32   `json:"key"`
	Keys       []uint32 `json:"keys"`
	Converting bool     `json:"converting"`
	Pending    bool     `json:"pending"`
	Running    bool     `json:"running"`
	OldFiles   int      `json:"oldFiles"`
	OldBytes   int64    `json:"oldBytes"`
	Bytes      int64    `json:"bytes"`
	Problem    string   `json:"problem,omitempty"`
}

func (c *cli) printEncryption(dir string, st *store.Store) error {
	s, err := st.Encryption()
	if err != nil {
		return err
	}
	v := encryptionView{Dir: dir}
	if s != nil {
		v = encryptionView{dir, true, s.Active, s.Keys, s.Converting, s.Pending(), s.Running, s.OldFiles, s.OldBytes, s.Bytes, ""}
	}
	return c.print(v, v.text)
}

func (v encryptionView) text(w io.Writer) {
	if v.Dir != "" {
		fmt.Fprintf(w, "folder\t%s\n", v.Dir)
	}
	if !v.Encrypted {
		fmt.Fprintf(w, "ledger\tin plain text\n")
		return
	}
	fmt.Fprintf(w, "ledger\tencrypted, key %d\n", v.Key)
	switch {
	case v.OldFiles > 0:
		fmt.Fprintf(w, "to seal\t%s in %d files, of %s\n", formatBytes(uint64(v.OldBytes)), v.OldFiles, formatBytes(uint64(v.Bytes)))
	case v.Pending:
		fmt.Fprintf(w, "to seal\tthe transactions that wait: the node does that, and drops the old keys, when it starts\n")
	default:
		fmt.Fprintf(w, "to seal\tnothing\n")
	}
	if v.Running {
		fmt.Fprintf(w, "now\tsealing\n")
	}
	if v.Problem != "" {
		fmt.Fprintf(w, "problem\t%s\n", v.Problem)
	}
}

func (c *cli) dbMaster() *cobra.Command {
	var dir string
	var to node.EncryptionConfig
	cmd := &cobra.Command{
		Use:   "master",
		Short: "Change the master key of a stopped node's encrypted ledger; takes no time",
		Long: `Wrap the ledger's data keys with another master key. No file of the ledger is touched but vault.json, so this takes no time, whatever the
ledger's size. Who has a copy of the old vault.json and the old master key can still open files that were sealed until now: "jialing db
rekey" ends that. Then say in node.toml where the new master key is.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if (to.KeyFile == "") == (to.PassphraseFile == "") {
				return usagef("where is the new master key? give --new-key-file FILE or --new-passphrase-file FILE")
			}
			cfg, err := c.ledgerConfig(dir)
			if err != nil {
				return err
			}
			if err := node.ChangeLedgerMaster(cfg, to); err != nil {
				return err
			}
			v := map[string]any{"dir": dir, "keyFile": to.KeyFile, "passphraseFile": to.PassphraseFile}
			return c.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "folder\t%s\nnext:\tsay in [store.encryption] of node.toml where the new master key is\n", dir)
			})
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().StringVar(&to.KeyFile, "new-key-file", "", "file with the new master key: 32 bytes or 64 hex digits; within the node's folder unless absolute")
	cmd.Flags().StringVar(&to.PassphraseFile, "new-passphrase-file", "", "file of mode 0600 with a passphrase instead")
	return cmd
}
