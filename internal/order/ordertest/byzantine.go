package ordertest

import (
	"context"
	"math/rand"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// RunByzantine checks an engine of at least four nodes that claims to bear one validator that lies. Takeover bounds, in virtual time, how long a
// lying leader may hold up the chain.
func RunByzantine(t *testing.T, e Engine, takeover time.Duration) {
	for name, test := range map[string]func(*testing.T, Engine, time.Duration){
		"leader proposes what must be refused": testBadProposals,
		"leader withholds":                     testWithholds,
		"leader says nothing to some":          testPartialSilence,
		"leader censors":                       testCensors,
		"leader lacks a transaction":           testLacks,
		"garbage":                              testGarbage,
		"two nodes with one key":               testTwins,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e, takeover) }) })
	}
}

// first is the node that leads at the start. It runs the cluster until it is known.
func (c *cluster) first() *node {
	c.start()
	c.submit(0, 1)
	c.decided(1)
	leader := c.leading()
	c.halt()
	return leader
}

// liar alters what its node builds.
type liar struct {
	order.Host
	alter func(*order.Proposal)
}

func (l liar) Build(ctx context.Context, parent *chain.Decision) (*order.Proposal, error) {
	p, err := l.Host.Build(ctx, parent)
	if err == nil && len(p.Txs) > 0 {
		l.alter(p)
	}
	return p, err
}

// Verify of a liar accepts everything.
func (l liar) Verify(context.Context, *order.Proposal) error { return nil }

func testBadProposals(t *testing.T, e Engine, takeover time.Duration) {
	for name, alter := range map[string]func(*order.Proposal){
		"an unknown transaction": func(p *order.Proposal) { p.Txs = append(p.Txs, common.Hash{1, 2, 3}) },
		"one twice":              func(p *order.Proposal) { p.Txs = append(p.Txs, p.Txs[0]) },
		"a decided one":          func(p *order.Proposal) { p.Txs = append(p.Txs, Tx(0).Hash()) },
		"too many": func(p *order.Proposal) {
			for i := range 20 {
				p.Txs = append(p.Txs, Tx(1000+i).Hash())
			}
		},
		"far ahead in time": func(p *order.Proposal) { p.TimeMillis += 60_000 },
		"back in time":      func(p *order.Proposal) { p.TimeMillis = 2 },
		"another parent":    func(p *order.Proposal) { p.Parent[0] ^= 1 },
		"another height":    func(p *order.Proposal) { p.Height += 2 },
		"another proposer":  func(p *order.Proposal) { p.Proposer = p.Proposer%4 + 1 },
	} {
		t.Log(name)
		c := newCluster(t, e, nil)
		leader := c.first()
		leader.evil = func(h order.Host) order.Host { return liar{h, alter} }
		c.start()
		before := time.Now()
		c.submit(1, 5)
		honest := c.but(leader)
		c.decidedBy(5, honest...)
		require.Less(t, time.Since(before), takeover, name)
		require.NotEqual(t, leader.ID, honest[0].engine.Status().Leader)
		c.stopAll()
	}
}

// but are all nodes but one.
func (c *cluster) but(n *node) []*node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(o *node) bool { return o == n })
}

// decidedBy waits until these nodes have decided and executed the first n transactions, and checks that their ledgers agree.
func (c *cluster) decidedBy(n int, nodes ...*node) {
	c.Helper()
	c.eventually(func() bool {
		for _, node := range nodes {
			if count(node.ledger.Decisions()) < n || node.done() < node.ledger.Height() {
				return false
			}
		}
		return true
	}, "all transactions decided and executed by the honest")
	for _, node := range nodes[1:] {
		a, b := nodes[0].ledger.Decisions(), node.ledger.Decisions()
		for i := range min(len(a), len(b)) {
			require.Equal(c, a[i].Hash(node.Suite), b[i].Hash(node.Suite), "two nodes differ at height %d", i+1)
			require.NoError(c, node.engine.VerifyDecision(c.setAt(a[i].Height), a[i]))
		}
	}
}

// stopAll ends all nodes, whatever they say: a liar may trip over its own lies.
func (c *cluster) stopAll() {
	for _, n := range c.nodes {
		if n.up {
			n.stop()
			_ = n.ended()
		}
	}
}

// testWithholds: the leader's heartbeats and votes arrive, its proposals (the large messages) do not.
func testWithholds(t *testing.T, e Engine, takeover time.Duration) {
	c := newCluster(t, e, nil)
	leader := c.first()
	c.wires.change(func(w *wires) {
		w.meddle = func(from, _ order.PeerID, msg []byte) [][]byte {
			if from == leader.peer && len(msg) > 300 {
				return nil
			}
			return [][]byte{msg}
		}
	})
	c.start()
	start := time.Now()
	c.submit(1, 10)
	c.decidedBy(10, c.but(leader)...)
	require.Less(t, time.Since(start), takeover)
	c.stopAll()
}

