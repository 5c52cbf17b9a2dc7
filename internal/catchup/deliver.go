package catchup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// delivery verifies by the validators and delivers, in order. One goroutine has it.
type delivery struct {
	c       *CatchUp
	parent  crypto.Hash
	verify  verifyFunc
	deliver deliverFunc
}

// delivered is what became of a span: height is the last one delivered. lie is what is wrong with the next block, err why delivery cannot go on.
type delivered struct {
	span    *span
	done    int
	height  uint64
	lie     error
	offence int
	err     error
}

func (d *delivery) run(ctx context.Context, ready <-chan *span, results chan<- *delivered) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-ready:
			r := d.span(ctx, s)
			select {
			case <-ctx.Done():
				return
			case results <- r:
			}
		}
	}
}

func (d *delivery) span(ctx context.Context, s *span) *delivered {
	r := &delivered{span: s, height: s.from - 1}
	for _, b := range s.blocks {
		if r.offence, r.lie = d.prove(ctx, b); r.lie != nil {
			if ctx.Err() != nil {
				r.err, r.lie = ctx.Err(), nil
			} else if errors.Is(r.lie, errLocal) {
				r.err, r.lie = fmt.Errorf("catchup: %w", r.lie), nil
			}
			return r
		}
		if b.certificate != nil {
			d.c.deps.Certified(b.certificate, b.header)
		}
		if err := d.deliver(ctx, b.decision, b.txs); err != nil {
			r.err = fmt.Errorf("catchup: deliver decision %d: %w", b.decision.Height, err)
			return r
		}
		d.parent = b.hash
		r.height = b.decision.Height
		r.done++
	}
	return r
}

// errLocal is a failure of ours that says nothing of the peer.
var errLocal = errors.New("own state cannot be read")

// prove checks by what has been delivered before that a block was agreed on. What does not hold by our own state is no attack for sure: our state
// may be the wrong one.
func (d *delivery) prove(ctx context.Context, b *block) (offence int, err error) {
	height := b.decision.Height
	if b.decision.Parent != d.parent {
		return attack, fmt.Errorf("block %d follows %s, the one before is %s", height, b.decision.Parent, d.parent)
	}
	// Side by side: signatures are most of what a small block costs, and everything waits for this goroutine.
	var certified error
	var checking sync.WaitGroup
	if b.certificate != nil {
		checking.Go(func() { certified = d.proveCertificate(ctx, b) })
	}
	err = d.verify(ctx, b.decision)
	checking.Wait()
	if err := cmp.Or(certified, err); err != nil {
		return misbehaviour, fmt.Errorf("block %d: %w", height, err)
	}
	return 0, nil
}

func (d *delivery) proveCertificate(ctx context.Context, b *block) error {
	deps := &d.c.deps
	rule, err := deps.Sets.At(ctx, b.decision.Height)
	if err != nil {
		return fmt.Errorf("%w: validators: %w", errLocal, err)
	}
	extra, err := chain.DecodeExtra(b.header.Extra)
	if err != nil {
		return err
	}
	if hash := rule.Hash(deps.Suite); extra.Validators != hash {
		return fmt.Errorf("%w: its header names validators %s, those that rule are %s", chain.ErrCertificate, extra.Validators, hash)
	}
	return b.certificate.Verify(deps.Suite, deps.GenesisHash, rule.Set, rule.Quorum())
}
