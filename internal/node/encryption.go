package node

import (
	"bytes"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/keys"
	"github.com/jialing-chain/jialing/internal/pool"
	"github.com/jialing-chain/jialing/internal/store"
)

// EncryptionConfig is the encryption of the ledger's files, [store.encryption] in node.toml.
type EncryptionConfig struct {
	// Enabled seals the ledger, and the journal of transactions that wait.
	Enabled bool `toml:"enabled"`
	// KeyFile holds the master key: 32 bytes, or their 64 hex digits. Relative to the node's folder.
	KeyFile string `toml:"key_file"`
	// PassphraseFile holds a passphrase from which the master key is derived. Relative to the node's folder.
	PassphraseFile string `toml:"passphrase_file"`
	// RekeyMiBPerSecond bounds how fast old files are read when the ledger is re-keyed while the node runs; 0: as fast as it goes.
	RekeyMiBPerSecond int64 `toml:"rekey_mib_per_second"`
}

// LedgerPassphraseVar is the environment variable that has the passphrase where neither file is named.
const LedgerPassphraseVar = "JIALING_LEDGER_PASSPHRASE"

// LedgerKeyFile is the name under which NewLedgerKey makes a master key.
const LedgerKeyFile = "ledger.key"

// ErrNoMasterKey: encryption is on, and nothing says where the master key is.
var ErrNoMasterKey = errors.New("the ledger is to be encrypted and there is no master key")

// defaultRekeyRate leaves most of a disk to the node: a laptop's SSD reads and writes ten times that.
const defaultRekeyRate = 64

func (c *EncryptionConfig) validate() error {
	switch {
	case c.KeyFile != "" && c.PassphraseFile != "":
		return errors.New("config: store.encryption has a key_file and a passphrase_file; name one")
	case c.RekeyMiBPerSecond < 0 || c.RekeyMiBPerSecond > 1<<20:
		return errors.New("config: store.encryption.rekey_mib_per_second must be 0 to 1048576")
	}
	return nil
}

// encryption is the store's part of the configuration; nil where it is off.
func (c *Config) encryption(suite crypto.Suite) (*store.Encryption, error) {
	e := &c.Store.Encryption
	if !e.Enabled {
		return nil, nil
	}
	m, err := e.master(c.Dir, suite, c.Passphrases.Terminal)
	if err != nil {
		return nil, err
	}
	return &store.Encryption{Master: m}, nil
}

// maxMasterFile bounds the file that holds a key.
const maxMasterFile = 4096

// master finds the master key: in the file that is named, else by the environment's passphrase, else by the one that a person gives; terminal may be nil.
func (c *EncryptionConfig) master(dir string, suite crypto.Suite, terminal keys.Terminal) (*masterKey, error) {
	within := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	switch {
	case c.KeyFile != "":
		b, err := readMasterFile(within(c.KeyFile))
		if err != nil {
			return nil, err
		}
		return rawMaster(suite, b)
	case c.PassphraseFile != "":
		b, err := keys.ReadPassphrase(within(c.PassphraseFile))
		if err != nil {
			return nil, err
		}
		return passphraseMaster(suite, string(b))
	}
	if p, ok := os.LookupEnv(LedgerPassphraseVar); ok {
		return passphraseMaster(suite, p)
	}
	if terminal != nil {
		b, err := terminal.Ask("Passphrase of the ledger")
		if err != nil {
			return nil, fmt.Errorf("ask for the ledger's passphrase: %w", err)
		}
		return passphraseMaster(suite, string(b))
	}
	return nil, fmt.Errorf("%w: name a key_file or passphrase_file in [store.encryption] of node.toml, set %s, or run this at a terminal", ErrNoMasterKey, LedgerPassphraseVar)
}

func readMasterFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the ledger's master key: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMasterFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the ledger's master key: %w", err)
	}
	if len(b) > maxMasterFile {
		return nil, fmt.Errorf("read the ledger's master key: %s has more than %d bytes", path, maxMasterFile)
	}
	return b, nil
}

// masterKey implements vault.Master. What it wraps is kind(1) ‖, of a passphrase, salt(16) ‖ iterations(4) ‖ the suite's sealed form.
type masterKey struct {
	suite crypto.Suite
	// key is the key of a key file; nil for a passphrase.
	key        []byte
	passphrase string
	// derived is the last key that was derived, for salt and iterations: deriving is slow by intent.
	derived []byte
	params  [saltAndCount]byte
}

const (
	kindRaw        byte = 0
	kindPassphrase byte = 1

	masterSalt   = 16
	saltAndCount = masterSalt + 4
	// kdfIterations of PBKDF2 with the suite's hash (GM/T 0091 on gm): about half a second of a machine, for every guess.
	kdfIterations = 600_000
	// maxIterations bounds what a key file can make a start cost.
	maxIterations = 10_000_000
	// minPassphrase keeps out what is guessed at once, however slow the derivation.
	minPassphrase = 8
	rawKeySize    = 32
)

// rawMaster takes 32 bytes or 64 hex digits.
func rawMaster(suite crypto.Suite, b []byte) (*masterKey, error) {
	if len(b) != rawKeySize {
		text, err := hex.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(text) != rawKeySize {
			return nil, fmt.Errorf("the ledger's key file must hold %d bytes or %d hex digits", rawKeySize, 2*rawKeySize)
		}
		b = text
	}
	key, err := hkdf.Key(suite.NewHash, b, nil, "jialing ledger master key", suite.KeySize())
	if err != nil {
		return nil, fmt.Errorf("derive the ledger's master key: %w", err)
	}
	return &masterKey{suite: suite, key: key}, nil
}

