package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// account is an account as the trie holds it: chain.Account and the root of its storage. The zero value is no account.
type account struct {
	chain.Account
	root   common.Hash
	exists bool
}

// noAccount has the roots of an account that is about to come into being.
var noAccount = account{Account: chain.Account{CodeHash: chain.EmptyCodeHash}, root: types.EmptyRootHash}

// public is the caller's copy, nil when there is no account.
func (a *account) public() *chain.Account {
	if !a.exists {
		return nil
	}
	c := a.Account
	return &c
}

// appendLeaf appends the account's leaf value in Ethereum's state trie: RLP of nonce, balance, storage root, code hash. It is 70 to 110 bytes long, so its
// list header always takes two bytes.
func (a *account) appendLeaf(b []byte) []byte {
	start := len(b)
	b = append(b, 0xf8, 0)
	var nonce [8]byte
	binary.BigEndian.PutUint64(nonce[:], a.Nonce)
	b = appendUint(b, nonce[:])
	balance := a.Balance.Bytes32()
	b = appendUint(b, balance[:])
	b = append(append(b, 0xa0), a.root[:]...)
	b = append(append(b, 0xa0), a.CodeHash[:]...)
	b[start+1] = byte(len(b) - start - 2)
	return b
}

// appendRecord appends the flat record; nothing for no account.
func (a *account) appendRecord(b []byte) []byte {
	if !a.exists {
		return b
	}
	var leaf [112]byte
	return mpt.AppendAccountRecord(b, a.appendLeaf(leaf[:0]))
}

// errRecord is a stored value that is not of its table's form.
var errRecord = errors.New("malformed record")

// decodeAccount reverses appendRecord; an empty record is no account.
func decodeAccount(record []byte) (a account, err error) {
	if len(record) == 0 {
		return noAccount, nil
	}
	var buf [128]byte
	leaf, err := mpt.AccountLeaf(buf[:0], record)
	if err != nil {
		return noAccount, fmt.Errorf("account: %w: %w", errRecord, err)
	}
	if len(leaf) < 2 || leaf[0] != 0xf8 || int(leaf[1]) != len(leaf)-2 {
		return noAccount, fmt.Errorf("account: %w: list header", errRecord)
	}
	rest := leaf[2:]
	nonce, rest, err := cutUint(rest, 8)
	if err != nil {
		return noAccount, fmt.Errorf("account nonce: %w", err)
	}
	balance, rest, err := cutUint(rest, 32)
	if err != nil {
		return noAccount, fmt.Errorf("account balance: %w", err)
	}
	if len(rest) != 66 || rest[0] != 0xa0 || rest[33] != 0xa0 {
		return noAccount, fmt.Errorf("account: %w: hashes", errRecord)
	}
	a.exists = true
	for _, x := range nonce {
		a.Nonce = a.Nonce<<8 | uint64(x)
	}
	a.Balance.SetBytes(balance)
	copy(a.root[:], rest[1:33])
	copy(a.CodeHash[:], rest[34:])
	return a, nil
}

// appendUint appends the RLP of a big-endian number with leading zeros.
func appendUint(b, number []byte) []byte {
	number = bytes.TrimLeft(number, "\x00")
	if len(number) == 1 && number[0] < 0x80 {
		return append(b, number[0])
	}
	return append(append(b, 0x80+byte(len(number))), number...)
}

// cutUint reads one RLP number of at most size bytes, without leading zeros.
func cutUint(b []byte, size int) (number, rest []byte, err error) {
	switch {
	case len(b) == 0 || b[0] > 0x80+byte(size):
		return nil, nil, errRecord
	case b[0] < 0x80:
		if b[0] == 0 {
			return nil, nil, errRecord
		}
		return b[:1], b[1:], nil
	}
	n := int(b[0] - 0x80)
	if len(b) < 1+n || (n > 0 && b[1] == 0) || (n == 1 && b[1] < 0x80) {
		return nil, nil, errRecord
	}
	return b[1 : 1+n], b[1+n:], nil
}

// appendSlot appends a slot's flat record, which is also its leaf value; nothing for zero.
func appendSlot(b []byte, value *common.Hash) []byte {
	if *value == (common.Hash{}) {
		return b
	}
	return appendUint(b, value[:])
}

// decodeSlot reverses appendSlot.
func decodeSlot(record []byte) (value common.Hash, err error) {
	if len(record) == 0 {
		return value, nil
	}
	number, rest, err := cutUint(record, hashSize)
	if err != nil || len(rest) != 0 || len(number) == 0 {
		return value, fmt.Errorf("slot: %w", errRecord)
	}
	copy(value[hashSize-len(number):], number)
	return value, nil
}

// hasher computes Keccak-256 and flat keys without allocating. Not safe for concurrent use.
type hasher struct {
	state gethcrypto.KeccakState
	// in and out keep callers' variables off the heap, where an interface's arguments go.
	in, out common.Hash
	key     [slotKeySize]byte
}

func newHasher() *hasher { return &hasher{state: gethcrypto.NewKeccakState()} }

func (h *hasher) sum(b []byte) common.Hash {
	h.state.Reset()
	h.state.Write(b)
	h.state.Read(h.out[:]) //nolint:errcheck // a sponge's Read never fails
	return h.out
}

func (h *hasher) address(addr common.Address) common.Hash {
	return h.sum(h.in[:copy(h.in[:], addr[:])])
}

func (h *hasher) word(w common.Hash) common.Hash {
	h.in = w
	return h.sum(h.in[:])
}

// accountKey is the flat key of an account, valid until the next call.
func (h *hasher) accountKey(addr common.Address) []byte {
	h.key[0] = tableAccounts
	hash := h.address(addr)
	copy(h.key[1:], hash[:])
	return h.key[:accountKeySize]
}

// slotKey is the flat key of a slot, valid until the next call.
func (h *hasher) slotKey(id slotID) []byte {
	h.key[0] = tableSlots
	hash := h.address(id.account)
	copy(h.key[1:], hash[:])
	hash = h.word(id.slot)
	copy(h.key[1+hashSize:], hash[:])
	return h.key[:]
}

// hashers are for readers, which come from many goroutines.
var hashers = sync.Pool{New: func() any { return newHasher() }}

// uvarint reads a number of at most limit.
func uvarint(b []byte, limit uint64) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > limit {
		return 0, nil, errRecord
	}
	return n, b[size:], nil
}
