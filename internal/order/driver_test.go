package order_test

import (
	"context"
	"errors"
	"math/rand"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

var suite crypto.Suite = intl.Suite{}

// rig is a driver over fakes, and what tests change of it.
type rig struct {
	*order.Driver
	node   order.Node
	cfg    order.Config
	pool   *ordertest.Pool
	ledger *ordertest.Ledger
	now    time.Time
}

func newRig(t *testing.T, change func(*rig)) *rig {
	t.Helper()
	r := &rig{cfg: order.DefaultConfig(), pool: ordertest.NewPool(), ledger: new(ordertest.Ledger), now: time.UnixMilli(5000)}
	key, err := suite.GenerateKey(rand.New(rand.NewSource(1)))
	require.NoError(t, err)
	g := &chain.Genesis{TimeMillis: 1000, GasLimit: 30 * 21_000, Validators: []chain.GenesisValidator{{ID: 3, PublicKey: key.Public().Bytes(), Address: common.Address{1}}},
		Consensus: chain.Consensus{MaxBlockTxs: 10, MaxBlockBytes: 1 << 20, BatchMillis: 20}}
	r.node = order.Node{Genesis: g, GenesisHash: crypto.Hash{1}, Suite: suite, ID: 3, Key: key, Pool: r.pool, Ledger: r.ledger, Now: func() time.Time { return r.now }}
	if change != nil {
		change(r)
	}
	r.Driver, err = order.NewDriver(r.cfg, r.node)
	require.NoError(t, err)
	return r
}

func hashes(txs ...*chain.Tx) (out []common.Hash) {
	for _, tx := range txs {
		out = append(out, tx.Hash())
	}
	return out
}

// first is a good proposal for height 1.
func (r *rig) first(txs ...*chain.Tx) *order.Proposal {
	return &order.Proposal{Height: 1, Proposer: 3, TimeMillis: 5000, Txs: hashes(txs...)}
}

func TestBuildTimes(t *testing.T) {
	r := newRig(t, nil)
	ctx := context.Background()
	p, err := r.Build(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, &order.Proposal{Height: 1, Proposer: 3, TimeMillis: 5000, Txs: p.Txs}, p)
	require.Empty(t, p.Txs, "an empty pool is no reason to wait")
	r.now = time.UnixMilli(10)
	p, err = r.Build(ctx, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1000, p.TimeMillis, "not before the genesis")
	parent := &chain.Decision{Height: 8, TimeMillis: 7000, Proposer: 3}
	p, err = r.Build(ctx, parent)
	require.NoError(t, err)
	require.EqualValues(t, 9, p.Height)
	require.Equal(t, parent.Hash(suite), p.Parent)
	require.EqualValues(t, 7000, p.TimeMillis, "a clock that went back does not take the chain along")
}

func TestBuildWaitsForABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.node.Now = time.Now })
		ctx, cancel := context.WithCancel(context.Background())
		engine := newManual()
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, engine, 0) }()
		build := func() (n int, took time.Duration) {
			start := time.Now()
			p, err := r.Build(ctx, nil)
			require.NoError(t, err)
			return len(p.Txs), time.Since(start)
		}
		took := func(n int, d time.Duration) []any { return []any{n, d} }
		check := func(want []any, why string) {
			t.Helper()
			n, d := build()
			require.Equal(t, want, took(n, d), why)
		}
		r.pool.Add(ordertest.Tx(1))
		check(took(1, 20*time.Millisecond), "one waits for the batch time")
		r.pool.Add(ordertest.Tx(2))
		time.Sleep(15 * time.Millisecond)
		check(took(2, 5*time.Millisecond), "counted from its arrival, not from the build")
		r.pool.Add(ordertest.Tx(3))
		time.Sleep(time.Second)
		check(took(3, 0), "who has waited long does not wait on")
		go func() {
			time.Sleep(7 * time.Millisecond)
			for i := 4; i < 20; i++ {
				r.pool.Add(ordertest.Tx(i))
			}
		}()
		r.pool.Add(ordertest.Tx(20))
		check(took(10, 7*time.Millisecond), "a full batch closes at once")
		cancel()
		require.NoError(t, <-done)
	})
}

// finality is set by the test.
type finality struct {
	mu     sync.Mutex
	height uint64
	bell   chan struct{}
}

func (f *finality) Finalized() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.height
}

func (f *finality) Moved() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bell
}

func (f *finality) set(height uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.height = height
	close(f.bell)
	f.bell = make(chan struct{})
}

