package execute

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/eth/tracers"
	_ "github.com/ethereum/go-ethereum/eth/tracers/js"
	"github.com/ethereum/go-ethereum/eth/tracers/logger"
	_ "github.com/ethereum/go-ethereum/eth/tracers/native"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// errTraceSize is a struct log beyond Config.TraceBytes.
var errTraceSize = errors.New("the trace is larger than this node allows; use a tracer (callTracer, prestateTracer …) or disableStack, disableStorage")

// TraceCall runs a call under a tracer (debug_traceCall) and returns the tracer's result.
func (e *Executor) TraceCall(ctx context.Context, cc *chain.CallContext, call *chain.Call, opts chain.TraceOptions, gasCap uint64) (json.RawMessage, error) {
	b, err := e.open(cc)
	if err != nil {
		return nil, err
	}
	defer b.close()
	msg, err := b.message(call, gasCap)
	if err != nil {
		return nil, err
	}
	if msg.GasPrice.IsZero() {
		b.block.BaseFee = new(big.Int)
	}
	return e.trace(ctx, b, msg, unsigned(e.chain.ChainID, call, msg), new(tracers.Context), opts, vm.Config{NoBaseFee: true})
}

// TraceBlock replays a block on its parent's state and returns the tracer's result for every transaction, or for number only alone
// (debug_traceTransaction, debug_traceBlock*).
func (e *Executor) TraceBlock(ctx context.Context, in *chain.Replay, only *int, opts chain.TraceOptions) ([]json.RawMessage, error) {
	if only != nil && (*only < 0 || *only >= len(in.Block.Txs)) {
		return nil, fmt.Errorf("block %d has no transaction %d", in.Block.Height(), *only)
	}
	b, err := e.open(&chain.CallContext{Header: in.Block.Header, State: in.State, BlockHash: in.BlockHash})
	if err != nil {
		return nil, err
	}
	defer b.close()
	h := in.Block.Header
	baseFee, overflow := uint256.FromBig(h.BaseFee)
	if overflow {
		return nil, fmt.Errorf("base fee %s exceeds 256 bits", h.BaseFee)
	}
	r := e.runner(b.block, b.state, vm.Config{}, h.GasLimit)
	defer r.Close()
	stop := context.AfterFunc(ctx, r.Cancel)
	defer stop()
	if err := r.ParentHash(h.ParentHash); err != nil {
		return nil, err
	}
	var out []json.RawMessage
	for i, tx := range in.Block.Txs {
		if only != nil && i > *only {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, aborted(err)
		}
		msg := message(tx, baseFee)
		if only != nil && i < *only {
			_, _, err := r.Apply(msg, tx.Hash(), i)
			if r.evm.Cancelled() {
				return nil, aborted(ctx.Err())
			}
			if err != nil {
				return nil, fmt.Errorf("replay transaction %d of block %d: %w", i, in.Block.Height(), err)
			}
			continue
		}
		at := &tracers.Context{BlockHash: in.Block.Hash, BlockNumber: h.Number, TxIndex: i, TxHash: tx.Hash()}
		res, err := e.trace(ctx, b, msg, unsigned(e.chain.ChainID, nil, msg), at, opts, vm.Config{})
		if err != nil {
			return nil, fmt.Errorf("trace transaction %d of block %d: %w", i, in.Block.Height(), err)
		}
		out = append(out, res)
	}
	return out, nil
}

// trace applies msg for good within the sandbox, under a tracer.
func (e *Executor) trace(ctx context.Context, b *sandbox, msg *core.Message, tx *types.Transaction, at *tracers.Context, opts chain.TraceOptions, cfg vm.Config) (json.RawMessage, error) {
	tracer, err := e.newTracer(at, opts)
	if err != nil {
		return nil, err
	}
	cfg.Tracer = tracer.Hooks
	r := e.runner(b.block, b.state, cfg, msg.GasLimit)
	defer r.Close()
	if b.precompiles != nil {
		r.usePrecompiles(b.precompiles)
	}
	// It stays armed while the result is made: a script's result() may loop as well.
	stop := context.AfterFunc(ctx, func() {
		tracer.Stop(aborted(ctx.Err()))
		r.Cancel()
	})
	defer stop()
	if tracer.OnTxStart != nil {
		tracer.OnTxStart(r.evm.GetVMContext(), tx, msg.From)
	}
	if opts.Tracer == "prestateTracer" {
		r.showFeeReceiver(tracer)
	}
	res, logs, err := r.Apply(msg, at.TxHash, at.TxIndex)
	if r.evm.Cancelled() {
		return nil, aborted(ctx.Err())
	}
	if tracer.OnTxEnd != nil {
		tracer.OnTxEnd(tracedReceipt(tx, res, logs), err)
	}
	if err != nil {
		return nil, fmt.Errorf("tracing failed: %w", err)
	}
	out, err := tracer.GetResult()
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, aborted(ctxErr)
	}
	return out, err
}

