package interop_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// installed makes node_modules hold what package-lock.json says, once for all tests, unless it does already.
var installed = sync.OnceValue(func() error {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	stamp := filepath.Join("node_modules", ".installed") // a copy of the lockfile that was installed
	if was, err := os.ReadFile(stamp); err == nil && bytes.Equal(was, lock) {
		return nil
	}
	if output, err := exec.Command("npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, output)
	}
	return os.WriteFile(stamp, lock, 0o644)
})

// npmPackage is an implementation from npm, in a process of Node of its own that lives as long as the test.
type npmPackage struct {
	in  io.Writer
	out *bufio.Reader
}

func startNPM(name string) func(t *testing.T) party {
	return func(t *testing.T) party {
		if _, err := exec.LookPath("npm"); err != nil {
			t.Skipf("npm is not installed: %s was not tested", name)
		}
		require.NoError(t, installed())
		cmd := exec.Command("node", "peer.mjs", name)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			require.NoError(t, in.Close()) // which ends it
			require.NoError(t, cmd.Wait())
		})
		return &npmPackage{in, bufio.NewReader(out)}
	}
}

// call fails the test where the process ends; what the package throws is the answer's error.
func (p *npmPackage) call(t *testing.T, result any, request map[string]any) error {
	t.Helper()
	line, err := json.Marshal(request)
	require.NoError(t, err)
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(t, err)
	line, err = p.out.ReadBytes('\n')
	require.NoError(t, err)
	var answer struct {
		Result json.RawMessage
		Error  string
	}
	require.NoError(t, json.Unmarshal(line, &answer))
	if answer.Error != "" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Result, result)
}

func (p *npmPackage) hash(t *testing.T, msg []byte) []byte {
	var digest string
	require.NoError(t, p.call(t, &digest, map[string]any{"method": "sm3", "message": hex.EncodeToString(msg)}))
	return unhex(t, digest)
}

func (p *npmPackage) generate(t *testing.T) key {
	var pair struct{ PrivateKey, PublicKey string }
	require.NoError(t, p.call(t, &pair, map[string]any{"method": "generate"}))
	public := unhex(t, pair.PublicKey)
	require.Equal(t, byte(4), public[0])
	return key{unhex(t, pair.PrivateKey), public[1:]}
}

// sign asks for DER and, where the message has an even length, for r ‖ s.
func (p *npmPackage) sign(t *testing.T, k key, id string, msg []byte) []byte {
	var signature string
	der := len(msg)%2 == 1
	require.NoError(t, p.call(t, &signature, map[string]any{"method": "sign", "message": hex.EncodeToString(msg), "id": id, "der": der,
		"privateKey": hex.EncodeToString(k.private), "publicKey": hex.EncodeToString(k.public)}))
	if der {
		sig, err := sm2.DecodeDER(unhex(t, signature))
		require.NoError(t, err, "%s is no strict DER", signature)
		return sig
	}
	return unhex(t, signature)
}

// verify gives r ‖ s, and DER wherever the signature has such a form; the package must judge both alike.
func (p *npmPackage) verify(t *testing.T, public []byte, id string, msg, sig []byte) bool {
	held := p.verifyForm(t, public, id, msg, sig, false)
	if der, err := sm2.EncodeDER(sig); err == nil {
		require.Equal(t, held, p.verifyForm(t, public, id, msg, der, true), "its DER form")
	}
	return held
}

func (p *npmPackage) verifyForm(t *testing.T, public []byte, id string, msg, sig []byte, der bool) bool {
	var held bool
	err := p.call(t, &held, map[string]any{"method": "verify", "message": hex.EncodeToString(msg), "id": id, "der": der,
		"publicKey": hex.EncodeToString(public), "signature": hex.EncodeToString(sig)})
	return err == nil && held
}
