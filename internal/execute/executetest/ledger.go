// Package executetest holds a ledger in memory for tests of what stands on the execute stage: a chain.State and a Commitment that computes
// Ethereum's state root with geth's trie. It is the plain oracle: no cache, no disk, and it refuses a write set that contradicts it.
package executetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Ledger is the state after the last staged write set. Safe for concurrent use.
type Ledger struct {
	mu       sync.RWMutex
	accounts map[common.Address]chain.Account
	slots    map[common.Address]map[common.Hash]common.Hash
	code     map[common.Hash][]byte
	tries    *triedb.Database
	root     *trie.Trie
	storage  map[common.Address]*trie.Trie
}

// New returns the empty ledger.
func New() *Ledger {
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil)
	return &Ledger{
		accounts: make(map[common.Address]chain.Account),
		slots:    make(map[common.Address]map[common.Hash]common.Hash),
		code:     make(map[common.Hash][]byte),
		tries:    db, root: trie.NewEmpty(db), storage: make(map[common.Address]*trie.Trie),
	}
}

// Account implements chain.State.
func (l *Ledger) Account(addr common.Address) (*chain.Account, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	a, ok := l.accounts[addr]
	if !ok {
		return nil, nil
	}
	return &a, nil
}

// Slot implements chain.State.
func (l *Ledger) Slot(addr common.Address, key common.Hash) (common.Hash, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.slots[addr][key], nil
}

// Code implements chain.State.
func (l *Ledger) Code(hash common.Hash) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if hash == chain.EmptyCodeHash {
		return nil, nil
	}
	code, ok := l.code[hash]
	if !ok {
		return nil, fmt.Errorf("no code %s", hash)
	}
	return code, nil
}

// Copy is the present state, which later stages leave as it is. It reads only: staging into it would give wrong roots.
func (l *Ledger) Copy() *Ledger {
	l.mu.RLock()
	defer l.mu.RUnlock()
	c := New()
	maps.Copy(c.accounts, l.accounts)
	maps.Copy(c.code, l.code)
	for addr, slots := range l.slots {
		c.slots[addr] = maps.Clone(slots)
	}
	return c
}

// Erasure is the write set that deletes everything.
func (l *Ledger) Erasure() chain.WriteSet {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make(chain.WriteSet, 0, len(l.accounts))
	for addr, a := range l.accounts {
		out = append(out, chain.AccountChange{Address: addr, Prev: &a, Wiped: len(l.slots[addr]) > 0})
	}
	slices.SortFunc(out, func(a, b chain.AccountChange) int { return a.Address.Cmp(b.Address) })
	return out
}

// Supply is what all accounts hold together, in wei.
func (l *Ledger) Supply() *uint256.Int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	sum := new(uint256.Int)
	for _, a := range l.accounts {
		sum.Add(sum, &a.Balance)
	}
	return sum
}

// Root is the state root.
func (l *Ledger) Root() common.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.root.Hash()
}

// Stage applies the writes and answers the state root. It fails where the write set is not canonical or its previous values are wrong.
func (l *Ledger) Stage(_ context.Context, _ uint64, w chain.WriteSet) (common.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range w {
		if i > 0 && w[i-1].Address.Cmp(w[i].Address) >= 0 {
			return common.Hash{}, fmt.Errorf("write set: %s is out of order", w[i].Address)
		}
		if err := l.apply(&w[i]); err != nil {
			return common.Hash{}, fmt.Errorf("write set: %s: %w", w[i].Address, err)
		}
	}
	return l.root.Hash(), nil
}

func (l *Ledger) apply(c *chain.AccountChange) error {
	prev, existed := l.accounts[c.Address]
	switch {
	case existed != (c.Prev != nil), existed && prev != *c.Prev:
		return fmt.Errorf("previous account is %+v, the write set says %+v", prev, c.Prev)
	case !existed && c.Account == nil:
		return fmt.Errorf("an account that never was is deleted")
	case existed && c.Account != nil && *c.Account == prev && len(c.Slots) == 0 && !c.Wiped:
		return fmt.Errorf("nothing changed")
	}
	if c.Code != nil {
		if c.Account == nil || crypto.Keccak256Hash(c.Code) != c.Account.CodeHash {
			return fmt.Errorf("code is not the account's")
		}
		l.code[c.Account.CodeHash] = c.Code
	}
	if c.Wiped || c.Account == nil {
		delete(l.slots, c.Address)
		delete(l.storage, c.Address)
	}
	for i, s := range c.Slots {
		if i > 0 && bytes.Compare(c.Slots[i-1].Key[:], s.Key[:]) >= 0 {
			return fmt.Errorf("slot %s is out of order", s.Key)
		}
		if err := l.setSlot(c.Address, s); err != nil {
			return err
		}
	}
	return l.setAccount(c)
}

func (l *Ledger) setAccount(c *chain.AccountChange) error {
	key := crypto.Keccak256(c.Address[:])
	if c.Account == nil {
		delete(l.accounts, c.Address)
		return l.root.Delete(key)
	}
	l.accounts[c.Address] = *c.Account
	if c.Account.CodeHash != chain.EmptyCodeHash && l.code[c.Account.CodeHash] == nil {
		return fmt.Errorf("code %s was never given", c.Account.CodeHash)
	}
	root := types.EmptyRootHash
	if t := l.storage[c.Address]; t != nil {
		root = t.Hash()
	}
	enc, err := rlp.EncodeToBytes(&types.StateAccount{
		Nonce: c.Account.Nonce, Balance: c.Account.Balance.Clone(), Root: root, CodeHash: c.Account.CodeHash[:],
	})
	if err != nil {
		return err
	}
	return l.root.Update(key, enc)
}

func (l *Ledger) setSlot(addr common.Address, s chain.SlotChange) error {
	if prev := l.slots[addr][s.Key]; prev != s.Prev || prev == s.Value {
		return fmt.Errorf("slot %s: previous value is %s, the write set says %s → %s", s.Key, prev, s.Prev, s.Value)
	}
	if l.slots[addr] == nil {
		l.slots[addr] = make(map[common.Hash]common.Hash)
	}
	if l.storage[addr] == nil {
		l.storage[addr] = trie.NewEmpty(l.tries)
	}
	key := crypto.Keccak256(s.Key[:])
	if s.Value == (common.Hash{}) {
		delete(l.slots[addr], s.Key)
		return l.storage[addr].Delete(key)
	}
	l.slots[addr][s.Key] = s.Value
	enc, err := rlp.EncodeToBytes(bytes.TrimLeft(s.Value[:], "\x00"))
	if err != nil {
		return err
	}
	return l.storage[addr].Update(key, enc)
}
