// Package cryptotest is the contract of crypto.Suite as tests: every suite passes the same ones.
//
// It stands beside the suites, owns nothing, and is imported by tests only.
package cryptotest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Run checks suite against the contract and against the vectors of its standards.
func Run(t *testing.T, suite crypto.Suite, vectors Vectors) {
	t.Run("vectors", func(t *testing.T) { vectors.run(t, suite) })
	t.Run("hash", func(t *testing.T) { testHash(t, suite) })
	t.Run("sign", func(t *testing.T) { testSign(t, suite) })
	t.Run("anything signed", func(t *testing.T) { testAnythingSigned(t, suite) })
	t.Run("remembered", func(t *testing.T) { testRemembered(t, suite) })
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, suite) })
	t.Run("keys", func(t *testing.T) { testKeys(t, suite) })
	t.Run("seal", func(t *testing.T) { testSeal(t, suite) })
	t.Run("anything sealed", func(t *testing.T) { testAnythingSealed(t, suite) })
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

// testAnythingSigned: a signature is of one message by one key, whatever the message.
func testAnythingSigned(t *testing.T, suite crypto.Suite) {
	rapid.Check(t, func(t *rapid.T) {
		key, err := suite.GenerateKey(rand.Reader)
		require.NoError(t, err)
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "message")
		sig, err := key.Sign(msg)
		require.NoError(t, err)
		public, err := suite.ParsePublicKey(key.Public().Bytes())
		require.NoError(t, err)
		require.NoError(t, public.Verify(msg, sig))
		other := rapid.SliceOf(rapid.Byte()).Filter(func(b []byte) bool { return !bytes.Equal(b, msg) }).Draw(t, "other")
		require.ErrorIs(t, public.Verify(other, sig), crypto.ErrSignature)
		require.ErrorIs(t, public.Verify(msg, rapid.SliceOf(rapid.Byte()).Draw(t, "no signature")), crypto.ErrSignature)
	})
}

// testRemembered: a suite that remembers keys judges as the suite does, however often a key comes.
func testRemembered(t *testing.T, suite crypto.Suite) {
	remembering := crypto.Remember(suite)
	testKeys(t, remembering)
	testSign(t, remembering)
	key, other := mustKey(t, suite), mustKey(t, suite)
	for n := range 100 {
		msg := []byte{byte(n)}
		sig, err := key.Sign(msg)
		require.NoError(t, err)
		for _, public := range []crypto.PublicKey{key.Public(), other.Public()} {
			again, err := remembering.ParsePublicKey(public.Bytes())
			require.NoError(t, err)
			require.Equal(t, public.Bytes(), again.Bytes())
			require.Equal(t, public.Verify(msg, sig), again.Verify(msg, sig))
			require.ErrorIs(t, again.Verify(append(msg, 1), sig), crypto.ErrSignature)
			sig[n%len(sig)] ^= 1
			require.ErrorIs(t, again.Verify(msg, sig), crypto.ErrSignature)
			sig[n%len(sig)] ^= 1
		}
	}
}

// testConcurrent gives one key to many: keys are safe for concurrent use, which the race detector checks too.
func testConcurrent(t *testing.T, suite crypto.Suite) {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			for n := range 8 {
				msg := []byte{byte(i), byte(n)}
				sig, err := key.Sign(msg)
				errs[i] = errors.Join(errs[i], err, key.Public().Verify(msg, sig))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
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

	for _, bytesOf := range []func() []byte{a.Bytes, a.Public().Bytes} {
		before := bytes.Clone(bytesOf())
		clear(bytesOf())
		require.Equal(t, before, bytesOf(), "the caller's copy is the caller's")
	}
	_, err = suite.ParsePublicKey(make([]byte, len(a.Public().Bytes())+1))
	require.Error(t, err)
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

// testAnythingSealed: what is sealed opens with its key and context and as a whole, and with nothing else.
func testAnythingSealed(t *testing.T, suite crypto.Suite) {
	aead, err := suite.AEAD(make([]byte, suite.KeySize()))
	require.NoError(t, err)
	require.Equal(t, 12, aead.NonceSize())
	require.Equal(t, 16, aead.Overhead())
	anything := rapid.SliceOf(rapid.Byte())
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), suite.KeySize(), suite.KeySize()).Draw(t, "key")
		plain, context := anything.Draw(t, "plain"), anything.Draw(t, "context")
		sealed, err := suite.Seal(rand.Reader, key, plain, context)
		require.NoError(t, err)
		require.Len(t, sealed, 12+len(plain)+16)
		opened, err := suite.Open(key, sealed, context)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, opened))

		at := rapid.IntRange(0, suite.KeySize()-1).Draw(t, "bit of the key")
		key[at] ^= 1
		_, err = suite.Open(key, sealed, context)
		require.ErrorIs(t, err, crypto.ErrSealed)
		key[at] ^= 1
		_, err = suite.Open(key, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")], context)
		require.ErrorIs(t, err, crypto.ErrSealed)
		_, err = suite.Open(key, sealed, append(context, 0))
		require.ErrorIs(t, err, crypto.ErrSealed)
	})
}
