package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jialing-chain/jialing/client"
)

// maxSecretFile bounds the files that hold a passphrase or a key.
const maxSecretFile = client.MaxKeystoreSize

// errNoPassphrase is a command that needs a passphrase and has nobody to ask.
var errNoPassphrase = errors.New("a passphrase is needed and there is no terminal to ask at")

// errNoAccount is an address that the keystore does not hold.
var errNoAccount = errors.New("the keystore holds no such account")

// keystoreFlags are those of every command that opens accounts.
func (c *cli) keystoreFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.keystore, "keystore", "", "folder of the encrypted accounts (default $JIALING_KEYSTORE, else ~/.jialing/keystore)")
	cmd.PersistentFlags().StringVar(&c.passphraseFile, "passphrase-file", "", "file that holds the passphrase (default $JIALING_PASSPHRASE_FILE, else $JIALING_PASSPHRASE, else ask)")
}

func (c *cli) keystoreFolder() (string, error) {
	if c.keystore != "" {
		return c.keystore, nil
	}
	if dir := os.Getenv("JIALING_KEYSTORE"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the keystore: %w", err)
	}
	return filepath.Join(home, ".jialing", "keystore"), nil
}

// passphrase comes from a file, the environment or the terminal, in that order. A new one is asked for twice.
func (c *cli) passphrase(prompt string, isNew bool) (string, error) {
	file := c.passphraseFile
	if file == "" {
		file = os.Getenv("JIALING_PASSPHRASE_FILE")
	}
	if file != "" {
		b, err := readBounded(file)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	}
	if p, ok := os.LookupEnv("JIALING_PASSPHRASE"); ok {
		return p, nil
	}
	tty, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return "", errNoPassphrase
	}
	first, err := c.ask(tty, prompt)
	if err != nil || !isNew {
		return first, err
	}
	again, err := c.ask(tty, "Once more")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two passphrases differ")
	}
	return first, nil
}

func (c *cli) ask(tty *os.File, prompt string) (string, error) {
	fmt.Fprintf(c.err, "%s: ", prompt)
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(c.err)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	return string(b), nil
}

// storedAccount is one file of the keystore.
type storedAccount struct {
	Address common.Address `json:"address"`
	// Kind is how it signs, as the file says it.
	Kind string `json:"kind"`
	File string `json:"file"`
}

// accounts lists the keystore by file name, which begins with the time of making. Files that are no accounts are skipped aloud.
func (c *cli) accounts() ([]storedAccount, error) {
	dir, err := c.keystoreFolder()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keystore: %w", err)
	}
	var out []storedAccount
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		b, err := readBounded(path)
		if err == nil {
			a := storedAccount{File: path}
			if a.Address, err = client.KeystoreAddress(b); err == nil {
				a.Kind, err = client.KeystoreKind(b)
			}
			if err == nil {
				out = append(out, a)
				continue
			}
		}
		c.warn("skipped %s: %v", path, err)
	}
	return out, nil
}

// findAccount is the keystore's file of address.
func (c *cli) findAccount(address string) (storedAccount, error) {
	if !common.IsHexAddress(address) {
		return storedAccount{}, usagef("%q is no address: 0x and 40 hex digits", address)
	}
	all, err := c.accounts()
	if err != nil {
		return storedAccount{}, err
	}
	for _, a := range all {
		if a.Address == common.HexToAddress(address) {
			return a, nil
		}
	}
	return storedAccount{}, fmt.Errorf("%w: %s", errNoAccount, address)
}

// saveKeystore writes an encrypted account under the name that Ethereum's tools give it. An account that is there already is an error.
func (c *cli) saveKeystore(address common.Address, file []byte) (string, error) {
	all, err := c.accounts()
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if a.Address == address {
			return "", fmt.Errorf("account %s is in the keystore already: %s", address, a.File)
		}
	}
	dir, err := c.keystoreFolder()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the keystore: %w", err)
	}
	path := filepath.Join(dir, keystoreName(address, time.Now()))
	if err := writeNew(path, file, 0o600); err != nil {
		return "", fmt.Errorf("write the account: %w", err)
	}
	return path, nil
}

// keystoreName is the name that Ethereum's tools give an account's file.
func keystoreName(address common.Address, made time.Time) string {
	return fmt.Sprintf("UTC--%s--%x", made.UTC().Format("2006-01-02T15-04-05.000000000Z"), address[:])
}

// signer opens the account that --from or --key-file (a private key of that kind) names.
func (c *cli) signer(from, keyFile, keyKind string) (client.Account, error) {
	switch {
	case from != "" && keyFile != "":
		return nil, usagef("--from and --key-file exclude each other")
	case keyFile != "":
		b, err := readBounded(keyFile)
		if err != nil {
			return nil, fmt.Errorf("read the private key: %w", err)
		}
		return client.AccountFromHex(keyKind, string(b))
	case from == "":
		return nil, usagef("who sends? give --from ADDRESS (of the keystore), --from dev:0 (of a chain made with --dev) or --key-file FILE")
	}
	if index, isDev := strings.CutPrefix(from, "dev:"); isDev {
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i >= client.MaxDevAccounts {
			return nil, usagef("--from %s: dev accounts are dev:0 to dev:%d", from, client.MaxDevAccounts-1)
		}
		dev, err := client.DevAccounts(i + 1)
		if err != nil {
			return nil, err
		}
		return dev[i], nil
	}
	return c.open(from)
}

// open decrypts an account of the keystore.
func (c *cli) open(address string) (client.KeyAccount, error) {
	stored, err := c.findAccount(address)
	if err != nil {
		return nil, err
	}
	file, err := readBounded(stored.File)
	if err != nil {
		return nil, fmt.Errorf("read the account: %w", err)
	}
	pass, err := c.passphrase("Passphrase of "+stored.Address.Hex(), false)
	if err != nil {
		return nil, err
	}
	return openKeystore(file, stored.Address, pass)
}

// openKeystore decrypts a keystore file and checks that it holds the account whose name it bears.
func openKeystore(file []byte, address common.Address, passphrase string) (client.KeyAccount, error) {
	a, err := client.AccountFromKeystore(file, passphrase)
	if err != nil {
		return nil, err
	}
	if a.Address() != address {
		return nil, fmt.Errorf("keystore file names %s and holds the key of %s", address, a.Address())
	}
	return a, nil
}

// readBounded reads a passphrase, key or keystore file; "-" is stdin.
func readBounded(path string) ([]byte, error) {
	b, err := readUpTo(path, maxSecretFile)
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), err
}
