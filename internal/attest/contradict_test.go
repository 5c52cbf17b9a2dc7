package attest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

func TestContradict(t *testing.T) {
	honest := encodeMessage(&message{Lacks: 3, Signed: []signed{
		{7, crypto.Hash{1}, chain.Attestation{Validator: 2, Signature: []byte("a")}},
		{8, crypto.Hash{2}, chain.Attestation{Validator: 3, Signature: []byte("b")}}}})
	sign := func(height uint64, header crypto.Hash) ([]byte, error) { return []byte{byte(height), header[0]}, nil }
	lie, err := Contradict(honest, 2, sign)
	require.NoError(t, err)
	m, err := decodeMessage(lie)
	require.NoError(t, err)
	require.Equal(t, []signed{{7, crypto.Hash{0}, chain.Attestation{Validator: 2, Signature: []byte{7, 0}}}}, m.Signed, "its own, of another header")
	lie, err = Contradict(honest, 9, sign)
	require.NoError(t, err)
	require.Nil(t, lie, "it has attested nothing")
	_, err = Contradict([]byte{1, 2}, 2, sign)
	require.ErrorIs(t, err, ErrMessage)
}
