package ordertest

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// RunFaults checks an engine of at least four nodes against crashes and a bad network. Takeover bounds, in virtual time, how long a dead leader may
// hold up the chain. For every seed a cluster suffers everything at random.
func RunFaults(t *testing.T, e Engine, takeover time.Duration, seeds int) {
	for name, test := range map[string]func(*testing.T, Engine){
		"leader stops under load":  func(t *testing.T, e Engine) { testLeaderStops(t, e, takeover) },
		"idle leader stops":        func(t *testing.T, e Engine) { testIdleLeaderStops(t, e, takeover) },
		"follower stops":           testFollowerStops,
		"partition":                testPartition,
		"lossy network":            testLossy,
		"laggard":                  testLaggard,
		"all crash together":       testAllCrash,
		"one after another leader": testLeaderAfterLeader,
		"journal failure":          testJournalFailure,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e) }) })
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSeed(t, e, int64(seed)) })
		})
	}
}

// leading is the node that leads, as the first running one sees it.
func (c *cluster) leading() *node {
	for _, n := range c.nodes {
		if !n.up {
			continue
		}
		leader := n.engine.Status().Leader
		for _, l := range c.nodes {
			if l.ID == leader {
				return l
			}
		}
	}
	c.Fatal("nobody leads")
	return nil
}

// loadEvery is the pace of load: fast enough to have several decisions between any two faults, slow enough for tests to be short.
const loadEvery = 12 * time.Millisecond

// load submits a transaction every now and then for as long as d, and returns the number after the last.
func (c *cluster) load(from int, d time.Duration) int {
	for end := time.Now().Add(d); time.Now().Before(end); from++ {
		c.submit(from, from+1)
		time.Sleep(loadEvery)
	}
	return from
}

func testLeaderStops(t *testing.T, e Engine, takeover time.Duration) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 2*time.Second)
	leader := c.leading()
	leader.crash()
	died, before := time.Now(), c.height()
	for c.height() <= before+1 { // one may have been under way
		require.Less(t, time.Since(died), takeover, "no decision after the leader's death")
		n = c.load(n, 10*time.Millisecond)
	}
	t.Logf("the next decision came %s after the leader's death", time.Since(died))
	c.decided(n)
	require.NotEqual(t, leader.ID, c.leading().ID)
	leader.start()
	n = c.load(n, time.Second)
	c.decided(n)
	c.halt()
}

func testIdleLeaderStops(t *testing.T, e Engine, takeover time.Duration) {
	c := newCluster(t, e, nil)
	c.start()
	c.submit(0, 1)
	c.decided(1)
	leader := c.leading()
	leader.crash()
	time.Sleep(time.Minute)
	start := time.Now()
	c.submit(1, 2)
	c.decided(2)
	require.Less(t, time.Since(start), takeover/2, "the leader was replaced while nobody needed it")
	leader.start()
	c.decided(2)
	time.Sleep(time.Minute)
	require.Equal(t, c.leading().ID, leader.engine.Status().Leader, "who comes back learns who leads")
	c.submit(2, 3)
	c.decided(3)
	c.halt()
}

func testFollowerStops(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 200*time.Millisecond)
	c.decided(n)
	leader := c.leading()
	follower := c.nodes[0]
	if follower == leader {
		follower = c.nodes[1]
	}
	follower.crash()
	n = c.load(n, time.Second)
	start := time.Now()
	c.decided(n)
	require.Less(t, time.Since(start), 500*time.Millisecond, "the others do not need it")
	require.Equal(t, leader.ID, c.leading().ID)
	heard := leader.engine.Status().Heard
	for _, n := range c.but(leader) {
		require.Equal(t, n != follower, time.Since(heard[n.ID]) < 500*time.Millisecond, "node %d was heard from at %s", n.ID, heard[n.ID])
	}
	follower.start()
	n = c.load(n, time.Second)
	c.decided(n)
	require.Equal(t, leader.ID, c.leading().ID, "its return disturbs nobody")
	c.halt()
}

func (c *cluster) ids(nodes ...int) (out []order.PeerID) {
	for _, i := range nodes {
		out = append(out, c.nodes[i].peer)
	}
	return out
}

func testPartition(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 200*time.Millisecond)
	c.decided(n)
	for round, groups := range [][][]order.PeerID{
		{c.ids(0, 1), c.ids(2, 3)}, // nobody has a quorum
		{c.ids(0), c.ids(1, 2, 3)},
		{c.ids(1), c.ids(0, 2, 3)},
		{c.ids(2, 1), c.ids(0), c.ids(3)},
	} {
		c.wires.split(groups...)
		time.Sleep(100 * time.Millisecond) // what was on the wire arrives
		before := c.height()
		n = c.load(n, 3*time.Second)
		time.Sleep(7 * time.Second)
		quorum := len(groups[1]) == 3
		require.Equal(t, quorum, c.height() > before, "round %d: decisions need a quorum", round)
		c.wires.split()
		n = c.load(n, time.Second)
		c.decided(n)
	}
	c.halt()
}

