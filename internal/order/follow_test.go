package order_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// history is a chain of empty decisions that peers have, as order.CatchUp.
type history struct {
	decisions []*chain.Decision
	height    uint64
	bell      chan struct{}
	broken    error
}

func newHistory(n int) *history {
	h := &history{bell: make(chan struct{}, 1)}
	var parent crypto.Hash
	for i := range n {
		d := &chain.Decision{Height: uint64(i + 1), Parent: parent, TimeMillis: 5000, Proposer: 3, Proof: []byte("proof"), Txs: hashes(ordertest.Tx(i))}
		h.decisions = append(h.decisions, d)
		parent = d.Hash(suite)
	}
	return h
}

func (h *history) Fetch(ctx context.Context, from, to uint64, verify func(context.Context, *chain.Decision) error,
	deliver func(context.Context, *chain.Decision, chain.Txs) error) error {
	for i := from; i <= uint64(len(h.decisions)) && (to == 0 || i <= to); i++ {
		d := h.decisions[i-1]
		if verify(ctx, d) != nil {
			return nil
		}
		if err := deliver(ctx, d, chain.Txs{ordertest.Tx(int(i - 1))}); err != nil {
			return err
		}
	}
	return h.broken
}
func (h *history) Behind() <-chan struct{} { return h.bell }
func (h *history) SetHeight(height uint64) { h.height = height }

// doubter is an engine that refuses the proofs of some heights, and remembers the sets that it was given.
type doubter struct {
	manual
	refuse uint64
	sets   map[uint64]chain.ValidatorSet
}

func (e *doubter) VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error {
	e.sets[d.Height] = set
	if d.Height == e.refuse {
		return order.ErrProof
	}
	return nil
}

// schedule is an order.Sets that replaces the set at some heights.
type schedule map[uint64]chain.ValidatorSet

func (s schedule) At(_ context.Context, height uint64) (*chain.Rule, error) {
	best, set := uint64(0), chain.ValidatorSet(nil)
	for from, x := range s {
		if from <= height && from >= best {
			best, set = from, x
		}
	}
	if set == nil {
		return nil, fmt.Errorf("no set at %d", height)
	}
	return &chain.Rule{Engine: chain.BFT, Set: set}, nil
}

// runRig runs the rig's driver with e and executes what comes.
func runRig(t *testing.T, r *rig, e order.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, e, 0) }()
	go func() {
		for range r.Work() {
		}
	}()
	synctest.Wait()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

func TestSyncFetchesAndVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newHistory(30)
		r := newRig(t, func(r *rig) { r.node.CatchUp = peers })
		engine := &doubter{manual: *newManual(), sets: make(map[uint64]chain.ValidatorSet), refuse: 21}
		runRig(t, r, engine)
		ctx := context.Background()
		last, set, err := r.Sync(ctx, 7)
		require.NoError(t, err)
		require.EqualValues(t, 7, last.Height, "no further than asked")
		require.Equal(t, r.node.Genesis.ValidatorSet(), set)
		require.EqualValues(t, 7, peers.height)
		last, _, err = r.Sync(ctx, 3)
		require.NoError(t, err)
		require.EqualValues(t, 7, last.Height, "there already")
		last, _, err = r.Sync(ctx, 0)
		require.NoError(t, err)
		require.EqualValues(t, 20, last.Height, "what is not proven is not taken")
		require.Equal(t, peers.decisions[:20], r.ledger.Decisions())
		engine.refuse = 0
		peers.broken = errors.New("no peers")
		_, _, err = r.Sync(ctx, 0)
		require.ErrorIs(t, err, peers.broken)
		require.EqualValues(t, 30, r.ledger.Height(), "what came before the error stays")
		require.Equal(t, (<-chan struct{})(peers.bell), r.Behind())
		require.Nil(t, newRig(t, nil).Behind())
	})
}

func TestSyncRefusesOtherTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newHistory(2)
		peers.decisions[1].Txs = hashes(ordertest.Tx(9))
		r := newRig(t, func(r *rig) { r.node.CatchUp = peers })
		runRig(t, r, &doubter{manual: *newManual(), sets: make(map[uint64]chain.ValidatorSet)})
		_, _, err := r.Sync(context.Background(), 0)
		require.ErrorIs(t, err, order.ErrMissing)
		require.EqualValues(t, 1, r.ledger.Height())
	})
}

func TestSetsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newHistory(12)
		sets := schedule{}
		r := newRig(t, func(r *rig) {
			sets[1] = r.node.Genesis.ValidatorSet()
			sets[5] = append(slices.Clone(sets[1]), chain.Validator{ID: 8, PublicKey: []byte{8}})
			renamed := slices.Clone(sets[1])
			renamed[0].ID = 4
			sets[10] = renamed
			r.node.CatchUp, r.node.Sets = peers, sets
		})
		engine := &doubter{manual: *newManual(), sets: make(map[uint64]chain.ValidatorSet)}
		runRig(t, r, engine)
		ctx := context.Background()
		r.pool.Add(ordertest.Tx(0), ordertest.Tx(1), ordertest.Tx(2), ordertest.Tx(3))
		for i := range 4 {
			set, err := r.Deliver(ctx, peers.decisions[i])
			require.NoError(t, err)
			require.Equal(t, i == 3, set != nil, "told with the last decision before it rules")
			if set != nil {
				require.Equal(t, sets[5], set)
			}
		}
		last, set, err := r.Sync(ctx, 9)
		require.NoError(t, err)
		require.Equal(t, sets[10], set, "the set of the next height")
		require.EqualValues(t, 9, last.Height)
		for h := uint64(5); h < 10; h++ {
			require.Equal(t, sets[5], engine.sets[h], "height %d is verified by its own set", h)
		}
		p, err := r.Build(ctx, last)
		require.NoError(t, err)
		require.EqualValues(t, 4, p.Proposer, "a node's number is what the set says")
		_, err = r.Deliver(ctx, peers.decisions[9])
		require.ErrorIs(t, err, order.ErrSequence, "3 is no validator any more")
	})
}

// TestVerifyAsksTheProposer: gossip has 30 ms, then the proposer is asked, within the time that Verify has.
func TestVerifyAsksTheProposer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := ordertest.Tx(1), ordertest.Tx(2)
		net := &peers{has: map[common.Hash]*chain.Tx{a.Hash(): a}}
		r := newRig(t, func(r *rig) { r.node.Network = net })
		runRig(t, r, newManual())
		start := time.Now()
		require.NoError(t, r.Verify(context.Background(), r.first(a)))
		require.Equal(t, 30*time.Millisecond, time.Since(start))
		require.Equal(t, order.PeerID(3), net.from)
		start = time.Now()
		require.ErrorIs(t, r.Verify(context.Background(), r.first(a, b)), order.ErrProposal)
		require.Equal(t, 30*time.Millisecond+r.cfg.VerifyWait, time.Since(start), "counted from when one came last")
	})
}

func TestOverdue(t *testing.T) {
	r := newRig(t, func(r *rig) { r.node.Genesis.GasLimit = 1 << 40; r.now = time.Now() })
	txs := make(chain.Txs, 12)
	for i := range txs {
		txs[i] = ordertest.Tx(i)
	}
	r.pool.Add(txs...)
	later := func(d time.Duration) { r.now = r.now.Add(d) }
	later(time.Second)
	require.Empty(t, r.Overdue(2*time.Second, 100))
	later(2 * time.Second)
	require.Len(t, r.Overdue(2*time.Second, 100), 12)
	require.Len(t, r.Overdue(2*time.Second, 5), 5)
	full := r.first(txs[:10]...)
	full.TimeMillis = uint64(r.now.UnixMilli())
	_, err := r.Deliver(context.Background(), full.Decide(nil))
	require.NoError(t, err)
	require.Empty(t, r.Overdue(2*time.Second, 100), "a full decision has no room for all: nobody is to blame")
	later(3 * time.Second)
	require.Equal(t, hashes(txs[10:]...), r.Overdue(2*time.Second, 100), "none was made since")
	r.pool.Waited(5 * time.Second) // those two have waited for six
	require.Empty(t, r.Overdue(2*time.Second, 100), "others have waited as long")
	later(5 * time.Second)
	require.Len(t, r.Overdue(2*time.Second, 100), 2, "but not much longer")
	r.pool.Waited(time.Hour)
	require.Len(t, r.Overdue(2*time.Second, 100), 2, "a leader that lets all wait cannot hide for ever")
}

func TestWantedIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := ordertest.Tx(1), ordertest.Tx(2)
		net := &peers{has: map[common.Hash]*chain.Tx{a.Hash(): a, b.Hash(): b}}
		r := newRig(t, func(r *rig) { r.node.Network = net })
		runRig(t, r, newManual())
		r.pool.Add(a)
		r.Wanted(7, hashes(a, b))
		synctest.Wait()
		require.Equal(t, 1, net.asked, "only what is missing")
		require.Equal(t, order.PeerID(7), net.from)
		for range 1000 {
			r.Wanted(7, hashes(b)) // never blocks
		}
		newRig(t, nil).Wanted(7, hashes(a))
	})
}

// TestDrift: a proposal may be ten seconds ahead of this node's clock and no more, and time never goes back.
func TestDrift(t *testing.T) {
	r := newRig(t, nil)
	for millis, ok := range map[uint64]bool{999: false, 1000: true, 5000: true, 15_000: true, 15_001: false} {
		p := r.first()
		p.TimeMillis = millis
		err := r.Verify(context.Background(), p)
		require.Equal(t, ok, err == nil, "%d: %v", millis, err)
	}
	p := r.first()
	p.TimeMillis = 14_000
	_, err := r.Deliver(context.Background(), p.Decide(nil))
	require.NoError(t, err)
	next, err := r.Build(context.Background(), p.Decide(nil))
	require.NoError(t, err)
	require.EqualValues(t, 14_000, next.TimeMillis, "who is behind does not take time back")
}
