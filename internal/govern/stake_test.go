package govern_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
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

func TestConstantsOfStakingAndGoAreOne(t *testing.T) {
	w := newStakeWorld(t, staking(4))
	for name, want := range map[string]int64{"MIN_SEATS": chain.MinSeats, "MAX_CANDIDATES": govern.MaxCandidates, "MAX_UNBONDINGS": govern.MaxUnbondings,
		"MAX_NAME": govern.MaxName, "MAX_ENDPOINT": govern.MaxEndpoint} {
		require.Equal(t, []any{big.NewInt(want)}, w.ask(name), name)
	}
	require.Equal(t, []any{uint64(chain.ActivationDelay)}, w.ask("ACTIVATION_DELAY"))
	require.Equal(t, []any{uint16(govern.MaxCommission)}, w.ask("MAX_COMMISSION"))
	require.Equal(t, []any{uint16(govern.MaxCommissionRise)}, w.ask("MAX_COMMISSION_RISE"))
	for _, method := range []string{"elect", "endEpoch"} { // what internal/execute calls
		require.Contains(t, govern.StakingABI().Methods, method)
	}
	require.Equal(t, "endEpoch(uint256)", govern.StakingABI().Methods["endEpoch"].Sig)
	require.Equal(t, "elect()", govern.StakingABI().Methods["elect"].Sig)
}

func TestRegistering(t *testing.T) {
	w := newStakeWorld(t, staking(4))
	good := func() []any { return []any{public(50), possession(50, account(50)), "name", "host:1", uint16(100)} }
	with := func(i int, v any) []any { a := good(); a[i] = v; return a }
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		want string
		from uint64
		pays *big.Int
		args []any
	}{
		{"TooLittle", 50, sub(ether(100), big.NewInt(1)), good()},
		{"TooLittle", 50, nil, good()},
		{"AccountTaken", 3, ether(100), good()},
		{"KeyTaken", 51, ether(100), []any{public(3), possession(3, account(51)), "n", "", uint16(0)}},
		{"BadPublicKey", 50, ether(100), with(0, public(50)[1:])},
		{"BadPublicKey", 50, ether(100), with(0, append(public(50), 0))},
		{"BadSignature", 50, ether(100), with(1, possession(51, account(50)))},
		{"BadSignature", 51, ether(100), good()}, // another's signature, seen in the pool
		{"BadSignature", 50, ether(100), with(1, []byte{})},
		{"BadSignature", 50, ether(100), with(1, signed(50, govern.StakeMessage(crypto.Hash{7}, account(50))))}, // of another chain
		{"BadName", 50, ether(100), with(2, "")},
		{"BadName", 50, ether(100), with(2, long)},
		{"BadEndpoint", 50, ether(100), with(3, long[:256])},
		{"BadCommission", 50, ether(100), with(4, uint16(5001))},
	} {
		w.fails(c.want, account(c.from), c.pays, "register", c.args...)
	}
	require.Equal(t, uint64(8), w.does(account(50), ether(100), "register", good()...)[0])
	require.Equal(t, standing{Id: 8, Account: account(50), Name: "name", Endpoint: "host:1", PublicKey: public(50), Stake: ether(100), SelfStake: ether(100),
		Commission: 100, NextCommission: 100, Stands: true, Able: true}, w.validator(8))
	s, err := govern.ReadStaker(w, public(50))
	require.NoError(t, err)
	require.Equal(t, []any{chain.ValidatorID(8), account(50), true, false, ether(100)}, []any{s.ID, s.Account, s.Stands, s.Tombstoned, s.Stake.ToBig()})
	w.fails("AccountTaken", account(50), ether(100), "register", public(51), possession(51, account(50)), "again", "", uint16(0))
	w.does(account(50), nil, "change", "other", "")
	require.Equal(t, "other", w.validator(8).Name)
	w.fails("NotAValidator", account(60), nil, "change", "other", "")
	w.fails("NoSuchValidator", account(1), nil, "validatorOf", uint64(9))
	// Who resigned may stand again, with stake enough.
	w.does(account(50), nil, "resign")
	w.fails("DoesNotStand", account(50), nil, "resign")
	w.does(account(50), nil, "undelegate", uint64(8), ether(1))
	w.fails("TooLittle", account(50), nil, "stand")
	w.does(account(50), ether(1), "delegate", uint64(8))
	w.does(account(50), nil, "stand")
	w.fails("AlreadyStands", account(50), nil, "stand")
	w.conserved()
	none, err := govern.ReadStaker(w, public(51))
	require.NoError(t, err)
	require.Nil(t, none)
}

