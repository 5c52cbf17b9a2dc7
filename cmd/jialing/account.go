package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
)

func (c *cli) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Accounts in an encrypted keystore",
		Long: `Accounts in an encrypted keystore, one file each, in Ethereum's format (Web3 Secret Storage version 3):
geth, Foundry and MetaMask read the same files. Those of SM2 accounts (--kind sm2) say so in one field more, and
only jialing and its client library read them.`,
	}
	c.keystoreFlags(cmd)
	cmd.AddCommand(c.accountNew(), c.accountImport(), c.accountList(), c.accountShow(), c.accountExport())
	return cmd
}

func (c *cli) accountNew() *cobra.Command {
	var light bool
	var kind string
	cmd := &cobra.Command{
		Use: "new", Short: "Make an account", Args: cobra.NoArgs,
		Example: "  jialing account new\n  jialing account new --kind sm2",
		RunE: func(*cobra.Command, []string) error {
			a, err := client.NewAccount(kind)
			if err != nil {
				return usageError{err}
			}
			return c.encryptAndSave(a, light)
		},
	}
	lightFlag(cmd, &light)
	cmd.Flags().StringVar(&kind, "kind", client.KindSecp256k1, "how it signs: secp256k1 or, on a chain whose genesis lists it, sm2")
	return cmd
}

func lightFlag(cmd *cobra.Command, light *bool) {
	cmd.Flags().BoolVar(light, "light", false, "encrypt with a tenth of the work: for tests and small machines")
}

func (c *cli) accountImport() *cobra.Command {
	var light bool
	var kind string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Add a private key (hex) or a keystore file; - reads stdin", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := readBounded(args[0])
			if err != nil {
				return fmt.Errorf("import account: %w", err)
			}
			if !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
				a, err := client.AccountFromHex(kind, string(b))
				if err != nil {
					return fmt.Errorf("import account: %w", err)
				}
				return c.encryptAndSave(a, light)
			}
			address, err := client.KeystoreAddress(b)
			if err != nil {
				return fmt.Errorf("import account: %w", err)
			}
			pass, err := c.passphrase("Passphrase of the file", false)
			if err != nil {
				return err
			}
			a, err := openKeystore(b, address, pass)
			if err != nil {
				return fmt.Errorf("import account: %w", err)
			}
			return c.saveAccount(a, b)
		},
	}
	lightFlag(cmd, &light)
	cmd.Flags().StringVar(&kind, "kind", client.KindSecp256k1, "of a private key: secp256k1 or sm2 (a keystore file says it itself)")
	return cmd
}

func (c *cli) encryptAndSave(a client.KeyAccount, light bool) error {
	pass, err := c.passphrase("New passphrase for "+a.Address().Hex(), true)
	if err != nil {
		return err
	}
	strength := client.StandardKeystore
	if light {
		strength = client.LightKeystore
	}
	file, err := a.Keystore(pass, strength)
	if err != nil {
		return err
	}
	return c.saveAccount(a, file)
}

func (c *cli) saveAccount(a client.KeyAccount, file []byte) error {
	path, err := c.saveKeystore(a.Address(), file)
	if err != nil {
		return err
	}
	return c.print(storedAccount{a.Address(), a.Kind(), path}, func(w io.Writer) {
		fmt.Fprintf(w, "address\t%s\nkind\t%s\nfile\t%s\n", a.Address(), a.Kind(), path)
		fmt.Fprintln(w, "Keep the file and the passphrase apart and safe: nobody can restore either.")
	})
}

func (c *cli) accountList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the accounts", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := c.accounts()
			if err != nil {
				return err
			}
			if all == nil {
				all = []storedAccount{}
			}
			return c.print(all, func(w io.Writer) {
				for _, a := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\n", a.Address, a.Kind, a.File)
				}
				if len(all) == 0 {
					fmt.Fprintln(w, `no accounts yet: make one with "jialing account new"`)
				}
			})
		},
	}
}

func (c *cli) accountShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ADDRESS", Short: "Show an account's kind and file", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := c.findAccount(args[0])
			if err != nil {
				return err
			}
			return c.print(a, func(w io.Writer) { fmt.Fprintf(w, "address\t%s\nkind\t%s\nfile\t%s\n", a.Address, a.Kind, a.File) })
		},
	}
}

func (c *cli) accountExport() *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use: "export ADDRESS", Short: "Print an account's keystore file, or its private key", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if plain {
				a, err := c.open(args[0])
				if err != nil {
					return err
				}
				c.warn("Whoever reads this key owns the account.")
				return c.print(map[string]string{"address": a.Address().Hex(), "kind": a.Kind(), "privateKey": a.Hex()}, func(w io.Writer) { fmt.Fprintln(w, a.Hex()) })
			}
			stored, err := c.findAccount(args[0])
			if err != nil {
				return err
			}
			b, err := readBounded(stored.File)
			if err != nil {
				return fmt.Errorf("read the account: %w", err)
			}
			_, err = fmt.Fprintf(c.out, "%s\n", bytes.TrimSpace(b)) // it is JSON either way
			return err
		},
	}
	cmd.Flags().BoolVar(&plain, "private-key", false, "print the private key in hex instead, unencrypted")
	return cmd
}
