package attest

import (
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Contradict makes, of a message that attests headers, one in which the same validator attests others: what an honest node never says. For lessons and
// tests, whose sign stands for the validator's key; nothing here calls it. nil where msg attests nothing.
func Contradict(msg []byte, me chain.ValidatorID, sign func(height uint64, header crypto.Hash) ([]byte, error)) ([]byte, error) {
	m, err := decodeMessage(msg)
	if err != nil {
		return nil, err
	}
	out := new(message)
	for _, s := range m.Signed {
		if s.Attestation.Validator != me {
			continue
		}
		s.Header[0] ^= 1
		sig, err := sign(s.Height, s.Header)
		if err != nil {
			return nil, err
		}
		s.Attestation.Signature = sig
		out.Signed = append(out.Signed, s)
	}
	if len(out.Signed) == 0 {
		return nil, nil
	}
	return encodeMessage(out), nil
}
