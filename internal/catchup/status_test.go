package catchup

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestStatusGolden(t *testing.T) {
	s := &status{First: 1, Decided: 4, Executed: 3, Finalized: 2, Clock: 0x10, Echo: 0x20, Held: 0x30}
	want := []byte{1}
	for _, v := range []byte{1, 4, 3, 2, 0x10, 0x20, 0x30} {
		want = append(want, 0, 0, 0, 0, 0, 0, 0, v)
	}
	require.Equal(t, want, s.encode())
	back, err := decodeStatus(want)
	require.NoError(t, err)
	require.Equal(t, s, back)
	r := &request{kind: kindBlocks, height: 7, count: 3, bytes: leastAsk}
	require.Equal(t, []byte{1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3, 0, 1, 0, 0}, r.encode())
}

// good is a status that holds.
func good(change func(*status)) []byte {
	s := &status{First: 1, Decided: 30, Executed: 20, Finalized: 10, Clock: 5}
	if change != nil {
		change(s)
	}
	return s.encode()
}

func TestBadStatus(t *testing.T) {
	x := newHistory(t, "chain", 3, small)
	for name, msg := range map[string][]byte{
		"empty": nil, "short": good(nil)[1:], "long": append(good(nil), 0), "version": append([]byte{9}, good(nil)[1:]...),
		"executed beyond decided":   good(func(s *status) { s.Executed = 31 }),
		"finalized beyond executed": good(func(s *status) { s.Finalized = 21 }),
		"beyond the last height":    good(func(s *status) { s.Decided = 1<<60 + 1 }),
		"first is the genesis":      good(func(s *status) { s.First = 0 }),
		"first beyond the last":     good(func(s *status) { s.First = 32 }),
		"clock":                     good(func(s *status) { s.Clock = 1 << 51 }),
		"echo":                      good(func(s *status) { s.Echo = 1 << 51 }),
		"held":                      good(func(s *status) { s.Held = 1 << 63 }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				peer, me := n.add(x, 3, 0), n.add(x, 0, 0)
				me.Handle(peer.id, msg)
				require.Equal(t, misbehaviour, me.reported(peer))
				require.Empty(t, me.States())
				n.start()
				require.NoError(t, me.fetch(n.ctx, 0))
				require.NoError(t, me.holds(3), "the others' good ones count")
			})
		})
	}
}

// TestStatusFlood: what is too much is dropped and counted; an honest rate is heard whole.
func TestStatusFlood(t *testing.T) {
	x := newHistory(t, "chain", 1, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		peer, me := n.add(x, 1, 0), n.add(x, 0, 0)
		for i := range 10_000 {
			me.Handle(peer.id, good(func(s *status) { s.Decided = 100 + uint64(i) }))
		}
		require.Equal(t, 10_000-statusBurst, me.reported(peer))
		require.EqualValues(t, 100+statusBurst-1, me.States()[0].Decided)
		time.Sleep(5 * time.Second)
		for i := range 200 {
			time.Sleep(DefaultConfig().StatusLeast)
			me.Handle(peer.id, good(func(s *status) { s.Decided = 500 + uint64(i) }))
		}
		require.Equal(t, 10_000-statusBurst, me.reported(peer))
		require.EqualValues(t, 699, me.States()[0].Decided)
		for i := range 3 * maxPeers {
			me.Handle(chain.Peer(fmt.Sprint("ghost", i)), good(nil))
		}
		require.Len(t, me.States(), maxPeers)
		time.Sleep(time.Minute)
		me.tell()
		require.Len(t, me.States(), 1, "who is not connected is forgotten")
	})
}

// TestClockOffset: a clock that is ahead, over a slow link, is measured within half the round trip.
func TestClockOffset(t *testing.T) {
	x := newHistory(t, "chain", 1, small)
	for _, ahead := range []time.Duration{-time.Hour, -70 * time.Millisecond, 0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			peer, me := n.add(x, 1, 20*time.Millisecond), n.add(x, 1, 15*time.Millisecond)
			peer.clock = ahead
			n.start()
			time.Sleep(10 * time.Second)
			s := me.States()
			require.Len(t, s, 1)
			require.Equal(t, peer.id, s[0].Peer)
			require.Equal(t, 70*time.Millisecond, s[0].RoundTrip)
			require.InDelta(t, ahead, s[0].ClockOffset, float64(2*time.Millisecond))
			require.InDelta(t, -ahead, peer.States()[0].ClockOffset, float64(2*time.Millisecond))
			require.Less(t, time.Since(s[0].Heard), 2*time.Second+50*time.Millisecond)
			require.Empty(t, me.reports)
		})
	}
}

