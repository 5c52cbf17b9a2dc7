package client

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// maxUnsigned bounds a payload in bytes: what a node takes as a transaction (128 KiB), with room for what surrounds it.
const maxUnsigned = 160 << 10

// Unsigned is a transaction as a signer is shown it: all that it will sign, and for which chain.
type Unsigned struct {
	// Kind is KindSecp256k1 or KindSM2, which the payload's first byte tells.
	Kind    string
	ChainID *big.Int
	Tx      *Tx
}

// unsignedFields are those of type 2 and of type 0x50, in the order of their encoding.
type unsignedFields struct {
	ChainID        *big.Int
	Nonce          uint64
	TipCap, FeeCap *big.Int
	Gas            uint64
	To             *common.Address `rlp:"nil"`
	Value          *big.Int
	Data           []byte
	AccessList     types.AccessList
}

// ErrUnsigned is a payload that is no unsigned transaction of a kind that remote signers sign.
var ErrUnsigned = errors.New("no unsigned transaction of type 0x02 or 0x50")

// EncodeUnsigned is what a signature of that kind is over, before any hash: type ‖ rlp of the fields before the signature. tx must be complete. Transactions
// with authorizations (EIP-7702) have none: their power is beyond what a signer's policy can judge.
func EncodeUnsigned(kind string, chainID *big.Int, tx *Tx) ([]byte, error) {
	if len(tx.Authorizations) > 0 {
		return nil, errors.New("a remote signer signs no transactions with authorizations (EIP-7702)")
	}
	data, err := tx.ethereum(chainID)
	if err != nil {
		return nil, err
	}
	f := data.(*types.DynamicFeeTx) // without authorizations it is that
	first, err := unsignedType(kind)
	if err != nil {
		return nil, err
	}
	b, err := rlp.EncodeToBytes(&unsignedFields{chainID, f.Nonce, f.GasTipCap, f.GasFeeCap, f.Gas, f.To, f.Value, f.Data, f.AccessList})
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	return append([]byte{first}, b...), nil
}

// DecodeUnsigned reverses EncodeUnsigned. It takes canonical encodings alone, so that what a signer has judged is what it signs.
func DecodeUnsigned(payload []byte) (*Unsigned, error) {
	if len(payload) > maxUnsigned {
		return nil, fmt.Errorf("%w: exceeds %d bytes", ErrUnsigned, maxUnsigned)
	}
	if len(payload) == 0 {
		return nil, ErrUnsigned
	}
	u := new(Unsigned)
	switch payload[0] {
	case types.DynamicFeeTxType:
		u.Kind = KindSecp256k1
	case SM2TxType:
		u.Kind = KindSM2
	default:
		return nil, fmt.Errorf("%w: type 0x%02x", ErrUnsigned, payload[0])
	}
	var f unsignedFields
	if err := rlp.DecodeBytes(payload[1:], &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	for _, v := range []*big.Int{f.ChainID, f.TipCap, f.FeeCap, f.Value} {
		if v.BitLen() > 256 {
			return nil, fmt.Errorf("%w: a number exceeds 256 bits", ErrUnsigned)
		}
	}
	if f.Gas == 0 {
		return nil, fmt.Errorf("%w: it has no gas", ErrUnsigned)
	}
	u.ChainID = f.ChainID
	u.Tx = &Tx{To: f.To, Value: f.Value, Data: f.Data, Gas: f.Gas, Nonce: &f.Nonce, FeeCap: f.FeeCap, TipCap: f.TipCap, AccessList: f.AccessList}
	again, err := EncodeUnsigned(u.Kind, u.ChainID, u.Tx)
	if err != nil || !bytes.Equal(again, payload) {
		return nil, fmt.Errorf("%w: not in its canonical form", ErrUnsigned)
	}
	return u, nil
}

func unsignedType(kind string) (byte, error) {
	switch kind {
	case KindSecp256k1:
		return types.DynamicFeeTxType, nil
	case KindSM2:
		return SM2TxType, nil
	}
	return 0, errKind(kind)
}

// SenderOf checks a raw transaction's signature and is the address that it is from. It takes the types that remote signers sign.
func SenderOf(raw []byte) (common.Address, error) {
	if len(raw) == 0 || len(raw) > maxUnsigned+256 {
		return common.Address{}, ErrUnsigned
	}
	switch raw[0] {
	case SM2TxType:
		var t sm2Tx
		if err := rlp.DecodeBytes(raw[1:], &t); err != nil {
			return common.Address{}, fmt.Errorf("decode transaction: %w", err)
		}
		return t.sender()
	case types.DynamicFeeTxType:
		var t types.Transaction
		if err := t.UnmarshalBinary(raw); err != nil {
			return common.Address{}, fmt.Errorf("decode transaction: %w", err)
		}
		return types.Sender(types.LatestSignerForChainID(t.ChainId()), &t)
	}
	return common.Address{}, ErrUnsigned
}

// unsignedOf is the payload whose signed form raw is.
func unsignedOf(raw []byte) ([]byte, error) {
	switch raw[0] {
	case SM2TxType:
		var t sm2Tx
		if err := rlp.DecodeBytes(raw[1:], &t); err != nil {
			return nil, err
		}
		return t.message()
	case types.DynamicFeeTxType:
		var t types.Transaction
		if err := t.UnmarshalBinary(raw); err != nil {
			return nil, err
		}
		nonce := t.Nonce()
		return EncodeUnsigned(KindSecp256k1, t.ChainId(), &Tx{To: t.To(), Value: t.Value(), Data: t.Data(), Gas: t.Gas(), Nonce: &nonce, FeeCap: t.GasFeeCap(),
			TipCap: t.GasTipCap(), AccessList: t.AccessList()})
	}
	return nil, ErrUnsigned
}
