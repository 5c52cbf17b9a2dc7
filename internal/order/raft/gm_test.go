package raft

import (
	"testing"
	"time"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// onGM is the engine with SM2 and SM3.
func onGM(nodes int) ordertest.Engine {
	e := engine(nodes)
	e.Suite = gm.Suite{}
	return e
}

func TestContractOnGM(t *testing.T) { ordertest.Run(t, onGM(3)) }

func TestFaultsOnGM(t *testing.T) { ordertest.RunFaults(t, onGM(4), 4*time.Second, 2) }

func TestMembershipOnGM(t *testing.T) { ordertest.RunMembership(t, onGM(4)) }
