package ordertest

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// RunChanges checks that nodes change from engine to engine under load: New must give one that does, as Node.TermOf says. All ways lead from one node to
// four validators, then back and forth.
func RunChanges(t *testing.T, e Engine) {
	for name, test := range map[string]func(*testing.T, Engine){
		"from engine to engine":                  testEngines,
		"the leader dies at the change":          testLeaderDiesAtTheChange,
		"all die at the change":                  testAllDieAtTheChange,
		"one is away during the change":          testAwayDuringTheChange,
		"one is cut off across changes":          testCutOffAcrossChanges,
		"a new set with a new engine":            testNewSetWithTheEngine,
		"the leader dies as another set begins":  testLeaderDiesAtANewSet,
		"messages of another term are not heard": testStaleTerms,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e) }) })
	}
}

// change makes another engine rule from a height on, with the set that ruled before; nodes take its place where there are any.
func (c *cluster) change(from uint64, engine chain.EngineKind, nodes ...*node) {
	if len(nodes) == 0 {
		last := c.changes[len(c.changes)-1]
		c.changes = append(c.changes, setChange{from, last.set, engine})
		return
	}
	c.rule(from, nodes...)
	c.changes[len(c.changes)-1].engine = engine
}

// changing is a cluster whose founding engine is the given one.
func changing(t *testing.T, e Engine, engine chain.EngineKind) *cluster {
	return newCluster(t, e, func(c *chain.Consensus) { c.Engine = engine })
}

func testEngines(t *testing.T, e Engine) {
	c := changing(t, e, chain.Solo)
	c.changes[0].set = c.changes[0].set[:1]
	for i, engine := range []chain.EngineKind{chain.Raft, chain.BFT, chain.Raft, chain.PoS, chain.BFT} {
		c.change(uint64(20*(i+1)), engine, c.nodes...)
	}
	c.start()
	n := c.grow(0, 20)
	for _, node := range c.nodes {
		c.eventually(func() bool { return node.engine.Status().Engine == chain.Raft }, "raft rules")
	}
	n = c.grow(n, 130)
	c.decided(n)
	require.Equal(t, chain.BFT, c.nodes[0].engine.Status().Engine)
	c.halt()
	c.start()
	n = c.load(n, time.Second)
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

// atChange grows to the last block before the change at height, and tells who led shortly before.
func (c *cluster) atChange(height uint64) (n int, leader *node) {
	c.start()
	n = c.grow(0, height-4)
	leader = c.leading()
	for c.height() < height-1 {
		c.submit(n, n+1)
		n++
		time.Sleep(time.Millisecond)
	}
	return n, leader
}

func testLeaderDiesAtTheChange(t *testing.T, e Engine) {
	for _, way := range [][2]chain.EngineKind{{chain.Raft, chain.BFT}, {chain.BFT, chain.Raft}, {chain.BFT, chain.PoS}} {
		for _, delay := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond} {
			c := changing(t, e, way[0])
			c.change(30, way[1])
			n, leader := c.atChange(30)
			time.Sleep(delay)
			leader.crash()
			n = c.load(n, time.Second)
			c.submit(0, n)
			c.eventually(func() bool { return c.height() > 32 }, "the others go on")
			leader.start()
			n = c.load(n, time.Second)
			c.submit(0, n)
			c.decided(n)
			c.halt()
		}
	}
}

func testAllDieAtTheChange(t *testing.T, e Engine) {
	for _, way := range [][2]chain.EngineKind{{chain.Raft, chain.BFT}, {chain.BFT, chain.Raft}} {
		c := changing(t, e, way[0])
		c.change(30, way[1])
		n, _ := c.atChange(30)
		for _, node := range slices.Clone(c.nodes) {
			node.crash()
			time.Sleep(time.Millisecond)
		}
		c.start()
		n = c.load(n, time.Second)
		c.submit(0, n)
		c.decided(n)
		require.Greater(t, c.height(), uint64(32))
		c.halt()
	}
}

func testAwayDuringTheChange(t *testing.T, e Engine) {
	c := changing(t, e, chain.Raft)
	c.change(30, chain.BFT)
	c.change(60, chain.Raft)
	c.start()
	n := c.grow(0, 10)
	away := c.nodes[2]
	if away == c.leading() {
		away = c.nodes[3]
	}
	away.crash()
	n = c.grow(n, 80)
	away.start()
	n = c.load(n, time.Second)
	c.submit(0, n)
	c.decided(n)
	require.Equal(t, chain.Raft, away.engine.Status().Engine)
	c.halt()
}

// testCutOffAcrossChanges: a node that runs, and hears nothing while the others change twice.
func testCutOffAcrossChanges(t *testing.T, e Engine) {
	c := changing(t, e, chain.BFT)
	c.change(30, chain.Raft)
	c.change(60, chain.BFT)
	c.start()
	n := c.grow(0, 10)
	away := c.nodes[3]
	if away == c.leading() {
		away = c.nodes[2]
	}
	var rest []order.PeerID
	for _, node := range c.but(away) {
		rest = append(rest, node.peer)
	}
	c.wires.split(rest)
	n = c.grow(n, 80)
	c.wires.split()
	n = c.load(n, time.Second)
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

func testNewSetWithTheEngine(t *testing.T, e Engine) {
	c := changing(t, e, chain.Raft)
	fifth := c.newNode(5, nil)
	c.change(30, chain.BFT, c.nodes[1], c.nodes[2], c.nodes[3], fifth)
	c.start()
	n := c.grow(0, 50)
	c.decided(n)
	c.nodes[0].crash() // it left with raft
	start := time.Now()
	n = c.load(n, time.Second)
	c.decided(n)
	require.Less(t, time.Since(start), 2*time.Second, "nobody waits for it")
	c.halt()
}

// testLeaderDiesAtANewSet: a set begins behind a decision that none of it has signed, and its leader is dead.
func testLeaderDiesAtANewSet(t *testing.T, e Engine) {
	c := changing(t, e, chain.BFT)
	for id := chain.ValidatorID(5); id <= 8; id++ {
		c.newNode(id, nil)
	}
	c.rule(30, c.nodes[4:8]...)
	c.start()
	n := c.grow(0, 20)
	c.decided(n)
	c.nodes[4].crash() // view 0's leader of the set to come
	n = c.grow(n, 29)
	n = c.load(n, time.Second)
	c.submit(0, n)
	c.eventually(func() bool { return c.height() > 32 }, "the new set goes on without its leader")
	c.nodes[4].start()
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

// testStaleTerms plays every message back a term later.
func testStaleTerms(t *testing.T, e Engine) {
	c := changing(t, e, chain.BFT)
	c.change(20, chain.Raft)
	c.change(40, chain.BFT)
	c.start()
	n := c.grow(0, 10)
	type sent struct {
		to order.PeerID
		m  message
	}
	var mu sync.Mutex
	var old []sent
	c.wires.change(func(w *wires) {
		w.meddle = func(from, to order.PeerID, msg []byte) [][]byte {
			mu.Lock()
			defer mu.Unlock()
			old = append(old, sent{to, message{from, slices.Clone(msg)}})
			return [][]byte{msg}
		}
	})
	n = c.grow(n, 18)
	c.wires.change(func(w *wires) { w.meddle = nil })
	require.NotEmpty(t, old)
	n = c.grow(n, 50)
	for _, m := range old {
		c.nodes[m.to-1].put(m.m)
	}
	n = c.load(n, time.Second)
	c.decided(n)
	c.halt()
}
