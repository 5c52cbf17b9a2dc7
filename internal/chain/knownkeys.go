package chain

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// maxKnownKeys bounds the keys that a Verifier remembers: about half a KiB each, 8 MiB.
const maxKnownKeys = 1 << 14

// maxPrepared bounds those of them that are prepared: 52 KiB each, 13 MiB. A chain whose senders are a few services, exchanges or notaries has no more.
const maxPrepared = 256

// prepareAfter is how many transactions a key must have sent: to prepare one takes the time of nine verifications saved.
const prepareAfter = 32

// knownKeys remembers public keys under which a signature has verified. To parse a key, hash Z and hash the address takes a twelfth of the time of a whole
// verification (5.6 of 66 µs), and most senders send again. The keys of those that send most are prepared, which makes a verification more than three times
// as fast. Safe for concurrent use.
//
// It is two maps: when the young one is full, it takes the place of the old one, whose keys are forgotten but for those that were asked for since. Only who
// signs gets in, so that rubbish pushes nobody out; fresh keys may, and then a verification costs what it costs without.
type knownKeys struct {
	mu         sync.Mutex // guards all below
	young, old map[[sm2.PublicKeySize]byte]*remembered
	// prepared is a ring of those that were given a place, hand the one to look at next: it loses its place to another if it did not send since the hand
	// went by. So where more keys than there are places send alike, few change places, and preparing costs little.
	prepared []*remembered
	hand     int
}

// knownKey is a parsed key with its account.
type knownKey struct {
	key     *sm2.PublicKey
	address common.Address
	// due says that it is time to prepare the key, and is said once.
	due bool
}

// remembered is a known key and what was seen of it.
type remembered struct {
	knownKey
	finds int
	// placed is set while it is in the ring, recent whenever it is asked for.
	placed, recent bool
}

// find is the key if it is known, else the zero value.
func (c *knownKeys) find(publicKey [sm2.PublicKeySize]byte) knownKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.young[publicKey]
	if k == nil {
		if k = c.old[publicKey]; k == nil {
			return knownKey{}
		}
		c.put(publicKey, k)
	}
	k.finds++
	k.recent = true
	found := k.knownKey
	found.due = !k.placed && k.finds%prepareAfter == 0 && c.place(k)
	return found
}

// add remembers a key.
func (c *knownKeys) add(publicKey [sm2.PublicKeySize]byte, k knownKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(publicKey, &remembered{knownKey: k})
}

func (c *knownKeys) put(publicKey [sm2.PublicKeySize]byte, k *remembered) {
	if c.young == nil || len(c.young) == maxKnownKeys/2 {
		c.young, c.old = make(map[[sm2.PublicKeySize]byte]*remembered), c.young
	}
	c.young[publicKey] = k
}

// place gives k a place in the ring, if there is one or the next one is free to take.
func (c *knownKeys) place(k *remembered) bool {
	if len(c.prepared) < maxPrepared {
		c.prepared = append(c.prepared, nil)
		c.hand = len(c.prepared) - 1
	} else if last := c.prepared[c.hand]; last.recent {
		last.recent = false
		c.hand = (c.hand + 1) % maxPrepared
		return false
	} else {
		last.placed = false
		last.key.Release()
	}
	c.prepared[c.hand], k.placed = k, true
	c.hand = (c.hand + 1) % maxPrepared
	return true
}