// tracedReceipt is nil for a message that could not run.
func tracedReceipt(tx *types.Transaction, res *core.ExecutionResult, logs []*types.Log) *types.Receipt {
	if res == nil {
		return nil
	}
	r := &types.Receipt{Type: tx.Type(), GasUsed: res.UsedGas, CumulativeGasUsed: res.UsedGas, Logs: logs}
	if !res.Failed() {
		r.Status = types.ReceiptStatusSuccessful
	}
	return r
}

// newTracer makes the tracer that opts name: geth's struct logger, a native one, or a script.
func (e *Executor) newTracer(at *tracers.Context, opts chain.TraceOptions) (*tracers.Tracer, error) {
	if opts.Tracer != "" {
		if err := e.checkTracer(opts.Tracer, opts.TracerConfig); err != nil {
			return nil, err
		}
		return tracers.DefaultDirectory.New(opts.Tracer, at, opts.TracerConfig, e.chain)
	}
	var cfg logger.Config
	if len(opts.Logger) > 0 {
		dec := json.NewDecoder(bytes.NewReader(opts.Logger))
		if err := dec.Decode(&cfg); err != nil {
			return nil, fmt.Errorf("struct logger: %w", err)
		}
		if cfg.Overrides != nil {
			return nil, errors.New("struct logger: this chain's rules cannot be overridden")
		}
	}
	own := cfg.Limit > 0 && cfg.Limit <= e.cfg.TraceBytes
	if !own {
		cfg.Limit = e.cfg.TraceBytes
	}
	l := logger.NewStructLogger(&cfg)
	result := func() (json.RawMessage, error) {
		out, err := l.GetResult()
		if err == nil && !own && len(out) > e.cfg.TraceBytes {
			return nil, fmt.Errorf("%w: %d bytes", errTraceSize, e.cfg.TraceBytes)
		}
		return out, err
	}
	return &tracers.Tracer{Hooks: l.Hooks(), GetResult: result, Stop: l.Stop}, nil
}

// unsigned is a message as the transaction that tracers and simulations show. call tells how its fees were given; nil: as type 2.
func unsigned(chainID *big.Int, call *chain.Call, msg *core.Message) *types.Transaction {
	list := msg.AccessList
	if list == nil {
		list = types.AccessList{}
	}
	value, feeCap, tipCap := msg.Value.ToBig(), msg.GasFeeCap.ToBig(), msg.GasTipCap.ToBig()
	switch {
	case msg.SetCodeAuthorizations != nil && msg.To != nil:
		return types.NewTx(&types.SetCodeTx{ChainID: uint256.MustFromBig(chainID), Nonce: msg.Nonce, GasTipCap: msg.GasTipCap, GasFeeCap: msg.GasFeeCap,
			Gas: msg.GasLimit, To: *msg.To, Value: msg.Value, Data: msg.Data, AccessList: list, AuthList: msg.SetCodeAuthorizations})
	case call != nil && call.GasPrice != nil && call.AccessList != nil:
		return types.NewTx(&types.AccessListTx{ChainID: chainID, Nonce: msg.Nonce, GasPrice: feeCap, Gas: msg.GasLimit, To: msg.To, Value: value,
			Data: msg.Data, AccessList: list})
	case call != nil && call.GasPrice != nil:
		return types.NewTx(&types.LegacyTx{Nonce: msg.Nonce, GasPrice: feeCap, Gas: msg.GasLimit, To: msg.To, Value: value, Data: msg.Data})
	}
	return types.NewTx(&types.DynamicFeeTx{ChainID: chainID, Nonce: msg.Nonce, GasTipCap: tipCap, GasFeeCap: feeCap, Gas: msg.GasLimit, To: msg.To,
		Value: value, Data: msg.Data, AccessList: list})
}
