package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
)

func (c *cli) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Accounts in an encrypted keystore",
		Long: `Accounts in an encrypted keystore, one file each, in Ethereum's format (Web3 Secret Storage version 3):
geth, Foundry and MetaMask read the same files.`,
	}
	c.keystoreFlags(cmd)
	cmd.AddCommand(c.accountNew(), c.accountImport(), c.accountList(), c.accountExport())
	return cmd
}

func (c *cli) accountNew() *cobra.Command {
	var light bool
	cmd := &cobra.Command{
		Use: "new", Short: "Make an account", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a, err := client.NewSecp256k1()
			if err != nil {
				return err
			}
			return c.encryptAndSave(a, light)
		},
	}
	lightFlag(cmd, &light)
	return cmd
}

func lightFlag(cmd *cobra.Command, light *bool) {
	cmd.Flags().BoolVar(light, "light", false, "encrypt with a tenth of the work: for tests and small machines")
}

func (c *cli) accountImport() *cobra.Command {
	var light bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Add a private key (hex) or a keystore file; - reads stdin", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := readBounded(args[0])
			if err != nil {
				return fmt.Errorf("import account: %w", err)
			}
			if !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
				a, err := client.Secp256k1FromHex(string(b))
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
			if _, err := openKeystore(b, address, pass); err != nil {
				return fmt.Errorf("import account: %w", err)
			}
			return c.saveAccount(address, b)
		},
	}
	lightFlag(cmd, &light)
	return cmd
}

func (c *cli) encryptAndSave(a *client.Secp256k1, light bool) error {
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
	return c.saveAccount(a.Address(), file)
}

func (c *cli) saveAccount(address common.Address, file []byte) error {
	path, err := c.saveKeystore(address, file)
	if err != nil {
		return err
	}
	return c.print(storedAccount{address, path}, func(w io.Writer) {
		fmt.Fprintf(w, "address\t%s\nfile\t%s\n", address, path)
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
					fmt.Fprintf(w, "%s\t%s\n", a.Address, a.File)
				}
				if len(all) == 0 {
					fmt.Fprintln(w, `no accounts yet: make one with "jialing account new"`)
				}
			})
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
				return c.print(map[string]string{"address": a.Address().Hex(), "privateKey": a.Hex()}, func(w io.Writer) { fmt.Fprintln(w, a.Hex()) })
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
