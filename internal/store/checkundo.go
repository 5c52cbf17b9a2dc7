package store

import (
	"bytes"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// undoer takes the state of a snapshot back block by block, and compares every state root and storage root on the way.
type undoer struct {
	c        *checker
	r        dbReader
	accounts *mpt.Trie
	storage  map[common.Hash]*mpt.Trie
	undone   int
}

// undo verifies the state of every retained block as far back as MaxProofChanges.
func (c *checker) undo(oldest, top uint64) error {
	u := undoer{c: c, r: dbReader{c.s, c.snap}, storage: make(map[common.Hash]*mpt.Trie)}
	u.accounts = mpt.NewView(layout, u.r, common.Hash{}, c.head.Root)
	for height := top; height > oldest && u.undone < MaxProofChanges; height-- {
		header, _, err := c.s.header(c.snap, height-1)
		if err != nil {
			return err
		}
		if err := u.block(height, header); err != nil {
			return fmt.Errorf("undo block %d: %w", height, err)
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// block undoes the block at height; parent is the header below.
func (u *undoer) block(height uint64, parent *chain.Header) error {
	accounts := make(map[common.Hash][]byte) // leaf before the block
	slots := make(map[common.Hash]map[common.Hash][]byte)
	err := u.c.s.diffAt(u.c.snap, height, func(key, record []byte) (err error) {
		u.undone++
		owner := common.Hash(key[1:])
		if len(key) == slotKeySize {
			if slots[owner] == nil {
				slots[owner] = make(map[common.Hash][]byte)
			}
			slots[owner][common.Hash(key[1+hashSize:])] = bytes.Clone(record)
			return nil
		}
		var leaf []byte
		if record != nil {
			if leaf, err = mpt.AccountLeaf(nil, record); err != nil {
				return u.c.bad("%v", err)
			}
		}
		accounts[owner] = leaf
		return nil
	})
	if err != nil {
		return err
	}
	for owner := range accounts {
		after, err := u.root(owner)
		if err != nil {
			return err
		}
		if u.storage[owner] == nil && slots[owner] != nil {
			// Nothing above this block has changed the storage, so the snapshot has it with this root.
			u.storage[owner] = mpt.NewView(layout, u.r, owner, after)
		}
	}
	for owner, leaf := range accounts {
		if err := u.accounts.Update(owner, leaf); err != nil {
			return u.c.s.corrupt(err)
		}
	}
	root, err := u.accounts.Hash()
	if err != nil {
		return u.c.s.corrupt(err)
	}
	if root != parent.Root {
		return u.c.bad("the state root becomes %s, the header of block %d says %s", root, parent.Number, parent.Root)
	}
	return u.slots(slots)
}

// slots undoes the changes of storage and compares the roots with those of the accounts, which are undone already.
func (u *undoer) slots(slots map[common.Hash]map[common.Hash][]byte) error {
	for owner, changes := range slots {
		t := u.storage[owner]
		if t == nil {
			return u.c.bad("slots of account %s changed, but not the account", owner)
		}
		for slot, record := range changes {
			if err := t.Update(slot, record); err != nil {
				return u.c.s.corrupt(err)
			}
		}
		got, err := t.Hash()
		if err != nil {
			return u.c.s.corrupt(err)
		}
		want, err := u.root(owner)
		if err != nil {
			return err
		}
		if got != want {
			return u.c.bad("the storage root of account %s becomes %s, the account says %s", owner, got, want)
		}
	}
	return nil
}

// root is an account's storage root in the state reached so far.
func (u *undoer) root(owner common.Hash) (common.Hash, error) {
	leaf, err := u.accounts.Get(owner)
	if err != nil {
		return common.Hash{}, u.c.s.corrupt(err)
	}
	if len(leaf) == 0 {
		return types.EmptyRootHash, nil
	}
	a, err := decodeAccount(mpt.AppendAccountRecord(nil, leaf))
	if err != nil {
		return common.Hash{}, u.c.s.corrupt(err)
	}
	return a.root, nil
}
