package govern_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// engines is where the contract that decides on engines is.
var engines = common.HexToAddress("0x1004")

// votes sends to Validators.
func (w *stakeWorld) votes(from common.Address, method string, args ...any) error {
	out, err := w.raw(from, method, args...)
	if err != nil {
		require.ErrorIs(w.t, err, vm.ErrExecutionReverted)
		return errorNamed(w.revert(out))
	}
	return nil
}

type errorNamed string

func (e errorNamed) Error() string { return string(e) }

// TestFromVotesToStakeAndBack: validators that votes have made stake, keep their ids when stake begins to rule, and votes decide again when it ends.
func TestFromVotesToStakeAndBack(t *testing.T) {
	g := staking(5)
	g.Consensus.Engine = chain.BFT
	w := newStakeWorld(t, settleAlloc(g))
	require.Equal(t, []any{false}, w.ask("ready"))
	for i, n := range []uint64{3, 5, 7} {
		require.Equal(t, n, w.register(n, ether(100+int64(i))), "who is a validator stakes under its id")
	}
	require.Equal(t, []any{false}, w.ask("ready"))
	require.Equal(t, uint64(10), w.register(50, ether(100)), "another one gets the next")
	require.Equal(t, []any{true}, w.ask("ready"))
	// A validator that votes make by a key that has staked has the id that it staked under.
	p := w.call(account(1), "proposeAdd", public(50), account(50), "fifty", "")[0].(uint64)
	w.call(account(3), "vote", p)
	w.call(account(5), "vote", p)
	w.call(account(7), "vote", p)
	require.Equal(t, uint64(10), w.agrees()[5].ID)
	// And one that votes gave the key of a staker's is another all the same.
	require.Equal(t, uint64(11), w.register(51, ether(500)))
	w.setHeight(2)
	p = w.call(account(9), "proposeChange", public(51), account(9), "nine", "")[0].(uint64)
	for _, n := range []uint64{1, 3, 5} {
		w.call(account(n), "vote", p)
	}
	require.Equal(t, string(public(51)), w.agrees()[4].PublicKey)
	open := w.proposeAdd(1, 99)

	require.Equal(t, errorNamed("NotTheContract"), w.votes(account(1), "setElectedByStake", true))
	require.Equal(t, errorNamed("NotTheContract"), w.votes(account(1), "enrol"))
	require.Equal(t, errorNamed("NotTheContract"), w.votes(engines, "enrol"))
	require.Equal(t, errorNamed("NotTheContract"), w.votes(engines, "seat", []struct {
		Id        uint64         `json:"id"` //nolint:revive // the ABI's name
		Account   common.Address `json:"account"`
		Name      string         `json:"name"`
		Endpoint  string         `json:"endpoint"`
		PublicKey []byte         `json:"publicKey"`
	}{}))
	require.NoError(t, w.votes(engines, "setElectedByStake", true))
	for _, try := range [][]any{{"vote", open}, {"execute", open}, {"withdraw", open}, {"proposeRemove", uint64(1)}, {"proposeAdd", public(60), account(60), "x", ""},
		{"proposeChange", public(60), account(60), "x", ""}} {
		require.Equal(t, errorNamed("ElectedByStake"), w.votes(account(3), try[0].(string), try[1:]...), try[0])
	}
	w.setHeight(64)
	w.endBlock()
	require.Equal(t, []uint64{11, 7, 5, 3, 10}, w.seats(1))
	view := w.agrees()
	require.Equal(t, []uint64{3, 5, 7, 10, 11}, []uint64{view[0].ID, view[1].ID, view[2].ID, view[3].ID, view[4].ID})
	require.Equal(t, string(public(51)), view[4].PublicKey)
	require.Equal(t, []any{uint64(64)}, w.call(account(1), "changedAt"))
	w.setHeight(65)
	w.goTo(129)
	w.conserved()

	require.NoError(t, w.votes(engines, "setElectedByStake", false))
	require.Equal(t, errorNamed("NoSuchProposal"), w.votes(account(3), "vote", open), "what was open before stake ruled is void")
	require.Empty(t, w.call(account(1), "openProposals")[0])
	for i := range uint64(4) { // and bounds nobody's next ones
		w.call(account(3), "proposeAdd", key(200+i), account(200+i), "x", "")
	}
	require.Equal(t, errorNamed("NotAValidator"), w.votes(account(1), "proposeRemove", uint64(3)))
	p = w.call(account(5), "proposeRemove", uint64(11))[0].(uint64)
	for _, n := range []uint64{7, 50, 51} {
		w.call(account(n), "vote", p)
	}
	require.Len(t, w.agrees(), 4)
}

