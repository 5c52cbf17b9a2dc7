package sealed

import (
	"bytes"
	"encoding/binary"
	"errors"

	libp2p "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// identity is the multihash code of what is not hashed at all.
const identity = 0

// Name is a peer's name within libp2p: the identity multihash of its key. libp2p itself hashes keys of more than 42 bytes with SHA-256, and compares
// hashes; this name is as good as the key, for every length and on every suite. It never goes over the wire.
func Name(key []byte) peer.ID {
	return peer.ID(append(binary.AppendUvarint([]byte{identity}, uint64(len(key))), key...))
}

// KeyOf is the key in a Name.
func KeyOf(id peer.ID) ([]byte, error) {
	b := []byte(id)
	if len(b) < 2 || b[0] != identity {
		return nil, errors.New("name holds no key")
	}
	n, w := binary.Uvarint(b[1:])
	if w <= 0 || n != uint64(len(b)-1-w) {
		return nil, errors.New("name does not hold one key")
	}
	return b[1+w:], nil
}

// keyType is none of libp2p's: nothing there can read such a key, and nothing has to.
const keyType = pb.KeyType(0x4a4c)

// publicKey is a node's public key as libp2p has it.
type publicKey struct{ crypto.PublicKey }

func (k publicKey) Raw() ([]byte, error) { return k.Bytes(), nil }
func (k publicKey) Type() pb.KeyType     { return keyType }

func (k publicKey) Equals(other libp2p.Key) bool {
	raw, err := other.Raw()
	return err == nil && other.Type() == keyType && bytes.Equal(raw, k.Bytes())
}

func (k publicKey) Verify(msg, sig []byte) (bool, error) {
	err := k.PublicKey.Verify(msg, sig)
	if errors.Is(err, crypto.ErrSignature) {
		return false, nil
	}
	return err == nil, err
}
