package attest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

func sample(n int) *message {
	m := &message{Lacks: uint64(n)}
	for i := range n {
		m.Signed = append(m.Signed, signed{uint64(i), crypto.Hash{byte(i)}, chain.Attestation{Validator: 1, Signature: bytes.Repeat([]byte{1}, 64)}})
		m.Certificates = append(m.Certificates, chain.Certificate{Height: uint64(i),
			Attestations: []chain.Attestation{{Validator: 1, Signature: []byte{1}}, {Validator: 2, Signature: []byte{2}}}})
	}
	return m
}

func TestMessageRoundTrip(t *testing.T) {
	for n := range maxSigned + 1 {
		b := encodeMessage(sample(n))
		m, err := decodeMessage(b)
		require.NoError(t, err)
		require.Equal(t, b, encodeMessage(m))
	}
}

func TestMessageRefuses(t *testing.T) {
	spoilt := func(spoil func(m *message)) []byte {
		m := sample(2)
		spoil(m)
		return encodeMessage(m)
	}
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"garbage":                []byte("garbage"),
		"a gigabyte claimed":     {0xfb, 0x40, 0, 0, 0},
		"something behind":       append(encodeMessage(sample(1)), 0),
		"too many signatures":    encodeMessage(sample(maxSigned + 1)),
		"validator 0":            spoilt(func(m *message) { m.Signed[1].Attestation.Validator = 0 }),
		"long signature":         spoilt(func(m *message) { m.Signed[1].Attestation.Signature = make([]byte, maxSignature+1) }),
		"certificate not sorted": spoilt(func(m *message) { m.Certificates[0].Attestations[1].Validator = 1 }),
		"long signature in one":  spoilt(func(m *message) { m.Certificates[0].Attestations[1].Signature = make([]byte, maxSignature+1) }),
		"too long":               make([]byte, MaxMessage+1),
	} {
		_, err := decodeMessage(b)
		require.ErrorIs(t, err, ErrMessage, name)
	}
}

// TestLargestCertificateFits: one certificate of the largest set can be answered with.
func TestLargestCertificateFits(t *testing.T) {
	c := chain.Certificate{Height: 1 << 40}
	for i := range chain.MaxValidators {
		c.Attestations = append(c.Attestations, chain.Attestation{Validator: chain.ValidatorID(1<<40 + i), Signature: make([]byte, maxSignature)})
	}
	require.Less(t, 64+len(c.Encode()), MaxMessage)
	_, err := decodeMessage(encodeMessage(&message{Certificates: []chain.Certificate{c}}))
	require.NoError(t, err)
}

func FuzzDecodeMessage(f *testing.F) {
	for n := range 4 {
		f.Add(encodeMessage(sample(n)))
	}
	f.Add([]byte{0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMessage(b)
		if err == nil && !bytes.Equal(encodeMessage(m), b) {
			t.Fatal("two forms of one message")
		}
	})
}
