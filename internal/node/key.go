package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/keys"
)

// Where a node's key is, in the words of node.toml.
const (
	KeyInFile   = "file"
	KeyInPKCS11 = "pkcs11"
)

// PassphraseFile is the name of a file in a node's folder with the passphrase of node.key, where one was drawn for it.
const PassphraseFile = "node.passphrase"

// KeyConfig is where the node's signing key is.
type KeyConfig struct {
	// Source is "file" (node.key, encrypted) or "pkcs11" (a device; node.key then has the public key alone).
	Source string `toml:"source"`
	// PassphraseFile holds the passphrase of node.key or the device's PIN; relative to the node's folder. Empty: the environment or the terminal.
	PassphraseFile string `toml:"passphrase_file"`
	// Module is the device's PKCS#11 library, Token and Label name the token on it and the key on that.
	Module string `toml:"module"`
	Token  string `toml:"token"`
	Label  string `toml:"label"`
	// SM2Mechanism is the vendor's number of the mechanism that signs a 32-byte digest with SM2; 0: Ed25519.
	SM2Mechanism uint `toml:"sm2_mechanism"`
}

// Validate names the first field that cannot be.
func (c *KeyConfig) Validate() error {
	switch {
	case c.Source != KeyInFile && c.Source != KeyInPKCS11:
		return fmt.Errorf("key.source is %q, use %q or %q", c.Source, KeyInFile, KeyInPKCS11)
	case c.Source == KeyInFile && (c.Module != "" || c.Token != "" || c.Label != "" || c.SM2Mechanism != 0):
		return fmt.Errorf("key.module, token, label and sm2_mechanism belong to source %q", KeyInPKCS11)
	case c.Source == KeyInPKCS11 && (c.Module == "" || c.Token == "" || c.Label == ""):
		return fmt.Errorf("key.source %q needs key.module, key.token and key.label", KeyInPKCS11)
	}
	return nil
}

// Suites are all that a chain can have.
func Suites() []crypto.Suite { return []crypto.Suite{intl.Suite{}, gm.Suite{}} }

// SuiteByName is the one place where a genesis' word becomes a suite.
func SuiteByName(name string) (crypto.Suite, error) {
	for _, suite := range Suites() {
		if name == suite.Name() {
			return suite, nil
		}
	}
	return nil, fmt.Errorf("cryptographic suite %q is unknown, use \"intl\" or \"gm\"", name)
}

// checkKeys refuses a genesis in which a validator's key is none of its suite: no signature of that validator would ever count.
func checkKeys(g *chain.Genesis, suite crypto.Suite) error {
	for i, v := range g.Validators {
		if _, err := suite.ParsePublicKey(v.PublicKey); err != nil {
			return fmt.Errorf("%w: validators[%d].publicKey: suite %q: %w", chain.ErrGenesis, i, g.Suite, err)
		}
	}
	return nil
}

// LoadPublic is the public half of the key of a node's folder. It needs neither passphrase nor device.
func LoadPublic(dir string, g *chain.Genesis) (crypto.PublicKey, error) {
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, keyFile)
	f, err := keys.Read(path)
	if err != nil {
		return nil, err
	}
	public, err := f.Public(suite)
	if err != nil {
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	return public, nil
}

// LoadKey opens the key of the node's folder cfg.Dir, a key of g's suite, with the passphrase that cfg's sources have. A wrong one is keys.ErrPassphrase. A
// key that holds on to a device is an io.Closer.
func LoadKey(cfg Config, g *chain.Genesis) (crypto.PrivateKey, error) {
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.Dir, keyFile)
	if cfg.Key.Source == KeyInFile {
		return ReadKey(path, suite, cfg.passphrases())
	}
	f, err := keys.Read(path)
	if err != nil {
		return nil, err
	}
	public, err := f.Public(suite)
	if err != nil {
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	if f.Device != cfg.Key.Source {
		return nil, fmt.Errorf("read node key %s: it is not the reference to a key in a device that key.source %q in node.toml needs", path, cfg.Key.Source)
	}
	return keys.OpenToken(cfg.Key.token(), suite, public, cfg.passphrases())
}

// ReadKey opens an encrypted key file: a key of that suite whose public half matches.
func ReadKey(path string, suite crypto.Suite, from *keys.Sources) (crypto.SecretKey, error) {
	f, err := keys.Read(path)
	if err != nil {
		return nil, err
	}
	if f.Device != "" {
		return nil, fmt.Errorf("read node key %s: the key lives in a device (%s); node.toml must say so: key.source", path, f.Device)
	}
	if _, err := f.Public(suite); err != nil { // before anybody is asked for a passphrase
		return nil, fmt.Errorf("read node key %s: %w", path, err)
	}
	var key crypto.SecretKey
	err = from.Unlock(path, 0, func(passphrase []byte) (err error) {
		key, err = f.Open(suite, passphrase)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read node key: %w", err)
	}
	return key, nil
}

// token is where the key is, for package keys.
func (c *KeyConfig) token() keys.Token {
	return keys.Token{Module: c.Module, Name: c.Token, Label: c.Label, SM2Mechanism: c.SM2Mechanism}
}

// passphrases are the sources with node.toml's among them.
func (c *Config) passphrases() *keys.Sources {
	s := c.Passphrases
	if file := c.Key.PassphraseFile; file != "" {
		s.Config = file
		if !filepath.IsAbs(file) {
			s.Config = filepath.Join(c.Dir, file)
		}
	}
	return &s
}

// writeKey writes the folder's node.key: encrypted under cfg.NewPassphrase, or under one drawn here, whose file is then named in cfg. What lives in a
// device gets a reference.
func writeKey(cfg *Config, suite crypto.Suite, key crypto.PrivateKey) error {
	path := filepath.Join(cfg.Dir, keyFile)
	if cfg.Key.Source != KeyInFile {
		return keys.Reference(suite, key.Public(), cfg.Key.Source).Write(path)
	}
	secret, ok := key.(crypto.SecretKey)
	if !ok {
		return errors.New("write node key: it does not leave its device, and node.toml says that it is in a file")
	}
	passphrase, strength := cfg.NewPassphrase, keys.Strong
	if passphrase == nil {
		var err error
		if passphrase, err = keys.NewPassphrase(rand.Reader); err != nil {
			return fmt.Errorf("write node key: %w", err)
		}
		defer clear(passphrase)
		strength, cfg.Key.PassphraseFile = keys.ForRandom, PassphraseFile
		if err := keys.WritePassphrase(filepath.Join(cfg.Dir, PassphraseFile), passphrase); err != nil {
			return err
		}
	}
	f, err := keys.Seal(rand.Reader, suite, secret, passphrase, strength)
	if err != nil {
		return err
	}
	return f.Write(path)
}
