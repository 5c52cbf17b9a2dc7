package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/keys"
)

// noEnvironment keeps a developer's own variables out of tests.
func noEnvironment(string) (string, bool) { return "", false }

func TestFolderHoldsNoPlainKey(t *testing.T) {
	for _, suite := range Suites() {
		key, err := suite.GenerateKey(rand.Reader)
		require.NoError(t, err)
		g := testGenesis(t, key)
		g.Suite = suite.Name()
		g.Transactions = []chain.TxKind{chain.Secp256k1}
		cfg := DefaultConfig()
		cfg.Dir = filepath.Join(t.TempDir(), "node")
		require.NoError(t, InitConfig(cfg, g, key))
		secret := key.Bytes()
		noFileHolds(t, cfg.Dir, [][]byte{secret, fmt.Appendf(nil, "%x", secret), fmt.Appendf(nil, "%X", secret)})
		for _, name := range []string{keyFile, PassphraseFile} {
			info, err := os.Stat(filepath.Join(cfg.Dir, name))
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
		}
		loaded, err := LoadConfig(cfg.Dir)
		require.NoError(t, err)
		loaded.Passphrases.Env = noEnvironment
		opened, err := LoadKey(loaded, g)
		require.NoError(t, err)
		require.Equal(t, secret, opened.(crypto.SecretKey).Bytes())
		require.NoError(t, os.Remove(filepath.Join(cfg.Dir, PassphraseFile)))
		public, err := LoadPublic(cfg.Dir, g)
		require.NoError(t, err, "the public key needs no passphrase")
		require.Equal(t, key.Public().Bytes(), public.Bytes())
	}
}

func TestNodeWithoutItsPassphrase(t *testing.T) {
	key, err := intl.Suite{}.GenerateKey(rand.Reader)
	require.NoError(t, err)
	cfg := DefaultConfig()
	cfg.Dir, cfg.NewPassphrase = filepath.Join(t.TempDir(), "node"), []byte("a person's own")
	require.NoError(t, InitConfig(cfg, testGenesis(t, key), key))
	require.NoFileExists(t, filepath.Join(cfg.Dir, PassphraseFile))
	cfg, err = LoadConfig(cfg.Dir)
	require.NoError(t, err)
	open := func(env map[string]string) error {
		cfg.Passphrases.Env = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
		_, err := New(cfg, "", slog.New(slog.DiscardHandler), Options{})
		return err
	}
	require.NoError(t, open(map[string]string{keys.EnvPassphrase: "a person's own"}))
	err = open(nil)
	require.ErrorIs(t, err, keys.ErrNoPassphrase)
	err = open(map[string]string{keys.EnvPassphrase: "another's"})
	require.ErrorIs(t, err, keys.ErrPassphrase)
	require.ErrorContains(t, err, filepath.Join(cfg.Dir, keyFile)+" (attempt 1 of 1")
	require.NotContains(t, err.Error(), "another's")

	cfg.Key.Source, cfg.Key.Module, cfg.Key.Token, cfg.Key.Label = KeyInPKCS11, "m", "t", "l"
	require.ErrorContains(t, open(nil), "not the reference to a key in a device")
	cfg.Key.Label = ""
	require.ErrorContains(t, open(nil), "needs key.module, key.token and key.label")
	cfg.Key.Source = "floppy"
	require.ErrorContains(t, open(nil), `key.source is "floppy"`)
	cfg.Key = KeyConfig{Source: KeyInFile, Token: "t"}
	require.ErrorContains(t, open(nil), "belong to source")
}

// pluggable is a device whose owner pulls it and puts it back.
type pluggable struct {
	crypto.SecretKey
	mu     sync.Mutex
	pulled error
}

func (p *pluggable) pull(err error) { p.mu.Lock(); defer p.mu.Unlock(); p.pulled = err }
func (p *pluggable) Public() []byte { return p.SecretKey.Public().Bytes() }
func (p *pluggable) Close() error   { return nil }

func (p *pluggable) open() (keys.Device, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p, p.pulled
}

func (p *pluggable) Sign(msg []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pulled != nil {
		return nil, p.pulled
	}
	return p.SecretKey.Sign(msg)
}

