package client

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
)

// Account signs transactions for one address. Implementations are safe for concurrent use. An account of another signature scheme implements
// it with another raw form; a transaction's hash is the Keccak-256 of that form for every scheme.
type Account interface {
	Address() common.Address
	// SignTx returns the raw form of tx, signed for the chain. tx must be complete: nonce, gas and fees set (see Client.Fill).
	SignTx(chainID *big.Int, tx *Tx) (raw []byte, err error)
}

// KeyAccount is an Account whose private key this process holds.
type KeyAccount interface {
	Account
	// Kind is the word in a genesis' transactions: KindSecp256k1 or KindSM2.
	Kind() string
	// Hex is the private key as 0x and 64 hex digits. Whoever reads it owns the account.
	Hex() string
	// Keystore is the account encrypted under passphrase, for AccountFromKeystore.
	Keystore(passphrase string, strength KeystoreStrength) ([]byte, error)
}

// NewAccount draws a fresh account of a kind from the operating system's randomness.
func NewAccount(kind string) (KeyAccount, error) {
	switch kind {
	case KindSecp256k1:
		return NewSecp256k1()
	case KindSM2:
		return NewSM2()
	}
	return nil, errKind(kind)
}

// AccountFromHex reads a private key of a kind as 64 hex digits, with or without 0x. Errors never show the digits.
func AccountFromHex(kind, s string) (KeyAccount, error) {
	switch kind {
	case KindSecp256k1:
		return Secp256k1FromHex(s)
	case KindSM2:
		return SM2FromHex(s)
	}
	return nil, errKind(kind)
}

func errKind(kind string) error {
	return fmt.Errorf("the kind of account %q is unknown, use %q or %q", kind, KindSecp256k1, KindSM2)
}

// ErrIncompleteTx is returned by SignTx for a transaction that lacks its nonce, gas or fees.
var ErrIncompleteTx = errors.New("transaction is incomplete: nonce, gas and fees must be set before it is signed")

// Tx is a transaction before it is signed. The zero value of a field means "fill it in" (Client.Fill).
type Tx struct {
	// To is the recipient; nil creates a contract from Data.
	To *common.Address
	// Value in wei; nil is none.
	Value *big.Int
	Data  []byte
	// Gas is the gas limit; 0 asks the node for an estimate.
	Gas uint64
	// Nonce; nil takes the account's next one, transactions in the pool counted.
	Nonce *uint64
	// FeeCap and TipCap in wei per gas (EIP-1559); nil takes what the node suggests.
	FeeCap, TipCap *big.Int
	AccessList     types.AccessList
	// Authorizations makes it an EIP-7702 transaction, which needs To.
	Authorizations []types.SetCodeAuthorization
}

// Secp256k1 is an account with Ethereum's signature.
type Secp256k1 struct {
	key     *ecdsa.PrivateKey
	address common.Address
}

// NewSecp256k1 draws a fresh account from the operating system's randomness.
func NewSecp256k1() (*Secp256k1, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("generate account key: %w", err)
	}
	return Secp256k1FromKey(key), nil
}

// Secp256k1FromKey uses a key that the caller holds.
func Secp256k1FromKey(key *ecdsa.PrivateKey) *Secp256k1 {
	return &Secp256k1{key: key, address: crypto.PubkeyToAddress(key.PublicKey)}
}

// Secp256k1FromHex reads a private key as 64 hex digits, with or without 0x, spaces around them ignored. Errors never show the digits.
func Secp256k1FromHex(s string) (*Secp256k1, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "0x")
	key, err := crypto.HexToECDSA(s)
	if err != nil {
		return nil, fmt.Errorf("private key must be 64 hex digits of a valid secp256k1 key, got %d characters", len(s))
	}
	return Secp256k1FromKey(key), nil
}

// Kind is "secp256k1", the word in a genesis' transactions.
func (a *Secp256k1) Kind() string { return KindSecp256k1 }

// Address is the last 20 bytes of the public key's Keccak-256.
func (a *Secp256k1) Address() common.Address { return a.address }

// Hex is the private key as 0x and 64 hex digits. Whoever reads it owns the account.
func (a *Secp256k1) Hex() string { return hexutil.Encode(crypto.FromECDSA(a.key)) }

// SignTx gives a type 2 transaction, or type 4 where there are authorizations.
func (a *Secp256k1) SignTx(chainID *big.Int, tx *Tx) ([]byte, error) {
	data, err := tx.ethereum(chainID)
	if err != nil {
		return nil, err
	}
	signed, err := types.SignNewTx(a.key, types.LatestSignerForChainID(chainID), data)
	if err != nil {
		return nil, fmt.Errorf("sign transaction: %w", err)
	}
	raw, err := signed.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode transaction: %w", err)
	}
	return raw, nil
}

// SignAuthorization signs an EIP-7702 authorization: code at delegate runs in this account's name. nonce is the account's when it takes effect.
func (a *Secp256k1) SignAuthorization(chainID *big.Int, delegate common.Address, nonce uint64) (types.SetCodeAuthorization, error) {
	id, overflow := uint256.FromBig(chainID)
	if overflow {
		return types.SetCodeAuthorization{}, errors.New("sign authorization: chain id exceeds 256 bits")
	}
	auth, err := types.SignSetCode(a.key, types.SetCodeAuthorization{ChainID: *id, Address: delegate, Nonce: nonce})
	if err != nil {
		return auth, fmt.Errorf("sign authorization: %w", err)
	}
	return auth, nil
}

// TxHash is the identifier of a raw transaction.
func TxHash(raw []byte) common.Hash { return crypto.Keccak256Hash(raw) }

func (tx *Tx) ethereum(chainID *big.Int) (types.TxData, error) {
	if tx.Nonce == nil || tx.Gas == 0 || tx.FeeCap == nil || tx.TipCap == nil {
		return nil, ErrIncompleteTx
	}
	value := tx.Value
	if value == nil {
		value = new(big.Int)
	}
	if len(tx.Authorizations) == 0 {
		return &types.DynamicFeeTx{ChainID: chainID, Nonce: *tx.Nonce, GasTipCap: tx.TipCap, GasFeeCap: tx.FeeCap, Gas: tx.Gas,
			To: tx.To, Value: value, Data: tx.Data, AccessList: tx.AccessList}, nil
	}
	if tx.To == nil {
		return nil, errors.New("a transaction with authorizations cannot create a contract (EIP-7702)")
	}
	words := make([]*uint256.Int, 0, 4)
	for _, v := range []*big.Int{chainID, tx.TipCap, tx.FeeCap, value} {
		word, overflow := uint256.FromBig(v)
		if overflow || v.Sign() < 0 {
			return nil, errors.New("chain id, fees and value must be 0 to 2^256-1")
		}
		words = append(words, word)
	}
	return &types.SetCodeTx{ChainID: words[0], Nonce: *tx.Nonce, GasTipCap: words[1], GasFeeCap: words[2], Gas: tx.Gas, To: *tx.To,
		Value: words[3], Data: tx.Data, AccessList: tx.AccessList, AuthList: tx.Authorizations}, nil
}
