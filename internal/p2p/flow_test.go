package p2p

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestPriority: a vote overtakes a backlog of bulk, though the bulk was queued first and its reader is slow.
func TestPriority(t *testing.T) { eachSuite(t, testPriority) }

func testPriority(t *testing.T) {
	const backlog = 16
	gate := make(chan struct{})
	a, b := pair(t, options{}, options{slow: func(r received) {
		if r.protocol == "bulk" {
			<-gate
		}
	}})
	for range backlog {
		require.True(t, a.net.Send(b.id(), "bulk", make([]byte, 1<<20)))
	}
	require.True(t, a.net.Send(b.id(), "votes", []byte("now")))
	require.Equal(t, "votes", b.next().protocol, "nothing of the bulk is handled before the test lets it")
	close(gate)
	for range backlog {
		require.Len(t, b.next().msg, 1<<20)
	}
}

// TestPriorityOnTheWire: with everything flowing, a vote passes by bulk that waits.
func TestPriorityOnTheWire(t *testing.T) { eachSuite(t, testPriorityOnTheWire) }

func testPriorityOnTheWire(t *testing.T) {
	const backlog = 40
	a, b := pair(t, options{}, options{})
	for range backlog {
		require.True(t, a.net.Send(b.id(), "bulk", make([]byte, 1<<20)))
	}
	for i := range 10 {
		require.True(t, a.net.Send(b.id(), "votes", []byte{byte(i)}))
	}
	before, seen := 0, 0
	for range backlog + 10 {
		if r := b.next(); r.protocol == "votes" {
			require.Equal(t, []byte{byte(seen)}, r.msg, "in order")
			seen++
		} else if seen < 10 {
			before++
		}
	}
	require.Less(t, before, backlog/2, "bulk that was handled before the last vote")
}

// TestQueueFull: what does not fit is dropped, counted, and blocks nobody; what was taken arrives.
func TestQueueFull(t *testing.T) { eachSuite(t, testQueueFull) }

func testQueueFull(t *testing.T) {
	gate := make(chan struct{})
	a, b := pair(t, options{}, options{slow: func(r received) { <-gate }})
	taken := 0
	dropped := uint64(0)
	for dropped < 100 { // b reads nothing: its window and a's queue fill up
		if a.net.Send(b.id(), "votes", make([]byte, 10<<10)) {
			taken++
		} else {
			dropped++
		}
		require.Less(t, taken, 10_000, "the queue is not bounded")
	}
	require.True(t, a.net.Send(b.id(), "bulk", []byte("another queue")))
	require.Equal(t, dropped, a.info(b.id()).Dropped)
	require.Equal(t, float64(dropped), metric(t, a.net, "jialing_p2p_dropped_total", "votes"))
	require.False(t, a.net.Send(b.id(), "votes", make([]byte, votes.MaxMessage+1)), "longer than the protocol allows")
	require.False(t, a.net.Send(b.id(), "nothing", nil))
	require.False(t, a.net.Send("nobody", "votes", nil))
	close(gate)
	got := map[string]int{}
	for range taken + 1 {
		got[b.next().protocol]++
	}
	require.Equal(t, map[string]int{"votes": taken, "bulk": 1}, got)
	eventually(t, "the writer's count", func() bool { return metric(t, a.net, "jialing_p2p_messages_total", "out", "votes") == float64(taken) })
	require.Equal(t, float64(taken), metric(t, b.net, "jialing_p2p_messages_total", "in", "votes"))
}

