package client

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// rawBatch is the number of transactions in one JSON-RPC batch: large enough that the round trip vanishes, below every server's limit.
	rawBatch = 100
	// pollMin and pollMax bound the wait between two questions for a receipt over HTTP: the first is about one block, the last is what a
	// server hardly notices.
	pollMin = 5 * time.Millisecond
	pollMax = 250 * time.Millisecond
)

// Fees suggests what to offer per gas in wei: the node's tip, and a cap that holds while the base fee doubles. Both are zero on a chain
// without fees.
func (c *Client) Fees(ctx context.Context) (feeCap, tipCap *big.Int, err error) {
	head, err := c.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	tipCap, err = c.eth.SuggestGasTipCap(ctx)
	if err != nil {
		return nil, nil, describe("suggest a tip", err)
	}
	feeCap = new(big.Int).Set(tipCap)
	if head.BaseFee != nil {
		feeCap.Add(feeCap, new(big.Int).Lsh(head.BaseFee, 1))
	}
	return feeCap, tipCap, nil
}

// Fill returns tx with everything set that it left open: nonce, fees and, last because it runs the transaction, the gas limit. A transaction
// that would revert fails here with a *RevertError.
func (c *Client) Fill(ctx context.Context, from common.Address, tx Tx) (*Tx, error) {
	if tx.Nonce == nil {
		n, err := c.Nonce(ctx, from)
		if err != nil {
			return nil, err
		}
		tx.Nonce = &n
	}
	if tx.FeeCap == nil || tx.TipCap == nil {
		feeCap, tipCap, err := c.Fees(ctx)
		if err != nil {
			return nil, err
		}
		if tx.FeeCap == nil {
			tx.FeeCap = feeCap
		}
		if tx.TipCap == nil {
			tx.TipCap = tipCap
		}
		if tx.TipCap.Cmp(tx.FeeCap) > 0 {
			tx.TipCap = tx.FeeCap
		}
	}
	if tx.Gas == 0 {
		gas, err := c.eth.EstimateGas(ctx, ethereum.CallMsg{From: from, To: tx.To, Value: tx.Value, Data: tx.Data, AccessList: tx.AccessList,
			GasFeeCap: tx.FeeCap, GasTipCap: tx.TipCap, AuthorizationList: tx.Authorizations})
		if err != nil {
			return nil, describe("estimate gas", err)
		}
		tx.Gas = gas
	}
	return &tx, nil
}

// Send fills tx, signs it and hands it to the node, which has it in its pool on return. To know that it happened, wait for its receipt.
func (c *Client) Send(ctx context.Context, from Account, tx Tx) (common.Hash, error) {
	full, err := c.Fill(ctx, from.Address(), tx)
	if err != nil {
		return common.Hash{}, err
	}
	raw, err := from.SignTx(c.chainID, full)
	if err != nil {
		return common.Hash{}, err
	}
	return c.SendRaw(ctx, raw)
}

// SendRaw hands a signed transaction to the node.
func (c *Client) SendRaw(ctx context.Context, raw []byte) (common.Hash, error) {
	var hash common.Hash
	if err := c.rpc.CallContext(ctx, &hash, "eth_sendRawTransaction", hexutil.Bytes(raw)); err != nil {
		return common.Hash{}, describe("send transaction", err)
	}
	return hash, nil
}

// SendRawBatch hands many signed transactions to the node in as few messages as its limits allow. The error tells of the connection;
// errs holds what the node answered to each, nil where it took it. Those before a broken connection may have been taken.
func (c *Client) SendRawBatch(ctx context.Context, raws [][]byte) (hashes []common.Hash, errs []error, err error) {
	hashes, errs = make([]common.Hash, len(raws)), make([]error, len(raws))
	for start := 0; start < len(raws); start += rawBatch {
		end := min(start+rawBatch, len(raws))
		batch := make([]rpc.BatchElem, 0, end-start)
		for i := start; i < end; i++ {
			batch = append(batch, rpc.BatchElem{Method: "eth_sendRawTransaction", Args: []any{hexutil.Bytes(raws[i])}, Result: &hashes[i]})
		}
		if err := c.rpc.BatchCallContext(ctx, batch); err != nil {
			return hashes, errs, describe("send transactions", err)
		}
		for i := range batch {
			errs[start+i] = describe("send transaction", batch[i].Error)
		}
	}
	return hashes, errs, nil
}

