package p2p

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) { eachSuite(t, testRoundTrip) }

func testRoundTrip(t *testing.T) {
	a, b := pair(t, options{}, options{})
	require.True(t, a.net.Send(b.id(), "votes", []byte("yes")))
	got := b.next()
	require.Equal(t, received{a.id(), "votes", []byte("yes")}, got)
	require.True(t, b.net.Send(a.id(), "bulk", make([]byte, 5<<20)))
	require.Len(t, a.next().msg, 5<<20)
}
