package raft

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

func engine(nodes int) ordertest.Engine {
	return ordertest.Engine{Nodes: nodes, Latency: 100 * time.Millisecond, Settle: 5 * time.Second, New: func(t testing.TB, n ordertest.Node) order.Engine {
		e, err := New(Config{Suite: n.Suite, GenesisHash: n.GenesisHash, Founders: n.Set, Public: n.Key.Public().Bytes(), Params: *chain.DefaultRaftParams(),
			Heartbeat: n.Heartbeat, Journal: n.Journal, Log: n.Log})
		require.NoError(t, err)
		return e
	}}
}

func TestContract(t *testing.T) { ordertest.Run(t, engine(3)) }

func TestFaults(t *testing.T) { ordertest.RunFaults(t, engine(4), 4*time.Second, seeds()) }

func TestRejoin(t *testing.T) { ordertest.RunRejoin(t, engine(4), 1500*time.Millisecond) }

func TestMembership(t *testing.T) { ordertest.RunMembership(t, engine(4)) }

// seeds is how many random histories are tried: ORDERTEST_SEEDS for a long search.
func seeds() int {
	if n, err := strconv.Atoi(os.Getenv("ORDERTEST_SEEDS")); err == nil {
		return n
	}
	return 8
}
