package e2e

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

func TestPortTaken(t *testing.T) {
	dir := initChain(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, stderr, err := jialing(t, "start", "--dir", dir, "--http.addr", l.Addr().String())
	require.Error(t, err)
	require.Contains(t, stderr, l.Addr().String())
	require.Contains(t, stderr, "--http.addr", "it says what to do")
}

func TestTwoProcessesOnOneFolder(t *testing.T) {
	dir := initChain(t)
	p := startNode(t, dir)
	_, stderr, err := jialing(t, "start", "--dir", dir, "--http.addr", "127.0.0.1:0")
	require.Error(t, err)
	require.Contains(t, stderr, "in use by another process")
	require.Contains(t, stderr, dir)
	send(t, p, devKeys[0])
	p.stop()
}

func TestOtherGenesisIsRefused(t *testing.T) {
	dir, other := initChain(t), initChain(t, "--chain-id", "77")
	p := startNode(t, dir)
	last := send(t, p, devKeys[0])
	p.stop()
	swap := func(name string) {
		a, b := filepath.Join(dir, name), filepath.Join(other, name)
		require.NoError(t, os.Rename(a, a+".tmp"))
		require.NoError(t, os.Rename(b, a))
		require.NoError(t, os.Rename(a+".tmp", b))
	}
	swap("genesis.json")
	swap("node.key")
	swap("node.passphrase")
	_, stderr, err := jialing(t, "start", "--dir", dir, "--http.addr", "127.0.0.1:0")
	require.Error(t, err)
	require.Contains(t, stderr, "another chain")
	swap("genesis.json")
	swap("node.key")
	swap("node.passphrase")
	p = startNode(t, dir)
	var r *acknowledged
	p.call(&r, "eth_getTransactionReceipt", last)
	require.NotNil(t, r, "nothing was overwritten")
	p.stop()
}

func TestUninitialisedFolder(t *testing.T) {
	_, stderr, err := jialing(t, "start", "--dir", t.TempDir())
	require.Error(t, err)
	require.Contains(t, stderr, "jialing init")
}

func TestUnknownConfigKeyIsNamed(t *testing.T) {
	dir := initChain(t)
	path := filepath.Join(dir, "node.toml")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b, "\n[store2]\nspeed = 11\n"...), 0o644))
	_, stderr, err := jialing(t, "start", "--dir", dir)
	require.Error(t, err)
	require.Contains(t, stderr, "store2")
}

// TestDamagedFilesAreNamed alters and truncates every file of the ledger in turn. Each time the node either refuses, naming a file and changing
// none, or runs with everything that it had acknowledged.
func TestDamagedFilesAreNamed(t *testing.T) {
	dir := initChain(t)
	p := startNode(t, dir)
	var last common.Hash
	for range 20 {
		last = send(t, p, devKeys[0])
	}
	p.stop()
	data := filepath.Join(dir, "data")
	pristine := filepath.Join(t.TempDir(), "pristine")
	require.NoError(t, exec.Command("cp", "-a", data, pristine).Run())
	refused := 0
	for name := range folder(t, pristine) {
		for _, harm := range []string{"flip", "truncate"} {
			require.NoError(t, os.RemoveAll(data))
			require.NoError(t, exec.Command("cp", "-a", pristine, data).Run())
			if !damage(t, filepath.Join(data, name), harm) {
				continue
			}
			before := folder(t, data)
			_, stderr, err := jialing(t, "db", "check", "--dir", dir)
			if err != nil {
				refused++
				require.Contains(t, stderr, "damaged", "%s %s: %s", harm, name, stderr)
				require.NotContains(t, stderr, "panic", "%s %s: %s", harm, name, stderr)
				after := folder(t, data)
				for f, sum := range before {
					require.Equal(t, sum, after[f], "%s %s: %s was changed by a check", harm, name, f)
				}
				continue
			}
			p := startNode(t, dir)
			var r *acknowledged
			p.call(&r, "eth_getTransactionReceipt", last)
			require.NotNil(t, r, "%s %s went unnoticed and lost a receipt", harm, name)
			p.stop()
		}
	}
	require.Positive(t, refused)
}

