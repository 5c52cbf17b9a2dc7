package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/node"
)

func (c *cli) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "The keys that nodes sign with",
		Long: `The keys that nodes sign with: in node.key, encrypted under a passphrase, or in a PKCS#11 device. Accounts have "jialing account". docs/keys.md tells
where every key is, and how to back it up and change it.`,
	}
	cmd.AddCommand(c.keyNew(), c.keyShow(), c.keyEncrypt(), c.keyChangePassphrase())
	return cmd
}

// tokenFlags name a key in a device.
type tokenFlags struct{ keys.Token }

func (f *tokenFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Module, "pkcs11-module", "", "the device's PKCS#11 library: the node's key is in a device")
	cmd.Flags().StringVar(&f.Name, "pkcs11-token", "", "with --pkcs11-module: the token's label")
	cmd.Flags().StringVar(&f.Label, "pkcs11-label", "", "with --pkcs11-module: the key's label")
	cmd.Flags().UintVar(&f.SM2Mechanism, "pkcs11-sm2", 0, "with --pkcs11-module on a gm chain: the vendor's number of the mechanism that signs a digest with SM2")
}

// given tells whether a device was named, and named wholly.
func (f *tokenFlags) given() (bool, error) {
	if f.Module == "" && f.Name == "" && f.Label == "" {
		return false, nil
	}
	if f.Module == "" || f.Name == "" || f.Label == "" {
		return true, usagef("a key in a device needs --pkcs11-module, --pkcs11-token and --pkcs11-label")
	}
	return true, nil
}

// open opens the device's key, for a node that has none yet, and says so in its configuration.
func (f *tokenFlags) open(c *cli, suite crypto.Suite, cfg *node.Config) (*keys.DeviceKey, error) {
	s := c.sources()
	key, err := keys.OpenToken(f.Token, suite, nil, &s)
	if err != nil {
		return nil, err
	}
	cfg.Key.Source, cfg.Key.Module, cfg.Key.Token, cfg.Key.Label, cfg.Key.SM2Mechanism = node.KeyInPKCS11, f.Module, f.Name, f.Label, f.SM2Mechanism
	if c.passphraseFile != "" {
		if cfg.Key.PassphraseFile, err = filepath.Abs(c.passphraseFile); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// keyView is what everybody may know of a node's key.
type keyView struct {
	File      string `json:"file,omitempty"`
	Suite     string `json:"suite"`
	PublicKey string `json:"publicKey"`
	// Kept is how it is kept.
	Kept string `json:"kept"`
}

func (c *cli) printKey(v keyView) error {
	return c.print(v, func(w io.Writer) {
		if v.File != "" {
			fmt.Fprintf(w, "file\t%s\n", v.File)
		}
		fmt.Fprintf(w, "suite\t%s\npublic key\t%s\nkept\t%s\n", v.Suite, v.PublicKey, v.Kept)
	})
}

func viewKey(path string, f *keys.File) keyView {
	v := keyView{File: path, Suite: f.Suite, PublicKey: "0x" + f.PublicKey, Kept: "in a device (" + f.Device + ")"}
	if f.Device == "" {
		v.Kept = fmt.Sprintf("encrypted under a passphrase (scrypt, n=%d, r=%d, p=%d)", f.Scrypt.N, f.Scrypt.R, f.Scrypt.P)
	}
	return v
}

func (c *cli) keyNew() *cobra.Command {
	var name, out string
	var t tokenFlags
	cmd := &cobra.Command{
		Use: "new", Short: "Make a node's key: an encrypted file, or a key that never leaves its device", Args: cobra.NoArgs,
		Example: `  jialing key new --suite gm --out node5.key
  jialing key new --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --pkcs11-token bank-a --pkcs11-label node5`,
		RunE: func(*cobra.Command, []string) error {
			suite, err := node.SuiteByName(name)
			if err != nil {
				return usageError{err}
			}
			device, err := t.given()
			if err != nil {
				return err
			}
			if device {
				return c.newDeviceKey(&t, suite)
			}
			if out == "" {
				return usagef("--out: which file is the key to be in?")
			}
			key, err := suite.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			s := c.sources()
			f, err := sealNew(suite, key, &s, out)
			if err != nil {
				return err
			}
			if err := f.Write(out); err != nil {
				return err
			}
			return c.printKey(viewKey(out, f))
		},
	}
	cmd.Flags().StringVar(&name, "suite", defaultSuite, "cryptographic suite of the chain: intl (Ed25519) or gm (SM2)")
	cmd.Flags().StringVar(&out, "out", "", "the new key file")
	c.nodePassphraseFlag(cmd)
	t.register(cmd)
	return cmd
}

func (c *cli) newDeviceKey(t *tokenFlags, suite crypto.Suite) error {
	s := c.sources()
	if err := keys.GenerateInToken(t.Token, &s); err != nil {
		return err
	}
	key, err := keys.OpenToken(t.Token, suite, nil, &s)
	if err != nil {
		return err
	}
	defer key.Close()
	return c.printKey(keyView{Suite: suite.Name(), PublicKey: chain.Peer(key.Public().Bytes()).String(), Kept: fmt.Sprintf("in token %q as %q; it cannot be copied from there: "+
		"have the device backed up as its vendor says", t.Name, t.Label)})
}

// sealNew seals a key under a new passphrase of a person's choice.
func sealNew(suite crypto.Suite, key crypto.SecretKey, from *keys.Sources, what string) (*keys.File, error) {
	pass, err := from.New(what)
	if err != nil {
		return nil, err
	}
	defer clear(pass)
	return keys.Seal(rand.Reader, suite, key, pass, keys.Strong)
}

func (c *cli) keyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Show the public half of a node.key and how the private one is kept", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := keys.Read(args[0])
			if err != nil {
				return err
			}
			return c.printKey(viewKey(args[0], f))
		},
	}
}