func TestDelegationDustAndOverflow(t *testing.T) {
	g := staking(4)
	w := newStakeWorld(t, g)
	least := ether(1)
	least.Div(least, big.NewInt(10)) // a thousandth of 100
	one := big.NewInt(1)
	w.fails("TooLittle", account(50), sub(least, one), "delegate", uint64(1))
	w.fails("TooLittle", account(50), nil, "delegate", uint64(1))
	w.fails("NoSuchValidator", account(50), least, "delegate", uint64(2))
	w.does(account(50), sum(least, one), "delegate", uint64(1))
	w.fails("TooLittle", account(50), nil, "undelegate", uint64(1), least)
	w.fails("TooMuch", account(50), nil, "undelegate", uint64(1), sum(least, big.NewInt(2)))
	w.fails("Nothing", account(50), nil, "undelegate", uint64(1), big.NewInt(0))
	w.fails("Nothing", account(51), nil, "undelegate", uint64(1), max256())
	w.does(account(50), nil, "undelegate", uint64(1), one)
	w.does(account(50), nil, "undelegate", uint64(1), max256())
	// All stake together fits into 128 bits, however rich somebody is.
	w.fund(account(50), new(big.Int).Lsh(one, 200))
	w.initial = w.supply()
	most := new(big.Int).Sub(new(big.Int).Lsh(one, 128), one)
	room := sub(most, ether(400))
	w.fails("TooMuch", account(50), sum(room, one), "delegate", uint64(1))
	w.fails("TooMuch", account(50), new(big.Int).Lsh(one, 199), "delegate", uint64(1))
	w.does(account(50), room, "delegate", uint64(1))
	w.fails("TooMuch", account(50), least, "delegate", uint64(3))
	// The chain goes on with so much, and with as much in the pool.
	w.goTo(65)
	w.attend(1, 1)
	w.fund(chain.StakingAddress, new(big.Int).Lsh(one, 199))
	w.initial = sub(w.supply(), w.minted)
	w.goTo(129)
	rewards := w.ask("delegationOf", uint64(1), account(50))[1].(*big.Int)
	require.Positive(t, rewards.Cmp(new(big.Int).Rsh(most, 1)), "an end of an epoch shares 2^128 wei at the most, the rest waits")
	w.does(account(50), nil, "claim", uint64(1))
	w.does(account(50), nil, "undelegate", uint64(1), max256())
	w.conserved()
}

// TestUnbonding: stake that is taken back can be withdrawn when, and only when, the seats that it stood behind can no longer be slashed.
func TestUnbonding(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	w.does(account(50), ether(10), "delegate", uint64(1))
	w.goTo(64) // before the election of epoch 1, at this block's end
	w.does(account(50), nil, "undelegate", uint64(1), ether(4))
	w.goTo(65)
	w.does(account(50), nil, "undelegate", uint64(1), ether(3)) // it has stood behind the seats of epoch 1
	w.does(account(50), nil, "undelegate", uint64(1), ether(1)) // one parcel with the last
	type claim struct {
		Id, From uint64 //nolint:revive // the ABI's name
		Amount   *big.Int
	}
	claims := *abi.ConvertType(w.ask("unbondingOf", account(50))[0], new([]claim)).(*[]claim)
	require.Equal(t, []claim{{1, 3, ether(4)}, {1, 4, ether(4)}}, claims)
	before := w.balance(account(50))
	w.goTo(3*128 - 1)
	w.fails("Nothing", account(50), nil, "withdraw")
	w.goTo(3 * 128)
	require.Equal(t, []any{ether(4)}, w.does(account(50), nil, "withdraw"))
	w.fails("Nothing", account(50), nil, "withdraw")
	w.goTo(4 * 128)
	w.does(account(50), nil, "withdraw")
	require.Equal(t, sum(before, ether(8)), w.balance(account(50)))
	w.conserved()
	// An account's parcels are bounded; what is due makes room.
	for epoch := range uint64(govern.MaxUnbondings / 4) {
		w.goTo((10 + 4*epoch) * 128)
		for _, id := range []uint64{1, 3, 5, 7} {
			w.does(account(50), ether(2), "delegate", id)
			w.does(account(50), nil, "undelegate", id, max256())
		}
	}
	w.does(account(50), ether(2), "delegate", uint64(9))
	w.fails("TooManyUnbondings", account(50), nil, "undelegate", uint64(9), ether(1))
	w.does(account(50), nil, "withdraw")
	w.does(account(50), nil, "undelegate", uint64(9), ether(1))
	w.conserved()
}

