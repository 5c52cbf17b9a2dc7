package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Sentinels of a node's folder. The command line turns them into what to do next.
var (
	ErrNotInitialised     = errors.New("folder holds no node")
	ErrAlreadyInitialised = errors.New("folder already holds a node")
)

// Init makes a node's folder with the default configuration. See InitConfig.
func Init(dir string, g *chain.Genesis, key crypto.PrivateKey) error {
	cfg := DefaultConfig()
	cfg.Dir = dir
	return InitConfig(cfg, g, key)
}

// InitConfig makes the node's folder cfg.Dir: genesis.json, node.toml, node.key and the ledger with block 0. The key is encrypted under
// cfg.NewPassphrase, or under a passphrase drawn for it, which then lies in PassphraseFile; both files have mode 0600. It overwrites nothing: a folder that
// holds a node is ErrAlreadyInitialised. key may be a validator's or belong to none (a node that only follows); where cfg says that it is in a device it need
// not be a crypto.SecretKey.
func InitConfig(cfg Config, g *chain.Genesis, key crypto.PrivateKey) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := g.Validate(); err != nil {
		return err
	}
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("make node folder: %w", err)
	}
	for _, name := range []string{genesisFile, configFile, keyFile, PassphraseFile, dataFolder} {
		if _, err := os.Lstat(filepath.Join(cfg.Dir, name)); err == nil {
			return fmt.Errorf("%w: %s has %s", ErrAlreadyInitialised, cfg.Dir, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look into node folder: %w", err)
		}
	}
	if err := writeKey(&cfg, suite, key); err != nil {
		return err
	}
	if err := writeConfig(filepath.Join(cfg.Dir, configFile), &cfg); err != nil {
		return err
	}
	st, err := openStore(&cfg, nil, g, suite, nil)
	if err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return fmt.Errorf("close new ledger: %w", err)
	}
	// Last, so that a folder with a genesis is a whole one.
	if err := os.WriteFile(filepath.Join(cfg.Dir, genesisFile), g.Encode(), 0o644); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	return nil
}

// LoadGenesis reads <dir>/genesis.json.
func LoadGenesis(dir string) (*chain.Genesis, error) {
	b, err := os.ReadFile(filepath.Join(dir, genesisFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s", ErrNotInitialised, dir, genesisFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	return chain.ParseGenesis(b)
}

// self finds which validator key is; nil when it is none.
func self(set chain.ValidatorSet, key crypto.PrivateKey) *chain.Validator {
	for i := range set {
		if bytes.Equal(set[i].PublicKey, key.Public().Bytes()) {
			return &set[i]
		}
	}
	return nil
}
