package sim

import (
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
)

// convictions is what somebody sees who reads along with all that may lie, and believes nothing unverified: contradictions that no single node may notice, as each hears
// one version. The network's taps write, the clients read.
type convictions struct {
	w *world

	mu sync.Mutex
	// said are the attestations of each node key, by height; signatures are looked at only when two differ.
	said   map[chain.Peer]map[uint64]wireSigned
	caught map[chain.Peer]*chain.Contradiction
}

func newConvictions(w *world) *convictions {
	return &convictions{w: w, said: make(map[chain.Peer]map[uint64]wireSigned), caught: make(map[chain.Peer]*chain.Contradiction)}
}

// heard reads a message of attestations that a member sends.
func (c *convictions) heard(m *member, msg []byte) {
	genesis, id := c.w.genesisHash.Load(), c.w.idOf(m.peer)
	if genesis == nil || id == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.said[m.peer]
	if by == nil {
		by = make(map[uint64]wireSigned)
		c.said[m.peer] = by
	}
	for _, a := range decodeSigned(msg) {
		if a.Attestation.Validator != id || c.caught[m.peer] != nil {
			continue
		}
		before, known := by[a.Height]
		if known && before.Header != a.Header {
			proof := &chain.Contradiction{Validator: id, PublicKey: []byte(m.peer), Signatures: [2][]byte{before.Attestation.Signature, a.Attestation.Signature},
				Messages: [2][]byte{chain.AttestationMessage(*genesis, a.Height, before.Header), chain.AttestationMessage(*genesis, a.Height, a.Header)}}
			if proof.Verify(c.w.suite, *genesis) == nil {
				c.caught[m.peer] = proof
			}
		}
		by[a.Height] = a
	}
}

// all are those that were found so far.
func (c *convictions) all() (out []*chain.Contradiction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.w.members {
		if proof := c.caught[m.peer]; proof != nil {
			out = append(out, proof)
		}
	}
	return out
}
