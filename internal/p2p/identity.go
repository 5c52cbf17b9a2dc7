package p2p

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	libp2p "github.com/libp2p/go-libp2p/core/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Identity is who this node is and which chain it is of.
type Identity struct {
	Suite crypto.Suite
	// Key is the node's key. Its public half is the node's chain.Peer, and what connections prove.
	Key     crypto.PrivateKey
	Genesis crypto.Hash
	ChainID uint64
	// Version is what peers show of this node's software; at most maxVersion bytes.
	Version string
}

// ErrKeyForm is returned for a suite whose node keys no peer channel is made for.
var ErrKeyForm = errors.New("no peer channel for this kind of node key")

// peerOf is the node whose key a connection has proven.
func peerOf(key libp2p.PubKey) (chain.Peer, error) {
	raw, err := key.Raw()
	if err != nil {
		return "", fmt.Errorf("peer's key: %w", err)
	}
	return chain.Peer(raw), nil
}

// The names of what streams carry begin with the chain, so that nodes of two chains can never take each other's messages for their own. Only the
// hello, which finds that out, has a name that all chains share.
const (
	helloName = "/jialing/hello/1"
	// maxStreamName bounds the first frame of a stream: a prefix, eight bytes of hash in hex, a name and a version.
	maxStreamName = 96
	maxName       = 32
)

func streamName(genesis crypto.Hash, name string) string {
	return "/jialing/" + hex.EncodeToString(genesis[:8]) + "/" + name + "/1"
}

func requestName(genesis crypto.Hash, name string) string {
	return "/jialing/" + hex.EncodeToString(genesis[:8]) + "/request/" + name + "/1"
}

// checkName keeps names to what the wire and metric labels take.
func checkName(name string) error {
	outside := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' }
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, outside) {
		return fmt.Errorf("name %q must be 1 to %d lower-case letters, digits, - and _", name, maxName)
	}
	return nil
}
