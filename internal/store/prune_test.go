package store

import (
	"context"
	"encoding/binary"
	"errors"
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
	l.put(s, l.randomWork(1))
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
	for seed := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(seed), 5))
			held := map[uint64]chain.State{}
			for !stop.Load() {
				head := s.Head().Number.Uint64()
				height := head - min(head, rng.Uint64N(25))
				if rng.IntN(3) == 0 {
					height = head
				}
				st := held[height]
				if st == nil {
					var err error
					if rng.IntN(4) == 0 {
						tip := s.Tip()
						st, height = tip, tip.(*view).height
					} else if st, err = s.State(height); err != nil {
						if !errors.Is(err, ErrPruned) {
							t.Errorf("state %d: %v", height, err)
						}
						continue
					}
					held[height] = st
				}
				addr, key := l.addresses[rng.IntN(len(l.addresses))], l.keys[rng.IntN(len(l.keys))]
				v, err := st.Slot(addr, key)
				switch {
				case errors.Is(err, ErrPruned):
					pruned.Add(1)
					continue
				case err != nil:
					t.Errorf("slot at %d: %v", height, err)
				case v != l.states[height].slots[slotID{addr, key}]:
					t.Errorf("slot %s of %s at %d is %s", key, addr, height, v)
				}
				a, err := st.Account(addr)
				if errors.Is(err, ErrPruned) {
					continue
				}
				if err != nil {
					t.Errorf("account at %d: %v", height, err)
				}
				if want, ok := l.states[height].accounts[addr]; ok != (a != nil) || (ok && want != *a) {
					t.Errorf("account %s at %d is %v, want %v", addr, height, a, want)
				}
				reads.Add(1)
				if rng.IntN(500) == 0 {
					clear(held)
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
