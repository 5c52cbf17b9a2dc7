package solo_test

import (
	"testing"
	"time"

	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
	"github.com/jialing-chain/jialing/internal/order/solo"
)

func TestContract(t *testing.T) {
	ordertest.Run(t, ordertest.Engine{
		Nodes:  1,
		Settle: time.Second,
		New: func(_ testing.TB, n ordertest.Node) order.Engine {
			return solo.New(n.Suite, n.GenesisHash, n.Key.Public().Bytes(), n.Heartbeat)
		},
	})
}