func (c *cli) keyEncrypt() *cobra.Command {
	cmd := &cobra.Command{
		Use: "encrypt FILE", Short: "Encrypt a node.key of a former version, which was in plain text", Args: cobra.ExactArgs(1),
		Long: `Encrypt a node.key of a former version, which was in plain text. The file is replaced. What the disk held before may still be read from it with the right
tools, and from every backup: where that matters, change the node's key (docs/keys.md).`,
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := readUpTo(args[0], keys.MaxFile)
			if err != nil {
				return fmt.Errorf("read node key: %w", err)
			}
			defer clear(b)
			suite, key, err := keys.ReadPlain(b, node.SuiteByName)
			if err != nil {
				return fmt.Errorf("read node key %s: %w", args[0], err)
			}
			s := c.sources()
			f, err := sealNew(suite, key, &s, args[0])
			if err != nil {
				return err
			}
			if err := f.Replace(args[0]); err != nil {
				return err
			}
			return c.printKey(viewKey(args[0], f))
		},
	}
	c.nodePassphraseFlag(cmd)
	return cmd
}

func (c *cli) keyChangePassphrase() *cobra.Command {
	var newFile string
	cmd := &cobra.Command{
		Use: "change-passphrase FILE", Short: "Encrypt a node.key under another passphrase", Args: cobra.ExactArgs(1),
		Long: `Encrypt a node.key under another passphrase, which start must be given from then on. The key stays the same: whoever has an old copy of the file and the
old passphrase still has it.`,
		RunE: func(_ *cobra.Command, args []string) error {
			path := args[0]
			f, err := keys.Read(path)
			if err != nil {
				return err
			}
			suite, err := node.SuiteByName(f.Suite)
			if err != nil {
				return err
			}
			key, err := c.readNodeKey(path, suite)
			if err != nil {
				return err
			}
			// The environment has the old one.
			s := c.sources()
			s.Flag, s.Env = newFile, func(string) (string, bool) { return "", false }
			if f, err = sealNew(suite, key, &s, path); err != nil {
				return err
			}
			if err := f.Replace(path); err != nil {
				return err
			}
			if cfg, err := node.LoadConfig(filepath.Dir(path)); err == nil && cfg.Key.PassphraseFile != "" {
				c.warn("node.toml takes the passphrase from %s: put the new one there, or set key.passphrase_file to \"\" and delete that file.", cfg.Key.PassphraseFile)
			}
			return c.printKey(viewKey(path, f))
		},
	}
	c.nodePassphraseFlag(cmd)
	cmd.Flags().StringVar(&newFile, "new-passphrase-file", "", "file of mode 0600 with the new passphrase (default: ask)")
	return cmd
}
