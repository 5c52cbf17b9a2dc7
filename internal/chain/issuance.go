package chain

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
)

// Besides the accounts of the genesis, wei comes into being in two places only, and both follow from the genesis and the height alone: a block's reward on a
// chain of work, an epoch's reward on a chain of stake. So whoever knows the genesis and which engine ruled which heights knows the supply:
// alloc + issued − burnt, where the base fee burns unless Fees.BaseFeeTo is there, and stake that is slashed burns on the staking contract's own account.

// StakingAddress is where the contract Staking is on a chain whose genesis has StakeParams: execution calls it at the end of blocks.
var StakingAddress = common.HexToAddress("0x0000000000000000000000000000000000001003")

// RewardAt is what the miner of block height is paid beside the tips, in wei: Reward, halved every HalvingBlocks.
func (p *WorkParams) RewardAt(height uint64) *big.Int {
	if p.Reward == nil || height == 0 {
		return new(big.Int)
	}
	reward := (*big.Int)(p.Reward)
	if p.HalvingBlocks == 0 {
		return new(big.Int).Set(reward)
	}
	// Reward has 128 bits at the most, so 128 halvings leave nothing.
	return new(big.Int).Rsh(reward, uint(min((height-1)/p.HalvingBlocks, 128)))
}

// Issued is the sum of RewardAt over the blocks 1 to height.
func (p *WorkParams) Issued(height uint64) *big.Int {
	sum, step := new(big.Int), p.HalvingBlocks
	if step == 0 {
		step = max(height, 1)
	}
	for from := uint64(1); from <= height; {
		reward := p.RewardAt(from)
		if reward.Sign() == 0 {
			break
		}
		blocks := min(step, height-from+1)
		sum.Add(sum, reward.Mul(reward, new(big.Int).SetUint64(blocks)))
		if from += blocks; blocks < step {
			break
		}
	}
	return sum
}

// Elects tells whether the seats of the epoch that begins ActivationDelay blocks later are elected at the end of block height.
func (p *StakeParams) Elects(height uint64) bool {
	return height > 0 && (height+ActivationDelay)%p.EpochBlocks == 0
}

// Ends tells whether an epoch is settled at the end of block height, the first that the next epoch's seats order: rewards are shared, stake that was taken back
// is released, who was absent is jailed.
func (p *StakeParams) Ends(height uint64) bool { return height > 0 && height%p.EpochBlocks == 0 }

// EpochReward is what an epoch's end mints, in wei.
func (p *StakeParams) EpochReward() *big.Int {
	if p.RewardPerEpoch == nil {
		return new(big.Int)
	}
	return new(big.Int).Set((*big.Int)(p.RewardPerEpoch))
}

// Issued is what the ends of epochs have minted after block height, where stake has ruled from block 1 on.
func (p *StakeParams) Issued(height uint64) *big.Int {
	return new(big.Int).Mul(p.EpochReward(), new(big.Int).SetUint64(height/p.EpochBlocks))
}
