package chain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

var (
	secp256k1N     = uint256.MustFromBig(gethcrypto.S256().Params().N)
	secp256k1HalfN = new(uint256.Int).Rsh(secp256k1N, 1)
)

// Verifier checks what makes a transaction valid on a chain whatever its state: signature, chain id, kind. Safe for concurrent use.
type Verifier struct {
	chainID *uint256.Int
	// legacyTail is what EIP-155 adds to the fields of a type 0 transaction before hashing: chain id, 0, 0.
	legacyTail []byte
	kinds      []TxKind
	known      knownKeys
}

// NewVerifier returns the verifier of the chain that g describes.
func NewVerifier(g *Genesis) *Verifier {
	return &Verifier{
		chainID:    uint256.NewInt(g.ChainID),
		legacyTail: append(rlp.AppendUint64(nil, g.ChainID), 0x80, 0x80),
		kinds:      slices.Clone(g.Transactions),
	}
}

// Verify finds the sender (one signature recovery or verification, the dearest step of a transaction's life) and remembers it. A second call is
// free. Every refusal wraps one of ErrTxKind, ErrUnprotectedTx, ErrChainID and ErrTxSignature.
func (v *Verifier) Verify(tx *Tx) error {
	if tx.verified {
		return nil
	}
	if kind := tx.Kind(); !slices.Contains(v.kinds, kind) {
		return fmt.Errorf("%w: the sender signed with %s, the genesis lists %q: send it from an account of a kind that is listed", ErrTxKind, kind, v.kinds)
	}
	if !tx.protected {
		return ErrUnprotectedTx
	}
	if !tx.chainID.Eq(v.chainID) {
		return fmt.Errorf("%w: have %s want %s", ErrChainID, tx.chainID.Dec(), v.chainID.Dec())
	}
	find := v.recover
	if tx.typ == SM2TxType {
		find = v.verifySM2
	}
	sender, err := find(tx)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrTxSignature, err)
	}
	tx.sender, tx.verified = sender, true
	return nil
}

// recover is the address whose key made tx's signature. Malleable signatures (EIP-2, s in the upper half) are refused.
func (v *Verifier) recover(tx *Tx) (common.Address, error) {
	parity := tx.v
	if tx.typ == LegacyTxType {
		parity.SubUint64(&parity, 35) // the chain id has been compared, so v is 35 + 2 × id + parity
		parity[0] &= 1
	}
	switch {
	case !parity.LtUint64(2):
		return common.Address{}, errors.New("the parity of v is neither 0 nor 1")
	case tx.r.IsZero() || !tx.r.Lt(secp256k1N):
		return common.Address{}, errors.New("r is out of range")
	case tx.s.IsZero() || tx.s.Gt(secp256k1HalfN):
		return common.Address{}, errors.New("s is out of range")
	}
	sig := make([]byte, gethcrypto.SignatureLength)
	tx.r.WriteToSlice(sig[:32])
	tx.s.WriteToSlice(sig[32:64])
	sig[64] = byte(parity[0])
	digest := v.signingHash(tx)
	key, err := gethcrypto.Ecrecover(digest[:], sig)
	if err != nil {
		return common.Address{}, err
	}
	hash := gethcrypto.Keccak256Hash(key[1:]) // key[0] says that the point is uncompressed
	return common.BytesToAddress(hash[12:]), nil
}

// signingHash is for kind Secp256k1 the keccak of what was signed: the fields before the signature as a list of their own, with the type byte before them or
// EIP-155's tail behind. The fields are taken as they were encoded, which is the only encoding that decoding lets through.
func (v *Verifier) signingHash(tx *Tx) common.Hash {
	head := make([]byte, 0, 16)
	if tx.typ != LegacyTxType {
		return gethcrypto.Keccak256Hash(appendListHeader(append(head, tx.typ), len(tx.signed)), tx.signed)
	}
	return gethcrypto.Keccak256Hash(appendListHeader(head, len(tx.signed)+len(v.legacyTail)), tx.signed, v.legacyTail)
}

// appendListHeader appends the RLP header of a list whose content has that many bytes.
func appendListHeader(b []byte, size int) []byte {
	if size < 56 {
		return append(b, 0xc0+byte(size))
	}
	// A length of two or more bytes is written as a string is, with another first byte.
	n := len(b)
	b = rlp.AppendUint64(b, uint64(size))
	if size < 0x80 {
		return append(b[:n], 0xf8, byte(size))
	}
	b[n] += 0xf7 - 0x80
	return b
}
