package chain

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
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
)

// TxKind is a way to sign a transaction; the genesis lists the kinds that a chain accepts.
type TxKind string

// Secp256k1 is Ethereum's signature, transaction types 0, 1, 2 and 4.
const Secp256k1 TxKind = "secp256k1"

// Errors of decoding and verification. The texts are the ones that Ethereum's clients know.
var (
	ErrTxTooLarge     = fmt.Errorf("oversized data: transaction exceeds %d bytes", MaxTxSize)
	ErrTxType         = errors.New("transaction type not supported")
	ErrBlobTx         = errors.New("transaction type not supported: this chain carries no blobs (type 3)")
	ErrChainID        = errors.New("invalid chain id for signer")
	ErrUnprotectedTx  = errors.New("only replay-protected (EIP-155) transactions allowed over RPC")
	ErrTxSignature    = errors.New("invalid transaction v, r, s values")
	ErrTxKind         = errors.New("this chain does not accept this kind of signature")
	ErrTipAboveFeeCap = errors.New("max priority fee per gas higher than max fee per gas")
)

// Tx is one decoded transaction of any type. It is immutable after Verify, which one goroutine must call before the Tx is shared;
// all other methods are then safe for concurrent use. Callers must not alter what the methods return.
type Tx struct {
	inner  *types.Transaction
	raw    []byte
	hash   common.Hash
	sender common.Address
	// value, feeCap and tipCap are held converted: execution, the pool and the RPC each ask for them.
	value, feeCap, tipCap uint256.Int
	verified              bool
}

// DecodeTx decodes the canonical form of a transaction (RLP for type 0, type byte ‖ RLP above). It keeps raw. The sender is unknown
// until Verify.
func DecodeTx(raw []byte) (*Tx, error) {
	if len(raw) > MaxTxSize {
		return nil, ErrTxTooLarge
	}
	if len(raw) > 0 && raw[0] < 0x80 {
		switch raw[0] {
		case AccessListTxType, DynamicFeeTxType, SetCodeTxType:
		case BlobTxType:
			return nil, ErrBlobTx
		default:
			return nil, fmt.Errorf("%w: 0x%02x", ErrTxType, raw[0])
		}
	}
	inner := new(types.Transaction)
	if err := inner.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("decode transaction: %w", err)
	}
	return newTx(inner, raw)
}

// NewTx wraps a signed transaction that was built here; tests and tools use it.
func NewTx(inner *types.Transaction) (*Tx, error) {
	raw, err := inner.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	return DecodeTx(raw)
}

func newTx(inner *types.Transaction, raw []byte) (*Tx, error) {
	tx := &Tx{inner: inner, raw: raw, hash: gethcrypto.Keccak256Hash(raw)}
	for _, f := range []struct {
		to   *uint256.Int
		from *big.Int
		name string
	}{{&tx.value, inner.Value(), "value"}, {&tx.feeCap, inner.GasFeeCap(), "max fee per gas"}, {&tx.tipCap, inner.GasTipCap(), "max priority fee per gas"}} {
		if f.from.Sign() < 0 || f.to.SetFromBig(f.from) {
			return nil, fmt.Errorf("decode transaction: %s exceeds 256 bits", f.name)
		}
	}
	if tx.tipCap.Gt(&tx.feeCap) {
		return nil, ErrTipAboveFeeCap
	}
	return tx, nil
}

// Verifier checks what makes a transaction valid on a chain whatever its state: signature, chain id, kind. Safe for concurrent use.
type Verifier struct {
	chainID *big.Int
	signer  types.Signer
	kinds   []TxKind
}

// NewVerifier returns the verifier of the chain that g describes.
func NewVerifier(g *Genesis) *Verifier {
	id := new(big.Int).SetUint64(g.ChainID)
	return &Verifier{chainID: id, signer: types.LatestSignerForChainID(id), kinds: slices.Clone(g.Transactions)}
}

// Verify recovers the sender (one signature recovery, the dearest step of a transaction's life) and remembers it. A second call is free.
func (v *Verifier) Verify(tx *Tx) error {
	if tx.verified {
		return nil
	}
	if !slices.Contains(v.kinds, Secp256k1) {
		return fmt.Errorf("%w: %s", ErrTxKind, Secp256k1)
	}
	if !tx.inner.Protected() {
		return ErrUnprotectedTx
	}
	if tx.inner.ChainId().Cmp(v.chainID) != 0 {
		return fmt.Errorf("%w: have %s want %s", ErrChainID, tx.inner.ChainId(), v.chainID)
	}
	sender, err := types.Sender(v.signer, tx.inner)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrTxSignature, err)
	}
	tx.sender, tx.verified = sender, true
	return nil
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
func (tx *Tx) Type() uint8 { return tx.inner.Type() }

// Kind is the way it is signed.
func (tx *Tx) Kind() TxKind { return Secp256k1 }

// Nonce is the sender's nonce that the transaction takes.
func (tx *Tx) Nonce() uint64 { return tx.inner.Nonce() }

// Gas is the gas limit.
func (tx *Tx) Gas() uint64 { return tx.inner.Gas() }

// FeeCap is the most that the sender pays per gas in wei (the gas price below type 2).
func (tx *Tx) FeeCap() *uint256.Int { return &tx.feeCap }

// TipCap is the most that goes to the proposer per gas in wei (the gas price below type 2).
func (tx *Tx) TipCap() *uint256.Int { return &tx.tipCap }

// Value is the amount sent in wei.
func (tx *Tx) Value() *uint256.Int { return &tx.value }

// To is the recipient; nil creates a contract.
func (tx *Tx) To() *common.Address { return tx.inner.To() }

// Data is the call data or init code.
func (tx *Tx) Data() []byte { return tx.inner.Data() }

// AccessList is EIP-2930's list.
func (tx *Tx) AccessList() types.AccessList { return tx.inner.AccessList() }

// Authorizations are EIP-7702's.
func (tx *Tx) Authorizations() []types.SetCodeAuthorization { return tx.inner.SetCodeAuthorizations() }

// ChainID is the chain that it is signed for.
func (tx *Tx) ChainID() *big.Int { return tx.inner.ChainId() }

// Signature is v, r, s as JSON-RPC shows them (v is the y parity above type 0).
func (tx *Tx) Signature() (v, r, s *big.Int) { return tx.inner.RawSignatureValues() }

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
func (tx *Tx) EffectiveTip(baseFee *uint256.Int) (tip *uint256.Int, ok bool) {
	if tx.feeCap.Lt(baseFee) {
		return nil, false
	}
	tip = new(uint256.Int).Sub(&tx.feeCap, baseFee)
	if tx.tipCap.Lt(tip) {
		tip.Set(&tx.tipCap)
	}
	return tip, true
}
