package catchup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestFetchFromSeveral(t *testing.T) {
	x := newHistory(t, "chain", 400, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.add(x, 400, 5*time.Millisecond)
		n.add(x, 390, time.Millisecond)
		n.add(x, 400, 20*time.Millisecond)
		me := n.add(x, 3, time.Millisecond)
		me.cfg.RangeBlocks = 32
		n.start()
		<-me.Behind()
		require.NoError(t, me.fetch(n.ctx, 0))
		require.NoError(t, me.holds(400))
		require.Len(t, me.asked, 3, "all were asked")
		require.Len(t, me.certified, 397)
		require.True(t, slices.IsSorted(me.certified))
		require.Empty(t, me.reports)
		require.Contains(t, me.log.String(), "caught up")
		require.NoError(t, me.fetch(n.ctx, 0), "there is nothing more")
	})
}

func TestFetchOfARange(t *testing.T) {
	x := newHistory(t, "chain", 60, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.add(x, 60, time.Millisecond)
		me := n.add(x, 3, time.Millisecond)
		require.NoError(t, me.fetch(n.ctx, 0), "nobody is known yet")
		n.start()
		require.NoError(t, me.fetch(n.ctx, 17))
		require.NoError(t, me.holds(17))
		require.NoError(t, me.fetch(n.ctx, 100), "as far as can be had")
		require.NoError(t, me.holds(60))
		for _, bad := range [][2]uint64{{0, 5}, {6, 5}, {1, maxHeight + 1}} {
			require.Error(t, me.Fetch(n.ctx, bad[0], bad[1], x.verify, me.deliver))
		}
	})
}

// TestFetchWaitsForALateStatus: who asks for a height knows that somebody has it.
func TestFetchWaitsForALateStatus(t *testing.T) {
	x := newHistory(t, "chain", 10, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		peer := n.add(x, 9, time.Millisecond)
		me := n.add(x, 9, time.Millisecond)
		n.start()
		n.running.Go(func() {
			time.Sleep(40 * time.Millisecond)
			peer.ledger.mu.Lock()
			peer.ledger.blocks, peer.ledger.height = x.blocks, 10
			peer.ledger.mu.Unlock()
			peer.SetHeight(10)
		})
		require.NoError(t, me.fetch(n.ctx, 10))
		require.NoError(t, me.holds(10))
		start := time.Now()
		require.NoError(t, me.fetch(n.ctx, 11))
		require.LessOrEqual(t, time.Since(start), lagWait+lookAgain, "not for ever")
		require.NoError(t, me.holds(10))
	})
}

// TestFetchResumes: after an error of deliver, as of a crash, nothing more is delivered, and another call goes on.
func TestFetchResumes(t *testing.T) {
	x := newHistory(t, "chain", 100, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.add(x, 100, time.Millisecond)
		me := n.add(x, 0, time.Millisecond)
		n.start()
		full := errors.New("disk full")
		err := me.Fetch(n.ctx, 1, 0, x.verify, func(ctx context.Context, d *chain.Decision, txs chain.Txs) error {
			if d.Height == 30 {
				return full
			}
			return me.deliver(ctx, d, txs)
		})
		require.ErrorIs(t, err, full)
		require.NoError(t, me.holds(29))
		ctx, cancel := context.WithCancel(n.ctx)
		err = me.Fetch(ctx, 30, 0, x.verify, func(ctx context.Context, d *chain.Decision, txs chain.Txs) error {
			if d.Height == 50 {
				cancel()
			}
			return me.deliver(ctx, d, txs)
		})
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, me.fetch(n.ctx, 0))
		require.NoError(t, me.holds(100))
		require.Empty(t, me.reports)
	})
}

// TestLargeBlocks: one that takes several answers.
func TestLargeBlocks(t *testing.T) {
	x := newHistory(t, "chain", 4, func(h int) (int, int) {
		if h == 2 {
			return 110, 100_000
		}
		return 1, 100
	})
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		peer := n.add(x, 4, time.Millisecond)
		me := n.add(x, 0, time.Millisecond)
		n.start()
		require.NoError(t, me.fetch(n.ctx, 0))
		require.NoError(t, me.holds(4))
		require.GreaterOrEqual(t, me.asked[peer.id], 4)
		require.Empty(t, me.reports)
	})
}

