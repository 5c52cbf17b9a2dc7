package eth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// txService has the methods about transactions and receipts. What is unknown is null.
type txService struct{ a *API }

// SendRawTransaction is eth_sendRawTransaction. Batches of it take a shorter way, see serve.Sender.
func (s *txService) SendRawTransaction(ctx context.Context, raw hexutil.Bytes) (common.Hash, error) {
	hashes, errs := s.a.SendRaw(ctx, [][]byte{raw})
	return hashes[0], errs[0]
}

// codeSyncTimeout is the code of a transaction that was admitted and not executed in time (EIP-7966); the data is its hash.
const codeSyncTimeout = 4

// SendRawTransactionSync is eth_sendRawTransactionSync (EIP-7966): it waits, bounded, for the receipt.
func (s *txService) SendRawTransactionSync(ctx context.Context, raw hexutil.Bytes, timeoutMillis *hexOrNumber) (json.RawMessage, error) {
	wait := s.a.cfg.SyncSendTimeout
	if timeoutMillis != nil && *timeoutMillis > 0 {
		wait = s.a.cfg.MaxSyncSendTimeout
		if asked := uint64(*timeoutMillis); asked < uint64(wait/time.Millisecond) {
			wait = time.Duration(asked) * time.Millisecond
		}
	}
	// Watching starts before the transaction is in, so no block can be missed.
	_, changed := s.a.recent.watch()
	hash, err := s.SendRawTransaction(ctx, raw)
	if err != nil {
		return nil, err
	}
	b, p, ok := s.a.await(ctx, hash, changed, wait)
	switch {
	case !ok && ctx.Err() != nil:
		return nil, clientError(ctx.Err())
	case !ok:
		return nil, &serve.Error{Code: codeSyncTimeout, Data: hash.Hex(),
			Message: fmt.Sprintf("the transaction was added to the transaction pool but was not processed in %s", wait)}
	case p.excluded:
		return nil, fmt.Errorf("transaction %s was left out of block %d: %s", hash, p.height, b.excluded[p.index].Reason)
	}
	return appendReceipt(nil, b.receipts[p.index], b.Txs[p.index]), nil
}

// await returns the transaction's place in a recent block, having waited for one that holds it. changed is recent's, from before the
// caller looked for the transaction. ok is false when wait or ctx ended first.
func (a *API) await(ctx context.Context, hash common.Hash, changed <-chan struct{}, wait time.Duration) (b *sealedBlock, p place, ok bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if b, p, ok = a.recent.tx(hash); ok {
			return b, p, true
		}
		select {
		case <-changed:
			_, changed = a.recent.watch()
		case <-timer.C:
			return nil, place{}, false
		case <-ctx.Done():
			return nil, place{}, false
		}
	}
}

// GetTransactionByHash is eth_getTransactionByHash: from a block, else from the pool.
func (s *txService) GetTransactionByHash(hash common.Hash) (json.RawMessage, error) {
	// The pool first: a transaction leaves it after its block is there to be found, so this order cannot miss it.
	pooled := s.a.pool.Get(hash)
	tx, at, err := s.a.mined(hash)
	switch {
	case err != nil:
		return nil, err
	case tx != nil:
		return appendTx(make([]byte, 0, 1024+2*len(tx.Data())), tx, at), nil
	case pooled != nil:
		return appendTx(nil, pooled, nil), nil
	}
	return null, nil
}

// GetTransactionReceipt is eth_getTransactionReceipt. For a transaction that is in the pool it waits a moment: tools ask right after they
// have sent, and then wait for a second, or for a next block that a chain without work does not make. A batch waits once, not per item.
func (s *txService) GetTransactionReceipt(ctx context.Context, hash common.Hash) (json.RawMessage, error) {
	_, changed := s.a.recent.watch()
	pooled := s.a.pool.Get(hash) != nil
	tx, r, err := s.a.receipt(hash)
	if err != nil {
		return null, err
	}
	if wait := s.a.cfg.ReceiptWait - serve.Waited(ctx); tx == nil && pooled && wait > 0 {
		if b, p, ok := s.a.await(ctx, hash, changed, wait); ok && !p.excluded {
			tx, r = b.Txs[p.index], b.receipts[p.index]
		}
	}
	if tx == nil {
		return null, nil
	}
	return appendReceipt(make([]byte, 0, 1536+512*len(r.Logs)), r, tx), nil
}

