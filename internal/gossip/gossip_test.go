package gossip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// batch makes n transactions from number at on.
func batch(t testing.TB, at, n int) (raws [][]byte) {
	for i := range n {
		raws = append(raws, signed(t, at+i, 77))
	}
	return raws
}

// TestFullMeshTraffic holds gossip to its budget: 1.3 × size × (n−1) for each transaction.
func TestFullMeshTraffic(t *testing.T) {
	for _, n := range []int{2, 4, 7} {
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, n, nil).full(3 * time.Millisecond)
			m.reset()
			raws := batch(t, 0, 300)
			size := 0
			for i, raw := range raws {
				m.submit(i%n, raw)
				size += len(raw)
				time.Sleep(time.Duration(i%7) * 300 * time.Microsecond)
			}
			m.settle()
			require.Empty(t, m.lacking(raws))
			for h, times := range m.carried {
				require.Equal(t, n-1, times, "%s crosses one link per other node", h)
			}
			require.LessOrEqual(t, float64(m.sent), 1.05*float64(size*(n-1)))
			for _, nd := range m.nodes {
				require.Zero(t, nd.Stats().Relayed)
				require.Empty(t, nd.reports)
			}
		})
	}
}

// TestBatching shows that a lone transaction waits for nothing and that a burst shares messages.
func TestBatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(0)
		m.reset()
		raws := batch(t, 0, 600)
		m.submit(0, raws[0])
		synctest.Wait()
		require.Empty(t, m.lacking(raws[:1]), "no time has passed")
		require.Equal(t, 1, m.batches())
		for _, raw := range raws[1:10] {
			m.submit(0, raw)
			synctest.Wait()
		}
		require.Equal(t, 1, m.batches(), "the next ones wait for each other")
		time.Sleep(DefaultConfig().BatchWait)
		synctest.Wait()
		require.Equal(t, 2, m.batches())
		require.Empty(t, m.lacking(raws[:10]))
		m.submit(0, raws[10:]...)
		time.Sleep(DefaultConfig().BatchWait)
		synctest.Wait()
		require.Empty(t, m.lacking(raws))
		size := len(raws[0]) * 590
		require.LessOrEqual(t, m.batches(), 2+size/DefaultConfig().BatchBytes+1)
		require.GreaterOrEqual(t, m.batches(), 2+size/(DefaultConfig().BatchBytes+chain.MaxTxSize))
	})
}

// TestBatchesGrowUnderLoad: a steady stream waits longer, to a bound, so that messages are few; when it is over, a lone transaction goes at once.
func TestBatchesGrowUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(0)
		m.reset()
		raws := batch(t, 0, 501)
		for _, raw := range raws[:500] {
			m.submit(0, raw)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		most := int(500 * time.Millisecond / DefaultConfig().BatchWaitMax)
		require.InDelta(t, most, m.batches(), 5)
		time.Sleep(20 * time.Millisecond)
		m.submit(0, raws[500])
		synctest.Wait()
		require.Empty(t, m.lacking(raws))
	})
}

// graph is a connected graph of n nodes.
func graph(rt *rapid.T) (n int, edges [][2]int) {
	n = rapid.IntRange(2, 9).Draw(rt, "nodes")
	switch rapid.SampledFrom([]string{"ring", "star", "line", "random"}).Draw(rt, "shape") {
	case "ring":
		for i := range n {
			if i > 0 || n > 2 {
				edges = append(edges, [2]int{i, (i + 1) % n})
			}
		}
		if n == 2 {
			edges = [][2]int{{0, 1}}
		}
	case "star":
		for i := 1; i < n; i++ {
			edges = append(edges, [2]int{0, i})
		}
	case "line":
		for i := 1; i < n; i++ {
			edges = append(edges, [2]int{i - 1, i})
		}
	default:
		for i := 1; i < n; i++ {
			tree := rapid.IntRange(0, i-1).Draw(rt, "tree")
			for j := range i {
				if j == tree || rapid.Bool().Draw(rt, "edge") {
					edges = append(edges, [2]int{j, i})
				}
			}
		}
	}
	return n, edges
}

// step is what happens at a moment of a schedule.
type step struct {
	after time.Duration
	at    int
	edge  int // −1: node at submits the next transaction; else the edge goes or comes back
}

