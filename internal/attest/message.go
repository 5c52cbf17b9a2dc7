package attest

import (
	"fmt"

	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	// MaxMessage bounds one message in bytes: sixteen certificates of a set of a hundred, or one of the largest set.
	MaxMessage = 256 << 10
	// maxSigned bounds the signatures of one message: what a node repeats at once.
	maxSigned = 16
	// maxCertificates bounds the certificates of one message.
	maxCertificates = 16
	// maxSignature is longer than any suite's signature.
	maxSignature = 160
)

// message is all that attesters say to each other. Its form is RLP.
type message struct {
	// Lacks asks for the certificates from that height on; 0 asks for none.
	Lacks        uint64
	Signed       []signed
	Certificates []chain.Certificate
}

// signed is an attestation with what it is of.
type signed struct {
	Height      uint64
	Header      crypto.Hash
	Attestation chain.Attestation
}

func encodeMessage(m *message) []byte {
	b, err := rlp.EncodeToBytes(m)
	if err != nil {
		panic("attest: encode message: " + err.Error()) // all fields are encodable types
	}
	return b
}

// decodeMessage checks form and bounds, not signatures. The error wraps ErrMessage.
func decodeMessage(b []byte) (*message, error) {
	bad := func(format string, args ...any) (*message, error) {
		return nil, fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
	}
	if len(b) > MaxMessage {
		return bad("%d bytes, at most %d", len(b), MaxMessage)
	}
	m := new(message)
	if err := rlp.DecodeBytes(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if len(m.Signed) > maxSigned || len(m.Certificates) > maxCertificates {
		return bad("%d signatures and %d certificates, at most %d and %d", len(m.Signed), len(m.Certificates), maxSigned, maxCertificates)
	}
	for i := range m.Signed {
		if s := &m.Signed[i]; s.Attestation.Validator == 0 || len(s.Attestation.Signature) > maxSignature {
			return bad("signature %d: of validator %d, %d bytes", i, s.Attestation.Validator, len(s.Attestation.Signature))
		}
	}
	for i := range m.Certificates {
		if err := m.Certificates[i].CheckForm(); err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrMessage, i, err)
		}
		for _, att := range m.Certificates[i].Attestations {
			if len(att.Signature) > maxSignature {
				return bad("certificate %d: a signature of %d bytes", i, len(att.Signature))
			}
		}
	}
	return m, nil
}
