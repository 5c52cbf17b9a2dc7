package govern_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

func TestConstantsOfContractAndGoAreOne(t *testing.T) {
	w := newWorld(t, founding(4))
	for name, want := range map[string]int64{"MIN_MEMBERS": govern.MinMembers, "MAX_MEMBERS": govern.MaxMembers, "MAX_KEY": govern.MaxKey,
		"MAX_NAME": govern.MaxName, "MAX_ENDPOINT": govern.MaxEndpoint} {
		require.Equal(t, []any{big.NewInt(want)}, w.call(account(1), name), name)
	}
	require.Equal(t, []any{uint64(chain.ActivationDelay)}, w.call(account(1), "ACTIVATION_DELAY"))
	for n := 1; n <= govern.MaxMembers; n++ {
		require.Equal(t, []any{big.NewInt(int64(chain.BFT.Quorum(n)))}, w.call(account(1), "quorum", big.NewInt(int64(n))), "of %d", n)
	}
}

// TestFoundingStorageIsTheContracts: what Go writes into the genesis is what the contract takes for its own, whatever the sizes.
func TestFoundingStorageIsTheContracts(t *testing.T) {
	for _, n := range []int{4, 5, 7, 31} {
		g := founding(n)
		w := newWorld(t, g)
		view := w.agrees()
		for i, v := range g.Validators {
			require.Equal(t, viewed{uint64(v.ID), v.Address, v.Name, v.Endpoint, string(v.PublicKey)}, view[i])
		}
		set, _ := w.read()
		require.Equal(t, g.ValidatorSet(), set)
		require.Equal(t, []any{uint64(0)}, w.call(account(1), "changedAt"))
		// The key index is there too: a founding key cannot be proposed again, and the next id follows the greatest.
		w.refused("Hindered", []any{uint8(3)}, account(1), "proposeAdd", key(3), account(99), "thief", "")
		w.refused("Hindered", []any{uint8(4)}, account(1), "proposeAdd", key(99), account(3), "thief", "")
		p := w.proposeAdd(1, 99)
		for i := 1; i < chain.BFT.Quorum(n); i++ {
			w.call(account(uint64(2*i+1)), "vote", p)
		}
		view = w.agrees()
		require.Equal(t, uint64(2*n), view[n].ID)
	}
}

func TestAddingTakesAQuorum(t *testing.T) {
	w := newWorld(t, founding(4))
	w.setHeight(10)
	p := w.proposeAdd(1, 99)
	require.Equal(t, []string{"Proposed", "Voted"}, w.events())
	require.Equal(t, []any{[]uint64{p}}, w.call(account(1), "openProposals"))
	w.call(account(3), "vote", p)
	require.Len(t, w.agrees(), 4, "two of four are no quorum")
	w.setHeight(12)
	w.call(account(5), "vote", p)
	require.Equal(t, []string{"Voted", "Added"}, w.events())
	added, err := govern.ABI().Events["Added"].Inputs.NonIndexed().Unpack(w.logs[1].Data)
	require.NoError(t, err)
	require.Equal(t, uint64(12+chain.ActivationDelay), added[4])
	view := w.agrees()
	require.Len(t, view, 5)
	require.Equal(t, viewed{8, account(99), "new", "", string(key(99))}, view[4])
	require.Equal(t, []any{uint64(12)}, w.call(account(1), "changedAt"))
	w.refused("NoSuchProposal", []any{p}, account(7), "vote", p)
	require.Equal(t, []any{[]uint64{}}, w.call(account(1), "openProposals"))
}

func TestRemovedValidatorsVotesDoNotCount(t *testing.T) {
	w := newWorld(t, founding(7)) // quorum 5
	add := w.proposeAdd(1, 99)
	for _, v := range []uint64{3, 5, 7} {
		w.call(account(v), "vote", add)
	}
	own := w.proposeAdd(3, 98)
	remove := w.call(account(1), "proposeRemove", uint64(3))[0].(uint64)
	for _, v := range []uint64{5, 7, 9, 11} {
		w.call(account(v), "vote", remove)
	}
	require.Equal(t, []string{"Voted", "Lapsed", "Removed"}, w.events(), "the proposals of who left lapse")
	require.Len(t, w.agrees(), 6) // quorum 4
	w.refused("NotAValidator", []any{account(3)}, account(3), "vote", own)
	w.refused("NoSuchProposal", []any{own}, account(1), "vote", own)
	w.refused("NotEnoughVotes", []any{big.NewInt(3), big.NewInt(4)}, account(1), "execute", add)
	w.setHeight(2)
	w.call(account(9), "vote", add)
	view := w.agrees()
	require.Len(t, view, 7)
	require.Equal(t, uint64(14), view[6].ID, "the ids of those who left are not given again")
	// Its key and account may come back, under another id.
	w.setHeight(3)
	p := w.call(account(1), "proposeAdd", key(3), account(3), "again", "")[0].(uint64)
	for _, v := range []uint64{5, 7, 9, 11} {
		w.call(account(v), "vote", p)
	}
	view = w.agrees()
	require.Equal(t, uint64(15), view[7].ID)
}

