package node

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// TestMembersOfTwoSets: a peer that was voted out and in again speaks by the number of the set that rules first, and is found by both.
func TestMembersOfTwoSets(t *testing.T) {
	m := newMembers("self", chain.BFT)
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

// TestGuests: where there are no validators everybody who is connected speaks, each by a number of its own that it keeps.
func TestGuests(t *testing.T) {
	m := newMembers("self", chain.PoW)
	require.Empty(t, m.listeners())
	a, b := m.speaker("a"), m.speaker("b") // heard before it is told that they came
	require.NotZero(t, a)
	require.NotZero(t, b)
	require.NotEqual(t, a, b)
	m.changed("b", true)
	m.changed("a", true)
	require.Equal(t, []chain.Peer{"a", "b"}, m.listeners())
	require.Zero(t, m.id("a"), "no validator")
	p, ok := m.peer(b)
	require.True(t, ok)
	require.EqualValues(t, "b", p)
	m.changed("a", false)
	require.Equal(t, []chain.Peer{"b"}, m.listeners())
	for i := range maxGuests + 10 { // a crowd that only passes by
		m.speaker(chain.Peer(fmt.Sprint("passing ", i)))
	}
	require.LessOrEqual(t, len(m.guests.byPeer), maxGuests)
	require.Equal(t, len(m.guests.byPeer), len(m.guests.byID))
	require.Equal(t, b, m.speaker("b"), "who is here keeps its number")
	require.NotEqual(t, a, m.speaker("a"), "who went may get another one")
	_, ok = m.peer(0)
	require.False(t, ok)
	m = newMembers("self", chain.BFT)
	m.changed("a", true)
	require.Zero(t, m.speaker("a"), "a chain with validators hears nobody else")
	require.Empty(t, m.listeners())
}
