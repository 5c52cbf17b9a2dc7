package catchup

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
)

// get asks a peer for blocks, and verifies of them what needs no set of validators: form, links, hashes, and the signatures of the transactions.
// An error that is the peer's doing is a *lie.
func (c *CatchUp) get(ctx context.Context, id chain.Peer, r *request) ([]*block, error) {
	if r.kind == kindBrief {
		blocks, err := c.getBrief(ctx, id, r)
		if err != nil || len(blocks) > 0 {
			return blocks, err
		}
		whole := *r
		whole.kind, r = kindBlocks, &whole
	}
	b, err := c.request(ctx, id, r)
	if err != nil {
		return nil, err
	}
	blocks, err := decodeBlocks(b, r.height, int(r.count))
	if err != nil {
		return nil, &lie{misbehaviour, err}
	}
	if len(blocks) == 0 {
		return nil, &lie{misbehaviour, fmt.Errorf("%w: nothing from height %d on", errClaim, r.height)}
	}
	if err := c.complete(ctx, id, blocks[len(blocks)-1]); err != nil {
		return nil, err
	}
	if err := c.decode(ctx, blocks); err != nil {
		return nil, err
	}
	return blocks, c.checkAll(blocks)
}

// getBrief asks for decisions without their transactions, and returns those at the beginning whose transactions the pool holds, maybe none.
func (c *CatchUp) getBrief(ctx context.Context, id chain.Peer, r *request) ([]*block, error) {
	answer, err := c.request(ctx, id, r)
	if err != nil {
		return nil, err
	}
	blocks, err := decodeBrief(answer, r.height, int(r.count))
	if err != nil {
		return nil, &lie{misbehaviour, err}
	}
	if len(blocks) == 0 {
		return nil, &lie{misbehaviour, fmt.Errorf("%w: nothing from height %d on", errClaim, r.height)}
	}
	for i, b := range blocks {
		b.hash = b.decision.Hash(c.deps.Suite)
		txs, missing := c.deps.Pool.Bodies(b.decision.Txs)
		if len(missing) > 0 || slices.ContainsFunc(txs, func(tx *chain.Tx) bool { return !tx.Verified() }) {
			blocks = blocks[:i]
			break
		}
		b.txs = txs
	}
	return blocks, c.checkAll(blocks)
}

// checkAll holds what belongs together against each other.
func (c *CatchUp) checkAll(blocks []*block) error {
	for i, b := range blocks {
		if err := c.check(b); err != nil {
			return &lie{attack, fmt.Errorf("block %d: %w", b.decision.Height, err)}
		}
		if i > 0 && b.decision.Parent != blocks[i-1].hash {
			return &lie{attack, fmt.Errorf("block %d does not follow block %d", b.decision.Height, blocks[i-1].decision.Height)}
		}
	}
	return nil
}

func (c *CatchUp) request(ctx context.Context, id chain.Peer, r *request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestWait)
	defer cancel()
	b, err := c.deps.Network.Request(ctx, id, Method, r.encode())
	if err != nil {
		return nil, fmt.Errorf("request from height %d on: %w", r.height, err)
	}
	if len(b) > MaxResponse {
		return nil, &lie{misbehaviour, fmt.Errorf("%w: answer of %d bytes", errWire, len(b))}
	}
	return b, nil
}

// complete gets the other transactions of a block that was too large for one answer. The genesis bounds a block, and so what is gathered here.
func (c *CatchUp) complete(ctx context.Context, id chain.Peer, b *block) error {
	limit := &c.deps.Genesis.Consensus
	size := 0
	for _, raw := range b.raws {
		size += len(raw)
	}
	for len(b.raws) < b.total || size > limit.MaxBlockBytes {
		if b.total > limit.MaxBlockTxs || size > limit.MaxBlockBytes {
			return &lie{misbehaviour, fmt.Errorf("%w: block %d is larger than the genesis allows", errWire, b.decision.Height)}
		}
		answer, err := c.request(ctx, id, &request{kind: kindTxs, height: b.decision.Height, count: uint32(len(b.raws)), bytes: maxAsk})
		if err != nil {
			return err
		}
		more, err := decodeTxs(answer, b.total-len(b.raws))
		if err != nil {
			return &lie{misbehaviour, err}
		}
		if len(more) == 0 {
			return &lie{misbehaviour, fmt.Errorf("%w: %d of %d transactions of block %d", errClaim, len(b.raws), b.total, b.decision.Height)}
		}
		for _, raw := range more {
			size += len(raw)
		}
		b.size += len(answer)
		b.raws = append(b.raws, more...)
	}
	return nil
}

// stride is how many transactions a worker takes at a time.
const stride = 32

// decode makes transactions of the raw ones, on all cores. Those that the pool holds have been verified already.
func (c *CatchUp) decode(ctx context.Context, blocks []*block) error {
	for _, b := range blocks {
		b.txs = make(chain.Txs, len(b.raws))
		if err := c.parallel(ctx, len(b.raws), func(from, to int) error { return c.decodeSome(b, from, to) }); err != nil {
			return err
		}
		b.decision.Txs = b.txs.Hashes()
		if err := b.decision.Validate(); err != nil {
			return &lie{attack, err}
		}
		b.hash = b.decision.Hash(c.deps.Suite)
	}
	return nil
}

func (c *CatchUp) decodeSome(b *block, from, to int) error {
	hashes := make([]common.Hash, to-from)
	for i := from; i < to; i++ {
		tx, err := chain.DecodeTx(b.raws[i])
		if err != nil {
			return &lie{attack, fmt.Errorf("block %d, transaction %d: %w", b.decision.Height, i, err)}
		}
		b.txs[i], hashes[i-from] = tx, tx.Hash()
	}
	known, _ := c.deps.Pool.Bodies(hashes)
	for i := from; i < to; i++ {
		if tx := known[i-from]; tx != nil && tx.Verified() {
			b.txs[i] = tx
			continue
		}
		if err := c.verifier.Verify(b.txs[i]); err != nil {
			return &lie{attack, fmt.Errorf("block %d, transaction %d: %w", b.decision.Height, i, err)}
		}
	}
	return nil
}

// parallel calls f with parts of [0, n) on all cores until one fails.
func (c *CatchUp) parallel(ctx context.Context, n int, f func(from, to int) error) error {
	if n <= stride {
		return f(0, n)
	}
	var next atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), (n+stride-1)/stride) {
		work.Go(func() error {
			for ctx.Err() == nil {
				from := int(next.Add(stride)) - stride
				if from >= n {
					return nil
				}
				if err := f(from, min(from+stride, n)); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return work.Wait()
}

// check holds decision, header and certificate against each other.
func (c *CatchUp) check(b *block) error {
	if b.certificate == nil {
		return nil
	}
	h, height := b.header, b.decision.Height
	if h.Number == nil || !h.Number.IsUint64() || h.Number.Uint64() != height || b.certificate.Height != height {
		return fmt.Errorf("header %v and certificate %d belong to another height", h.Number, b.certificate.Height)
	}
	extra, err := chain.DecodeExtra(h.Extra)
	if err != nil {
		return err
	}
	if extra.Decision != b.hash {
		return fmt.Errorf("its header names decision %s, it is %s", extra.Decision, b.hash)
	}
	header, err := chain.HeaderHash(c.deps.Suite, h)
	if err != nil {
		return err
	}
	if b.certificate.Header != header || b.certificate.Block != h.Hash() {
		return fmt.Errorf("%w: it is of another header", chain.ErrCertificate)
	}
	return nil
}
