package govern_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// TestFoundingStakeIsTheContracts: what Go writes into the genesis is what the contract takes for its own.
func TestFoundingStakeIsTheContracts(t *testing.T) {
	for _, n := range []int{4, 5, 31} {
		g := staking(n)
		require.NoError(t, g.Validate())
		require.NoError(t, govern.Check(g))
		w := newStakeWorld(t, g)
		var ids []uint64
		for _, v := range g.Validators {
			id := uint64(v.ID)
			ids = append(ids, id)
			require.Equal(t, standing{Id: id, Account: v.Address, Name: v.Name, Endpoint: v.Endpoint, PublicKey: v.PublicKey, Stake: ether(100),
				SelfStake: ether(100), Stands: true, Able: true}, w.validator(id))
			require.Equal(t, []any{id}, w.ask("idOf", v.Address))
			require.Equal(t, []any{id}, w.ask("idOfKey", []byte(v.PublicKey)))
			require.Equal(t, []any{ether(100), big.NewInt(0)}, normal(w.ask("delegationOf", id, v.Address)))
		}
		require.Equal(t, ids, w.seats(0))
		require.Equal(t, ids, w.ask("standing")[0])
		require.Equal(t, []any{uint64(128), uint16(7), ether(100), uint64(2), ether(10), uint16(500), uint64(2)}, w.ask("parameters"))
		all := ether(100 * int64(n))
		require.Equal(t, []any{all, all, big.NewInt(0), big.NewInt(0)}, normal(w.ask("totals")))
		require.Equal(t, all, w.balance(chain.StakingAddress))
		require.Equal(t, []any{true}, w.ask("ready"))
		// It works on from there: the next id, an election, an epoch's end.
		require.Equal(t, uint64(2*n), w.register(900, ether(101)))
		w.conserved()
		w.goTo(65)
		require.Len(t, w.seats(1), min(7, n+1))
		require.Equal(t, uint64(2*n), w.seats(1)[0], "the most stake comes first")
		w.attend(1, 1)
		w.goTo(129)
		require.Equal(t, []any{ether(100), sub(ether(10), big.NewInt(1))}, normal(w.ask("delegationOf", uint64(1), account(1))))
		w.does(account(1), nil, "claim", uint64(1))
		w.conserved()
		require.Equal(t, big.NewInt(0), normal(w.ask("totals"))[3], "the wei that is rounded away stays with the validator: its next reward makes it whole")
	}
}

// normal makes zero numbers comparable.
func normal(all []any) []any {
	for i, v := range all {
		if n, ok := v.(*big.Int); ok {
			all[i] = new(big.Int).Set(n)
			if n.Sign() == 0 {
				all[i] = big.NewInt(0)
			}
		}
	}
	return all
}