func steps(rt *rapid.T, n, edges int, cuts bool) (out []step) {
	for range rapid.IntRange(1, 30).Draw(rt, "steps") {
		s := step{after: time.Duration(rapid.IntRange(0, 40).Draw(rt, "after")) * time.Millisecond, at: rapid.IntRange(0, n-1).Draw(rt, "at"), edge: -1}
		if cuts && rapid.IntRange(0, 2).Draw(rt, "cut") == 0 {
			s.edge = rapid.IntRange(0, edges-1).Draw(rt, "which")
		}
		out = append(out, s)
	}
	return out
}

// TestEveryNodeOfAConnectedGraphHears runs transactions through rings, stars, lines and random graphs; nothing but the links carries them there.
func TestEveryNodeOfAConnectedGraphHears(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, edges := graph(rt)
		delays := rapid.SliceOfN(rapid.IntRange(0, 30), len(edges), len(edges)).Draw(rt, "delays")
		schedule := steps(rt, n, len(edges), false)
		var lacking []string
		var compared uint64
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, n, nil)
			for i, e := range edges {
				m.connect(e[0], e[1], time.Duration(delays[i])*time.Millisecond)
			}
			m.settle()
			before := m.comparisons()
			raws := batch(t, 0, len(schedule))
			for i, s := range schedule {
				time.Sleep(s.after)
				m.submit(s.at, raws[i])
			}
			time.Sleep(400 * time.Millisecond) // nine hops of 30 ms and the waits for batches
			synctest.Wait()
			lacking = m.lacking(raws)
			compared = m.comparisons() - before
		})
		if len(lacking) > 0 || compared > 0 {
			rt.Fatalf("%v; %d comparisons", lacking, compared)
		}
	})
}

func (m *mesh) comparisons() (n uint64) {
	for _, nd := range m.nodes {
		n += nd.Stats().Comparisons
	}
	return n
}

// TestBreakingLinksLoseNothing cuts and restores links while transactions run, with messages lost for want of room; when all are back, every node has
// every transaction.
func TestBreakingLinksLoseNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, edges := graph(rt)
		delays := rapid.SliceOfN(rapid.IntRange(0, 30), len(edges), len(edges)).Draw(rt, "delays")
		schedule := steps(rt, n, len(edges), true)
		losses := rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(rt, "losses")
		restore := rapid.Bool().Draw(rt, "restore")
		var lacking []string
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, n, nil)
			m.lose = func(chain.Peer, chain.Peer, []byte) bool {
				if len(losses) == 0 {
					return false
				}
				lost := losses[0]
				losses = losses[1:]
				return lost
			}
			toggle := func(i int) {
				e := edges[i]
				if m.linked(e[0], e[1]) {
					m.part(e[0], e[1])
				} else {
					m.connect(e[0], e[1], time.Duration(delays[i])*time.Millisecond)
				}
			}
			for i := range edges {
				toggle(i)
			}
			raws := batch(t, 0, len(schedule))
			for i, s := range schedule {
				time.Sleep(s.after)
				if s.edge >= 0 {
					toggle(s.edge)
				}
				m.submit(s.at, raws[i])
			}
			connected := m.connected()
			for i, e := range edges {
				if (restore || !connected) && !m.linked(e[0], e[1]) {
					toggle(i)
				}
			}
			time.Sleep(30 * time.Second)
			synctest.Wait()
			lacking = m.lacking(raws)
		})
		if len(lacking) > 0 {
			rt.Fatalf("%v", lacking)
		}
	})
}

// connected tells whether there is a path between all nodes.
func (m *mesh) connected() bool {
	seen := map[int]bool{0: true}
	for todo := []int{0}; len(todo) > 0; {
		i := todo[0]
		todo = todo[1:]
		for j := range m.nodes {
			if i != j && !seen[j] && m.linked(i, j) {
				seen[j] = true
				todo = append(todo, j)
			}
		}
	}
	return len(seen) == len(m.nodes)
}

// TestQueueToThePoolOverflows drops what a peer sends too fast, and gets it by comparison.
func TestQueueToThePoolOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, func(i int, c *Config) {
			if i == 1 {
				c.QueueBytes = MaxMessage
			}
		}).full(time.Millisecond)
		stuck := make(chan struct{})
		m.nodes[1].pool.stuck = stuck
		raws := batch(t, 0, 4000)
		m.submit(0, raws...)
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotZero(t, m.nodes[1].Stats().DroppedBatches)
		require.LessOrEqual(t, m.nodes[1].peers[m.nodes[0].id].queued, MaxMessage)
		close(stuck)
		m.settle()
		require.Empty(t, m.lacking(raws))
		require.Empty(t, m.nodes[1].reports, "a full queue is nobody's fault")
	})
}