// GetRawTransactionByHash is eth_getRawTransactionByHash.
func (s *txService) GetRawTransactionByHash(hash common.Hash) (json.RawMessage, error) {
	return s.a.rawTx(hash)
}

func (a *API) rawTx(hash common.Hash) (json.RawMessage, error) {
	pooled := a.pool.Get(hash)
	tx, _, err := a.mined(hash)
	if err != nil {
		return nil, err
	}
	if tx == nil {
		tx = pooled
	}
	return rawTxJSON(tx), nil
}

func rawTxJSON(tx *chain.Tx) json.RawMessage {
	if tx == nil {
		return null
	}
	return appendBytes(make([]byte, 0, 4+2*len(tx.Raw())), tx.Raw())
}

// GetTransactionByBlockNumberAndIndex is eth_getTransactionByBlockNumberAndIndex.
func (s *txService) GetTransactionByBlockNumberAndIndex(n rpc.BlockNumber, index hexutil.Uint64) (json.RawMessage, error) {
	tx, at, err := s.at(n, index)
	return minedJSON(tx, at), err
}

// GetTransactionByBlockHashAndIndex is eth_getTransactionByBlockHashAndIndex.
func (s *txService) GetTransactionByBlockHashAndIndex(hash common.Hash, index hexutil.Uint64) (json.RawMessage, error) {
	tx, at, err := s.atHash(hash, index)
	return minedJSON(tx, at), err
}

// GetRawTransactionByBlockNumberAndIndex is eth_getRawTransactionByBlockNumberAndIndex.
func (s *txService) GetRawTransactionByBlockNumberAndIndex(n rpc.BlockNumber, index hexutil.Uint64) (json.RawMessage, error) {
	tx, _, err := s.at(n, index)
	return rawTxJSON(tx), err
}

// GetRawTransactionByBlockHashAndIndex is eth_getRawTransactionByBlockHashAndIndex.
func (s *txService) GetRawTransactionByBlockHashAndIndex(hash common.Hash, index hexutil.Uint64) (json.RawMessage, error) {
	tx, _, err := s.atHash(hash, index)
	return rawTxJSON(tx), err
}

func minedJSON(tx *chain.Tx, at *txPosition) json.RawMessage {
	if tx == nil {
		return null
	}
	return appendTx(make([]byte, 0, 1024+2*len(tx.Data())), tx, at)
}

func (s *txService) at(n rpc.BlockNumber, index hexutil.Uint64) (*chain.Tx, *txPosition, error) {
	height, ok := s.a.height(n)
	return s.inBlock(height, ok && n != rpc.PendingBlockNumber, nil, index)
}

func (s *txService) atHash(hash common.Hash, index hexutil.Uint64) (*chain.Tx, *txPosition, error) {
	height, ok, err := s.a.heightByHash(hash)
	return s.inBlock(height, ok, err, index)
}

func (s *txService) inBlock(height uint64, ok bool, err error, index hexutil.Uint64) (*chain.Tx, *txPosition, error) {
	if err != nil || !ok {
		return nil, nil, err
	}
	b, err := s.a.block(height)
	if err != nil || uint64(index) >= uint64(len(b.Txs)) {
		return nil, nil, err
	}
	return b.Txs[index], &txPosition{hash: b.Hash, header: b.Header, index: uint32(index)}, nil
}

// GetTransactionCount is eth_getTransactionCount; "pending" counts what waits in the pool.
func (s *txService) GetTransactionCount(addr common.Address, at *rpc.BlockNumberOrHash) (hexutil.Uint64, error) {
	if at != nil {
		if n, ok := at.Number(); ok && n == rpc.PendingBlockNumber {
			nonce, err := s.a.pool.PendingNonce(addr)
			return hexutil.Uint64(nonce), err
		}
	}
	acc, err := s.a.account(addr, at)
	if err != nil || acc == nil {
		return 0, err
	}
	return hexutil.Uint64(acc.Nonce), nil
}
