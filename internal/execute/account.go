package execute

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// account is one address as the transactions of a block see it. An entry is made at the first mention of the address; what the
// underlying state holds is read at the first need (loaded).
type account struct {
	addr     common.Address
	nonce    uint64
	balance  uint256.Int
	codeHash common.Hash
	// code is nil until somebody asks for it.
	code []byte
	// prev and existed are the account before the block.
	prev chain.Account

	// storage names the account's present storage in StateDB.slots; removing the account gives it a new, empty one.
	storage uint32
	// dirty counts this transaction's journal entries that mutate the account.
	dirty int
	// warm and touched hold the transaction's number: in the access list, in StateDB.touched.
	warm, touched uint64

	loaded, exists, existed bool
	// fresh: slots are not read from the underlying state, the storage there is absent or gone.
	fresh bool
	// removed: the account was deleted at the end of a transaction of this block.
	removed bool
	// destructed and created belong to the running transaction: SELFDESTRUCT ran, the account became a contract (EIP-6780).
	destructed, created bool
	// listed: in StateDB.changed.
	listed bool
	// precompile: always in the access list.
	precompile bool
}

// slot is one storage slot as the transactions of a block see it.
type slot struct {
	account *account
	key     common.Hash
	storage uint32
	// written is the transaction that wrote last; committed is valid in that one.
	written, warm          uint64
	value, committed, prev common.Hash
	loaded, listed         bool
}

type slotKey struct {
	storage uint32
	key     common.Hash
}

// arena hands out zeroed objects in chunks that outlive a block, so that a block's bookkeeping costs no garbage.
type arena[T any] struct {
	chunks [][]T
	used   int
}

// arenaChunk objects are allocated at once; arenaKeep chunks stay from block to block, so that one huge block does not hold its memory
// for ever (128 × 128 slots are 4 MiB).
const (
	arenaChunk = 128
	arenaKeep  = 128
)

func (a *arena[T]) next() *T {
	i, j := a.used/arenaChunk, a.used%arenaChunk
	if i == len(a.chunks) {
		a.chunks = append(a.chunks, make([]T, arenaChunk))
	}
	a.used++
	p := &a.chunks[i][j]
	var zero T
	*p = zero
	return p
}

func (a *arena[T]) reset() {
	if len(a.chunks) > arenaKeep {
		clear(a.chunks[arenaKeep:])
		a.chunks = a.chunks[:arenaKeep]
	}
	a.used = 0
}

func (a *account) empty() bool {
	return a.nonce == 0 && a.balance.IsZero() && a.codeHash == chain.EmptyCodeHash
}

// entry is the account's bookkeeping, without a read of the underlying state.
func (s *StateDB) entry(addr common.Address) *account {
	if s.lastAccount != nil && s.lastAccount.addr == addr {
		return s.lastAccount
	}
	a := s.accounts[addr]
	if a == nil {
		a = s.accountArena.next()
		a.addr, a.codeHash, a.storage = addr, chain.EmptyCodeHash, s.newStorage()
		s.accounts[addr] = a
	}
	s.lastAccount = a
	return a
}

// account is the entry with its values read. Callers look at exists.
func (s *StateDB) account(addr common.Address) *account {
	a := s.entry(addr)
	if a.loaded {
		return a
	}
	a.loaded, a.fresh = true, true
	if s.err != nil {
		return a
	}
	acc, err := s.base.Account(addr)
	switch {
	case err != nil:
		s.fail(fmt.Errorf("read account %s: %w", addr, err))
	case acc != nil:
		a.exists, a.existed, a.fresh = true, true, false
		a.prev = *acc
		a.nonce, a.balance, a.codeHash = acc.Nonce, acc.Balance, acc.CodeHash
	}
	return a
}

// ensure is the account, made if it does not exist.
func (s *StateDB) ensure(addr common.Address) *account {
	a := s.account(addr)
	if !a.exists {
		s.create(a)
	}
	return a
}

func (s *StateDB) create(a *account) {
	s.record(entry{kind: entryCreate, account: a})
	a.exists = true
}

// remove deletes the account with its storage at the end of a transaction.
func (s *StateDB) remove(a *account) {
	a.exists, a.removed, a.fresh = false, true, true
	a.nonce, a.codeHash, a.code = 0, chain.EmptyCodeHash, nil
	a.balance.Clear()
	a.storage = s.newStorage()
}

func (s *StateDB) newStorage() uint32 {
	s.storages++
	return s.storages
}

// slotEntry is the slot's bookkeeping, without a read of the underlying state.
func (s *StateDB) slotEntry(a *account, key common.Hash) *slot {
	if l := s.lastSlot; l != nil && l.storage == a.storage && l.key == key {
		return l
	}
	k := slotKey{a.storage, key}
	sl := s.slots[k]
	if sl == nil {
		sl = s.slotArena.next()
		sl.account, sl.key, sl.storage = a, key, a.storage
		s.slots[k] = sl
	}
	s.lastSlot = sl
	return sl
}

// slot is the entry with its value read. The account must be loaded.
func (s *StateDB) slot(a *account, key common.Hash) *slot {
	sl := s.slotEntry(a, key)
	if sl.loaded {
		return sl
	}
	sl.loaded = true
	if a.fresh || s.err != nil {
		return sl
	}
	v, err := s.base.Slot(a.addr, key)
	if err != nil {
		s.fail(fmt.Errorf("read slot %s of %s: %w", key, a.addr, err))
		return sl
	}
	sl.value, sl.prev = v, v
	return sl
}

// codeOf reads the account's code through the cache.
func (s *StateDB) codeOf(a *account) []byte {
	if !a.exists || a.code != nil || a.codeHash == chain.EmptyCodeHash || s.err != nil {
		return a.code
	}
	code, err := s.codes.load(s.base, a.codeHash)
	if err != nil {
		s.fail(fmt.Errorf("read code of %s: %w", a.addr, err))
		return nil
	}
	a.code = code
	return code
}
