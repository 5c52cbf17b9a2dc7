package node

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve/eth"
	"github.com/jialing-chain/jialing/internal/store"
)

// onSuites runs a test on each suite, with the key of a validator.
func onSuites(t *testing.T, test func(t *testing.T, suite crypto.Suite, key crypto.SecretKey)) {
	for _, name := range []string{"intl", "gm"} {
		t.Run(name, func(t *testing.T) {
			suite, err := SuiteByName(name)
			require.NoError(t, err)
			key, err := suite.ParsePrivateKey(bytes.Repeat([]byte{7}, 32))
			require.NoError(t, err)
			test(t, suite, key)
		})
	}
}

func transfer(t testing.TB, nonce uint64) []byte {
	tx, err := types.SignNewTx(rich(t), types.LatestSignerForChainID(big.NewInt(2026)), &types.DynamicFeeTx{ChainID: big.NewInt(2026), Nonce: nonce,
		GasTipCap: new(big.Int), GasFeeCap: new(big.Int), Gas: 21_000, To: &common.Address{0xbe, 0xef}, Value: big.NewInt(1)})
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return raw
}

// answer is a person who knows a passphrase.
type answer struct{ passphrase string }

func (a *answer) Ask(string) ([]byte, error) { return []byte(a.passphrase), nil }

func (a *answer) Tell(string) {}

func TestMasterKeys(t *testing.T) {
	onSuites(t, func(t *testing.T, suite crypto.Suite, _ crypto.SecretKey) {
		dir := t.TempDir()
		put := func(name, content string) string {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
			return name
		}
		open := func(c EncryptionConfig) *masterKey {
			m, err := c.master(dir, suite, nil)
			require.NoError(t, err)
			return m
		}
		raw := strings.Repeat("k", rawKeySize)
		file, pass := open(EncryptionConfig{KeyFile: put("raw", raw)}), open(EncryptionConfig{PassphraseFile: put("pass", "correct horse\n")})
		t.Setenv(LedgerPassphraseVar, "correct horse")
		fromEnv := open(EncryptionConfig{})
		require.NoError(t, os.Unsetenv(LedgerPassphraseVar))
		asked, err := (&EncryptionConfig{}).master(dir, suite, &answer{"correct horse"})
		require.NoError(t, err)
		t.Setenv(LedgerPassphraseVar, "wrong horses")
		wrongPass := open(EncryptionConfig{})
		wrongFile := open(EncryptionConfig{KeyFile: put("hex", strings.Repeat("0a", rawKeySize)+"\n")})
		key, at := []byte("thirty-two bytes of a data key.."), []byte("context")
		byFile, err := file.Wrap(key, at)
		require.NoError(t, err)
		byPass, err := pass.Wrap(key, at)
		require.NoError(t, err)
		for _, c := range []struct {
			m       *masterKey
			wrapped []byte
			context string
			want    error
		}{
			{file, byFile, "context", nil}, {pass, byPass, "context", nil}, {fromEnv, byPass, "context", nil}, {asked, byPass, "context", nil},
			{file, byFile, "other", store.ErrMasterKey}, {pass, byPass, "other", store.ErrMasterKey},
			{file, byPass, "context", store.ErrMasterKey}, {pass, byFile, "context", store.ErrMasterKey},
			{wrongFile, byFile, "context", store.ErrMasterKey}, {wrongPass, byPass, "context", store.ErrMasterKey},
			{file, nil, "context", store.ErrKeyFile}, {pass, byPass[:10], "context", store.ErrKeyFile}, {file, []byte{9, 9, 9}, "context", store.ErrKeyFile},
			{pass, append([]byte{kindPassphrase}, bytes.Repeat([]byte{0xff}, 60)...), "context", store.ErrKeyFile},
		} {
			got, err := c.m.Unwrap(c.wrapped, []byte(c.context))
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				require.Equal(t, key, got)
			}
		}
		for i := range byFile {
			bad := bytes.Clone(byFile)
			bad[i] ^= 1
			_, err := file.Unwrap(bad, at)
			require.Error(t, err, "byte %d", i)
		}

		for name, c := range map[string]EncryptionConfig{
			"short": {KeyFile: put("short", "abc")}, "not hex": {KeyFile: put("nothex", strings.Repeat("zz", rawKeySize))},
			"short passphrase": {PassphraseFile: put("shortpass", "abc\n")}, "missing": {KeyFile: "missing"},
			"large": {PassphraseFile: put("large", strings.Repeat("x", maxMasterFile+1))},
		} {
			_, err := c.master(dir, suite, nil)
			require.Error(t, err, name)
		}
		require.NoError(t, os.Unsetenv(LedgerPassphraseVar))
		_, err = (&EncryptionConfig{}).master(dir, suite, nil)
		require.ErrorIs(t, err, ErrNoMasterKey)
		require.Error(t, (&EncryptionConfig{KeyFile: "a", PassphraseFile: "b"}).validate())
		require.Error(t, (&EncryptionConfig{RekeyMiBPerSecond: -1}).validate())
	})
}

