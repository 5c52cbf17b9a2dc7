package store

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestValidatorSetsOfEveryHeight grows a chain far beyond the delay, reopening it on the way, and reads every height's set.
func TestValidatorSetsOfEveryHeight(t *testing.T) {
	l := newLedger(t, 3)
	fs := vfs.NewMem()
	s := l.open(smallConfig(fs))
	l.checkSets(s)
	for i := range 150 {
		l.put(s, l.randomWork(0))
		if i%37 == 0 {
			require.NoError(t, s.Close())
			s = l.open(smallConfig(fs))
		}
		if i%10 == 0 {
			l.checkSets(s)
		}
	}
	l.checkSets(s)
	require.NoError(t, s.Check(context.Background(), nil))

	all, err := s.SetChanges(0, 1000)
	require.NoError(t, err)
	want := []chain.SetChange{{Rule: *l.genesis.Rule()}}
	for _, e := range l.blocks[1:] {
		if e.Change != nil {
			want = append(want, *e.Change)
		}
	}
	require.Equal(t, want, all)
	for i, c := range all {
		some, err := s.SetChanges(c.From, 2)
		require.NoError(t, err)
		require.Equal(t, all[i:min(i+2, len(all))], some)
		some, err = s.SetChanges(c.From+1, 1)
		require.NoError(t, err)
		require.Equal(t, len(all[i+1:min(i+2, len(all))]), len(some))
	}
	none, err := s.SetChanges(1<<62, 1)
	require.NoError(t, err)
	require.Empty(t, none)
	require.NoError(t, s.Close())
}

func TestRefusedSetChanges(t *testing.T) {
	good := chain.ValidatorSet{{ID: 1, PublicKey: []byte{1}}, {ID: 2, PublicKey: []byte{2}}}
	bft := func(set chain.ValidatorSet) chain.Rule { return chain.Rule{Engine: chain.BFT, Set: set} }
	for text, c := range map[string]*chain.SetChange{
		"rules from height 64, want 65": {From: chain.ActivationDelay, Rule: bft(good)},
		"rules from height 1, want 65":  {From: 1, Rule: bft(good)},
		"0 validators":                  {From: 1 + chain.ActivationDelay, Rule: bft(nil)},
		"513 validators":                {From: 1 + chain.ActivationDelay, Rule: bft(make(chain.ValidatorSet, chain.MaxValidators+1))},
		"ids are nonzero and ascending": {From: 1 + chain.ActivationDelay, Rule: bft(chain.ValidatorSet{good[1], good[0]})},
		`engine "paxos" is unknown`:     {From: 1 + chain.ActivationDelay, Rule: chain.Rule{Engine: "paxos", Set: good}},
	} {
		l := newLedger(t, 4)
		s := l.open(smallConfig(vfs.NewMem()))
		w := l.randomWork(0)
		w.executed.Change = c
		require.ErrorContains(t, l.tryPut(s, w), text)
		require.Zero(t, s.Head().Number.Uint64())
		require.NoError(t, s.Close())
	}
}

// TestDamagedValidatorSets: a record that cannot be is reported by readers, one that headers contradict by Check.
func TestDamagedValidatorSets(t *testing.T) {
	other, err := rlp.EncodeToBytes(&chain.Rule{Engine: chain.Solo, Set: chain.ValidatorSet{{ID: 9, PublicKey: []byte{9}, Address: common.Address{9}}}})
	require.NoError(t, err)
	for name, damage := range map[string]func(*pebble.Batch) error{
		"missing": func(b *pebble.Batch) error { return b.Delete(heightKey(tableSets, 0), nil) },
		"garbage": func(b *pebble.Batch) error { return b.Set(heightKey(tableSets, 0), []byte{1, 2, 3}, nil) },
		"empty":   func(b *pebble.Batch) error { return b.Set(heightKey(tableSets, 0), []byte{0xc0}, nil) },
		"other":   func(b *pebble.Batch) error { return b.Set(heightKey(tableSets, 0), other, nil) },
		"more":    func(b *pebble.Batch) error { return b.Set(heightKey(tableSets, 5), other, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, 5)
			s := l.open(smallConfig(vfs.NewMem()))
			defer func() { require.NoError(t, s.Close()) }()
			for range 8 {
				l.put(s, l.randomWork(0))
			}
			require.NoError(t, s.Check(context.Background(), nil))
			b := s.db.NewBatch()
			require.NoError(t, damage(b))
			require.NoError(t, b.Commit(pebble.Sync))
			require.ErrorIs(t, s.Check(context.Background(), nil), ErrCorrupt)
		})
	}
}
