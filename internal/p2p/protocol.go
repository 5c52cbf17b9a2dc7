package p2p

import (
	"context"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Protocol is one purpose of messages. Each has a stream and a bounded queue of its own per peer, so that one purpose never waits behind another's
// backlog.
type Protocol struct {
	// Name is part of what peers negotiate and a metric's label: 1 to 32 lower-case letters, digits, - and _; no Method has the same.
	Name string
	// Priority orders what waits for the same peer: a lower number goes first.
	Priority int
	// MaxMessage bounds one message in bytes; a longer claim ends the stream and counts against the peer.
	MaxMessage int
	// QueueMessages and QueueBytes bound what waits for one peer; when full the new message is dropped and counted.
	QueueMessages, QueueBytes int
	// BytesPerSecond is what one peer may send of it in the long run (0: no limit), Burst what it may send at once. Beyond that reading waits,
	// which slows the sender; nothing is lost.
	BytesPerSecond, Burst int
	// MembersOnly refuses streams of peers that are no members (see Network.SetMembers).
	MembersOnly bool
}

// Handler takes a message of a peer. It must not block; msg belongs to it. It is called by one goroutine at a time per peer and protocol.
type Handler func(from chain.Peer, msg []byte)

// Method is one kind of request.
type Method struct {
	// Name is like a protocol's.
	Name string
	// Priority orders requests and responses among all that waits for the same peer, as Protocol.Priority does.
	Priority int
	// MaxRequest and MaxResponse bound the two messages in bytes.
	MaxRequest, MaxResponse int
	// Parallel is how many requests of one peer are answered at a time; more wait in the peer's own stream window.
	Parallel int
	// Timeout bounds one answer, reading the request and writing the response included.
	Timeout time.Duration
}

// Responder answers a request. An error is told to the peer as a short text. Called by many goroutines at a time.
type Responder func(ctx context.Context, from chain.Peer, request []byte) ([]byte, error)

// Offence says how badly a peer behaved. See Network.Report.
type Offence int

// The offences. Scores heal with time, so that an honest peer with a bad day comes back.
const (
	// Nuisance is what can happen to an honest peer: something old, late or twice. However much of it there is, it never bans.
	Nuisance Offence = 1
	// Misbehaviour is what an honest peer does not do but that costs little: malformed messages, wrong signatures.
	Misbehaviour Offence = 10
	// Attack is what bans at once: another's identity, altered data, two signatures for one thing. (A node of another chain is refused and not banned:
	// it is most often a wrong file, and works as soon as that is corrected.)
	Attack Offence = 100
)

// Info is what is known of a peer, connected or not.
type Info struct {
	// Peer is "" for a configured address whose node's key is not known yet.
	Peer chain.Peer
	// Address is the host:port that it was last reached at or came from.
	Address   string
	Member    bool
	Connected bool
	// Inbound tells that the peer opened the connection.
	Inbound bool
	// Channel is the Noise protocol's name by which a connected peer was proven and is talked to in private; "" when it is not connected.
	Channel string
	Since   time.Time
	// Score is 0 for a peer without offences, -100 bans.
	Score       int
	BannedUntil time.Time
	// LastError is why the last attempt to connect failed, or why the last connection ended; "" after a success.
	LastError string
	// Sent, Received are bytes of messages and requests since the start; Dropped counts messages that found a full queue.
	Sent, Received, Dropped uint64
	// RoundTrip is the last measured one; 0 when unknown.
	RoundTrip time.Duration
}
