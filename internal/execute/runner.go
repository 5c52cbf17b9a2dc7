package execute

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// ErrState is wrapped by the error of a run that could not read the underlying state; nothing that it computed holds.
var ErrState = errors.New("the state could not be read")

// Runner applies messages one after the other to a StateDB, under one block's context and any rules up to Osaka's: the core that blocks,
// calls, traces and the conformance tests share. One goroutine at a time; Cancel is for any goroutine.
type Runner struct {
	evm   *vm.EVM
	jumps vm.JumpDestCache
	state *StateDB
	// steps is the length of the last applied message's journal.
	steps int
	// view is state, told on to the tracer where there is one.
	view  vm.StateDB
	gas   *core.GasPool
	rules params.Rules
	// feeTo gets the base fees; nil: they are burnt.
	feeTo *common.Address
	// precompiles replace the rules' own where they are not nil.
	precompiles vm.PrecompiledContracts
}

// NewRunner starts a block. cache may be nil; blockGas is what the block's transactions may use together.
func NewRunner(config *params.ChainConfig, block vm.BlockContext, st *StateDB, cfg vm.Config, cache vm.JumpDestCache, blockGas uint64) *Runner {
	r := &Runner{state: st, view: st, jumps: cache, gas: core.NewGasPool(blockGas)}
	if cfg.Tracer != nil {
		r.view = tracedState{st, cfg.Tracer}
	}
	r.evm = vm.NewEVM(block, r.view, config, cfg)
	r.evm.SetJumpDestCache(cache)
	r.rules = r.evm.GetRules()
	return r
}

// usePrecompiles replaces the rules' own contracts; nil leaves them.
func (r *Runner) usePrecompiles(p vm.PrecompiledContracts) {
	if r.precompiles = p; p != nil {
		r.evm.SetPrecompiles(p)
	}
}

// Apply runs one transaction and finalises it. An error means that the message cannot be in a block here; state and gas pool are as before
// it. An error that wraps ErrState means that the whole run is void.
func (r *Runner) Apply(msg *core.Message, hash common.Hash, index int) (*core.ExecutionResult, []*types.Log, error) {
	gas := *r.gas
	r.state.SetTxContext(hash, index, uint32(index+1))
	res, err := core.ApplyMessage(r.evm, msg, r.gas)
	if failed := r.state.Err(); failed != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrState, failed)
	}
	if err != nil {
		r.state.RevertToSnapshot(0)
		*r.gas = gas
		r.state.Finalise(r.rules)
		return nil, nil, err
	}
	if r.creditBaseFee(msg, res); r.state.Err() != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrState, r.state.Err())
	}
	logs := r.state.Logs()
	r.steps = len(r.state.journal)
	r.view.Finalise(r.rules)
	return res, logs, nil
}

// heavySteps is the journal of a message that spent a third of the gas that one may have (EIP-7825) on cold accounts alone.
const heavySteps = 1 << 11

// lighten takes a new EVM after a message that may have run thousands of contracts: geth's keeps a table of their code per message and
// clears it before each later one, at the cost of its largest size. Not together with Cancel.
func (r *Runner) lighten() {
	if r.steps < heavySteps {
		return
	}
	old := r.evm
	r.evm = vm.NewEVM(old.Context, r.view, old.ChainConfig(), old.Config)
	r.evm.SetJumpDestCache(r.jumps)
	r.usePrecompiles(r.precompiles)
	old.Release()
	r.steps = 0
}

// ParentHash records the parent block's hash in the EIP-2935 contract, where there is one.
func (r *Runner) ParentHash(hash common.Hash) error {
	if !r.rules.IsPrague {
		return nil
	}
	core.ProcessParentBlockHash(hash, r.evm, nil)
	if err := r.state.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// Rules are the block's.
func (r *Runner) Rules() params.Rules { return r.rules }

// GasUsed is what the applied messages used together.
func (r *Runner) GasUsed() uint64 { return r.gas.Used() }

// Cancel stops the running message soon. Safe for concurrent use.
func (r *Runner) Cancel() { r.evm.Cancel() }

// Close gives the EVM's memory back.
func (r *Runner) Close() { r.evm.Release() }

// blockContext is what the EVM sees of a block with that header.
func blockContext(h *chain.Header, hash vm.GetHashFunc) vm.BlockContext {
	random := h.MixDigest
	return vm.BlockContext{
		CanTransfer: core.CanTransfer,
		Transfer:    core.Transfer,
		GetHash:     hash,
		Coinbase:    h.Coinbase,
		GasLimit:    h.GasLimit,
		BlockNumber: h.Number,
		Time:        h.Time,
		Difficulty:  new(big.Int),
		BaseFee:     h.BaseFee,
		// The smallest blob fee there is: this chain has no blobs, so their price never rises.
		BlobBaseFee: big.NewInt(params.BlobTxMinBlobGasprice),
		Random:      &random,
	}
}

// message is tx as geth's core takes it. It borrows from tx, which outlives it.
func message(tx *chain.Tx, baseFee *uint256.Int) *core.Message {
	price, feeCap, tipCap := tx.FeeCap(), tx.FeeCap(), tx.TipCap()
	if tip, ok := tx.EffectiveTip(baseFee); ok {
		price = tip.Add(tip, baseFee)
	}
	if baseFee.IsZero() {
		// Gas is free: what the sender would pay at the most must not be asked of its balance.
		feeCap, tipCap = price, price
	}
	return &core.Message{
		To: tx.To(), From: tx.Sender(), Nonce: tx.Nonce(), Value: tx.Value(), GasLimit: tx.Gas(),
		GasPrice: price, GasFeeCap: feeCap, GasTipCap: tipCap,
		Data: tx.Data(), AccessList: tx.AccessList(), SetCodeAuthorizations: tx.Authorizations(),
	}
}
