package keys

import (
	"fmt"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// The numbers of PKCS#11 3.0 that are needed here.
const (
	mechanismEdDSA    = 0x1057 // CKM_EDDSA
	mechanismEdDSAKey = 0x1055 // CKM_EC_EDWARDS_KEY_PAIR_GEN
)

// scheme is how a device makes signatures of one kind. PKCS#11 knows Ed25519; SM2 is every vendor's own, so its mechanism's number comes from the
// configuration, and what is common to them is here.
type scheme interface {
	mechanism() uint
	// public decodes CKA_EC_POINT to the suite's encoding.
	public(point []byte) ([]byte, error)
	// input is what the device is given for msg.
	input(public, msg []byte) ([]byte, error)
	// generation is the mechanism that makes a key and the values of CKA_EC_PARAMS to try; 0 where only the vendor's tool can.
	generation() (mechanism uint, params [][]byte)
}

func (t *Token) scheme() scheme {
	if t.SM2Mechanism != 0 {
		return sm2Scheme(t.SM2Mechanism)
	}
	return edDSA{}
}

// edDSA is pure Ed25519: the device hashes.
type edDSA struct{}

func (edDSA) mechanism() uint { return mechanismEdDSA }

func (edDSA) input(_, msg []byte) ([]byte, error) { return msg, nil }

// public takes the point as an OCTET STRING, as SoftHSM gives it, or bare, as PKCS#11 3.0 errata have it.
func (edDSA) public(point []byte) ([]byte, error) { return bare(point, 32) }

// generation: the curve by its OID (RFC 8410), and by its name as versions of SoftHSM before 2.7 want it.
func (edDSA) generation() (uint, [][]byte) {
	return mechanismEdDSAKey, [][]byte{{0x06, 0x03, 0x2b, 0x65, 0x70}, append([]byte{0x13, 0x0c}, "edwards25519"...)}
}

// sm2Scheme is SM2 by a vendor's mechanism over the digest e = SM3(Z ‖ msg), which takes no secret and is computed here; the device answers r ‖ s.
type sm2Scheme uint

func (s sm2Scheme) mechanism() uint { return uint(s) }

func (sm2Scheme) input(public, msg []byte) ([]byte, error) {
	key, err := sm2.ParsePublicKey(public)
	if err != nil {
		return nil, err
	}
	e, err := key.Digest(sm2.DefaultID, msg)
	if err != nil {
		return nil, err
	}
	return e[:], nil
}

func (sm2Scheme) public(point []byte) ([]byte, error) {
	b, err := bare(point, 65)
	if err != nil {
		return nil, err
	}
	if b[0] != 4 {
		return nil, fmt.Errorf("the public key is no uncompressed point")
	}
	return b[1:], nil
}

func (sm2Scheme) generation() (uint, [][]byte) { return 0, nil }

// bare takes a point of that size out of its DER OCTET STRING, if it is in one.
func bare(point []byte, size int) ([]byte, error) {
	switch {
	case len(point) == size:
		return point, nil
	case len(point) == size+2 && point[0] == 4 && int(point[1]) == size:
		return point[2:], nil
	}
	return nil, fmt.Errorf("the public key has %d bytes, %d are expected: it is of another kind", len(point), size)
}

// OpenToken opens the key that t names with the PIN of the first source that has one, and lets it sign once. public is the key that it must be; nil takes
// whichever is there. A wrong PIN is ErrPassphrase, everything else that a device can do wrong ErrDevice. The PIN stays in memory so that the device can be
// opened again after it was away.
func OpenToken(t Token, suite crypto.Suite, public crypto.PublicKey, from *Sources) (*DeviceKey, error) {
	var key *DeviceKey
	err := from.Unlock(fmt.Sprintf("token %q", t.Name), maxPINAttempts, func(pin []byte) error {
		held := append([]byte(nil), pin...)
		var err error
		key, err = NewDeviceKey(suite, public, func() (Device, error) { return openPKCS11(t, held) })
		if err != nil {
			clear(held)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the node's key %q: %w", t.Label, err)
	}
	return key, nil
}

// maxPINAttempts leaves a token that locks itself after three wrong PINs one more.
const maxPINAttempts = 2
