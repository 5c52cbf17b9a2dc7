package chain_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// signers are a validator set with its keys; ids are 2, 4, 6, …
func signers(t *testing.T, n int) (chain.ValidatorSet, []crypto.PrivateKey) {
	var set chain.ValidatorSet
	var keys []crypto.PrivateKey
	for i := range n {
		key, err := suite.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{byte(i + 1)}, 64)))
		require.NoError(t, err)
		keys = append(keys, key)
		set = append(set, chain.Validator{ID: chain.ValidatorID(2 * (i + 1)), PublicKey: key.Public().Bytes(), Address: common.Address{byte(i)}})
	}
	return set, keys
}

func certify(t *testing.T, genesis crypto.Hash, set chain.ValidatorSet, keys []crypto.PrivateKey) *chain.Certificate {
	c := &chain.Certificate{Height: 7, Block: common.Hash{1}, Header: crypto.Hash{2}}
	for i, key := range keys {
		sig, err := key.Sign(chain.AttestationMessage(genesis, c.Height, c.Header))
		require.NoError(t, err)
		c.Attestations = append(c.Attestations, chain.Attestation{Validator: set[i].ID, Signature: sig})
	}
	return c
}

func TestCertificateVerify(t *testing.T) {
	genesis := crypto.Hash{9}
	set, keys := signers(t, 4)
	require.NoError(t, certify(t, genesis, set, keys).Verify(suite, genesis, set, 3))
	require.NoError(t, certify(t, genesis, set, keys[:3]).Verify(suite, genesis, set, 3))

	for name, c := range map[string]struct {
		alter  func(*chain.Certificate, chain.ValidatorSet)
		quorum int
		text   string
	}{
		"too few":             {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Attestations = c.Attestations[:2] }, 3, "2 attestations, quorum 3"},
		"none":                {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Attestations = nil }, 1, "0 attestations"},
		"a quorum of nobody":  {func(*chain.Certificate, chain.ValidatorSet) {}, 0, "quorum 0"},
		"a negative quorum":   {func(*chain.Certificate, chain.ValidatorSet) {}, -1, "quorum -1"},
		"another height":      {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Height++ }, 3, "validator 2"},
		"another header":      {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Header[31] ^= 1 }, 3, "validator 2"},
		"a signature altered": {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Attestations[3].Signature[0] ^= 1 }, 3, "validator 8"},
		"a signature cut": {func(c *chain.Certificate, _ chain.ValidatorSet) {
			c.Attestations[1].Signature = c.Attestations[1].Signature[:63]
		}, 3, "validator 4"},
		"a signature swapped": {func(c *chain.Certificate, _ chain.ValidatorSet) {
			c.Attestations[0].Signature = c.Attestations[1].Signature
		}, 3, "validator 2"},
		"a stranger":  {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Attestations[3].Validator = 9 }, 3, "validator 9 is no member"},
		"validator 0": {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Attestations[0].Validator = 0 }, 3, "validator 0 is no member"},
		"one twice":   {func(c *chain.Certificate, _ chain.ValidatorSet) { c.Attestations[1] = c.Attestations[0] }, 3, "validator 2 is no member, or there twice"},
		"descending": {func(c *chain.Certificate, _ chain.ValidatorSet) {
			c.Attestations[0], c.Attestations[1] = c.Attestations[1], c.Attestations[0]
		}, 3, "validator 2"},
		"a member without key": {func(_ *chain.Certificate, s chain.ValidatorSet) { s[2].PublicKey = []byte{1} }, 3, "key of validator 6"},
	} {
		t.Run(name, func(t *testing.T) {
			altered := append(chain.ValidatorSet(nil), set...)
			cert := certify(t, genesis, set, keys)
			c.alter(cert, altered)
			err := cert.Verify(suite, genesis, altered, c.quorum)
			require.ErrorIs(t, err, chain.ErrCertificate)
			require.ErrorContains(t, err, c.text)
		})
	}
	require.ErrorIs(t, certify(t, genesis, set, keys).Verify(suite, crypto.Hash{8}, set, 3), chain.ErrCertificate, "another chain")
}

func TestRefusedCertificates(t *testing.T) {
	for text, alter := range map[string]func(*chain.Certificate){
		"not sorted":                   func(c *chain.Certificate) { c.Attestations[1].Validator = 1 },
		"validator 0":                  func(c *chain.Certificate) { c.Attestations[0].Validator = 0 },
		"513 attestations, at most 51": func(c *chain.Certificate) { c.Attestations = ascending(chain.MaxValidators + 1) },
	} {
		c := goldenCertificate()
		alter(c)
		_, err := chain.DecodeCertificate(c.Encode())
		require.ErrorContains(t, err, text)
	}
	c := goldenCertificate()
	c.Attestations = ascending(chain.MaxValidators)
	_, err := chain.DecodeCertificate(c.Encode())
	require.NoError(t, err)
	for _, b := range [][]byte{nil, {0xc0}, append(goldenCertificate().Encode(), 0)} {
		_, err := chain.DecodeCertificate(b)
		require.Error(t, err)
	}
}

func TestValidatorSet(t *testing.T) {
	set, _ := signers(t, 5)
	for _, v := range set {
		require.Equal(t, v, *set.Find(v.ID))
		require.Nil(t, set.Find(v.ID+1))
	}
	require.Nil(t, set.Find(0))
	require.Nil(t, chain.ValidatorSet(nil).Find(1))

	hash := func(engine chain.EngineKind, set chain.ValidatorSet) crypto.Hash {
		return (&chain.Rule{Engine: engine, Set: set}).Hash(suite)
	}
	require.Equal(t, "0xb24b4365d16b1d20a916353a054bb1f6aa3efc7934fee9b18645a18fa70fcf70", hash(chain.BFT, set).String())
	seen := map[crypto.Hash]bool{hash(chain.BFT, set): true, hash(chain.BFT, set[:4]): true, hash(chain.Raft, set): true, hash(chain.PoW, nil): true}
	require.Len(t, seen, 4)
	for _, alter := range []func(*chain.Validator){
		func(v *chain.Validator) { v.ID++ },
		func(v *chain.Validator) { v.Address[0] ^= 1 },
		func(v *chain.Validator) { v.PublicKey = append([]byte{1}, v.PublicKey...) },
	} {
		other := append(chain.ValidatorSet(nil), set...)
		alter(&other[2])
		require.False(t, seen[hash(chain.BFT, other)])
		seen[hash(chain.BFT, other)] = true
	}
}

func ascending(n int) []chain.Attestation {
	out := make([]chain.Attestation, n)
	for i := range out {
		sig := make([]byte, 2)
		rand.Read(sig)
		out[i] = chain.Attestation{Validator: chain.ValidatorID(i + 1), Signature: sig}
	}
	return out
}
