package execute_test

import (
	"context"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

const minted = 1e15

// recording counts calls in the slot of their call data's length, keeps the last one's first word (256), caller (257), selector (258), balance (259), and
// origin plus price (260), and logs.
func recording() []byte {
	var p program
	p.op(vm.CALLDATASIZE, vm.SLOAD)
	p.num(1)
	p.op(vm.ADD, vm.CALLDATASIZE, vm.SSTORE)
	for slot, put := range []func(){
		func() { p.num(4); p.op(vm.CALLDATALOAD) },
		func() { p.op(vm.CALLER) },
		func() { p.num(0); p.op(vm.CALLDATALOAD); p.num(224); p.op(vm.SHR) },
		func() { p.op(vm.SELFBALANCE) },
		func() { p.op(vm.GASPRICE, vm.ORIGIN, vm.ADD) },
	} {
		put()
		p.num(uint64(256 + slot))
		p.op(vm.SSTORE)
	}
	p.num(0)
	p.num(0)
	p.op(vm.LOG0)
	return p
}

// staked is a chain of stake whose contract is code.
func staked(code []byte) func(*chain.Genesis) {
	return func(g *chain.Genesis) {
		g.Validators = nil
		for i := range 4 {
			g.Validators = append(g.Validators, chain.GenesisValidator{ID: chain.ValidatorID(i + 1), Name: "v", PublicKey: []byte{byte(i + 1)}, Address: proposer})
		}
		g.Consensus.Engine, g.Consensus.BFT, g.Consensus.Stake = chain.PoS, chain.DefaultBFTParams(), chain.DefaultStakeParams()
		g.Consensus.Stake.EpochBlocks, g.Consensus.Stake.RewardPerEpoch = 2*chain.ActivationDelay, (*math.HexOrDecimal256)(big.NewInt(minted))
		if code != nil {
			g.Alloc[chain.StakingAddress] = chain.GenesisAccount{Nonce: 1, Code: code}
		}
	}
}

func (w *world) slot(n int64) *big.Int {
	v, err := w.ledger.Slot(chain.StakingAddress, common.BigToHash(big.NewInt(n)))
	require.NoError(w.t, err)
	return v.Big()
}

// TestStakingIsCalledAtItsHeights: elect and endEpoch come when they must, from the system address, with what is minted on the account and in the argument,
// and leave nothing in the blocks but their writes.
func TestStakingIsCalledAtItsHeights(t *testing.T) {
	w := newWorld(t, staked(recording()), execute.DefaultConfig())
	supply := w.ledger.Supply()
	for height := int64(1); height <= 400; height++ {
		tx := w.sign(0, transfer(uint64(height-1), chain.StakingAddress, 0))
		tx2 := w.sign(1, &types.LegacyTx{Nonce: uint64(height - 1), To: &chain.StakingAddress, Gas: 200_000, GasPrice: new(big.Int), Data: make([]byte, 7)})
		out := w.block(tx, tx2)
		elected, ended := (height+64)/128, height/128
		require.Equal(t, elected, w.slot(4).Int64(), "elections by block %d", height)
		require.Equal(t, ended, w.slot(36).Int64(), "epochs settled by block %d", height)
		require.Equal(t, height, w.slot(7).Int64())
		require.Equal(t, uint64(ended*minted), w.balance(chain.StakingAddress).Uint64())
		issued := uint256.MustFromBig(w.genesis.Consensus.Stake.Issued(uint64(height)))
		require.Equal(t, issued.Add(issued, supply), w.ledger.Supply())
		require.Len(t, out.Receipts, 2)
		require.Len(t, out.Receipts[1].Logs, 1, "the transaction's own")
		require.Zero(t, out.Receipts[1].Logs[0].Index)
		require.Equal(t, out.Receipts[1].CumulativeGasUsed, out.Block.Header.GasUsed, "system calls are not in the block's gas")
		require.Equal(t, types.MergeBloom(out.Receipts), out.Block.Header.Bloom)
		switch at := out.Block.Header.Number.Uint64() % 128; at {
		case 0, 64:
			require.Equal(t, params.SystemAddress.Big(), w.slot(257))
			require.Equal(t, params.SystemAddress.Big(), w.slot(260), "the origin, at no price")
			name, argument := "elect()", int64(0)
			if at == 0 {
				name, argument = "endEpoch(uint256)", minted
			}
			require.Equal(t, new(big.Int).SetBytes(gethcrypto.Keccak256([]byte(name))[:4]), w.slot(258))
			require.Equal(t, argument, w.slot(256).Int64())
			require.Equal(t, w.balance(chain.StakingAddress).ToBig(), w.slot(259), "the wei is there when it is told of")
		default:
			require.NotEqual(t, params.SystemAddress.Big(), w.slot(257))
		}
	}
	system, err := w.ledger.Account(params.SystemAddress)
	require.NoError(t, err)
	require.Nil(t, system, "calling makes no account")
}

// TestSystemCallsFailLoudly: a contract that fails, never ends or is not there stops the block; the transactions before it count for nothing.
func TestSystemCallsFailLoudly(t *testing.T) {
	var revert program
	revert.num(0)
	revert.num(0)
	revert.op(vm.REVERT)
	for name, tc := range map[string]struct {
		code []byte
		want string
	}{
		"revert":  {revert, "elect seats at block 64: system call of 0x0000000000000000000000000000000000001003: execution reverted"},
		"endless": {loop, "out of gas"},
		"nothing": {nil, "there is no contract"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, staked(tc.code), execute.DefaultConfig())
			for range 63 {
				w.block()
			}
			root := w.ledger.Root()
			_, err := w.exec.Execute(context.Background(), w.input(w.sign(0, transfer(0, w.addrs[1], 1))), w.ledger)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, root, w.ledger.Root(), "nothing was staged")
			// The executor is as before: another chain's block through the same view would be right, and this one fails again alike.
			_, again := w.exec.Execute(context.Background(), w.input(w.sign(0, transfer(0, w.addrs[1], 1))), w.ledger)
			require.Equal(t, err.Error(), again.Error())
		})
	}
}

