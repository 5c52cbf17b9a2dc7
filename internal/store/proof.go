package store

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

const (
	// MaxProofChanges bounds the changes that a proof at an old height undoes in its scratch trie: about a second of work and 100 MB. A block of 5,000 token transfers
	// changes about 15,000 records.
	MaxProofChanges = 250_000
	// MaxProofSlots bounds the slots of one proof.
	MaxProofSlots = 1024
)

// Prove makes the EIP-1186 proof of an account and its slots at a retained height. Proofs near the head cost a few node reads; at older heights everything that
// changed since is undone in a scratch trie, up to MaxProofChanges (ErrProofTooOld beyond). Safe for concurrent use.
func (s *Store) Prove(ctx context.Context, height uint64, addr common.Address, slots []common.Hash) (*chain.AccountProof, error) {
	p, err := s.prove(ctx, height, addr, slots, MaxProofChanges)
	if err != nil {
		return nil, fmt.Errorf("prove %s at height %d: %w", addr, height, err)
	}
	return p, nil
}

func (s *Store) prove(ctx context.Context, height uint64, addr common.Address, slots []common.Hash, limit int) (*chain.AccountProof, error) {
	if len(slots) > MaxProofSlots {
		return nil, fmt.Errorf("%d slots, at most %d", len(slots), MaxProofSlots)
	}
	if _, err := s.State(height); err != nil {
		return nil, err
	}
	snap := s.db.NewSnapshot()
	defer snap.Close()
	sc := scratch{s: s, snap: snap, limit: limit, owner: gethcrypto.Keccak256Hash(addr[:])}
	if err := sc.open(ctx, height); err != nil {
		return nil, err
	}
	p := &chain.AccountProof{Address: addr, Account: chain.Account{CodeHash: chain.EmptyCodeHash}, StorageHash: types.EmptyRootHash}
	var err error
	if p.Proof, err = sc.accounts.Prove(sc.owner); err != nil {
		return nil, s.corrupt(err)
	}
	a, err := sc.account()
	if err != nil {
		return nil, err
	}
	if a.exists {
		p.Account, p.StorageHash = a.Account, a.root
	}
	p.Storage = make([]chain.SlotProof, len(slots))
	for i, slot := range slots {
		if p.Storage[i], err = sc.slot(slot); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// scratch is the state at an old height: the tries of a snapshot with the changes since undone.
type scratch struct {
	s     *Store
	snap  *pebble.Snapshot
	owner common.Hash

	accounts, storage *mpt.Trie
	// limit is how many changes may still be undone.
	limit int
}

// open makes the tries. The snapshot may hold blocks above the height, also one that is not durable yet.
func (c *scratch) open(ctx context.Context, height uint64) error {
	record, err := c.s.getFrom(c.snap, metaHead)
	if err != nil {
		return err
	}
	top, _, _, err := decodeHead(record)
	if err != nil {
		return c.s.corrupt(err)
	}
	header, _, err := c.s.header(c.snap, top)
	if err != nil {
		return err
	}
	want, _, err := c.s.header(c.snap, height)
	if err != nil {
		return err
	}
	key := accountKey(&c.owner)
	if record, err = c.s.getFrom(c.snap, key[:]); err != nil {
		return err
	}
	now, err := decodeAccount(record)
	if err != nil {
		return c.s.corrupt(err)
	}
	r := dbReader{c.s, c.snap}
	c.accounts = mpt.NewView(layout, r, common.Hash{}, header.Root)
	c.storage = mpt.NewView(layout, r, c.owner, now.root)
	if err := c.undo(ctx, height, top); err != nil {
		return err
	}
	root, err := c.accounts.Hash()
	if err != nil {
		return c.s.corrupt(err)
	}
	if root != want.Root {
		return c.s.corrupt(fmt.Errorf("the history gives state root %s, the header says %s", root, want.Root))
	}
	return nil
}

// undo applies the reverse diffs from the newest block down to the one after height, so that the oldest one has the last word.
func (c *scratch) undo(ctx context.Context, height, top uint64) error {
	var leaf []byte
	for at := top; at > height; at-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.s.diffAt(c.snap, at, func(key, record []byte) (err error) {
			if c.limit--; c.limit < 0 {
				return fmt.Errorf("%w: ask for a later height", ErrProofTooOld)
			}
			if len(key) == accountKeySize {
				leaf = leaf[:0]
				if record != nil {
					if leaf, err = mpt.AccountLeaf(leaf, record); err != nil {
						return c.s.corrupt(err)
					}
				}
				return c.accounts.Update(common.Hash(key[1:]), leaf)
			}
			if common.Hash(key[1:1+hashSize]) != c.owner {
				return nil
			}
			return c.storage.Update(common.Hash(key[1+hashSize:]), record)
		})
		if err != nil {
			return err
		}
	}
	if c.s.oldest.Load() > height {
		return ErrPruned
	}
	return nil
}

// account is the account at the old height; its storage root must be what the slots give.
func (c *scratch) account() (account, error) {
	leaf, err := c.accounts.Get(c.owner)
	if err != nil {
		return noAccount, c.s.corrupt(err)
	}
	var record []byte
	if len(leaf) > 0 {
		record = mpt.AppendAccountRecord(nil, leaf)
	}
	a, err := decodeAccount(record)
	if err != nil {
		return noAccount, c.s.corrupt(err)
	}
	root, err := c.storage.Hash()
	if err != nil {
		return noAccount, c.s.corrupt(err)
	}
	if root != a.root {
		return noAccount, c.s.corrupt(fmt.Errorf("the history gives storage root %s, the account says %s", root, a.root))
	}
	return a, nil
}

func (c *scratch) slot(slot common.Hash) (p chain.SlotProof, err error) {
	hash := gethcrypto.Keccak256Hash(slot[:])
	p.Key = slot
	leaf, err := c.storage.Get(hash)
	if err != nil {
		return p, c.s.corrupt(err)
	}
	if p.Value, err = decodeSlot(leaf); err != nil {
		return p, c.s.corrupt(err)
	}
	if p.Proof, err = c.storage.Prove(hash); err != nil {
		return p, c.s.corrupt(err)
	}
	return p, nil
}
