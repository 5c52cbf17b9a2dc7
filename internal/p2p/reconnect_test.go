package p2p

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReconnect: a node that comes back, as another process with the same key at the same address, is connected again, and the other hears both.
func TestReconnect(t *testing.T) {
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
	eventually(t, "a message to the new process", func() bool { return a.net.Send(again.id(), "votes", []byte("back")) })
	require.Equal(t, "back", string(again.next().msg))
	require.Empty(t, a.net.Conflicts())
	require.Empty(t, again.net.Conflicts())
}

// TestBothDial: whoever dials first, two nodes end with one connection, the same at both ends, over which messages go both ways.
func TestBothDial(t *testing.T) {
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
