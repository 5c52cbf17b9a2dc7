package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// history checks diffs and their index against each other, and undoes the diffs as far as they reach.
func (c *checker) history() error {
	top, oldest := c.head.Number.Uint64(), c.s.oldest.Load()
	entries := uint64(0)
	for height := oldest + 1; height <= top; height++ {
		n, err := c.diff(height)
		if err != nil {
			return fmt.Errorf("block %d: %w", height, err)
		}
		entries += n
		c.progress.report("history", height-oldest, top-oldest)
	}
	indexed := uint64(0)
	lo := []byte{tableChanges}
	err := c.s.scan(c.snap, lo, prefixEnd(lo), func(key, value []byte) error {
		if len(key) != fragmentHead+heightSize {
			return c.bad("change index: key of %d bytes", len(key))
		}
		chunks, err := decodeChunkList(value)
		if err != nil {
			return c.bad("%v", err)
		}
		if h := decodeHeight(key[fragmentHead:]); h > oldest {
			for _, chunk := range chunks {
				if v, err := c.get(chunkKey(tableDiffs, h, chunk)); err != nil || v == nil {
					return c.missing(fmt.Sprintf("chunk %d of the diff of block %d", chunk, h), err)
				}
			}
			indexed++
		}
		return c.ctx.Err()
	})
	if err != nil {
		return err
	}
	if indexed > entries {
		return c.bad("the change index has %d entries for %d changes", indexed, entries)
	}
	return c.undo(oldest, top)
}

// diff checks that every entry of one block's diff is found through the index.
func (c *checker) diff(height uint64) (entries uint64, err error) {
	lo := heightKey(tableDiffs, height)
	next := 0
	var last []byte
	err = c.s.scan(c.snap, lo, prefixEnd(lo), func(key, chunk []byte) (err error) {
		number := binary.BigEndian.Uint16(key[1+heightSize:])
		if int(number) != next {
			return c.bad("its diff lacks chunk %d", next)
		}
		next++
		walkErr := walkDiffChunk(chunk, func(flat, _ []byte) bool {
			if bytes.Compare(last, flat) >= 0 {
				err = c.bad("its diff is out of order")
				return false
			}
			last = append(last[:0], flat...)
			entries++
			var value []byte
			if value, err = c.get(fragmentKey(tableChanges, c.epochs.of(height), flatFragment(flat), height)); err != nil || value == nil {
				err = c.missing("an entry of the change index", err)
				return false
			}
			chunks, decodeErr := decodeChunkList(value)
			for _, n := range chunks {
				if n == number {
					return true
				}
			}
			err = c.bad("its change index points elsewhere (%v)", decodeErr)
			return false
		})
		if walkErr != nil {
			return c.bad("%v", walkErr)
		}
		return err
	})
	return entries, err
}

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
