package pow_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/order/pow/powtest"
)

// easy is a target of 256 hashes.
const easy = 0x2000ffff

// engine makes blocks ten times a second, final at depth, with n miners of equal power.
func engine(suite crypto.Suite, nodes, depth int) ordertest.Engine {
	params := &chain.WorkParams{BlockMillis: 100, Depth: depth, Bits: easy, HalfLifeMillis: 1000}
	return ordertest.Engine{Nodes: nodes, Suite: suite, Open: true, Settle: 3 * time.Minute,
		Genesis: func(c *chain.Consensus) { c.Engine, c.Work = chain.PoW, params },
		New: func(t testing.TB, n ordertest.Node) order.Engine {
			e, err := pow.New(pow.Config{Suite: n.Suite, GenesisHash: n.GenesisHash, GenesisMillis: n.Genesis.TimeMillis, Params: *params, Executed: n.Executed,
				Coinbase: common.Address{byte(n.ID)}, Threads: 1, Solver: powtest.New(int64(n.ID), 2560/float64(nodes)), Journal: n.Journal, Log: n.Log})
			require.NoError(t, err)
			return e
		}}
}

func TestContract(t *testing.T) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) { ordertest.Run(t, engine(suite, 3, 6)) })
	}
}

func TestAlone(t *testing.T) { ordertest.Run(t, engine(nil, 1, 3)) }

// TestFaults has blocks final after 15 s, as the random histories cut a node off for up to 4 s, and again at once.
func TestFaults(t *testing.T) { ordertest.RunOpenFaults(t, engine(nil, 4, 150), seeds()) }

// seeds is how many random histories are tried: ORDERTEST_SEEDS for a long search.
func seeds() int {
	if n, err := strconv.Atoi(os.Getenv("ORDERTEST_SEEDS")); err == nil {
		return n
	}
	return 4
}
