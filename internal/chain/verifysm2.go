package chain

import (
	"errors"

	"github.com/emmansun/gmsm/sm3"
	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// sm2N is the order of SM2's group (GB/T 32918.5).
var sm2N = uint256.MustFromHex("0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123")

var (
	errSM2Mismatch = errors.New("the SM2 signature is not this public key's over these fields")
	errSM2R        = errors.New("r is out of range")
	errSM2S        = errors.New("s is out of range")
)

// verifySM2 is the address of tx's public key, whose signature tx bears: the last 20 bytes of the key's SM3.
//
// Nobody but the holder of the key can make another valid signature of one, so there is no half of s to refuse as EIP-2 does for secp256k1. There,
// (r, n−s) verifies where (r, s) does, because R and −R have one x-coordinate. SM2 verifies r ≡ e + x(s·G + (r+s)·P): with r and e given,
// an s' for the mirrored point is −s − 2·r·d/(1+d), which takes the private key d. r and s have one encoding each, 1 to n−1 without leading zeros.
// A key cannot be exchanged for one under which the signature verifies also: e hashes Z, which hashes the key.
func (v *Verifier) verifySM2(tx *Tx) (common.Address, error) {
	switch {
	case tx.r.IsZero() || !tx.r.Lt(sm2N):
		return common.Address{}, errSM2R
	case tx.s.IsZero() || !tx.s.Lt(sm2N):
		return common.Address{}, errSM2S
	}
	publicKey := [sm2.PublicKeySize]byte(tx.publicKey)
	known := v.known.find(publicKey)
	fresh := known.key == nil
	if fresh {
		key, err := sm2.ParsePublicKey(tx.publicKey)
		if err != nil {
			return common.Address{}, err
		}
		known = knownKey{key: key, address: SM2Address(tx.publicKey)}
	}
	var sig [sm2.SignatureSize]byte
	tx.r.WriteToSlice(sig[:32])
	tx.s.WriteToSlice(sig[32:])
	if !known.key.Verify(sm2.DefaultID, tx.sm2Message(), sig[:]) {
		return common.Address{}, errSM2Mismatch
	}
	switch {
	case fresh:
		v.known.add(publicKey, known)
	case known.due:
		known.key.Prepare()
	}
	return known.address, nil
}

// sm2Message is what was signed: 0x50 and the fields before the public key as a list of their own.
func (tx *Tx) sm2Message() []byte {
	const maxHeader = 1 + 4 // the type, and the header of a list below 2²⁴ bytes
	return append(appendListHeader(append(make([]byte, 0, maxHeader+len(tx.signed)), tx.typ), len(tx.signed)), tx.signed...)
}

// SM2Address is the account of an SM2 public key (X ‖ Y). Accounts of both kinds share one space of 160-bit addresses: that two keys have one address is
// as unlikely as with Ethereum's keys alone, a chance of 2⁻¹⁶⁰ for a given address, since SM3 and Keccak-256 are unrelated random-looking maps to it.
func SM2Address(publicKey []byte) common.Address {
	hash := sm3.Sum(publicKey)
	return common.BytesToAddress(hash[12:])
}
