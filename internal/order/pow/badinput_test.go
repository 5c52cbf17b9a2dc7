package pow_test

import (
	"context"
	"math/rand"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/pow"
)

// stranger is a peer that says what a test wants.
const stranger = 99

// visited is one node that a stranger speaks to.
type visited struct {
	*world
	*sim
	forge *pow.Forge

	heard sync.Mutex
	said  [][]byte
}

// visit runs test on a node that finds no blocks itself unless power is set.
func visit(t *testing.T, power float64, test func(t *testing.T, v *visited)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1, nil)
		v := &visited{world: w, sim: w.nodes[0]}
		v.forge = pow.NewForge(v.config())
		v.solver.SetPower(power)
		w.listen(stranger, func(_ order.PeerID, msg []byte) {
			v.heard.Lock()
			defer v.heard.Unlock()
			v.said = append(v.said, msg)
		})
		v.sim.start()
		time.Sleep(time.Minute)
		test(t, v)
		w.halt()
	})
}

// tell says something to the node and lets it think.
func (v *visited) tell(msgs ...[]byte) {
	for _, m := range msgs {
		v.engine.Handle(stranger, m)
	}
	synctest.Wait()
}

func (v *visited) work() *order.WorkStatus { return v.engine.Status().Work }

func (v *visited) blames() int {
	v.sim.mu.Lock()
	defer v.sim.mu.Unlock()
	return len(v.blamed)
}

// heardOf counts what the node said.
func (v *visited) heardOf(is func([]byte) bool) (n int) {
	v.heard.Lock()
	defer v.heard.Unlock()
	for _, m := range v.said {
		if is(m) {
			n++
		}
	}
	return n
}

const nobody = 1e-12

func now() uint64 { return uint64(time.Now().UnixMilli()) }

func TestGoodBlocksOfAStranger(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		a, b := v.forge.Make(now()-3000, nil), v.forge.Make(now()-1000, nil)
		v.tell(pow.TipFrame(b))
		require.Equal(t, 1, v.heardOf(pow.IsAsk), "its parent is unknown")
		require.Equal(t, 1, v.work().Orphans)
		v.tell(pow.HeadersFrame(a))
		require.Zero(t, v.work().Orphans)
		require.EqualValues(t, 2, v.work().Headers)
		require.Positive(t, v.heardOf(pow.IsWant))
		v.tell(pow.BlockFrame(b))
		require.Zero(t, v.work().Tip, "the block below is missing")
		v.tell(pow.BlockFrame(a))
		require.EqualValues(t, 2, v.work().Tip)
		require.Zero(t, v.blames())
	})
}

func TestFutureTimes(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		early := v.forge.Make(now()+4001, nil) // two intervals are allowed
		v.tell(pow.TipFrame(early), pow.BlockFrame(early))
		require.Zero(t, v.work().Headers)
		require.EqualValues(t, 2, v.work().Refused["future"])
		require.Zero(t, v.blames(), "clocks differ")
		time.Sleep(time.Millisecond)
		v.tell(pow.BlockFrame(early))
		require.EqualValues(t, 1, v.work().Tip)
		v.tell(pow.BlockFrame(v.forge.Fork().Make(1<<50, func(*chain.Decision, *pow.Header) {})))
		require.Equal(t, 1, v.blames(), "no clock is that wrong")
	})
}

func TestWrongDifficulty(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		for i, alter := range []func(*chain.Decision, *pow.Header){
			func(_ *chain.Decision, h *pow.Header) { h.Bits = 0x207fffff },
			func(_ *chain.Decision, h *pow.Header) { h.Bits = 0x2100ffff - 1<<24 }, // 0x2000ffff: easier than due
			func(_ *chain.Decision, h *pow.Header) { h.Work.AddUint64(&h.Work, 1) },
			func(_ *chain.Decision, h *pow.Header) { h.ParentTime++ },
			func(_ *chain.Decision, h *pow.Header) { h.Anchor-- },
			func(_ *chain.Decision, h *pow.Header) { h.Executed[0] = 1 },
			func(_ *chain.Decision, h *pow.Header) { h.Chain[0] ^= 1 },
		} {
			bad := v.forge.Make(now(), alter)
			v.tell(pow.BlockFrame(bad))
			require.Zero(t, v.work().Headers, "%d", i)
			require.Equal(t, i+1, v.blames(), "%d", i)
		}
	})
}

