package gossip

import "sync/atomic"

// Stats counts since the start.
type Stats struct {
	// Sent and Relayed are transactions, once per peer that they were sent to; Batches are the messages.
	Sent, Relayed, Batches uint64
	// Received are transactions that peers sent; of those Admitted were new, Refused not valid on any node, NoRoom refused by a full pool.
	Received, Admitted, Refused, NoRoom uint64
	// DroppedBatches found the queue for the pool full; LostBatches found the network's queue to a peer full.
	DroppedBatches, LostBatches uint64
	// Comparisons of pools, and what they and Fetch got.
	Comparisons, Fetched uint64
}

type counters struct {
	sent, relayed, batches, received, admitted, refused, noRoom, dropped, lost, comparisons, fetched atomic.Uint64
}

// Stats may be asked at any time.
func (g *Gossip) Stats() Stats {
	s := &g.stats
	return Stats{Sent: s.sent.Load(), Relayed: s.relayed.Load(), Batches: s.batches.Load(), Received: s.received.Load(), Admitted: s.admitted.Load(),
		Refused: s.refused.Load(), NoRoom: s.noRoom.Load(), DroppedBatches: s.dropped.Load(), LostBatches: s.lost.Load(),
		Comparisons: s.comparisons.Load(), Fetched: s.fetched.Load()}
}
