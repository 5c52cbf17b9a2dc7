package ordertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// RunRejoin checks how soon a validator of an engine of at least four nodes counts again after a crash, while decisions come so fast that whoever fetches
// them from peers is always a few behind. Takeover bounds, in virtual time, how long a dead leader may hold up the chain then.
func RunRejoin(t *testing.T, e Engine, takeover time.Duration) {
	for name, test := range map[string]func(*testing.T, Engine, time.Duration){
		"one after another leader": testRejoinLeaders,
		"its vote is needed":       testRejoinVotes,
		"just back":                testRejoinAtOnce,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e, takeover) }) })
	}
}

// streamEvery is the pace of decisions that a stream makes: the fastest that a batch time of five milliseconds and disks as below bear.
const streamEvery = 10 * time.Millisecond

// rejoined is after how long a validator that was started again must count under a stream.
const rejoined = 2 * time.Second

// stream submits a transaction for every decision for as long as d, and returns the number after the last and the longest time without a decision.
func (c *cluster) stream(from int, d time.Duration) (next int, pause time.Duration) {
	start := time.Now()
	height, at := c.height(), start
	for next = from; time.Since(start) < d; time.Sleep(time.Millisecond) {
		for ; next < from+int(time.Since(start)/streamEvery); next++ {
			c.submit(next, next+1)
		}
		c.alive()
		if h := c.height(); h > height {
			height, at = h, time.Now()
		}
		pause = max(pause, time.Since(at))
	}
	return next, pause
}

// fast is a cluster under a stream, with disks that make fetching decisions little faster than making them.
func fast(t *testing.T, e Engine) (c *cluster, next int) {
	c = newCluster(t, e, nil)
	for _, n := range c.nodes {
		n.ledger.Delay(3 * time.Millisecond)
		n.journal.Delay(time.Millisecond)
	}
	c.start()
	next, _ = c.stream(0, 2*time.Second) // engines that elect their first leader take a while
	before := c.height()
	next, _ = c.stream(next, time.Second)
	require.Greater(t, c.height(), before+70, "a stream makes decisions fast")
	return c, next
}

// back starts a node again, as gossip does with what its pool has lost.
func (c *cluster) back(n *node, next int) {
	n.start()
	c.submit(0, next)
}

// testRejoinLeaders: with four validators the loss of the next leader is borne only by those who count again.
func testRejoinLeaders(t *testing.T, e Engine, takeover time.Duration) {
	c, next := fast(t, e)
	var pause time.Duration
	for round := range 6 {
		leader := c.leading()
		leader.crash()
		next, pause = c.stream(next, 4*time.Second)
		t.Logf("round %d: the longest pause was %s", round, pause)
		require.Less(t, pause, takeover, "round %d", round)
		require.NotEqual(t, leader.ID, c.leading().ID)
		c.back(leader, next)
		next, _ = c.stream(next, rejoined)
	}
	c.decided(next)
	c.halt()
}

// testRejoinVotes: once it is back, another follower may go and the chain goes on with its vote.
func testRejoinVotes(t *testing.T, e Engine, _ time.Duration) {
	c, next := fast(t, e)
	var pause time.Duration
	for round := range 4 {
		followers := c.but(c.leading())
		away, needed := followers[round%3], followers[(round+1)%3]
		away.crash()
		next, _ = c.stream(next, time.Duration(round)*time.Second)
		c.back(away, next)
		next, _ = c.stream(next, rejoined)
		needed.crash()
		next, pause = c.stream(next, time.Second)
		t.Logf("round %d: the longest pause was %s", round, pause)
		require.Less(t, pause, 500*time.Millisecond, "round %d", round)
		c.back(needed, next)
		next, _ = c.stream(next, 2*rejoined)
		c.decided(next)
	}
	c.halt()
}

// testRejoinAtOnce kills the leader while another validator is still fetching what it missed: it has to be had before the next leader can begin.
func testRejoinAtOnce(t *testing.T, e Engine, takeover time.Duration) {
	c, next := fast(t, e)
	var pause time.Duration
	for round := range 5 {
		leader := c.leading()
		away := c.but(leader)[round%3]
		away.crash()
		next, _ = c.stream(next, 2*time.Second)
		c.back(away, next)
		next, _ = c.stream(next, time.Duration(round)*80*time.Millisecond)
		leader.crash()
		next, pause = c.stream(next, 2*takeover)
		t.Logf("round %d: the longest pause was %s", round, pause)
		require.Less(t, pause, takeover, "round %d", round)
		c.back(leader, next)
		next, _ = c.stream(next, 2*rejoined)
		c.decided(next)
	}
	c.halt()
}

// RunStream checks that an engine whose New sees to a fault of its own goes on: no pause of a stream is longer than the one given, in virtual time.
func RunStream(t *testing.T, e Engine, longest time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, e, nil)
		c.start()
		next, pause := c.stream(0, 20*time.Second)
		t.Logf("the longest pause was %s", pause)
		require.Less(t, pause, longest)
		c.decided(next)
		c.halt()
	})
}
