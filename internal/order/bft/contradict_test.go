package bft

import (
	"testing"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
)

func TestContradict(t *testing.T) {
	e := &Engine{}
	sign := func(msg []byte) ([]byte, error) { return append([]byte("signed "), msg...), nil }
	honest := head{height: 7, view: 3, digest: crypto.Hash{5}}
	frame, err := libraryFrame(&smartbftprotos.Message{Content: &smartbftprotos.Message_Commit{Commit: &smartbftprotos.Commit{View: 3, Seq: 7, Digest: "d",
		Signature: &smartbftprotos.Signature{Signer: 2, Msg: append(honest.encode(), "aux"...), Value: []byte("x")}}}})
	require.NoError(t, err)
	lie, err := e.Contradict(frame, sign)
	require.NoError(t, err)
	m, err := parseLibrary(lie[1:])
	require.NoError(t, err)
	h, aux, err := parseHead(m.GetCommit().Signature.Msg)
	require.NoError(t, err)
	require.Equal(t, head{height: 7, view: 3, digest: crypto.Hash{4}}, h, "the same height and view, another proposal")
	require.Equal(t, "aux", string(aux))
	require.Equal(t, append([]byte("signed "), commitMessage(m.GetCommit().Signature.Msg)...), m.GetCommit().Signature.Value)

	for _, msg := range [][]byte{nil, viewFrame(1, 2)} {
		lie, err := e.Contradict(msg, sign)
		require.NoError(t, err)
		require.Nil(t, lie)
	}
	_, err = e.Contradict([]byte{frameLibrary, 0xff}, sign)
	require.ErrorIs(t, err, errFrame)
}