// metric is the value of a metric whose labels have these values in order of their names.
func metric(t testing.TB, n *Network, name string, labels ...string) float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(n))
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if strings.Join(values, ",") == strings.Join(labels, ",") {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// TestRate: a protocol's bytes per second hold the sender back and lose nothing.
func TestRate(t *testing.T) { eachSuite(t, testRate) }

func testRate(t *testing.T) {
	slow := Protocol{Name: "slow", Priority: 5, MaxMessage: 1 << 10, QueueMessages: 100, QueueBytes: 1 << 20, BytesPerSecond: 20_000, Burst: 1_000}
	var last atomic.Int64
	got := make(chan struct{}, 100)
	setup := func(n *Network) {
		n.Handle(slow, func(chain.Peer, []byte) {
			last.Store(time.Now().UnixNano())
			got <- struct{}{}
		})
	}
	a, b := pair(t, options{setup: setup}, options{setup: setup})
	began := time.Now()
	const messages = 11
	for range messages {
		require.True(t, a.net.Send(b.id(), "slow", make([]byte, 1000-messageCost)))
	}
	for range messages {
		await(t, got, "a message")
	}
	require.GreaterOrEqual(t, time.Unix(0, last.Load()).Sub(began), 450*time.Millisecond, "ten thousand bytes beyond the burst at twenty thousand a second")
}

// TestRequests: answers, errors and every bound of a method.
func TestRequests(t *testing.T) { eachSuite(t, testRequests) }

func testRequests(t *testing.T) {
	m := Method{Name: "get", Priority: 5, MaxRequest: 1000, MaxResponse: 200_000, Parallel: 2, Timeout: patience}
	hurry := m
	hurry.Name, hurry.Timeout = "hurry", 50*time.Millisecond
	missing := m
	missing.Name = "missing"
	var now, most atomic.Int64
	hold := make(chan struct{})
	serve := func(n *Network) {
		n.Serve(m, func(ctx context.Context, from chain.Peer, request []byte) ([]byte, error) {
			switch string(request) {
			case "error":
				return nil, errors.New("no such block\x1b[2J" + strings.Repeat("!", 1000))
			case "large":
				return make([]byte, m.MaxResponse), nil
			case "too large":
				return make([]byte, m.MaxResponse+1), nil
			case "hold":
				for n := now.Add(1); n > most.Load(); {
					most.Store(n)
				}
				<-hold
				now.Add(-1)
			}
			return append([]byte("you are "), from...), nil
		})
		n.Serve(hurry, func(ctx context.Context, _ chain.Peer, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}
	client := func(n *Network) {
		serve(n)
		n.Serve(missing, func(context.Context, chain.Peer, []byte) ([]byte, error) { return nil, nil })
	}
	a, b := pair(t, options{setup: client}, options{setup: serve})
	ctx := context.Background()

	answer, err := a.net.Request(ctx, b.id(), "get", nil)
	require.NoError(t, err)
	require.Equal(t, "you are "+string(a.id()), string(answer))
	answer, err = a.net.Request(ctx, b.id(), "get", []byte("large"))
	require.NoError(t, err)
	require.Len(t, answer, m.MaxResponse)

	_, err = a.net.Request(ctx, b.id(), "get", []byte("error"))
	var remote RemoteError
	require.ErrorAs(t, err, &remote)
	require.Contains(t, string(remote), "no such block?[2J!")
	require.Len(t, string(remote), maxErrorText)
	_, err = a.net.Request(ctx, b.id(), "get", []byte("too large"))
	require.ErrorContains(t, err, "response of 200001 bytes")
	_, err = a.net.Request(ctx, b.id(), "get", make([]byte, m.MaxRequest+1))
	require.ErrorIs(t, err, errTooLong)
	_, err = a.net.Request(ctx, b.id(), "hurry", nil)
	require.Error(t, err, "both ends have the same time: whose is over first says so")
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = a.net.Request(short, b.id(), "get", []byte("hold"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = a.net.Request(ctx, b.id(), "missing", nil)
	require.ErrorContains(t, err, "does not answer such requests")
	_, err = a.net.Request(ctx, b.id(), "unregistered", nil)
	require.Error(t, err)
	_, err = a.net.Request(ctx, newNobody(t), "get", nil)
	require.ErrorIs(t, err, ErrNotConnected)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = a.net.Request(cancelled, b.id(), "get", nil)
	require.ErrorIs(t, err, context.Canceled)

	const many = 10
	done := make(chan error, many)
	for range many {
		go func() {
			_, err := a.net.Request(ctx, b.id(), "get", []byte("hold"))
			done <- err
		}()
	}
	eventually(t, "two requests in progress", func() bool { return now.Load() == 2 })
	close(hold)
	for range many {
		require.NoError(t, await(t, done, "an answer"))
	}
	require.EqualValues(t, 2, most.Load(), "as many at a time as the method says")
}

func newNobody(t *testing.T) chain.Peer { return peerWith(newKey(t)) }

// TestRequestEndsWithConnection: who waits for an answer hears at once that the peer is gone.
func TestRequestEndsWithConnection(t *testing.T) { eachSuite(t, testRequestEndsWithConnection) }

func testRequestEndsWithConnection(t *testing.T) {
	m := Method{Name: "get", MaxRequest: 10, MaxResponse: 10, Parallel: 1, Timeout: maxTimeout}
	asked := make(chan struct{}, 1)
	serve := func(n *Network) {
		n.Serve(m, func(ctx context.Context, _ chain.Peer, _ []byte) ([]byte, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}
	a, b := pair(t, options{setup: serve}, options{setup: serve})
	done := make(chan error, 1)
	go func() {
		_, err := a.net.Request(context.Background(), b.id(), "get", nil)
		done <- err
	}()
	await(t, asked, "the request")
	b.stop()
	require.ErrorIs(t, await(t, done, "the end of the request"), ErrNotConnected)
}
