// Package p2p connects the nodes of a chain: authenticated, bounded streams for every purpose.
//
// It stands beside the stages of pool → order → execute → attest → store → serve and carries what they tell each other. It owns connections,
// identities on the wire, queues, scores and bans, and knows nothing of what messages mean.
//
// A node's key is its identity: connections prove it, chain.Peer is its public half. The way of a message: Send puts it into the peer's outbox for its
// protocol; the outbox's writer passes the connection's gate by priority, joins what small messages wait, and writes a piece to the protocol's own
// stream; at the other end the stream's reader hands it to the Handler. A request has a stream of its own.
//
// Two nodes begin with a hello that all chains share. It finds a node of another chain, the node itself, and a second process with a peer's key. After it
// every stream's name begins with the chain.
//
// Invariants: a message is from the node whose key the connection has proven; a peer has one connection, and its messages of a protocol are handled one
// at a time and in order as long as that lasts; what a peer sends costs bounded memory and work; a full queue drops the new message, counts it and
// blocks nobody; a peer that misbehaves loses its place and costs the others nothing.
package p2p