func TestBuildWaitsForFinality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		final := &finality{bell: make(chan struct{})}
		r := newRig(t, func(r *rig) {
			r.node.Now, r.node.Final, r.cfg.Pace = time.Now, final, 50*time.Millisecond
			r.node.Genesis.Validators = append(r.node.Genesis.Validators, chain.GenesisValidator{ID: 4, Address: common.Address{2}})
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, newManual(), 0) }()
		next := 0
		add := func(n int) {
			for range n {
				next++
				r.pool.Add(ordertest.Tx(next))
			}
		}
		check := func(parent uint64, want time.Duration, why string) {
			t.Helper()
			start := time.Now()
			var last *chain.Decision
			if parent > 0 {
				last = &chain.Decision{Height: parent}
			}
			_, err := r.Build(ctx, last)
			require.NoError(t, err)
			require.Equal(t, want, time.Since(start), why)
		}
		check(1, 0, "an empty pool is no reason to wait")
		add(1)
		check(0, 20*time.Millisecond, "nothing is before the first block")
		add(1)
		check(1, 50*time.Millisecond, "at most as long as it may")
		add(1)
		go func() {
			time.Sleep(30 * time.Millisecond)
			final.set(1)
		}()
		check(1, 30*time.Millisecond, "until the block before is final")
		add(1)
		check(1, 20*time.Millisecond, "and for the batch time, if that is longer")
		go func() {
			time.Sleep(25 * time.Millisecond)
			add(10)
		}()
		add(1)
		check(2, 25*time.Millisecond, "a full batch waits for nothing")
		cancel()
		require.NoError(t, <-done)
	})
}

func TestBuildEndsWithItsContext(t *testing.T) {
	r := newRig(t, func(r *rig) { r.node.Genesis.Consensus.BatchMillis = 60_000; r.node.Now = time.Now })
	r.pool.Add(ordertest.Tx(1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := r.Build(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*rig, *order.Proposal)
		want   string
	}{
		"good":          {func(*rig, *order.Proposal) {}, ""},
		"empty":         {func(_ *rig, p *order.Proposal) { p.Txs = nil }, ""},
		"later":         {func(_ *rig, p *order.Proposal) { p.TimeMillis = 15_000 }, ""},
		"height":        {func(_ *rig, p *order.Proposal) { p.Height = 2 }, "the next is 1"},
		"height 0":      {func(_ *rig, p *order.Proposal) { p.Height = 0 }, "height 0"},
		"parent":        {func(_ *rig, p *order.Proposal) { p.Parent[0] = 1 }, "names parent"},
		"early":         {func(_ *rig, p *order.Proposal) { p.TimeMillis = 999 }, "before its parent's"},
		"future":        {func(_ *rig, p *order.Proposal) { p.TimeMillis = 15_001 }, "ahead of this node's clock"},
		"overflow":      {func(_ *rig, p *order.Proposal) { p.TimeMillis = 1<<64 - 1 }, "ahead of this node's clock"},
		"stranger":      {func(_ *rig, p *order.Proposal) { p.Proposer = 4 }, "no validator"},
		"nobody":        {func(_ *rig, p *order.Proposal) { p.Proposer = 0 }, "neither a proposer"},
		"twice":         {func(_ *rig, p *order.Proposal) { p.Txs = append(p.Txs, p.Txs[0]) }, "twice"},
		"too many":      {func(r *rig, p *order.Proposal) { r.node.Genesis.Consensus.MaxBlockTxs = 1 }, "2 transactions, at most 1"},
		"too large":     {func(r *rig, p *order.Proposal) { r.node.Genesis.Consensus.MaxBlockBytes = 50 }, "bytes of transactions, at most 50"},
		"too much gas":  {func(r *rig, p *order.Proposal) { r.node.Genesis.GasLimit = 41_999 }, "42000 gas, at most 41999"},
		"decided":       {func(r *rig, p *order.Proposal) { r.pool.Decided(chain.Txs{ordertest.Tx(1)}) }, "decided already"},
		"never arrives": {func(r *rig, p *order.Proposal) { p.Txs = append(p.Txs, common.Hash{9}) }, "1 of 3 transactions are unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.cfg.VerifyWait = time.Millisecond })
			a, b := ordertest.Tx(1), ordertest.Tx(2)
			r.pool.Add(a, b)
			p := r.first(a, b)
			c.change(r, p)
			err := r.Verify(context.Background(), p)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, order.ErrProposal)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestVerifyWaitsForTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, newManual(), 0) }()
		late := ordertest.Tx(1)
		go func() {
			time.Sleep(400 * time.Millisecond)
			r.pool.Add(late)
		}()
		start := time.Now()
		require.NoError(t, r.Verify(ctx, r.first(late)))
		require.Equal(t, 400*time.Millisecond, time.Since(start))
		start = time.Now()
		require.ErrorIs(t, r.Verify(ctx, r.first(ordertest.Tx(2))), order.ErrProposal)
		require.Equal(t, 500*time.Millisecond, time.Since(start), "bounded")
		cancel()
		require.NoError(t, <-done)
		require.ErrorIs(t, r.Verify(ctx, r.first(ordertest.Tx(2))), context.Canceled)
	})
}

