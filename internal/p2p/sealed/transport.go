// Package sealed is the peers' channel of a suite that brings its own primitives: Noise XX (noiseprotocol.org) on them, as a security transport of
// libp2p.
//
// It is a part of internal/p2p, which stands beside the stages of pool → order → execute → attest → store → serve: between the socket and the stream
// multiplexer. It owns what a connection knows of its keys and counters, and no state beyond connections.
//
// Three messages make a channel, each with its length in two bytes before it. The first carries the dialler's ephemeral key, the second and third carry
// both sides' ephemeral and static keys of this one connection and, encrypted, a payload: the node's key, its signature, and the stream multiplexers
// that it knows. The signature binds the static key, the side and everything said before to the node's key, so that no message of another connection
// fits. What follows are records: two bytes of length and up to 65535 bytes of ciphertext and tag.
//
// Invariants: a peer is named by its whole key and by no hash of it; nothing is sent or believed under a key before the peer has proven its own, except
// the listener's payload, which a dialler can read; no nonce is used twice under a key; after the first record that cannot be opened, or that was
// not written whole, nothing more is read or written.
package sealed

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/flynn/noise"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Transport makes channels for one node. Safe for concurrent use.
type Transport struct {
	suite  crypto.Suite
	key    crypto.PrivateKey
	self   []byte // the public half of key
	muxers []protocol.ID
	id     protocol.ID
	noise  noise.CipherSuite
	// rekeyEvery is the constant of this name, less in tests.
	rekeyEvery uint64
}

// ErrIncomplete is returned for a suite that does not say of what its channel is made.
var ErrIncomplete = errors.New("suite brings no primitives for a channel of its own")

// New makes the transport of a node with the given key. muxers are the stream multiplexers that it knows, the best first.
func New(suite crypto.Suite, key crypto.PrivateKey, muxers []protocol.ID) (*Transport, error) {
	functions, err := newPrimitives(suite)
	if err != nil {
		return nil, err
	}
	if len(muxers) == 0 || len(muxers) > maxMuxers {
		return nil, fmt.Errorf("channel: 1 to %d stream multiplexers are needed, got %d", maxMuxers, len(muxers))
	}
	return &Transport{
		suite: suite, key: key, self: key.Public().Bytes(), muxers: muxers, id: ProtocolID(suite.Channel()),
		noise: noise.NewCipherSuite(functions, functions, functions), rekeyEvery: rekeyEvery,
	}, nil
}

// ProtocolID is what peers negotiate: it names the algorithms and the version of this package's messages.
func ProtocolID(c crypto.Channel) protocol.ID { return protocol.ID("/jialing/" + c.Protocol() + "/1") }

// ID implements sec.SecureTransport.
func (t *Transport) ID() protocol.ID { return t.id }

// SecureInbound makes a channel on a connection that came in. A p that is not "" is the only peer that will do.
func (t *Transport) SecureInbound(ctx context.Context, conn net.Conn, p peer.ID) (sec.SecureConn, error) {
	return t.secure(ctx, conn, p, listener)
}

// SecureOutbound makes a channel on a connection that was dialled. A p that is not "" is the only peer that will do.
func (t *Transport) SecureOutbound(ctx context.Context, conn net.Conn, p peer.ID) (sec.SecureConn, error) {
	return t.secure(ctx, conn, p, dialler)
}

// secure runs the handshake until it is done, fails or ctx ends; in the latter two cases conn is closed.
func (t *Transport) secure(ctx context.Context, conn net.Conn, want peer.ID, us side) (sec.SecureConn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	h, err := newHandshake(t, conn, want, us)
	if err == nil {
		err = h.run()
	}
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", t.suite.Channel().Protocol(), err)
	}
	return h.channel(), nil
}
