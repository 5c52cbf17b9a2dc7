package bft_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/bft"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

func engine(t testing.TB, n ordertest.Node) order.Engine {
	e, err := bft.New(bft.Config{Suite: n.Suite, GenesisHash: n.GenesisHash, Public: n.Key.Public().Bytes(), Params: *chain.DefaultBFTParams(),
		Heartbeat: n.Heartbeat, Journal: n.Journal, Fence: n.Fence, Log: n.Log})
	require.NoError(t, err)
	return e
}

func TestContract(t *testing.T) {
	ordertest.Run(t, ordertest.Engine{Nodes: 4, Latency: 5 * time.Millisecond, Settle: 20 * time.Second, New: engine})
}

// TestContractOnGM is the contract with SM2 and SM3.
func TestContractOnGM(t *testing.T) {
	ordertest.Run(t, ordertest.Engine{Nodes: 4, Latency: 5 * time.Millisecond, Settle: 20 * time.Second, New: engine, Suite: gm.Suite{}})
}

func TestFaults(t *testing.T) {
	ordertest.RunFaults(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine}, 4*time.Second, seeds())
}

func TestRejoin(t *testing.T) {
	ordertest.RunRejoin(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine}, 2*time.Second)
}

// seeds is how many random histories are tried: ORDERTEST_SEEDS for a long search.
func seeds() int {
	if n, err := strconv.Atoi(os.Getenv("ORDERTEST_SEEDS")); err == nil {
		return n
	}
	return 4
}

func TestByzantine(t *testing.T) {
	ordertest.RunByzantine(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine}, 5*time.Second)
}

func TestMembership(t *testing.T) {
	ordertest.RunMembership(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine})
}

func TestRestore(t *testing.T) {
	ordertest.RunRestore(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine})
}
