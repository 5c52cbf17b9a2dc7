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
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// errTwoPrices is a call that names its price in both ways.
var errTwoPrices = errors.New("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")

// sandbox is where one request's messages run: a view of its own over the state, with overrides, under the block's context. Nothing leaves
// it but results. One goroutine at a time; close gives the view back.
type sandbox struct {
	e           *Executor
	state       *StateDB
	header      *chain.Header
	block       vm.BlockContext
	precompiles vm.PrecompiledContracts
}

// open makes the sandbox of a call after the block of cc.
func (e *Executor) open(cc *chain.CallContext) (*sandbox, error) {
	b := &sandbox{e: e, state: e.states.Get().(*StateDB), header: overrideHeader(cc.Header, cc.Block)}
	b.state.Reset(cc.State)
	b.block = blockContext(b.header, callHashes(cc))
	if len(cc.Accounts) == 0 {
		return b, nil
	}
	b.precompiles = maps.Clone(e.precompiles)
	if err := overrideAccounts(b.state, cc.Accounts, b.precompiles); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *sandbox) close() {
	b.state.Reset(nil)
	b.e.states.Put(b.state)
	b.state = nil
}

// callHashes answers BLOCKHASH as geth does for calls: the zero hash for what is unknown.
func callHashes(cc *chain.CallContext) vm.GetHashFunc {
	own := cc.Header.Number.Uint64()
	return func(height uint64) common.Hash {
		switch {
		case height < own && cc.BlockHash != nil:
			return cc.BlockHash(height)
		case height == own:
			// Asked for only when the number is overridden: wallets simulate the next block so, and a contract must not tell by this hash.
			return cc.Header.Hash()
		}
		return common.Hash{}
	}
}

// message is the call as geth's core takes it: no nonce, code or gas-limit check, gas bounded by gasCap (0: unbounded).
func (b *sandbox) message(call *chain.Call, gasCap uint64) (*core.Message, error) {
	price, feeCap, tipCap := call.GasPrice, call.FeeCap, call.TipCap
	switch {
	case price != nil && (feeCap != nil || tipCap != nil):
		return nil, errTwoPrices
	case call.To == nil && call.Authorizations != nil:
		return nil, core.ErrSetCodeTxCreate
	case price != nil:
		feeCap, tipCap = price, price
	default:
		feeCap, tipCap = orZero(feeCap), orZero(tipCap)
		price = new(uint256.Int)
		if !feeCap.IsZero() || !tipCap.IsZero() {
			if _, overflow := price.AddOverflow(tipCap, uint256.MustFromBig(b.block.BaseFee)); overflow || price.Gt(feeCap) {
				price = feeCap
			}
		}
	}
	if feeCap.Lt(tipCap) {
		return nil, core.ErrTipAboveFeeCap
	}
	if b.e.genesis.Fees.Mode == chain.FeesZero && b.header.BaseFee.Sign() == 0 {
		price, feeCap, tipCap = new(uint256.Int), new(uint256.Int), new(uint256.Int) // gas is free here, see chain.Tx.EffectiveTip
	}
	if gasCap == 0 {
		gasCap = math.MaxUint64 / 2
	}
	gas := gasCap
	if call.Gas != nil {
		gas = min(*call.Gas, gasCap)
	}
	msg := &core.Message{
		From: call.From, To: call.To, Value: orZero(call.Value), GasLimit: gas, GasPrice: price, GasFeeCap: feeCap, GasTipCap: tipCap,
		Data: call.Data, AccessList: call.AccessList, SetCodeAuthorizations: call.Authorizations,
	}
	if call.Nonce != nil {
		msg.Nonce = *call.Nonce
	}
	return msg.SkipNonceCheck().SkipEOACheck().SkipGasLimitCapCheck(), nil
}

func orZero(v *uint256.Int) *uint256.Int {
	if v == nil {
		return new(uint256.Int)
	}
	return v
}

// run applies msg for good within the sandbox; dry undoes it again. The error is the caller's (the message cannot be), the state's or
// the time's.
func (b *sandbox) run(ctx context.Context, msg *core.Message, hooks *tracing.Hooks, dry bool) (*core.ExecutionResult, []*types.Log, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, aborted(err)
	}
	block := b.block
	if msg.GasPrice.IsZero() {
		// A call that pays nothing sees no base fee either: the EVM assumes that fees cover it.
		block.BaseFee = new(big.Int)
	}
	r := b.e.runner(block, b.state, vm.Config{NoBaseFee: true, Tracer: hooks}, msg.GasLimit)
	defer r.Close()
	if b.precompiles != nil {
		r.usePrecompiles(b.precompiles)
	}
	stop := context.AfterFunc(ctx, r.Cancel)
	defer stop()
	apply := r.Apply
	if dry {
		apply = r.try
	}
	res, logs, err := apply(msg, common.Hash{}, 0)
	if r.evm.Cancelled() {
		return nil, nil, aborted(ctx.Err())
	}
	return res, logs, err
}

// aborted is the error of a call whose context ended.
func aborted(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return chain.ErrCallTimeout
	}
	return err
}

// try runs one transaction and undoes it, so that the next one starts from the same state.
func (r *Runner) try(msg *core.Message, hash common.Hash, index int) (*core.ExecutionResult, []*types.Log, error) {
	gas := *r.gas
	r.state.SetTxContext(hash, index, uint32(index+1))
	res, err := core.ApplyMessage(r.evm, msg, r.gas)
	logs := r.state.Logs()
	r.state.RevertToSnapshot(0)
	*r.gas = gas
	r.state.Finalise(r.rules)
	if failed := r.state.Err(); failed != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrState, failed)
	}
	return res, logs, err
}