// TestPoolSavesVerification: what the pool holds is taken from there.
func TestPoolSavesVerification(t *testing.T) {
	x := newHistory(t, "chain", 8, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.add(x, 8, time.Millisecond)
		me := n.add(x, 0, time.Millisecond)
		own := x.blocks[2].txs[1]
		me.pool[own.Hash()] = own
		n.start()
		require.NoError(t, me.fetch(n.ctx, 0))
		require.Same(t, own, me.ledger.blocks[2].txs[1])
		require.NotSame(t, x.blocks[2].txs[0], me.ledger.blocks[2].txs[0])
	})
}

// TestBriefNearTheTip: who has the transactions of the last blocks by gossip does not get them again.
func TestBriefNearTheTip(t *testing.T) {
	x := newHistory(t, "chain", 40, func(int) (int, int) { return 3, 68 })
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		peer := n.add(x, 40, time.Millisecond)
		var mu sync.Mutex
		var kinds []byte
		peer.serve = func(ctx context.Context, req []byte) ([]byte, error) {
			mu.Lock()
			kinds = append(kinds, req[0])
			mu.Unlock()
			return peer.Serve(ctx, "x", req)
		}
		me := n.add(x, 36, 0)
		for _, b := range x.blocks[36:39] {
			for _, tx := range b.txs {
				me.pool[tx.Hash()] = tx
			}
		}
		n.start()
		require.NoError(t, me.fetch(n.ctx, 39))
		require.NoError(t, me.holds(39))
		require.Equal(t, []byte{kindBrief}, kinds)
		require.Same(t, x.blocks[38].txs[2], me.ledger.blocks[38].txs[2])
		require.Equal(t, []uint64{37, 38, 39}, me.certified)
		kinds = nil
		require.NoError(t, me.fetch(n.ctx, 0))
		require.NoError(t, me.holds(40))
		require.Equal(t, []byte{kindBrief, kindBlocks}, kinds, "what is not here comes whole")
		require.Empty(t, me.reports)
		kinds = nil
		far := n.add(x, 0, 0)
		far.Handle(peer.id, good(func(s *status) { s.Decided, s.Executed, s.Finalized = 40, 40, 40 }))
		require.NoError(t, far.fetch(n.ctx, 30))
		require.NoError(t, far.holds(30))
		require.NotContains(t, kinds, byte(kindBrief))
	})
}

// lieAt makes nd answer for its blocks with what change makes of them. change may alter the copies that it gets.
func (nd *node) lieAt(t testing.TB, change func(blocks []*block) []*block) {
	nd.serve = func(ctx context.Context, req []byte) ([]byte, error) {
		r, err := decodeRequest(req)
		if err != nil {
			return nil, err
		}
		var blocks []*block
		for h := r.height; h < r.height+uint64(r.count) && h <= uint64(nd.ledger.height); h++ {
			blocks = append(blocks, copyOf(nd.ledger.blocks[h-1]))
		}
		blocks = change(blocks)
		if r.kind == kindBrief {
			return encodeBrief(t, blocks...), nil
		}
		return encode(t, blocks...), nil
	}
}

// encodeBrief is the answer that brings decisions without transactions.
func encodeBrief(t testing.TB, blocks ...*block) (out []byte) {
	for _, b := range blocks {
		d := *b.decision
		d.Txs = b.txs.Hashes()
		var err error
		out, err = appendCertified(appendPart(out, d.Encode()), b.header, b.certificate)
		require.NoError(t, err)
	}
	return out
}

func copyOf(b *block) *block {
	d, h, c := *b.decision, *b.header, *b.certificate
	d.Txs, d.Proof = slices.Clone(d.Txs), slices.Clone(d.Proof)
	c.Attestations = slices.Clone(c.Attestations)
	for i := range c.Attestations {
		c.Attestations[i].Signature = slices.Clone(c.Attestations[i].Signature)
	}
	h.Extra = slices.Clone(h.Extra)
	return &block{decision: &d, txs: slices.Clone(b.txs), header: &h, certificate: &c}
}

