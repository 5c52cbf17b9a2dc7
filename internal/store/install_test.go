package store

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestFinishChecksTheTail(t *testing.T) {
	l := newLedger(t, 61)
	src, w := l.source(smallConfig(vfs.NewMem()), 300, 40, 300)
	defer src.Close()
	dst := l.emptyStore(vfs.NewMem())
	defer dst.Close()
	header, err := src.Header(w.decision.Height)
	require.NoError(t, err)
	i, err := dst.BeginImport(header)
	require.NoError(t, err)
	require.ErrorIs(t, i.Finish(l.tail(src, w)), ErrImporting, "nothing has been fetched")
	require.NoError(t, fetch(src, i, l.rng, 5000))
	for name, spoil := range map[string]func(x *chain.StateTail){
		"decision":             func(x *chain.StateTail) { d := *x.Decision; d.TimeMillis++; x.Decision = &d },
		"a transaction less":   func(x *chain.StateTail) { x.Txs = x.Txs[1:] },
		"transactions swapped": func(x *chain.StateTail) { x.Txs = append(chain.Txs{x.Txs[1], x.Txs[0]}, x.Txs[2:]...) },
		"exclusion": func(x *chain.StateTail) {
			if len(x.Exclusions) == 0 {
				x.Exclusions = []chain.Exclusion{{Tx: x.Txs[0].Hash()}}
			} else {
				x.Exclusions = nil
			}
		},
		"certificate of another block": func(x *chain.StateTail) { c := *x.Certificate; c.Block[0]++; x.Certificate = &c },
		"set": func(x *chain.StateTail) {
			x.Rule.Set = append(chain.ValidatorSet{}, x.Rule.Set...)
			x.Rule.Set[0].Address[0]++
		},
		"next set": func(x *chain.StateTail) {
			x.Next.Set = append(chain.ValidatorSet{}, x.Next.Set...)
			x.Next.Set[0].Address[0]++
		},
		"engine":           func(x *chain.StateTail) { x.Rule.Engine = chain.PoS },
		"ancestor missing": func(x *chain.StateTail) { x.Ancestors = x.Ancestors[1:] },
		"ancestor altered": func(x *chain.StateTail) {
			x.Ancestors = append([]*chain.Header{}, x.Ancestors...)
			x.Ancestors[7] = types.CopyHeader(x.Ancestors[7])
			x.Ancestors[7].GasUsed++
		},
		"first ancestor altered": func(x *chain.StateTail) {
			x.Ancestors = append([]*chain.Header{}, x.Ancestors...)
			x.Ancestors[0] = types.CopyHeader(x.Ancestors[0])
			x.Ancestors[0].GasUsed++
		},
	} {
		tail := l.tail(src, w)
		spoil(tail)
		require.ErrorIs(t, i.Finish(tail), chain.ErrStateChunk, name)
		require.Nil(t, dst.Head(), name)
	}
	require.NoError(t, i.Finish(l.tail(src, w)))
	require.NoError(t, dst.Check(context.Background(), nil))
	l.checkNotKept(dst, w)
}

// checkNotKept asks for what a chain that began with a fetched state does not have.
func (l *ledger) checkNotKept(s *Store, w *work) {
	first := w.decision.Height
	require.Greater(l.tb, first, uint64(chain.AncestorHeaders+10))
	for _, h := range []uint64{1, first - chain.AncestorHeaders - 1} {
		_, err := s.Header(h)
		require.ErrorIs(l.tb, err, ErrNotKept)
	}
	for _, h := range []uint64{1, first - 1} {
		_, err := s.Block(h)
		require.ErrorIs(l.tb, err, ErrNotKept)
		_, _, err = s.Decision(h)
		require.ErrorIs(l.tb, err, ErrNotKept)
		_, err = s.Receipts(h)
		require.ErrorIs(l.tb, err, ErrNotKept)
		_, err = s.RuleAt(h)
		require.ErrorIs(l.tb, err, ErrNotKept)
		_, err = s.State(h)
		require.ErrorIs(l.tb, err, ErrPruned)
	}
	_, err := s.Receipts(first)
	require.ErrorIs(l.tb, err, ErrNotKept)
	_, err = s.Logs(context.Background(), chain.LogQuery{From: 1, To: first, MaxResults: 10})
	require.ErrorIs(l.tb, err, ErrNotKept)
	_, err = s.Logs(context.Background(), chain.LogQuery{From: first + 1, To: first + 10, MaxResults: 10})
	require.NoError(l.tb, err)
	for h := first - chain.AncestorHeaders; h <= first; h++ {
		got, err := s.Header(h)
		require.NoError(l.tb, err)
		require.Equal(l.tb, l.headers[h].Hash(), got.Hash())
	}
	zero, err := s.Header(0)
	require.NoError(l.tb, err)
	require.Equal(l.tb, l.headers[0].Hash(), zero.Hash())
	block, err := s.Block(first)
	require.NoError(l.tb, err)
	require.Equal(l.tb, w.executed.Block.Txs.Hashes(), block.Txs.Hashes())
	set, err := s.RuleAt(first + 1)
	require.NoError(l.tb, err)
	require.Equal(l.tb, l.ruleAt(first+1), set)
	tx, err := s.Tx(w.txs[0].Hash())
	require.NoError(l.tb, err)
	require.Nil(l.tb, tx)
	last, err := s.LastDecision()
	require.NoError(l.tb, err)
	require.Equal(l.tb, w.decision.Hash(l.suite), last.Hash(l.suite))
}