func TestCommissionIsBoundedAndComesWithTheNextEpoch(t *testing.T) {
	w := newStakeWorld(t, staking(4))
	w.does(account(50), ether(100), "delegate", uint64(1))
	w.fails("BadCommission", account(1), nil, "changeCommission", uint16(501))
	w.does(account(1), nil, "changeCommission", uint16(500))
	w.does(account(1), nil, "changeCommission", uint16(400)) // instead
	w.fails("BadCommission", account(1), nil, "changeCommission", uint16(900))
	w.fails("NotAValidator", account(50), nil, "changeCommission", uint16(1))
	v := w.validator(1)
	require.Equal(t, []uint16{0, 400}, []uint16{v.Commission, v.NextCommission})
	w.attend(1, 1)
	w.goTo(129)
	earned := func(who uint64) string { return w.ask("delegationOf", uint64(1), account(who))[1].(*big.Int).String() }
	require.Equal(t, earned(1), earned(50), "none in the epoch of the change")
	w.does(account(1), nil, "claim", uint64(1))
	w.does(account(50), nil, "claim", uint64(1))
	w.fails("Nothing", account(50), nil, "claim", uint64(1))
	w.attend(1, 1)
	w.goTo(257)
	// Of 10 ether 4 % are the validator's, the rest is halved, and less than ten wei wait for the next reward.
	require.InDelta(t, 5.2, wholeEther(w.ask("delegationOf", uint64(1), account(1))[1]), 1e-9)
	require.InDelta(t, 4.8, wholeEther(w.ask("delegationOf", uint64(1), account(50))[1]), 1e-9)
	w.conserved()
	for range 20 {
		v := w.validator(1)
		w.does(account(1), nil, "changeCommission", min(v.Commission+500, 5000))
		w.fails("BadCommission", account(1), nil, "changeCommission", uint16(5001))
		w.goTo(w.cfg.BlockNumber.Uint64() + 128)
	}
	require.Equal(t, uint16(5000), w.validator(1).Commission)
	w.does(account(1), nil, "changeCommission", uint16(0))
}

func wholeEther(v any) float64 {
	f, _ := new(big.Float).Quo(new(big.Float).SetInt(v.(*big.Int)), big.NewFloat(1e18)).Float64()
	return f
}