// each alters every block.
func each(f func(b *block)) func([]*block) []*block {
	return func(blocks []*block) []*block {
		for _, b := range blocks {
			f(b)
		}
		return blocks
	}
}

// broken is tx with another signature, which nobody made.
func broken(t testing.TB, tx *chain.Tx) *chain.Tx {
	raw := slices.Clone(tx.Raw())
	raw[len(raw)-32] = 0xff // s is in the upper half
	out, err := chain.DecodeTx(raw)
	require.NoError(t, err)
	return out
}

// lies are ways to answer wrongly, with the least offence that a victim must report. The victim has another, honest peer.
func lies(t testing.TB, x, other *history) map[string]lieCase {
	raw := func(b []byte) func(*node) {
		return func(nd *node) { nd.serve = func(context.Context, []byte) ([]byte, error) { return b, nil } }
	}
	change := func(f func([]*block) []*block) func(*node) { return func(nd *node) { nd.lieAt(t, f) } }
	return map[string]lieCase{
		"altered decision": {change(each(func(b *block) { b.decision.TimeMillis++ })), attack},
		"altered decision, certificate left out": {change(each(func(b *block) {
			b.decision.TimeMillis++
			b.header, b.certificate = nil, nil
		})), attack},
		"altered proof": {change(each(func(b *block) {
			b.decision.Proof[0] ^= 1
			b.header, b.certificate = nil, nil
		})), misbehaviour},
		"altered transaction": {change(each(func(b *block) {
			if len(b.txs) > 0 {
				b.txs[0] = broken(t, b.txs[0])
			}
		})), attack},
		"transaction left out": {change(each(func(b *block) { b.txs = b.txs[:len(b.txs)/2] })), attack},
		"transaction twice": {change(each(func(b *block) {
			if len(b.txs) > 0 {
				b.txs = append(b.txs, b.txs[0])
			}
		})), attack},
		"altered header":        {change(each(func(b *block) { b.header.GasUsed++ })), attack},
		"header without extra":  {change(each(func(b *block) { b.header.Extra = nil })), attack},
		"header of another":     {change(each(func(b *block) { b.header = x.blocks[(b.decision.Height+1)%30].header })), attack},
		"altered certificate":   {change(each(func(b *block) { b.certificate.Attestations[1].Signature[5] ^= 1 })), misbehaviour},
		"certificate of others": {change(each(func(b *block) { b.certificate = other.blocks[b.decision.Height-1].certificate })), misbehaviour},
		"too few signatures":    {change(each(func(b *block) { b.certificate.Attestations = b.certificate.Attestations[:2] })), misbehaviour},
		"signatures twice": {change(each(func(b *block) {
			b.certificate.Attestations = append(b.certificate.Attestations[:2], b.certificate.Attestations[1])
		})), misbehaviour},
		"signed for another set": {change(each(func(b *block) {
			extra, err := chain.DecodeExtra(b.header.Extra)
			require.NoError(t, err)
			extra.Validators = (&chain.Rule{Engine: chain.BFT, Set: x.sets[1-set(b.decision.Height)]}).Hash(suite)
			b.header.Extra = extra.Encode()
			x.sign(t, b, 3)
		})), misbehaviour},
		"another chain": {change(func(blocks []*block) []*block {
			from := blocks[0].decision.Height
			return other.blocks[from-1 : from-1+uint64(len(blocks))]
		}), misbehaviour},
		"gap":         {change(func(blocks []*block) []*block { return slices.Delete(blocks, len(blocks)/2, len(blocks)/2+1) }), 0},
		"starts late": {change(func(blocks []*block) []*block { return blocks[1:] }), misbehaviour},
		"reordered": {change(func(blocks []*block) []*block {
			slices.Reverse(blocks)
			return blocks
		}), 0},
		"more than asked": {change(func(blocks []*block) []*block { return append(blocks, blocks...) }), misbehaviour},
		"empty":           {raw(nil), misbehaviour},
		"garbage":         {raw([]byte("garbage")), misbehaviour},
		"oversized":       {raw(make([]byte, MaxResponse+1)), misbehaviour},
		"many claimed":    {raw([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}), misbehaviour},
		"cut off": {func(nd *node) {
			nd.serve = func(ctx context.Context, req []byte) ([]byte, error) {
				b, err := nd.Serve(ctx, "x", req)
				return b[:len(b)-1], err
			}
		}, misbehaviour},
		"the rest never comes": {func(nd *node) {
			nd.serve = func(ctx context.Context, req []byte) ([]byte, error) {
				r, err := decodeRequest(req)
				if err != nil || r.kind == kindTxs {
					return nil, err
				}
				b := x.blocks[r.height-1]
				return partOf(t, b, len(b.txs)+1), nil
			}
		}, misbehaviour},
		"larger than the genesis allows": {func(nd *node) {
			big := tx(t, 1, 100_000).Raw()
			nd.serve = func(ctx context.Context, req []byte) ([]byte, error) {
				r, err := decodeRequest(req)
				if err != nil {
					return nil, err
				}
				if r.kind == kindBlocks {
					return partOf(t, x.blocks[r.height-1], 900), nil
				}
				var out []byte
				for len(out) < int(r.bytes) {
					out = appendPart(out, big)
				}
				return out, nil
			}
		}, misbehaviour},
		"silence": {func(nd *node) {
			nd.serve = func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, 0},
		"refusal": {func(nd *node) {
			nd.serve = func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no") }
		}, 0},
		"stops half-way": {func(nd *node) {
			var asked atomic.Int64
			nd.serve = func(ctx context.Context, req []byte) ([]byte, error) {
				if asked.Add(1) > 2 {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return nd.Serve(ctx, "x", req)
			}
		}, 0},
		"height 2^40": {func(nd *node) {
			nd.serve = func(ctx context.Context, req []byte) ([]byte, error) { return nd.Serve(ctx, "x", req) }
			nd.ledger.finalized = nd.ledger.height
			nd.first, nd.decided = 1, 1<<40
		}, 0},
	}
}

type lieCase struct {
	how     func(*node)
	offence int
}

// partOf is a block of which all transactions are there, claiming to have total.
func partOf(t testing.TB, b *block, total int) []byte {
	short := *b.decision
	short.Txs = nil
	out := appendPart(nil, short.Encode())
	require.Less(t, total, 0x4000)
	out = append(out, byte(total)|0x80, byte(total>>7))
	out = append(out, byte(len(b.txs)))
	for _, tx := range b.txs {
		out = appendPart(out, tx.Raw())
	}
	return append(out, 0, 0)
}

// TestLiars: whatever one peer does, the other brings the node home, and only the liar is reported.
func TestLiars(t *testing.T) {
	x, other := newHistory(t, "chain", 60, small), newHistory(t, "other", 60, small)
	for name, c := range lies(t, x, other) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				liar := n.add(x, 60, 0)
				honest := n.add(x, 60, 10*time.Millisecond)
				me := n.add(x, 3, time.Millisecond)
				me.cfg.RangeBlocks = 8
				c.how(liar)
				n.start()
				start := time.Now()
				for time.Since(start) < time.Minute && me.ledger.height < 60 {
					require.NoError(t, me.fetch(n.ctx, 0))
					time.Sleep(time.Second)
				}
				require.NoError(t, me.holds(60))
				require.NotZero(t, me.asked[liar.id], "the liar was asked at all")
				require.GreaterOrEqual(t, me.reported(liar), c.offence, me.why[liar.id])
				require.Zero(t, me.reported(honest), me.why[honest.id])
				if c.offence == attack {
					require.Zero(t, me.reported(liar)%attack, "reported as an attack: %s", me.why[liar.id])
				}
			})
		})
		t.Run(name+", alone", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				liar := n.add(x, 60, 0)
				me := n.add(x, 3, time.Millisecond)
				c.how(liar)
				n.start()
				start := time.Now()
				require.NoError(t, me.fetch(n.ctx, 0))
				require.Less(t, time.Since(start), time.Minute)
				require.NoError(t, me.holds(me.ledger.height), "what it took is right")
				asked := me.asked[liar.id]
				require.Less(t, asked, 40, "a liar is not asked for ever")
			})
		})
	}
}