// encryptedFolder makes a node's folder whose ledger is encrypted from the first block on.
func encryptedFolder(t *testing.T, suite crypto.Suite, key crypto.SecretKey) Config {
	g := testGenesis(t, key)
	g.Suite = suite.Name()
	cfg := DefaultConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "node")
	cfg.Serve.Addr, cfg.Store.MinFreeMiB = "127.0.0.1:0", 0
	cfg.Store.Encryption.Enabled, cfg.Store.Encryption.KeyFile = true, LedgerKeyFile
	require.NoError(t, NewLedgerKey(cfg.Dir))
	require.Error(t, NewLedgerKey(cfg.Dir), "nothing is overwritten")
	require.NoError(t, InitConfig(cfg, g, key))
	cfg, err := LoadConfig(cfg.Dir)
	require.NoError(t, err)
	require.True(t, cfg.Store.Encryption.Enabled)
	return cfg
}

// TestRekeyWhileBlocksAreMade re-keys a node three times under load: no transaction is lost, nothing readable is left, and the key file goes on alone.
func TestRekeyWhileBlocksAreMade(t *testing.T) {
	onSuites(t, func(t *testing.T, suite crypto.Suite, key crypto.SecretKey) {
		cfg := encryptedFolder(t, suite, key)
		n, c, stop := start(t, cfg)
		ctx := context.Background()
		nonce := uint64(0)
		feed := func() {
			for range 20 {
				_, errs := n.Submit(ctx, [][]byte{transfer(t, nonce)})
				require.NoError(t, errors.Join(errs...))
				nonce++
			}
		}
		for round := range uint32(3) {
			feed()
			require.NoError(t, n.Rekey())
			require.Eventually(t, func() bool {
				feed()
				s := n.rekeyStatus()
				require.Empty(t, s.Problem)
				return s.Key == round+2 && !s.Pending && !s.Running
			}, patience, 1)
		}
		tx, err := chain.DecodeTx(transfer(t, nonce-1))
		require.NoError(t, err)
		require.Eventually(t, func() bool { _, err := c.TransactionReceipt(ctx, tx.Hash()); return err == nil }, patience, 1e7)
		words := [][]byte{transfer(t, 0)[10:40], transfer(t, nonce-1)[10:40], {0xbe, 0xef, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}
		noFileHolds(t, cfg.Dir, words)
		stop()
		noFileHolds(t, cfg.Dir, words)

		_, c, stop = start(t, cfg)
		for i := range nonce {
			tx, err := chain.DecodeTx(transfer(t, i))
			require.NoError(t, err)
			_, err = c.TransactionReceipt(ctx, tx.Hash())
			require.NoError(t, err, "transaction %d", i)
		}
		stop()
		require.NoError(t, os.Rename(filepath.Join(cfg.Dir, LedgerKeyFile), filepath.Join(cfg.Dir, "away")))
		_, _, err = OpenLedger(cfg, slog.New(slog.DiscardHandler))
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, NewLedgerKey(cfg.Dir))
		_, _, err = OpenLedger(cfg, slog.New(slog.DiscardHandler))
		require.ErrorIs(t, err, store.ErrMasterKey)
		t.Logf("%d transactions", nonce)
	})
}

// rekeyStatus is what jl_nodeStatus says.
func (n *Node) rekeyStatus() *eth.EncryptionStatus {
	n.mu.Lock()
	p := n.running
	n.mu.Unlock()
	return p.rekey.status()
}

// noFileHolds reads every file below a node's folder.
func noFileHolds(t *testing.T, dir string, words [][]byte) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || (err == nil && d.IsDir()) {
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted meanwhile
		}
		for i, w := range words {
			if bytes.Contains(content, w) {
				t.Errorf("%s holds word %d", path, i)
			}
		}
		return err
	}))
}

