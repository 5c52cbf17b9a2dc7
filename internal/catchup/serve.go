package catchup

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Serve answers a request of Method from the ledger: what is asked for and not there is left out, so an answer may be empty.
func (c *CatchUp) Serve(ctx context.Context, from chain.Peer, req []byte) ([]byte, error) {
	r, err := decodeRequest(req)
	if err != nil {
		c.deps.Network.Report(from, misbehaviour, "catchup: "+err.Error())
		return nil, err
	}
	if err := c.pace(ctx, from); err != nil {
		return nil, err
	}
	c.mu.Lock()
	first, decided := c.first, c.decided
	c.mu.Unlock()
	if r.height < first || r.height > decided {
		return nil, nil
	}
	if r.kind == kindTxs {
		out, read, err := c.serveTxs(r)
		c.paceWait(from, read)
		return out, err
	}
	out, err := c.serveBlocks(ctx, r, decided)
	c.paceWait(from, len(out))
	return out, err
}

func (c *CatchUp) serveBlocks(ctx context.Context, r *request, decided uint64) ([]byte, error) {
	limit := int(r.bytes)
	out := make([]byte, 0, 64<<10)
	for height, n := r.height, uint32(0); n < r.count && height <= decided && len(out) < limit; height, n = height+1, n+1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		longer, whole, err := c.serveBlock(out, height, limit, r.kind == kindBrief)
		if err != nil {
			return nil, err
		}
		if out = longer; !whole {
			break
		}
	}
	return out, nil
}

// serveBlock appends one block. A block that does not fit behind others is left to the next request; only the first may be in part.
func (c *CatchUp) serveBlock(out []byte, height uint64, limit int, brief bool) ([]byte, bool, error) {
	d, txs, err := c.deps.Ledger.Decision(height)
	if err != nil {
		return nil, false, err
	}
	certificate, err := c.deps.Ledger.Certificate(height)
	if err != nil {
		return nil, false, err
	}
	var header *chain.Header
	if certificate != nil {
		if header, err = c.deps.Ledger.Header(height); err != nil {
			return nil, false, err
		}
	}
	if brief {
		encoded := d.Encode()
		if len(out) > 0 && len(out)+len(encoded) > limit {
			return out, false, nil
		}
		longer, err := appendCertified(appendPart(out, encoded), header, certificate)
		return longer, true, err
	}
	longer, whole, err := appendBlock(out, d, txs, header, certificate, limit)
	if err != nil {
		return nil, false, err
	}
	if !whole && len(out) > 0 {
		return out, false, nil
	}
	return longer, whole, nil
}

// serveTxs gives transactions of one decision, and tells how many bytes of them were read for that.
func (c *CatchUp) serveTxs(r *request) (out []byte, read int, err error) {
	_, txs, err := c.deps.Ledger.Decision(r.height)
	if err != nil {
		return nil, 0, err
	}
	for _, tx := range txs {
		read += len(tx.Raw())
	}
	if int(r.count) > len(txs) {
		return nil, read, fmt.Errorf("%w: transaction %d of %d", errWire, r.count, len(txs))
	}
	for _, tx := range txs[r.count:] {
		if len(out) >= int(r.bytes) {
			break
		}
		out = append(binary.AppendUvarint(out, uint64(len(tx.Raw()))), tx.Raw()...)
	}
	return out, read, nil
}