func TestImportOfAnotherBlockStartsAgain(t *testing.T) {
	l := newLedger(t, 62)
	src, w := l.source(smallConfig(vfs.NewMem()), 1, 60, 400)
	defer src.Close()
	dst := l.emptyStore(vfs.NewMem())
	defer dst.Close()
	header, err := src.Header(w.decision.Height)
	require.NoError(t, err)
	i, err := dst.BeginImport(header)
	require.NoError(t, err)
	require.NoError(t, fetch(src, i, l.rng, 1000))

	next := l.randomWork(2)
	l.certified(src, next)
	require.NoError(t, src.HoldState(next.decision.Height))
	header, err = src.Header(next.decision.Height)
	require.NoError(t, err)
	i, err = dst.BeginImport(header)
	require.NoError(t, err)
	require.NoError(t, fetch(src, i, l.rng, 1000))
	require.NoError(t, i.Finish(l.tail(src, next)))
	l.checkState(dst.Tip(), next.state)
	require.NoError(t, dst.Check(context.Background(), nil))
	_, err = dst.BeginImport(header)
	require.ErrorContains(t, err, "holds a chain")
}

func TestCodesThatAreNotWanted(t *testing.T) {
	l := newLedger(t, 63)
	src, w := l.source(smallConfig(vfs.NewMem()), 0, 30, 10)
	defer src.Close()
	dst := l.emptyStore(vfs.NewMem())
	defer dst.Close()
	header, err := src.Header(w.decision.Height)
	require.NoError(t, err)
	i, err := dst.BeginImport(header)
	require.NoError(t, err)
	require.ErrorIs(t, i.AddCodes([][]byte{[]byte("nobody's")}), chain.ErrStateChunk)
	require.NoError(t, fetch(src, i, l.rng, 5000))
	codes, err := src.StateCodes([]common.Hash{{1}})
	require.NoError(t, err)
	require.Empty(t, codes)
}

func TestHolds(t *testing.T) {
	l := newLedger(t, 64)
	s := l.open(smallConfig(vfs.NewMem()))
	now := time.Unix(1000, 0)
	s.holds.now = func() time.Time { return now }
	ctx := context.Background()
	l.certified(s, l.randomWork(1))
	l.certified(s, l.randomWork(1))
	all := chain.StateRange{To: lastKey}

	require.ErrorIs(t, s.HoldState(1), ErrNotHeld, "passed")
	require.ErrorIs(t, s.HoldState(0), ErrNotHeld)
	require.ErrorIs(t, s.HoldState(2+MaxHoldAhead+1), ErrNotHeld, "too far ahead")
	require.NoError(t, s.HoldState(2))
	require.NoError(t, s.HoldState(2), "twice is once")
	require.NoError(t, s.HoldState(4))
	require.ErrorIs(t, s.HoldState(5), ErrHoldsFull)
	require.Equal(t, []chain.HeldState{{Height: 2, Ready: true, Left: holdTime}, {Height: 4, Left: waitTime}}, s.HeldStates())
	_, err := s.StateChunk(ctx, 4, all, 1000)
	require.ErrorIs(t, err, ErrNotHeld)

	for range 3 {
		l.certified(s, l.randomWork(1))
	}
	require.Equal(t, []chain.HeldState{{Height: 2, Ready: true, Left: holdTime}, {Height: 4, Ready: true, Left: holdTime}}, s.HeldStates())
	for _, height := range []uint64{2, 4} {
		b, err := s.StateChunk(ctx, height, all, 1<<20)
		require.NoError(t, err)
		v, err := verifyChunk(l.headers[height].Root, all, b)
		require.NoError(t, err)
		require.True(t, v.done)
		require.Len(t, v.leafs, len(l.states[height].accounts), "the state of that height, whatever came after")
	}
	now = now.Add(holdTime - time.Second)
	require.Len(t, s.HeldStates(), 2)
	now = now.Add(time.Second)
	require.Empty(t, s.HeldStates())
	_, err = s.StateChunk(ctx, 4, all, 1000)
	require.ErrorIs(t, err, ErrNotHeld)
	require.NoError(t, s.HoldState(6))
	now = now.Add(waitTime)
	require.Empty(t, s.HeldStates(), "a height that does not come is not waited for long")
	require.NoError(t, s.HoldState(5))
	require.NoError(t, s.Close(), "a held state does not keep the folder open")
}