// TestFullPoolAsksAgain: what found no room comes when there is some.
func TestFullPoolAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(time.Millisecond)
		small := m.nodes[1].pool
		small.mu.Lock()
		small.room = 10
		small.mu.Unlock()
		raws := batch(t, 0, 1500)
		m.submit(0, raws...)
		m.settle()
		require.Len(t, small.Waiting(2000), 10)
		before := m.nodes[1].Stats()
		require.NotZero(t, before.NoRoom)
		time.Sleep(2 * time.Minute)
		require.LessOrEqual(t, m.nodes[1].Stats().Comparisons-before.Comparisons, uint64(10), "it asks ever less often")
		small.mu.Lock()
		small.room = 10_000
		small.mu.Unlock()
		time.Sleep(DefaultConfig().CompareWaitMax + time.Second)
		synctest.Wait()
		require.Empty(t, m.lacking(raws))
		require.Empty(t, m.nodes[1].reports)
	})
}

// TestNewNodeGetsThePool: more than one page of hashes, more than one request of transactions.
func TestNewNodeGetsThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 3, nil)
		raws := batch(t, 0, listPage+maxAsk+7)
		m.submit(0, raws...)
		m.settle()
		m.connect(0, 1, time.Millisecond)
		m.connect(1, 2, time.Millisecond)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Empty(t, m.lacking(raws))
		require.EqualValues(t, len(raws), m.nodes[1].Stats().Fetched)
		require.Equal(t, m.nodes[0].pool.Waiting(maxList), m.nodes[1].pool.Waiting(maxList), "in the order in which they will be proposed")
	})
}

// TestLostSubscriptionIsMadeUpFor: the pool was faster than the sender.
func TestLostSubscriptionIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 3, nil).full(time.Millisecond)
		raws := batch(t, 0, 20)
		m.nodes[0].pool.lose(false)
		m.submit(0, raws[:10]...)
		m.settle()
		require.Empty(t, m.lacking(raws[:10]))
		m.submit(0, raws[10:]...)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, m.lacking(raws), "and what comes after is sent as ever")
		m.nodes[0].pool.lose(true)
		m.settle() // a pool that has ended is asked again at a bounded rate: time could not pass otherwise
	})
}

// TestBadMessages: each is reported, none stops the others.
func TestBadMessages(t *testing.T) {
	good := signed(t, 1, 77)
	txs := func(raws ...[]byte) []byte {
		b := []byte{kindTxs}
		for _, raw := range raws {
			b = appendTx(b, raw)
		}
		return b
	}
	badSig := append([]byte(nil), good...)
	badSig[len(badSig)-32] = 0xff // s is in the upper half
	many := []byte{kindTxs}
	for range maxBatchTxs + 1 {
		many = append(many, 1, 0xc0)
	}
	links := []byte{kindLinks}
	for i := range maxLinks + 1 {
		links = append(links, 4, byte(i>>24), byte(i>>16), byte(i>>8), byte(i))
	}
	for name, c := range map[string]struct {
		msg     []byte
		offence int
	}{
		"nothing":                 {nil, misbehaviour},
		"oversized":               {make([]byte, MaxMessage+1), misbehaviour},
		"unknown kind":            {[]byte{99}, misbehaviour},
		"truncated batch":         {txs(good)[:50], misbehaviour},
		"length that overflows":   {append([]byte{kindTxs}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), misbehaviour},
		"oversized transaction":   {append([]byte{kindTxs}, binary.AppendUvarint(nil, chain.MaxTxSize+1)...), misbehaviour},
		"empty transaction":       {txs(nil), misbehaviour},
		"too many transactions":   {many, misbehaviour},
		"garbage for transaction": {txs([]byte("garbage")), misbehaviour},
		"blob transaction":        {txs([]byte{3, 0xc0}), misbehaviour},
		"wrong signature":         {txs(badSig), misbehaviour},
		"another chain's":         {txs(signed(t, 1, 78)), misbehaviour},
		"links cut off":           {[]byte{kindLinks, 5, 'a'}, misbehaviour},
		"empty link":              {[]byte{kindLinks, 0}, misbehaviour},
		"too many links":          {links, misbehaviour},
		"the same transaction":    {txs(good, good), 0},
		"a good one":              {txs(good), 0},
		"no transactions":         {txs(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMesh(t, 3, nil).full(time.Millisecond)
				bad := m.nodes[0]
				m.nodes[1].Handle(bad.id, c.msg)
				m.settle()
				require.Equal(t, c.offence, m.nodes[1].reported(bad.id))
				raw := signed(t, 5, 77)
				m.submit(2, raw)
				m.settle()
				require.Empty(t, m.lacking([][]byte{raw}), "all goes on")
			})
		})
	}
}

