package execute

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// SystemCallGas bounds a system call. Nobody pays for it and it is not in the block's gas. The dearest, an election of 128 seats among 512 candidates, takes 41
// million (docs/stake.md); what takes twenty times as much is a bug, and must be over in seconds: the default gas limit of a block.
const SystemCallGas = 1_000_000_000

// The contract Staking's methods that the chain itself calls. internal/node's tests and test/sim run the two together.
var (
	electSelector    = crypto.Keccak256([]byte("elect()"))[:4]
	endEpochSelector = crypto.Keccak256([]byte("endEpoch(uint256)"))[:4]
)

// stakeTurn calls Staking at the end of the heights that chain.StakeParams names: first an epoch is settled, with what it mints on the contract's account
// already, then seats are elected (which never meets: an epoch is at least twice the delay).
func (e *Executor) stakeTurn(r *Runner, height uint64) error {
	stake := e.genesis.Consensus.Stake
	if stake.Ends(height) {
		minted := uint256.MustFromBig(stake.EpochReward())
		if err := r.mint(chain.StakingAddress, minted); err != nil {
			return err
		}
		word := minted.Bytes32()
		if err := r.SystemCall(chain.StakingAddress, append(append([]byte(nil), endEpochSelector...), word[:]...), SystemCallGas); err != nil {
			return fmt.Errorf("settle the epoch at block %d: %w", height, err)
		}
	}
	if stake.Elects(height) {
		if err := r.SystemCall(chain.StakingAddress, electSelector, SystemCallGas); err != nil {
			return fmt.Errorf("elect seats at block %d: %w", height, err)
		}
	}
	return nil
}

// errNoContract is a system call to an account without code, which the EVM would call a success.
var errNoContract = errors.New("there is no contract")

// SystemCall calls a system contract as params.SystemAddress, outside of any transaction: no gas is bought or counted, no receipt tells of it, and its logs are
// dropped, for a log without a transaction would be one that no filter, bloom or proof could find. What such a call did is in the contract's state. Its failure
// is an error that stops the block: the contract and its caller are both the chain's own, so it is a bug, and every node meets it at the same block.
func (r *Runner) SystemCall(contract common.Address, data []byte, gas uint64) error {
	msg := &core.Message{From: params.SystemAddress, To: &contract, GasLimit: gas, GasPrice: new(uint256.Int), GasFeeCap: new(uint256.Int),
		GasTipCap: new(uint256.Int), Value: new(uint256.Int), Data: data}
	r.evm.SetTxContext(core.NewEVMTxContext(msg))
	r.view.Prepare(r.rules, common.Address{}, common.Address{}, nil, vm.ActivePrecompiles(r.rules), nil)
	r.state.SetTxContext(common.Hash{}, 0, 0)
	r.view.AddAddressToAccessList(contract)
	logs := r.state.logIndex
	if r.state.GetCodeSize(contract) == 0 && r.state.Err() == nil {
		return fmt.Errorf("system call of %s: %w", contract, errNoContract)
	}
	ret, _, err := r.evm.Call(msg.From, contract, data, vm.NewGasBudget(gas, 0), msg.Value)
	if failed := r.state.Err(); failed != nil {
		return fmt.Errorf("%w: %w", ErrState, failed)
	}
	if err != nil {
		return fmt.Errorf("system call of %s: %w: %#x", contract, err, ret[:min(len(ret), 256)])
	}
	r.view.Finalise(r.rules)
	r.state.logIndex = logs
	return nil
}
