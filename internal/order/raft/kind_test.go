package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/jialing-chain/jialing/internal/order"
)

func TestKind(t *testing.T) {
	e := &Engine{}
	for typ, want := range map[raftpb.MessageType]string{raftpb.MsgApp: order.KindProposal, raftpb.MsgAppResp: order.KindAck, raftpb.MsgVote: order.KindElection,
		raftpb.MsgPreVoteResp: order.KindElection, raftpb.MsgHeartbeat: order.KindHeartbeat, raftpb.MsgSnap: order.KindSync, raftpb.MsgHup: order.KindOther} {
		to, from, term := uint64(2), uint64(1), uint64(300)
		b, err := libraryFrame(&raftpb.Message{Type: &typ, To: &to, From: &from, Term: &term})
		require.NoError(t, err)
		require.Equal(t, want, e.Kind(b), typ.String())
	}
	for _, msg := range [][]byte{nil, {frameLibrary}, {frameLibrary, 0xff, 0xff}, {99}} {
		require.Equal(t, order.KindOther, e.Kind(msg), "%x", msg)
	}
	require.Equal(t, order.KindSync, e.Kind(birthFrame(1, make([]byte, birthSize))))
}
