package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	libp2p "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	muxer "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/p2p/sealed"
)

// security is the one channel that a chain's nodes speak, as its suite wants it. It can also be asked for whoever is there.
type security struct {
	sec.SecureTransport
	// anyone takes whoever is there.
	anyone sec.SecureTransport
	// name is the Noise protocol's.
	name     string
	rejected func()
	// nameOf is a peer's name within libp2p, keyOf reverses it.
	nameOf func(chain.Peer) (peer.ID, error)
	keyOf  func(peer.ID) ([]byte, error)
}

// newSecurity takes the suite's own channel where it brings one, and libp2p's Noise otherwise. rejected counts callers that prove no key.
func newSecurity(id Identity, rejected func()) (*security, error) {
	made := id.Suite.Channel()
	if made.Agreement == nil {
		return newStock(id, rejected)
	}
	t, err := sealed.New(id.Suite, id.Key, []protocol.ID{muxer.ID})
	if err != nil {
		return nil, err
	}
	return &security{
		SecureTransport: t, anyone: t, name: made.Protocol(), rejected: rejected, keyOf: sealed.KeyOf,
		nameOf: func(p chain.Peer) (peer.ID, error) { return sealed.Name([]byte(p)), nil },
	}, nil
}

// newStock is libp2p's Noise under an Ed25519 key.
func newStock(id Identity, rejected func()) (*security, error) {
	public, err := libp2p.UnmarshalEd25519PublicKey(id.Key.Public().Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w: suite %s: %w", ErrKeyForm, id.Suite.Name(), err)
	}
	t, err := noise.New(noise.ID, stockKey{id.Key, public}, []upgrader.StreamMuxer{{ID: muxer.ID}})
	if err != nil {
		return nil, err
	}
	anyone, err := t.WithSessionOptions(noise.DisablePeerIDCheck())
	if err != nil {
		return nil, err
	}
	return &security{SecureTransport: t, anyone: anyone, name: id.Suite.Channel().Protocol(), rejected: rejected, nameOf: stockName, keyOf: stockKeyOf}, nil
}

// anyPeer stands for "whoever is there" where libp2p wants to be told whom it dials. No key has this identifier.
const anyPeer = peer.ID("jialing: any peer")

// SecureOutbound implements sec.SecureTransport.
func (s *security) SecureOutbound(ctx context.Context, conn net.Conn, p peer.ID) (sec.SecureConn, error) {
	if p == anyPeer {
		return s.anyone.SecureOutbound(ctx, conn, "")
	}
	return s.SecureTransport.SecureOutbound(ctx, conn, p)
}

// SecureInbound implements sec.SecureTransport.
func (s *security) SecureInbound(ctx context.Context, conn net.Conn, p peer.ID) (sec.SecureConn, error) {
	if c, ok := conn.(*caller); ok {
		conn = c.in()
	}
	out, err := s.SecureTransport.SecureInbound(ctx, conn, p)
	if err != nil {
		s.rejected()
	}
	return out, err
}

// called is the Noise protocol's name of what a connection negotiated.
func (s *security) called(id protocol.ID) string {
	if id == s.ID() {
		return s.name
	}
	return string(id)
}

// peerNamed is the key behind a libp2p name, as we write it.
func (s *security) peerNamed(id peer.ID) string {
	if key, err := s.keyOf(id); err == nil {
		return chain.Peer(key).String()
	}
	return id.String()
}

func stockName(p chain.Peer) (peer.ID, error) {
	key, err := libp2p.UnmarshalEd25519PublicKey([]byte(p))
	if err != nil {
		return "", fmt.Errorf("peer %s: %w", p, err)
	}
	return peer.IDFromPublicKey(key)
}

func stockKeyOf(id peer.ID) ([]byte, error) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return nil, err
	}
	return key.Raw()
}

// stockKey is a node's key as libp2p has one: it signs, and gives nothing away, for it may live in a device.
type stockKey struct {
	crypto.PrivateKey
	public libp2p.PubKey
}

var errNotGiven = errors.New("a node's key is not given away")

func (k stockKey) GetPublic() libp2p.PubKey { return k.public }
func (k stockKey) Type() pb.KeyType         { return k.public.Type() }
func (k stockKey) Raw() ([]byte, error)     { return nil, errNotGiven }

func (k stockKey) Equals(other libp2p.Key) bool {
	o, ok := other.(stockKey)
	return ok && bytes.Equal(o.Public().Bytes(), k.Public().Bytes())
}
