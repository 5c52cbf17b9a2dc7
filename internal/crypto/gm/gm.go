// Package gm is the suite of the Chinese standards: SM3 (GB/T 32905), SM2 signatures (GB/T 32918.2, identifier 1234567812345678), SM4-GCM (GB/T 32907).
//
// It implements crypto.Suite on gmsm and owns no state.
package gm

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"hash"
	"io"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

const (
	// keySize is SM4's.
	keySize = 16
	// coordinateSize is that of SM2's field.
	coordinateSize = 32
)

// Suite is the suite of the Chinese standards. The zero value is ready; it is safe for concurrent use.
type Suite struct{}

type publicKey struct{ *sm2.PublicKey }

type privateKey struct{ *sm2.PrivateKey }

// Name returns "gm".
func (Suite) Name() string { return "gm" }

// Sum is SM3 over the concatenation of parts.
func (Suite) Sum(parts ...[]byte) (out crypto.Hash) {
	if len(parts) == 1 {
		return sm3.Sum(parts[0])
	}
	h := sm3.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// NewHash returns an SM3 stream.
func (Suite) NewHash() hash.Hash { return sm3.New() }

// GenerateKey draws an SM2 key.
func (Suite) GenerateKey(rand io.Reader) (crypto.SecretKey, error) {
	key, err := sm2.GenerateKey(rand)
	if err != nil {
		return nil, err
	}
	return privateKey{key}, nil
}

// ParsePrivateKey takes the 32-byte scalar.
func (Suite) ParsePrivateKey(b []byte) (crypto.SecretKey, error) {
	key, err := sm2.ParsePrivateKey(b)
	if err != nil {
		return nil, err
	}
	return privateKey{key}, nil
}

// ParsePublicKey takes the 64 bytes X ‖ Y.
func (Suite) ParsePublicKey(b []byte) (crypto.PublicKey, error) {
	key, err := sm2.ParsePublicKey(b)
	if err != nil {
		return nil, err
	}
	return publicKey{key}, nil
}

// PublicKeySize is 64 bytes, X ‖ Y.
func (Suite) PublicKeySize() int { return 2 * coordinateSize }

// AEAD is SM4-GCM under a 16-byte key.
func (Suite) AEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("sm4-gcm key must be %d bytes, got %d", keySize, len(key))
	}
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sm4-gcm: %w", err)
	}
	return cipher.NewGCM(block)
}

// Seal is SM4-GCM with a random 12-byte nonce.
func (s Suite) Seal(rand io.Reader, key, plaintext, context []byte) ([]byte, error) {
	return crypto.Seal(s, rand, key, plaintext, context)
}

// Open reverses Seal.
func (s Suite) Open(key, sealed, context []byte) ([]byte, error) {
	return crypto.Open(s, key, sealed, context)
}

// KeySize is 16 bytes.
func (Suite) KeySize() int { return keySize }

// AccountKinds are SM2 and, so that Ethereum's tools go on working, secp256k1.
func (Suite) AccountKinds() []string { return []string{"sm2", "secp256k1"} }

// Verify takes r ‖ s.
func (k publicKey) Verify(msg, sig []byte) error {
	if !k.PublicKey.Verify(sm2.DefaultID, msg, sig) {
		return crypto.ErrSignature
	}
	return nil
}

func (k privateKey) Public() crypto.PublicKey { return publicKey{k.PrivateKey.Public()} }

// Sign returns r ‖ s.
func (k privateKey) Sign(msg []byte) ([]byte, error) {
	return k.PrivateKey.Sign(rand.Reader, sm2.DefaultID, msg)
}
