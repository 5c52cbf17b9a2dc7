package keys

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

var suites = []crypto.Suite{intl.Suite{}, gm.Suite{}}

func sealed(t testing.TB, suite crypto.Suite, passphrase string) (crypto.SecretKey, *File) {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f, err := Seal(rand.Reader, suite, key, []byte(passphrase), ForRandom)
	require.NoError(t, err)
	return key, f
}

func TestKeyFileOpensWithItsPassphraseAlone(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite.Name(), func(t *testing.T) {
			key, f := sealed(t, suite, "correct horse")
			path := filepath.Join(t.TempDir(), "node.key")
			require.NoError(t, f.Write(path))
			require.ErrorIs(t, f.Write(path), fs.ErrExist, "nothing is overwritten")
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, string(text), hex.EncodeToString(key.Bytes()))
			require.NotContains(t, string(text), string(key.Bytes()))

			read, err := Read(path)
			require.NoError(t, err)
			public, err := read.Public(suite)
			require.NoError(t, err, "without a passphrase")
			require.Equal(t, key.Public().Bytes(), public.Bytes())
			opened, err := read.Open(suite, []byte("correct horse"))
			require.NoError(t, err)
			require.Equal(t, key.Bytes(), opened.Bytes())
			sig, err := opened.Sign([]byte("m"))
			require.NoError(t, err)
			require.NoError(t, public.Verify([]byte("m"), sig))
			for _, wrong := range []string{"", "correct hors", "correct horse ", "Correct horse"} {
				_, err = read.Open(suite, []byte(wrong))
				require.ErrorIs(t, err, ErrPassphrase, "%q", wrong)
			}
			for _, other := range suites {
				if other.Name() != suite.Name() {
					_, err = read.Open(other, []byte("correct horse"))
					require.ErrorContains(t, err, "it is of suite")
				}
			}
			_, again := sealed(t, suite, "correct horse")
			require.NotEqual(t, f.Sealed, again.Sealed)
			require.NotEqual(t, f.Scrypt.Salt, again.Scrypt.Salt)
			require.NoError(t, again.Replace(path))
			read, err = Read(path)
			require.NoError(t, err)
			require.Equal(t, again, read)
		})
	}
}

// TestAlteredKeyFileDoesNotOpen changes every field of a file in turn.
func TestAlteredKeyFileDoesNotOpen(t *testing.T) {
	for _, suite := range suites {
		_, other := sealed(t, suite, "correct horse")
		for name, change := range map[string]func(*File){
			"publicKey": func(f *File) { f.PublicKey = other.PublicKey },
			"n":         func(f *File) { f.Scrypt.N *= 2 },
			"r":         func(f *File) { f.Scrypt.R++ },
			"p":         func(f *File) { f.Scrypt.P++ },
			"salt":      func(f *File) { f.Scrypt.Salt = other.Scrypt.Salt },
			"sealed":    func(f *File) { f.Sealed = other.Sealed },
			"cut":       func(f *File) { f.Sealed = f.Sealed[:len(f.Sealed)-2] },
			"tiny":      func(f *File) { f.Sealed = "00" },
		} {
			_, f := sealed(t, suite, "correct horse")
			change(f)
			_, err := f.Open(suite, []byte("correct horse"))
			require.ErrorIs(t, err, ErrPassphrase, "%s: %s", suite.Name(), name)
		}
		_, f := sealed(t, suite, "correct horse")
		f.Version = 2
		_, err := f.Open(suite, []byte("correct horse"))
		require.ErrorIs(t, err, ErrPassphrase)
	}
}

// TestDerivationIsFixed holds the way from passphrase to key to its first day: files that exist must open with later versions.
func TestDerivationIsFixed(t *testing.T) {
	d := &Derivation{N: 16, R: 8, P: 1, Salt: strings.Repeat("01", saltSize)}
	for suite, want := range map[crypto.Suite]string{
		intl.Suite{}: "7bfd95d6dc9ce0d7ffbb13f976d81667818b4b3bfe9c57dec5efcf0ee56bc0da",
		gm.Suite{}:   "38e1bafa21f4191860e6d73c69aaa04a",
	} {
		key, err := d.key(suite, []byte("passphrase"))
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(key), suite.Name())
	}
}

func TestHostileKeyFilesCostNothing(t *testing.T) {
	_, f := sealed(t, intl.Suite{}, "correct horse")
	good, err := f.Encode()
	require.NoError(t, err)
	change := func(edit func(map[string]any)) []byte {
		var m map[string]any
		require.NoError(t, json.Unmarshal(good, &m))
		edit(m)
		b, err := json.Marshal(m)
		require.NoError(t, err)
		return b
	}
	scrypt := func(name string, value any) []byte {
		return change(func(m map[string]any) { m["scrypt"].(map[string]any)[name] = value })
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"all memory":     {scrypt("n", 1<<30), "asks for too much"},
		"all memory, r":  {scrypt("r", 1<<20), "asks for too much"},
		"overflow":       {scrypt("r", 1<<62), "asks for too much"},
		"all time":       {scrypt("p", 1000), "asks for too much"},
		"no power":       {scrypt("n", 5000), "power of two"},
		"negative":       {scrypt("n", -4), "power of two"},
		"zero r":         {scrypt("r", 0), "asks for too much"},
		"short salt":     {scrypt("salt", "00"), "scrypt.salt"},
		"no hex":         {change(func(m map[string]any) { m["sealed"] = "zz" }), "sealed is no hex"},
		"no key":         {change(func(m map[string]any) { delete(m, "sealed") }), "sealed is no hex"},
		"no scrypt":      {change(func(m map[string]any) { delete(m, "scrypt") }), "scrypt is missing"},
		"no public key":  {change(func(m map[string]any) { m["publicKey"] = "" }), "publicKey"},
		"no suite":       {change(func(m map[string]any) { m["suite"] = "" }), "no suite"},
		"later version":  {change(func(m map[string]any) { m["version"] = 9 }), "version 9"},
		"unknown field":  {change(func(m map[string]any) { m["more"] = 1 }), "more"},
		"device and key": {change(func(m map[string]any) { m["device"] = "pkcs11" }), "holds a key too"},
		"empty":          {nil, "EOF"},
		"no json":        {[]byte("node key"), "invalid character"},
		"huge":           {make([]byte, MaxFile+1), "exceeds"},
	} {
		_, err := Parse(c.file)
		require.ErrorIs(t, err, ErrFile, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

// TestPlainKeyFileIsRefused is about files of former versions.
func TestPlainKeyFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	require.NoError(t, os.WriteFile(path, []byte(`{"suite":"intl","publicKey":"00","privateKey":"11"}`), 0o600))
	_, err := Read(path)
	require.ErrorIs(t, err, ErrPlaintext)
	require.ErrorContains(t, err, "jialing key encrypt "+path)
}

func FuzzParse(f *testing.F) {
	for _, suite := range suites {
		_, file := sealed(f, suite, "correct horse")
		b, err := file.Encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"version":1,"suite":"intl","publicKey":"00","device":"pkcs11"}`))
	f.Add([]byte(`{"suite":"intl","publicKey":"00","privateKey":"11"}`))
	f.Add([]byte(`{"version":1,"scrypt":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		if s := file.Scrypt; s != nil && 128*s.N*s.R > maxScryptBytes {
			t.Fatal("it may ask for too much memory")
		}
		again, err := file.Encode()
		require.NoError(t, err)
		reread, err := Parse(again)
		require.NoError(t, err)
		require.Equal(t, file, reread)
	})
}