func TestDeliver(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, nil)
	a, b := ordertest.Tx(1), ordertest.Tx(2)
	r.pool.Add(a, b)
	one := r.first(a).Decide([]byte("proof"))
	_, err := r.Deliver(ctx, one)
	require.NoError(t, err)
	w := <-r.Work()
	require.Equal(t, one, w.Decision)
	require.Equal(t, a.Hash(), w.Txs[0].Hash())
	require.Equal(t, hashes(b), r.pool.Build(10, 1<<20, 1<<40), "decided ones are out of the pool's proposals")

	_, err = r.Deliver(ctx, one)
	require.NoError(t, err, "engines repeat the last one after a crash")
	require.EqualValues(t, 1, r.ledger.Height())
	require.Empty(t, r.Work())
	other := *one
	other.TimeMillis++
	_, err = r.Deliver(ctx, &other)
	require.ErrorIs(t, err, order.ErrSequence, "but not another one of that height")

	for name, change := range map[string]func(*chain.Decision){
		"gap":    func(d *chain.Decision) { d.Height = 3 },
		"parent": func(d *chain.Decision) { d.Parent = crypto.Hash{} },
		"time":   func(d *chain.Decision) { d.TimeMillis = 4999 },
		"nobody": func(d *chain.Decision) { d.Proposer = 9 },
	} {
		two := &chain.Decision{Height: 2, Parent: one.Hash(suite), TimeMillis: 5000, Proposer: 3, Txs: hashes(b)}
		change(two)
		_, err = r.Deliver(ctx, two)
		require.ErrorIs(t, err, order.ErrSequence, name)
	}
	require.EqualValues(t, 1, r.ledger.Height())
}

func TestDeliverIsDurableOrFails(t *testing.T) {
	r := newRig(t, nil)
	a := ordertest.Tx(1)
	r.pool.Add(a)
	full := errors.New("disk is full")
	r.ledger.Fail(full)
	d := r.first(a).Decide(nil)
	_, err := r.Deliver(context.Background(), d)
	require.ErrorIs(t, err, full)
	require.Empty(t, r.Work())
	require.Equal(t, hashes(a), r.pool.Build(10, 1<<20, 1<<40), "it is still to be decided")
	r.ledger.Fail(nil)
	_, err = r.Deliver(context.Background(), d)
	require.NoError(t, err)
	require.Len(t, r.Work(), 1)
}

type peers struct {
	mu     sync.Mutex
	has    map[common.Hash]*chain.Tx
	asked  int
	from   order.PeerID
	answer func(chain.Txs) chain.Txs
	err    error
	sent   [][]byte
}

func (p *peers) Send(_ order.PeerID, msg []byte) { p.sent = append(p.sent, msg) }
func (p *peers) Broadcast(msg []byte)            { p.sent = append(p.sent, msg) }
func (p *peers) Fetch(ctx context.Context, from order.PeerID, hashes []common.Hash) (chain.Txs, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked += len(hashes)
	p.from = from
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("no deadline")
	}
	var out chain.Txs
	for _, h := range hashes {
		out = append(out, p.has[h])
	}
	if p.answer != nil {
		out = p.answer(out)
	}
	return out, p.err
}

