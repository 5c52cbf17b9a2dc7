package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// heldWrites is how many blocks' writes are held to explain a divergence, which shows within a few blocks: a full block's are some MiB.
const heldWrites = 16

// recentWrites holds what the last blocks wrote. Safe for concurrent use.
type recentWrites struct {
	mu   sync.Mutex
	ring [heldWrites]*chain.Executed
}

func (r *recentWrites) add(e *chain.Executed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[e.Block.Height()%heldWrites] = e
}

func (r *recentWrites) get(height uint64) *chain.Executed {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.ring[height%heldWrites]; e != nil && e.Block.Height() == height {
		return e
	}
	return nil
}

// writes implements attest.Config.Writes.
func (r *recentWrites) writes(height uint64) (chain.WriteSet, bool) {
	if e := r.get(height); e != nil {
		return e.Writes, true
	}
	return nil, false
}

// writesAnswer is the answer to methodWrites: the header's RLP and the write set's canonical form, which is empty when it is no longer held.
type writesAnswer struct {
	Header *chain.Header
	Writes []byte
}

// serveWrites answers methodWrites: a height (8 bytes, big-endian).
func (p *pipeline) serveWrites(_ context.Context, _ chain.Peer, request []byte) ([]byte, error) {
	if len(request) != 8 {
		return nil, errors.New("a height has 8 bytes")
	}
	height := binary.BigEndian.Uint64(request)
	if height > p.store.Head().Number.Uint64() {
		return nil, fmt.Errorf("block %d is not here yet", height)
	}
	answer := new(writesAnswer)
	var err error
	if answer.Header, err = p.store.Header(height); err != nil {
		return nil, fmt.Errorf("block %d is not to be had", height)
	}
	if e := p.writes.get(height); e != nil {
		answer.Writes = e.Writes.Encode()
	}
	return rlp.EncodeToBytes(answer)
}

// explain asks the peers, one after the other, for the block of that height whose header hash is theirs. It implements attest.Explain.
func (p *pipeline) explain(ctx context.Context, height uint64, theirs crypto.Hash) (*chain.Header, chain.WriteSet, error) {
	var found *chain.Header
	request := binary.BigEndian.AppendUint64(nil, height)
	for _, peer := range p.network.Connected() {
		b, err := p.network.Request(ctx, peer, methodWrites.Name, request)
		if err != nil {
			p.log.Warn("a peer does not tell what its block wrote", "height", height, "peer", peer.Short(), "err", err)
			continue
		}
		var answer writesAnswer
		if rlp.DecodeBytes(b, &answer) != nil || answer.Header == nil {
			continue
		}
		if hash, err := chain.HeaderHash(p.suite, answer.Header); err != nil || hash != theirs {
			continue // another one that differs from the quorum
		}
		found = answer.Header
		if len(answer.Writes) == 0 {
			continue
		}
		w, err := chain.DecodeWriteSet(answer.Writes)
		if err == nil {
			return found, w, nil
		}
	}
	if found == nil {
		return nil, nil, errors.New("no peer has that block, or none answers")
	}
	return found, nil, nil
}