// TestFloods are slowed or counted and cost bounded memory.
func TestFloods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(time.Millisecond)
		for range 1000 {
			m.nodes[1].Handle(m.nodes[0].id, encodeLinks(nil))
			m.nodes[1].Handle(m.nodes[0].id, []byte{kindLacks})
		}
		m.settle()
		require.GreaterOrEqual(t, m.nodes[1].reported(m.nodes[0].id), 900)
		require.LessOrEqual(t, m.nodes[1].Stats().Comparisons, uint64(6))
		for i := range 3 * maxPeers {
			m.nodes[1].Handle(chain.Peer(fmt.Sprint("ghost", i)), encodeLinks(nil))
		}
		require.LessOrEqual(t, len(m.nodes[1].peers), maxPeers)
		time.Sleep(2 * time.Minute)
		m.nodes[1].Changed("another", true)
		require.Len(t, m.nodes[1].peers, 2, "who was never connected is forgotten")
	})
}

func TestServeRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(0)
		for name, req := range map[string][]byte{
			"empty": nil, "unknown kind": {9}, "half a hash": append([]byte{kindTxs}, make([]byte, 33)...),
			"too many hashes": append([]byte{kindTxs}, make([]byte, (maxAsk+1)*32)...), "list cut off": {kindList, 1},
			"list of far away": append([]byte{kindList}, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff),
		} {
			before := m.nodes[0].reported("x")
			_, err := m.nodes[0].Serve(m.ctx, "x", req)
			require.ErrorIs(t, err, errWire, name)
			require.Equal(t, before+misbehaviour, m.nodes[0].reported("x"), name)
		}
		_, err := m.nodes[0].Serve(m.ctx, "y", encodeListRequest(99, 0))
		require.ErrorIs(t, err, errSnapshot)
		require.Zero(t, m.nodes[0].reported("y"), "a list may have been forgotten")
	})
}

// TestLookupsArePaced: who asks for what nobody has is answered at a bounded rate.
func TestLookupsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(0)
		req := appendHashes([]byte{kindTxs}, make([]common.Hash, maxAsk))
		start := time.Now()
		for range 400 {
			_, err := m.nodes[0].Serve(m.ctx, "x", req)
			require.NoError(t, err)
		}
		require.InDelta(t, (400*maxAsk-lookupBurst)/lookupRate, time.Since(start).Seconds(), 1)
		start = time.Now()
		_, err := m.nodes[0].Serve(m.ctx, "y", req)
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		ctx, cancel := context.WithTimeout(m.ctx, time.Millisecond)
		defer cancel()
		_, err = m.nodes[0].Serve(ctx, "x", req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestServeBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil)
		var hashes []common.Hash
		for i := range 40 { // 40 × 100 KB from the ledger
			raw := signedData(t, i, 100_000)
			tx, err := chain.DecodeTx(raw)
			require.NoError(t, err)
			m.nodes[0].blocks[tx.Hash()] = tx
			hashes = append(hashes, tx.Hash())
		}
		hashes = append([]common.Hash{{1}}, hashes...)
		b, err := m.nodes[0].Serve(m.ctx, "x", appendHashes([]byte{kindTxs}, hashes))
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), MaxResponse)
		raws, err := decodeTxs(b, len(hashes), true)
		require.NoError(t, err)
		require.Empty(t, raws[0], "nobody has that one")
		require.Equal(t, hashes[1], hashOf(raws[1]))
		require.Less(t, len(raws), len(hashes))
		m.connect(0, 1, time.Millisecond)
		got, err := m.nodes[1].Fetch(m.ctx, "", hashes[1:])
		require.NoError(t, err)
		require.True(t, got.Are(hashes[1:]), "what did not fit comes with the next answer")
	})
}

