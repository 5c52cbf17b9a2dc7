// Package p2p connects the nodes of a chain: authenticated, bounded streams for every purpose.
//
// It stands beside the stages of pool → order → execute → attest → store → serve and carries what they tell each other. It owns connections,
// identities on the wire, queues, scores and bans, and knows nothing of what messages mean.
//
// Invariants: a message is from the node whose key the connection has proven; what a peer sends costs bounded memory and work; a full queue drops
// the new message, counts it and blocks nobody; a peer that misbehaves loses its place and costs the others nothing.
package p2p