func TestBadBlocks(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		good := v.forge.Make(now(), nil)
		other := *good
		other.Coinbase = common.Address{5}
		v.tell(pow.BlockFrame(&other))
		require.Equal(t, 1, v.blames(), "a block that is not the header's")
		v.tell(pow.BlockFrame(good))
		require.EqualValues(t, 1, v.work().Tip, "the header is none the worse for it")
		for i, alter := range []func(*chain.Decision, *pow.Header){
			func(d *chain.Decision, _ *pow.Header) { d.Parent[0] ^= 1 },
			func(d *chain.Decision, _ *pow.Header) { d.TimeMillis++ },
			func(d *chain.Decision, _ *pow.Header) { d.Height++ },
			func(d *chain.Decision, _ *pow.Header) { d.Proposer, d.Coinbase = 7, common.Address{} },
			func(d *chain.Decision, _ *pow.Header) {
				for i := range 101 { // more than the genesis allows
					d.Txs = append(d.Txs, common.Hash{byte(i), 1})
				}
			},
		} {
			v.tell(pow.BlockFrame(v.forge.Make(now()+uint64(i), alter)))
			require.Equal(t, i+2, v.blames(), "%d", i)
			require.EqualValues(t, 1, v.work().Tip)
		}
		next := v.forge.Make(now()+100, nil)
		v.tell(pow.BlockFrame(next))
		require.EqualValues(t, 2, v.work().Tip, "the good one beside them counts")
	})
}

// TestOrphanFlood: headers without parents cost their sender work and this node a bounded list.
func TestOrphanFlood(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		v.forge.Make(now()-2000, nil)
		for peer := range order.PeerID(40) {
			for range 2 * pow.OrphansPerPeer {
				lost := v.forge.Make(now()-1000, func(_ *chain.Decision, h *pow.Header) {
					h.Parent[3], h.Parent[4], h.Extra = byte(rand.Int()), byte(peer), rand.Uint64()
				})
				v.engine.Handle(1000+peer, pow.TipFrame(lost))
			}
			synctest.Wait()
			require.LessOrEqual(t, v.work().Orphans, min(pow.MaxOrphans, int(peer+1)*pow.OrphansPerPeer))
		}
		require.Equal(t, pow.MaxOrphans, v.work().Orphans)
		require.Zero(t, v.work().Headers)
		time.Sleep(30 * time.Second)
		require.Zero(t, v.work().Orphans, "they do not wait for ever")
	})
}

// TestHeaderFlood: pages that nobody asked for are not even looked at; who sends a page of rubbish when asked is blamed at its first bad header.
func TestHeaderFlood(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		f := v.forge.Fork()
		var page []*chain.Decision
		for i := range uint64(20) {
			page = append(page, f.Make(now()-50_000+i*2000, nil))
		}
		v.tell(pow.HeadersFrame(page...))
		require.Zero(t, v.work().Headers)
		require.EqualValues(t, 1, v.work().Refused["unasked"])
		v.tell(pow.TipFrame(page[19]))
		require.Equal(t, 1, v.heardOf(pow.IsAsk))
		gap := append(append([]*chain.Decision(nil), page[:5]...), page[7:]...)
		v.tell(pow.HeadersFrame(gap...))
		require.EqualValues(t, 5, v.work().Headers, "up to the gap")
		require.Equal(t, 1, v.blames())
		v.tell(pow.HeadersFrame(page...))
		require.EqualValues(t, 2, v.work().Refused["unasked"], "one answer for one question")
	})
}

// TestWithheldBlocks: headers of more work whose blocks never come hold the chain up for a while and no longer; when the blocks come in time, they count.
func TestWithheldBlocks(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		v.solver.SetPower(512)
		f := v.forge.Fork()
		var hidden []*chain.Decision
		for i := range uint64(4) {
			hidden = append(hidden, f.Make(now()-4000+i*1000, nil))
		}
		for _, d := range hidden {
			v.tell(pow.TipFrame(d))
		}
		require.EqualValues(t, 4, v.work().Headers)
		v.eventually(func() bool { return v.work().Tip > 4 }, time.Minute, "own blocks")
		v.eventually(func() bool { return v.ledger.Height() > 10 }, 3*time.Minute, "what is had is delivered")
		require.Positive(t, v.heardOf(pow.IsWant))
	})
	visit(t, nobody, func(t *testing.T, v *visited) {
		f := v.forge.Fork()
		var hidden []*chain.Decision
		for i := range uint64(30) {
			hidden = append(hidden, f.Make(now()-60_000+i*2000, nil))
		}
		v.tell(pow.TipFrame(hidden[29]), pow.HeadersFrame(hidden...))
		require.EqualValues(t, 30, v.work().Headers)
		v.eventually(func() bool { return v.work().Refused["withheld"] > 0 }, 5*time.Minute, "its branch is passed over")
		synctest.Wait() // it is counted first, and passed over then
		require.Zero(t, v.work().Headers)
		v.solver.SetPower(512)
		v.eventually(func() bool { return v.work().Tip >= 3 }, 3*time.Minute, "and work goes on beside it")
		v.solver.SetPower(nobody)
		require.Zero(t, v.ledger.Height())
		for _, d := range hidden {
			v.tell(pow.BlockFrame(d))
		}
		require.EqualValues(t, 30, v.work().Tip, "it counts when it comes")
	})
}

