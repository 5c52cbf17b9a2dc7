// Package gossip spreads transactions between the pools of nodes. It stands beside pool → order → execute → attest → store → serve: what the pool
// of one node admits reaches the pools of all others before a proposal names it.
//
// The node where a transaction entered sends it to each of its peers, once and in batches. Who receives it relays it only to those of its peers
// that have no link to the one that it came from. For that, nodes tell each other their links. So in a full mesh every transaction crosses each link
// of its first node once and no other link; in any connected network it reaches every node: take a node that lacks it and has a neighbour that
// holds it; that neighbour kept it back only because the one that it came from, who had it earlier, is a neighbour too, and so on back to the
// first node, which sends to all its neighbours.
//
// What that misses is repaired by comparison: a node that may lack something (a link is new, a queue was full, the pool had no room, a link between
// two of a peer's peers broke) asks for the hashes that the peer's pool holds ready and fetches what it lacks.
//
// It owns the queues between network and pool and the knowledge of links. Invariants:
//   - every queue is bounded: what a peer sends beyond its queue is dropped, counted and compared later;
//   - one message of a peer costs memory proportional to its size, and decoding copies nothing;
//   - transactions of one peer enter the pool in the order in which they came.
package gossip
