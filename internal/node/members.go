package node

import (
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
	// ruling are the peers of the set that rules now, without this node.
	ruling []chain.Peer
}

func newMembers(self chain.Peer) *members { return &members{self: self} }

// set replaces all: sets are the ruling one and those to come.
func (m *members) set(sets ...chain.ValidatorSet) {
	byPeer, byID := make(map[chain.Peer]chain.ValidatorID), make(map[chain.ValidatorID]chain.Peer)
	var ruling []chain.Peer
	for i, set := range sets {
		for _, v := range set {
			p := chain.Peer(v.PublicKey)
			byPeer[p], byID[v.ID] = v.ID, p
			if i == 0 && p != m.self {
				ruling = append(ruling, p)
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byPeer, m.byID, m.ruling = byPeer, byID, ruling
}

// id is 0 for a peer that is no validator.
func (m *members) id(p chain.Peer) order.PeerID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return order.PeerID(m.byPeer[p])
}

func (m *members) peer(id order.PeerID) (chain.Peer, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.byID[chain.ValidatorID(id)]
	return p, ok
}

// others are the ruling set's peers but this node. The caller must not alter it.
func (m *members) others() []chain.Peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.ruling
}

// all are the validators' peers but this node, sorted.
func (m *members) all() []chain.Peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]chain.Peer, 0, len(m.byPeer))
	for p := range m.byPeer {
		if p != m.self {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}