func TestFetch(t *testing.T) {
	raws := batch(t, 0, 50)
	var hashes []common.Hash
	for _, raw := range raws {
		hashes = append(hashes, hashOf(raw))
	}
	// holder puts raws into a pool without telling anybody.
	hold := func(n *node, raws ...[]byte) {
		_, errs := n.pool.AddBatch(context.Background(), raws, false)
		require.NoError(t, errors.Join(errs...))
	}
	run := func(name string, f func(t *testing.T, m *mesh)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMesh(t, 4, nil).full(time.Millisecond)
				m.nodes[0].asked = nil
				f(t, m)
			})
		})
	}
	whole := func(t *testing.T, m *mesh, prefer int) {
		ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
		defer cancel()
		got, err := m.nodes[0].Fetch(ctx, m.nodes[prefer].id, hashes)
		require.NoError(t, err)
		require.True(t, got.Are(hashes))
		for _, tx := range got {
			require.True(t, tx.Verified())
		}
	}
	run("preferred first", func(t *testing.T, m *mesh) {
		hold(m.nodes[2], raws...)
		whole(t, m, 2)
		require.Equal(t, []chain.Peer{m.nodes[2].id}, m.nodes[0].asked)
	})
	run("pieces from several", func(t *testing.T, m *mesh) {
		hold(m.nodes[1], raws[:20]...)
		hold(m.nodes[2], raws[20:30]...)
		hold(m.nodes[3], raws[30:]...)
		whole(t, m, 1)
	})
	run("own pool", func(t *testing.T, m *mesh) {
		hold(m.nodes[0], raws...)
		whole(t, m, 1)
		require.Empty(t, m.nodes[0].asked)
	})
	run("arrives meanwhile", func(t *testing.T, m *mesh) {
		go func() {
			time.Sleep(2 * time.Second)
			hold(m.nodes[3], raws...)
		}()
		whole(t, m, 1)
	})
	run("silent peer", func(t *testing.T, m *mesh) {
		m.nodes[1].requests = func(ctx context.Context, _ chain.Peer, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		hold(m.nodes[2], raws...)
		hold(m.nodes[3], raws...)
		start := time.Now()
		whole(t, m, 1)
		require.Less(t, time.Since(start), 200*time.Millisecond, "the next one is asked soon")
	})
	run("liars", func(t *testing.T, m *mesh) {
		m.nodes[1].requests = func(context.Context, chain.Peer, []byte) ([]byte, error) {
			return appendTx(appendTx(nil, raws[1]), raws[0]), nil // swapped
		}
		m.nodes[2].requests = func(context.Context, chain.Peer, []byte) ([]byte, error) { return []byte("garbage"), nil }
		hold(m.nodes[3], raws...)
		whole(t, m, 1)
		require.Equal(t, misbehaviour, m.nodes[0].reported(m.nodes[1].id))
	})
	run("nobody has some", func(t *testing.T, m *mesh) {
		hold(m.nodes[2], raws[:49]...)
		ctx, cancel := context.WithTimeout(m.ctx, time.Second)
		defer cancel()
		start := time.Now()
		got, err := m.nodes[0].Fetch(ctx, "", hashes)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start))
		require.True(t, got[:49].Are(hashes[:49]))
		require.Nil(t, got[49])
		require.Less(t, len(m.nodes[0].asked), 80, "it does not ask without a pause")
	})
	run("asked twice, and none", func(t *testing.T, m *mesh) {
		hold(m.nodes[2], raws[0])
		got, err := m.nodes[0].Fetch(m.ctx, "", []common.Hash{hashes[0], hashes[0]})
		require.NoError(t, err)
		require.True(t, got.Are([]common.Hash{hashes[0], hashes[0]}))
		got, err = m.nodes[0].Fetch(m.ctx, "", nil)
		require.NoError(t, err)
		require.Empty(t, got)
		_, err = m.nodes[0].Fetch(m.ctx, "", make([]common.Hash, chain.MaxDecisionTxs+1))
		require.Error(t, err)
	})
	run("nobody is there", func(t *testing.T, m *mesh) {
		for i := 1; i < 4; i++ {
			m.part(0, i)
		}
		ctx, cancel := context.WithTimeout(m.ctx, time.Second)
		defer cancel()
		got, err := m.nodes[0].Fetch(ctx, "", hashes)
		require.NoError(t, err)
		require.Equal(t, make(chain.Txs, 50), got)
	})
}

