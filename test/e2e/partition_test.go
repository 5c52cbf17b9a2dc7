package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNetworkPartitions gives each of four validators a machine of its own, as far as the network is concerned, and cuts, thins and delays what lies
// between them, under load.
//
// A jump of one machine's clock is not among it: Go programs read the clock without the C library, so that libfaketime does not reach them, and Linux has
// no namespace for the time of day. test/sim moves clocks.
func TestNetworkPartitions(t *testing.T) {
	seed := drawSeed(t)
	ns := openNamespaces(t, 4)
	hosts := fmt.Sprintf("%s,%s,%s,%s", ns.address(0), ns.address(1), ns.address(2), ns.address(3))
	nw := createNetwork(t, 4, "--hosts", hosts, "--p2p-port", fmt.Sprint(p2pPort))
	nw.behind = func(node int) []string { return []string{"ip", "netns", "exec", ns.names[node]} }
	nw.listen = func(node int) string { return ns.address(node) + ":8545" }
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments on a healthy network", 50)

	leader := nw.leader()
	ns.split(leader)
	b.progress("payments while the leader is cut off", 20)
	ns.heal()
	nw.caughtUp(leader)
	t.Logf("leader (node %d) cut off and back", leader+1)

	ns.split(0, 1)
	b.standsStill("neither half decides")
	ns.heal()
	b.progress("payments after two halves have met again", 20)
	t.Log("halves apart and together")

	ns.lossy(10)
	b.progress("payments while one of ten packets is lost at each node", 20)
	ns.heal()
	for i := range 4 {
		nw.caughtUp(i)
	}
	t.Log("packets lost")

	nw.kill(nw.all()...) // connections that are there would not go through the proxies
	ns.delay(40, 20)
	nw.start(nw.all()...)
	begin := time.Now()
	b.progress("payments while everything takes 40 ms longer each way", 50)
	require.Greater(t, time.Since(begin), 80*time.Millisecond, "the delay is real: nothing is final before a round trip")
	ns.heal()
	stop()
	b.audit()
	nw.stop()
}
