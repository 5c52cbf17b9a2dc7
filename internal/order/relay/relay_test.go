package relay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/bft"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
	"github.com/jialing-chain/jialing/internal/order/raft"
	"github.com/jialing-chain/jialing/internal/order/relay"
	"github.com/jialing-chain/jialing/internal/order/solo"
)

// termOf is ordertest's function as relay.Terms.
type termOf func(height uint64) (chain.Term, bool)

func (f termOf) TermOf(height uint64) (chain.Term, bool) { return f(height) }

func engine(t testing.TB, n ordertest.Node) order.Engine {
	public := n.Key.Public().Bytes()
	r, err := relay.New(relay.Config{Terms: termOf(n.TermOf), Rule: n.Rule, Last: n.Last, Journal: n.Journal, Log: n.Log,
		Make: func(term chain.Term, journal order.Journal) (order.Engine, error) {
			switch term.Engine {
			case chain.Solo:
				return solo.New(n.Suite, n.GenesisHash, public, n.Heartbeat), nil
			case chain.Raft:
				return raft.New(raft.Config{Suite: n.Suite, GenesisHash: n.GenesisHash, Founders: n.Rule(term.From).Set, From: term.From, Public: public,
					Params: *chain.DefaultRaftParams(), Heartbeat: n.Heartbeat, Journal: journal, Log: n.Log})
			default:
				return bft.New(bft.Config{Kind: term.Engine, Suite: n.Suite, GenesisHash: n.GenesisHash, From: term.From, Public: public,
					Params: *chain.DefaultBFTParams(), Heartbeat: n.Heartbeat, Fence: n.Fence, Journal: journal, Log: n.Log})
			}
		}})
	require.NoError(t, err)
	return r
}

func TestChanges(t *testing.T) {
	ordertest.RunChanges(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine})
}

func TestChangesOnGM(t *testing.T) {
	ordertest.RunChanges(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: engine, Suite: gm.Suite{}})
}
