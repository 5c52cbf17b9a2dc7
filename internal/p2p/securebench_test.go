package p2p

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// secured are the two ends of an encrypted connection on loopback, without multiplexer.
func secured(b *testing.B, l net.Listener, x, y *security) (near, far sec.SecureConn) {
	dialled := make(chan sec.SecureConn, 1)
	go func() {
		raw, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			panic(err)
		}
		c, err := x.SecureOutbound(context.Background(), raw, anyPeer)
		if err != nil {
			panic(err)
		}
		dialled <- c
	}()
	raw, err := l.Accept()
	require.NoError(b, err)
	far, err = y.SecureInbound(context.Background(), raw, "")
	require.NoError(b, err)
	return <-dialled, far
}

func benchSecurity(b *testing.B, run func(b *testing.B, l net.Listener, x, y *security)) {
	for _, s := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		b.Run(s.Channel().Protocol(), func(b *testing.B) {
			before := suite
			suite = s
			defer func() { suite = before }()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			defer l.Close()
			x, err := newSecurity(Identity{Suite: s, Key: newKey(b)}, nil)
			require.NoError(b, err)
			y, err := newSecurity(Identity{Suite: s, Key: newKey(b)}, nil)
			require.NoError(b, err)
			b.ReportAllocs()
			run(b, l, x, y)
		})
	}
}

// BenchmarkHandshake is a connection's beginning. cpu-ns/op is what both ends together use.
func BenchmarkHandshake(b *testing.B) {
	benchSecurity(b, func(b *testing.B, l net.Listener, x, y *security) {
		before := cpuTime(b)
		for b.Loop() {
			near, far := secured(b, l, x, y)
			near.Close()
			far.Close()
		}
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	})
}

// BenchmarkRecords is pieces of the gate's size through an encrypted connection on loopback.
func BenchmarkRecords(b *testing.B) {
	benchSecurity(b, func(b *testing.B, l net.Listener, x, y *security) {
		near, far := secured(b, l, x, y)
		defer near.Close()
		defer far.Close()
		sent := make(chan error, 1)
		piece, buf := make([]byte, pieceBytes), make([]byte, pieceBytes)
		b.SetBytes(pieceBytes)
		before := cpuTime(b)
		b.ResetTimer()
		go func() {
			var err error
			for range b.N {
				if _, err = near.Write(piece); err != nil {
					break
				}
			}
			sent <- err
		}()
		for range b.N {
			_, err := io.ReadFull(far, buf)
			require.NoError(b, err)
		}
		require.NoError(b, <-sent)
		b.StopTimer()
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	})
}
