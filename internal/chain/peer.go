package chain

import "encoding/hex"

// Peer names an authenticated node of the network: the suite's encoding of its public node key, as a string so that it can be compared and be a
// map's key.
type Peer string

// String is the key's hex, as node.key and the genesis have it.
func (p Peer) String() string { return "0x" + hex.EncodeToString([]byte(p)) }

// Short is the beginning of String, for logs.
func (p Peer) Short() string { return hex.EncodeToString([]byte(p[:min(len(p), 4)])) }
