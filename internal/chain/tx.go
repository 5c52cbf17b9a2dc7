package chain

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
)

// MaxTxSize bounds a raw transaction in bytes. It is geth's figure, so whatever a tool can send to Ethereum it can send here:
// the largest contract (24 KiB) with its constructor fits five times.
const MaxTxSize = 128 * 1024

// Transaction types (EIP-2718).
const (
	LegacyTxType     = types.LegacyTxType
	AccessListTxType = types.AccessListTxType
	DynamicFeeTxType = types.DynamicFeeTxType
	BlobTxType       = types.BlobTxType
	SetCodeTxType    = types.SetCodeTxType
	// SM2TxType is ours: the fields of type 2, then the public key, r and s of an SM2 signature over them.
	SM2TxType = 0x50
)

// TxKind is a way to sign a transaction; the genesis lists the kinds that a chain accepts.
type TxKind string

// The kinds.
const (
	// Secp256k1 is Ethereum's signature, transaction types 0, 1, 2 and 4.
	Secp256k1 TxKind = "secp256k1"
	// SM2 is GB/T 32918.2's signature, transaction type 0x50.
	SM2 TxKind = "sm2"
)

// TxKinds are all kinds that there are.
var TxKinds = []TxKind{Secp256k1, SM2}

// Errors of decoding and verification. The texts are the ones that Ethereum's clients know.
var (
	ErrTxTooLarge     = fmt.Errorf("oversized data: transaction exceeds %d bytes", MaxTxSize)
	ErrTxEncoding     = errors.New("decode transaction")
	ErrTxType         = errors.New("transaction type not supported")
	ErrBlobTx         = errors.New("transaction type not supported: this chain carries no blobs (type 3)")
	ErrChainID        = errors.New("invalid chain id for signer")
	ErrUnprotectedTx  = errors.New("only replay-protected (EIP-155) transactions allowed over RPC")
	ErrTxSignature    = errors.New("invalid transaction v, r, s values")
	ErrTxKind         = errors.New("this chain does not accept this kind of signature")
	ErrNotPermitted   = errors.New("not permitted on this chain")
	ErrTipAboveFeeCap = errors.New("max priority fee per gas higher than max fee per gas")
)

// Tx is one decoded transaction of any type. It is immutable after Verify, which one goroutine must call before the Tx is shared;
// all other methods are then safe for concurrent use. Callers must not alter what the methods return.
type Tx struct {
	// raw is the whole transaction; data and signed are parts of it.
	raw    []byte
	hash   common.Hash
	sender common.Address

	typ        uint8
	verified   bool
	protected  bool
	creates    bool
	nonce, gas uint64
	to         common.Address
	data       []byte
	// publicKey is the sender's, X ‖ Y, in a transaction of type 0x50, and otherwise nil.
	publicKey []byte
	// signed are the encoded fields before the signature: what the signature's hash covers.
	signed         []byte
	accessList     types.AccessList
	authorizations []types.SetCodeAuthorization

	chainID, value, feeCap, tipCap uint256.Int
	v, r, s                        uint256.Int
}

// RestoreTx decodes a transaction that was verified before and kept beside its sender: it counts as verified, without a signature recovery. Only
// a store may call it, on bytes that it wrote itself.
func RestoreTx(raw []byte, sender common.Address) (*Tx, error) {
	tx, err := DecodeTx(raw)
	if err != nil {
		return nil, err
	}
	tx.sender, tx.verified = sender, true
	return tx, nil
}

// NewTx wraps a signed transaction that was built here; tests and tools use it.
func NewTx(inner *types.Transaction) (*Tx, error) {
	raw, err := inner.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	return DecodeTx(raw)
}

// Raw is the canonical encoding, whose Keccak-256 is the transaction's hash.
func (tx *Tx) Raw() []byte { return tx.raw }

