package bft

import (
	"testing"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

func TestKind(t *testing.T) {
	e := &Engine{}
	library := func(m *smartbftprotos.Message) []byte {
		b, err := libraryFrame(m)
		require.NoError(t, err)
		return b
	}
	propose, err := proposeFrame(&smartbftprotos.Message{Content: &smartbftprotos.Message_PrePrepare{PrePrepare: &smartbftprotos.PrePrepare{Seq: 7,
		Proposal: &smartbftprotos.Proposal{Header: make([]byte, len(crypto.Hash{}))}}}}, []byte("body"))
	require.NoError(t, err)
	for _, c := range []struct {
		want string
		msg  []byte
	}{
		{order.KindProposal, propose},
		{order.KindPrepare, library(&smartbftprotos.Message{Content: &smartbftprotos.Message_Prepare{Prepare: &smartbftprotos.Prepare{View: 1, Seq: 2}}})},
		{order.KindCommit, library(&smartbftprotos.Message{Content: &smartbftprotos.Message_Commit{Commit: &smartbftprotos.Commit{View: 1, Seq: 2}}})},
		{order.KindElection, library(&smartbftprotos.Message{Content: &smartbftprotos.Message_ViewChange{ViewChange: &smartbftprotos.ViewChange{NextView: 2}}})},
		{order.KindElection, library(&smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: &smartbftprotos.NewView{}}})},
		{order.KindHeartbeat, library(&smartbftprotos.Message{Content: &smartbftprotos.Message_HeartBeat{HeartBeat: &smartbftprotos.HeartBeat{View: 2}}})},
		{order.KindElection, viewFrame(1, 2)},
		{order.KindSync, waitingFrame(nil)},
		{order.KindOther, nil},
		{order.KindOther, []byte{frameLibrary}},
		{order.KindOther, []byte{frameLibrary, 0xff}},
		{order.KindOther, []byte{200, 1, 2}},
	} {
		require.Equal(t, c.want, e.Kind(c.msg), "%x", c.msg)
	}
}
