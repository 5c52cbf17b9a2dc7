// Package sm2 is the signature of GB/T 32918.2 in the fixed-size forms that blocks and messages carry: keys and signatures of 64 bytes.
//
// It stands below the stages of pool → order → execute → attest → store → serve, like a suite, and is used where an SM2 signature is part of a format
// whatever the chain's suite is: transactions of type 0x50, and the node keys of the suite gm. The arithmetic is gmsm's, but for
// the verification by prepared keys (Prepare), which knows no secret. It owns no state but those keys' tables.
package sm2

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"sync/atomic"

	gmsm "github.com/emmansun/gmsm/sm2"
)

const (
	// PublicKeySize is X ‖ Y, big-endian.
	PublicKeySize = 64
	// PrivateKeySize is the scalar, big-endian.
	PrivateKeySize = 32
	// SignatureSize is r ‖ s, big-endian.
	SignatureSize = 64
	// uncompressed is the first byte of a point in the standards' encoding (GB/T 32918.1, 4.2.8) with both coordinates.
	uncompressed = 4
)

// DefaultID is the signer's distinguishing identifier that GM/T 0009 prescribes where there is no other agreement. Z hashes it.
const DefaultID = "1234567812345678"

// ErrPublicKey is wrapped by every refusal of a public key.
var ErrPublicKey = errors.New("not an SM2 public key")

// PublicKey verifies signatures. Safe for concurrent use.
type PublicKey struct {
	key   *ecdsa.PublicKey
	bytes [PublicKeySize]byte
	// once guards z, Z under DefaultID: a validator's key verifies many messages.
	once sync.Once
	z    [32]byte
	// table is nil until Prepare.
	table atomic.Pointer[table]
}

// PrivateKey signs. Safe for concurrent use.
type PrivateKey struct {
	key    *gmsm.PrivateKey
	public *PublicKey
}

// ParsePublicKey takes X ‖ Y. It refuses other lengths and points that are not on the curve.
func ParsePublicKey(b []byte) (*PublicKey, error) {
	if len(b) != PublicKeySize {
		return nil, fmt.Errorf("%w: it must be %d bytes, got %d", ErrPublicKey, PublicKeySize, len(b))
	}
	key, err := gmsm.ParseUncompressedPublicKey(append([]byte{uncompressed}, b...))
	if err != nil {
		return nil, fmt.Errorf("%w: the point is not on the curve", ErrPublicKey)
	}
	return &PublicKey{key: key, bytes: [PublicKeySize]byte(b)}, nil
}

// GenerateKey draws a key from rand; the same bytes give the same key.
func GenerateKey(rand io.Reader) (*PrivateKey, error) {
	// 128 bits more than the order has, so that the remainder is even to within 2⁻¹²⁸ (as in FIPS 186-5, A.2.1).
	wide := make([]byte, PrivateKeySize+16)
	if _, err := io.ReadFull(rand, wide); err != nil {
		return nil, fmt.Errorf("generate SM2 key: %w", err)
	}
	// The scalar is 1 to n−2: SM2 divides by 1 + d.
	d := new(big.Int).SetBytes(wide)
	clear(wide)
	d.Mod(d, new(big.Int).Sub(gmsm.P256().Params().N, big.NewInt(2)))
	return ParsePrivateKey(d.Add(d, big.NewInt(1)).FillBytes(make([]byte, PrivateKeySize)))
}

// ParsePrivateKey takes the scalar. It refuses other lengths and values outside 1 to n−2.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	if len(b) != PrivateKeySize {
		return nil, fmt.Errorf("SM2 private key must be %d bytes, got %d", PrivateKeySize, len(b))
	}
	key, err := gmsm.NewPrivateKey(b)
	if err != nil {
		return nil, errors.New("SM2 private key is out of range")
	}
	out := &PrivateKey{key: key, public: &PublicKey{key: &key.PublicKey}}
	key.X.FillBytes(out.public.bytes[:32])
	key.Y.FillBytes(out.public.bytes[32:])
	return out, nil
}

// Prepare makes what this key verifies from now on cheaper, by multiples of the key that it computes once and holds: 52 KiB. A verification then takes
// 18 µs of CPU in place of 62, and preparing 370, so that it pays for keys that verify ten messages or more. Safe for concurrent use with everything else;
// the second call does nothing.
func (k *PublicKey) Prepare() {
	if k.table.Load() == nil {
		k.table.Store(newTable(parseAffine(k.bytes[:]), keyBits))
	}
}

// Release gives up what Prepare holds; the key goes on verifying as before it.
func (k *PublicKey) Release() { k.table.Store(nil) }

// Bytes is X ‖ Y.
func (k *PublicKey) Bytes() []byte { return append([]byte(nil), k.bytes[:]...) }

// Key is the key in the form that gmsm and its X.509 take.
func (k *PublicKey) Key() *ecdsa.PublicKey { return k.key }

// Verify reports whether sig (r ‖ s) is this key's over msg under the identifier id: it hashes Z(id, key) ‖ msg with SM3. It never panics.
func (k *PublicKey) Verify(id string, msg, sig []byte) bool {
	if checkSignature(sig) != nil {
		return false // before anything is hashed
	}
	e, err := k.Digest(id, msg)
	return err == nil && k.VerifyDigest(e, sig)
}

// VerifyDigest is Verify over e, the digest of Z and the message, computed by the caller.
func (k *PublicKey) VerifyDigest(e [32]byte, sig []byte) bool {
	if checkSignature(sig) != nil {
		return false
	}
	if t := k.table.Load(); t != nil {
		return t.verify(e, sig)
	}
	var der [maxDER]byte
	return gmsm.VerifyASN1(k.key, e[:], appendDER(der[:0], sig))
}

// Public is the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Bytes is the secret scalar.
func (k *PrivateKey) Bytes() []byte { return k.key.D.FillBytes(make([]byte, PrivateKeySize)) }

// Key is the key in the form that gmsm and its X.509 take.
func (k *PrivateKey) Key() *gmsm.PrivateKey { return k.key }

// Sign signs msg under the identifier id with randomness from rand, and returns r ‖ s.
func (k *PrivateKey) Sign(rand io.Reader, id string, msg []byte) ([]byte, error) {
	e, err := k.public.Digest(id, msg)
	if err != nil {
		return nil, fmt.Errorf("sign with SM2: %w", err)
	}
	return k.SignDigest(rand, e)
}

// SignDigest is Sign over e, the digest of Z and the message, computed by the caller.
func (k *PrivateKey) SignDigest(rand io.Reader, e [32]byte) ([]byte, error) {
	der, err := gmsm.SignASN1(rand, k.key, e[:], nil)
	if err != nil {
		return nil, fmt.Errorf("sign with SM2: %w", err)
	}
	sig, err := DecodeDER(der)
	if err != nil {
		return nil, fmt.Errorf("sign with SM2: %w", err)
	}
	return sig, nil
}
