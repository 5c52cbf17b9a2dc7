package pow

import (
	"slices"
	"time"

	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// maxPeers bounds the peers that are remembered; of more, the one that was silent longest goes. Nodes have far fewer at a time.
	maxPeers = 512
	// askLeast and askMost bound how long a peer may take to answer a page of headers before it is asked again; in between it is four intervals, as forks grow
	// by the interval.
	askLeast = 500 * time.Millisecond
	askMost  = 5 * time.Second
	// asksPerBeat and blocksPerBeat are how many pages of headers and how many blocks one peer is served between two beats. The rest it asks for again.
	asksPerBeat   = 16
	blocksPerBeat = 64
)

// peer is what a session knows of one that speaks to it.
type peer struct {
	heard time.Time
	// claim is the most work that a header of its tips has claimed; height that header's.
	claim  uint256.Int
	height uint64
	// asked is when it was asked for headers that have not come; zero when it was not.
	asked time.Time
	// deep is the chain of headers that it leads through, off below the root.
	deep *deepChain
	// pages and blocks are what it was served since the last beat.
	pages, blocks int
}

// deepChain are headers that leave out what is delivered, of which only the last ones are remembered.
type deepChain struct {
	fork uint64
	last *node
}

// peers are bounded.
type peers map[order.PeerID]*peer

func (p peers) of(id order.PeerID, now time.Time) *peer {
	who := p[id]
	if who == nil {
		if len(p) >= maxPeers {
			oldest := id
			for other, o := range p {
				if oldest == id || o.heard.Before(p[oldest].heard) || o.heard.Equal(p[oldest].heard) && other < oldest {
					oldest = other
				}
			}
			delete(p, oldest)
		}
		who = new(peer)
		p[id] = who
	}
	who.heard = now
	return who
}

// tick begins a beat.
func (p peers) tick(now time.Time, askWait time.Duration) {
	for _, who := range p {
		who.pages, who.blocks = 0, 0
		if now.Sub(who.asked) > askWait {
			who.asked = time.Time{}
		}
	}
}

// ids are those that were heard of lately, in the order of their numbers.
func (p peers) ids(now time.Time) (out []order.PeerID) {
	for id, who := range p {
		if now.Sub(who.heard) < time.Minute {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
