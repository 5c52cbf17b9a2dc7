package interop_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	mathrand "math/rand/v2"
	"testing"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// key is a scalar and X ‖ Y.
type key struct{ private, public []byte }

// party is an implementation. Signatures are r ‖ s; it converts to what its library takes.
type party interface {
	hash(t *testing.T, msg []byte) []byte
	generate(t *testing.T) key
	sign(t *testing.T, k key, id string, msg []byte) []byte
	verify(t *testing.T, public []byte, id string, msg, sig []byte) bool
}

var others = []struct {
	name  string
	start func(t *testing.T) party
}{
	{"gmsm", func(*testing.T) party { return gmsmItself{} }},
	{"openssl", startOpenSSL},
	{"sm-crypto", startNPM("sm-crypto")},
	{"sm-crypto-v2", startNPM("sm-crypto-v2")},
}

const otherID = "ALICE123@YAHOO.COM"

// messages are of every length at which SM3 pads differently and of some drawn; what they hold is drawn.
func messages(t *testing.T) (out [][]byte) {
	for _, size := range []int{0, 1, 31, 32, 55, 56, 63, 64, 65, 119, 128, mathrand.IntN(1000), 4096} {
		msg := make([]byte, size)
		_, err := rand.Read(msg)
		require.NoError(t, err)
		out = append(out, msg)
	}
	return out
}

func TestSM3(t *testing.T) {
	for _, o := range others {
		t.Run(o.name, func(t *testing.T) {
			other := o.start(t)
			for _, msg := range messages(t) {
				require.Equal(t, ours{}.hash(t, msg), other.hash(t, msg), "%x", msg)
			}
		})
	}
}

// TestSM4GCM: what one seals the other opens, and nothing that was altered. Of the others only sm-crypto-v2 has this mode: OpenSSL has it since 3.1.
func TestSM4GCM(t *testing.T) {
	other := startNPM("sm-crypto-v2")(t).(*npmPackage)
	for _, plain := range messages(t) {
		key, nonce, context := make([]byte, 16), make([]byte, 12), make([]byte, mathrand.IntN(40))
		for _, b := range [][]byte{key, nonce, context} {
			_, err := rand.Read(b)
			require.NoError(t, err)
		}
		aead, err := gm.Suite{}.AEAD(key)
		require.NoError(t, err)
		request := map[string]any{"key": hex.EncodeToString(key), "nonce": hex.EncodeToString(nonce), "context": hex.EncodeToString(context)}
		call := func(method, name string, value []byte) (string, error) {
			var result string
			request["method"], request[name] = method, hex.EncodeToString(value)
			return result, other.call(t, &result, request)
		}
		sealed := aead.Seal(nil, nonce, plain, context)
		theirs, err := call("seal", "plain", plain)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(sealed), theirs)
		opened, err := call("open", "sealed", sealed)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(plain), opened)
		_, err = call("open", "sealed", flip(sealed))
		require.Error(t, err, "a tag altered")
		_, err = aead.Open(nil, nonce, flip(sealed), context)
		require.Error(t, err, "a tag altered")
	}
}

// TestSM2: each signs with keys of either, and both verify.
func TestSM2(t *testing.T) {
	for _, o := range others {
		t.Run(o.name, func(t *testing.T) {
			other := o.start(t)
			parties := []party{ours{}, other}
			msgs := messages(t)
			for i, maker := range parties {
				k := maker.generate(t)
				for _, msg := range msgs[:len(msgs)/(2-i)] { // half of them with our key: OpenSSL is a process for each signature
					for _, signer := range parties {
						sig := signer.sign(t, k, sm2.DefaultID, msg)
						for _, verifier := range parties {
							require.True(t, verifier.verify(t, k.public, sm2.DefaultID, msg, sig), "%T's key %x, %T signed %x: %x, %T verifies", maker, k.private, signer, msg, sig, verifier)
						}
					}
				}
				for _, signer := range parties {
					sig := signer.sign(t, k, otherID, msgs[3])
					for _, verifier := range parties {
						require.True(t, verifier.verify(t, k.public, otherID, msgs[3], sig), "another identifier")
						require.False(t, verifier.verify(t, k.public, sm2.DefaultID, msgs[3], sig), "the default one")
					}
				}
			}
		})
	}
}

