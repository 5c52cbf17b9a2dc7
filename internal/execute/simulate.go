package execute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Bounds of one simulation (eth_simulateV1); geth's figures. A gap in the numbers counts, it is filled with empty blocks.
const (
	MaxSimulatedBlocks        = 256
	MaxSimulatedCallsPerBlock = 5_000
	MaxSimulatedCalls         = 10_000
	// simulatedSeconds lie between simulated blocks where the request does not say.
	simulatedSeconds = 12
)

// Codes of chain.SimulationError (ethereum/execution-apis, eth_simulateV1).
const (
	codeNonceTooLow       = -38010
	codeNonceTooHigh      = -38011
	codeFeeTooLow         = -38012
	codeIntrinsicGas      = -38013
	codeInsufficientFunds = -38014
	codeBlockGas          = -38015
	codeBlockNumber       = -38020
	codeBlockTime         = -38021
	codeSenderHasCode     = -38024
	codeInitCodeTooLarge  = -38025
	codeTooMuch           = -38026
	codeInvalidParams     = -32602
	codeInternal          = -32603
)

func simulationError(code int, format string, args ...any) error {
	return &chain.SimulationError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// simulation is one request's chain of blocks on top of a real one.
type simulation struct {
	*sandbox
	opts    chain.SimulationOptions
	base    *chain.Header
	hash    func(uint64) common.Hash
	headers []*chain.Header
	gasLeft uint64
}

// Simulate runs blocks of calls on top of cc's block, each on what the one before left (eth_simulateV1). gasCap bounds the gas of all calls
// together; 0 is no bound. cc's own overrides are not used: every block brings its own. A *chain.SimulationError carries the code of a
// request that cannot be. The headers' state root is zero: nothing is committed. What an engine does at the end of blocks (rewards, elections) is left out.
func (e *Executor) Simulate(ctx context.Context, cc *chain.CallContext, blocks []chain.SimulatedBlock, opts chain.SimulationOptions, gasCap uint64) ([]chain.SimulatedResult, error) {
	blocks, err := fillBlocks(cc.Header, blocks)
	if err != nil {
		return nil, err
	}
	b, err := e.open(&chain.CallContext{Header: cc.Header, State: cc.State, BlockHash: cc.BlockHash})
	if err != nil {
		return nil, err
	}
	defer b.close()
	s := &simulation{sandbox: b, opts: opts, base: cc.Header, hash: callHashes(cc), gasLeft: gasCap}
	if gasCap == 0 {
		s.gasLeft = math.MaxUint64
	}
	out := make([]chain.SimulatedResult, len(blocks))
	for i := range blocks {
		if err := s.runBlock(ctx, &blocks[i], &out[i]); err != nil {
			return nil, err
		}
		s.headers = append(s.headers, out[i].Header)
	}
	return out, nil
}

// fillBlocks checks the bounds, numbers and times, and fills what is not given: numbers, times, empty blocks in gaps.
func fillBlocks(base *chain.Header, blocks []chain.SimulatedBlock) ([]chain.SimulatedBlock, error) {
	number, time, calls := base.Number.Uint64(), base.Time, 0
	last := number + MaxSimulatedBlocks
	out := make([]chain.SimulatedBlock, 0, len(blocks))
	for _, b := range blocks {
		if calls += len(b.Calls); len(b.Calls) > MaxSimulatedCallsPerBlock || calls > MaxSimulatedCalls {
			return nil, simulationError(codeTooMuch, "too many calls: at most %d in a block and %d in all", MaxSimulatedCallsPerBlock, MaxSimulatedCalls)
		}
		o := chain.BlockOverride{}
		if b.Block != nil {
			o = *b.Block
		}
		want := number + 1
		if o.Number != nil {
			want = *o.Number
		}
		if want <= number {
			return nil, simulationError(codeBlockNumber, "block numbers must be in order: %d <= %d", want, number)
		}
		if want > last {
			return nil, simulationError(codeTooMuch, "too many blocks")
		}
		for number++; number < want; number++ {
			time += simulatedSeconds
			out = append(out, chain.SimulatedBlock{Block: placed(chain.BlockOverride{}, number, time)})
		}
		switch {
		case o.Time == nil:
			time += simulatedSeconds
		case *o.Time <= time:
			return nil, simulationError(codeBlockTime, "block timestamps must be in order: %d <= %d", *o.Time, time)
		default:
			time = *o.Time
		}
		b.Block = placed(o, number, time)
		out = append(out, b)
	}
	return out, nil
}

func placed(o chain.BlockOverride, number, time uint64) *chain.BlockOverride {
	o.Number, o.Time = &number, &time
	return &o
}

// header is the block's before its calls run.
func (s *simulation) nextHeader(o *chain.BlockOverride) *chain.Header {
	parent := s.base
	if n := len(s.headers); n > 0 {
		parent = s.headers[n-1]
	}
	h := overrideHeader(&chain.Header{
		ParentHash: parent.Hash(), UncleHash: types.EmptyUncleHash, Coinbase: parent.Coinbase, GasLimit: parent.GasLimit,
		Difficulty: new(big.Int), Number: new(big.Int), WithdrawalsHash: &types.EmptyWithdrawalsHash,
		BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64), ParentBeaconRoot: new(common.Hash), RequestsHash: &types.EmptyRequestsHash,
	}, o)
	switch {
	case h.BaseFee != nil:
	case s.opts.Validation:
		h.BaseFee = s.e.NextBaseFee(parent)
	default:
		h.BaseFee = new(big.Int)
	}
	return h
}

// blockHash answers BLOCKHASH within the simulation.
func (s *simulation) blockHash(height uint64) common.Hash {
	if height <= s.base.Number.Uint64() {
		return s.hash(height)
	}
	if i := height - s.base.Number.Uint64() - 1; i < uint64(len(s.headers)) {
		return s.headers[i].Hash()
	}
	return common.Hash{}
}

