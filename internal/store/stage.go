package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/store/mpt"
)

// maxStaged bounds the blocks that are staged but not durable: each holds its write set in memory. The pipeline stays far below; beyond it something has
// stopped committing.
const maxStaged = 64

// Tip is the state after the last staged block, or the last durable one if none is staged. The view stays at that block. Safe for concurrent use.
func (s *Store) Tip() chain.State {
	s.stageMu.Lock()
	defer s.stageMu.Unlock()
	return s.tipLocked()
}

func (s *Store) tipLocked() *view {
	if n := len(s.staged); n > 0 {
		return &view{s: s, height: s.staged[n-1].height, top: s.staged[n-1]}
	}
	return &view{s: s, height: s.Head().Number.Uint64()}
}

// Stage computes the state root after the block at height, which must follow the last staged one, and makes its writes visible to Tip. w must not be altered
// afterwards. One caller at a time. An error is final for the store: it must be opened again.
func (s *Store) Stage(ctx context.Context, height uint64, w chain.WriteSet) (common.Hash, error) {
	if err := s.writable(ctx); err != nil {
		return common.Hash{}, fmt.Errorf("stage block %d: %w", height, err)
	}
	s.stageMu.Lock()
	tip, depth := s.tipLocked(), len(s.staged)
	s.stageMu.Unlock()
	switch {
	case height != tip.height+1:
		return common.Hash{}, fmt.Errorf("stage block %d: the last one is %d", height, tip.height)
	case depth >= maxStaged:
		return common.Hash{}, fmt.Errorf("stage block %d: %d blocks wait to be committed, at most %d may", height, depth, maxStaged)
	}
	l, err := s.buildLayer(height, w, tip)
	if err != nil {
		return common.Hash{}, s.stop(fmt.Errorf("stage block %d: %w", height, err))
	}
	s.publish(l)
	return l.root, nil
}

// publish makes a layer the tip. The order matters, see view.isTip.
func (s *Store) publish(l *layer) {
	s.staging.Store(l.height)
	if slices.ContainsFunc(l.accounts, func(a stagedAccount) bool { return a.wiped }) {
		s.slots.clear() // rare (pre-EIP-6780 rules only), and the cache cannot be asked for one account's slots
	}
	for i := range l.writes {
		c, a := &l.writes[i], &l.accounts[i]
		s.accounts.put(c.Address, a.now, l.height, nil)
		for j := range c.Slots {
			s.slots.put(slotID{c.Address, c.Slots[j].Key}, c.Slots[j].Value, l.height, nil)
		}
		if len(c.Code) > 0 && c.Account != nil {
			s.codes.put(c.Account.CodeHash, c.Code)
		}
	}
	s.stageMu.Lock()
	defer s.stageMu.Unlock()
	if n := len(s.staged); n > 0 {
		l.parent.Store(s.staged[n-1])
	}
	s.staged = append(s.staged, l)
}

var errWriteSet = errors.New("write set is not canonical")

// buildLayer hashes keys, updates the tries and computes the root. tip is the state before the block; nil at the genesis.
func (s *Store) buildLayer(height uint64, w chain.WriteSet, tip *view) (*layer, error) {
	l := &layer{height: height, writes: w, accounts: make([]stagedAccount, len(w))}
	storage := make([]*mpt.Trie, len(w))
	h := newHasher()
	for i := range w {
		c, a := &w[i], &l.accounts[i]
		if i > 0 && w[i-1].Address.Cmp(c.Address) >= 0 {
			return nil, fmt.Errorf("%w: %s does not follow %s", errWriteSet, c.Address, w[i-1].Address)
		}
		a.hash = h.address(c.Address)
		a.prev = noAccount
		if tip != nil {
			prev, err := tip.account(c.Address)
			if err != nil {
				return nil, err
			}
			a.prev = prev
		}
		// An account that goes takes its storage along.
		a.wiped = (c.Wiped || c.Account == nil) && a.prev.root != types.EmptyRootHash
		var err error
		if storage[i], err = s.updateStorage(h, c, a); err != nil {
			return nil, err
		}
	}
	if err := s.forest.HashStorage(); err != nil {
		return nil, err
	}
	var leaf []byte
	for i := range w {
		c, a := &w[i], &l.accounts[i]
		leaf = leaf[:0]
		if a.now = noAccount; c.Account != nil {
			a.now = account{Account: *c.Account, root: a.prev.root, exists: true}
			if storage[i] != nil {
				a.now.root = storage[i].Root()
			}
			leaf = a.now.appendLeaf(leaf)
		}
		if err := s.forest.Accounts().Update(a.hash, leaf); err != nil {
			return nil, err
		}
	}
	var err error
	l.root, l.nodes, err = s.forest.Commit(height)
	return l, err
}

// updateStorage gives an account's slots to its storage trie and returns it; nil when the block leaves the storage as it is.
func (s *Store) updateStorage(h *hasher, c *chain.AccountChange, a *stagedAccount) (*mpt.Trie, error) {
	if len(c.Slots) > 0 && c.Account == nil {
		return nil, fmt.Errorf("%w: %s is gone but has slots", errWriteSet, c.Address)
	}
	if len(c.Slots) == 0 && !a.wiped {
		return nil, nil
	}
	t, err := s.forest.Storage(a.hash, a.prev.root)
	if err != nil {
		return nil, err
	}
	if a.wiped {
		t.Reset()
	}
	a.slots = make([]common.Hash, len(c.Slots))
	var record [33]byte
	for j := range c.Slots {
		if j > 0 && c.Slots[j-1].Key.Cmp(c.Slots[j].Key) >= 0 {
			return nil, fmt.Errorf("%w: slot %s of %s does not follow %s", errWriteSet, c.Slots[j].Key, c.Address, c.Slots[j-1].Key)
		}
		a.slots[j] = h.word(c.Slots[j].Key)
		if err := t.Update(a.slots[j], appendSlot(record[:0], &c.Slots[j].Value)); err != nil {
			return nil, err
		}
	}
	return t, nil
}