func TestAttendance(t *testing.T) {
	w := newStakeWorld(t, staking(9))
	sig := func(key, id, epoch uint64) []byte {
		return signed(key, govern.AttendMessage(genesisHash, chain.ValidatorID(id), epoch))
	}
	w.goTo(130)
	for _, c := range []struct {
		want      string
		id, epoch uint64
		sig       []byte
	}{
		{"OtherEpoch", 1, 0, sig(1, 1, 0)}, {"OtherEpoch", 1, 2, sig(1, 1, 2)}, {"NoSuchValidator", 2, 1, sig(1, 2, 1)}, {"BadSignature", 1, 1, sig(1, 1, 0)},
		{"BadSignature", 1, 1, sig(3, 1, 1)}, {"BadSignature", 1, 1, sig(1, 3, 1)}, {"BadSignature", 1, 1, nil},
		{"BadSignature", 1, 1, signed(1, govern.AttendMessage(crypto.Hash{9}, 1, 1))},
	} {
		w.fails(c.want, account(50), nil, "attend", c.id, c.epoch, c.sig)
	}
	w.does(account(50), nil, "attend", uint64(1), uint64(1), sig(1, 1, 1))
	w.fails("AlreadyAttended", account(50), nil, "attend", uint64(1), uint64(1), sig(1, 1, 1))
	require.Equal(t, []any{true}, w.ask("attended", uint64(1), uint64(1)))
	s, err := govern.ReadStaker(w, public(1))
	require.NoError(t, err)
	require.Equal(t, []bool{false, true, false}, []bool{s.Attended(0), s.Attended(1), s.Attended(2)})
	// What is shown in the block that ends the last epoch counts for the present one, and takes nothing from the last.
	w.goTo(256)
	w.attend(1, 1)
	w.goTo(257)
	require.Equal(t, []any{true}, w.ask("attended", uint64(1), uint64(2)))
	require.Positive(t, w.ask("delegationOf", uint64(1), account(1))[1].(*big.Int).Sign())
}

// TestAbsenteesAreJailed: no more than a third of the seats, and never so many that too few could be elected.
func TestAbsenteesAreJailed(t *testing.T) {
	g := staking(9)
	g.Consensus.Stake.Seats = 9
	w := newStakeWorld(t, settleAlloc(g))
	jailed := func() (out []uint64) {
		for id := uint64(1); id < 18; id += 2 {
			if w.validator(id).JailedUntil != 0 {
				out = append(out, id)
			}
		}
		return out
	}
	attend := func(ids ...uint64) {
		for _, id := range ids {
			w.attend(id, id)
		}
	}
	attend(1, 3, 5, 7, 9)
	w.goTo(129)
	require.Empty(t, jailed(), "four of nine were absent, and yet there were blocks")
	attend(1, 5, 7, 9, 11, 13)
	w.goTo(257)
	require.Equal(t, []uint64{3, 15, 17}, jailed(), "a third")
	require.Equal(t, uint64(4), w.validator(17).JailedUntil)
	require.False(t, w.validator(17).Able)
	w.fails("Jailed", account(17), nil, "unjail")
	w.fails("NotJailed", account(1), nil, "unjail")
	require.Len(t, w.seats(2), 9, "elected before")
	attend(1, 5, 7, 9, 11, 13)
	w.goTo(3*128 + 1)
	require.Equal(t, uint64(4), w.validator(17).JailedUntil, "nobody is jailed twice for one election")
	require.Equal(t, []uint64{1, 5, 7, 9, 11, 13}, w.seats(3))
	attend(1, 5, 7, 11)
	w.goTo(4*128 + 1)
	require.Equal(t, []uint64{3, 9, 13, 15, 17}, jailed())
	w.goTo(4*128 + 65)
	require.Equal(t, []uint64{1, 5, 7, 11}, w.seats(5))
	w.goTo(5 * 128)
	attend(1, 5, 7)
	w.goTo(6*128 + 1)
	require.Equal(t, []any{true}, w.ask("ready"))
	require.Equal(t, []uint64{3, 9, 13, 15, 17}, jailed(), "four must remain")
	w.does(account(17), nil, "unjail")
	w.goTo(6*128 + 65)
	require.Equal(t, []uint64{1, 5, 7, 11, 17}, w.seats(7))
	// A seat that resigned is not jailed, nor does it shield another.
	w.does(account(17), nil, "resign")
	w.goTo(7 * 128)
	attend(1, 5, 7, 11)
	w.goTo(8*128 + 1)
	require.Zero(t, w.validator(17).JailedUntil)
	w.conserved()
}

