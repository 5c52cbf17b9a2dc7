package store

import (
	"slices"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// layer is a staged block: its writes and all that Stage computed, immutable but for parent. Layers are a list from the newest to the oldest that is not
// durable yet; views hold the layer that was the newest when they were made.
type layer struct {
	height uint64
	root   common.Hash
	writes chain.WriteSet
	// accounts runs parallel to writes.
	accounts []stagedAccount
	nodes    *mpt.Changes
	// parent is the layer below; nil once that is durable, which lets it be collected.
	parent atomic.Pointer[layer]
}

type stagedAccount struct {
	hash common.Hash
	// now and prev are the account after and before the block, with storage roots.
	now, prev account
	// wiped tells that the storage from before the block is gone.
	wiped bool
	// slots are the hashes of the keys in the write set's Slots, in its order.
	slots []common.Hash
}

func (l *layer) find(addr common.Address) (int, bool) {
	return slices.BinarySearchFunc(l.writes, addr, func(c chain.AccountChange, a common.Address) int { return c.Address.Cmp(a) })
}

// account returns what the block made of addr.
func (l *layer) account(addr common.Address) (a account, ok bool) {
	i, ok := l.find(addr)
	if !ok {
		return a, false
	}
	return l.accounts[i].now, true
}

// slot returns what the block made of a slot.
func (l *layer) slot(addr common.Address, key common.Hash) (value common.Hash, ok bool) {
	i, ok := l.find(addr)
	if !ok {
		return value, false
	}
	slots := l.writes[i].Slots
	j, ok := slices.BinarySearchFunc(slots, key, func(c chain.SlotChange, k common.Hash) int { return c.Key.Cmp(k) })
	if ok {
		return slots[j].Value, true
	}
	return value, l.accounts[i].wiped
}

// code returns code that the block deployed.
func (l *layer) code(hash common.Hash) []byte {
	for i := range l.writes {
		if c := &l.writes[i]; c.Code != nil && c.Account != nil && c.Account.CodeHash == hash {
			return c.Code
		}
	}
	return nil
}
