package p2p

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func TestConfig(t *testing.T) {
	good := DefaultConfig()
	require.NoError(t, good.Validate())
	key := peerWith(newKey(t))
	for name, c := range map[string]struct {
		alter func(*Config)
		want  string
	}{
		"off":             {func(c *Config) { c.Listen = "" }, ""},
		"all interfaces":  {func(c *Config) { c.Listen = ":30301" }, ""},
		"peer by address": {func(c *Config) { c.Peers = []string{"node1.example:30301", "[::1]:1"} }, ""},
		"peer by key":     {func(c *Config) { c.Peers = []string{key.String() + "@10.0.0.1:30301"} }, ""},
		"no port":         {func(c *Config) { c.Listen = "localhost" }, "network: listen: must be host:port"},
		"port too large":  {func(c *Config) { c.Listen = "localhost:70000" }, "network: listen: port"},
		"announce no host": {func(c *Config) { c.Announce = ":30301" },
			"network: announce: must name a host and a port that can be dialled"},
		"peer without host": {func(c *Config) { c.Peers = []string{":1"} }, `network: peers: ":1"`},
		"peer's key":        {func(c *Config) { c.Peers = []string{"0xzz@host:1"} }, "the part before @ must be a node's public key"},
		"max_peers":         {func(c *Config) { c.MaxPeers = -1 }, "network: max_peers"},
		"ban_time":          {func(c *Config) { c.BanTime = 0 }, "network: ban_time"},
		"reconnect_min":     {func(c *Config) { c.ReconnectMin = 0 }, "network: reconnect_min"},
		"reconnect_max":     {func(c *Config) { c.ReconnectMax = time.Millisecond }, "network: reconnect_max"},
		"dead_after":        {func(c *Config) { c.DeadAfter = 0 }, "network: dead_after"},
	} {
		cfg := DefaultConfig()
		c.alter(&cfg)
		if err := cfg.Validate(); c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.want, name)
		}
	}
}

// foreignKey has a secret of Ed25519's length and is none.
type foreignKey struct{ crypto.PrivateKey }

func (foreignKey) Public() crypto.PublicKey { return foreignPublic{} }

type foreignPublic struct{ crypto.PublicKey }

func (foreignPublic) Bytes() []byte { return make([]byte, 65) }

func TestIdentity(t *testing.T) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	_, err := New(DefaultConfig(), Identity{Suite: intl.Suite{}, Key: foreignKey{newKey(t)}}, quiet)
	require.ErrorIs(t, err, ErrKeyForm)
	cfg := DefaultConfig()
	cfg.Peers = []string{"0x00@host:1"}
	_, err = New(cfg, Identity{Suite: intl.Suite{}, Key: newKey(t)}, quiet)
	require.ErrorContains(t, err, "ed25519 public key must be 32 bytes")

	n, err := New(DefaultConfig(), Identity{Suite: intl.Suite{}, Key: newKey(t)}, quiet)
	require.NoError(t, err)
	ignore := func(chain.Peer, []byte) {}
	n.Handle(votes, ignore)
	for name, p := range map[string]Protocol{
		"twice":        votes,
		"name":         {Name: "a/b", MaxMessage: 1, QueueMessages: 1, QueueBytes: 1},
		"no size":      {Name: "a", QueueMessages: 1, QueueBytes: 1},
		"small queue":  {Name: "a", MaxMessage: 2, QueueMessages: 1, QueueBytes: 1},
		"rate no room": {Name: "a", MaxMessage: 1, QueueMessages: 1, QueueBytes: 1, BytesPerSecond: 1},
	} {
		require.Panics(t, func() { n.Handle(p, ignore) }, name)
	}
	require.Panics(t, func() { n.Serve(Method{Name: "votes", Parallel: 1, Timeout: 1}, n.tellPeers) }, "a protocol has the name")
	require.Panics(t, func() { n.Serve(Method{Name: "m", Parallel: 0, Timeout: 1}, n.tellPeers) })
}

// TestOff: without an address to listen at there is no network, and nothing fails.
func TestOff(t *testing.T) {
	n := prepare(t, options{config: func(c *Config) { c.Listen, c.Peers = "", []string{"127.0.0.1:1"} }})
	n.run()
	n.net.SetMembers(map[chain.Peer]string{newNobody(t): "127.0.0.1:1"})
	require.Empty(t, n.net.Connected())
	require.Empty(t, n.net.Address())
	n.stop()
}

// TestListenFails: an address in use is an error that names it.
func TestListenFails(t *testing.T) {
	a := start(t, options{})
	b := prepare(t, options{config: func(c *Config) { c.Listen = a.net.Address() }})
	err := b.net.Run(t.Context())
	require.ErrorContains(t, err, "network: listen at "+a.net.Address())
}

