// Package crypto holds the Suite: the one set of primitives on which a chain's integrity and secrecy rest.
//
// It is the lowest layer of the sentence pool → order → execute → attest → store → serve: every stage may use it, it uses none.
// A Suite is a value chosen in the genesis and passed through constructors. There is no global suite, no build tag and no
// question "which suite is this?" outside this folder: children (intl, gm) implement the contract, cryptotest checks it.
//
// What a suite does not cover: Ethereum's own Keccak-256 (identifiers, trie, an EVM opcode) and the accounts' secp256k1 signatures,
// which are part of the transaction format and not of the chain's integrity.
package crypto

import (
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Hash is a suite's 32-byte digest (SHA-256 or SM3).
type Hash [32]byte

// IsZero reports whether h is the zero digest, used where there is no parent.
func (h Hash) IsZero() bool { return h == Hash{} }

// String is the 0x-prefixed lower-case hex form.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler with String's form.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText accepts exactly 64 hex digits behind 0x.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 66 || text[0] != '0' || text[1] != 'x' {
		return fmt.Errorf("digest must be 0x and 64 hex digits, got %d characters", len(text))
	}
	if _, err := hex.Decode(h[:], text[2:]); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	return nil
}

// ErrSignature is returned when a signature does not verify.
var ErrSignature = errors.New("signature does not verify")

// ErrSealed is returned when sealed bytes were altered or sealed with another key or context.
var ErrSealed = errors.New("sealed data cannot be opened: altered, or sealed with another key")

// PublicKey verifies a node's signatures. Safe for concurrent use.
type PublicKey interface {
	// Bytes is the suite's fixed-size encoding, accepted by Suite.ParsePublicKey.
	Bytes() []byte
	// Verify returns nil or ErrSignature. It never panics, whatever sig holds.
	Verify(msg, sig []byte) error
}

// PrivateKey signs for a node. It may live in a device that never gives it away. Safe for concurrent use.
type PrivateKey interface {
	Public() PublicKey
	Sign(msg []byte) ([]byte, error)
}

// SecretKey is a PrivateKey that this process holds.
type SecretKey interface {
	PrivateKey
	// Bytes is the secret encoding, accepted by Suite.ParsePrivateKey. Callers seal it before it reaches a disk.
	Bytes() []byte
}

// Suite is a chain's set of primitives. Implementations are stateless and safe for concurrent use.
type Suite interface {
	// Name is the word in the genesis: "intl" or "gm".
	Name() string
	// Sum is the digest of the concatenation of parts.
	Sum(parts ...[]byte) Hash
	// NewHash is Sum as a stream.
	NewHash() hash.Hash

	// GenerateKey draws a node key from rand.
	GenerateKey(rand io.Reader) (SecretKey, error)
	ParsePrivateKey(b []byte) (SecretKey, error)
	// ParsePublicKey refuses bytes that are not a key of this suite (wrong length, point not on the curve).
	ParsePublicKey(b []byte) (PublicKey, error)

	// PublicKeySize is the length in bytes of a node's public key. A signature of either suite has 64.
	PublicKeySize() int

	// AEAD is the suite's authenticated cipher under a KeySize key, with nonces of 12 and tags of 16 bytes. The caller sees that no nonce is used twice.
	AEAD(key []byte) (cipher.AEAD, error)
	// Seal encrypts and authenticates plaintext under a KeySize key with a fresh nonce from rand; context is authenticated, not stored.
	// The result is nonce ‖ ciphertext ‖ tag.
	Seal(rand io.Reader, key, plaintext, context []byte) ([]byte, error)
	// Open reverses Seal or returns ErrSealed.
	Open(key, sealed, context []byte) ([]byte, error)
	// KeySize is the length in bytes of Seal's keys.
	KeySize() int

	// AccountKinds are the kinds of account signature, in the genesis' words, that a new chain of this suite takes unless it is told otherwise; the one
	// that its own validators' accounts have comes first.
	AccountKinds() []string

	// Channel is what the channel between peers is made of.
	Channel() Channel

	Certificates
}
