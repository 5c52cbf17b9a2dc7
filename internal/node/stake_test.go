package node

import (
	"context"
	"math/big"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/govern"
)

const (
	stakeEpoch = 2 * chain.ActivationDelay
	// minted leaves rests when it is shared.
	minted = 1_000_000_007
	// gasPrice is what stakers pay: the base fee of 7, and a tip.
	gasPrice = 11
)

// newStakemaker is a blockmaker on a chain of stake with four seats, whose base fees go to the contract.
func newStakemaker(t *testing.T) *blockmaker {
	key, err := intl.Suite{}.GenerateKey(newDeterministic())
	require.NoError(t, err)
	g := testGenesis(t, key)
	g.Consensus.Engine, g.Consensus.BFT, g.Validators = chain.PoS, chain.DefaultBFTParams(), nil
	g.Consensus.Stake = &chain.StakeParams{EpochBlocks: stakeEpoch, Seats: 4, MinSelfStake: (*math.HexOrDecimal256)(big.NewInt(1e9)), UnbondingEpochs: 1,
		RewardPerEpoch: (*math.HexOrDecimal256)(big.NewInt(minted)), SlashBasisPoints: 500, JailEpochs: 1}
	g.Fees = chain.Fees{Mode: chain.FeesMarket, BaseFee: (*math.HexOrDecimal256)(big.NewInt(7)), BaseFeeTo: &chain.StakingAddress}
	for n := uint64(1); n <= 5; n++ {
		v := voterEntry(t, n)
		g.Alloc[v.Address] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(big.NewInt(1e18))}
		if n < 5 {
			g.Validators = append(g.Validators, v)
		}
	}
	g.Alloc[govern.Address], g.Alloc[chain.StakingAddress] = govern.Account(g), govern.StakeAccount(g)
	require.NoError(t, g.Validate())
	require.NoError(t, govern.Check(g))
	m := &blockmaker{t: t, fs: vfs.NewMem(), genesis: g, nonces: map[uint64]uint64{}}
	m.open()
	t.Cleanup(func() { require.NoError(t, m.st.Close()) })
	return m
}

// stake is a call of the contract by the n-th account.
func (m *blockmaker) stake(from uint64, wei int64, method string, args ...any) *chain.Tx {
	data, err := govern.StakingABI().Pack(method, args...)
	require.NoError(m.t, err)
	inner, err := types.SignNewTx(voter(m.t, from), types.LatestSignerForChainID(new(big.Int).SetUint64(m.genesis.ChainID)), &types.LegacyTx{Nonce: m.nonces[from],
		To: &chain.StakingAddress, Value: big.NewInt(wei), Gas: 2_000_000, GasPrice: big.NewInt(gasPrice), Data: data})
	require.NoError(m.t, err)
	m.nonces[from]++
	tx, err := chain.NewTx(inner)
	require.NoError(m.t, err)
	require.NoError(m.t, chain.NewVerifier(m.genesis).Verify(tx))
	return tx
}

// nodeSigns is the n-th node key's word.
func (m *blockmaker) nodeSigns(n uint64, message func(crypto.Hash) []byte) []byte {
	key, err := intl.Suite{}.ParsePrivateKey(gethcrypto.Keccak256([]byte("node " + string(rune('0'+n)))))
	require.NoError(m.t, err)
	header, err := m.st.Header(0)
	require.NoError(m.t, err)
	genesis, err := chain.HeaderHash(intl.Suite{}, header)
	require.NoError(m.t, err)
	sig, err := key.Sign(message(genesis))
	require.NoError(m.t, err)
	return sig
}

func (m *blockmaker) attend(n, epoch uint64) *chain.Tx {
	sig := m.nodeSigns(n, func(g crypto.Hash) []byte { return govern.AttendMessage(g, chain.ValidatorID(n), epoch) })
	return m.stake(n, 0, "attend", n, epoch, sig)
}

// stakeStory lets five register with more stake than the others; four, who loses its seat to five, stakes more and takes three's, who was absent.
func (m *blockmaker) stakeStory(height uint64) *chain.Executed {
	switch height {
	case 2:
		five := voterEntry(m.t, 5)
		sig := m.nodeSigns(5, func(g crypto.Hash) []byte { return govern.StakeMessage(g, five.Address) })
		return m.block(m.stake(5, 5e9, "register", []byte(five.PublicKey), sig, five.Name, five.Endpoint, uint16(100)))
	case 3:
		return m.block(m.attend(1, 0), m.attend(2, 0), m.attend(3, 0), m.attend(4, 0))
	case stakeEpoch + 2:
		return m.block(m.attend(1, 1), m.attend(2, 1), m.attend(5, 1), m.stake(4, 9e9, "delegate", uint64(4)))
	case stakeEpoch + 3:
		return m.block(m.stake(1, 0, "claim", uint64(1)))
	}
	return m.block()
}