func (s *simulation) runBlock(ctx context.Context, b *chain.SimulatedBlock, out *chain.SimulatedResult) error {
	h := s.nextHeader(b.Block)
	s.header, s.block = h, blockContext(h, s.blockHash)
	s.precompiles = maps.Clone(s.e.precompiles)
	if err := overrideAccounts(s.state, b.Accounts, s.precompiles); err != nil {
		return simulationError(codeInvalidParams, "%v", err)
	}
	logs := &transferTracer{transfers: s.opts.TraceTransfers, height: h.Number.Uint64(), time: h.Time}
	r := s.e.runner(s.block, s.state, vm.Config{NoBaseFee: !s.opts.Validation, Tracer: logs.hooks()}, h.GasLimit)
	defer r.Close()
	r.usePrecompiles(s.precompiles)
	stop := context.AfterFunc(ctx, r.Cancel)
	defer stop()
	if err := r.ParentHash(h.ParentHash); err != nil {
		return err
	}
	receipts := make(types.Receipts, 0, len(b.Calls))
	for i := range b.Calls {
		tx, res, err := s.runCall(ctx, r, &b.Calls[i], i, logs)
		if err != nil {
			return err
		}
		out.Txs, out.Senders = append(out.Txs, tx), append(out.Senders, b.Calls[i].From)
		out.Results = append(out.Results, *res)
		receipts = append(receipts, simulatedReceipt(tx, res, logs.own, r.GasUsed()))
	}
	h.GasUsed = r.GasUsed()
	h.TxHash = types.DeriveSha(types.Transactions(out.Txs), trie.NewStackTrie(nil))
	h.ReceiptHash, h.Bloom = chain.ReceiptsRoot(receipts), types.MergeBloom(receipts)
	out.Header = h
	for _, res := range out.Results {
		for _, l := range res.Logs {
			l.BlockHash = h.Hash()
		}
	}
	return nil
}

func (s *simulation) runCall(ctx context.Context, r *Runner, call *chain.Call, index int, logs *transferTracer) (*types.Transaction, *chain.CallResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, aborted(err)
	}
	left := r.gas.Available(false)
	if call.Gas != nil && *call.Gas > left {
		return nil, nil, simulationError(codeBlockGas, "block gas limit reached: remaining: %d, required: %d", left, *call.Gas)
	}
	msg, err := s.message(call, max(1, min(left, s.gasLeft)))
	if err != nil {
		return nil, nil, simulationError(codeInvalidParams, "%v", err)
	}
	nonce := s.state.GetNonce(call.From)
	if call.Nonce == nil {
		msg.Nonce = nonce
	}
	if s.opts.Validation {
		msg = checked(msg)
	} else if nonce == math.MaxUint64 {
		return nil, nil, simulationError(codeInternal, "%v: address %s, nonce: %d", core.ErrNonceMax, call.From.Hex(), nonce)
	}
	tx := unsigned(s.e.chain.ChainID, call, msg)
	logs.reset(tx.Hash(), uint(index))
	res, own, err := r.Apply(msg, tx.Hash(), index)
	switch {
	case r.evm.Cancelled():
		return nil, nil, aborted(ctx.Err())
	case errors.Is(err, ErrState):
		return nil, nil, err
	case err != nil:
		return nil, nil, simulationError(invalidCallCode(err), "err: %v (supplied gas %d)", err, msg.GasLimit)
	}
	s.gasLeft -= min(s.gasLeft, res.UsedGas)
	logs.own = own
	return tx, &chain.CallResult{Return: res.Return(), GasUsed: res.UsedGas, MaxGasUsed: res.MaxUsedGas, Logs: logs.logs(), Err: failure(res)}, nil
}

// checked is msg with the nonce checked as a real transaction's; the sender may have code, and the gas limit has no cap of its own.
func checked(msg *core.Message) *core.Message {
	m := &core.Message{
		To: msg.To, From: msg.From, Nonce: msg.Nonce, Value: msg.Value, GasLimit: msg.GasLimit, GasPrice: msg.GasPrice,
		GasFeeCap: msg.GasFeeCap, GasTipCap: msg.GasTipCap, Data: msg.Data, AccessList: msg.AccessList, SetCodeAuthorizations: msg.SetCodeAuthorizations,
	}
	return m.SkipEOACheck().SkipGasLimitCapCheck()
}

func simulatedReceipt(tx *types.Transaction, res *chain.CallResult, logs []*types.Log, cumulative uint64) *types.Receipt {
	r := &types.Receipt{Type: tx.Type(), CumulativeGasUsed: cumulative, GasUsed: res.GasUsed, Logs: logs}
	if res.Err == nil {
		r.Status = types.ReceiptStatusSuccessful
	}
	r.Bloom = types.CreateBloom(r)
	return r
}

// invalidCallCode is the code of a call that could not be in a block.
func invalidCallCode(err error) int {
	for _, c := range []struct {
		err  error
		code int
	}{
		{core.ErrNonceTooHigh, codeNonceTooHigh}, {core.ErrNonceTooLow, codeNonceTooLow}, {core.ErrSenderNoEOA, codeSenderHasCode},
		{core.ErrTipAboveFeeCap, codeInvalidParams}, {core.ErrFeeCapTooLow, codeFeeTooLow},
		{core.ErrInsufficientFunds, codeInsufficientFunds}, {core.ErrInsufficientFundsForTransfer, codeInsufficientFunds},
		{core.ErrIntrinsicGas, codeIntrinsicGas}, {vm.ErrMaxInitCodeSizeExceeded, codeInitCodeTooLarge},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return codeInternal
}
