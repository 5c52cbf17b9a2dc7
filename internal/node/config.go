package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"

	"github.com/jialing-chain/jialing/internal/catchup"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/gossip"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/p2p"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/serve"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// The names of a node's files in its folder.
const (
	genesisFile = "genesis.json"
	configFile  = "node.toml"
	keyFile     = "node.key"
	dataFolder  = "data"
	poolJournal = "pool"
	// certificateFile is where a node's certificate is looked for unless node.toml says otherwise.
	certificateFile = "node.crt"
)

// Config is what one node decides for itself. Nothing here can make two nodes disagree: what binds all of them is in the genesis.
type Config struct {
	// Dir is the node's folder; it is where the file was found and never in the file.
	Dir     string        `toml:"-"`
	Store   StoreConfig   `toml:"store"`
	Pool    pool.Config   `toml:"pool"`
	Order   order.Config  `toml:"order"`
	Execute ExecuteConfig `toml:"execute"`
	// Serve is the sockets, RPC what one request may cost behind them.
	Serve serve.Config `toml:"serve"`
	RPC   eth.Config   `toml:"rpc"`
	// Access is who may call what.
	Access serve.AccessConfig `toml:"access"`
	// Network, Gossip and CatchUp are the ways to the other nodes.
	Network p2p.Config     `toml:"network"`
	Gossip  gossip.Config  `toml:"gossip"`
	CatchUp catchup.Config `toml:"catchup"`
	// Mine is what the node does on a chain of work.
	Mine MineConfig `toml:"mine"`
	// Stake is the account with which the node acts by itself on a chain of stake.
	Stake StakeConfig `toml:"stake"`
	// Teaching is for lessons; off on every other node.
	Teaching TeachingConfig `toml:"teaching"`
	// Identity is what the node shows of itself.
	Identity IdentityConfig `toml:"identity"`
	// Key is where the node's signing key is.
	Key KeyConfig `toml:"key"`

	// Passphrases are the sources of its passphrase beside node.toml's. NewPassphrase seals the key of a new folder; nil: one is drawn.
	Passphrases   keys.Sources `toml:"-"`
	NewPassphrase []byte       `toml:"-"`
}

// IdentityConfig is what the node shows of itself to others.
type IdentityConfig struct {
	// Certificate is a PEM file: the node's certificate, then the authorities between it and a root. It is read again when it changes. Relative to the
	// node's folder.
	Certificate string `toml:"certificate"`
}

// StoreConfig is the node's share of memory and disk for the ledger.
type StoreConfig struct {
	// CacheMiB is for Pebble's blocks and the flat state's values.
	CacheMiB int64 `toml:"cache_mib"`
	// CommitmentMiB is for the live tries. Too small a value makes every block read nodes back.
	CommitmentMiB int64 `toml:"commitment_mib"`
	// MinFreeMiB stops the node cleanly while the disk still has that much, so that what is in flight can be written out.
	MinFreeMiB int64 `toml:"min_free_mib"`
	// Encryption seals the ledger's files.
	Encryption EncryptionConfig `toml:"encryption"`
}

// ExecuteConfig is the EVM's share of memory, and what callers may bring.
type ExecuteConfig struct {
	// CodeCacheMiB is for contract code.
	CodeCacheMiB int `toml:"code_cache_mib"`
	// TracerScripts lets debug_trace* run JavaScript that the request brings; only for nodes whose callers are trusted.
	TracerScripts bool `toml:"tracer_scripts"`
}

func (c ExecuteConfig) config() execute.Config {
	cfg := execute.DefaultConfig()
	cfg.CodeCacheBytes, cfg.TracerScripts = c.CodeCacheMiB<<20, c.TracerScripts
	return cfg
}

// DefaultConfig serves on loopback with a quarter of a small machine's memory.
func DefaultConfig() Config {
	poolCfg := pool.DefaultConfig()
	poolCfg.Journal = poolJournal
	return Config{
		Store:   StoreConfig{CacheMiB: 512, CommitmentMiB: 1024, MinFreeMiB: 256, Encryption: EncryptionConfig{RekeyMiBPerSecond: defaultRekeyRate}},
		Pool:    poolCfg,
		Order:   order.DefaultConfig(),
		Execute: ExecuteConfig{CodeCacheMiB: 64},
		Serve:   serve.DefaultConfig(),
		RPC:     eth.DefaultConfig(),
		Access:  serve.DefaultAccessConfig(),
		Network: p2p.DefaultConfig(),
		Gossip:  gossip.DefaultConfig(),
		CatchUp: catchup.DefaultConfig(),
		Mine:    DefaultMineConfig(),

		Identity: IdentityConfig{Certificate: certificateFile},
		Key:      KeyConfig{Source: KeyInFile},
	}
}

// DataFolder is where the ledger is.
func (c *Config) DataFolder() string { return filepath.Join(c.Dir, dataFolder) }

// storeConfig is the ledger's configuration under the node's folder.
func (c *Config) storeConfig(g *chain.Genesis, log *slog.Logger) store.Config {
	sc := store.DefaultConfig()
	sc.Dir = filepath.Join(c.Dir, dataFolder)
	sc.BlockCacheBytes, sc.StateCacheBytes = c.Store.CacheMiB<<19, c.Store.CacheMiB<<19
	sc.CommitmentBytes = c.Store.CommitmentMiB << 20
	sc.StateHistory = g.Retention.StateBlocks
	sc.Log = log
	return sc
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("config: no folder given")
	case c.Store.CacheMiB < 8 || c.Store.CacheMiB > 1<<20:
		return errors.New("config: store.cache_mib must be 8 to 1048576")
	case c.Store.CommitmentMiB < 8 || c.Store.CommitmentMiB > 1<<20:
		return errors.New("config: store.commitment_mib must be 8 to 1048576")
	case c.Store.MinFreeMiB < 0:
		return errors.New("config: store.min_free_mib must not be negative")
	case c.Execute.CodeCacheMiB < 1 || c.Execute.CodeCacheMiB > 1<<14:
		return errors.New("config: execute.code_cache_mib must be 1 to 16384")
	}
	for _, validate := range []func() error{c.Store.Encryption.validate, c.Pool.Validate, c.Order.Validate, c.Serve.Validate, c.RPC.Validate, c.Access.Validate, c.Network.Validate, c.Gossip.Validate,
		c.CatchUp.Validate, c.Mine.Validate, c.Stake.validate, c.Key.Validate} {
		if err := validate(); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	return nil
}

// LoadConfig reads <dir>/node.toml over the defaults; an unknown key is an error that names it. A folder without the file is not initialised.
func LoadConfig(dir string) (Config, error) {
	cfg := DefaultConfig()
	cfg.Dir = dir
	path := filepath.Join(dir, configFile)
	meta, err := toml.DecodeFile(path, &cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return cfg, fmt.Errorf("%w: %s has no %s", ErrNotInitialised, dir, configFile)
	}
	if err != nil {
		return cfg, fmt.Errorf("read %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return cfg, fmt.Errorf("read %s: unknown key %q", path, unknown[0].String())
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("read %s: %w", path, err)
	}
	return cfg, nil
}

func writeConfig(path string, cfg *Config) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.WriteString(configHeader)
	if err == nil {
		enc := toml.NewEncoder(f)
		enc.Indent = ""
		err = enc.Encode(cfg)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

const configHeader = `# What this node decides for itself. docs/configuration.md explains every key and why its limit stands where it does.
# What binds all nodes of the chain is in genesis.json and cannot be changed here.

`