// TestNodeStopsVotingWithoutItsDevice pulls the device of a running node, puts it back, and then another one whose PIN differs.
func TestNodeStopsVotingWithoutItsDevice(t *testing.T) {
	cfg, _ := newFolder(t)
	cfg.Passphrases.Env = noEnvironment
	secret, err := ReadKey(filepath.Join(cfg.Dir, keyFile), intl.Suite{}, cfg.passphrases())
	require.NoError(t, err)
	p := &pluggable{SecretKey: secret}
	key, err := keys.NewDeviceKey(intl.Suite{}, secret.Public(), p.open)
	require.NoError(t, err)
	var log bytes.Buffer
	n, err := New(cfg, "test", slog.New(slog.NewTextHandler(&log, nil)), Options{Key: key})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	<-n.Ready()
	working := func() bool { return n.Problem() == nil }
	says := func(word string) func() bool {
		return func() bool { err := n.Problem(); return err != nil && strings.Contains(err.Error(), word) }
	}
	p.pull(errors.New("usb: device gone"))
	_, errs := n.Submit(ctx, [][]byte{transfer(t, 0)})
	require.NoError(t, errors.Join(errs...))
	require.Eventually(t, says("the node neither votes nor takes transactions: "), patience, 1e6)
	require.True(t, says("usb: device gone")(), n.Problem())
	require.ErrorIs(t, n.Problem(), keys.ErrDevice)

	p.pull(nil)
	require.Eventually(t, working, patience, 1e6)
	_, errs = n.Submit(ctx, [][]byte{transfer(t, 1)})
	require.NoError(t, errors.Join(errs...))
	require.Eventually(t, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.running == nil {
			return false
		}
		head := n.running.store.Head().Number.Uint64()
		pending, _ := n.running.pool.Status()
		return head > 0 && n.running.store.Finalized() == head && pending == 0
	}, patience, 1e6, "it signs again, and nothing is left to sign")

	p.pull(keys.ErrPassphrase)
	_, errs = n.Submit(ctx, [][]byte{transfer(t, 2)})
	require.NoError(t, errors.Join(errs...))
	err = <-done
	require.ErrorContains(t, err, "refuses the PIN", "asking again would lock it")
	require.Contains(t, log.String(), "stopped voting: the key device does not sign")
}

// TestNodeWithKeyInToken runs a validator whose key is in SoftHSM2, from its making to blocks.
func TestNodeWithKeyInToken(t *testing.T) {
	tool, err := exec.LookPath("softhsm2-util")
	module := "/usr/lib/softhsm/libsofthsm2.so"
	if _, serr := os.Stat(module); err != nil || serr != nil {
		t.Skip("SKIPPED: SoftHSM2 is not installed (apt-get install softhsm2); a node's key in a device is NOT tested here")
	}
	dir := t.TempDir()
	conf, pin := filepath.Join(dir, "conf"), filepath.Join(dir, "pin")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\n", dir), 0o600))
	require.NoError(t, os.WriteFile(pin, []byte("271828\n"), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command(tool, "--init-token", "--free", "--label", "bank", "--pin", "271828", "--so-pin", "31415926").CombinedOutput()
	require.NoError(t, err, string(out))
	cfg := DefaultConfig()
	cfg.Dir = filepath.Join(dir, "node")
	cfg.Key = KeyConfig{Source: KeyInPKCS11, PassphraseFile: pin, Module: module, Token: "bank", Label: "node1"}
	require.NoError(t, keys.GenerateInToken(cfg.Key.token(), cfg.passphrases()))
	key, err := keys.OpenToken(cfg.Key.token(), intl.Suite{}, nil, cfg.passphrases())
	require.NoError(t, err)
	g := testGenesis(t, key)
	require.NoError(t, InitConfig(cfg, g, key))
	require.NoError(t, key.Close())
	require.NoFileExists(t, filepath.Join(cfg.Dir, PassphraseFile))
	public, err := LoadPublic(cfg.Dir, g)
	require.NoError(t, err)
	require.Equal(t, []byte(g.Validators[0].PublicKey), public.Bytes())

	cfg, err = LoadConfig(cfg.Dir)
	require.NoError(t, err)
	cfg.Serve.Addr, cfg.Store.MinFreeMiB = "127.0.0.1:0", 0
	_, c, stop := start(t, cfg)
	mined(t, c, send(t, c, rich(t), 0, &common.Address{1}, 1, 21_000, nil))
	stop()

	require.NoError(t, os.WriteFile(pin, []byte("314159\n"), 0o600))
	_, err = New(cfg, "", slog.New(slog.DiscardHandler), Options{})
	require.ErrorIs(t, err, keys.ErrPassphrase)
	require.ErrorContains(t, err, `token "bank"`)
	cfg.Key.Token = "absent"
	_, err = New(cfg, "", slog.New(slog.DiscardHandler), Options{})
	require.ErrorIs(t, err, keys.ErrDevice)
}