// Hash is the transaction's identifier, keccak of Raw for every type.
func (tx *Tx) Hash() common.Hash { return tx.hash }

// Sender is the account that signed. It panics before Verify: using an unverified sender is a programming error, not an input's.
func (tx *Tx) Sender() common.Address {
	if !tx.verified {
		panic("chain: sender of an unverified transaction")
	}
	return tx.sender
}

// Verified reports whether Verify has succeeded.
func (tx *Tx) Verified() bool { return tx.verified }

// Type is the EIP-2718 type.
func (tx *Tx) Type() uint8 { return tx.typ }

// Kind is the way it is signed.
func (tx *Tx) Kind() TxKind {
	if tx.typ == SM2TxType {
		return SM2
	}
	return Secp256k1
}

// PublicKey is the key that a transaction of kind SM2 carries, X ‖ Y, 64 bytes: Z hashes it, so it cannot be recovered from the signature. nil for
// the other kind. Before Verify it is what somebody claims.
func (tx *Tx) PublicKey() []byte { return tx.publicKey }

// Nonce is the sender's nonce that the transaction takes.
func (tx *Tx) Nonce() uint64 { return tx.nonce }

// Gas is the gas limit.
func (tx *Tx) Gas() uint64 { return tx.gas }

// FeeCap is the most that the sender pays per gas in wei (the gas price below type 2).
func (tx *Tx) FeeCap() *uint256.Int { return &tx.feeCap }

// TipCap is the most that goes to the proposer per gas in wei (the gas price below type 2).
func (tx *Tx) TipCap() *uint256.Int { return &tx.tipCap }

// Value is the amount sent in wei.
func (tx *Tx) Value() *uint256.Int { return &tx.value }

// To is the recipient; nil creates a contract.
func (tx *Tx) To() *common.Address {
	if tx.creates {
		return nil
	}
	return &tx.to
}

// Data is the call data or init code.
func (tx *Tx) Data() []byte { return tx.data }

// AccessList is EIP-2930's list; nil for type 0.
func (tx *Tx) AccessList() types.AccessList { return tx.accessList }

// Authorizations are EIP-7702's; nil below type 4.
func (tx *Tx) Authorizations() []types.SetCodeAuthorization { return tx.authorizations }

// ChainID is the chain that it is signed for; 0 for an unprotected one.
func (tx *Tx) ChainID() *big.Int { return tx.chainID.ToBig() }

// Signature is v, r, s as JSON-RPC shows them (v is the y parity above type 0, and 0 for kind SM2, which has none).
func (tx *Tx) Signature() (v, r, s *big.Int) { return tx.v.ToBig(), tx.r.ToBig(), tx.s.ToBig() }

// Cost is the most that the transaction can take from its sender in wei: value + gas × fee cap. ok is false when that exceeds 256 bits.
func (tx *Tx) Cost() (cost *uint256.Int, ok bool) {
	cost, overflow := new(uint256.Int).MulOverflow(uint256.NewInt(tx.Gas()), &tx.feeCap)
	if overflow {
		return nil, false
	}
	cost, overflow = cost.AddOverflow(cost, &tx.value)
	return cost, !overflow
}

// EffectiveTip is what the proposer earns per gas at baseFee: min(tip cap, fee cap − base fee). ok is false when the fee cap is below it.
// Where the base fee is zero, gas is free (FeesZero; the other modes never reach zero) and so is the tip, whatever the sender offers:
// tools offer one by default, and an account without money must be able to use them.
func (tx *Tx) EffectiveTip(baseFee *uint256.Int) (tip *uint256.Int, ok bool) {
	if baseFee.IsZero() {
		return new(uint256.Int), true
	}
	if tx.feeCap.Lt(baseFee) {
		return nil, false
	}
	tip = new(uint256.Int).Sub(&tx.feeCap, baseFee)
	if tx.tipCap.Lt(tip) {
		tip.Set(&tx.tipCap)
	}
	return tip, true
}
