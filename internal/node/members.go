package node

import (
	"maps"
	"slices"
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// members maps between the network's names (keys) and the engine's (validator numbers): of the set that rules and of those that are settled to rule
// later, so that who joins is connected before its time comes. Safe for concurrent use.
type members struct {
	self chain.Peer

	mu     sync.RWMutex
	byPeer map[chain.Peer]chain.ValidatorID
	byID   map[chain.ValidatorID]chain.Peer
	// peers are all of them but this node, sorted. It is replaced, never altered.
	peers []chain.Peer

	// guests is nil where only validators speak to the engine.
	guests *guests
}

// newMembers are those of a chain whose engine hears its validators, or everybody where it has none.
func newMembers(self chain.Peer, engine chain.EngineKind) *members {
	m := &members{self: self}
	if !engine.Signed() {
		m.guests = newGuests()
	}
	return m
}

// set replaces all. The sets are in the order in which they rule: a peer that was voted out and in again has two numbers until the second one rules,
// and until then it speaks by the first.
func (m *members) set(sets []chain.ValidatorSet) {
	byPeer, byID := make(map[chain.Peer]chain.ValidatorID), make(map[chain.ValidatorID]chain.Peer)
	for _, set := range sets {
		for _, v := range set {
			p := chain.Peer(v.PublicKey)
			byID[v.ID] = p
			if _, named := byPeer[p]; !named {
				byPeer[p] = v.ID
			}
		}
	}
	peers := slices.Sorted(maps.Keys(byPeer))
	peers = slices.DeleteFunc(peers, func(p chain.Peer) bool { return p == m.self })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byPeer, m.byID, m.peers = byPeer, byID, peers
}

// id is 0 for a peer that is no validator.
func (m *members) id(p chain.Peer) order.PeerID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return order.PeerID(m.byPeer[p])
}

// speaker is the number by which the engine knows a peer; 0 for one that it does not hear.
func (m *members) speaker(p chain.Peer) order.PeerID {
	if m.guests != nil {
		return m.guests.id(p)
	}
	return m.id(p)
}

// changed tells that a peer has come or gone.
func (m *members) changed(p chain.Peer, connected bool) {
	if m.guests != nil {
		m.guests.changed(p, connected)
	}
}

func (m *members) peer(id order.PeerID) (chain.Peer, bool) {
	if m.guests != nil {
		return m.guests.peer(id)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.byID[chain.ValidatorID(id)]
	return p, ok
}

// listeners are those that the engine's broadcasts go to. The caller must not alter it.
func (m *members) listeners() []chain.Peer {
	if m.guests != nil {
		return m.guests.connected()
	}
	return m.others()
}

// others are all validators' peers but this node, sorted. The caller must not alter it.
func (m *members) others() []chain.Peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.peers
}