func TestDeliverFetchesMissing(t *testing.T) {
	a, b, c := ordertest.Tx(1), ordertest.Tx(2), ordertest.Tx(3)
	for name, x := range map[string]struct {
		net  *peers
		want error
	}{
		"found":         {&peers{has: map[common.Hash]*chain.Tx{a.Hash(): a, c.Hash(): c}}, nil},
		"not found":     {&peers{has: map[common.Hash]*chain.Tx{a.Hash(): a}}, order.ErrMissing},
		"down":          {&peers{err: errors.New("all peers are down")}, order.ErrMissing},
		"wrong number":  {&peers{answer: func(chain.Txs) chain.Txs { return nil }}, order.ErrMissing},
		"another":       {&peers{answer: func(chain.Txs) chain.Txs { return chain.Txs{ordertest.Tx(9), a} }}, order.ErrMissing},
		"without peers": {nil, order.ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(r *rig) {
					if x.net != nil {
						r.node.Network = x.net
					}
				})
				r.pool.Add(b)
				ctx, cancel := context.WithTimeout(context.Background(), 5*r.cfg.FetchWait/2)
				defer cancel()
				_, err := r.Deliver(ctx, r.first(a, b, c).Decide(nil))
				if x.want != nil {
					require.ErrorIs(t, err, x.want)
					require.Zero(t, r.ledger.Height())
					if x.net != nil {
						require.Equal(t, 3*2, x.net.asked, "three times, only what is missing")
					}
					return
				}
				require.NoError(t, err)
				require.Equal(t, 2, x.net.asked, "only what is missing")
				require.Equal(t, hashes(a, b, c), (<-r.Work()).Txs.Hashes())
			})
		})
	}
}

// forgetful keeps no proposals.
type forgetful struct {
	*ordertest.Ledger
	why error
}

func (f forgetful) KeepProposal(chain.Txs) error { return f.why }

// TestTransactionsOfAProposalOutliveACrash agrees to a proposal whose transactions the pool then loses, with the process or without: whoever asks gets them,
// and the decision needs no peer.
func TestTransactionsOfAProposalOutliveACrash(t *testing.T) {
	a, b := ordertest.Tx(1), ordertest.Tx(2)
	net := &peers{}
	r := newRig(t, func(r *rig) { r.node.Network = net })
	r.pool.Add(a, b)
	proposal := r.first(a, b)
	require.NoError(t, r.Verify(context.Background(), proposal))
	r.pool.Forget(a.Hash(), b.Hash())
	unknown := ordertest.Tx(3).Hash()
	for range 2 {
		txs, missing := r.Bodies([]common.Hash{b.Hash(), unknown, a.Hash()})
		require.Equal(t, chain.Txs{b, nil, a}, txs)
		require.Equal(t, []common.Hash{unknown}, missing)
		before := r
		r = newRig(t, func(r *rig) { r.node.Network, r.ledger = net, before.ledger; r.node.Ledger = before.ledger })
	}
	_, err := r.Deliver(context.Background(), proposal.Decide(nil))
	require.NoError(t, err)
	require.Zero(t, net.asked)
	kept, err := r.ledger.KeptProposals()
	require.NoError(t, err)
	require.Empty(t, kept, "decided: the ledger has them")

	failed := errors.New("disk failed")
	r = newRig(t, func(r *rig) { r.node.Network, r.node.Ledger = net, forgetful{r.ledger, failed} })
	r.pool.Add(a, b)
	require.ErrorIs(t, r.Verify(context.Background(), r.first(a, b)), failed, "no vote for what would be lost")
}

func TestSignaturesAreForOneChain(t *testing.T) {
	net := new(peers)
	r := newRig(t, func(r *rig) { r.node.Network = net })
	msg := []byte("vote")
	sig, err := r.Sign(msg)
	require.NoError(t, err)
	v := &r.node.Genesis.ValidatorSet()[0]
	require.NoError(t, r.VerifySig(v, msg, sig))
	require.ErrorIs(t, r.VerifySig(v, []byte("veto"), sig), crypto.ErrSignature)
	require.ErrorIs(t, order.VerifySig(suite, crypto.Hash{2}, v, msg, sig), crypto.ErrSignature)
	require.Error(t, r.VerifySig(&chain.Validator{ID: 1, PublicKey: []byte{1}}, msg, sig))
	require.ErrorIs(t, r.node.Key.Public().Verify(msg, sig), crypto.ErrSignature, "the bare message was not signed")
	r.Broadcast(msg)
	r.Send(1, msg)
	require.Len(t, net.sent, 2)
}

func TestRunChecksTheLedger(t *testing.T) {
	r := newRig(t, nil)
	err := r.Run(context.Background(), newManual(), 1)
	require.ErrorIs(t, err, order.ErrSequence, "a block without its decision")
	_, open := <-r.Work()
	require.False(t, open)
}

