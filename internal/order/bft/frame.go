package bft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// A frame is one message between engines: its kind, then what the kind says.
const (
	// frameLibrary: a message of the library, but no pre-prepare.
	frameLibrary byte = iota + 1
	// framePropose: length(4) ‖ the library's pre-prepare ‖ the body, an order.Proposal.
	framePropose
	// frameWaiting: hashes of transactions that wait too long here; the leader may not have them.
	frameWaiting
	// frameAskBody: a decision's hash. frameBody answers: a body.
	frameAskBody
	frameBody
	// frameAskView: nothing. frameView answers: view(8) ‖ height(8) of the last decision.
	frameAskView
	frameView
	// frameAgree: view(8). The sender left all views before that one long ago; it answers who asks for it.
	frameAgree
	// frameNewView: the library's message that began the sender's view; it answers who asks for that view.
	frameNewView
	// frameAskSigned: nothing. frameSigned answers: the asker's own newest commit that the sender knows, an answer.
	frameAskSigned
	frameSigned
)

// maxWaiting bounds the hashes of one frameWaiting: enough to move a leader, little work for it.
const maxWaiting = 64

var errFrame = errors.New("malformed frame")

func libraryFrame(m *smartbftprotos.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend([]byte{frameLibrary}, m)
}

func proposeFrame(m *smartbftprotos.Message, body []byte) ([]byte, error) {
	b := make([]byte, 5, 5+256+len(body))
	b[0] = framePropose
	b, err := proto.MarshalOptions{}.MarshalAppend(b, m)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-5))
	return append(b, body...), nil
}

// parsePropose splits what follows the kind.
func parsePropose(b []byte) (m *smartbftprotos.Message, body []byte, err error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, fmt.Errorf("%w: length", errFrame)
	}
	n := int(binary.BigEndian.Uint32(b))
	m = new(smartbftprotos.Message)
	if err := proto.Unmarshal(b[4:4+n], m); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	if p := m.GetPrePrepare(); p == nil || p.Proposal == nil || len(p.Proposal.Header) != len(crypto.Hash{}) || len(p.Proposal.Payload) > 0 {
		return nil, nil, fmt.Errorf("%w: no pre-prepare of a hash", errFrame)
	}
	return m, b[4+n:], nil
}

// parseLibrary reads what follows the kind.
func parseLibrary(b []byte) (*smartbftprotos.Message, error) {
	m := new(smartbftprotos.Message)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	if m.GetContent() == nil || m.GetPrePrepare() != nil {
		return nil, fmt.Errorf("%w: nothing, or a pre-prepare without its body", errFrame)
	}
	return m, nil
}

func waitingFrame(hashes []common.Hash) []byte {
	b := make([]byte, 1, 1+len(hashes)*common.HashLength)
	b[0] = frameWaiting
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func parseWaiting(b []byte) ([]common.Hash, error) {
	if len(b) == 0 || len(b)%common.HashLength != 0 || len(b) > maxWaiting*common.HashLength {
		return nil, fmt.Errorf("%w: %d bytes of hashes", errFrame, len(b))
	}
	out := make([]common.Hash, 0, len(b)/common.HashLength)
	for ; len(b) > 0; b = b[common.HashLength:] {
		out = append(out, common.Hash(b[:common.HashLength]))
	}
	return out, nil
}

func viewFrame(view, height uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{frameView}, view), height)
}

func parseView(b []byte) (v viewAt, err error) {
	if len(b) != 16 {
		return v, fmt.Errorf("%w: %d bytes of a view", errFrame, len(b))
	}
	return viewAt{view: binary.BigEndian.Uint64(b), height: binary.BigEndian.Uint64(b[8:])}, nil
}

func agreeFrame(view uint64) []byte { return binary.BigEndian.AppendUint64([]byte{frameAgree}, view) }

func parseAgree(b []byte) (view uint64, err error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: %d bytes of an agreement", errFrame, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// viewAt is a view at the height of a last decision.
type viewAt struct {
	view, height uint64
	// proof is the message that began the view, if it is known.
	proof []byte
}
