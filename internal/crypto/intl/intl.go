// Package intl is the international suite: SHA-256, Ed25519 (RFC 8032), AES-256-GCM.
//
// It implements crypto.Suite with the standard library alone and owns no state.
package intl

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Suite is the international suite. The zero value is ready; it is safe for concurrent use.
type Suite struct{}

type publicKey ed25519.PublicKey

type privateKey ed25519.PrivateKey

// Name returns "intl".
func (Suite) Name() string { return "intl" }

// Sum is SHA-256 over the concatenation of parts.
func (Suite) Sum(parts ...[]byte) (out crypto.Hash) {
	if len(parts) == 1 {
		return sha256.Sum256(parts[0])
	}
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// NewHash returns a SHA-256 stream.
func (Suite) NewHash() hash.Hash { return sha256.New() }

// GenerateKey draws an Ed25519 key.
func (Suite) GenerateKey(rand io.Reader) (crypto.SecretKey, error) {
	// The seed is read here rather than in ed25519.GenerateKey so that the same reader gives the same key.
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("generate node key: %w", err)
	}
	return privateKey(ed25519.NewKeyFromSeed(seed)), nil
}

// ParsePrivateKey takes the 32-byte seed of RFC 8032.
func (Suite) ParsePrivateKey(b []byte) (crypto.SecretKey, error) {
	if len(b) != ed25519.SeedSize {
		return nil, fmt.Errorf("ed25519 private key must be %d bytes, got %d", ed25519.SeedSize, len(b))
	}
	return privateKey(ed25519.NewKeyFromSeed(b)), nil
}

// ParsePublicKey takes the 32-byte encoding of RFC 8032.
func (Suite) ParsePublicKey(b []byte) (crypto.PublicKey, error) {
	if len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("ed25519 public key must be %d bytes, got %d", ed25519.PublicKeySize, len(b))
	}
	return publicKey(append([]byte(nil), b...)), nil
}

// PublicKeySize is Ed25519's.
func (Suite) PublicKeySize() int { return ed25519.PublicKeySize }

// AEAD is AES-256-GCM.
func (Suite) AEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("aes-256-gcm key must be 32 bytes, got %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("aes-256-gcm: %w", err)
	}
	return cipher.NewGCM(block)
}

// Seal is AES-256-GCM with a random 12-byte nonce.
func (s Suite) Seal(rand io.Reader, key, plaintext, context []byte) ([]byte, error) {
	return crypto.Seal(s, rand, key, plaintext, context)
}

// Open reverses Seal.
func (s Suite) Open(key, sealed, context []byte) ([]byte, error) {
	return crypto.Open(s, key, sealed, context)
}

// KeySize is 32 bytes.
func (Suite) KeySize() int { return 32 }

// AccountKinds is Ethereum's alone.
func (Suite) AccountKinds() []string { return []string{"secp256k1"} }

func (k publicKey) Bytes() []byte { return append([]byte(nil), k...) }

func (k publicKey) Verify(msg, sig []byte) error {
	if len(sig) != ed25519.SignatureSize || !ed25519.Verify(ed25519.PublicKey(k), msg, sig) {
		return crypto.ErrSignature
	}
	return nil
}

func (k privateKey) Public() crypto.PublicKey {
	return publicKey(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}

func (k privateKey) Bytes() []byte { return ed25519.PrivateKey(k).Seed() }

func (k privateKey) Sign(msg []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(k), msg), nil
}