// TestEchoesAreNotTrusted: nonsense changes no measurement.
func TestEchoesAreNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		now := time.Now()
		clock := now.UnixMilli()
		for _, s := range []*status{{Clock: 5, Echo: uint64(clock) + 1}, {Clock: 5, Echo: 1}, {Clock: 5, Echo: uint64(clock), Held: 1 << 40}} {
			p.measure(s, clock, now)
			require.Zero(t, p.measured)
		}
		p.measure(&status{Clock: uint64(clock) + 1000, Echo: uint64(clock) - 100, Held: 50}, clock, now)
		require.Equal(t, 50*time.Millisecond, p.roundTrip)
		require.Equal(t, 1025*time.Millisecond, p.offset)
		p.measure(&status{Clock: uint64(clock), Echo: uint64(clock) - 400, Held: 50}, clock, now)
		require.Equal(t, 50*time.Millisecond, p.roundTrip, "a longer trip tells less")
	})
}

// TestStatusIsTold at most every StatusLeast and at least every StatusMost.
func TestStatusIsTold(t *testing.T) {
	x := newHistory(t, "chain", 1, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		fast := n.add(x, 0, 0)
		n.nodes = n.nodes[:1]
		silent := &counter{node: fast}
		fast.deps.Network = silent
		n.start()
		silent.sent.Store(0)
		for h := range 1000 {
			fast.SetHeight(uint64(h))
			fast.SetExecuted(uint64(h))
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		require.InDelta(t, 20, silent.sent.Load(), 1)
		time.Sleep(time.Second)
		silent.sent.Store(0)
		time.Sleep(20 * time.Second)
		require.EqualValues(t, 10, silent.sent.Load(), "quiet nodes are heard of too")
	})
}

// counter is a network of one silent peer.
type counter struct {
	*node
	sent atomic.Int64
}

func (c *counter) Connected() []chain.Peer              { return []chain.Peer{"silent"} }
func (c *counter) Send(chain.Peer, string, []byte) bool { c.sent.Add(1); return true }

func TestServe(t *testing.T) {
	x := newHistory(t, "chain", 20, small)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		nd := n.add(x, 20, 0)
		nd.ledger.finalized = 12
		nd.SetHeight(18) // 19 and 20 are not durable yet
		ask := func(r request) ([]*block, error) {
			b, err := nd.Serve(context.Background(), "x", r.encode())
			if err != nil {
				return nil, err
			}
			return decodeBlocks(b, r.height, int(r.count))
		}
		got, err := ask(request{kindBlocks, 5, 100, leastAsk})
		require.NoError(t, err)
		require.Len(t, got, 14)
		for i, b := range got {
			want := x.blocks[4+i]
			require.Equal(t, want.decision.Proof, b.decision.Proof)
			require.Len(t, b.raws, len(want.txs))
			require.Equal(t, b.decision.Height <= 12, b.certificate != nil)
			require.Equal(t, b.decision.Height <= 12, b.header != nil)
		}
		for _, h := range []uint64{19, 20, 21, 1 << 40} {
			got, err := ask(request{kindBlocks, h, 10, leastAsk})
			require.NoError(t, err)
			require.Empty(t, got)
		}
		nd.SetFirst(6)
		got, err = ask(request{kindBlocks, 5, 10, leastAsk})
		require.NoError(t, err)
		require.Empty(t, got)
		require.Zero(t, nd.reported(&node{id: "x"}))
		bad := 0
		for _, r := range [][]byte{nil, {1}, (&request{9, 1, 1, leastAsk}).encode(), (&request{kindBlocks, 0, 1, leastAsk}).encode(),
			(&request{kindBlocks, 1, 0, leastAsk}).encode(), (&request{kindBlocks, 1, maxBlocks + 1, leastAsk}).encode(),
			(&request{kindBlocks, 1, 1, 0}).encode(), (&request{kindBlocks, 1, 1, maxAsk + 1}).encode(),
			(&request{kindTxs, 1, chain.MaxDecisionTxs + 1, leastAsk}).encode()} {
			_, err := nd.Serve(context.Background(), "x", r)
			require.ErrorIs(t, err, errWire)
			bad += misbehaviour
			require.Equal(t, bad, nd.reported(&node{id: "x"}))
		}
		_, err = nd.Serve(context.Background(), "x", (&request{kindTxs, 7, 99, leastAsk}).encode())
		require.Error(t, err)
	})
}