func TestRunReturnsTheEnginesError(t *testing.T) {
	r := newRig(t, nil)
	broken := errors.New("broken")
	m := newManual()
	m.end <- broken
	require.ErrorIs(t, r.Run(context.Background(), m, 0), broken)
}

func TestConfigValidate(t *testing.T) {
	for field, change := range map[string]func(*order.Config){
		"pipeline": func(c *order.Config) { c.Pipeline = 33 }, "verify_wait": func(c *order.Config) { c.VerifyWait = 0 }, "fetch_wait": func(c *order.Config) { c.FetchWait = -1 },
		"pace": func(c *order.Config) { c.Pace = time.Second },
	} {
		cfg := order.DefaultConfig()
		require.NoError(t, cfg.Validate())
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), field)
		_, err := order.NewDriver(cfg, order.Node{})
		require.ErrorContains(t, err, field)
	}
}

func FuzzDecodeProposal(f *testing.F) {
	good := &order.Proposal{Height: 1, Proposer: 3, TimeMillis: 5, Txs: []common.Hash{{1}}}
	f.Add(good.Encode())
	f.Add((*chain.Decision)(good).Encode()[1:])
	f.Add(good.Decide([]byte{1}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := order.DecodeProposal(b)
		if err != nil {
			return
		}
		require.Empty(t, p.Proof)
		require.True(t, slices.Equal(b, p.Encode()), "one form only")
		require.Equal(t, p.Hash(suite), p.Decide([]byte{1}).Hash(suite), "the proof is not part of what is agreed on")
	})
}

// manual is an engine that does nothing until it is told to end.
type manual struct{ end chan error }

func newManual() *manual { return &manual{make(chan error, 1)} }

func (m *manual) Run(ctx context.Context, _ order.Host) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-m.end:
		return err
	}
}
func (m *manual) Pending()                                                 {}
func (m *manual) Handle(order.PeerID, []byte)                              {}
func (m *manual) VerifyDecision(chain.ValidatorSet, *chain.Decision) error { return nil }
func (m *manual) Status() order.Status                                     { return order.Status{} }

// TestProposedTransactionsAreHeld: a sender that replaces a transaction between its proposal and its decision does not stop the chain.
func TestProposedTransactionsAreHeld(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, func(r *rig) { r.now = time.Now().Add(time.Second) }) // the batch is old enough
	a, b := ordertest.Tx(1), ordertest.Tx(2)
	r.pool.Add(a, b)
	p, err := r.Build(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, hashes(a, b), p.Txs)
	r.pool.Forget(b.Hash())
	_, err = r.Deliver(ctx, p.Decide([]byte("proof")))
	require.NoError(t, err)
	require.Equal(t, hashes(a, b), (<-r.Work()).Txs.Hashes())

	verified := newRig(t, nil)
	verified.pool.Add(a, b)
	require.NoError(t, verified.Verify(ctx, verified.first(a, b)))
	verified.pool.Forget(a.Hash())
	_, err = verified.Deliver(ctx, verified.first(a, b).Decide([]byte("proof")))
	require.NoError(t, err)
	require.Equal(t, hashes(a, b), (<-verified.Work()).Txs.Hashes())
}

// heard notes how much of the ledger would outlive a crash when others hear of a height.
type heard struct {
	order.CatchUp
	ledger  *ordertest.Ledger
	durable map[uint64]uint64
}

func (h heard) SetHeight(height uint64) { h.durable[height] = h.ledger.Durable() }

// TestDecisionsOfOneValidatorAreDurableBeforeOthersHear: nobody's votes bring back what a validator that decides alone has forgotten, and who followed it would
// stand on another branch. Where votes do, the decision waits for the next entry of the journal.
func TestDecisionsOfOneValidatorAreDurableBeforeOthersHear(t *testing.T) {
	for engine, durable := range map[chain.EngineKind]uint64{chain.Solo: 1, chain.BFT: 0, chain.Raft: 0} {
		h := heard{durable: make(map[uint64]uint64)}
		r := newRig(t, func(r *rig) {
			h.ledger = r.ledger
			r.node.Genesis.Consensus.Engine, r.node.Network, r.node.CatchUp = engine, &peers{}, h
		})
		tx := ordertest.Tx(1)
		r.pool.Add(tx)
		_, err := r.Deliver(context.Background(), r.first(tx).Decide(nil))
		require.NoError(t, err)
		require.Equal(t, map[uint64]uint64{1: durable}, h.durable, engine)
	}
}
