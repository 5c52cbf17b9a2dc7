package chain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// MaxValidators bounds a validator set: quadratic consensus traffic makes larger ones useless.
const MaxValidators = 512

// Validator is one member of a validator set.
type Validator struct {
	ID ValidatorID
	// PublicKey is the suite's encoding of the node key.
	PublicKey []byte
	// Address is credited as COINBASE for blocks that this validator proposes.
	Address common.Address
}

// ValidatorSet is sorted by ID, without duplicates.
type ValidatorSet []Validator

// Find returns the member with that id, or nil.
func (s ValidatorSet) Find(id ValidatorID) *Validator {
	i, ok := slices.BinarySearchFunc(s, id, func(v Validator, id ValidatorID) int {
		switch {
		case v.ID < id:
			return -1
		case v.ID > id:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &s[i]
}

// Attestation is one validator's signature on an executed header.
type Attestation struct {
	Validator ValidatorID
	Signature []byte
}

// Certificate is a quorum of attestations of one block: the proof that the block is final.
type Certificate struct {
	Height uint64
	// Block is the block hash (keccak), for looking up; the signatures do not rest on it.
	Block common.Hash
	// Header is the suite's hash of the header: what is signed.
	Header crypto.Hash
	// Attestations is sorted by validator, without duplicates.
	Attestations []Attestation
}

// ErrCertificate is wrapped by every error of Certificate.Verify.
var ErrCertificate = errors.New("certificate does not hold")

// AttestationMessage is what a validator signs: a domain, the chain (by its genesis header's suite hash), the height and the header.
func AttestationMessage(genesis crypto.Hash, height uint64, header crypto.Hash) []byte {
	const domain = AttestDomain
	b := make([]byte, 0, len(domain)+32+8+32)
	b = append(b, domain...)
	b = append(b, genesis[:]...)
	b = binary.BigEndian.AppendUint64(b, height)
	return append(b, header[:]...)
}

// Encode is the RLP form.
func (c *Certificate) Encode() []byte {
	b, err := rlp.EncodeToBytes(c)
	if err != nil {
		panic("chain: encode certificate: " + err.Error()) // all fields are encodable types
	}
	return b
}

// DecodeCertificate reverses Encode; it checks form and bounds, not signatures.
func DecodeCertificate(b []byte) (*Certificate, error) {
	c := new(Certificate)
	if err := rlp.DecodeBytes(b, c); err != nil {
		return nil, fmt.Errorf("decode certificate: %w", err)
	}
	if err := c.CheckForm(); err != nil {
		return nil, fmt.Errorf("decode certificate: %w", err)
	}
	return c, nil
}

// CheckForm checks what can be said of a certificate without knowing the set: bounds and order.
func (c *Certificate) CheckForm() error {
	if len(c.Attestations) > MaxValidators {
		return fmt.Errorf("%d attestations, at most %d", len(c.Attestations), MaxValidators)
	}
	var last ValidatorID
	for i, a := range c.Attestations {
		switch {
		case a.Validator == 0:
			return fmt.Errorf("attestation %d is of validator 0, which there is not", i)
		case a.Validator <= last:
			return errors.New("attestations are not sorted by validator")
		}
		last = a.Validator
	}
	return nil
}

// Verify checks that at least quorum members of set signed header on the chain of genesis. Every signature in it must hold.
func (c *Certificate) Verify(suite crypto.Suite, genesis crypto.Hash, set ValidatorSet, quorum int) error {
	if quorum < 1 || len(c.Attestations) < quorum {
		return fmt.Errorf("%w: %d attestations, quorum %d", ErrCertificate, len(c.Attestations), quorum)
	}
	msg := AttestationMessage(genesis, c.Height, c.Header)
	var last ValidatorID
	for _, a := range c.Attestations {
		v := set.Find(a.Validator)
		if v == nil || a.Validator <= last {
			return fmt.Errorf("%w: validator %d is no member, or there twice", ErrCertificate, a.Validator)
		}
		last = a.Validator
		key, err := suite.ParsePublicKey(v.PublicKey)
		if err != nil {
			return fmt.Errorf("%w: key of validator %d: %v", ErrCertificate, v.ID, err)
		}
		if err := key.Verify(msg, a.Signature); err != nil {
			return fmt.Errorf("%w: validator %d: %v", ErrCertificate, v.ID, err)
		}
	}
	return nil
}
