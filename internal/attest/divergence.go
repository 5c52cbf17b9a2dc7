package attest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Divergence says that a quorum attests another block than ours, and as much of the cause as could be found out. It wraps ErrDivergence.
type Divergence struct {
	Height uint64
	// Ours and Theirs are the suite's hashes of the two headers; By are validators that attest theirs.
	Ours, Theirs crypto.Hash
	By           []chain.ValidatorID
	// OurHeader and TheirHeader are nil when they could not be had.
	OurHeader, TheirHeader *chain.Header
	// First names the first difference with both values: a key of the state if the writes are known, else a field of the header. "" if neither is.
	First string
	// Detail says what is known beyond First, or why it is not.
	Detail string
}

// Error tells all of it.
func (d *Divergence) Error() string {
	s := fmt.Sprintf("%v: height %d, ours %s, theirs %s, attested by validators %v", ErrDivergence, d.Height, d.Ours, d.Theirs, d.By)
	if d.First != "" {
		s += "; first difference: " + d.First
	}
	if d.Detail != "" {
		s += "; " + d.Detail
	}
	return s
}

// Unwrap is ErrDivergence.
func (d *Divergence) Unwrap() error { return ErrDivergence }

// Explain fetches from peers the header at a height whose suite hash is theirs, and what that block wrote. It is trusted in nothing: header and writes are
// checked against the hash. Where only the header is to be had, the writes are nil.
type Explain func(ctx context.Context, height uint64, theirs crypto.Hash) (*chain.Header, chain.WriteSet, error)

// explainTimeout bounds how long a halt waits for peers to say more.
const explainTimeout = 5 * time.Second

// explain fills in d as far as it can, and returns it.
func (a *Attester) explain(ctx context.Context, d *Divergence) error {
	var err error
	if d.OurHeader, err = a.cfg.Store.Header(d.Height); err != nil {
		d.Detail = fmt.Sprintf("our own header cannot be read (%v)", err)
		return d
	}
	if a.cfg.Explain == nil {
		d.Detail = "no peer was asked for their header"
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	header, writes, err := a.cfg.Explain(ctx, d.Height, d.Theirs)
	if err != nil {
		d.Detail = fmt.Sprintf("no peer could say how their block differs (%v)", err)
		return d
	}
	if header == nil {
		d.Detail = "no peer has their header"
		return d
	}
	if hash, err := chain.HeaderHash(a.cfg.Suite, header); err != nil || hash != d.Theirs {
		d.Detail = "what peers gave for their header is another one"
		return d
	}
	d.TheirHeader = header
	d.First = chain.HeaderDifference(d.OurHeader, header)
	a.explainWrites(d, writes)
	return d
}

// explainWrites finds the first key of the state that differs.
func (a *Attester) explainWrites(d *Divergence, theirs chain.WriteSet) {
	ours, err := chain.DecodeExtra(d.OurHeader.Extra)
	other, err2 := chain.DecodeExtra(d.TheirHeader.Extra)
	switch err := errors.Join(err, err2); {
	case err != nil:
		d.Detail = fmt.Sprintf("their writes cannot be judged (%v)", err)
		return
	case ours.Parent != other.Parent:
		d.Detail = "the blocks stand on different parents, so the states differed before"
		return
	case ours.Ledger == other.Ledger:
		d.Detail = "both wrote the same"
		return
	}
	before, err := a.ledgerBefore(d.Height)
	if err != nil {
		d.Detail = fmt.Sprintf("their writes cannot be judged (%v)", err)
		return
	}
	if theirs.Digest(a.cfg.Suite, before) != other.Ledger {
		d.Detail = "peers did not give what their block wrote"
		return
	}
	var mine chain.WriteSet
	held := false
	if a.cfg.Writes != nil {
		mine, held = a.cfg.Writes(d.Height)
	}
	if !held {
		d.Detail = fmt.Sprintf("their block changed %d accounts; what ours wrote is no longer held", len(theirs))
		return
	}
	if key := mine.Difference(theirs); key != "" {
		d.Detail = "in the headers: " + d.First
		d.First = key
	}
}

// ledgerBefore is the ledger digest before the block at height.
func (a *Attester) ledgerBefore(height uint64) (crypto.Hash, error) {
	h, err := a.cfg.Store.Header(height - 1)
	if err != nil {
		return crypto.Hash{}, err
	}
	extra, err := chain.DecodeExtra(h.Extra)
	if err != nil {
		return crypto.Hash{}, err
	}
	return extra.Ledger, nil
}