// TestPlainNodeBecomesEncrypted: a ledger with blocks, and a journal with a transaction that waits, are taken over; the node seals the rest when it starts.
func TestPlainNodeBecomesEncrypted(t *testing.T) {
	cfg, _ := newFolder(t)
	n, c, stop := start(t, cfg)
	_, errs := n.Submit(context.Background(), [][]byte{transfer(t, 0), transfer(t, 5)}) // the second waits for others
	require.NoError(t, errors.Join(errs...))
	tx, err := chain.DecodeTx(transfer(t, 0))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := c.TransactionReceipt(context.Background(), tx.Hash()); return err == nil }, patience, 1e7)
	require.ErrorIs(t, n.Rekey(), errPlainLedger)
	stop()

	cfg.Store.Encryption.Enabled, cfg.Store.Encryption.KeyFile = true, LedgerKeyFile
	require.NoError(t, NewLedgerKey(cfg.Dir))
	quiet := slog.New(slog.DiscardHandler)
	_, _, err = OpenLedger(cfg, quiet)
	require.ErrorIs(t, err, store.ErrNotEncrypted, "nobody has asked for it")
	st, err := EncryptLedger(cfg, quiet)
	require.NoError(t, err)
	require.NoError(t, st.Rekey(context.Background(), store.RekeyOptions{Resume: true}))
	s, err := st.Encryption()
	require.NoError(t, err)
	require.True(t, s.Converting, "the journal is still in plain text")
	require.Zero(t, s.OldFiles)
	require.NoError(t, st.Close())

	n, c, stop = start(t, cfg)
	require.Eventually(t, func() bool { return !n.rekeyStatus().Pending }, patience, 1e7)
	_, err = c.TransactionReceipt(context.Background(), tx.Hash())
	require.NoError(t, err)
	noFileHolds(t, filepath.Join(cfg.Dir), [][]byte{transfer(t, 0)[10:40], transfer(t, 5)[10:40]})
	waiting, err := chain.DecodeTx(transfer(t, 5))
	require.NoError(t, err)
	_, pending, err := c.TransactionByHash(context.Background(), waiting.Hash())
	require.NoError(t, err)
	require.True(t, pending, "what waited before waits still")
	stop()
	cfg.Store.Encryption.Enabled = false
	_, _, err = OpenLedger(cfg, quiet)
	require.ErrorIs(t, err, store.ErrEncrypted)
}

// TestNodeDiesAmidRekeying loses power at each renaming of a file that was sealed anew, while blocks are made: what had a receipt has it, and the node ends the re-keying.
func TestNodeDiesAmidRekeying(t *testing.T) {
	onSuites(t, func(t *testing.T, suite crypto.Suite, key crypto.SecretKey) {
		dir := t.TempDir()
		require.NoError(t, NewLedgerKey(dir))
		cfg := DefaultConfig()
		cfg.Dir, cfg.Pool.Journal = dir, ""
		cfg.Store.CacheMiB, cfg.Store.CommitmentMiB = 8, 8
		cfg.Store.Encryption = EncryptionConfig{Enabled: true, KeyFile: LedgerKeyFile}
		g := testGenesis(t, key)
		g.Suite = suite.Name()

		type death struct {
			disk  *vfs.MemFS
			nonce uint64 // below it all have been durable
		}
		var mu sync.Mutex
		var durable uint64
		var deaths []death
		mem := vfs.NewCrashableMem()
		require.NoError(t, mem.MkdirAll(dir, 0o755))
		for name := dir; name != mem.PathDir(name); name = mem.PathDir(name) { // the folder itself is not what is lost
			f, err := mem.OpenDir(mem.PathDir(name))
			require.NoError(t, err)
			require.NoError(t, errors.Join(f.Sync(), f.Close()))
		}
		disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpRename && strings.HasSuffix(op.Path, ".rekey") {
				mu.Lock()
				defer mu.Unlock()
				seed := uint64(len(deaths))
				deaths = append(deaths, death{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: mrand.New(mrand.NewPCG(seed, 1))}), durable})
			}
			return nil
		}))
		run := func(disk vfs.FS) (*Node, *Stages, func()) {
			stages := make(chan *Stages, 2)
			n, err := New(cfg, "jialing/test", slog.New(slog.DiscardHandler), Options{Genesis: g, Key: key, FS: disk, Headless: true,
				Watch: func(s *Stages) { stages <- s }})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- n.Run(ctx) }()
			return n, <-stages, func() { cancel(); require.NoError(t, <-done) }
		}
		n, stages, stop := run(disk)
		nonce := uint64(0)
		feed := func() {
			_, errs := n.Submit(context.Background(), [][]byte{transfer(t, nonce)})
			require.NoError(t, errors.Join(errs...))
			tx, err := chain.DecodeTx(transfer(t, nonce))
			require.NoError(t, err)
			require.Eventually(t, func() bool { // what can be read is durable once the head is there
				r, err := stages.Store.Receipt(tx.Hash())
				return err == nil && r != nil && stages.Store.Head().Number.Cmp(r.BlockNumber) >= 0
			}, patience, 1)
			nonce++
			mu.Lock()
			durable = nonce
			mu.Unlock()
		}
		<-n.Ready()
		for round := range uint32(2) {
			feed()
			require.NoError(t, n.Rekey())
			require.Eventually(t, func() bool { feed(); s := n.rekeyStatus(); return s.Key == round+2 && !s.Pending }, patience, 1)
		}
		stop()
		require.NotEmpty(t, deaths)
		for i, d := range deaths {
			n, stages, stop := run(d.disk)
			<-n.Ready()
			require.Eventually(t, func() bool { return !n.rekeyStatus().Pending }, patience, 1)
			for k := range d.nonce {
				tx, err := chain.DecodeTx(transfer(t, k))
				require.NoError(t, err)
				r, err := stages.Store.Receipt(tx.Hash())
				require.NoError(t, err)
				require.NotNil(t, r, "death %d: transaction %d of %d", i, k, d.nonce)
			}
			stop()
		}
		t.Logf("%d deaths, %d transactions", len(deaths), nonce)
	})
}