// TestFetchFindsWhatWaitsHere: what has come and waits for the pool is not asked for again.
func TestFetchFindsWhatWaitsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 3, func(_ int, c *Config) { c.Workers = 1 }).full(time.Millisecond)
		me := m.nodes[1]
		stuck := make(chan struct{})
		me.pool.mu.Lock()
		me.pool.stuck = stuck
		me.pool.mu.Unlock()
		raws := batch(t, 0, 900)
		m.submit(0, raws...)
		time.Sleep(time.Second) // the first batches are being given to the pool, the others wait
		synctest.Wait()
		ask := func(raws ...[]byte) {
			var hashes []common.Hash
			for _, raw := range raws {
				hashes = append(hashes, hashOf(raw))
			}
			me.asked = nil
			got, err := me.Fetch(m.ctx, m.nodes[2].id, hashes)
			require.NoError(t, err)
			require.True(t, got.Are(hashes))
			require.Empty(t, me.asked)
		}
		ask(raws[899], raws[700])
		require.False(t, me.pool.has(hashOf(raws[0])))
		require.False(t, me.pool.has(hashOf(raws[698])), "nothing else jumps the queue")
		start := time.Now()
		m.running.Go(func() {
			time.Sleep(30 * time.Millisecond)
			close(stuck)
		})
		ask(raws[0], raws[600], raws[1])
		require.Equal(t, 30*time.Millisecond, time.Since(start))
		m.settle()
		require.Empty(t, m.lacking(raws))
	})
}

// TestFetchReturnsWhatThePoolRefuses: a decision's transactions are needed whether there is room for them or not.
func TestFetchReturnsWhatThePoolRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil).full(time.Millisecond)
		raws := batch(t, 0, 40)
		var hashes []common.Hash
		for _, raw := range raws {
			hashes = append(hashes, hashOf(raw))
		}
		m.nodes[0].pool.mu.Lock()
		m.nodes[0].pool.room = 15
		m.nodes[0].pool.mu.Unlock()
		_, errs := m.nodes[1].pool.AddBatch(m.ctx, raws, false)
		require.NoError(t, errors.Join(errs...))
		got, err := m.nodes[0].Fetch(m.ctx, "", hashes)
		require.NoError(t, err)
		require.True(t, got.Are(hashes))
		require.Len(t, m.nodes[0].pool.Waiting(100), 15, "and the pool has what it has room for")
		require.Empty(t, m.nodes[0].reports)
	})
}

// TestComparisonWithALiar: a peer that lists what it does not send is asked ever less often and costs nothing else.
func TestComparisonWithALiar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, 2, nil)
		var answers atomic.Int64
		m.nodes[1].requests = func(_ context.Context, _ chain.Peer, req []byte) ([]byte, error) {
			answers.Add(1)
			if req[0] == kindTxs {
				return nil, nil
			}
			p := page{snapshot: 1, total: maxList, hashes: make([]common.Hash, listPage)}
			return p.encode(), nil
		}
		m.connect(0, 1, time.Millisecond)
		time.Sleep(10 * time.Minute)
		require.LessOrEqual(t, answers.Load(), int64(100))
	})
}

func TestConfigNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"batch_bytes": func(c *Config) { c.BatchBytes = 0 }, "batch_wait": func(c *Config) { c.BatchWait = -1 }, "batch_wait_max": func(c *Config) { c.BatchWaitMax = 0 }, "workers": func(c *Config) { c.Workers = 0 },
		"queue_bytes": func(c *Config) { c.QueueBytes = 1 }, "comparisons": func(c *Config) { c.Comparisons = 0 },
		"compare_wait": func(c *Config) { c.CompareWaitMax = 0 }, "request_wait": func(c *Config) { c.RequestWait = 0 },
		"hedge_wait": func(c *Config) { c.HedgeWait = 0 },
	} {
		cfg := DefaultConfig()
		require.NoError(t, cfg.Validate())
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), field)
		_, err := New(cfg, Deps{})
		require.Error(t, err)
	}
}
