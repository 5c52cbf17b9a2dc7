package raft

import (
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jialing-chain/jialing/internal/order"
)

// Kind implements order.Kinds. A message that brings entries and one that only tells how far they are committed are both proposals here.
func (e *Engine) Kind(msg []byte) string {
	if len(msg) == 0 {
		return order.KindOther
	}
	switch msg[0] {
	case frameBirth, frameBirthAnswer:
		return order.KindSync
	case frameLibrary:
		return kindOf(msg[1:])
	}
	return order.KindOther
}

// kindOf reads the type of an encoded raftpb.Message, its first field.
func kindOf(b []byte) string {
	field, wire, n := protowire.ConsumeTag(b)
	if n < 0 || field != 1 || wire != protowire.VarintType {
		return order.KindOther
	}
	typ, n := protowire.ConsumeVarint(b[n:])
	if n < 0 {
		return order.KindOther
	}
	switch raftpb.MessageType(typ) {
	case raftpb.MsgApp:
		return order.KindProposal
	case raftpb.MsgAppResp:
		return order.KindAck
	case raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNow:
		return order.KindElection
	case raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp:
		return order.KindHeartbeat
	case raftpb.MsgSnap:
		return order.KindSync
	}
	return order.KindOther
}
