package sealed

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/flynn/noise"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// noiseKey is the length of Noise's cipher keys.
const noiseKey = 32

// overhead is the length of the tag that Noise's ciphers append.
const overhead = 16

// primitives are a suite's functions as the Noise library takes them. Safe for concurrent use.
type primitives struct {
	suite   crypto.Suite
	channel crypto.Channel
}

// newPrimitives checks the suite, so that nothing can fail later for its sake.
func newPrimitives(suite crypto.Suite) (primitives, error) {
	p := primitives{suite, suite.Channel()}
	if p.channel.Agreement == nil || suite.KeySize() > noiseKey {
		return p, fmt.Errorf("%w: %s", ErrIncomplete, suite.Name())
	}
	aead, err := suite.AEAD(make([]byte, suite.KeySize()))
	if err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrIncomplete, suite.Name(), err)
	}
	if aead.NonceSize() != 12 || aead.Overhead() != overhead {
		return p, fmt.Errorf("%w: %s has nonces of %d and tags of %d bytes", ErrIncomplete, suite.Name(), aead.NonceSize(), aead.Overhead())
	}
	return p, nil
}

func (p primitives) GenerateKeypair(rand io.Reader) (noise.DHKey, error) {
	private, public, err := p.channel.Agreement.GenerateKey(rand)
	return noise.DHKey{Private: private, Public: public}, err
}

func (p primitives) DH(private, public []byte) ([]byte, error) {
	return p.channel.Agreement.Agree(private, public)
}

func (p primitives) DHLen() int         { return p.channel.Agreement.PublicSize() }
func (p primitives) DHName() string     { return p.channel.DH }
func (p primitives) CipherName() string { return p.channel.Cipher }
func (p primitives) HashName() string   { return p.channel.Hash }
func (p primitives) Hash() hash.Hash    { return p.suite.NewHash() }

// Cipher takes as much of Noise's 32-byte key from its beginning as the suite's cipher has for a key.
func (p primitives) Cipher(key [noiseKey]byte) noise.Cipher {
	aead, err := p.suite.AEAD(key[:p.suite.KeySize()])
	if err != nil {
		panic(fmt.Sprintf("sealed: %v", err)) // newPrimitives has seen that it takes such keys
	}
	return &record{aead: aead}
}

// record is a cipher under one key. It belongs to one goroutine at a time, as Noise's cipher states do.
type record struct {
	aead  cipher.AEAD
	nonce [12]byte // here, so that it is not allocated anew for every record
}

// number is the nonce of the nth record: four zero bytes and n, big-endian, as Noise has it for GCM.
func (r *record) number(n uint64) []byte {
	binary.BigEndian.PutUint64(r.nonce[4:], n)
	return r.nonce[:]
}

func (r *record) Encrypt(out []byte, n uint64, ad, plaintext []byte) []byte {
	return r.aead.Seal(out, r.number(n), plaintext, ad)
}

func (r *record) Decrypt(out []byte, n uint64, ad, ciphertext []byte) ([]byte, error) {
	return r.aead.Open(out, r.number(n), ciphertext, ad)
}
