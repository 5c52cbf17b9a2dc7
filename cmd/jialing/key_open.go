package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
)

// nodePassphraseFlag is that of the commands which open a node's key.
func (c *cli) nodePassphraseFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.passphraseFile, "passphrase-file", "", "file of mode 0600 with the passphrase of the node's key, or its device's PIN (default: key.passphrase_file "+
		"in node.toml, else $JIALING_PASSPHRASE_FILE, else $JIALING_PASSPHRASE, else ask)")
}

// newNodeKeyFlag is that of the commands which make one.
func newNodeKeyFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "node-passphrase-file", "", "file of mode 0600 with a passphrase for the node's key, which start must then be given too "+
		"(default: one is drawn and written to "+node.PassphraseFile+" in the node's folder)")
}

// newNodePassphrase reads the file of newNodeKeyFlag; nil where there is none.
func newNodePassphrase(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	return (&keys.Sources{Flag: file}).New("the node's key")
}

// sources are where this command line takes passphrases from.
func (c *cli) sources() keys.Sources {
	s := keys.Sources{Flag: c.passphraseFile}
	if tty := c.terminal(); tty != nil {
		s.Terminal = tty
	}
	return s
}

// openKey opens the key of a node's folder.
func (c *cli) openKey(dir string) (crypto.PrivateKey, error) {
	cfg, err := node.LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	g, err := node.LoadGenesis(dir)
	if err != nil {
		return nil, err
	}
	cfg.Passphrases = c.sources()
	return node.LoadKey(cfg, g)
}

// readNodeKey opens a node.key file by itself; where it lies in a node's folder, that folder's node.toml says where the passphrase is.
func (c *cli) readNodeKey(path string, suite crypto.Suite) (crypto.SecretKey, error) {
	s := c.sources()
	if cfg, err := node.LoadConfig(filepath.Dir(path)); err == nil && cfg.Key.PassphraseFile != "" {
		s.Config = cfg.Key.PassphraseFile
		if !filepath.IsAbs(s.Config) {
			s.Config = filepath.Join(filepath.Dir(path), s.Config)
		}
	}
	return node.ReadKey(path, suite, &s)
}

// tellPassphrase says where a passphrase was written that was drawn.
func tellPassphrase(w io.Writer, where string, drawn bool) {
	if drawn {
		fmt.Fprintf(w, "node key\tencrypted; its passphrase was drawn and lies in %s. Leave that file out of backups: who has both has the key.\n", where)
		fmt.Fprintf(w, "\tTo keep it elsewhere (systemd credential, tmpfs, prompt, HSM): docs/keys.md\n")
	}
}

// tty asks a person. It implements keys.Terminal.
type tty struct {
	in  *os.File
	out io.Writer
}

// terminal is nil where nobody sits.
func (c *cli) terminal() *tty {
	in, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return &tty{in, c.err}
}

// Ask implements keys.Terminal.
func (t *tty) Ask(question string) ([]byte, error) {
	fmt.Fprintf(t.out, "%s: ", question)
	b, err := term.ReadPassword(int(t.in.Fd()))
	fmt.Fprintln(t.out)
	return b, err
}

// Tell implements keys.Terminal.
func (t *tty) Tell(line string) { fmt.Fprintln(t.out, line) }