// TestUnbelievableClaim: a peer that claims a height that it cannot serve is found out at once, and does not ring while it is ignored.
func TestUnbelievableClaim(t *testing.T) {
	x := newHistory(t, "chain", 20, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		liar := n.add(x, 20, 0)
		liar.decided = 1 << 40
		liar.serve = func(context.Context, []byte) ([]byte, error) { return nil, nil }
		n.add(x, 20, time.Millisecond)
		me := n.add(x, 20, 0)
		n.start()
		<-me.Behind()
		require.NoError(t, me.fetch(n.ctx, 0))
		require.LessOrEqual(t, me.asked[liar.id], me.cfg.PerPeer)
		require.Equal(t, misbehaviour, me.reported(liar))
		select {
		case <-me.Behind():
		default:
		}
		time.Sleep(10 * time.Second)
		select {
		case <-me.Behind():
			t.Fatal("it believes the liar")
		default:
		}
		states := me.States()
		require.Len(t, states, 2)
		require.Equal(t, liar.id, states[0].Peer)
		require.True(t, states[0].IgnoredUntil.After(time.Now()))
		require.Contains(t, states[0].Why, "claims")
		require.Zero(t, states[1].IgnoredUntil)
		time.Sleep(time.Minute)
		<-me.Behind() // after a while it gets another chance
		require.NoError(t, me.fetch(n.ctx, 0))
		require.Equal(t, 2*misbehaviour, me.reported(liar))
	})
}

