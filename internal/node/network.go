package node

import (
	"context"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// Network is how a node reaches the others: p2p.Network on a real chain, a simulated one in test/sim. Handle, Serve and Watch come before Run; the
// other methods are safe for concurrent use and do nothing useful before it.
type Network interface {
	// Handle gives the messages of protocol p to h.
	Handle(p p2p.Protocol, h p2p.Handler)
	// Serve answers requests of method m by r.
	Serve(m p2p.Method, r p2p.Responder)
	// Watch calls f when a peer has come or gone, after its streams work. f must not block.
	Watch(f func(peer chain.Peer, connected bool))
	// Run connects, listens and serves until ctx ends (nil) or it cannot go on; it returns when its goroutines have.
	Run(ctx context.Context) error
	// Send queues msg and never blocks; false when the peer is not connected or its queue is full. msg must not be altered afterwards.
	Send(to chain.Peer, protocol string, msg []byte) bool
	// Request asks a peer and waits for the answer. It fails when the peer is not connected, refuses, breaks a bound or takes longer than ctx or the
	// method allow.
	Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error)
	// SetMembers says who belongs to the chain's validators, with their endpoints ("" where unknown): those are dialled, have room reserved and
	// may open streams of protocols for members only.
	SetMembers(members map[chain.Peer]string)
	// Report lowers a peer's score, which may disconnect and ban it. why is for the log.
	Report(peer chain.Peer, offence p2p.Offence, why string)
	// Connected are the peers that can be sent to now, sorted.
	Connected() []chain.Peer
	// Peers are all that are known: members, configured, connected and banned ones.
	Peers() []p2p.Info
}
