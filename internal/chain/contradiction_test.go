package chain_test

import (
	"bytes"
	"encoding/hex"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// commitOf is a commit as the bft engine signs it.
func commitOf(genesis crypto.Hash, height, view byte, what crypto.Hash, aux ...byte) []byte {
	b := append([]byte("jialing/order/1"), genesis[:]...)
	b = append(b, "commit/2:"...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, height, 0, 0, 0, 0, 0, 0, 0, view)
	return append(append(b, what[:]...), aux...)
}

func TestParseClaim(t *testing.T) {
	g, w := crypto.Hash{1}, crypto.Hash{2}
	attested := chain.AttestationMessage(g, 7, w)
	require.Equal(t, "6a69616c696e672f6174746573742f31"+hex.EncodeToString(g[:])+"0000000000000007"+hex.EncodeToString(w[:]), hex.EncodeToString(attested))
	c, err := chain.ParseClaim(attested)
	require.NoError(t, err)
	require.Equal(t, chain.Claim{Chain: g, Height: 7, What: w}, c)
	for _, aux := range [][]byte{nil, {1, 2, 3}, make([]byte, 16*chain.MaxValidators)} {
		c, err = chain.ParseClaim(commitOf(g, 7, 3, w, aux...))
		require.NoError(t, err)
		require.Equal(t, chain.Claim{Commit: true, Chain: g, Height: 7, View: 3, What: w}, c)
	}
	for name, msg := range map[string][]byte{
		"nothing":             nil,
		"a short attestation": attested[:len(attested)-1],
		"a long attestation":  append(bytes.Clone(attested), 0),
		"a short commit":      commitOf(g, 7, 3, w)[:103],
		"a long commit":       commitOf(g, 7, 3, w, make([]byte, 16*chain.MaxValidators+1)...),
		"another domain":      append([]byte("jialing/order/2"), commitOf(g, 7, 3, w)[15:]...),
		"the former commit":   append(append([]byte("jialing/order/1"), g[:]...), append([]byte("commit:"), make([]byte, 100)...)...),
		"a state":             append(append([]byte("jialing/order/1"), g[:]...), append([]byte("view data:"), make([]byte, 100)...)...),
	} {
		_, err := chain.ParseClaim(msg)
		require.Error(t, err, name)
	}
}

func FuzzParseClaim(f *testing.F) {
	f.Add(chain.AttestationMessage(crypto.Hash{1}, 7, crypto.Hash{2}))
	f.Add(commitOf(crypto.Hash{1}, 7, 3, crypto.Hash{2}, 9))
	f.Add([]byte("jialing/order/1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := chain.ParseClaim(b)
		if err == nil && !c.Commit {
			require.Equal(t, b, chain.AttestationMessage(c.Chain, c.Height, c.What), "one form only")
		}
	})
}

func TestContradiction(t *testing.T) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) {
			key, err := suite.GenerateKey(rand.New(rand.NewSource(1)))
			require.NoError(t, err)
			g, other := crypto.Hash{1}, crypto.Hash{9}
			a, b := crypto.Hash{2}, crypto.Hash{3}
			pair := func(first, second []byte) *chain.Contradiction {
				c := &chain.Contradiction{Validator: 1, PublicKey: key.Public().Bytes(), Messages: [2][]byte{first, second}}
				for i, msg := range c.Messages {
					c.Signatures[i], err = key.Sign(msg)
					require.NoError(t, err)
				}
				return c
			}
			att := func(g crypto.Hash, height uint64, w crypto.Hash) []byte {
				return chain.AttestationMessage(g, height, w)
			}
			require.NoError(t, pair(att(g, 7, a), att(g, 7, b)).Verify(suite, g))
			require.NoError(t, pair(att(g, 7, b), att(g, 7, a)).Verify(suite, g))
			require.NoError(t, pair(commitOf(g, 7, 3, a, 1), commitOf(g, 7, 3, b)).Verify(suite, g))
			for name, c := range map[string]*chain.Contradiction{
				"the same twice":    pair(att(g, 7, a), att(g, 7, a)),
				"other words only":  pair(commitOf(g, 7, 3, a, 1), commitOf(g, 7, 3, a, 2)),
				"two heights":       pair(att(g, 7, a), att(g, 8, b)),
				"two views":         pair(commitOf(g, 7, 3, a), commitOf(g, 7, 4, b)),
				"two kinds":         pair(att(g, 7, a), commitOf(g, 7, 0, b)),
				"another chain":     pair(att(other, 7, a), att(other, 7, b)),
				"two chains":        pair(att(g, 7, a), att(other, 7, b)),
				"no claims":         pair(nil, nil),
				"what is no commit": pair([]byte("jialing/order/1"), []byte("jialing/order/1")),
			} {
				require.ErrorIs(t, c.Verify(suite, g), chain.ErrContradiction, name)
			}
			for i := range 2 {
				c := pair(att(g, 7, a), att(g, 7, b))
				c.Signatures[i][5] ^= 1
				require.ErrorIs(t, c.Verify(suite, g), chain.ErrContradiction)
				c.Signatures[i] = nil
				require.ErrorIs(t, c.Verify(suite, g), chain.ErrContradiction)
			}
			c := pair(att(g, 7, a), att(g, 7, b))
			c.PublicKey = c.PublicKey[1:]
			require.ErrorIs(t, c.Verify(suite, g), chain.ErrContradiction)

			set := chain.ValidatorSet{{ID: 1, PublicKey: key.Public().Bytes()}}
			e := &chain.Equivocation{Height: 7, Validator: 1, Headers: [2]crypto.Hash{a, b}, Signatures: pair(att(g, 7, a), att(g, 7, b)).Signatures}
			require.NoError(t, e.Contradiction(g, set).Verify(suite, g))
			require.Nil(t, e.Contradiction(g, nil))
		})
	}
}
