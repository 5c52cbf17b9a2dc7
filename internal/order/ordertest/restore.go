package ordertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/order"
)

// RunRestore checks an engine of four nodes whose validators must never contradict themselves, whatever their disks forget. What every honest node signs in all
// tests of this package is held against it (audit); here the disks forget.
func RunRestore(t *testing.T, e Engine) {
	for name, test := range map[string]func(*testing.T, Engine){
		"an older copy":                func(t *testing.T, e Engine) { testOlderCopy(t, e, order.FenceShut) },
		"a machine rolled back":        func(t *testing.T, e Engine) { testOlderCopy(t, e, order.FenceOpen) },
		"a new folder, an old key":     testNewFolder,
		"rolled back in the same view": testRolledBackLeader,
		"all crash together":           testAllGoOn,
		"all are new":                  testAllNew,
		"nothing is decided meanwhile": testStaysShut,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e) }) })
	}
	for _, writes := range []string{"the journal", "the ledger"} {
		t.Run("killed at every write of "+writes, func(t *testing.T) {
			for at := range 8 {
				synctest.Test(t, func(t *testing.T) { testKilledAt(t, e, writes == "the journal", at) })
			}
		})
	}
}

// image is a copy of a node's disk.
type image struct {
	ledger   *Ledger
	entries  [][]byte
	executed uint64
}

// image copies the disk of a node, which may be running: the ledger first, as the journal is of the same or a later time in a copy of one database.
func (n *node) image() image {
	n.mu.Lock()
	executed := n.executed
	n.mu.Unlock()
	n.ledger.mu.Lock()
	defer n.ledger.mu.Unlock()
	entries, err := n.journal.Entries()
	require.NoError(n.c, err)
	return image{&Ledger{decisions: slices.Clone(n.ledger.decisions), txs: slices.Clone(n.ledger.txs), kept: slices.Clone(n.ledger.kept)}, entries, executed}
}

// put replaces the disk of a node that is not running.
func (n *node) restore(i image, state order.FenceState) {
	n.ledger.mu.Lock()
	n.ledger.decisions, n.ledger.txs, n.ledger.kept = i.ledger.decisions, i.ledger.txs, i.ledger.kept
	n.ledger.synced, n.ledger.forgotten = len(i.ledger.decisions), nil
	n.ledger.mu.Unlock()
	n.journal.mu.Lock()
	n.journal.entries = i.entries
	n.journal.mu.Unlock()
	n.mu.Lock()
	n.executed = min(i.executed, uint64(len(i.ledger.decisions)))
	n.mu.Unlock()
	n.proven, n.past = 0, state
}

// state is what a node's fence is in.
func (n *node) state() order.FenceState {
	state, _ := n.Fence.State()
	return state
}

// drip is load, sparse: for the time that passes rather than for what is decided in it.
func (c *cluster) drip(from int, d time.Duration) int {
	for end := time.Now().Add(d); time.Now().Before(end); from++ {
		c.submit(from, from+1)
		time.Sleep(250 * time.Millisecond)
	}
	return from
}

// testOlderCopy: a validator comes back with an older disk while the others go on. It follows, signs nothing that it might have signed, and takes part again.
func testOlderCopy(t *testing.T, e Engine, past order.FenceState) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, time.Second)
	old := c.nodes[1]
	backup := old.image()
	n = c.load(n, time.Second)
	old.crash()
	before := c.lastSigned(old)
	require.Greater(t, before, uint64(len(backup.ledger.decisions)), "it has signed what the copy does not know")
	old.restore(backup, past)
	old.start()
	c.eventually(func() bool { return old.state() == order.FenceShut }, "the fence shuts")
	n = c.drip(n, 5*time.Second)
	c.submit(0, n)
	c.decided(n)
	require.Equal(t, before, c.lastSigned(old), "it signs nothing so soon")
	require.NotEmpty(t, old.engine.Status().Abstains)
	n = c.drip(n, 25*time.Second)
	require.Equal(t, order.FenceOpen, old.state())
	require.Empty(t, old.engine.Status().Abstains)
	c.submit(0, n)
	c.decided(n)
	require.Greater(t, c.lastSigned(old), before, "it signs again")
	// It is needed now, and there.
	c.nodes[2].crash()
	n = c.drip(n, 5*time.Second)
	c.decided(n)
	c.nodes[2].start()
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