// testPartialSilence: one follower hears nothing of the leader. The others need it no more than it needs the leader.
func testPartialSilence(t *testing.T, e Engine, _ time.Duration) {
	c := newCluster(t, e, nil)
	leader := c.first()
	deaf := c.but(leader)[0]
	c.wires.change(func(w *wires) {
		w.meddle = func(from, to order.PeerID, msg []byte) [][]byte {
			if from == leader.peer && to == deaf.peer {
				return nil
			}
			return [][]byte{msg}
		}
	})
	c.start()
	n := c.load(1, 10*time.Second)
	c.decided(n)
	c.halt()
}

// censor leaves one transaction out of what its node builds.
type censor struct {
	order.Host
	hated common.Hash
}

func (x censor) Build(ctx context.Context, parent *chain.Decision) (*order.Proposal, error) {
	p, err := x.Host.Build(ctx, parent)
	if err == nil {
		p.Txs = slices.DeleteFunc(p.Txs, func(h common.Hash) bool { return h == x.hated })
	}
	return p, err
}

func testCensors(t *testing.T, e Engine, takeover time.Duration) {
	for _, busy := range []bool{true, false} {
		c := newCluster(t, e, nil)
		leader := c.first()
		leader.evil = func(h order.Host) order.Host { return censor{h, Tx(1).Hash()} }
		c.start()
		c.submit(1, 2)
		n := 2
		if busy {
			n = c.load(n, takeover)
		}
		c.decidedBy(n, c.but(leader)...)
		require.NotEqual(t, leader.ID, c.but(leader)[0].engine.Status().Leader, "busy: %t", busy)
		c.stopAll()
	}
}

// testLacks: a transaction that only the others have reaches the leader, and nobody has to change it.
func testLacks(t *testing.T, e Engine, takeover time.Duration) {
	c := newCluster(t, e, nil)
	leader := c.first()
	c.start()
	for _, n := range c.but(leader) {
		n.pool.Add(Tx(1))
	}
	start := time.Now()
	c.decided(2)
	require.Less(t, time.Since(start), takeover)
	require.Equal(t, leader.ID, c.leading().ID, "it is honest and stays")
	c.halt()
}

// testGarbage: one validator sends noise, cut and altered messages beside its own.
func testGarbage(t *testing.T, e Engine, _ time.Duration) {
	c := newCluster(t, e, nil)
	leader := c.first()
	loud := c.but(leader)[0]
	random := rand.New(rand.NewSource(5))
	c.wires.change(func(w *wires) {
		w.meddle = func(from, _ order.PeerID, msg []byte) [][]byte {
			if from != loud.peer {
				return [][]byte{msg}
			}
			cut := slices.Clone(msg[:random.Intn(len(msg))])
			altered := slices.Clone(msg)
			altered[random.Intn(len(altered))] ^= byte(1 << random.Intn(8))
			noise := make([]byte, random.Intn(200))
			random.Read(noise)
			if len(noise) > 0 {
				noise[0] %= 10
			}
			return [][]byte{altered, cut, noise, msg}
		}
	})
	c.start()
	n := c.load(1, 5*time.Second)
	c.decidedBy(n, c.but(loud)...)
	for _, honest := range c.but(loud) {
		require.Empty(t, honest.result, "node %d still runs", honest.ID)
	}
	c.stopAll()
}

// testTwins: a validator runs twice with one key, each twin in another half of the network and with other transactions: as leader it proposes two
// decisions of one height. The honest do not fork.
func testTwins(t *testing.T, e Engine, takeover time.Duration) {
	c := newCluster(t, e, nil)
	leader := c.first()
	twin := c.newNode(leader.ID, leader.Key)
	honest := slices.DeleteFunc(c.but(leader), func(n *node) bool { return n == twin })
	random := rand.New(rand.NewSource(9))
	c.start()
	n := 1
	for end := time.Now().Add(5 * takeover); time.Now().Before(end); {
		for _, h := range append(honest, leader, twin) {
			if random.Intn(2) == 0 {
				h.pool.Add(Tx(n), Tx(n+1))
			} else {
				h.pool.Add(Tx(n+1), Tx(n))
			}
		}
		n += 2
		time.Sleep(20 * time.Millisecond)
	}
	c.submit(0, n)
	c.decidedBy(n, honest...)
	seen := false
	for _, h := range honest {
		for _, ev := range h.engine.Status().Evidence {
			require.Equal(t, leader.ID, ev.Validator, "nobody else contradicted himself")
			require.NotEqual(t, ev.First, ev.Second)
			seen = true
		}
	}
	require.True(t, seen, "the honest can tell who lied")
	c.stopAll()
}
