package cryptotest

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Vectors are what the standards of a suite print, as hexadecimal digits; spaces within are free. A suite has at least one of each.
type Vectors struct {
	Hashes     []HashVector
	Signatures []SignatureVector
	Seals      []SealVector
}

// HashVector is the digest of a message.
type HashVector struct{ Source, Message, Digest string }

// SignatureVector is a key pair and a signature of its.
type SignatureVector struct {
	Source, Private, Public, Message, Signature string
	// Deterministic suites give this signature and no other.
	Deterministic bool
}

// SealVector is one use of the AEAD. Sealed is ciphertext ‖ tag.
type SealVector struct{ Source, Key, Nonce, Context, Plain, Sealed string }

func (v Vectors) run(t *testing.T, suite crypto.Suite) {
	require.NotEmpty(t, v.Hashes)
	require.NotEmpty(t, v.Signatures)
	require.NotEmpty(t, v.Seals)
	for _, v := range v.Hashes {
		msg, digest := unhex(t, v.Message), unhex(t, v.Digest)
		sum := suite.Sum(msg)
		require.Equal(t, digest, sum[:], v.Source)
		for cut := range msg { // in parts of every size
			sum = suite.Sum(slices.Collect(slices.Chunk(msg, cut+1))...)
			require.Equal(t, digest, sum[:], "%s in parts of %d", v.Source, cut+1)
		}
	}
	for _, v := range v.Signatures {
		key, err := suite.ParsePrivateKey(unhex(t, v.Private))
		require.NoError(t, err, v.Source)
		require.Equal(t, unhex(t, v.Public), key.Public().Bytes(), v.Source)
		public, err := suite.ParsePublicKey(unhex(t, v.Public))
		require.NoError(t, err, v.Source)
		require.NoError(t, public.Verify(unhex(t, v.Message), unhex(t, v.Signature)), v.Source)
		if v.Deterministic {
			sig, err := key.Sign(unhex(t, v.Message))
			require.NoError(t, err, v.Source)
			require.Equal(t, unhex(t, v.Signature), sig, v.Source)
		}
	}
	for _, v := range v.Seals {
		aead, err := suite.AEAD(unhex(t, v.Key))
		require.NoError(t, err, v.Source)
		nonce, context, plain, sealed := unhex(t, v.Nonce), unhex(t, v.Context), unhex(t, v.Plain), unhex(t, v.Sealed)
		require.Equal(t, sealed, aead.Seal(nil, nonce, plain, context), v.Source)
		opened, err := suite.Open(unhex(t, v.Key), slices.Concat(nonce, sealed), context)
		require.NoError(t, err, v.Source)
		require.Equal(t, plain, opened, v.Source)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}
