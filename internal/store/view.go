package store

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// view is the state after the block at height. It implements chain.State, holds no resource and needs no closing. The package comment says why its
// reads are right while blocks are staged, committed and pruned.
type view struct {
	s      *Store
	height uint64
	// top is the staged block at height; nil when that block was durable when the view was made.
	top *layer
}

var _ chain.State = (*view)(nil)

// Account implements chain.State.
func (v *view) Account(addr common.Address) (*chain.Account, error) {
	a, err := v.account(addr)
	if err != nil {
		return nil, fmt.Errorf("account %s at height %d: %w", addr, v.height, err)
	}
	return a.public(), nil
}

// Slot implements chain.State.
func (v *view) Slot(addr common.Address, slot common.Hash) (common.Hash, error) {
	value, err := v.slot(addr, slot)
	if err != nil {
		return common.Hash{}, fmt.Errorf("slot %s of %s at height %d: %w", slot, addr, v.height, err)
	}
	return value, nil
}

// Code implements chain.State.
func (v *view) Code(hash common.Hash) ([]byte, error) {
	if hash == chain.EmptyCodeHash {
		return nil, nil
	}
	if code, ok := v.s.codes.get(hash); ok {
		return code, nil
	}
	for l := v.top; l != nil; l = l.parent.Load() {
		if code := l.code(hash); code != nil {
			return code, nil
		}
	}
	code, err := v.s.get(codeKey(hash))
	if err != nil {
		return nil, fmt.Errorf("code %s: %w", hash, err)
	}
	if code == nil {
		return nil, fmt.Errorf("code %s: %w: no such record", hash, ErrCorrupt)
	}
	v.s.codes.put(hash, code)
	return code, nil
}

func (v *view) account(addr common.Address) (account, error) {
	if a, ok := v.s.accounts.get(addr, v.height); ok {
		return a, nil
	}
	base := v.height
	for l := v.top; l != nil; l = l.parent.Load() {
		if a, ok := l.account(addr); ok {
			return a, nil
		}
		base = l.height - 1
	}
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	record, err := v.s.flatAt(h.accountKey(addr), v.height)
	if err != nil {
		return noAccount, err
	}
	a, err := decodeAccount(record)
	if err != nil {
		return noAccount, v.s.corrupt(err)
	}
	v.s.accounts.put(addr, a, base, v.isTip)
	return a, nil
}

func (v *view) slot(addr common.Address, slot common.Hash) (common.Hash, error) {
	id := slotID{addr, slot}
	if value, ok := v.s.slots.get(id, v.height); ok {
		return value, nil
	}
	base := v.height
	for l := v.top; l != nil; l = l.parent.Load() {
		if value, ok := l.slot(addr, slot); ok {
			return value, nil
		}
		base = l.height - 1
	}
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	record, err := v.s.flatAt(h.slotKey(id), v.height)
	if err != nil {
		return common.Hash{}, err
	}
	value, err := decodeSlot(record)
	if err != nil {
		return common.Hash{}, v.s.corrupt(err)
	}
	v.s.slots.put(id, value, base, v.isTip)
	return value, nil
}

// isTip tells whether nothing has been staged above the view, so that what it reads is the newest value. Stage raises staging before it touches the caches;
// asked under a cache's lock, this orders every fill before or behind Stage's own put of the same key.
func (v *view) isTip() bool { return v.s.staging.Load() == v.height }

// flatAt returns the flat record of key as it was after the block at height, nil when there was none. See the package comment for the order of the steps.
func (s *Store) flatAt(key []byte, height uint64) ([]byte, error) {
	record, err := s.get(key)
	if err != nil || s.applying.Load() <= height {
		return record, err
	}
	prev, found, err := s.firstChangeAfter(key, height)
	if err != nil {
		return nil, err
	}
	if s.oldest.Load() > height {
		return nil, ErrPruned
	}
	if found {
		return prev, nil
	}
	return record, nil
}
