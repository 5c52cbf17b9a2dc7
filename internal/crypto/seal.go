package crypto

import (
	"crypto/cipher"
	"fmt"
	"io"
)

// sealer is what Seal and Open need of a suite.
type sealer interface {
	AEAD(key []byte) (cipher.AEAD, error)
}

// Seal implements Suite.Seal on a suite's AEAD.
func Seal(s sealer, rand io.Reader, key, plaintext, context []byte) ([]byte, error) {
	aead, err := s.AEAD(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	if _, err := io.ReadFull(rand, out); err != nil {
		return nil, fmt.Errorf("seal: draw nonce: %w", err)
	}
	return aead.Seal(out, out, plaintext, context), nil
}

// Open implements Suite.Open on a suite's AEAD.
func Open(s sealer, key, sealed, context []byte) ([]byte, error) {
	aead, err := s.AEAD(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, ErrSealed
	}
	out, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], context)
	if err != nil {
		return nil, ErrSealed
	}
	return out, nil
}