func passphraseMaster(suite crypto.Suite, passphrase string) (*masterKey, error) {
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("the ledger's passphrase must have at least %d characters", minPassphrase)
	}
	return &masterKey{suite: suite, passphrase: passphrase}, nil
}

// Wrap implements vault.Master.
func (m *masterKey) Wrap(key, context []byte) ([]byte, error) {
	head := []byte{kindRaw}
	if m.key == nil {
		if m.derived == nil {
			if _, err := rand.Read(m.params[:masterSalt]); err != nil {
				return nil, fmt.Errorf("draw salt: %w", err)
			}
			binary.BigEndian.PutUint32(m.params[masterSalt:], kdfIterations)
		}
		head = append([]byte{kindPassphrase}, m.params[:]...)
	}
	secret, err := m.secret(head)
	if err != nil {
		return nil, err
	}
	sealed, err := m.suite.Seal(rand.Reader, secret, key, append(head[:len(head):len(head)], context...))
	return append(head, sealed...), err
}

// Unwrap implements vault.Master.
func (m *masterKey) Unwrap(wrapped, context []byte) ([]byte, error) {
	size := 1
	if len(wrapped) > 0 && wrapped[0] == kindPassphrase {
		size += saltAndCount
	}
	if len(wrapped) <= size {
		return nil, store.ErrKeyFile
	}
	head := wrapped[:size:size]
	switch kind := head[0]; {
	case kind == kindPassphrase && m.key != nil:
		return nil, fmt.Errorf("%w: they were sealed with a passphrase, not with a key file", store.ErrMasterKey)
	case kind == kindRaw && m.key == nil:
		return nil, fmt.Errorf("%w: they were sealed with a key file, not with a passphrase", store.ErrMasterKey)
	case kind != kindRaw && kind != kindPassphrase:
		return nil, store.ErrKeyFile
	}
	secret, err := m.secret(head)
	if err != nil {
		return nil, err
	}
	key, err := m.suite.Open(secret, wrapped[size:], append(head, context...))
	if err != nil {
		return nil, store.ErrMasterKey
	}
	return key, nil
}

// secret is the key that head stands for.
func (m *masterKey) secret(head []byte) ([]byte, error) {
	if m.key != nil {
		return m.key, nil
	}
	if m.derived != nil && bytes.Equal(m.params[:], head[1:]) {
		return m.derived, nil
	}
	n := binary.BigEndian.Uint32(head[1+masterSalt:])
	if n == 0 || n > maxIterations {
		return nil, fmt.Errorf("%w: it asks for %d iterations", store.ErrKeyFile, n)
	}
	key, err := pbkdf2.Key(m.suite.NewHash, m.passphrase, head[1:1+masterSalt], int(n), m.suite.KeySize())
	if err != nil {
		return nil, fmt.Errorf("derive the ledger's master key: %w", err)
	}
	m.derived, m.params = key, [saltAndCount]byte(head[1:])
	return key, nil
}

// NewLedgerKey draws a master key and writes it to <dir>/ledger.key, for the owner alone.
func NewLedgerKey(dir string) error {
	key := make([]byte, rawKeySize)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw the ledger's master key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make node folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, LedgerKeyFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the ledger's master key: %w", err)
	}
	_, err = fmt.Fprintf(f, "%x\n", key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the ledger's master key: %w", err)
	}
	return nil
}

// openLedger opens a folder's ledger, encrypted or not, without making a chain of it. convert takes one in plain text over.
func openLedger(cfg *Config, disk vfs.FS, g *chain.Genesis, suite crypto.Suite, log *slog.Logger, convert bool) (*store.Store, error) {
	sc := cfg.storeConfig(g, log)
	sc.FS = disk
	var err error
	if sc.Encryption, err = cfg.encryption(suite); err != nil {
		return nil, err
	}
	if sc.Encryption != nil {
		sc.Encryption.Convert = convert
	}
	return store.Open(sc, suite)
}

// EncryptLedger opens the ledger of a folder whose node does not run, taking one in plain text over: what is written from then on is sealed, and store.Rekey seals the rest.
func EncryptLedger(cfg Config, log *slog.Logger) (*store.Store, error) {
	g, err := LoadGenesis(cfg.Dir)
	if err != nil {
		return nil, err
	}
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return nil, err
	}
	return openLedger(&cfg, nil, g, suite, log, true)
}

// ChangeLedgerMaster wraps the data keys of a stopped node's ledger with the master key that to names. No other file is touched.
func ChangeLedgerMaster(cfg Config, to EncryptionConfig) error {
	g, err := LoadGenesis(cfg.Dir)
	if err != nil {
		return err
	}
	suite, err := SuiteByName(g.Suite)
	if err != nil {
		return err
	}
	sc := cfg.storeConfig(g, nil)
	if sc.Encryption, err = cfg.encryption(suite); err != nil {
		return err
	}
	if sc.Encryption == nil {
		return store.ErrNotEncrypted
	}
	m, err := to.master(cfg.Dir, suite, cfg.Passphrases.Terminal)
	if err != nil {
		return err
	}
	return store.ChangeMaster(sc, suite, m)
}

// JournalWaits tells whether the journal of a stopped node's pool holds transactions, which may be sealed with an old key, or not at all.
func JournalWaits(cfg Config) (bool, error) {
	if cfg.Pool.Journal == "" {
		return false, nil
	}
	entries, err := os.ReadDir(filepath.Join(cfg.Dir, cfg.Pool.Journal))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into the journal: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return false, fmt.Errorf("look into the journal: %w", err)
		}
		if info.Size() > pool.EmptyJournal {
			return true, nil
		}
	}
	return false, nil
}