// seats is who rules a height of that story.
func seats(height uint64) []chain.ValidatorID {
	switch {
	case height >= 2*stakeEpoch:
		return []chain.ValidatorID{1, 2, 4, 5}
	case height >= stakeEpoch:
		return []chain.ValidatorID{1, 2, 3, 5}
	}
	return []chain.ValidatorID{1, 2, 3, 4}
}

// TestStakeElectsSeatsThroughCrashes runs the story by the real contract, executor, tracker and store, with crashes that lose what is executed and not durable: elections
// and epochs' ends are executed again from the stored decisions then. All ways give the same chain; its headers name the seats that were elected, and after every
// block all accounts together hold what they began with and what was minted.
func TestStakeElectsSeatsThroughCrashes(t *testing.T) {
	const top = 2*stakeEpoch + 4
	var reference []common.Hash
	for _, mode := range []struct {
		name    string
		behind  int
		restart bool
	}{{"straight", 0, false}, {"durable two blocks later", 2, false}, {"losing two blocks each time", 2, true}} {
		t.Run(mode.name, func(t *testing.T) {
			m := newStakemaker(t)
			initial := new(uint256.Int)
			for _, a := range m.genesis.Alloc {
				if a.Balance != nil {
					initial.Add(initial, uint256.MustFromBig((*big.Int)(a.Balance)))
				}
			}
			var hashes []common.Hash
			for height := uint64(1); height <= top; height++ {
				e := m.stakeStory(height)
				hashes = append(hashes, e.Block.Hash)
				require.Equal(t, height == chain.ActivationDelay || height == stakeEpoch+chain.ActivationDelay, e.Change != nil, "block %d", height)
				m.commit(mode.behind)
				// Around elections, epochs' ends and boundaries each block, elsewhere now and then: opening a ledger takes its time.
				if near := (height + 3) % chain.ActivationDelay; mode.restart && (near < 6 || height%17 == 0) {
					m.restart()
				}
				rule, err := m.sets.At(context.Background(), height+1)
				require.NoError(t, err)
				require.Equal(t, chain.PoS, rule.Engine)
				var ids []chain.ValidatorID
				for _, v := range rule.Set {
					ids = append(ids, v.ID)
				}
				require.Equal(t, seats(height+1), ids, "after block %d", height)
				extra, err := chain.DecodeExtra(e.Block.Header.Extra)
				require.NoError(t, err)
				require.Equal(t, rule.Hash(intl.Suite{}), extra.Next)
				m.conserved(initial, height)
			}
			m.commit(0)
			require.NoError(t, m.st.Check(context.Background(), nil))
			m.rewarded()
			if reference == nil {
				reference = hashes
			}
			require.Equal(t, reference, hashes)
		})
	}
}

// conserved adds up all accounts after a block.
func (m *blockmaker) conserved(initial *uint256.Int, height uint64) {
	sum := new(uint256.Int)
	for addr := range m.genesis.Alloc {
		a, err := m.st.Tip().Account(addr)
		require.NoError(m.t, err)
		if a != nil {
			sum.Add(sum, &a.Balance)
		}
	}
	want := uint256.MustFromBig(m.genesis.Consensus.Stake.Issued(height))
	require.Equal(m.t, want.Add(want, initial), sum, "after block %d", height)
}

// rewarded holds the ends of both epochs against what the story earned: the first claimer got a quarter of what was minted and of the base fees so far, three
// is in jail for its absence.
func (m *blockmaker) rewarded() {
	fees := uint64(0)
	var claimed *types.Log
	for height := uint64(1); height <= stakeEpoch+3; height++ {
		b, err := m.st.Block(height)
		require.NoError(m.t, err)
		require.Equal(m.t, int64(7), b.Header.BaseFee.Int64())
		if height <= stakeEpoch {
			fees += 7 * b.Header.GasUsed
		}
		receipts, err := m.st.Receipts(height)
		require.NoError(m.t, err)
		require.Len(m.t, receipts, len(b.Txs), "no receipt tells of what the chain itself calls")
		if height == stakeEpoch+3 {
			claimed = receipts[0].Logs[0]
		}
	}
	require.Equal(m.t, govern.StakingABI().Events["Claimed"].ID, claimed.Topics[0])
	// Four equal stakes attended in epoch 0: each has a quarter, rounded down, and a share's fraction of a wei less.
	require.InDelta(m.t, float64((minted+fees)/4), float64(new(big.Int).SetBytes(claimed.Data).Uint64()), 1)
	three, err := govern.ReadStaker(m.st.Tip(), voterEntry(m.t, 3).PublicKey)
	require.NoError(m.t, err)
	require.Equal(m.t, uint64(3), three.JailedUntil, "absent in epoch 1, out for one epoch from the second on")
	for _, n := range []uint64{1, 2, 4, 5} {
		other, err := govern.ReadStaker(m.st.Tip(), voterEntry(m.t, n).PublicKey)
		require.NoError(m.t, err)
		require.Zero(m.t, other.JailedUntil)
		require.False(m.t, other.Tombstoned)
	}
}