// TestSM2Refused: what is no signature is none to anybody.
func TestSM2Refused(t *testing.T) {
	n := gmsm.P256().Params().N
	for _, o := range others {
		t.Run(o.name, func(t *testing.T) {
			other := o.start(t)
			parties := []party{ours{}, other}
			msg := messages(t)[8]
			for _, signer := range parties {
				k, stranger := signer.generate(t), signer.generate(t)
				sig := signer.sign(t, k, sm2.DefaultID, msg)
				r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
				with := func(r, s *big.Int) []byte {
					return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
				}
				for name, c := range map[string]struct {
					public   []byte
					id       string
					msg, sig []byte
				}{
					"another identifier": {k.public, otherID, msg, sig}, "a message altered": {k.public, sm2.DefaultID, flip(msg), sig},
					"another message": {k.public, sm2.DefaultID, msg[1:], sig}, "another's key": {stranger.public, sm2.DefaultID, msg, sig},
					"r altered": {k.public, sm2.DefaultID, msg, append(flip(sig[:32]), sig[32:]...)}, "s altered": {k.public, sm2.DefaultID, msg, flip(sig)},
					"swapped": {k.public, sm2.DefaultID, msg, with(s, r)}, "n-s": {k.public, sm2.DefaultID, msg, with(r, new(big.Int).Sub(n, s))},
					"r+s = n": {k.public, sm2.DefaultID, msg, with(r, new(big.Int).Sub(n, r))},
					"r = 0":   {k.public, sm2.DefaultID, msg, with(new(big.Int), s)}, "s = 0": {k.public, sm2.DefaultID, msg, with(r, new(big.Int))},
					"r = n": {k.public, sm2.DefaultID, msg, with(n, s)}, "s = n": {k.public, sm2.DefaultID, msg, with(r, n)},
				} {
					for _, verifier := range parties {
						require.False(t, verifier.verify(t, c.public, c.id, c.msg, c.sig), "%s: %T signed %x with %x: %x, %T verifies", name, signer, msg, k.private, sig, verifier)
					}
				}
			}
		})
	}
}

// TestDER: a signature in a form of DER but its own is refused here as OpenSSL does.
func TestDER(t *testing.T) {
	o := startOpenSSL(t).(openssl)
	k, msg := o.generate(t), messages(t)[5]
	sig := o.sign(t, k, sm2.DefaultID, msg)
	der, err := sm2.EncodeDER(sig)
	require.NoError(t, err)
	require.True(t, o.verifyDER(t, k.public, sm2.DefaultID, msg, der))
	zeros := append([]byte{0x30, der[1] + 1, 2, der[3] + 1, 0}, der[4:]...)
	for name, bad := range map[string][]byte{
		"a zero too many": zeros, "a length in two bytes": append([]byte{0x30, 0x81}, der[1:]...), "a byte after it": append(bytes.Clone(der), 0),
		"cut off": der[:len(der)-1], "r ‖ s": sig, "nothing": {},
	} {
		require.False(t, o.verifyDER(t, k.public, sm2.DefaultID, msg, bad), name)
		_, err := sm2.DecodeDER(bad)
		require.ErrorIs(t, err, sm2.ErrSignature, name)
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// ours is what the node has.
type ours struct{}

func (ours) hash(_ *testing.T, msg []byte) []byte {
	h := gm.Suite{}.Sum(msg)
	return h[:]
}

func (ours) generate(t *testing.T) key {
	k, err := sm2.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key{k.Bytes(), k.Public().Bytes()}
}

func (ours) sign(t *testing.T, k key, id string, msg []byte) []byte {
	private, err := sm2.ParsePrivateKey(k.private)
	require.NoError(t, err)
	require.Equal(t, k.public, private.Public().Bytes(), "both get the same public key of a private one")
	sig, err := private.Sign(rand.Reader, id, msg)
	require.NoError(t, err)
	return sig
}

func (ours) verify(t *testing.T, public []byte, id string, msg, sig []byte) bool {
	k, err := sm2.ParsePublicKey(public)
	require.NoError(t, err)
	return k.Verify(id, msg, sig)
}

// gmsmItself is the library that ours stands on, by its own interface.
type gmsmItself struct{}

func (gmsmItself) hash(_ *testing.T, msg []byte) []byte {
	h := sm3.New()
	h.Write(msg)
	return h.Sum(nil)
}

func (gmsmItself) generate(t *testing.T) key {
	k, err := gmsm.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key{k.D.FillBytes(make([]byte, 32)), append(k.X.FillBytes(make([]byte, 32)), k.Y.FillBytes(make([]byte, 32))...)}
}

func (gmsmItself) sign(t *testing.T, k key, id string, msg []byte) []byte {
	private, err := gmsm.NewPrivateKey(k.private)
	require.NoError(t, err)
	der, err := private.SignWithSM2(rand.Reader, []byte(id), msg)
	require.NoError(t, err)
	sig, err := sm2.DecodeDER(der)
	require.NoError(t, err)
	return sig
}

func (gmsmItself) verify(t *testing.T, public []byte, id string, msg, sig []byte) bool {
	k, err := gmsm.NewPublicKey(append([]byte{4}, public...))
	require.NoError(t, err)
	return gmsm.VerifyWithSM2(k, []byte(id), msg, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}
