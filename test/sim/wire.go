package sim

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/rlp"
	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// The protocols of a node, by the names in internal/node/protocols.go.
const (
	orderProtocol  = "order"
	attestProtocol = "attest"
	statusProtocol = "status"
	txsProtocol    = "txs"
)

// wireAttest and wireSigned are the form of attest's messages. A simulation of liars has to speak it; that it still is the form is seen by the
// attestations that the checker finds in every run.
type wireAttest struct {
	Lacks        uint64
	Signed       []wireSigned
	Certificates []chain.Certificate
}

type wireSigned struct {
	Height      uint64
	Header      crypto.Hash
	Attestation chain.Attestation
}

// attestation is one that was seen on its way.
type attestation struct {
	validator chain.ValidatorID
	height    uint64
	header    crypto.Hash
}

// decodeSigned is what a message of attestations holds.
func decodeSigned(msg []byte) []wireSigned {
	var m wireAttest
	if rlp.DecodeBytes(msg, &m) != nil {
		return nil
	}
	return m.Signed
}

func decodeAttestations(msg []byte) []attestation {
	signed := decodeSigned(msg)
	out := make([]attestation, len(signed))
	for i, s := range signed {
		out[i] = attestation{s.Attestation.Validator, s.Height, s.Header}
	}
	return out
}

// editAttestations changes each attestation of a message; what is no such message stays as it is.
func editAttestations(msg []byte, edit func(*wireSigned)) []byte {
	var m wireAttest
	if rlp.DecodeBytes(msg, &m) != nil {
		return msg
	}
	for i := range m.Signed {
		edit(&m.Signed[i])
	}
	b, err := rlp.EncodeToBytes(&m)
	if err != nil {
		return msg
	}
	return b
}

// The frames of order/bft that a liar bends: a message of the library, and a proposal with its body.
const (
	frameLibrary = 1
	framePropose = 2
)

// otherProposal makes of a proposal another one of the same view and height, and of a vote one for that. The caller holds mu.
func (v *vice) otherProposal(frame []byte) []byte {
	if len(frame) < 1 {
		return frame
	}
	switch m := new(smartbftprotos.Message); frame[0] {
	case framePropose:
		if len(frame) < 5 {
			return frame
		}
		n := int(binary.BigEndian.Uint32(frame[1:]))
		if n > len(frame)-5 || proto.Unmarshal(frame[5:5+n], m) != nil || m.GetPrePrepare().GetProposal() == nil {
			return frame
		}
		p, err := order.DecodeProposal(frame[5+n:])
		if err != nil {
			return frame
		}
		p.TimeMillis++
		if len(p.Txs) > 0 && v.rng.IntN(2) == 0 {
			p.Txs = p.Txs[1:]
		}
		hash := p.Hash(v.w.suite)
		pp := m.GetPrePrepare()
		pp.Proposal.Header = hash[:]
		v.other = types.Proposal{Header: pp.Proposal.Header, Payload: pp.Proposal.Payload, Metadata: pp.Proposal.Metadata,
			VerificationSequence: int64(pp.Proposal.VerificationSequence)}.Digest()
		b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 5), m)
		if err != nil {
			return frame
		}
		b[0] = framePropose
		binary.BigEndian.PutUint32(b[1:], uint32(len(b)-5))
		return append(b, p.Encode()...)
	case frameLibrary:
		if proto.Unmarshal(frame[1:], m) != nil || m.GetPrepare() == nil || v.other == "" {
			return frame
		}
		m.GetPrepare().Digest = v.other
		b, err := proto.MarshalOptions{}.MarshalAppend([]byte{frameLibrary}, m)
		if err != nil {
			return frame
		}
		return b
	}
	return frame
}
