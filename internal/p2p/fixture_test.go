package p2p

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// patience is the longest that a test waits for something that has to come. It is only ever used up by a failure.
const patience = 60 * time.Second

// The protocols that the tests speak.
var (
	votes = Protocol{Name: "votes", Priority: 0, MaxMessage: 1 << 20, QueueMessages: 4096, QueueBytes: 4 << 20}
	bulk  = Protocol{Name: "bulk", Priority: 50, MaxMessage: 8 << 20, QueueMessages: 4096, QueueBytes: 64 << 20}
	board = Protocol{Name: "board", Priority: 10, MaxMessage: 1 << 16, QueueMessages: 64, QueueBytes: 1 << 20, MembersOnly: true}
)

type received struct {
	from     chain.Peer
	protocol string
	msg      []byte
}

type change struct {
	peer chain.Peer
	came bool
}

// node is a network on loopback that remembers what it hears.
type node struct {
	t       testing.TB
	net     *Network
	key     crypto.PrivateKey
	inbox   chan received
	changes chan change
	twice   chan string
	cancel  context.CancelFunc
	ended   chan error
	clock   *shiftedClock
}

// shiftedClock is the real one plus what tests add.
type shiftedClock struct {
	mu    sync.Mutex
	shift time.Duration
}

func (c *shiftedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.shift)
}

func (c *shiftedClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shift += d
}

// suite is of the nodes that the tests start.
var suite crypto.Suite = intl.Suite{}

// eachSuite runs a test with nodes of each suite.
func eachSuite(t *testing.T, test func(*testing.T)) {
	for _, s := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(s.Name(), func(t *testing.T) {
			before := suite
			suite = s
			defer func() { suite = before }()
			test(t)
		})
	}
}

func newKey(t testing.TB) crypto.PrivateKey {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func peerWith(key crypto.PrivateKey) chain.Peer { return chain.Peer(key.Public().Bytes()) }

// options alter a node before it runs.
type options struct {
	key     crypto.PrivateKey
	config  func(*Config)
	genesis crypto.Hash
	setup   func(*Network)
	slow    func(received) // called by the handler before it takes the message
}

// start runs a node that listens on a free port of loopback.
func start(t testing.TB, o options) *node {
	t.Helper()
	n := prepare(t, o)
	n.run()
	return n
}

func prepare(t testing.TB, o options) *node {
	t.Helper()
	if o.key == nil {
		o.key = newKey(t)
	}
	if o.genesis.IsZero() {
		o.genesis = crypto.Hash{1, 2, 3}
	}
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.ReconnectMin, cfg.ReconnectMax = 10*time.Millisecond, 200*time.Millisecond
	cfg.DeadAfter = time.Minute // a busy machine must not fail a test that is not about this
	if o.config != nil {
		o.config(&cfg)
	}
	out := io.Discard
	if os.Getenv("P2P_LOG") != "" {
		out = os.Stderr
	}
	name := peerWith(o.key).Short()
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
	net, err := New(cfg, Identity{Suite: suite, Key: o.key, Genesis: o.genesis, ChainID: 7, Version: "test/1"}, log)
	require.NoError(t, err)
	n := &node{t: t, net: net, key: o.key, inbox: make(chan received, 1<<16), changes: make(chan change, 1024), twice: make(chan string, 16),
		ended: make(chan error, 1), clock: &shiftedClock{}}
	net.now = n.clock.now
	for _, p := range []Protocol{votes, bulk, board} {
		net.Handle(p, func(from chain.Peer, msg []byte) {
			r := received{from, p.Name, msg}
			if o.slow != nil {
				o.slow(r)
			}
			n.inbox <- r
		})
	}
	net.Watch(func(p chain.Peer, came bool) { n.changes <- change{p, came} })
	net.OnConflict(func(what string) { n.twice <- what })
	if o.setup != nil {
		o.setup(net)
	}
	return n
}

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.ended <- n.net.Run(ctx) }()
	select {
	case <-n.net.listening:
	case err := <-n.ended:
		n.t.Fatalf("run: %v", err)
	}
	n.t.Cleanup(n.stop)
}

// stop ends the node and waits for it.
func (n *node) stop() {
	if n.cancel == nil {
		return
	}
	n.cancel()
	n.cancel = nil
	select {
	case err := <-n.ended:
		require.NoError(n.t, err)
	case <-time.After(patience):
		n.t.Error("the network does not end")
	}
}

func (n *node) id() chain.Peer { return peerWith(n.key) }

// next waits for a message.
func (n *node) next() received {
	n.t.Helper()
	return await(n.t, n.inbox, "a message")
}

// awaitChange waits until peer has come or gone.
func (n *node) awaitChange(peer chain.Peer, came bool) {
	n.t.Helper()
	for {
		c := await(n.t, n.changes, "a peer's coming or going")
		if c.peer == peer && c.came == came {
			return
		}
	}
}

func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// info is what n knows of peer.
func (n *node) info(peer chain.Peer) Info {
	for _, i := range n.net.Peers() {
		if i.Peer == peer {
			return i
		}
	}
	return Info{}
}

// eventually asks again and again until ok, for what no event tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come true", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// mesh makes all nodes members of one chain.
func mesh(nodes ...*node) {
	members := make(map[chain.Peer]string)
	for _, n := range nodes {
		members[n.id()] = n.net.Address()
	}
	for _, n := range nodes {
		n.net.SetMembers(maps.Clone(members))
	}
}

// pair are two connected members, of which only b dials: there is one connection from the beginning.
func pair(t testing.TB, oa, ob options) (a, b *node) {
	a, b = start(t, oa), start(t, ob)
	join(a, b)
	return a, b
}

// join makes a and b members, lets b dial a and waits for the connection.
func join(a, b *node) {
	a.t.Helper()
	a.net.SetMembers(map[chain.Peer]string{a.id(): "", b.id(): ""})
	b.net.SetMembers(map[chain.Peer]string{a.id(): a.net.Address(), b.id(): ""})
	a.awaitChange(b.id(), true)
	b.awaitChange(a.id(), true)
}
