package p2p

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestReconnect: a node that comes back, as another process with the same key at the same address, is connected again, and the other hears both.
func TestReconnect(t *testing.T) { eachSuite(t, testReconnect) }

func testReconnect(t *testing.T) {
	key := newKey(t)
	a := start(t, options{})
	b := start(t, options{key: key})
	address := b.net.Address()
	join(a, b)
	first := a.net.book.connected(b.id())
	b.stop()
	a.awaitChange(b.id(), false)
	require.Equal(t, "peer is shutting down", first.ending())
	require.NotEmpty(t, a.info(b.id()).LastError)

	again := start(t, options{key: key, config: func(c *Config) { c.Listen = address }})
	mesh(a, again)
	a.awaitChange(again.id(), true)
	again.awaitChange(a.id(), true)
	eventually(t, "a message to the new process", func() bool { // both have dialled: one of two connections goes, and what was on it
		a.net.Send(again.id(), "votes", []byte("back"))
		return len(again.inbox) > 0
	})
	require.Equal(t, "back", string(again.next().msg))
	require.Empty(t, a.net.Conflicts())
	require.Empty(t, again.net.Conflicts())
}

// TestBothDial: whoever dials first, two nodes end with one connection, the same at both ends, over which messages go both ways.
func TestBothDial(t *testing.T) { eachSuite(t, testBothDial) }

func testBothDial(t *testing.T) {
	for round := range 10 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			a, b := start(t, options{}), start(t, options{})
			mesh(a, b)
			smaller, larger := a, b
			if b.id() < a.id() {
				smaller, larger = b, a
			}
			same := func() bool {
				x, y := smaller.net.book.connected(larger.id()), larger.net.book.connected(smaller.id())
				if x == nil || y == nil || x.ended() || y.ended() {
					return false
				}
				if x.inbound == y.inbound {
					return false
				}
				// Both ends name the same pair of sockets.
				return x.mux.LocalMultiaddr().Equal(y.mux.RemoteMultiaddr()) && x.mux.RemoteMultiaddr().Equal(y.mux.LocalMultiaddr())
			}
			eventually(t, "one connection, the same at both ends", same)
			eventually(t, "a message each way", func() bool {
				smaller.net.Send(larger.id(), "votes", []byte("a"))
				larger.net.Send(smaller.id(), "votes", []byte("b"))
				return len(smaller.inbox) > 0 && len(larger.inbox) > 0
			})
			require.Equal(t, 1, len(smaller.net.Connected()))
		})
	}
}

// TestLostAndBack: a node whose old connection still looks alive, because nobody has heard of its end, is taken again as soon as the old one does not
// answer, and it is no conflict.
func TestLostAndBack(t *testing.T) { eachSuite(t, testLostAndBack) }

func testLostAndBack(t *testing.T) {
	key := newKey(t)
	a := start(t, options{})
	line := newTap(t, a.net.Address())
	b := start(t, options{key: key})
	a.net.SetMembers(map[chain.Peer]string{b.id(): ""})
	b.net.SetMembers(map[chain.Peer]string{a.id(): line.listener.Addr().String()})
	a.awaitChange(b.id(), true)
	old := a.net.book.connected(b.id())
	line.cut()
	b.stop()
	again := start(t, options{key: key, config: func(c *Config) { c.Peers = []string{a.net.Address()} }})
	a.awaitChange(b.id(), false)
	a.awaitChange(b.id(), true)
	require.Contains(t, old.ending(), "as a new process")
	require.True(t, again.net.book.conns()[a.id()] != nil || await(t, again.changes, "the connection").came)
	require.True(t, a.net.Send(b.id(), "votes", []byte("welcome back")))
	require.Equal(t, "welcome back", string(again.next().msg))
	require.Empty(t, again.net.Conflicts())
}

// TestWatchersHearInTurn: whatever connections are made and replaced, a peer comes and goes by turns, and what is told last is what is.
func TestWatchersHearInTurn(t *testing.T) { eachSuite(t, testWatchersHearInTurn) }

func testWatchersHearInTurn(t *testing.T) {
	nodes := []*node{start(t, options{}), start(t, options{}), start(t, options{})}
	for range 5 {
		mesh(nodes...)
		for _, n := range nodes {
			eventually(t, "connected to both", func() bool { return len(n.net.Connected()) == 2 })
			for _, c := range n.net.book.conns() {
				c.end(errReplaced, codeTwice)
			}
		}
	}
	eventually(t, "all connected", func() bool {
		for _, n := range nodes {
			if len(n.net.Connected()) != 2 {
				return false
			}
		}
		return true
	})
	for _, n := range nodes {
		n.stop()
		there := map[chain.Peer]bool{}
		for len(n.changes) > 0 {
			c := <-n.changes
			require.NotEqual(t, c.came, there[c.peer], "comes when gone, goes when there")
			there[c.peer] = c.came
		}
		require.Len(t, there, 2)
	}
}
