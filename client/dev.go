package client

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"
)

// DevMnemonic is the test phrase of Hardhat and Anvil. Everyone knows its keys: money sent to them on a public chain is gone at once.
const DevMnemonic = "test test test test test test test test test test test junk"

// MaxDevAccounts bounds DevAccounts: each costs two point multiplications, and nobody tells more of them apart.
const MaxDevAccounts = 1000

// DevAccounts are the first n accounts of DevMnemonic at m/44'/60'/0'/0/i (BIP-39, BIP-32, BIP-44), the ones that Hardhat and Anvil list.
func DevAccounts(n int) ([]*Secp256k1, error) {
	if n < 0 || n > MaxDevAccounts {
		return nil, fmt.Errorf("dev accounts: %d is not within 0 to %d", n, MaxDevAccounts)
	}
	seed, err := pbkdf2.Key(sha512.New, DevMnemonic, []byte("mnemonic"), 2048, 64)
	if err != nil {
		return nil, fmt.Errorf("dev accounts: %w", err)
	}
	const hardened = 1 << 31
	parent := hdKey(hmac512([]byte("Bitcoin seed"), seed))
	for _, index := range []uint32{44 + hardened, 60 + hardened, hardened, 0} {
		if parent, err = parent.child(index); err != nil {
			return nil, fmt.Errorf("dev accounts: %w", err)
		}
	}
	out := make([]*Secp256k1, n)
	for i := range out {
		k, err := parent.child(uint32(i))
		if err != nil {
			return nil, fmt.Errorf("dev account %d: %w", i, err)
		}
		key, err := crypto.ToECDSA(k[:32])
		if err != nil {
			return nil, fmt.Errorf("dev account %d: %w", i, err)
		}
		out[i] = Secp256k1FromKey(key)
	}
	return out, nil
}

// hdKey is an extended private key of BIP-32: key(32) ‖ chain code(32).
type hdKey [64]byte

func (k hdKey) child(index uint32) (hdKey, error) {
	data := make([]byte, 0, 37)
	if index >= 1<<31 {
		data = append(append(data, 0), k[:32]...)
	} else {
		key, err := crypto.ToECDSA(k[:32])
		if err != nil {
			return hdKey{}, err
		}
		data = append(data, crypto.CompressPubkey(&key.PublicKey)...)
	}
	out := hmac512(k[32:], binary.BigEndian.AppendUint32(data, index))
	n := crypto.S256().Params().N
	left := new(big.Int).SetBytes(out[:32])
	if left.Cmp(n) >= 0 {
		return hdKey{}, fmt.Errorf("index %d has no key", index) // BIP-32: probability below 2^-127
	}
	left.Add(left, new(big.Int).SetBytes(k[:32])).Mod(left, n)
	if left.Sign() == 0 {
		return hdKey{}, fmt.Errorf("index %d has no key", index)
	}
	left.FillBytes(out[:32])
	return hdKey(out), nil
}

func hmac512(key, data []byte) (out [64]byte) {
	h := hmac.New(sha512.New, key)
	h.Write(data)
	h.Sum(out[:0])
	return out
}
