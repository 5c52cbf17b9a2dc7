package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// TestMembersOfTwoSets: a peer that was voted out and in again speaks by the number of the set that rules first, and is found by both.
func TestMembersOfTwoSets(t *testing.T) {
	m := newMembers("self")
	old := chain.ValidatorSet{{ID: 1, PublicKey: []byte("self")}, {ID: 2, PublicKey: []byte("a")}}
	next := chain.ValidatorSet{{ID: 1, PublicKey: []byte("self")}, {ID: 6, PublicKey: []byte("a")}, {ID: 7, PublicKey: []byte("b")}}
	m.set([]chain.ValidatorSet{old, next})
	require.EqualValues(t, 2, m.id("a"))
	require.EqualValues(t, 7, m.id("b"))
	require.Zero(t, m.id("c"))
	for _, id := range []uint64{2, 6} {
		p, ok := m.peer(order.PeerID(id))
		require.True(t, ok)
		require.EqualValues(t, "a", p)
	}
	require.Equal(t, []chain.Peer{"a", "b"}, m.others())
	m.set([]chain.ValidatorSet{next})
	require.EqualValues(t, 6, m.id("a"))
}
