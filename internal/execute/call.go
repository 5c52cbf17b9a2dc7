package execute

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Call runs a message on the state of cc (eth_call). gasCap bounds the gas whatever the call asks for; 0 is no bound. A failure inside the
// EVM is in the result; an error is a call that cannot run, chain.ErrCallTimeout, or a state that could not be read (ErrState).
func (e *Executor) Call(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (*chain.CallResult, error) {
	b, err := e.open(cc)
	if err != nil {
		return nil, err
	}
	defer b.close()
	msg, err := b.message(call, gasCap)
	if err != nil {
		return nil, err
	}
	res, logs, err := b.run(ctx, msg, nil, false)
	if err != nil {
		return nil, callError(err, msg.GasLimit)
	}
	out := &chain.CallResult{Return: res.Return(), GasUsed: res.UsedGas, Logs: logs, Err: failure(res)}
	return out, nil
}

// callError tells with what gas a message could not run; a timeout or a failed state stays what it is.
func callError(err error, gas uint64) error {
	if errors.Is(err, ErrState) || errors.Is(err, chain.ErrCallTimeout) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("err: %w (supplied gas %d)", err, gas)
}

// failure is why a message failed inside the EVM, nil if it did not.
func failure(res *core.ExecutionResult) error {
	if errors.Is(res.Err, vm.ErrExecutionReverted) {
		return &chain.RevertError{Data: res.Revert()}
	}
	return res.Err
}

// estimateError is how far above the least gas an estimate may lie, as a share of it: geth's figure. Clients add more on their own, and it
// saves half of the runs.
const estimateError = 0.015

// EstimateGas finds a gas limit with which the call succeeds, by bisection (eth_estimateGas). The error is a *chain.RevertError with the
// data when the call reverts, the EVM's error when it fails otherwise, or "gas required exceeds allowance".
func (e *Executor) EstimateGas(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (uint64, error) {
	b, err := e.open(cc)
	if err != nil {
		return 0, err
	}
	defer b.close()
	msg, err := b.message(call, 0)
	if err != nil {
		return 0, err
	}
	high, err := b.gasCeiling(call, msg, gasCap)
	if err != nil {
		return 0, err
	}
	if len(call.Data) == 0 && call.To != nil && b.state.GetCodeSize(*call.To) == 0 {
		// A plain transfer runs no code, so one trial tells the exact figure.
		if res, err := b.tryGas(ctx, msg, params.TxGas); err == nil && res != nil && !res.Failed() {
			return res.UsedGas, nil
		}
	}
	res, err := b.tryGas(ctx, msg, high)
	switch {
	case err != nil:
		return 0, err
	case res != nil && res.Failed() && !errors.Is(res.Err, vm.ErrOutOfGas):
		return 0, failure(res)
	case res == nil || res.Failed():
		return 0, fmt.Errorf("gas required exceeds allowance (%d)", high)
	}
	return b.bisect(ctx, msg, res, high)
}

// gasCeiling is the most gas that the call could have: the block's, its own, one transaction's (EIP-7825), what its sender can pay, the cap.
func (b *sandbox) gasCeiling(call *chain.Call, msg *core.Message, gasCap uint64) (uint64, error) {
	high := b.header.GasLimit
	if call.Gas != nil && *call.Gas >= params.TxGas {
		high = *call.Gas
	}
	high = min(high, params.MaxTxGas)
	if !msg.GasFeeCap.IsZero() {
		balance := b.state.GetBalance(msg.From)
		if !msg.Value.Lt(balance) {
			return 0, core.ErrInsufficientFundsForTransfer
		}
		allowance := balance.Sub(balance, msg.Value)
		allowance.Div(allowance, msg.GasFeeCap)
		if allowance.IsUint64() {
			high = min(high, allowance.Uint64())
		}
	}
	if gasCap != 0 {
		high = min(high, gasCap)
	}
	return high, nil
}

// bisect finds the least gas between what the run at high used and high.
func (b *sandbox) bisect(ctx context.Context, msg *core.Message, res *core.ExecutionResult, high uint64) (uint64, error) {
	low := res.UsedGas - 1
	// What the run held at its peak, with what a value transfer lends and the 63/64 rule (EIP-150) keeps back, usually suffices.
	guess := (res.MaxUsedGas + params.CallStipend) * 64 / 63
	for first := true; low+1 < high; first = false {
		mid := min(low+(high-low)/2, low*2)
		if first && guess < high {
			mid = guess
		} else if float64(high-low)/float64(high) < estimateError {
			break
		}
		res, err := b.tryGas(ctx, msg, mid)
		if err != nil {
			return 0, err
		}
		if res == nil || res.Failed() {
			low = mid
		} else {
			high = mid
		}
	}
	return high, nil
}

// tryGas runs msg with that gas limit and undoes it. A nil result without an error says that this is too little to even start.
func (b *sandbox) tryGas(ctx context.Context, msg *core.Message, gas uint64) (*core.ExecutionResult, error) {
	msg.GasLimit = gas
	res, _, err := b.run(ctx, msg, nil, true)
	switch {
	case err == nil:
		return res, nil
	case errors.Is(err, core.ErrIntrinsicGas), errors.Is(err, core.ErrFloorDataGas):
		return nil, nil
	case errors.Is(err, ErrState), errors.Is(err, chain.ErrCallTimeout), errors.Is(err, context.Canceled):
		return nil, err
	}
	return nil, fmt.Errorf("failed with %d gas: %w", gas, err)
}