// TestRefusals: a peer that refuses what it claims is asked ever less often, and reported in the end.
func TestRefusals(t *testing.T) {
	x := newHistory(t, "chain", 20, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		liar := n.add(x, 20, 0)
		liar.decided = 1 << 40
		me := n.add(x, 20, 0)
		n.start()
		for range 600 {
			require.NoError(t, me.fetch(n.ctx, 0))
			time.Sleep(time.Second)
		}
		require.Less(t, me.asked[liar.id], 60)
		require.NotZero(t, me.reported(liar))
		require.NoError(t, me.holds(20))
	})
}

// TestSlowPeer: delivery does not wait for the slow one longer than HedgeWait at a time.
func TestSlowPeer(t *testing.T) {
	x := newHistory(t, "chain", 200, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		slow := n.add(x, 200, 0)
		slow.serve = func(ctx context.Context, req []byte) ([]byte, error) {
			select {
			case <-time.After(5 * time.Second):
				return slow.Serve(ctx, "x", req)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		n.add(x, 200, time.Millisecond)
		me := n.add(x, 0, 0)
		me.cfg.RangeBlocks = 10
		n.start()
		start := time.Now()
		require.NoError(t, me.fetch(n.ctx, 0))
		require.NoError(t, me.holds(200))
		require.Less(t, time.Since(start), 4*time.Second)
		require.Empty(t, me.reports, "slowness is no offence")
	})
}

// TestPeerGoesAway in the middle of an answer.
func TestPeerGoesAway(t *testing.T) {
	x := newHistory(t, "chain", 200, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		first := n.add(x, 200, 20*time.Millisecond)
		n.add(x, 200, 30*time.Millisecond)
		me := n.add(x, 0, 0)
		me.cfg.RangeBlocks = 10
		n.start()
		n.running.Go(func() {
			time.Sleep(50 * time.Millisecond)
			n.mu.Lock()
			n.away[first.id] = true
			n.mu.Unlock()
			me.Changed(first.id, false)
		})
		require.NoError(t, me.fetch(n.ctx, 0))
		require.NoError(t, me.holds(200))
		require.Empty(t, me.reports)
	})
}

// TestLocalFailureIsNoPeersFault: validators that cannot be read end the fetch.
func TestLocalFailureIsNoPeersFault(t *testing.T) {
	x := newHistory(t, "chain", 20, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.add(x, 20, time.Millisecond)
		me := n.add(x, 3, 0)
		me.deps.Sets = noSets{}
		n.start()
		require.ErrorIs(t, me.fetch(n.ctx, 0), errNoSets)
		require.Empty(t, me.reports)
	})
}