func TestElectingTheMostStake(t *testing.T) {
	w := newStakeWorld(t, staking(4)) // 7 seats
	var ids []uint64
	for n := uint64(50); n < 60; n++ {
		ids = append(ids, w.register(n, ether(200)))
	}
	w.does(account(70), ether(101), "delegate", uint64(3))
	w.does(account(70), ether(100), "delegate", uint64(5))
	w.does(account(70), sub(ether(100), big.NewInt(1)), "delegate", uint64(7))
	w.does(account(53), nil, "undelegate", ids[3], ether(101)) // below the least self stake, whatever others add
	w.does(account(70), ether(1000), "delegate", ids[3])
	w.goTo(65)
	require.Equal(t, []uint64{3, 5, ids[0], ids[1], ids[2], ids[4], ids[5]}, w.seats(1))
	_, members := w.read()
	require.Len(t, members, 7)
	require.Equal(t, []any{uint64(64)}, w.world.call(account(1), "changedAt"))
	// The same again writes nothing.
	for _, id := range []uint64{3, 5} {
		w.attend(id, id)
	}
	for _, i := range []int{0, 1, 2, 4, 5} {
		w.attend(ids[i], uint64(50+i))
	}
	w.goTo(129)
	for _, id := range []uint64{3, 5} {
		w.attend(id, id)
	}
	for _, i := range []int{0, 1, 2, 4, 5} {
		w.attend(ids[i], uint64(50+i))
	}
	w.goTo(193)
	require.Equal(t, w.seats(1), w.seats(2))
	require.Equal(t, []any{uint64(64)}, w.world.call(account(1), "changedAt"))
	// Another entry is written, and rules with the election.
	w.does(account(50), nil, "change", "other", "host:2")
	w.does(account(51), nil, "changeKey", public(88), possession(88, account(51)))
	w.goTo(5*64 + 1)
	require.Equal(t, []any{uint64(320)}, w.world.call(account(1), "changedAt"))
	_, members = w.read()
	for _, m := range members {
		switch uint64(m.ID) {
		case ids[0]:
			require.Equal(t, []string{"other", "host:2"}, []string{m.Name, m.Endpoint})
		case ids[1]:
			require.Equal(t, public(88), m.PublicKey)
		}
	}
	w.agrees()
}

// TestTooFewStand: present seats complete an election to four, those never slashed first, by their stake; without election nobody is left out.
func TestTooFewStand(t *testing.T) {
	w := newStakeWorld(t, staking(7))
	w.does(account(70), ether(5), "delegate", uint64(11))
	for _, n := range []uint64{1, 3, 5, 7, 9, 11} {
		w.does(account(n), nil, "resign")
	}
	w.does(account(70), nil, "slash", append([]any{uint64(13)}, equivocation(13, 5)...)...)
	require.Equal(t, []any{false}, w.ask("ready"))
	w.goTo(65)
	require.Equal(t, []uint64{11, 1, 3, 5}, w.seats(1), "nobody stands")
	id := w.register(50, ether(100))
	w.goTo(193)
	require.Equal(t, []uint64{id, 11, 1, 3}, w.seats(2), "one stands")
	for _, n := range []uint64{1, 3, 11} {
		w.does(account(70), nil, "slash", append([]any{n}, equivocation(n, 100)...)...)
	}
	w.goTo(321)
	require.Equal(t, []uint64{id, 11, 1, 3}, w.seats(3), "a contradiction costs stake and the right to stand, but the chain must not stop")
	w.agrees()
	w.conserved()
}

func TestOnlyTheChainElectsAndAtItsHeights(t *testing.T) {
	w := newStakeWorld(t, staking(4))
	w.setHeight(64)
	w.fails("NotTheSystem", account(1), nil, "elect")
	w.fails("NotTheSystem", account(1), nil, "endEpoch", big.NewInt(0))
	w.setHeight(63)
	require.ErrorContains(t, w.system("elect"), "NotAtThisHeight")
	require.ErrorContains(t, w.system("endEpoch", big.NewInt(0)), "NotAtThisHeight")
	w.setHeight(128)
	require.ErrorContains(t, w.system("endEpoch", big.NewInt(1)), "TooMuch", "what is minted must be there")
	require.NoError(t, w.system("endEpoch", big.NewInt(0)))
	w.fails("", account(1), ether(1), "elect") // it takes no wei but stake
	_, err := w.tx(account(1), nil, "parameters")
	require.NoError(t, err)
}

