package govern_test

import (
	"context"
	"fmt"
	"math/big"
	"testing"
	"testing/synctest"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// ledger is a durable chain in memory: which set from which height on, and the state at the head.
type ledger struct {
	durable uint64
	sets    []chain.SetChange
	state   chain.State
}

func (l *ledger) Head() *chain.Header {
	return &chain.Header{Number: new(big.Int).SetUint64(l.durable)}
}

func (l *ledger) State(height uint64) (chain.State, error) {
	if height != l.durable {
		return nil, fmt.Errorf("state at %d", height)
	}
	return l.state, nil
}

func (l *ledger) RuleAt(height uint64) (rule *chain.Rule, err error) {
	if height > l.durable+chain.ActivationDelay {
		return nil, fmt.Errorf("%d is above what %d settles", height, l.durable)
	}
	for _, c := range l.sets {
		if c.From <= height {
			rule = &c.Rule
		}
	}
	return rule, nil
}

// change is a block's write set that says that the contract's change slot was written.
var change = chain.WriteSet{{Address: common.Address{19: 1}}, {Address: govern.Address, Slots: []chain.SlotChange{{Key: common.Hash{31: 1}, Value: common.Hash{31: 9}}}}}

func newTracker(t *testing.T, n int) (*govern.Tracker, *ledger, *world) {
	g := founding(n)
	w := newWorld(t, g)
	l := &ledger{sets: []chain.SetChange{{Rule: *g.Rule()}}, state: w}
	tr, err := govern.NewTracker(g, suite, l)
	require.NoError(t, err)
	return tr, l, w
}

// admit lets as many validators as it takes, by their accounts, add another one.
func (w *world) admit(n uint64, accounts ...uint64) {
	w.t.Helper()
	set, _ := w.read()
	p := w.proposeAdd(accounts[0], n)
	for _, a := range accounts[1:chain.BFT.Quorum(len(set))] {
		w.call(account(a), "vote", p)
	}
}

func TestASetRulesSixtyFourBlocksAfterItsChange(t *testing.T) {
	tr, l, w := newTracker(t, 4)
	old := tr.Of(1)
	require.Equal(t, old, tr.Of(chain.ActivationDelay))
	require.Nil(t, tr.Of(chain.ActivationDelay+1), "not settled before block 1 is executed")
	for h := uint64(1); h <= 9; h++ {
		c, err := tr.Executed(h, nil, w)
		require.NoError(t, err)
		require.Nil(t, c)
	}
	w.setHeight(10)
	w.admit(99, 1, 3, 5)
	c, err := tr.Executed(10, change, w)
	require.NoError(t, err)
	require.Equal(t, uint64(10+chain.ActivationDelay), c.From)
	require.Len(t, c.Set, 5)
	require.Len(t, tr.Members(), 5)
	for _, durable := range []uint64{0, 5, 9, 10} { // it does not matter how far the disk is
		if l.durable = durable; durable == 10 {
			l.sets = append(l.sets, *c)
		}
		require.Equal(t, old, tr.Of(1))
		require.Equal(t, old, tr.Of(10+chain.ActivationDelay-1))
		require.Equal(t, &c.Rule, tr.Of(10+chain.ActivationDelay))
		require.Nil(t, tr.Of(11+chain.ActivationDelay))
	}
	// A block that writes the contract without touching the set: a vote, or another endpoint.
	again, err := tr.Executed(11, change, w)
	require.NoError(t, err)
	require.Nil(t, again)
	_, err = tr.Executed(11, nil, w)
	require.Error(t, err, "heights come in order")
	_, err = tr.Executed(13, nil, w)
	require.Error(t, err)
}

// TestChangesOneAfterTheOther: while several blocks are executed and not durable, each height has its own set.
func TestChangesOneAfterTheOther(t *testing.T) {
	tr, l, w := newTracker(t, 4)
	accounts := []uint64{1, 3, 5, 7}
	var all []chain.SetChange
	for h := uint64(1); h <= 5; h++ {
		w.setHeight(h)
		w.admit(100+h, accounts...)
		accounts = append(accounts, 100+h)
		c, err := tr.Executed(h, change, w)
		require.NoError(t, err)
		all = append(all, *c)
		for i, c := range all {
			require.Equal(t, &c.Rule, tr.Of(uint64(i)+1+chain.ActivationDelay))
		}
		require.Len(t, tr.Of(chain.ActivationDelay).Set, 4)
		if h == 3 { // two of them reach the disk
			l.durable, l.sets = 2, append(l.sets, all[:2]...)
		}
	}
}

func TestAtWaitsForTheBlockThatSettlesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _, w := newTracker(t, 4)
		got := make(chan *chain.Rule, 1)
		go func() {
			set, err := tr.At(context.Background(), 2+chain.ActivationDelay)
			require.NoError(t, err)
			got <- set
		}()
		synctest.Wait()
		require.Empty(t, got)
		_, err := tr.Executed(1, nil, w)
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, got)
		w.setHeight(2)
		w.admit(99, 1, 3, 5)
		_, err = tr.Executed(2, change, w)
		require.NoError(t, err)
		require.Len(t, (<-got).Set, 5)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = tr.At(ctx, 3+chain.ActivationDelay)
		require.ErrorIs(t, err, context.Canceled)
		set, err := tr.At(ctx, 2+chain.ActivationDelay)
		require.NoError(t, err, "what is known needs no waiting")
		require.Len(t, set.Set, 5)
	})
}

func TestTrackerRefusesALedgerThatContradictsItsState(t *testing.T) {
	g := founding(4)
	w := newWorld(t, g)
	l := &ledger{sets: []chain.SetChange{{Rule: *g.Rule()}}, state: w}
	w.admit(99, 1, 3, 5)
	_, err := govern.NewTracker(g, suite, l)
	require.ErrorIs(t, err, govern.ErrState)
	l.durable = 1
	set, _ := w.read()
	l.sets = append(l.sets, chain.SetChange{From: 1 + chain.ActivationDelay, Rule: chain.Rule{Engine: chain.BFT, Set: set}})
	tr, err := govern.NewTracker(g, suite, l)
	require.NoError(t, err)
	require.Len(t, tr.Members(), 5)
	require.Len(t, tr.Of(chain.ActivationDelay).Set, 4)
	require.Len(t, tr.Of(1+chain.ActivationDelay).Set, 5)
	l.state = slots{}
	_, err = govern.NewTracker(g, suite, l)
	require.ErrorIs(t, err, govern.ErrState)
}

// TestSoloNeedsNoContract: the founding set rules for ever.
func TestSoloNeedsNoContract(t *testing.T) {
	g := founding(4)
	g.Consensus.Engine, g.Validators = chain.Solo, g.Validators[:1]
	l := &ledger{sets: []chain.SetChange{{Rule: *g.Rule()}}, state: slots{}}
	tr, err := govern.NewTracker(g, suite, l)
	require.NoError(t, err)
	require.Equal(t, g.Validators[0].Name, tr.Members()[0].Name)
	require.Equal(t, g.Validators[0].Endpoint, tr.Members()[0].Endpoint)
	c, err := tr.Executed(1, change, slots{})
	require.NoError(t, err)
	require.Nil(t, c)
	require.Equal(t, g.Rule(), tr.Of(1+chain.ActivationDelay))
}
