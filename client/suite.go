package client

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/ethereum/go-ethereum/common"
)

// suite is what verification needs of a chain's cryptographic suite: its hash and the check of its node signatures.
type suite struct {
	newHash func() hash.Hash
	verify  func(publicKey, msg, sig []byte) bool
}

func suiteByName(name string) (*suite, error) {
	if name == "intl" {
		return &suite{newHash: sha256.New, verify: verifyEd25519}, nil
	}
	return nil, fmt.Errorf("cryptographic suite %q is unknown to this version", name)
}

func verifyEd25519(publicKey, msg, sig []byte) bool {
	return len(publicKey) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(publicKey, msg, sig)
}

// sum is the digest of the concatenation of parts.
func (s *suite) sum(parts ...[]byte) (out common.Hash) {
	h := s.newHash()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}
