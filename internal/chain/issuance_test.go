package chain

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common/math"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRewardAt(t *testing.T) {
	reward := func(wei int64, halving uint64) *WorkParams {
		return &WorkParams{Reward: (*math.HexOrDecimal256)(big.NewInt(wei)), HalvingBlocks: halving}
	}
	for _, tc := range []struct {
		params *WorkParams
		height uint64
		want   int64
	}{
		{reward(100, 10), 0, 0}, {reward(100, 10), 1, 100}, {reward(100, 10), 10, 100}, {reward(100, 10), 11, 50}, {reward(100, 10), 20, 50},
		{reward(100, 10), 21, 25}, {reward(100, 10), 31, 12}, {reward(100, 10), 71, 0}, {reward(100, 1), 1<<64 - 1, 0},
		{reward(100, 0), 1 << 40, 100}, {&WorkParams{}, 5, 0},
	} {
		require.Equal(t, tc.want, tc.params.RewardAt(tc.height).Int64(), "height %d", tc.height)
	}
	require.Equal(t, "2000000000000000000", DefaultWorkParams().RewardAt(1).String())
}

// TestIssuedIsTheSum: the closed form against adding up block by block, and its bound: a height of 2^64−1 takes 128 steps.
func TestIssuedIsTheSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		work := &WorkParams{Reward: (*math.HexOrDecimal256)(new(big.Int).SetUint64(rapid.Uint64().Draw(t, "reward"))),
			HalvingBlocks: rapid.Uint64Range(0, 40).Draw(t, "halving")}
		stake := &StakeParams{RewardPerEpoch: work.Reward, EpochBlocks: rapid.Uint64Range(128, 200).Draw(t, "epoch")}
		mined, staked := new(big.Int), new(big.Int)
		for height := range rapid.Uint64Range(1, 1000).Draw(t, "height") {
			mined.Add(mined, work.RewardAt(height))
			if stake.Ends(height) {
				staked.Add(staked, stake.EpochReward())
			}
			require.Zero(t, mined.Cmp(work.Issued(height)), "work, height %d", height)
			require.Zero(t, staked.Cmp(stake.Issued(height)), "stake, height %d", height)
		}
	})
	full := &WorkParams{Reward: (*math.HexOrDecimal256)(big.NewInt(8)), HalvingBlocks: 10}
	require.Equal(t, big.NewInt(150), full.Issued(1<<64-1))
	require.Equal(t, new(big.Int).Mul(big.NewInt(8), new(big.Int).SetUint64(1<<64-1)), (&WorkParams{Reward: full.Reward}).Issued(1<<64-1))
}

func TestElectionsComeBeforeTheirEpochs(t *testing.T) {
	p := DefaultStakeParams()
	p.EpochBlocks = 2 * ActivationDelay
	var elects, ends []uint64
	for height := range 4*p.EpochBlocks + 1 {
		if p.Elects(height) {
			elects = append(elects, height)
		}
		if p.Ends(height) {
			ends = append(ends, height)
		}
	}
	require.Equal(t, []uint64{64, 192, 320, 448}, elects)
	require.Equal(t, []uint64{128, 256, 384, 512}, ends)
	require.Zero(t, (&StakeParams{EpochBlocks: 128}).Issued(1<<40).Sign(), "nothing is minted where nothing is said")
}