func TestCheckStake(t *testing.T) {
	require.NoError(t, govern.Check(staking(4)))
	bft := staking(4)
	bft.Consensus.Engine = chain.BFT
	require.NoError(t, govern.Check(settleAlloc(bft)), "it may stand there in advance")
	require.Nil(t, bft.Alloc[chain.StakingAddress].Balance)
	again, err := chain.ParseGenesis(staking(5).Encode())
	require.NoError(t, err)
	require.NoError(t, govern.Check(again))
	some := func(g *chain.Genesis, alter func(*chain.GenesisAccount)) {
		a := govern.StakeAccount(g)
		alter(&a)
		g.Alloc[chain.StakingAddress] = a
	}
	for text, alter := range map[string]func(*chain.Genesis){
		"is missing":         func(g *chain.Genesis) { delete(g.Alloc, chain.StakingAddress) },
		".code":              func(g *chain.Genesis) { some(g, func(a *chain.GenesisAccount) { a.Code = a.Code[1:] }) },
		".nonce: must be 1":  func(g *chain.Genesis) { some(g, func(a *chain.GenesisAccount) { a.Nonce = 0 }) },
		".balance: must be":  func(g *chain.Genesis) { some(g, func(a *chain.GenesisAccount) { a.Balance = hexed(ether(401)) }) },
		".balance: must":     func(g *chain.Genesis) { some(g, func(a *chain.GenesisAccount) { a.Balance = nil }) },
		"parameters and the": func(g *chain.Genesis) { g.Consensus.Stake.JailEpochs++ },
		"hold exactly":       func(g *chain.Genesis) { g.Consensus.Stake.RewardPerEpoch = nil },
		"has no consensus.sta": func(g *chain.Genesis) {
			g.Consensus.Engine, g.Consensus.Stake = chain.BFT, nil
			g.Alloc[govern.Address] = govern.Account(g)
		},
		"first one's": func(g *chain.Genesis) {
			g.Validators[3].PublicKey = g.Validators[3].PublicKey[1:]
			settleAlloc(g)
		},
		"exceed 2^128-1": func(g *chain.Genesis) {
			g.Consensus.Stake.MinSelfStake = hexed(new(big.Int).Lsh(big.NewInt(1), 127))
			g.Alloc[govern.Address] = govern.Account(g)
		},
	} {
		g := staking(4)
		alter(g)
		err := govern.Check(g)
		require.ErrorIs(t, err, chain.ErrGenesis, text)
		require.ErrorContains(t, err, text)
	}
}

// TestGoldenStaking pins code and founding storage: another one is another chain.
func TestGoldenStaking(t *testing.T) {
	g := staking(5)
	for i := range g.Validators {
		g.Validators[i].PublicKey = key(uint64(i + 1))
	}
	storage, err := json.Marshal(govern.StakeAccount(g).Storage)
	require.NoError(t, err)
	require.Equal(t, "0xfbf6d197a7c97aa1fb6bcb0e2f17b2d24a6b7e753248176038acdf7ac9118261", gethcrypto.Keccak256Hash(govern.StakingCode()).Hex())
	require.Equal(t, "0x1f18ef74b7be8d6068f3cd0dd6c257fc039353354435c72428cb3888ca7171d8", gethcrypto.Keccak256Hash(storage).Hex())
}

func TestReadStakerRefusesWhatTheContractNeverWrites(t *testing.T) {
	g := staking(4)
	good := govern.StakeAccount(g).Storage
	s, err := govern.ReadStaker(slots(good), public(3))
	require.NoError(t, err)
	require.Equal(t, chain.ValidatorID(3), s.ID)
	id := gethcrypto.Keccak256Hash(gethcrypto.Keccak256(public(3)), common.LeftPadBytes([]byte{8}, 32))
	require.Equal(t, common.Hash{31: 3}, good[id])
	good[id] = common.Hash{31: 2} // nobody's
	_, err = govern.ReadStaker(slots(good), public(3))
	require.ErrorIs(t, err, govern.ErrState)
}