// TestVotesThatSufficeByOthersLeaving: a proposal short of a vote passes by execute when the set shrinks.
func TestVotesThatSufficeByOthersLeaving(t *testing.T) {
	w := newWorld(t, founding(7)) // quorum 5, of six 4
	add := w.proposeAdd(1, 99)
	for _, v := range []uint64{3, 5, 7} {
		w.call(account(v), "vote", add)
	}
	remove := w.call(account(1), "proposeRemove", uint64(13))[0].(uint64)
	for _, v := range []uint64{3, 5, 7, 9} {
		w.call(account(v), "vote", remove)
	}
	w.refused("Hindered", []any{uint8(6)}, account(9), "execute", add)
	w.setHeight(2)
	w.refused("NotAValidator", []any{account(13)}, account(13), "execute", add)
	w.call(account(9), "execute", add)
	require.Equal(t, []string{"Added"}, w.events())
	require.Len(t, w.agrees(), 7)
}

func TestNeverBelowFour(t *testing.T) {
	w := newWorld(t, founding(5)) // quorum 4
	w.refused("Hindered", []any{uint8(5)}, account(1), "proposeRemove", uint64(2))
	first := w.call(account(1), "proposeRemove", uint64(9))[0].(uint64)
	second := w.call(account(1), "proposeRemove", uint64(7))[0].(uint64)
	for _, v := range []uint64{3, 5, 7} {
		w.call(account(v), "vote", first)
	}
	require.Len(t, w.agrees(), 4)
	w.setHeight(2)
	w.refused("Hindered", []any{uint8(1)}, account(1), "proposeRemove", uint64(5))
	w.call(account(3), "vote", second)
	w.call(account(5), "vote", second)
	require.Equal(t, []string{"Voted"}, w.events(), "the votes are there, four must remain")
	w.refused("Hindered", []any{uint8(1)}, account(1), "execute", second)
	out := w.call(account(1), "proposalOf", second)
	require.Equal(t, []any{big.NewInt(3), big.NewInt(3), uint8(1)}, out[1:])
	require.Len(t, w.agrees(), 4)
}

func TestNeverAboveTheMaximum(t *testing.T) {
	w := newWorld(t, founding(govern.MaxMembers))
	w.refused("Hindered", []any{uint8(2)}, account(1), "proposeAdd", key(999), account(999), "one too many", "")
	// The largest set still votes within a transaction's gas: the last vote counts all others and moves the last validator.
	p := w.call(account(1), "proposeRemove", uint64(1))[0].(uint64)
	for i := 1; i < chain.BFT.Quorum(govern.MaxMembers); i++ {
		w.call(account(uint64(2*i+1)), "vote", p)
	}
	require.Len(t, w.agrees(), govern.MaxMembers-1)
}

func TestOneChangePerBlock(t *testing.T) {
	w := newWorld(t, founding(4))
	a, b := w.proposeAdd(1, 98), w.proposeAdd(1, 99)
	for _, p := range []uint64{a, b} {
		w.call(account(3), "vote", p)
		w.call(account(5), "vote", p)
	}
	require.Len(t, w.agrees(), 5)
	w.refused("NotEnoughVotes", []any{3, 4}, account(1), "execute", b)
	w.call(account(7), "vote", b)
	require.Equal(t, []string{"Voted"}, w.events())
	w.refused("Hindered", []any{6}, account(1), "execute", b)
	require.Len(t, w.agrees(), 5)
	w.setHeight(2)
	w.call(account(1), "execute", b)
	require.Len(t, w.agrees(), 6)
}

