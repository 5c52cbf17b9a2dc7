package store

import (
	"fmt"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// first checks what a chain that began with a fetched state has instead of its beginning: the genesis' header, the headers before the first block, and of that one
// all but receipts and indexes. It returns its header and gives the hash of its decision.
func (c *checker) first(first uint64, decision *crypto.Hash) (*chain.Header, error) {
	founding, _, err := c.s.header(c.snap, 0)
	if err != nil {
		return nil, fmt.Errorf("block 0: %w", err)
	}
	g, err := c.s.Genesis()
	if err != nil {
		return nil, err
	}
	extra, err := chain.DecodeExtra(founding.Extra)
	if err != nil || extra.Decision != g.ID(c.s.suite) {
		return nil, c.bad("block 0 is not the stored genesis' (%v)", err)
	}
	parent := founding
	from := uint64(1)
	if first > chain.AncestorHeaders+1 {
		parent, from = nil, first-chain.AncestorHeaders
	}
	for height := from; height <= first; height++ {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		header, hash, err := c.s.header(c.snap, height)
		if err != nil {
			return nil, fmt.Errorf("header %d: %w", height, err)
		}
		if header.Hash() != hash {
			return nil, c.bad("header %d hashes to %s, recorded is %s", height, header.Hash(), hash)
		}
		if value, err := c.get(hashKey(hashFragment(hash), height)); err != nil || value == nil {
			return nil, c.missing("block index entry", err)
		}
		if extra, err = chain.DecodeExtra(header.Extra); err != nil {
			return nil, c.bad("header %d: %v", height, err)
		}
		if parent != nil {
			suiteParent, err := chain.HeaderHash(c.s.suite, parent)
			if err != nil {
				return nil, err
			}
			if header.ParentHash != parent.Hash() || extra.Parent != suiteParent {
				return nil, c.bad("header %d does not follow header %d", height, height-1)
			}
		}
		parent = header
	}
	return parent, c.firstBlock(parent, extra, decision)
}

// firstBlock checks decision, transactions, validator sets and certificate of the first block.
func (c *checker) firstBlock(header *chain.Header, extra *chain.Extra, decision *crypto.Hash) error {
	height := header.Number.Uint64()
	d, _, err := c.s.decisionFrom(c.snap, height)
	if err != nil {
		return err
	}
	*decision = d.Parent
	d, txs, err := c.decision(height, decision)
	if err != nil {
		return fmt.Errorf("block %d: %w", height, err)
	}
	if extra.Decision != *decision {
		return c.bad("header %d names decision %s, stored is %s", height, extra.Decision, *decision)
	}
	excluded, err := c.exclusions(height, len(d.Txs))
	if err != nil {
		return err
	}
	if root := included(txs, excluded).Root(); root != header.TxHash {
		return c.bad("block %d: transactions root is %s, the header says %s", height, root, header.TxHash)
	}
	if found, err := c.setFrom(height); err != nil || !found {
		return c.missing("the first block's validator set", err)
	}
	if err := c.validators(height, extra); err != nil {
		return fmt.Errorf("block %d: %w", height, err)
	}
	return c.certificate(height, header.Hash())
}
