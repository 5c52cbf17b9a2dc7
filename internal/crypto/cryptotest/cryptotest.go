// Package cryptotest is the contract of crypto.Suite as tests: every suite passes the same ones.
//
// It stands beside the suites, owns nothing, and is imported by tests only.
package cryptotest

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Run checks suite against the contract.
func Run(t *testing.T, suite crypto.Suite) {
	t.Run("hash", func(t *testing.T) { testHash(t, suite) })
	t.Run("sign", func(t *testing.T) { testSign(t, suite) })
	t.Run("keys", func(t *testing.T) { testKeys(t, suite) })
	t.Run("seal", func(t *testing.T) { testSeal(t, suite) })
	t.Run("certificates", func(t *testing.T) { testCertificates(t, suite) })
	t.Run("requests", func(t *testing.T) { testRequests(t, suite) })
}

func testHash(t *testing.T, suite crypto.Suite) {
	whole := suite.Sum([]byte("ab"), nil, []byte("c"))
	require.Equal(t, whole, suite.Sum([]byte("abc")), "parts are concatenated")
	h := suite.NewHash()
	h.Write([]byte("abc"))
	require.Equal(t, whole[:], h.Sum(nil), "stream and one call agree")
	require.NotEqual(t, whole, suite.Sum([]byte("abd")))

	var back crypto.Hash
	require.NoError(t, back.UnmarshalText([]byte(whole.String())))
	require.Equal(t, whole, back)
	for _, bad := range []string{"", "0x", "0x12", whole.String()[2:], whole.String() + "0", "0x" + string(bytes.Repeat([]byte("g"), 64))} {
		require.Error(t, new(crypto.Hash).UnmarshalText([]byte(bad)), bad)
	}
}

func testSign(t *testing.T, suite crypto.Suite) {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	msg := []byte("block 7")
	sig, err := key.Sign(msg)
	require.NoError(t, err)
	require.NoError(t, key.Public().Verify(msg, sig))
	require.ErrorIs(t, key.Public().Verify([]byte("block 8"), sig), crypto.ErrSignature)
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		require.ErrorIs(t, key.Public().Verify(msg, bad), crypto.ErrSignature, "byte %d altered", i)
	}
	for _, bad := range [][]byte{nil, {}, sig[:len(sig)-1], append(bytes.Clone(sig), 0)} {
		require.ErrorIs(t, key.Public().Verify(msg, bad), crypto.ErrSignature)
	}
	other, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.ErrorIs(t, other.Public().Verify(msg, sig), crypto.ErrSignature)
}

func testKeys(t *testing.T, suite crypto.Suite) {
	seed := bytes.Repeat([]byte{7}, 256)
	a, err := suite.GenerateKey(bytes.NewReader(seed))
	require.NoError(t, err)
	b, err := suite.ParsePrivateKey(a.Bytes())
	require.NoError(t, err)
	require.Equal(t, a.Public().Bytes(), b.Public().Bytes())
	pub, err := suite.ParsePublicKey(a.Public().Bytes())
	require.NoError(t, err)
	sig, err := b.Sign([]byte("m"))
	require.NoError(t, err)
	require.NoError(t, pub.Verify([]byte("m"), sig))

	_, err = suite.GenerateKey(bytes.NewReader(nil))
	require.Error(t, err, "a reader without randomness is an error")
	for _, bad := range [][]byte{nil, {1}, bytes.Repeat([]byte{1}, 200)} {
		_, err = suite.ParsePrivateKey(bad)
		require.Error(t, err)
		_, err = suite.ParsePublicKey(bad)
		require.Error(t, err)
	}
}

func testSeal(t *testing.T, suite crypto.Suite) {
	key := bytes.Repeat([]byte{9}, suite.KeySize())
	sealed, err := suite.Seal(rand.Reader, key, []byte("secret"), []byte("ctx"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "secret")
	plain, err := suite.Open(key, sealed, []byte("ctx"))
	require.NoError(t, err)
	require.Equal(t, "secret", string(plain))
	again, err := suite.Seal(rand.Reader, key, []byte("secret"), []byte("ctx"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "a nonce is never reused")

	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err = suite.Open(key, bad, []byte("ctx"))
		require.ErrorIs(t, err, crypto.ErrSealed)
	}
	_, err = suite.Open(key, sealed, []byte("other"))
	require.ErrorIs(t, err, crypto.ErrSealed)
	_, err = suite.Open(key, nil, nil)
	require.ErrorIs(t, err, crypto.ErrSealed)
	_, err = suite.Open(key[1:], sealed, []byte("ctx"))
	require.Error(t, err)
	_, err = suite.Seal(rand.Reader, key[1:], nil, nil)
	require.Error(t, err)
}
