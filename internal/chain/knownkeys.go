package chain

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// maxKnownKeys bounds the keys that a Verifier remembers: about half a KiB each, 8 MiB.
const maxKnownKeys = 1 << 14

// knownKeys remembers public keys under which a signature has verified: most senders send again, and to decode and verify a transaction then takes 62 µs of
// CPU time instead of 68, because the key is parsed, Z hashed and the address found. Safe for concurrent use.
//
// It is two maps: when the young one is full, it takes the place of the old one, whose keys are forgotten but for those that were asked for since. Only who
// signs gets in, so that rubbish pushes nobody out; fresh keys may, and then a verification costs what it costs without.
type knownKeys struct {
	mu         sync.Mutex // guards all below
	young, old map[[sm2.PublicKeySize]byte]knownKey
}

// knownKey is a parsed key with its account.
type knownKey struct {
	key     *sm2.PublicKey
	address common.Address
}

// find is the key if it is known, else the zero value.
func (c *knownKeys) find(publicKey [sm2.PublicKeySize]byte) knownKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.young[publicKey]; ok {
		return k
	}
	k, ok := c.old[publicKey]
	if ok {
		c.put(publicKey, k)
	}
	return k
}

// add remembers a key.
func (c *knownKeys) add(publicKey [sm2.PublicKeySize]byte, k knownKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(publicKey, k)
}

func (c *knownKeys) put(publicKey [sm2.PublicKeySize]byte, k knownKey) {
	if c.young == nil || len(c.young) == maxKnownKeys/2 {
		c.young, c.old = make(map[[sm2.PublicKeySize]byte]knownKey), c.young
	}
	c.young[publicKey] = k
}