func testLossy(t *testing.T, e Engine) {
	for seed := range int64(4) {
		c := newCluster(t, e, nil)
		c.wires.change(func(w *wires) {
			w.rng = rand.New(rand.NewSource(seed))
			w.loss, w.double, w.shuffle = 0.05*float64(seed), 0.1, 0.3
		})
		c.start()
		n := c.load(0, 3*time.Second)
		start := time.Now()
		c.decided(n)
		t.Logf("%.0f %% loss: %d decisions, the last %s after the load", 5*float64(seed), c.height(), time.Since(start))
		c.halt()
	}
}

func testLaggard(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 200*time.Millisecond)
	c.decided(n)
	late := c.nodes[3]
	if late == c.leading() {
		late = c.nodes[2]
	}
	var rest []order.PeerID
	for _, o := range c.nodes {
		if o != late {
			rest = append(rest, o.peer)
		}
	}
	c.wires.split([]order.PeerID{late.peer}, rest)
	n = c.load(n, 5*time.Second)
	require.Greater(t, c.height(), late.ledger.Height()+50)
	c.wires.split()
	n = c.load(n, 5*time.Second)
	require.Less(t, c.height()-late.ledger.Height(), uint64(20), "it catches up while the others go on")
	c.decided(n)
	c.halt()
}

func testAllCrash(t *testing.T, e Engine) {
	random := rand.New(rand.NewSource(3))
	c := newCluster(t, e, nil)
	n := 0
	for range 8 {
		for _, node := range c.nodes {
			node.journal.Delay(time.Duration(random.Intn(2)) * time.Millisecond)
			node.ledger.Delay(time.Duration(random.Intn(2)) * time.Millisecond)
		}
		c.start()
		c.submit(0, n)
		n = c.load(n, 300*time.Millisecond)
		time.Sleep(time.Duration(random.Intn(5000)) * time.Microsecond)
		for _, node := range c.nodes {
			node.crash()
		}
	}
	c.start()
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

// testJournalFailure: a node that cannot write its journal stops and says why; the others go on, and it comes back.
func testJournalFailure(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 200*time.Millisecond)
	c.decided(n)
	for _, victim := range []*node{c.leading(), c.but(c.leading())[0]} {
		full := errors.New("disk is full")
		victim.journal.Fail(full)
		n = c.load(n, time.Second)
		require.Len(t, victim.result, 1, "it is still running")
		require.ErrorIs(t, victim.ended(), full)
		victim.journal.Fail(nil)
		n = c.load(n, 3*time.Second)
		victim.start()
		c.submit(0, n)
		c.decided(n)
	}
	c.halt()
}

func testLeaderAfterLeader(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 2*time.Second) // engines that elect their first leader take a while
	for range 6 {
		n = c.load(n, 300*time.Millisecond)
		leader := c.leading()
		leader.crash()
		n = c.load(n, 4*time.Second)
		leader.start()
		n = c.load(n, 2*time.Second)
		c.submit(0, n)
		c.decided(n)
	}
	c.halt()
}

// testSeed makes a node of at most the faulty ones crash, or cuts it off, now and then, on a network that loses, doubles and shuffles, with disks
// that take their time. What is decided stays decided, and when all are well again everything is.
func testSeed(t *testing.T, e Engine, seed int64) {
	random := rand.New(rand.NewSource(seed))
	c := newCluster(t, e, nil)
	c.wires.change(func(w *wires) {
		w.rng = rand.New(rand.NewSource(seed))
		w.loss, w.double, w.shuffle = 0.05*random.Float64(), 0.1*random.Float64(), 0.3*random.Float64()
	})
	for _, n := range c.nodes {
		n.ledger.Delay(time.Duration(random.Intn(3000)) * time.Microsecond)
		n.journal.Delay(time.Duration(random.Intn(2000)) * time.Microsecond)
	}
	c.start()
	n := 0
	for range 6 {
		n = c.load(n, time.Duration(random.Intn(400))*time.Millisecond)
		victim := c.nodes[random.Intn(len(c.nodes))]
		if random.Intn(2) == 0 {
			victim.crash()
			n = c.load(n, time.Duration(random.Intn(4000))*time.Millisecond)
			victim.start()
		} else {
			var rest []order.PeerID
			for _, o := range c.nodes {
				if o != victim {
					rest = append(rest, o.peer)
				}
			}
			c.wires.split([]order.PeerID{victim.peer}, rest)
			n = c.load(n, time.Duration(random.Intn(4000))*time.Millisecond)
			c.wires.split()
		}
		c.submit(0, n) // what a crash took from a pool comes back by gossip
	}
	c.wires.change(func(w *wires) { w.loss, w.double, w.shuffle = 0, 0, 0 })
	c.decided(n)
	start := time.Now()
	c.submit(n, n+1)
	c.decided(n + 1)
	require.Less(t, time.Since(start), e.Settle)
	require.LessOrEqual(t, chain.BFT.Faulty(len(c.nodes)), 1)
	c.halt()
}
