package p2p

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// TestHostLimits: one address cannot take all connections, nodes behind a gateway can reconnect together, and loopback has no such bounds.
func TestHostLimits(t *testing.T) {
	cfg := DefaultConfig()
	limits, err := newLimits(&cfg)
	require.NoError(t, err)
	defer limits.Close()
	open := func(address string, keep bool) bool {
		scope, err := limits.OpenConnection(network.DirInbound, true, ma.StringCast(address))
		if err == nil && !keep {
			scope.Done()
		}
		return err == nil
	}
	for i := range hostBurst {
		require.True(t, open("/ip4/192.0.2.1/tcp/1", false), "connection %d", i)
	}
	refused := 0
	for range hostBurst {
		if !open("/ip4/192.0.2.1/tcp/1", false) {
			refused++
		}
	}
	require.Positive(t, refused, "more than the pace")
	for i := range perHostConns {
		require.True(t, open("/ip4/192.0.2.2/tcp/1", true), "connection %d", i)
	}
	require.False(t, open("/ip4/192.0.2.2/tcp/1", true), "too many at a time")
	require.True(t, open("/ip4/192.0.2.3/tcp/1", true), "another address is not affected")
	for i := range 2 * hostBurst {
		require.True(t, open("/ip4/127.0.0.1/tcp/1", false), "connection %d", i)
	}
}