// TestNobodyKnownStands: a chain whose validators have all left the staking before the first election keeps those that votes made.
func TestNobodyKnownStands(t *testing.T) {
	g := staking(5)
	g.Consensus.Engine = chain.BFT
	w := newStakeWorld(t, settleAlloc(g))
	w.register(50, ether(100))
	w.register(3, ether(100))
	require.NoError(t, w.votes(engines, "setElectedByStake", true))
	w.setHeight(64)
	w.endBlock()
	require.ElementsMatch(t, []uint64{1, 3, 5, 7, 9}, w.seats(1), "one of two that stand, and one present seat, are no four")
	require.Len(t, w.agrees(), 5)
	w.setHeight(65)
	w.goTo(129)
	w.attend(3, 3)
	w.goTo(257)
	require.Positive(t, w.ask("delegationOf", uint64(3), account(3))[1].(*big.Int).Sign(), "it had a seat and attended")
	w.conserved()
}

// full is a world in which as many stand as may, with entries as long as may be, and the most seats.
func full(t *testing.T) *stakeWorld {
	t.Helper()
	g := staking(chain.MaxSeats)
	g.Consensus.Stake.Seats = chain.MaxSeats
	for i := range g.Validators {
		g.Validators[i].Name, g.Validators[i].Endpoint = strings.Repeat("x", govern.MaxName), strings.Repeat("h", govern.MaxEndpoint-6)+":30000"
	}
	return newStakeWorld(t, settleAlloc(g))
}

// TestMostCandidates: an election and an epoch's end at the greatest sizes stay far below what a system call may take, and the list is bounded: one with more stake
// takes the place of the one with the least.
func TestMostCandidates(t *testing.T) {
	w := full(t)
	long, endpoint := strings.Repeat("y", govern.MaxName), strings.Repeat("i", govern.MaxEndpoint-6)+":30000"
	keyOf := map[uint64]uint64{}
	join := func(n uint64, stake *big.Int) ([]byte, error) {
		w.fundOnce(n)
		out, err := w.tx(account(n), stake, "register", public(n), possession(n, account(n)), long, endpoint, uint16(0))
		if err == nil {
			keyOf[new(big.Int).SetBytes(out).Uint64()] = n
		}
		return out, err
	}
	dearest := uint64(0)
	for n := uint64(1000); len(w.ask("standing")[0].([]uint64)) < govern.MaxCandidates; n++ {
		// Ascending stake is what moves the heap most.
		_, err := join(n, sum(ether(200), big.NewInt(int64(n))))
		require.NoError(t, err)
		dearest = max(dearest, w.gas)
	}
	t.Logf("register: %d gas", dearest)
	_, err := join(3000, ether(100))
	require.ErrorIs(t, err, vm.ErrExecutionReverted)
	out, _ := join(3000, ether(100))
	require.Equal(t, "TooManyCandidates", stakeRevert(out))
	w.does(account(1), nil, "undelegate", uint64(1), ether(1)) // below the least self stake: it goes first
	_, err = join(3000, sum(ether(100), big.NewInt(1)))
	require.NoError(t, err)
	t.Logf("register where one must go: %d gas", w.gas)
	require.Less(t, w.gas, uint64(10_000_000))
	require.False(t, w.validator(1).Stands)
	_, err = join(3001, sum(ether(100), big.NewInt(1)))
	require.NoError(t, err)
	require.Len(t, w.ask("standing")[0], govern.MaxCandidates)
	require.True(t, w.validator(3).Stands)
	require.False(t, w.validator(255).Stands, "of those with the least stake the last in the list")

	system := func(method string, args ...any) uint64 {
		require.NoError(t, w.system(method, args...))
		t.Logf("%s: %d gas", method, w.gas)
		return w.gas
	}
	w.setHeight(64)
	require.Less(t, system("elect"), uint64(200_000_000), "every seat becomes another's")
	require.Len(t, w.seats(1), chain.MaxSeats)
	require.Len(t, w.agrees(), chain.MaxSeats)
	for _, id := range w.seats(1) {
		require.Greater(t, id, uint64(255))
	}
	w.setHeight(128)
	for _, id := range w.seats(1)[:100] {
		w.attend(id, keyOf[id])
	}
	w.setHeight(192)
	require.Less(t, system("elect"), uint64(50_000_000), "no seat changes")
	w.fund(chain.StakingAddress, ether(10))
	w.setHeight(256)
	require.Less(t, system("endEpoch", ether(10)), uint64(50_000_000), "rewards for 100 seats, jail for 28")
	jailed := 0
	for _, id := range w.seats(1) {
		if w.validator(id).JailedUntil != 0 {
			jailed++
		}
	}
	require.Equal(t, 28, jailed)
	w.setHeight(320)
	require.Less(t, system("elect"), uint64(200_000_000), "the jailed go from among those who stay")
	require.Len(t, w.agrees(), chain.MaxSeats)
}
