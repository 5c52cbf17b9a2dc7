package bft_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/bft"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// staked is the engine of a chain of stake: this one under another name, whose sets an election makes. What elects them is the contract's business and is tested
// there; that sets change under it, and what Byzantine seats may do, is what the contract of engines says.
func staked(t testing.TB, n ordertest.Node) order.Engine {
	e, err := bft.New(bft.Config{Kind: chain.PoS, Suite: n.Suite, GenesisHash: n.GenesisHash, Public: n.Key.Public().Bytes(),
		Params: *chain.DefaultBFTParams(), Heartbeat: n.Heartbeat, Journal: n.Journal, Log: n.Log})
	require.NoError(t, err)
	require.Equal(t, chain.PoS, e.Status().Engine)
	return e
}

func TestContractOfStake(t *testing.T) {
	ordertest.Run(t, ordertest.Engine{Nodes: 4, Latency: 5 * time.Millisecond, Settle: 20 * time.Second, New: staked})
}

func TestMembershipOfStake(t *testing.T) {
	ordertest.RunMembership(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: staked})
}

// TestQuorumsOfStake: the certificates of decisions and of blocks rest on the same arithmetic on both chains.
func TestQuorumsOfStake(t *testing.T) {
	for n := 1; n <= chain.MaxSeats; n++ {
		require.Equal(t, chain.BFT.Quorum(n), chain.PoS.Quorum(n))
		require.Equal(t, chain.BFT.Faulty(n), chain.PoS.Faulty(n))
		require.Equal(t, chain.BFT.Away(n), chain.PoS.Away(n))
	}
	_, err := bft.New(bft.Config{Kind: chain.Raft})
	require.ErrorContains(t, err, `engine "raft" is another`)
}
