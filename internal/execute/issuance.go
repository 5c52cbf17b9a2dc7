package execute

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// runner starts a block, or a call's, of this chain. Every message of the chain goes through one, so that blocks, calls and traces pay alike.
func (e *Executor) runner(block vm.BlockContext, st *StateDB, cfg vm.Config, gas uint64) *Runner {
	r := NewRunner(e.chain, block, st, cfg, e.jumps, gas)
	r.feeTo = e.genesis.Fees.BaseFeeTo
	r.usePrecompiles(e.precompiles)
	return r
}

// creditBaseFee pays the applied message's base fee, which geth lets vanish, to whom the genesis names: right behind the coinbase's tip, so that both are seen
// by the next transaction and by neither's own. It changes no gas.
func (r *Runner) creditBaseFee(msg *core.Message, res *core.ExecutionResult) {
	if r.feeTo == nil {
		return
	}
	if r.evm.Config.NoBaseFee && msg.GasFeeCap.IsZero() && msg.GasTipCap.IsZero() {
		return // a call that pays nothing
	}
	fee, overflow := uint256.FromBig(r.evm.Context.BaseFee)
	if overflow {
		r.state.fail(fmt.Errorf("base fee %s exceeds 256 bits", r.evm.Context.BaseFee))
		return
	}
	// It cannot overflow: the sender has paid it.
	if fee.Mul(fee, uint256.NewInt(res.UsedGas)); !fee.IsZero() {
		r.view.AddBalance(*r.feeTo, fee, tracing.BalanceIncreaseRewardTransactionFee)
	}
}

// mint makes wei for an account at the end of a block. Nothing is minted where nothing is due, so that no account is touched for it.
func (r *Runner) mint(to common.Address, amount *uint256.Int) error {
	if amount.IsZero() {
		return nil
	}
	balance := r.state.GetBalance(to)
	if _, overflow := balance.AddOverflow(balance, amount); overflow {
		return fmt.Errorf("mint %s wei for %s: its balance would exceed 256 bits", amount.Dec(), to)
	}
	r.view.AddBalance(to, amount, tracing.BalanceIncreaseRewardMineBlock)
	r.view.Finalise(r.rules)
	if err := r.state.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// endBlock does what the ruling engine does to the state behind the block's last transaction: the miner's reward, or the contract Staking's turn.
func (e *Executor) endBlock(ctx context.Context, r *Runner, engine chain.EngineKind, header *chain.Header) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	height, consensus := header.Number.Uint64(), &e.genesis.Consensus
	switch {
	case engine == chain.PoW && consensus.Work == nil, engine == chain.PoS && consensus.Stake == nil:
		return fmt.Errorf("block %d: engine %q rules, and the genesis has no parameters of it", height, engine)
	case engine == chain.PoW:
		return r.mint(header.Coinbase, uint256.MustFromBig(consensus.Work.RewardAt(height)))
	case engine == chain.PoS:
		return e.stakeTurn(r, height)
	}
	return nil
}

// showFeeReceiver has geth's prestate tracer look at who gets the base fee, which it knows of no chain: a difference of states that leaves an account out does
// not add up. It looks at the account that a BALANCE would be asked of.
func (r *Runner) showFeeReceiver(tracer *tracers.Tracer) {
	if r.feeTo == nil || tracer.OnOpcode == nil {
		return
	}
	tracer.OnOpcode(0, byte(vm.BALANCE), 0, 0, &feeReceiver{stack: [1]uint256.Int{*new(uint256.Int).SetBytes20(r.feeTo[:])}}, nil, 0, nil)
}

// feeReceiver is a frame with an address on its stack and nothing else.
type feeReceiver struct{ stack [1]uint256.Int }

func (f *feeReceiver) MemoryData() []byte       { return nil }
func (f *feeReceiver) StackData() []uint256.Int { return f.stack[:] }
func (f *feeReceiver) Caller() common.Address   { return common.Address{} }
func (f *feeReceiver) Address() common.Address  { return common.Address{} }
func (f *feeReceiver) CallValue() *uint256.Int  { return new(uint256.Int) }
func (f *feeReceiver) CallInput() []byte        { return nil }
func (f *feeReceiver) ContractCode() []byte     { return nil }
