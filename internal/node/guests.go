package node

import (
	"maps"
	"slices"
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// maxGuests bounds the peers that have a number: twice as many as may be connected. Beyond it those who are away lose theirs.
const maxGuests = 8192

// guests numbers the peers of a chain without validators, where everybody speaks to the engine. A peer keeps its number while this node runs, so that it is
// the same one when it comes back. Safe for concurrent use.
type guests struct {
	mu     sync.RWMutex
	last   order.PeerID
	byPeer map[chain.Peer]order.PeerID
	byID   map[order.PeerID]chain.Peer
	here   map[chain.Peer]bool
	// sorted are those who are here. It is replaced, never altered.
	sorted []chain.Peer
}

func newGuests() *guests {
	return &guests{byPeer: make(map[chain.Peer]order.PeerID), byID: make(map[order.PeerID]chain.Peer), here: make(map[chain.Peer]bool)}
}

// id is the peer's number, a new one if it has none.
func (g *guests) id(p chain.Peer) order.PeerID {
	g.mu.RLock()
	id := g.byPeer[p]
	g.mu.RUnlock()
	if id != 0 {
		return id
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if id := g.byPeer[p]; id != 0 {
		return id
	}
	if len(g.byPeer) >= maxGuests {
		for other, id := range g.byPeer {
			if !g.here[other] {
				delete(g.byPeer, other)
				delete(g.byID, id)
			}
		}
	}
	g.last++
	g.byPeer[p], g.byID[g.last] = g.last, p
	return g.last
}

func (g *guests) peer(id order.PeerID) (chain.Peer, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	p, ok := g.byID[id]
	return p, ok
}

func (g *guests) changed(p chain.Peer, connected bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if connected {
		g.here[p] = true
	} else {
		delete(g.here, p)
	}
	g.sorted = slices.Sorted(maps.Keys(g.here))
}

func (g *guests) connected() []chain.Peer {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.sorted
}
