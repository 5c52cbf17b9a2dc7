package p2p

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// cpuTime is what this process has used so far, on all cores.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSend is messages through two nodes on loopback, encrypted. cpu-ns/op is what both ends together use for one, system calls included.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{200, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for _, flood := range []bool{true, false} {
				b.Run(map[bool]string{true: "flood", false: "oneByOne"}[flood], func(b *testing.B) { benchSend(b, size, flood) })
			}
		})
	}
}

// benchSend sends b.N messages, as fast as they are taken or each after the one before was received.
func benchSend(b *testing.B, size int, flood bool) {
	var arrived atomic.Int64
	got := make(chan struct{}, 1)
	x, to := benchPair(b, func(chain.Peer, []byte) {
		arrived.Add(1)
		select {
		case got <- struct{}{}:
		default:
		}
	})
	msg := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	before := cpuTime(b)
	b.ResetTimer()
	for i := range b.N {
		if flood {
			for !x.net.Send(to, "stream", msg) {
				<-got
			}
			continue
		}
		require.True(b, x.net.Send(to, "stream", msg))
		for arrived.Load() <= int64(i) {
			<-got
		}
	}
	for arrived.Load() < int64(b.N) {
		<-got
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func benchPair(b *testing.B, h Handler) (*node, chain.Peer) {
	stream := Protocol{Name: "stream", Priority: 5, MaxMessage: 1 << 20, QueueMessages: 2048, QueueBytes: 8 << 20}
	x := start(b, options{setup: func(n *Network) { n.Handle(stream, h) }})
	y := start(b, options{setup: func(n *Network) { n.Handle(stream, h) }})
	join(x, y)
	return x, y.id()
}

// BenchmarkRequest is a request of 200 bytes with a response of 200.
func BenchmarkRequest(b *testing.B) {
	echo := Method{Name: "echo", Priority: 5, MaxRequest: 1 << 16, MaxResponse: 1 << 16, Parallel: 16, Timeout: time.Minute}
	serve := func(n *Network) {
		n.Serve(echo, func(_ context.Context, _ chain.Peer, request []byte) ([]byte, error) { return request, nil })
	}
	x, y := start(b, options{setup: serve}), start(b, options{setup: serve})
	join(x, y)
	msg := make([]byte, 200)
	b.ReportAllocs()
	before := cpuTime(b)
	b.ResetTimer()
	for range b.N {
		_, err := x.net.Request(context.Background(), y.id(), "echo", msg)
		require.NoError(b, err)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