func TestChangingTheOwnEntryTakesVotes(t *testing.T) {
	w := newWorld(t, founding(4))
	long := strings.Repeat("x", govern.MaxName)
	endpoint := "h" + strings.Repeat("o", govern.MaxEndpoint-7) + ":30000"
	p := w.call(account(5), "proposeChange", key(5), account(77), long, endpoint)[0].(uint64)
	require.Equal(t, uint64(5), w.agrees()[2].ID)
	w.call(account(1), "vote", p)
	w.call(account(3), "vote", p)
	require.Equal(t, []string{"Voted", "Changed"}, w.events())
	require.Equal(t, viewed{5, account(77), long, endpoint, string(key(5))}, w.agrees()[2])
	w.refused("NotAValidator", []any{account(5)}, account(5), "proposeRemove", uint64(1))
	w.setHeight(2)
	p = w.call(account(77), "proposeChange", key(55), account(5), "s", "")[0].(uint64)
	w.call(account(1), "vote", p)
	w.call(account(3), "vote", p)
	require.Equal(t, viewed{5, account(5), "s", "", string(key(55))}, w.agrees()[2], "long values leave nothing behind")
	w.refused("Hindered", []any{uint8(3)}, account(5), "proposeChange", key(1), account(5), "s", "")
	w.refused("Hindered", []any{uint8(4)}, account(5), "proposeChange", key(5), account(1), "s", "")
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, founding(4))
	p := w.proposeAdd(1, 99)
	stranger := account(99)
	for name, c := range map[string]struct {
		want string
		args []any
		from common.Address
		call []any
	}{
		"stranger adds":      {"NotAValidator", []any{stranger}, stranger, []any{"proposeAdd", key(98), account(98), "x", ""}},
		"stranger removes":   {"NotAValidator", []any{stranger}, stranger, []any{"proposeRemove", uint64(1)}},
		"stranger changes":   {"NotAValidator", []any{stranger}, stranger, []any{"proposeChange", key(98), account(98), "x", ""}},
		"stranger votes":     {"NotAValidator", []any{stranger}, stranger, []any{"vote", p}},
		"stranger executes":  {"NotAValidator", []any{stranger}, stranger, []any{"execute", p}},
		"stranger withdraws": {"NotAValidator", []any{stranger}, stranger, []any{"withdraw", p}},
		"another withdraws":  {"NotTheProposer", []any{p, uint64(1)}, account(3), []any{"withdraw", p}},
		"proposer again":     {"AlreadyVoted", []any{p, uint64(1)}, account(1), []any{"vote", p}},
		"unknown":            {"NoSuchProposal", []any{p + 1}, account(1), []any{"vote", p + 1}},
		"withdraw unknown":   {"NoSuchProposal", []any{p + 1}, account(1), []any{"withdraw", p + 1}},
		"zero":               {"NoSuchProposal", []any{uint64(0)}, account(1), []any{"execute", uint64(0)}},
		"no key":             {"BadPublicKey", []any{big.NewInt(0)}, account(1), []any{"proposeAdd", []byte{}, account(98), "x", ""}},
		"long key":           {"BadPublicKey", []any{big.NewInt(129)}, account(1), []any{"proposeAdd", make([]byte, 129), account(98), "x", ""}},
		"no account":         {"BadAccount", nil, account(1), []any{"proposeAdd", key(98), common.Address{}, "x", ""}},
		"no name":            {"BadName", []any{big.NewInt(0)}, account(1), []any{"proposeChange", key(98), account(98), "", ""}},
		"long name":          {"BadName", []any{big.NewInt(257)}, account(1), []any{"proposeAdd", key(98), account(98), strings.Repeat("n", 257), ""}},
		"huge name":          {"BadName", []any{big.NewInt(1 << 17)}, account(1), []any{"proposeAdd", key(98), account(98), strings.Repeat("n", 1<<17), ""}},
		"long endpoint":      {"BadEndpoint", []any{big.NewInt(256)}, account(1), []any{"proposeAdd", key(98), account(98), "n", strings.Repeat("e", 256)}},
	} {
		t.Run(name, func(t *testing.T) { w.refused(c.want, c.args, c.from, c.call[0].(string), c.call[1:]...) })
	}
	require.Len(t, w.agrees(), 4)
	w.cfg.Value = big.NewInt(1)
	_, err := w.raw(account(1), "vote", p)
	require.Error(t, err, "it takes no money")
}

// TestCalldataThatLies: lengths that the call data does not hold.
func TestCalldataThatLies(t *testing.T) {
	w := newWorld(t, founding(4))
	good, err := govern.ABI().Pack("proposeAdd", key(98), account(98), "name", "endpoint:1")
	require.NoError(t, err)
	// What may be missing is the padding of the last string.
	for cut := 4; cut < 4+9*32+len("endpoint:1"); cut++ {
		_, err := w.send(account(1), good[:cut])
		require.Error(t, err, "cut at %d", cut)
	}
	for word := 4; word+32 <= len(good); word += 32 {
		bad := append([]byte(nil), good...)
		for i := word; i < word+32; i++ {
			bad[i] = 0xff
		}
		if _, err := w.send(account(1), bad); err == nil {
			require.Contains(t, []int{5, 7, 9}, (word-4)/32, "only the key's and the strings' own bytes are free to be anything")
		}
	}
	w.agrees()
}

