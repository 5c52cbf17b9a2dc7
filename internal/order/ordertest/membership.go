package ordertest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// RunMembership checks that an engine of at least four nodes follows changes of the validator set.
func RunMembership(t *testing.T, e Engine) {
	for name, test := range map[string]func(*testing.T, Engine){
		"one joins":              testJoins,
		"one leaves":             testLeaves,
		"the leader is replaced": testLeaderReplaced,
		"a follower follows":     testFollows,
		"change after change":    testChanges,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e) }) })
	}
}

// member is a node as validator sets name it.
func (n *node) member() chain.Validator {
	return chain.Validator{ID: n.ID, PublicKey: n.Key.Public().Bytes(), Address: address(n.ID)}
}

// rule makes nodes the validators from a height on, which must be ahead of all.
func (c *cluster) rule(from uint64, nodes ...*node) {
	var set chain.ValidatorSet
	for _, n := range nodes {
		set = append(set, n.member())
	}
	slices.SortFunc(set, func(a, b chain.Validator) int { return int(a.ID) - int(b.ID) })
	c.changes = append(c.changes, setChange{from, set, c.changes[len(c.changes)-1].engine})
}

// reach submits until the ledgers are at height.
func (c *cluster) grow(n int, height uint64) int {
	c.Helper()
	start := time.Now()
	for c.height() < height {
		require.Less(c, time.Since(start), c.engine.Settle, "height %d of %d", c.height(), height)
		n = c.load(n, 20*time.Millisecond)
	}
	return n
}

func testJoins(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	fifth := c.newNode(5, nil)
	c.rule(20, c.nodes...)
	c.start()
	n := c.grow(0, 40)
	c.decided(n)
	// Five bear one fault with a quorum of four: the fifth is needed when another is away.
	away := c.nodes[3]
	if away == c.leading() {
		away = c.nodes[2]
	}
	away.crash()
	before := c.height()
	n = c.load(n, time.Second)
	c.decided(n)
	require.Greater(t, c.height(), before+5)
	require.Equal(t, c.leading().ID, fifth.engine.Status().Leader)
	away.start()
	n = c.load(n, time.Second)
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

func testLeaves(t *testing.T, e Engine) {
	e.Nodes = 5
	c := newCluster(t, e, nil)
	leaves := c.nodes[4]
	c.rule(20, c.nodes[:4]...)
	c.start()
	n := c.grow(0, 40)
	c.decided(n) // who has left follows
	leaves.crash()
	n = c.load(n, time.Second)
	start := time.Now()
	c.decided(n)
	require.Less(t, time.Since(start), time.Second, "nobody waits for it")
	c.halt()
}

func testLeaderReplaced(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	leader := c.first()
	fresh := c.newNode(6, nil)
	height := c.height()
	c.rule(height+20, append(slices.DeleteFunc(c.but(leader), func(n *node) bool { return n == fresh }), fresh)...)
	c.start()
	n := c.grow(1, height+40)
	c.decided(n)
	require.NotEqual(t, leader.ID, c.but(leader)[0].engine.Status().Leader)
	leader.crash()
	start := time.Now()
	n = c.load(n, time.Second)
	c.decided(n)
	require.Less(t, time.Since(start), 2*time.Second, "nobody waits for it")
	c.halt()
}

func testFollows(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	follower := c.newNode(9, nil)
	c.start()
	n := c.load(0, 2*time.Second)
	c.decided(n)
	follower.crash()
	n = c.load(n, 2*time.Second)
	follower.start()
	c.decided(n)
	c.halt()
}

// testChanges replaces one validator after the other until none of the first is left.
func testChanges(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	for id := chain.ValidatorID(5); id <= 8; id++ {
		c.newNode(id, nil)
	}
	for i := range 4 {
		c.rule(uint64(15*(i+1)), c.nodes[i+1:i+5]...)
	}
	c.start()
	n := c.grow(0, 80)
	c.decided(n)
	for _, gone := range c.nodes[:4] {
		gone.crash()
	}
	start := time.Now()
	n = c.load(n, time.Second)
	c.decided(n)
	require.Less(t, time.Since(start), 2*time.Second)
	c.halt()
}
