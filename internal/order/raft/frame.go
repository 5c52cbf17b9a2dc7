package raft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/rlp"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// A frame is one message between engines: its kind, then what the kind says.
const (
	// frameLibrary: a message of the library.
	frameLibrary byte = iota + 1
	// frameBirth: member(8) ‖ birth(16). frameBirthAnswer: member(8) ‖ birth(16) ‖ 1 where it is the first life that the sender knows, else 0 ‖ RLP of the
	// lives that the sender knows.
	frameBirth
	frameBirthAnswer
)

const birthSize = 16

// maxLives bounds the lives of one answer: all validators that a chain may have had, many times over.
const maxLives = 16 * chain.MaxValidators

var errFrame = errors.New("malformed frame")

func libraryFrame(m *raftpb.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend([]byte{frameLibrary}, m)
}

// parseLibrary reads what follows the kind: a message that goes from one validator to another. The library has others that are its own.
func parseLibrary(b []byte) (*raftpb.Message, error) {
	m := new(raftpb.Message)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	if m.GetType() == raftpb.MsgSnap && m.GetSnapshot().GetMetadata().GetConfState() == nil {
		return nil, fmt.Errorf("%w: a snapshot of nothing", errFrame)
	}
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgSnap,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow:
		return m, nil
	}
	return nil, fmt.Errorf("%w: a message of type %s", errFrame, m.GetType())
}

func birthFrame(member chain.ValidatorID, birth []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{frameBirth}, uint64(member)), birth...)
}

func birthAnswer(member chain.ValidatorID, birth []byte, first bool, known []life) []byte {
	b := append(binary.BigEndian.AppendUint64([]byte{frameBirthAnswer}, uint64(member)), birth...)
	if first {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	lives, err := rlp.EncodeToBytes(known)
	if err != nil {
		panic("raft: encode lives: " + err.Error()) // all fields are encodable types
	}
	return append(b, lives...)
}

func parseBirth(b []byte) (l life, err error) {
	if len(b) != 8+birthSize {
		return l, fmt.Errorf("%w: %d bytes of a birth", errFrame, len(b))
	}
	return life{chain.ValidatorID(binary.BigEndian.Uint64(b)), b[8:]}, nil
}

func parseBirthAnswer(b []byte) (l life, first bool, known []life, err error) {
	if len(b) < 8+birthSize+1 || b[8+birthSize] > 1 {
		return l, false, nil, fmt.Errorf("%w: an answer to a birth", errFrame)
	}
	if err := rlp.DecodeBytes(b[8+birthSize+1:], &known); err != nil || len(known) > maxLives {
		return l, false, nil, fmt.Errorf("%w: lives: %w", errFrame, err)
	}
	for _, k := range known {
		if len(k.Birth) != birthSize {
			return l, false, nil, fmt.Errorf("%w: a life's name of %d bytes", errFrame, len(k.Birth))
		}
	}
	l, err = parseBirth(b[:8+birthSize])
	return l, b[8+birthSize] == 1, known, err
}

// ordered is an entry of the log: a proposal with its proposer's signature.
type ordered struct {
	Proposal  []byte
	Signature []byte
}

func encodeOrdered(p *order.Proposal, sig []byte) []byte {
	b, err := rlp.EncodeToBytes(&ordered{p.Encode(), sig})
	if err != nil {
		panic("raft: encode an entry: " + err.Error()) // both fields are bytes
	}
	return b
}

func decodeOrdered(b []byte) (*order.Proposal, []byte, error) {
	var o ordered
	if err := rlp.DecodeBytes(b, &o); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	p, err := order.DecodeProposal(o.Proposal)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return p, o.Signature, nil
}