func TestOpenProposalsAreBounded(t *testing.T) {
	w := newWorld(t, founding(4))
	var open []uint64
	for i := range uint64(4) {
		open = append(open, w.proposeAdd(1, 90+i))
	}
	w.refused("TooManyOpen", []any{uint64(1)}, account(1), "proposeAdd", key(99), account(99), "x", "")
	other := w.proposeAdd(3, 80)
	w.call(account(1), "withdraw", open[1])
	require.Equal(t, []string{"Withdrawn"}, w.events())
	w.refused("NoSuchProposal", []any{open[1]}, account(3), "vote", open[1])
	open[1] = w.proposeAdd(1, 99)
	require.ElementsMatch(t, append(open, other), w.call(account(1), "openProposals")[0])
	// They expire, and make room then.
	w.setHeight(1_000_001)
	w.call(account(3), "vote", open[0])
	w.setHeight(1_000_002)
	w.refused("Expired", []any{open[0], uint64(1_000_001)}, account(5), "vote", open[0])
	w.refused("Expired", []any{open[0], uint64(1_000_001)}, account(5), "execute", open[0])
	w.refused("Expired", []any{open[0], uint64(1_000_001)}, account(5), "proposalOf", open[0])
	require.Empty(t, w.call(account(1), "openProposals")[0])
	fresh := w.proposeAdd(1, 70)
	require.Equal(t, []string{"Lapsed", "Lapsed", "Lapsed", "Lapsed", "Proposed", "Voted"}, w.events())
	require.Equal(t, []uint64{fresh}, w.call(account(1), "openProposals")[0])
	w.refused("NoSuchProposal", []any{open[0]}, account(3), "vote", open[0])
}

// TestApplyGas: the dearest changes of the largest set with the longest entries, against the cheapest vote.
func TestApplyGas(t *testing.T) {
	g := founding(govern.MaxMembers)
	long := func(n int) string { return strings.Repeat("x", n) }
	for i := range g.Validators {
		v := &g.Validators[i]
		v.Name, v.Endpoint, v.PublicKey = long(govern.MaxName), long(govern.MaxEndpoint-6)+":30000", append(make([]byte, govern.MaxKey-32), v.PublicKey...)
	}
	g.Alloc[govern.Address] = govern.Account(g)
	w := newWorld(t, g)
	who := func(i int) common.Address { return account(uint64(2*i + 1)) }
	propose := func(from common.Address, method string, n byte) uint64 {
		key := append([]byte{n}, make([]byte, govern.MaxKey-1)...)
		return w.call(from, method, key, account(1000+uint64(n)), long(govern.MaxName), long(govern.MaxEndpoint-6)+":30000")[0].(uint64)
	}
	dearest, cheapest := uint64(0), ^uint64(0)
	// vote lets validators from 1 on vote until n have, the proposer among them.
	vote := func(p uint64, n int) {
		for i := 1; i < n; i++ {
			w.call(who(i), "vote", p)
			if names := w.events(); len(names) == 1 {
				cheapest = min(cheapest, w.gas)
			} else {
				dearest = max(dearest, w.gas)
				t.Logf("%v: %d gas", names, w.gas)
			}
		}
	}
	// Who leaves has as many proposals open as it may, each a vote short of passing, and is not the last in the array.
	leaver, quorum := govern.MaxMembers-2, chain.BFT.Quorum(govern.MaxMembers)
	for n := range byte(4) {
		vote(propose(who(leaver), "proposeChange", 10+n), quorum-1)
	}
	vote(w.call(who(0), "proposeRemove", uint64(2*leaver+1))[0].(uint64), quorum)
	w.setHeight(2)
	vote(propose(who(0), "proposeAdd", 1), chain.BFT.Quorum(govern.MaxMembers-1))
	w.setHeight(3)
	vote(propose(who(0), "proposeChange", 2), quorum)
	require.Len(t, w.agrees(), govern.MaxMembers)
	t.Logf("the cheapest vote: %d gas", cheapest)
	require.Greater(t, dearest, cheapest)
	require.Less(t, dearest-cheapest, uint64(govern.ApplyGas))
	require.Less(t, dearest+21_000+50_000, uint64(16_777_216), "the largest transaction")
}
