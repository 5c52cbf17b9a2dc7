//go:build cgo

package keys

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

const testPIN = "271828"

// softHSM makes a token in a folder of its own. Where SoftHSM2 is not installed the test is skipped.
func softHSM(t *testing.T, label string) (module, tokens string) {
	tool, err := exec.LookPath("softhsm2-util")
	if err != nil {
		t.Skip("SKIPPED: SoftHSM2 is not installed (apt-get install softhsm2); PKCS#11 is NOT tested here")
	}
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			module = path
		}
	}
	require.NotEmpty(t, module, "softhsm2-util is there and its library is not")
	dir := t.TempDir()
	tokens = filepath.Join(dir, "tokens")
	require.NoError(t, os.Mkdir(tokens, 0o700))
	config := filepath.Join(dir, "softhsm2.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "directories.tokendir = %s\nlog.level = ERROR\n", tokens), 0o600))
	t.Setenv("SOFTHSM2_CONF", config)
	initToken(t, tool, label)
	return module, tokens
}

func initToken(t *testing.T, tool, label string) {
	out, err := exec.Command(tool, "--init-token", "--free", "--label", label, "--pin", testPIN, "--so-pin", "31415926").CombinedOutput()
	require.NoError(t, err, string(out))
}

func withPIN(pin string) *Sources {
	return &Sources{Env: environment(map[string]string{EnvPassphrase: pin})}
}

func TestTokenKeySigns(t *testing.T) {
	module, _ := softHSM(t, "validator")
	token := Token{Module: module, Name: "validator", Label: "node1"}
	require.NoError(t, GenerateInToken(token, withPIN(testPIN)))
	require.ErrorContains(t, GenerateInToken(token, withPIN(testPIN)), "already")
	key, err := OpenToken(token, intl.Suite{}, nil, withPIN(testPIN))
	require.NoError(t, err)
	defer func() { require.NoError(t, key.Close()) }()
	for _, msg := range [][]byte{nil, []byte("block"), make([]byte, 100_000)} {
		sig, err := key.Sign(msg)
		require.NoError(t, err)
		require.NoError(t, key.Public().Verify(msg, sig))
	}
	_, ok := any(key).(interface{ Bytes() []byte })
	require.False(t, ok, "the key cannot be taken out")

	again, err := OpenToken(token, intl.Suite{}, key.Public(), withPIN(testPIN))
	require.NoError(t, err, "two of one process")
	require.NoError(t, again.Close())
	_, err = key.Sign([]byte("the other's end does not end this one"))
	require.NoError(t, err)
}

func TestTokenThatCannotBeUsed(t *testing.T) {
	module, _ := softHSM(t, "validator")
	good := Token{Module: module, Name: "validator", Label: "node1"}
	require.NoError(t, GenerateInToken(good, withPIN(testPIN)))
	for name, c := range map[string]struct {
		change func(*Token)
		pin    string
		is     error
		says   string
	}{
		"module missing": {func(t *Token) { t.Module = "/nowhere/libp11.so" }, testPIN, ErrDevice, "key.module"},
		"no library":     {func(t *Token) { t.Module = "/etc/passwd" }, testPIN, ErrDevice, "key.module"},
		"token absent":   {func(t *Token) { t.Name = "other" }, testPIN, ErrDevice, `token "other" is not there (present: "validator")`},
		"wrong PIN":      {func(*Token) {}, "314159", ErrPassphrase, `wrong passphrase for token "validator" (attempt 1 of 1, taken from JIALING_PASSPHRASE)`},
		"short PIN":      {func(*Token) {}, "1", ErrPassphrase, "wrong passphrase"},
		"wrong label":    {func(t *Token) { t.Label = "node2" }, testPIN, ErrDevice, `no private key labelled "node2"`},
		"other kind":     {func(t *Token) { t.SM2Mechanism = 0x80000001 }, testPIN, ErrDevice, "of another kind"},
	} {
		token := good
		c.change(&token)
		_, err := OpenToken(token, intl.Suite{}, nil, withPIN(c.pin))
		require.ErrorIs(t, err, c.is, name)
		require.ErrorContains(t, err, c.says, name)
	}
	_, err := OpenToken(good, intl.Suite{}, nil, &Sources{Env: environment(nil)})
	require.ErrorIs(t, err, ErrNoPassphrase)
	_, err = OpenToken(good, gm.Suite{}, nil, withPIN(testPIN))
	require.ErrorContains(t, err, `none of suite "gm"`)
	sm2 := good
	sm2.SM2Mechanism, sm2.Label = 0x80000001, "sm2"
	require.ErrorContains(t, GenerateInToken(sm2, withPIN(testPIN)), "vendor's tool", "SoftHSM has no SM2")

	key, err := OpenToken(good, intl.Suite{}, nil, withPIN(testPIN))
	require.NoError(t, err, "nothing of that did any harm")
	require.NoError(t, key.Close())
}

// TestTokenIsPulled takes the token away while it is in use, puts it back, and then another one of that name.
func TestTokenIsPulled(t *testing.T) {
	module, tokens := softHSM(t, "validator")
	token := Token{Module: module, Name: "validator", Label: "node1"}
	require.NoError(t, GenerateInToken(token, withPIN(testPIN)))
	key, err := OpenToken(token, intl.Suite{}, nil, withPIN(testPIN))
	require.NoError(t, err)
	away := tokens + ".away"
	require.NoError(t, os.Rename(tokens, away))
	require.NoError(t, os.Mkdir(tokens, 0o700))
	_, err = key.Sign([]byte("block"))
	require.ErrorIs(t, err, ErrDevice)
	require.ErrorContains(t, err, `token "validator" no longer signs`)
	err = key.Recover()
	require.ErrorIs(t, err, ErrDevice)
	require.ErrorContains(t, err, "is not there (present: none)")

	require.NoError(t, os.Remove(tokens))
	require.NoError(t, os.Rename(away, tokens))
	require.NoError(t, key.Recover())
	sig, err := key.Sign([]byte("block"))
	require.NoError(t, err)
	require.NoError(t, key.Public().Verify([]byte("block"), sig))

	require.NoError(t, os.Rename(tokens, away))
	require.NoError(t, os.Mkdir(tokens, 0o700))
	_, err = key.Sign([]byte("block"))
	require.ErrorIs(t, err, ErrDevice)
	tool, err := exec.LookPath("softhsm2-util")
	require.NoError(t, err)
	initToken(t, tool, "validator")
	require.NoError(t, GenerateInToken(token, withPIN(testPIN)))
	err = key.Recover()
	require.ErrorContains(t, err, "another key than the one in node.key")
	require.False(t, strings.Contains(err.Error(), testPIN))
}
