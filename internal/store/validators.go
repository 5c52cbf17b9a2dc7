package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// recentSets is how many of the last changes of the validator set are kept decoded. Around a change the old and the new set are asked for by turns; what is older is
// asked for by whoever verifies old blocks and costs a read.
const recentSets = 4

// RuleAt says who attests the block at height, which may be up to ActivationDelay above the head: the durable blocks have settled that.
// ErrUnknownBlock above. Safe for concurrent use; callers must not alter it.
func (s *Store) RuleAt(height uint64) (*chain.Rule, error) {
	h := s.head.Load()
	if h == nil || height > h.header.Number.Uint64()+chain.ActivationDelay {
		return nil, fmt.Errorf("validators of height %d: %w", height, ErrUnknownBlock)
	}
	if height < s.first.Load() {
		return nil, fmt.Errorf("validators of height %d: %w", height, ErrNotKept)
	}
	if recent := s.sets.Load(); recent != nil {
		for i := len(*recent) - 1; i >= 0; i-- {
			if c := &(*recent)[i]; c.From <= height {
				return &c.Rule, nil
			}
		}
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSets}, UpperBound: heightKey(tableSets, height+1)})
	if err != nil {
		return nil, s.readError(err)
	}
	defer it.Close()
	if !it.Last() {
		if err := it.Error(); err != nil {
			return nil, s.readError(err)
		}
		return nil, s.corrupt(errors.New("no validator set is recorded"))
	}
	c, err := s.decodeSet(it)
	if err != nil {
		return nil, err
	}
	return &c.Rule, nil
}

// SetChanges lists the changes of the validator set that rule from height from or later, ascending, at most limit; the founding set is one from height 0. Safe for
// concurrent use.
func (s *Store) SetChanges(from uint64, limit int) ([]chain.SetChange, error) {
	h := s.head.Load()
	if h == nil || from > h.header.Number.Uint64()+chain.ActivationDelay {
		return nil, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: heightKey(tableSets, from),
		UpperBound: heightKey(tableSets, h.header.Number.Uint64()+chain.ActivationDelay+1)})
	if err != nil {
		return nil, s.readError(err)
	}
	defer it.Close()
	var out []chain.SetChange
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		c, err := s.decodeSet(it)
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	if err := it.Error(); err != nil {
		return nil, s.readError(err)
	}
	return out, nil
}

// loadSets reads the last changes. The head must be known.
func (s *Store) loadSets() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSets}, UpperBound: prefixEnd([]byte{tableSets})})
	if err != nil {
		return s.readError(err)
	}
	defer it.Close()
	var recent []chain.SetChange
	for ok := it.Last(); ok && len(recent) < recentSets; ok = it.Prev() {
		c, err := s.decodeSet(it)
		if err != nil {
			return err
		}
		recent = append([]chain.SetChange{*c}, recent...)
	}
	if err := it.Error(); err != nil {
		return s.readError(err)
	}
	if len(recent) == 0 {
		return s.corrupt(errors.New("no validator set is recorded"))
	}
	s.sets.Store(&recent)
	return nil
}

// rememberSet makes a durable change known to RuleAt. The callers are those that write, one at a time.
func (s *Store) rememberSet(c *chain.SetChange) {
	var recent []chain.SetChange
	if have := s.sets.Load(); have != nil {
		recent = append(recent, (*have)[max(0, len(*have)-recentSets+1):]...)
	}
	recent = append(recent, *c)
	s.sets.Store(&recent)
}

// writeSet writes a change after checking what readers rely on.
func writeSet(b *batch, c *chain.SetChange) error {
	if err := c.CheckForm(); err != nil {
		return fmt.Errorf("rule from height %d: %w", c.From, err)
	}
	record, err := rlp.EncodeToBytes(&c.Rule)
	if err != nil {
		return fmt.Errorf("encode rule: %w", err)
	}
	b.set(heightKey(tableSets, c.From), record)
	return nil
}

func (s *Store) decodeSet(it *pebble.Iterator) (*chain.SetChange, error) {
	if len(it.Key()) != 1+heightSize {
		return nil, s.corrupt(fmt.Errorf("validator set: %w", errRecord))
	}
	c := &chain.SetChange{From: decodeHeight(it.Key()[1:])}
	record, err := it.ValueAndErr()
	if err != nil {
		return nil, s.readError(err)
	}
	if err := decodeRule(record, &c.Rule); err != nil {
		return nil, s.corrupt(fmt.Errorf("rule from height %d: %w", c.From, err))
	}
	return c, nil
}

func decodeRule(record []byte, r *chain.Rule) error {
	if err := rlp.DecodeBytes(record, r); err != nil {
		return err
	}
	if err := r.CheckForm(); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	return nil
}
