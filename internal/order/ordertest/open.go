package ordertest

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// RunOpenFaults checks an open engine of at least four nodes against crashes, partitions shorter than what is final takes, and a bad network. For every seed a
// cluster suffers everything at random.
func RunOpenFaults(t *testing.T, e Engine, seeds int) {
	for name, test := range map[string]func(*testing.T, Engine){
		"partition":          testOpenPartition,
		"lossy network":      testLossy,
		"newcomer":           testNewcomer,
		"all crash together": testAllCrash,
		"journal failure":    testOpenJournalFailure,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, e) }) })
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSeed(t, e, int64(seed)) })
		})
	}
}

// testOpenPartition: all parts go on, and agree again when they hear each other.
func testOpenPartition(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, time.Second)
	c.decided(n)
	for _, groups := range [][][]order.PeerID{
		{c.ids(0, 1), c.ids(2, 3)},
		{c.ids(0), c.ids(1, 2, 3)},
		{c.ids(1), c.ids(0, 2), c.ids(3)},
	} {
		c.wires.split(groups...)
		n = c.load(n, 2*time.Second)
		c.wires.split()
		n = c.load(n, time.Second)
		c.decided(n)
	}
	c.halt()
}

// testNewcomer: a node that has heard nothing yet, or nothing for long, comes to where the others are.
func testNewcomer(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	late := c.nodes[3]
	for _, n := range c.nodes {
		if n != late {
			n.start()
		}
	}
	n := c.load(0, 5*time.Second)
	for c.height() < 100 {
		n = c.load(n, time.Second)
	}
	late.start()
	c.submit(0, n)
	c.decided(n)
	late.crash()
	n = c.load(n, 20*time.Second)
	late.start()
	n = c.load(n, time.Second)
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

// testOpenJournalFailure: a node that cannot write its journal stops and says why; the others go on, and it comes back.
func testOpenJournalFailure(t *testing.T, e Engine) {
	c := newCluster(t, e, nil)
	c.start()
	n := c.load(0, time.Second)
	c.decided(n)
	victim := c.nodes[1]
	full := errors.New("disk is full")
	victim.journal.Fail(full)
	n = c.load(n, 5*time.Second)
	require.Len(t, victim.result, 1, "it is still running")
	require.ErrorIs(t, victim.ended(), full)
	victim.journal.Fail(nil)
	n = c.load(n, 3*time.Second)
	victim.start()
	c.submit(0, n)
	c.decided(n)
	c.halt()
}

// Chosen implements order.Chooser for engines that do.
func (w watched) Chosen(d *chain.Decision) error {
	if c, ok := w.Engine.(order.Chooser); ok {
		return c.Chosen(d)
	}
	return nil
}
