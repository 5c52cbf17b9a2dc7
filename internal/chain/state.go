package chain

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// EmptyCodeHash is the code hash of an account without code.
var EmptyCodeHash = types.EmptyCodeHash

// Account is what the ledger holds of an address, its storage apart.
type Account struct {
	Nonce    uint64
	Balance  uint256.Int
	CodeHash common.Hash
}

// IsEmpty is EIP-161's emptiness.
func (a *Account) IsEmpty() bool {
	return a.Nonce == 0 && a.Balance.IsZero() && a.CodeHash == EmptyCodeHash
}

// State is the read view of all accounts after one block. Implementations are safe for concurrent use and stay at that height.
type State interface {
	// Account returns nil without an error when the account does not exist. The result belongs to the caller.
	Account(addr common.Address) (*Account, error)
	// Slot returns the zero hash for a slot that was never set.
	Slot(addr common.Address, slot common.Hash) (common.Hash, error)
	// Code returns the code with that hash; nil for EmptyCodeHash; an error when the store lacks it. Callers must not alter it.
	Code(codeHash common.Hash) ([]byte, error)
}

// SlotChange is one storage slot that a block set. A zero Value deletes it.
type SlotChange struct {
	Key, Value common.Hash
	// Prev is the value before the block, for the history. Zero when the account's storage was wiped.
	Prev common.Hash
}

// AccountChange is what a block did to one account.
type AccountChange struct {
	Address common.Address
	// Account is the account after the block; nil when it no longer exists.
	Account *Account
	// Prev is the account before the block; nil when it did not exist.
	Prev *Account
	// Wiped tells that the storage from before the block is gone before Slots apply (self-destruct of an earlier block's contract,
	// possible before EIP-6780 only).
	Wiped bool
	// Code is set when the block put new code here; Account.CodeHash is its hash.
	Code []byte
	// Slots is sorted by Key, without duplicates and without entries that changed nothing.
	Slots []SlotChange
}

// WriteSet is everything that a block changed, in a canonical order: sorted by Address, without duplicates.
type WriteSet []AccountChange

// Digest is the ledger digest: the suite's hash over the previous digest and this block's writes (not their previous values). It binds the
// whole history of the state to the suite's hash, independent of Keccak: new code is part of it, not only its Keccak hash.
func (w WriteSet) Digest(suite crypto.Suite, prev crypto.Hash) (out crypto.Hash) {
	h := suite.NewHash()
	h.Write(prev[:])
	buf := make([]byte, 0, 4096)
	for i := range w {
		buf = w[i].appendCanonical(buf)
		if len(buf) >= 2048 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	h.Sum(out[:0])
	return out
}

// appendCanonical writes address ‖ flags ‖ [nonce ‖ balance ‖ code hash] ‖ [code size ‖ code] ‖ slot count ‖ (key ‖ value)…, all else of
// fixed size, so that two write sets never share a form.
func (c *AccountChange) appendCanonical(b []byte) []byte {
	b = append(b, c.Address[:]...)
	var flags byte
	if c.Account != nil {
		flags |= 1
	}
	if c.Wiped {
		flags |= 2
	}
	if len(c.Code) > 0 {
		flags |= 4
	}
	b = append(b, flags)
	if c.Account != nil {
		b = binary.BigEndian.AppendUint64(b, c.Account.Nonce)
		balance := c.Account.Balance.Bytes32()
		b = append(b, balance[:]...)
		b = append(b, c.Account.CodeHash[:]...)
	}
	if len(c.Code) > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(c.Code)))
		b = append(b, c.Code...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Slots)))
	for i := range c.Slots {
		b = append(b, c.Slots[i].Key[:]...)
		b = append(b, c.Slots[i].Value[:]...)
	}
	return b
}
