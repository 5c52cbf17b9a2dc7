package client

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// SM2TxType is the EIP-2718 type of a transaction that an SM2 account signs: 0x50 ‖ rlp([chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to,
// value, data, accessList, publicKey, r, s]). The signature is GB/T 32918.2's over 0x50 ‖ rlp of the nine fields before the public key.
const SM2TxType = 0x50

// SM2ID is the signer's identifier that Z hashes (GM/T 0009).
const SM2ID = "1234567812345678"

// SM2PublicKeySize is that of X ‖ Y in bytes.
const SM2PublicKeySize = 64

// SM2 is an account with the signature of GB/T 32918.2, for chains whose genesis lists "sm2". Its address is the last 20 bytes of the public key's SM3.
type SM2 struct {
	key       *sm2.PrivateKey
	publicKey [SM2PublicKeySize]byte
	address   common.Address
}

// NewSM2 draws a fresh account from the operating system's randomness.
func NewSM2() (*SM2, error) {
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate SM2 account key: %w", err)
	}
	return SM2FromKey(key), nil
}

// SM2FromKey uses a key that the caller holds.
func SM2FromKey(key *sm2.PrivateKey) *SM2 {
	a := &SM2{key: key}
	key.X.FillBytes(a.publicKey[:32])
	key.Y.FillBytes(a.publicKey[32:])
	a.address = sm2Address(a.publicKey[:])
	return a
}

// SM2FromHex reads a private key as 64 hex digits, with or without 0x, spaces around them ignored. Errors never show the digits.
func SM2FromHex(s string) (*SM2, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "0x")
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return nil, fmt.Errorf("private key must be 64 hex digits of a valid SM2 key, got %d characters", len(s))
	}
	return sm2FromBytes(b)
}

func sm2FromBytes(b []byte) (*SM2, error) {
	key, err := sm2.NewPrivateKey(b)
	if err != nil {
		return nil, errors.New("private key must be a valid SM2 key: its number is out of range")
	}
	return SM2FromKey(key), nil
}

// Kind is "sm2", the word in a genesis' transactions.
func (a *SM2) Kind() string { return KindSM2 }

// Address is the last 20 bytes of the public key's SM3.
func (a *SM2) Address() common.Address { return a.address }

// PublicKey is X ‖ Y.
func (a *SM2) PublicKey() []byte { return append([]byte(nil), a.publicKey[:]...) }

// Hex is the private key as 0x and 64 hex digits. Whoever reads it owns the account.
func (a *SM2) Hex() string { return hexutil.Encode(a.secret()) }

func (a *SM2) secret() []byte { return a.key.D.FillBytes(make([]byte, 32)) }

// SignTx gives a transaction of type 0x50. It carries no authorizations: those of EIP-7702 are Ethereum's, signed and sent by secp256k1 accounts.
func (a *SM2) SignTx(chainID *big.Int, tx *Tx) ([]byte, error) {
	if len(tx.Authorizations) > 0 {
		return nil, errors.New("an SM2 transaction carries no authorizations (EIP-7702): send them from a secp256k1 account")
	}
	data, err := tx.ethereum(chainID)
	if err != nil {
		return nil, err
	}
	fields := data.(*types.DynamicFeeTx) // without authorizations it is that
	for _, v := range []*big.Int{chainID, fields.GasTipCap, fields.GasFeeCap, fields.Value} {
		if v.Sign() < 0 || v.BitLen() > 256 {
			return nil, errors.New("chain id, fees and value must be 0 to 2^256-1")
		}
	}
	out := sm2Tx{ChainID: chainID, Nonce: fields.Nonce, TipCap: fields.GasTipCap, FeeCap: fields.GasFeeCap, Gas: fields.Gas, To: fields.To, Value: fields.Value,
		Data: fields.Data, AccessList: fields.AccessList, PublicKey: a.publicKey}
	message, err := out.message()
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	der, err := a.key.SignWithSM2(rand.Reader, []byte(SM2ID), message)
	if err != nil {
		return nil, fmt.Errorf("sign transaction: %w", err)
	}
	var sig sm2Signature
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, fmt.Errorf("sign transaction: %w", err)
	}
	out.R, out.S = sig.R, sig.S
	raw, err := rlp.EncodeToBytes(&out)
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	return append([]byte{SM2TxType}, raw...), nil
}

// sm2Tx is a transaction of type 0x50; its order of fields is the encoding's.
type sm2Tx struct {
	ChainID        *big.Int
	Nonce          uint64
	TipCap, FeeCap *big.Int
	Gas            uint64
	To             *common.Address `rlp:"nil"`
	Value          *big.Int
	Data           []byte
	AccessList     types.AccessList
	PublicKey      [SM2PublicKeySize]byte
	R, S           *big.Int
}

// sm2Signature is DER's form (GM/T 0009) of a signature.
type sm2Signature struct{ R, S *big.Int }

// message is what is signed.
func (t *sm2Tx) message() ([]byte, error) {
	b, err := rlp.EncodeToBytes(&struct {
		ChainID        *big.Int
		Nonce          uint64
		TipCap, FeeCap *big.Int
		Gas            uint64
		To             *common.Address `rlp:"nil"`
		Value          *big.Int
		Data           []byte
		AccessList     types.AccessList
	}{t.ChainID, t.Nonce, t.TipCap, t.FeeCap, t.Gas, t.To, t.Value, t.Data, t.AccessList})
	return append([]byte{SM2TxType}, b...), err
}

// sender checks the signature and is the address of the key that made it.
func (t *sm2Tx) sender() (from common.Address, err error) {
	n := sm2.P256().Params().N
	for name, v := range map[string]*big.Int{"r": t.R, "s": t.S} {
		if v.Sign() <= 0 || v.Cmp(n) >= 0 {
			return from, fmt.Errorf("%s is out of range", name)
		}
	}
	key, err := sm2.ParseUncompressedPublicKey(append([]byte{4}, t.PublicKey[:]...))
	if err != nil {
		return from, errors.New("its public key is not a point of the curve")
	}
	message, err := t.message()
	if err != nil {
		return from, err
	}
	der, err := asn1.Marshal(sm2Signature{t.R, t.S})
	if err != nil {
		return from, err
	}
	if !sm2.VerifyASN1WithSM2(key, []byte(SM2ID), message, der) {
		return from, errors.New("the SM2 signature is not its public key's over its fields")
	}
	return sm2Address(t.PublicKey[:]), nil
}

func sm2Address(publicKey []byte) common.Address {
	hash := sm3.Sum(publicKey)
	return common.BytesToAddress(hash[12:])
}
