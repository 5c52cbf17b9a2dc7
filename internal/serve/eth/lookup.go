package eth

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

// errNoBlock is what a question about the state at an unknown block gets, in geth's words.
var errNoBlock = errors.New("header not found")

// height resolves a tag or number; false for a block that does not exist yet.
func (a *API) height(n rpc.BlockNumber) (uint64, bool) {
	head := a.ledger.Head().Number.Uint64()
	switch n {
	case rpc.LatestBlockNumber, rpc.PendingBlockNumber:
		return head, true
	case rpc.SafeBlockNumber, rpc.FinalizedBlockNumber:
		return min(a.node.Finalized(), head), true
	case rpc.EarliestBlockNumber:
		return 0, true
	}
	return uint64(n), n >= 0 && uint64(n) <= head
}

// heightByHash resolves a block hash; false for an unknown one.
func (a *API) heightByHash(hash common.Hash) (uint64, bool, error) {
	if h, ok := a.recent.heightOf(hash); ok {
		return h, true, nil
	}
	h, ok, err := a.ledger.HeightOf(hash)
	if err != nil {
		return 0, false, fmt.Errorf("find block %s: %w", hash, err)
	}
	return h, ok, nil
}

// heightOf resolves a tag, a number or a hash (EIP-1898); nil means latest.
func (a *API) heightOf(at *rpc.BlockNumberOrHash) (uint64, bool, error) {
	if at == nil {
		h, ok := a.height(rpc.LatestBlockNumber)
		return h, ok, nil
	}
	if hash, ok := at.Hash(); ok {
		return a.heightByHash(hash)
	}
	n, ok := at.Number()
	if !ok {
		return 0, false, invalidParams("neither a block number nor a block hash is given")
	}
	h, ok := a.height(n)
	return h, ok, nil
}

// block returns an existing block.
func (a *API) block(height uint64) (*chain.Block, error) {
	if b := a.recent.block(height); b != nil {
		return b.Block, nil
	}
	b, err := a.ledger.Block(height)
	if err != nil {
		return nil, fmt.Errorf("read block %d: %w", height, err)
	}
	return b, nil
}

// header returns an existing block's header with its hash.
func (a *API) header(height uint64) (*chain.Header, common.Hash, error) {
	if b := a.recent.block(height); b != nil {
		return b.Header, b.Hash, nil
	}
	h, err := a.ledger.Header(height)
	if err != nil {
		return nil, common.Hash{}, fmt.Errorf("read header %d: %w", height, err)
	}
	return h, h.Hash(), nil
}

// receipts returns an existing block's.
func (a *API) receipts(height uint64) (types.Receipts, error) {
	if b := a.recent.block(height); b != nil {
		return b.receipts, nil
	}
	r, err := a.ledger.Receipts(height)
	if err != nil {
		return nil, fmt.Errorf("read receipts of block %d: %w", height, err)
	}
	return r, nil
}

// mined returns a transaction with its place in the chain; nil when it is in no block.
func (a *API) mined(hash common.Hash) (*chain.Tx, *txPosition, error) {
	if b, p, ok := a.recent.tx(hash); ok && !p.excluded {
		return b.Txs[p.index], &txPosition{hash: b.Hash, header: b.Header, index: p.index}, nil
	}
	l, err := a.ledger.Tx(hash)
	if err != nil {
		return nil, nil, fmt.Errorf("read transaction %s: %w", hash, err)
	}
	if l == nil {
		return nil, nil, nil
	}
	h, blockHash, err := a.header(l.Height)
	if err != nil {
		return nil, nil, err
	}
	return l.Tx, &txPosition{hash: blockHash, header: h, index: l.Index}, nil
}

// receipt returns a transaction with its receipt; nil when it is in no block.
func (a *API) receipt(hash common.Hash) (*chain.Tx, *chain.Receipt, error) {
	if b, p, ok := a.recent.tx(hash); ok && !p.excluded {
		return b.Txs[p.index], b.receipts[p.index], nil
	}
	l, err := a.ledger.Tx(hash)
	if err != nil {
		return nil, nil, fmt.Errorf("read transaction %s: %w", hash, err)
	}
	if l == nil {
		return nil, nil, nil
	}
	r, err := a.ledger.Receipt(hash)
	if err != nil {
		return nil, nil, fmt.Errorf("read receipt of %s: %w", hash, err)
	}
	if r == nil {
		return nil, nil, fmt.Errorf("transaction %s is in block %d and has no receipt", hash, l.Height)
	}
	return l.Tx, r, nil
}
