package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/p2p"
)

var _ node.Network = (*endpoint)(nil)

var (
	testProtocol = p2p.Protocol{Name: "test", MaxMessage: 1000, QueueMessages: 4, QueueBytes: 4000}
	membersOnly  = p2p.Protocol{Name: "members", MaxMessage: 1000, QueueMessages: 4, QueueBytes: 4000, MembersOnly: true}
	testMethod   = p2p.Method{Name: "ask", MaxRequest: 100, MaxResponse: 100, Parallel: 1, Timeout: 10 * time.Second}
)

// listener is an endpoint with what it has heard.
type listener struct {
	*endpoint
	stop func()

	mu    sync.Mutex
	heard []string
}

func listen(t *testing.T, n *network, index int) *listener {
	l := &listener{endpoint: newEndpoint(n, index)}
	hear := func(from chain.Peer, msg []byte) { l.note(string(from) + ":" + string(msg)) }
	l.Handle(testProtocol, hear)
	l.Handle(membersOnly, hear)
	l.Serve(testMethod, func(ctx context.Context, from chain.Peer, request []byte) ([]byte, error) {
		switch string(request) {
		case "wait":
			<-ctx.Done()
			return nil, ctx.Err()
		case "no":
			return nil, errors.New("no")
		}
		return append([]byte("re "), request...), nil
	})
	l.Watch(func(p chain.Peer, connected bool) { l.note(fmt.Sprintf("%s %v", string(p), connected)) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	l.stop = func() {
		cancel()
		require.NoError(t, <-done)
	}
	return l
}

func (l *listener) note(s string) { l.mu.Lock(); l.heard = append(l.heard, s); l.mu.Unlock() }

func (l *listener) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.heard = nil }()
	return l.heard
}

func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1, []chain.Peer{"a", "b", "c"})
		a, b := listen(t, n, 0), listen(t, n, 1)
		require.False(t, a.Send("b", "test", []byte("early")))
		time.Sleep(3 * time.Second)
		require.Equal(t, []chain.Peer{"b"}, a.Connected())
		require.Len(t, a.take(), 1)
		require.Len(t, b.take(), 1)

		// Streams keep their order; what is too long or unknown is not sent.
		for i := range 50 {
			require.True(t, a.Send("b", "test", fmt.Append(nil, i)))
		}
		require.False(t, a.Send("b", "test", make([]byte, 1001)))
		require.False(t, a.Send("b", "other", nil))
		require.False(t, a.Send("c", "test", nil))
		time.Sleep(time.Second)
		var want []string
		for i := range 50 {
			want = append(want, fmt.Sprintf("a:%d", i))
		}
		require.Equal(t, want, b.take())

		// Only members open streams for members.
		a.Send("b", "members", []byte("x"))
		time.Sleep(time.Second)
		require.Empty(t, b.take())
		b.SetMembers(map[chain.Peer]string{"a": ""})
		a.Send("b", "members", []byte("x"))
		time.Sleep(time.Second)
		require.Equal(t, []string{"a:x"}, b.take())

		// Conditions.
		n.change(0, 1, func(c *condition) { c.loss = 100 })
		require.True(t, a.Send("b", "test", []byte("lost")))
		n.change(0, 1, func(c *condition) { c.loss, c.duplicate = 0, 100 })
		require.True(t, a.Send("b", "test", []byte("twice")))
		time.Sleep(20 * time.Second)
		require.Equal(t, []string{"a:twice", "a:twice"}, b.take())
		n.change(0, 1, func(c *condition) { c.duplicate, c.rate = 0, 100 })
		for range 4 {
			require.True(t, a.Send("b", "test", make([]byte, 100)))
		}
		require.False(t, a.Send("b", "test", make([]byte, 100)), "the queue is full")
		time.Sleep(4100 * time.Millisecond)
		require.Len(t, b.take(), 4)
		n.change(0, 1, func(c *condition) { *c = healthy })

		// A cut is found out, and healed.
		n.change(0, 1, func(c *condition) { c.cut = true })
		n.change(1, 0, func(c *condition) { c.cut = true })
		require.True(t, a.Send("b", "test", []byte("into the void")))
		time.Sleep(31 * time.Second)
		require.Equal(t, []string{"a false"}, b.take())
		require.Empty(t, a.Connected())
		n.change(0, 1, func(c *condition) { c.cut = false })
		n.change(1, 0, func(c *condition) { c.cut = false })
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"a true"}, b.take())
		b.stop()
		time.Sleep(time.Second)
		require.Empty(t, a.Connected())
		a.stop()
	})
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1, []chain.Peer{"a", "b"})
		a, b := listen(t, n, 0), listen(t, n, 1)
		ctx := context.Background()
		_, err := a.Request(ctx, "b", "ask", []byte("x"))
		require.ErrorIs(t, err, errNotConnected)
		time.Sleep(3 * time.Second)
		body, err := a.Request(ctx, "b", "ask", []byte("x"))
		require.NoError(t, err)
		require.Equal(t, "re x", string(body))
		_, err = a.Request(ctx, "b", "ask", []byte("no"))
		require.ErrorContains(t, err, "no")
		_, err = a.Request(ctx, "b", "ask", make([]byte, 101))
		require.Error(t, err)
		_, err = a.Request(ctx, "b", "ask", make([]byte, 98))
		require.ErrorContains(t, err, "answer of 101 bytes")
		start := time.Now()
		_, err = a.Request(ctx, "b", "ask", []byte("wait"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(start))

		// One at a time; the others wait for their turn.
		time.Sleep(time.Second)
		go func() { _, _ = a.Request(ctx, "b", "ask", []byte("wait")) }()
		time.Sleep(time.Second)
		start = time.Now()
		body, err = a.Request(ctx, "b", "ask", []byte("y"))
		require.NoError(t, err)
		require.Equal(t, "re y", string(body))
		require.Greater(t, time.Since(start), 8*time.Second)

		// A connection that ends ends what waits on it.
		go func() {
			time.Sleep(time.Second)
			n.detach(b.endpoint)
		}()
		_, err = a.Request(ctx, "b", "ask", []byte("wait"))
		require.ErrorIs(t, err, errBroken)
		a.stop()
		b.stop()
	})
}

func TestTwinsShareAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1, []chain.Peer{"a", "b", "b"})
		a, b, b2 := listen(t, n, 0), listen(t, n, 1), listen(t, n, 2)
		time.Sleep(3 * time.Second)
		reached := map[int]bool{}
		for range 40 {
			reached[a.peers["b"].index] = true
			n.shuffleTwins(1)
			n.shuffleTwins(2)
			time.Sleep(40 * time.Second)
			require.Equal(t, []chain.Peer{"b"}, a.Connected())
		}
		require.Len(t, reached, 2)
		a.stop()
		b.stop()
		b2.stop()
	})
}

func TestBans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1, []chain.Peer{"a", "b"})
		reports := 0
		n.reported = func(by, of int, _ p2p.Offence, _ string) { reports++ }
		a, b := listen(t, n, 0), listen(t, n, 1)
		time.Sleep(3 * time.Second)
		a.Report("b", p2p.Misbehaviour, "x")
		require.Len(t, a.Connected(), 1)
		require.Equal(t, -10, a.Peers()[0].Score)
		a.Report("b", p2p.Attack, "y")
		require.Empty(t, a.Connected())
		require.Equal(t, 2, reports)
		time.Sleep(banTime - time.Second)
		require.Empty(t, b.Connected())
		time.Sleep(4 * time.Second)
		require.Len(t, b.Connected(), 1)
		a.stop()
		b.stop()
	})
}