// Receipt reads a transaction's receipt; ethereum.NotFound while it is in no block.
func (c *Client) Receipt(ctx context.Context, tx common.Hash) (*types.Receipt, error) {
	r, err := c.eth.TransactionReceipt(ctx, tx)
	return r, describe("read receipt", err)
}

// ExcludedError is a transaction that consensus ordered and execution left out of its block, because it had stopped being valid: it will never
// have a receipt.
type ExcludedError struct {
	Tx     common.Hash    `json:"transaction"`
	Height hexutil.Uint64 `json:"height"`
	Reason string         `json:"reason"`
}

func (e *ExcludedError) Error() string {
	return fmt.Sprintf("transaction %s was left out of block %d: %s", e.Tx, uint64(e.Height), e.Reason)
}

// Excluded tells why a transaction was left out of its block; nil when it was not, or the node is another kind of Ethereum node, which has no
// such thing.
func (c *Client) Excluded(ctx context.Context, tx common.Hash) (*ExcludedError, error) {
	var out *ExcludedError
	err := c.rpc.CallContext(ctx, &out, "jl_getExclusion", tx)
	var answered rpc.Error
	if errors.As(err, &answered) && answered.ErrorCode() == methodNotFound {
		return nil, nil
	}
	return out, describe("ask for an exclusion", err)
}

// methodNotFound is JSON-RPC's code.
const methodNotFound = -32601

// WaitReceipt returns the receipt as soon as the transaction is in a block, by subscription over WebSocket and by polling with growing pauses
// over HTTP. A receipt of status 0 is no error here; a transaction that was left out of its block is an *ExcludedError. It waits until ctx
// ends: give it a deadline.
func (c *Client) WaitReceipt(ctx context.Context, tx common.Hash) (*types.Receipt, error) {
	heads, stop := c.bell(ctx, "newHeads")
	defer stop()
	for pause := pollMin; ; pause = min(2*pause, pollMax) {
		r, err := c.Receipt(ctx, tx)
		if !errors.Is(err, ethereum.NotFound) {
			return r, err
		}
		excluded, err := c.Excluded(ctx, tx)
		if err != nil {
			return nil, err
		}
		if excluded != nil {
			return nil, excluded
		}
		if err := sleep(ctx, pause, heads); err != nil {
			return nil, fmt.Errorf("wait for the receipt of %s: %w", tx, err)
		}
	}
}

// bell rings at every block that the first of these subscriptions tells of which the node has; where the connection carries none the channel stays
// silent and polling does the work.
func (c *Client) bell(ctx context.Context, kinds ...string) (<-chan *types.Header, func()) {
	heads := make(chan *types.Header, 16)
	if !c.notifies {
		return heads, func() {}
	}
	for _, kind := range kinds {
		if sub, err := c.rpc.EthSubscribe(ctx, heads, kind); err == nil {
			return heads, sub.Unsubscribe
		}
	}
	return heads, func() {}
}

// WaitFinal returns when the block of that height has a certificate, which follows the block by milliseconds: by subscription over WebSocket
// and by polling over HTTP.
func (c *Client) WaitFinal(ctx context.Context, height uint64) error {
	heads, stop := c.bell(ctx, "newFinalizedHeads", "newHeads")
	defer stop()
	for pause := pollMin; ; pause = min(2*pause, pollMax) {
		final, err := c.Finalized(ctx)
		if err != nil || final.Number.Uint64() >= height {
			return err
		}
		if err := sleep(ctx, pause, heads); err != nil {
			return fmt.Errorf("wait until block %d is final: %w", height, err)
		}
	}
}

// sleep ends after pause, or at a ring of the bell, or with ctx, whose error it returns.
func sleep(ctx context.Context, pause time.Duration, bell <-chan *types.Header) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-bell:
	case <-timer.C:
	}
	return nil
}