// TestEndsClean: when Run has returned, no goroutine and no socket of it is left, whatever was going on.
func TestEndsClean(t *testing.T) { eachSuite(t, testEndsClean) }

func testEndsClean(t *testing.T) {
	before := runtime.NumGoroutine()
	gate := make(chan struct{})
	a, b := pair(t, options{}, options{slow: func(received) { <-gate }})
	c := start(t, options{config: func(c *Config) { c.Peers, c.Discovery = []string{a.net.Address(), "127.0.0.1:1"}, true }})
	c.awaitChange(a.id(), true)
	for range 100 {
		a.net.Send(b.id(), "bulk", make([]byte, 1<<20))
	}
	a.stop()
	c.stop()
	close(gate)
	b.stop()
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}

// tap passes a connection on until it is told to stop, and then keeps it open: a pulled cable, or a process that was stopped.
type tap struct {
	listener net.Listener
	ended    chan struct{}
	mu       sync.Mutex
	silent   bool
}

func newTap(t *testing.T, to string) *tap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tap{listener: l, ended: make(chan struct{})}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); close(p.ended); work.Wait() })
	work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				work.Go(func() { p.pass(way[0], way[1]) })
			}
		}
	})
	return p
}

func (p *tap) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent && err != nil {
			<-p.ended // the other end does not hear of it
		}
		if err != nil {
			return
		}
		if silent {
			continue // acknowledged by the system, never seen by the other end
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// TestSilentPeer: a peer whose machine still acknowledges and that answers nothing is given up in DeadAfter, and connected again when it is back.
func TestSilentPeer(t *testing.T) { eachSuite(t, testSilentPeer) }

func testSilentPeer(t *testing.T) {
	dead := func(c *Config) { c.DeadAfter = time.Second }
	a, b := start(t, options{config: dead}), start(t, options{})
	line := newTap(t, b.net.Address())
	a.net.SetMembers(map[chain.Peer]string{b.id(): line.listener.Addr().String()})
	b.net.SetMembers(map[chain.Peer]string{a.id(): ""})
	a.awaitChange(b.id(), true)
	first := a.net.book.connected(b.id())
	line.cut()
	began := time.Now()
	a.awaitChange(b.id(), false)
	require.Equal(t, "peer did not answer for 1s", first.ending())
	require.Less(t, time.Since(began), patience/2)
	// b was told a's own address and dials it, which is not cut.
	a.awaitChange(b.id(), true)
}

// TestPeerInfo: what an operator sees.
func TestPeerInfo(t *testing.T) { eachSuite(t, testPeerInfo) }

func testPeerInfo(t *testing.T) {
	a, b := pair(t, options{}, options{})
	c := start(t, options{config: func(c *Config) { c.Peers = []string{a.net.Address(), "127.0.0.1:1"} }})
	c.awaitChange(a.id(), true)
	i := b.info(a.id())
	require.True(t, i.Connected && i.Member && !i.Inbound)
	require.Equal(t, a.net.Address(), i.Address)
	require.WithinDuration(t, time.Now(), i.Since, patience)
	require.True(t, a.info(b.id()).Inbound)
	require.False(t, c.info(a.id()).Member)
	eventually(t, "the reason why nobody is at port 1", func() bool {
		first := c.net.Peers()[0]
		return first.Peer == "" && first.Address == "127.0.0.1:1" && first.LastError == "connect: connection refused"
	})
	eventually(t, "an address at which a peer has answered is told of once", func() bool { return len(c.net.Peers()) == 2 })
	require.True(t, a.net.Send(b.id(), "votes", make([]byte, 1000)))
	b.next()
	require.EqualValues(t, 1000, b.info(a.id()).Received)
	eventually(t, "the sender's count", func() bool { return a.info(b.id()).Sent == 1000 })
	eventually(t, "a round trip", func() bool { return a.info(b.id()).RoundTrip > 0 })
	a.awaitChange(c.id(), true)
	require.Equal(t, float64(1), metric(t, a.net, "jialing_p2p_peers", "member"))
	require.Equal(t, float64(1), metric(t, a.net, "jialing_p2p_peers", "other"))
}

// TestRoom: strangers fill max_peers and no more; members and configured peers have room beside them.
func TestRoom(t *testing.T) { eachSuite(t, testRoom) }

func testRoom(t *testing.T) {
	friend := newKey(t)
	a := start(t, options{config: func(c *Config) {
		c.MaxPeers = 1
		c.Peers = []string{peerWith(friend).String() + "@127.0.0.1:1"}
	}})
	dials := func(c *Config) { c.Peers = []string{a.net.Address()} }
	stranger := start(t, options{config: dials})
	a.awaitChange(stranger.id(), true)
	second := start(t, options{config: dials})
	eventually(t, "the second stranger's reason", func() bool {
		return second.info(a.id()).LastError == "peer refuses this node: no room for more peers"
	})
	member := newKey(t)
	a.net.SetMembers(map[chain.Peer]string{peerWith(member): ""})
	for _, key := range []crypto.PrivateKey{member, friend} {
		n := start(t, options{key: key, config: dials})
		a.awaitChange(n.id(), true)
	}
	stranger.stop()
	a.awaitChange(stranger.id(), false)
	a.awaitChange(second.id(), true)

	// A configured address is the operator's wish, whoever is there.
	crowded := start(t, options{config: func(c *Config) { c.MaxPeers, c.Peers = 0, []string{stranger.net.Address(), second.net.Address()} }})
	crowded.awaitChange(second.id(), true)
}

// TestDiscovery: two nodes that know a third find each other, and only if they want to.
func TestDiscovery(t *testing.T) { eachSuite(t, testDiscovery) }

func testDiscovery(t *testing.T) {
	curious := func(peers ...string) options {
		return options{config: func(c *Config) { c.Discovery, c.Peers = true, peers }, setup: func(n *Network) { n.asks = 20 * time.Millisecond }}
	}
	hub := start(t, curious())
	a, b := start(t, curious(hub.net.Address())), start(t, curious(hub.net.Address()))
	shy := start(t, options{config: func(c *Config) { c.Peers = []string{hub.net.Address()} }})
	shy.awaitChange(hub.id(), true)
	a.awaitChange(b.id(), true)
	b.awaitChange(a.id(), true)
	_, err := a.net.Request(t.Context(), hub.id(), peersMethod.Name, nil)
	require.NoError(t, err)
	eventually(t, "the shy one", func() bool { return a.net.book.connected(shy.id()) != nil }) // it can be found, and tells nothing
	_, err = a.net.Request(t.Context(), shy.id(), peersMethod.Name, nil)
	require.ErrorContains(t, err, "discovery is off")
}

// TestDiscoveryOfMany: nodes that begin with one or two others each, along a line, all find enough of each other, whoever began where.
func TestDiscoveryOfMany(t *testing.T) {
	const count, wanted = 14, 8
	var nodes []*node
	for i := range count {
		var peers []string
		if i > 0 {
			peers = append(peers, nodes[i-1].net.Address())
		}
		nodes = append(nodes, start(t, options{config: func(c *Config) { c.Discovery, c.Peers = true, peers }, setup: func(n *Network) { n.asks = 20 * time.Millisecond }}))
	}
	for _, n := range nodes {
		eventually(t, "a node has found many", func() bool { return len(n.net.Connected()) >= wanted })
	}
	// Who is asked about a place tells the nearest that it knows, of all but who asks.
	asks, knows := nodes[0], nodes[1]
	if asks.net.book.connected(knows.id()) == nil {
		t.Fatal("the first two are not connected")
	}
	about := asks.net.placeOf(nodes[5].id())
	answer, err := asks.net.Request(t.Context(), knows.id(), peersMethod.Name, about[:])
	require.NoError(t, err)
	rumours, err := decodeRumours(answer)
	require.NoError(t, err)
	require.NotEmpty(t, rumours)
	for i, r := range rumours {
		require.NotEqual(t, asks.id(), r.peer)
		if i > 0 {
			x, y := asks.net.placeOf(rumours[i-1].peer).away(about), asks.net.placeOf(r.peer).away(about)
			require.Negative(t, bytes.Compare(x[:], y[:]))
		}
	}
	_, err = asks.net.Request(t.Context(), knows.id(), peersMethod.Name, []byte("no place"))
	require.ErrorContains(t, err, "a place has 32 bytes")
	eventually(t, "a malformed question counts", func() bool { return knows.info(asks.id()).Score < 0 })
}

// TestRumoursOfOneNetwork: a peer that tells of a hundred nodes in one network does not fill the room for all others.
func TestRumoursOfOneNetwork(t *testing.T) {
	n := start(t, options{})
	count := func() (out int) {
		n.net.mu.Lock()
		defer n.net.mu.Unlock()
		for _, t := range n.net.targets {
			if t.tries > 0 {
				out++
			}
		}
		return out
	}
	for i := range 100 {
		n.net.hear(rumour{peerWith(newKey(t)), fmt.Sprintf("192.0.2.%d:1", i+1)})
	}
	require.Equal(t, maxNeighbours, count())
	n.net.hear(rumour{peerWith(newKey(t)), "198.51.100.1:1"})
	n.net.hear(rumour{peerWith(newKey(t)), "[2001:db8::1]:1"})
	require.Equal(t, maxNeighbours+2, count())
	require.Equal(t, neighbourhood("[2001:db8::1]:1"), neighbourhood("[2001:db8:0:ffff::1]:2"))
	require.Empty(t, neighbourhood("127.0.0.1:1"))
}