var errNoSets = errors.New("disk error")

type noSets struct{}

func (noSets) At(context.Context, uint64) (*chain.Rule, error) { return nil, errNoSets }

// TestMemoryIsBounded: while delivery stands still, no more than Ranges are asked for.
func TestMemoryIsBounded(t *testing.T) {
	x := newHistory(t, "chain", 300, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		peer := n.add(x, 300, time.Millisecond)
		me := n.add(x, 0, 0)
		me.cfg.RangeBlocks = 2
		n.start()
		stand := make(chan struct{})
		n.running.Go(func() {
			time.Sleep(time.Minute)
			me.mu2(func() { require.LessOrEqual(t, me.asked[peer.id], me.cfg.Ranges+1) })
			close(stand)
		})
		require.NoError(t, me.Fetch(n.ctx, 1, 0, x.verify, func(ctx context.Context, d *chain.Decision, txs chain.Txs) error {
			<-stand
			return me.deliver(ctx, d, txs)
		}))
		require.NoError(t, me.holds(300))
	})
}

func (nd *node) mu2(f func()) {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	f()
}

// TestAnyMixOfPeers: with one honest peer among any number of liars of any kind, slow ones and ones that are behind, the node gets home.
func TestAnyMixOfPeers(t *testing.T) {
	const height = 50
	x, other := newHistory(t, "chain", height, small), newHistory(t, "other", height, small)
	cases := lies(t, x, other)
	var names []string
	for name := range cases {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom(append([]string{"honest", "behind"}, names...)), 0, 6).Draw(rt, "peers")
		at := rapid.IntRange(0, len(kinds)).Draw(rt, "honest")
		kinds = slices.Insert(kinds, at, "honest")
		delays := rapid.SliceOfN(rapid.IntRange(0, 200), len(kinds), len(kinds)).Draw(rt, "delays")
		from := rapid.IntRange(0, height-1).Draw(rt, "from")
		blocks := rapid.IntRange(1, 20).Draw(rt, "blocks")
		ranges := rapid.IntRange(1, 8).Draw(rt, "ranges")
		var failure error
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			var honest []*node
			for i, kind := range kinds {
				delay := time.Duration(delays[i]) * time.Millisecond
				switch kind {
				case "honest":
					honest = append(honest, n.add(x, height, delay))
				case "behind":
					honest = append(honest, n.add(x, height/2, delay))
				default:
					cases[kind].how(n.add(x, height, delay))
				}
			}
			me := n.add(x, from, 0)
			me.cfg.RangeBlocks, me.cfg.Ranges = blocks, ranges
			n.start()
			for start := time.Now(); time.Since(start) < 3*time.Minute && me.ledger.height < height; {
				if err := me.fetch(n.ctx, 0); err != nil {
					failure = err
					return
				}
				time.Sleep(time.Second)
			}
			if failure = me.holds(height); failure != nil {
				return
			}
			for _, nd := range honest {
				if me.reported(nd) > 0 {
					failure = fmt.Errorf("honest %s was reported: %s", nd.id, me.why[nd.id])
				}
			}
		})
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

// TestPoolWithUnverifiedIsNotTrusted: only what is verified saves verification.
func TestPoolWithUnverifiedIsNotTrusted(t *testing.T) {
	x := newHistory(t, "chain", 3, small)
	b := x.blocks[2]
	unverified, err := chain.DecodeTx(b.txs[0].Raw())
	require.NoError(t, err)
	c := &CatchUp{deps: Deps{Pool: held{unverified.Hash(): unverified}, Suite: suite}, verifier: chain.NewVerifier(x.genesis)}
	got := &block{decision: &chain.Decision{Height: 3, Proposer: 1}, raws: [][]byte{b.txs[0].Raw()}}
	require.NoError(t, c.decode(context.Background(), []*block{got}))
	require.True(t, got.txs[0].Verified())
	require.NotSame(t, unverified, got.txs[0])
	require.Equal(t, []common.Hash{unverified.Hash()}, got.decision.Txs)
}