// testNewFolder: the key is old, the disk is empty.
func testNewFolder(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, time.Second)
	old := c.nodes[2]
	old.crash()
	before := c.lastSigned(old)
	old.restore(image{ledger: new(Ledger)}, order.FenceUnsure)
	old.start()
	n = c.drip(n, 5*time.Second)
	require.Equal(t, order.FenceShut, old.state())
	require.Equal(t, before, c.lastSigned(old))
	n = c.drip(n, 25*time.Second)
	c.submit(0, n)
	c.decided(n)
	require.Greater(t, c.lastSigned(old), before)
	c.halt()
}

// testRolledBackLeader: the leader's disk goes back by the one thing that it must not forget, its vote for what it proposed, before that is decided. Nobody has
// left the view; a validator that went on there would propose and sign something else.
func testRolledBackLeader(t *testing.T, e Engine) {
	for back := range 12 {
		c := newCluster(t, e, nil)
		c.start()
		n := c.load(0, time.Second)
		leader := c.leading()
		backup := leader.image()
		for range back {
			c.submit(n, n+1)
			n++
			time.Sleep(3 * time.Millisecond)
		}
		leader.crash()
		leader.restore(backup, order.FenceOpen)
		leader.start()
		n = c.drip(n, 25*time.Second)
		c.submit(0, n)
		c.decided(n)
		c.halt()
	}
}

// testAllGoOn: when all lose their power at once, nobody waits for anybody's decision.
func testAllGoOn(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, time.Second)
	for range 3 {
		for _, node := range c.nodes {
			node.crash()
		}
		c.start()
		c.submit(0, n)
		n = c.load(n, 500*time.Millisecond)
		c.decided(n)
		for _, node := range c.nodes {
			require.Equal(t, order.FenceOpen, node.state(), "node %d", node.ID)
		}
	}
	// Nor do three, which is as many as it takes.
	for _, node := range c.nodes {
		node.crash()
	}
	for _, node := range c.nodes[1:] {
		node.start()
	}
	c.submit(0, n)
	n = c.load(n, 500*time.Millisecond)
	c.decided(n)
	c.halt()
}

// testAllNew: a network that begins has nothing to remember.
func testAllNew(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	for _, n := range c.nodes {
		n.past = order.FenceUnsure
	}
	c.start()
	c.submit(0, 5)
	c.decided(5)
	for _, n := range c.nodes {
		require.Equal(t, order.FenceOpen, n.state())
	}
	c.halt()
}

// testStaysShut: without a decision made since, a copy stays silent, however long that takes and however often it starts.
func testStaysShut(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, time.Second)
	c.decided(n)
	old := c.nodes[3]
	for range 3 {
		backup := old.image()
		old.crash()
		before := c.lastSigned(old)
		old.restore(backup, order.FenceShut)
		old.start()
		time.Sleep(2 * time.Minute)
		require.Equal(t, order.FenceShut, old.state())
		require.Equal(t, before, c.lastSigned(old))
	}
	c.submit(n, n+1)
	c.decided(n + 1)
	c.eventually(func() bool { return old.state() == order.FenceOpen }, "a decision opens the fence")
	c.halt()
}

// testKilledAt kills one node after another, each at another write, and lets them go on. The audit looks at what they sign.
func testKilledAt(t *testing.T, e Engine, inJournal bool, at int) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, 300*time.Millisecond)
	for i, victim := range c.nodes {
		write := 4*at + i
		if inJournal {
			victim.journal.FailAfter(write, errCrash)
		} else {
			victim.ledger.FailAfter(write, errCrash)
		}
		for deadline := time.Now().Add(e.Settle); len(victim.result) == 0; n = c.load(n, loadEvery) {
			require.True(t, time.Now().Before(deadline), "write %d was never made", write)
		}
		err := victim.ended()
		require.True(t, errors.Is(err, errCrash), fmt.Sprint(err))
		victim.crashed()
		victim.start()
		c.submit(0, n)
		n = c.load(n, 300*time.Millisecond)
	}
	c.submit(0, n)
	c.decided(n)
	c.halt()
}
