package gm

import (
	"fmt"
	"io"

	"github.com/emmansun/gmsm/ecdh"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// uncompressed is the first byte of a point with both coordinates (GB/T 32918.1, 4.2.8).
const uncompressed = 4

// agreement is Diffie-Hellman on SM2's curve. Public keys are X ‖ Y; the shared secret is the x-coordinate of the common point, 32 bytes.
//
// Noise gives public keys and secrets one length. The secret is shorter here, as in SEC 1 (3.3.1): the y-coordinate adds no
// more than one bit, and the secret only ever enters HMAC, which takes any length.
type agreement struct{}

// Channel is Noise on SM2, SM4-GCM and SM3. SM4 takes the first 16 bytes of Noise's keys of 32.
func (Suite) Channel() crypto.Channel {
	return crypto.Channel{DH: "SM2", Cipher: "SM4GCM", Hash: "SM3", Agreement: agreement{}}
}

func (agreement) PublicSize() int { return sm2.PublicKeySize }

func (agreement) GenerateKey(rand io.Reader) (private, public []byte, err error) {
	key, err := ecdh.P256().GenerateKey(rand)
	if err != nil {
		return nil, nil, fmt.Errorf("generate SM2 agreement key: %w", err)
	}
	return key.Bytes(), key.PublicKey().Bytes()[1:], nil
}

func (agreement) Agree(private, public []byte) ([]byte, error) {
	key, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("SM2 agreement: %w", err)
	}
	if len(public) != sm2.PublicKeySize {
		return nil, fmt.Errorf("SM2 agreement: %w: it must be %d bytes, got %d", sm2.ErrPublicKey, sm2.PublicKeySize, len(public))
	}
	point, err := ecdh.P256().NewPublicKey(append([]byte{uncompressed}, public...))
	if err != nil {
		return nil, fmt.Errorf("SM2 agreement: %w: the point is not on the curve", sm2.ErrPublicKey)
	}
	secret, err := key.ECDH(point)
	if err != nil {
		return nil, fmt.Errorf("SM2 agreement: %w", err)
	}
	return secret, nil
}