func TestGarbage(t *testing.T) {
	visit(t, 512, func(t *testing.T, v *visited) {
		random := rand.New(rand.NewSource(3))
		for range 3000 {
			b := make([]byte, 1+random.Intn(400))
			random.Read(b)
			b[0] %= 7
			v.engine.Handle(stranger, b)
			v.engine.Handle(0, b)
			v.engine.Handle(stranger, nil)
			if random.Intn(50) == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		require.Positive(t, v.work().Refused["malformed"])
		before := v.work().Tip
		v.eventually(func() bool { return v.work().Tip > before+3 }, time.Minute, "it works on")
	})
}

// TestExternalMiner: work is given away, and what solves it is taken once.
func TestExternalMiner(t *testing.T) {
	visit(t, nobody, func(t *testing.T, v *visited) {
		ctx := context.Background()
		v.submit(0, 5)
		time.Sleep(5 * time.Second)
		tmpl, err := v.engine.Work()
		require.NoError(t, err)
		require.EqualValues(t, 1, tmpl.Height)
		require.Equal(t, 5, tmpl.Txs)
		h, err := pow.DecodeHeader(tmpl.Header)
		require.NoError(t, err)
		for h.Nonce = 0; pow.Solved(intl.Suite{}, h); h.Nonce++ {
		}
		require.ErrorIs(t, v.engine.Submit(ctx, tmpl.ID, 0, h.Nonce), pow.ErrNonce)
		for h.Extra = 7; !pow.Solved(intl.Suite{}, h); h.Nonce++ {
		}
		require.ErrorIs(t, v.engine.Submit(ctx, [32]byte{1}, 7, h.Nonce), pow.ErrStale)
		require.NoError(t, v.engine.Submit(ctx, tmpl.ID, 7, h.Nonce))
		require.EqualValues(t, 1, v.work().Tip)
		require.EqualValues(t, 1, v.work().Mined)
		require.ErrorIs(t, v.engine.Submit(ctx, tmpl.ID, 7, h.Nonce), pow.ErrStale, "once")
		next, err := v.engine.Work()
		require.NoError(t, err)
		require.EqualValues(t, 2, next.Height)
		require.Zero(t, next.Txs)

		require.NoError(t, v.engine.SetThreads(0))
		require.Zero(t, v.work().Mining)
		require.NoError(t, v.engine.SetThreads(3))
		require.Equal(t, 3, v.work().Mining)
		require.Error(t, v.engine.SetThreads(-1))
	})
	cfg := newWorld(t, 1, 1, nil).nodes[0].config()
	cfg.Coinbase, cfg.Threads = common.Address{}, 0
	e, err := pow.New(cfg)
	require.NoError(t, err)
	_, err = e.Work()
	require.ErrorIs(t, err, pow.ErrNoWork)
	require.ErrorIs(t, e.SetThreads(1), pow.ErrNoWork)
	cfg.Threads = 1
	_, err = pow.New(cfg)
	require.ErrorContains(t, err, "account")
}

// TestGrinder solves a block on this machine's processors.
func TestGrinder(t *testing.T) {
	w := newWorld(t, 1, 1, nil)
	n := w.nodes[0]
	cfg := n.config()
	cfg.Solver, cfg.Threads = nil, 2
	forge := pow.NewForge(cfg)
	d := forge.Make(now(), nil)
	h, err := pow.DecodeHeader(d.Proof)
	require.NoError(t, err)
	solver := pow.NewGrinder()
	extra, nonce, ok := solver.Solve(context.Background(), pow.Job{Suite: cfg.Suite, Header: *h, Threads: 2})
	require.True(t, ok)
	h.Extra, h.Nonce = extra, nonce
	require.True(t, pow.Solved(cfg.Suite, h))
	require.Positive(t, solver.Rate())
	h.Bits = 0x14008000 // nobody finds that
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, _, ok = solver.Solve(ctx, pow.Job{Suite: cfg.Suite, Header: *h, Threads: 2})
	require.False(t, ok)
}
