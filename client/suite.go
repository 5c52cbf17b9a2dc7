package client

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"hash"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/ethereum/go-ethereum/common"
)

// suite is what verification needs of a chain's cryptographic suite: its hash and the check of its node signatures.
type suite struct {
	newHash  func() hash.Hash
	hashName string
	verify   func(publicKey, msg, sig []byte) bool
}

func suiteByName(name string) (*suite, error) {
	switch name {
	case "intl":
		return &suite{newHash: sha256.New, hashName: "SHA-256", verify: verifyEd25519}, nil
	case "gm":
		return &suite{newHash: sm3.New, hashName: "SM3", verify: verifySM2}, nil
	}
	return nil, fmt.Errorf("cryptographic suite %q is unknown to this version", name)
}

func verifyEd25519(publicKey, msg, sig []byte) bool {
	return len(publicKey) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(publicKey, msg, sig)
}

// verifySM2 takes a public key X ‖ Y and a signature r ‖ s, over msg under SM2ID.
func verifySM2(publicKey, msg, sig []byte) bool {
	if len(publicKey) != SM2PublicKeySize || len(sig) != 64 {
		return false
	}
	key, err := sm2.ParseUncompressedPublicKey(append([]byte{4}, publicKey...))
	if err != nil {
		return false
	}
	der, err := asn1.Marshal(sm2Signature{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
	return err == nil && sm2.VerifyASN1WithSM2(key, []byte(SM2ID), msg, der)
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