// TestFullDisk fills the node's disk under it: it must stop taking transactions, go on answering, and resume when there is room.
func TestFullDisk(t *testing.T) {
	mount := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(mount, 0o755))
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: a small disk needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(mount, 0)) })
	dir := filepath.Join(mount, "node")
	_, stderr, err := jialing(t, "init", "--dir", dir, "--dev")
	require.NoError(t, err, stderr)
	toml := filepath.Join(dir, "node.toml")
	b, err := os.ReadFile(toml)
	require.NoError(t, err)
	small := strings.Replace(string(b), "min_free_mib = 256", "min_free_mib = 16", 1)
	require.NotEqual(t, string(b), small)
	require.NoError(t, os.WriteFile(toml, []byte(small), 0o644))

	p := startNode(t, dir)
	last := send(t, p, devKeys[0])
	var fsStat syscall.Statfs_t
	require.NoError(t, syscall.Statfs(mount, &fsStat))
	ballast := filepath.Join(mount, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, int64(fsStat.Bavail)*fsStat.Bsize-8<<20), 0o644))
	code, body := ready(t, p)
	for deadline := time.Now().Add(30 * time.Second); code != http.StatusServiceUnavailable; code, body = ready(t, p) {
		require.True(t, time.Now().Before(deadline), "the node did not notice the full disk")
	}
	require.Contains(t, body, "disk is full")
	raw := next(t, p, devKeys[0])
	require.ErrorContains(t, p.client.Call(new(common.Hash), "eth_sendRawTransaction", raw), "disk is full")
	var r *acknowledged
	p.call(&r, "eth_getTransactionReceipt", last)
	require.NotNil(t, r, "reads go on")

	require.NoError(t, os.Remove(ballast))
	for deadline := time.Now().Add(30 * time.Second); code != http.StatusOK; code, _ = ready(t, p) {
		require.True(t, time.Now().Before(deadline), "the node did not resume: %s", p.stderr)
	}
	p.kill()
	p = startNode(t, dir)
	send(t, p, devKeys[0])
	p.call(&r, "eth_getTransactionReceipt", last)
	require.NotNil(t, r)
	p.stop()
}

// ready asks /readyz; a connection refused while the node reopens its ledger counts as not ready.
func ready(t *testing.T, p *process) (int, string) {
	resp, err := http.Get(p.HTTP + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// next signs key's next transfer.
func next(t *testing.T, p *process, key string) hexutil.Bytes {
	k, err := gethcrypto.HexToECDSA(key)
	require.NoError(t, err)
	var nonce hexutil.Uint64
	p.call(&nonce, "eth_getTransactionCount", gethcrypto.PubkeyToAddress(k.PublicKey), "pending")
	raw, _ := transfer(t, k, uint64(nonce))
	return raw
}

// send makes one transfer and waits for its receipt.
func send(t *testing.T, p *process, key string) common.Hash {
	var r acknowledged
	p.call(&r, "eth_sendRawTransactionSync", next(t, p, key))
	require.EqualValues(t, 1, r.Status)
	return r.Hash
}

// folder is the SHA-256 of every file of a folder, but for the lock.
func folder(t *testing.T, dir string) map[string][32]byte {
	sums := map[string][32]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "LOCK" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sums[name] = sha256.Sum256(b)
		return err
	}))
	return sums
}

// damage flips a bit in the middle of a file or cuts off its second half; false for a file too small to harm.
func damage(t *testing.T, path, harm string) bool {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	if len(b) < 2 {
		return false
	}
	switch harm {
	case "flip":
		b[len(b)/2] ^= 0x10
	case "truncate":
		b = b[:len(b)/2]
	}
	return os.WriteFile(path, b, 0o644) == nil
}