// TestServingIsPaced: who asks without end is served at a bounded rate, and others are served as ever.
func TestServingIsPaced(t *testing.T) {
	x := newHistory(t, "chain", 1, func(int) (int, int) { return 10, 100_000 })
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		nd := n.add(x, 1, 0)
		for name, r := range map[string]request{"blocks": {kindBlocks, 1, 1, maxAsk}, "transactions": {kindTxs, 1, 9, leastAsk}} {
			start := time.Now()
			for range 200 { // 200 MB, or as much to read
				_, err := nd.Serve(n.ctx, chain.Peer(name), r.encode())
				require.NoError(t, err)
			}
			require.InDelta(t, (200e6-serveBurst)/serveRate, time.Since(start).Seconds(), 1)
			start = time.Now()
			_, err := nd.Serve(n.ctx, chain.Peer("another after "+name), r.encode())
			require.NoError(t, err)
			require.Zero(t, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(n.ctx, time.Millisecond)
		defer cancel()
		for {
			if _, err := nd.Serve(ctx, "blocks", (&request{kindBlocks, 1, 1, maxAsk}).encode()); err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				break
			}
		}
	})
}

// TestServeKeepsToTheBytes: an answer ends soon after what was asked for.
func TestServeKeepsToTheBytes(t *testing.T) {
	x := newHistory(t, "chain", 6, func(int) (int, int) { return 3, 30_000 })
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		nd := n.add(x, 6, 0)
		b, err := nd.Serve(context.Background(), "x", (&request{kindBlocks, 1, 6, 100_000}).encode())
		require.NoError(t, err)
		got, err := decodeBlocks(b, 1, 6)
		require.NoError(t, err)
		require.Len(t, got, 1, "the second would be in part")
		b, err = nd.Serve(context.Background(), "x", (&request{kindBlocks, 1, 6, leastAsk}).encode())
		require.NoError(t, err)
		got, err = decodeBlocks(b, 1, 6)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Len(t, got[0].raws, 3, "the transaction that crosses the limit is the last")
	})
}

func TestConfigNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"range_bytes": func(c *Config) { c.RangeBytes = 0 }, "range_blocks": func(c *Config) { c.RangeBlocks = 0 }, "ranges": func(c *Config) { c.Ranges = 0 },
		"per_peer": func(c *Config) { c.PerPeer = 0 }, "request_wait": func(c *Config) { c.RequestWait = 0 }, "hedge_wait": func(c *Config) { c.HedgeWait = 0 },
		"ignore_wait": func(c *Config) { c.IgnoreWait = 0 }, "status_least": func(c *Config) { c.StatusMost = 1 },
	} {
		cfg := DefaultConfig()
		require.NoError(t, cfg.Validate())
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), field)
		_, err := New(cfg, Deps{})
		require.Error(t, err)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(good(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeStatus(b); err == nil {
			require.Equal(t, b, s.encode())
		}
		if r, err := decodeRequest(b); err == nil {
			require.Equal(t, b, r.encode())
		}
	})
}

func FuzzBlocks(f *testing.F) {
	x := newHistory(f, "chain", 6, small)
	f.Add(encode(f, x.blocks...))
	f.Add(encode(f, x.blocks[2]))
	f.Add(partOf(f, x.blocks[0], 900))
	f.Add(encodeBrief(f, x.blocks...))
	f.Add([]byte{})
	c := &CatchUp{cfg: DefaultConfig(), deps: Deps{Pool: held{}, Suite: suite, Genesis: x.genesis}, verifier: chain.NewVerifier(x.genesis)}
	f.Fuzz(func(t *testing.T, b []byte) {
		if raws, err := decodeTxs(b, 10); err == nil {
			require.LessOrEqual(t, len(raws), 10)
		}
		if blocks, err := decodeBrief(b, 1, 6); err == nil {
			for _, x := range blocks {
				x.hash = x.decision.Hash(suite)
				_ = c.check(x)
			}
		} else {
			require.ErrorIs(t, err, errWire)
		}
		blocks, err := decodeBlocks(b, 1, 6)
		if err != nil {
			require.ErrorIs(t, err, errWire)
			return
		}
		again := bytes.Clone(b)
		if err := c.decode(context.Background(), blocks); err == nil {
			for _, x := range blocks {
				_ = c.check(x) // whatever it says, it returns
			}
		}
		require.Equal(t, again, b, "the answer is not altered")
	})
}