// TestOtherEnginesCallNothing: parameters of stake that stand in the genesis in advance do nothing while another engine rules.
func TestOtherEnginesCallNothing(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) {
		staked(recording())(g)
		g.Consensus.Engine = chain.BFT
	}, execute.DefaultConfig())
	supply := w.ledger.Supply()
	for range 130 {
		w.block()
	}
	require.Zero(t, w.slot(4).Sign()+w.slot(36).Sign())
	require.Equal(t, supply, w.ledger.Supply())
}

// TestTheRulingEngineCounts: what the genesis began with does not matter, the rule of the block does.
func TestTheRulingEngineCounts(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) {
		staked(recording())(g)
		g.Consensus.Engine = chain.BFT
	}, execute.DefaultConfig())
	voted, elected := w.genesis.Rule(), &chain.Rule{Engine: chain.PoS, Set: w.genesis.ValidatorSet()}
	ruling := voted
	for height := range uint64(300) {
		in := w.input()
		in.Rule, in.Next = ruling, ruling
		switch height + 1 {
		case 100:
			in.Next = elected
		case 200:
			in.Next = voted
		}
		out, err := w.exec.Execute(context.Background(), in, w.ledger)
		require.NoError(t, err)
		w.headers = append(w.headers, out.Block.Header)
		ruling = in.Next
	}
	// Of the elections at 64, 192 and 320 and the ends of epochs at 128 and 256, those within blocks 101 to 200.
	require.Equal(t, int64(1), w.slot(4).Int64())
	require.Equal(t, int64(1), w.slot(36).Int64())
	require.Equal(t, uint64(minted), w.balance(chain.StakingAddress).Uint64())
}

// TestMinersArePaid: a block of work pays its coinbase what the schedule says, halved in time, and the sum is what chain.WorkParams says.
func TestMinersArePaid(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) {
		g.Validators = nil
		g.Consensus.Engine, g.Consensus.Work = chain.PoW, chain.DefaultWorkParams()
		g.Consensus.Work.Reward, g.Consensus.Work.HalvingBlocks = (*math.HexOrDecimal256)(big.NewInt(1001)), 5
	}, execute.DefaultConfig())
	supply := w.ledger.Supply()
	miners := []common.Address{{0x11}, {0x12}, w.addrs[0]}
	paid := make(map[common.Address]uint64)
	for height := uint64(1); height <= 60; height++ {
		in := w.input(w.sign(1, transfer(height-1, w.addrs[2], 1)))
		miner := miners[height%3]
		in.Decision.Proposer, in.Decision.Coinbase = 0, miner
		before := w.balance(miner).Clone()
		out, err := w.exec.Execute(context.Background(), in, w.ledger)
		require.NoError(t, err)
		w.headers = append(w.headers, out.Block.Header)
		reward := 1001 >> ((height - 1) / 5)
		require.Equal(t, miner, out.Block.Header.Coinbase)
		require.Equal(t, uint64(reward), new(uint256.Int).Sub(w.balance(miner), before).Uint64(), "block %d", height)
		paid[miner] += uint64(reward)
		want := uint256.MustFromBig(w.genesis.Consensus.Work.Issued(height))
		require.Equal(t, want.Add(want, supply), w.ledger.Supply())
	}
	require.Equal(t, paid[miners[0]], w.balance(miners[0]).Uint64())
	require.Len(t, paid, 3)
	last := len(w.headers) - 1
	require.Equal(t, w.headers[last].Root, w.ledger.Root())
}
