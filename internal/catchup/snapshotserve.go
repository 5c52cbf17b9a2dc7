package catchup

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// States are the states that this node can serve. Safe for concurrent use.
type States interface {
	// HoldState holds the state after a block for fetching, that of the head or of one that comes soon; HeldStates lists what is held.
	HoldState(height uint64) error
	HeldStates() []chain.HeldState
	// StateChunk makes a chunk of a held state of about limit bytes at the most.
	StateChunk(ctx context.Context, height uint64, r chain.StateRange, limit int) ([]byte, error)
	// StateCodes returns the codes with the first of these hashes.
	StateCodes(hashes []common.Hash) ([][]byte, error)
	// Settled tells that the state after that block knows of no change of validators later than for the next block.
	Settled(height uint64) (bool, error)
	Exclusions(height uint64) ([]chain.Exclusion, error)
	RuleAt(height uint64) (*chain.Rule, error)
	// SetChanges are the changes of the validators that rule from height from or later, ascending, at most limit.
	SetChanges(from uint64, limit int) ([]chain.SetChange, error)
}

// chunkBytes is what a chunk is asked to have: the store's own bound is lower.
const chunkBytes = 1 << 20

var errNoStates = errors.New("this node serves no states")

// ServeSnapshot answers a request of SnapshotMethod. What cannot be served is an error that the peer is told.
func (c *CatchUp) ServeSnapshot(ctx context.Context, from chain.Peer, req []byte) ([]byte, error) {
	q, err := decodeStateRequest(req)
	if err != nil {
		c.deps.Network.Report(from, misbehaviour, "catchup: "+err.Error())
		return nil, err
	}
	st := c.deps.States
	if st == nil {
		return nil, errNoStates
	}
	switch q.kind {
	case stateHold:
		return c.serveHold(q.height), nil
	case stateManifest:
		return c.serveManifest(q.height)
	case stateHandovers:
		return c.serveHandovers(ctx, q.height)
	case stateChunk:
		return st.StateChunk(ctx, q.height, q.r, chunkBytes)
	}
	codes, err := st.StateCodes(q.hashes)
	if err != nil {
		return nil, err
	}
	return rlp.EncodeToBytes(codes)
}

// serveHold tells what is held whether or not that height could be.
func (c *CatchUp) serveHold(height uint64) []byte {
	if height > 0 {
		if err := c.deps.States.HoldState(height); err != nil {
			c.deps.Log.Debug("catchup: a state is not held for a peer", "height", height, "err", err)
		}
	}
	c.mu.Lock()
	executed := c.executed
	c.mu.Unlock()
	return encodeHeld(executed, c.deps.States.HeldStates())
}

// serveManifest refuses where the block has no certificate, or where its state alone would not say who rules next.
func (c *CatchUp) serveManifest(height uint64) ([]byte, error) {
	certificate, err := c.deps.Ledger.Certificate(height)
	if err != nil {
		return nil, err
	}
	if certificate == nil {
		return nil, fmt.Errorf("block %d has no certificate", height)
	}
	if settled, err := c.deps.States.Settled(height); err != nil || !settled {
		return nil, errors.Join(err, fmt.Errorf("a change of the validators is under way at block %d", height))
	}
	m := &manifest{Certificate: *certificate}
	if m.Header, err = c.deps.Ledger.Header(height); err != nil {
		return nil, err
	}
	for h := height - min(height-1, chain.AncestorHeaders); h < height; h++ {
		header, err := c.deps.Ledger.Header(h)
		if err != nil {
			return nil, err
		}
		m.Ancestors = append(m.Ancestors, header)
	}
	if m.Exclusions, err = c.deps.States.Exclusions(height); err != nil {
		return nil, err
	}
	for at, to := range []*chain.Rule{&m.Rule, &m.Next} {
		rule, err := c.deps.States.RuleAt(height + uint64(at))
		if err != nil {
			return nil, err
		}
		*to = *rule
	}
	b, err := rlp.EncodeToBytes(m)
	if err == nil && len(b) > MaxSnapshotResponse {
		err = fmt.Errorf("the manifest of block %d is too large", height)
	}
	return b, err
}

// serveHandovers makes a page.
func (c *CatchUp) serveHandovers(ctx context.Context, from uint64) ([]byte, error) {
	changes, err := c.deps.States.SetChanges(max(from, 1), maxHandovers)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	executed := c.executed
	c.mu.Unlock()
	var out []handover
	size := 0
	for _, change := range changes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if change.From > executed {
			break // its last block before is not certified yet, or just now
		}
		header, err := c.deps.Ledger.Header(change.From - 1)
		if err != nil {
			return nil, err
		}
		certificate, err := c.deps.Ledger.Certificate(change.From - 1)
		if err != nil {
			return nil, err
		}
		if certificate == nil {
			return nil, fmt.Errorf("block %d, the last before a change of the validators, has no certificate here", change.From-1)
		}
		h := handover{header, *certificate, change.Rule}
		b, err := rlp.EncodeToBytes(&h)
		if err != nil {
			return nil, err
		}
		if size += len(b); size > maxPage && len(out) > 0 {
			break
		}
		out = append(out, h)
	}
	return rlp.EncodeToBytes(out)
}
