package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestPruneKeepsTheLast(t *testing.T) {
	l := newLedger(t, 8)
	fs := vfs.NewMem()
	s := l.open(smallConfig(fs))
	for range 40 {
		l.put(s, l.randomWork(1))
	}
	early, err := s.State(5)
	require.NoError(t, err)
	var steps []uint64
	require.NoError(t, s.Prune(context.Background(), 10, func(_ string, done, total uint64) {
		steps = append(steps, done)
		require.LessOrEqual(t, done, total)
		require.EqualValues(t, 30, total)
	}))
	require.EqualValues(t, 30, steps[len(steps)-1])
	require.EqualValues(t, 30, s.Oldest())
	_, err = early.Slot(l.addresses[0], l.keys[0])
	require.ErrorIs(t, err, ErrPruned)
	verify := func() {
		for h := range l.states {
			st, err := s.State(uint64(h))
			if h < 30 {
				require.ErrorIs(t, err, ErrPruned)
				_, err := s.Prove(context.Background(), uint64(h), l.addresses[0], nil)
				require.ErrorIs(t, err, ErrPruned)
				continue
			}
			require.NoError(t, err)
			l.checkState(st, l.states[h])
		}
		l.checkProofs(s, 30)
		l.checkChain(s)
		require.NoError(t, s.Check(context.Background(), nil))
		for _, u := range usageOf(t, s, "history", "history index") {
			require.NotZero(t, u)
		}
	}
	verify()
	require.NoError(t, s.Close())
	s = l.open(smallConfig(fs))
	verify()
	require.NoError(t, s.Prune(context.Background(), 0, nil))
	st, err := s.State(40)
	require.NoError(t, err)
	l.checkState(st, l.states[40])
	require.NoError(t, s.scan(s.db, []byte{tableDiffs}, []byte{tableDiffs + 1}, func(key, _ []byte) error {
		t.Errorf("diff %x remains", key)
		return nil
	}))
	require.Greater(t, s.epochs.Load().last(), 2)
	require.NoError(t, s.scan(s.db, []byte{tableChanges}, []byte{tableChanges + 1}, func(key, _ []byte) error {
		require.EqualValues(t, s.epochs.Load().last(), binary.BigEndian.Uint16(key[1:]), "an entry of a finished epoch remains")
		return nil
	}))
	// Prune at the very end of an epoch, which the next block ends: it must not be forgotten.
	for last := s.epochs.Load().last(); s.epochs.Load().last() == last; {
		require.NoError(t, s.Prune(context.Background(), 0, nil))
		l.put(s, l.randomWork(4))
	}
	require.NoError(t, s.Prune(context.Background(), 0, nil))
	require.NoError(t, s.scan(s.db, []byte{tableChanges}, []byte{tableChanges + 1}, func(key, _ []byte) error {
		require.EqualValues(t, s.epochs.Load().last(), binary.BigEndian.Uint16(key[1:]), "an entry of a finished epoch remains")
		return nil
	}))
	require.NoError(t, s.Close())
}

// TestReadersBesideCommitsAndPruning reads all retained heights from several goroutines while blocks are staged ahead, committed and pruned.
func TestReadersBesideCommitsAndPruning(t *testing.T) {
	l := newLedger(t, 9)
	cfg := smallConfig(vfs.NewMem())
	cfg.StateHistory = 20
	s := l.open(cfg)
	works := make([]*work, 300)
	for i := range works {
		works[i] = l.randomWork(1)
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	var reads, pruned atomic.Int64
	for seed := range uint64(3) {
		readers.Go(func() {
			r := racingReader{l: l, s: s, rng: rand.New(rand.NewPCG(seed, 5)), held: map[uint64]chain.State{}}
			for !stop.Load() {
				switch err := r.read(); {
				case err == nil:
					reads.Add(1)
				case errors.Is(err, ErrPruned):
					pruned.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	ctx := context.Background()
	next := 0
	for i, w := range works {
		require.NoError(t, s.AppendDecision(ctx, w.decision, w.txs))
		root, err := s.Stage(ctx, w.decision.Height, w.executed.Writes)
		require.NoError(t, err)
		l.seal(w.executed, root)
		for ; next <= i-(i%4); next++ {
			require.NoError(t, s.Commit(ctx, works[next].executed, nil))
		}
	}
	stop.Store(true)
	readers.Wait()
	require.Greater(t, reads.Load(), int64(100))
	t.Logf("%d reads, %d met pruning", reads.Load(), pruned.Load())
	require.NoError(t, s.Close())
}

// racingReader reads at random heights through views that it keeps for a while.
type racingReader struct {
	l    *ledger
	s    *Store
	rng  *rand.Rand
	held map[uint64]chain.State
}

// view is a state near the head, now and then the tip.
func (r *racingReader) view() (st chain.State, height uint64, err error) {
	head := r.s.Head().Number.Uint64()
	height = head - min(head, r.rng.Uint64N(25))
	if r.rng.IntN(3) == 0 {
		height = head
	}
	if st = r.held[height]; st != nil {
		return st, height, nil
	}
	if r.rng.IntN(4) == 0 {
		st = r.s.Tip()
		height = st.(*view).height
	} else if st, err = r.s.State(height); err != nil {
		return nil, 0, err
	}
	if len(r.held) > 100 {
		clear(r.held)
	}
	r.held[height] = st
	return st, height, nil
}

// read compares one slot and one account with the model.
func (r *racingReader) read() error {
	st, height, err := r.view()
	if err != nil {
		return err
	}
	addr, key := r.l.addresses[r.rng.IntN(len(r.l.addresses))], r.l.keys[r.rng.IntN(len(r.l.keys))]
	v, err := st.Slot(addr, key)
	if err != nil {
		return err
	}
	if v != r.l.states[height].slots[slotID{addr, key}] {
		return fmt.Errorf("slot %s of %s at %d is %s", key, addr, height, v)
	}
	a, err := st.Account(addr)
	if err != nil {
		return err
	}
	if want, ok := r.l.states[height].accounts[addr]; ok != (a != nil) || (ok && want != *a) {
		return fmt.Errorf("account %s at %d is %v, want %v", addr, height, a, want)
	}
	return nil
}
