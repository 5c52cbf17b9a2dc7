package govern_test

import (
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
)

func with(id uint64, evidence []any) []any { return append([]any{id}, evidence...) }

// TestSlashing: one offence costs its part of all stake behind the validator, once; what had left before it is spared.
func TestSlashing(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	w.does(account(50), ether(100), "delegate", uint64(1))
	w.does(account(51), ether(50), "delegate", uint64(1))
	w.goTo(60)
	w.does(account(51), nil, "undelegate", uint64(1), ether(10)) // behind epoch 0's seats alone
	w.goTo(70)
	w.does(account(51), nil, "undelegate", uint64(1), ether(20)) // behind epoch 1's too
	w.goTo(150)
	before := w.balance(account(60))
	w.does(account(60), nil, "slash", with(1, equivocation(1, 140))...)
	// 220 ether are left: 5 % are 11, of which a twentieth is the reporter's.
	require.Equal(t, new(big.Int).Div(ether(11), big.NewInt(20)), sub(w.balance(account(60)), before))
	v := w.validator(1)
	require.True(t, v.Tombstoned)
	require.False(t, v.Stands)
	require.Equal(t, ether(209), v.Stake)
	require.Equal(t, ether(95), v.SelfStake)
	require.Equal(t, ether(95), w.ask("delegationOf", uint64(1), account(50))[0])
	w.conserved()
	// Never again, for nothing; nor does anybody stake behind it.
	w.fails("Tombstoned", account(60), nil, "slash", with(1, equivocation(1, 140))...)
	w.fails("Tombstoned", account(60), nil, "slash", with(1, equivocation(1, 141))...)
	w.fails("Tombstoned", account(50), ether(10), "delegate", uint64(1))
	w.fails("Tombstoned", account(1), nil, "stand")
	w.fails("Tombstoned", account(1), nil, "changeKey", public(80), possession(80, account(1)))
	w.fails("AccountTaken", account(1), ether(100), "register", public(81), possession(81, account(1)), "again", "", uint16(0))
	w.fails("KeyTaken", account(82), ether(100), "register", public(1), possession(1, account(82)), "again", "", uint16(0))
	w.does(account(51), nil, "undelegate", uint64(1), max256()) // 19 ether: cut already
	w.goTo(3*128 + 1)
	w.does(account(51), nil, "withdraw") // 10
	w.goTo(4*128 + 1)
	before = w.balance(account(51))
	burnt := w.ask("totals")[2].(*big.Int)
	w.does(account(51), nil, "withdraw")
	require.Equal(t, ether(19+19), sub(w.balance(account(51)), before), "20 ether less 5 %, and 19 that are spared another cut")
	require.Equal(t, ether(1), sub(w.ask("totals")[2].(*big.Int), burnt))
	w.conserved()
	require.Equal(t, ether(1_000_000-50+10+19+19), w.balance(account(51)))
}

// TestSlashedForCommits: commits to two proposals in one view are an offence; in two views, or with something else said beside the same one, they are none.
func TestSlashedForCommits(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	w.goTo(150)
	commit := func(height, view uint64, proposal byte, beside string) []byte {
		b := append([]byte("jialing/order/1"), genesisHash[:]...)
		b = append(b, "commit/2:"...)
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, height), view)
		return append(append(append(b, make([]byte, 31)...), proposal), beside...)
	}
	says := func(a, b []byte) []any { return []any{a, signed(1, a), b, signed(1, b)} }
	one := commit(140, 7, 1, "prepares of 1, 2")
	for name, other := range map[string][]byte{"view": commit(140, 8, 2, ""), "height": commit(141, 7, 2, ""), "same": commit(140, 7, 1, "prepares of 1, 3")} {
		w.fails("NoContradiction", account(60), nil, "slash", with(1, says(one, other))...)
		require.False(t, w.validator(1).Tombstoned, name)
	}
	attested := chain.AttestationMessage(genesisHash, 140, crypto.Hash{31: 2})
	w.fails("NoEvidence", account(60), nil, "slash", with(1, says(one, attested))...)
	w.does(account(60), nil, "slash", with(1, says(one, commit(140, 7, 2, "")))...)
	require.True(t, w.validator(1).Tombstoned)
	w.fails("Tombstoned", account(60), nil, "slash", with(1, says(commit(140, 7, 2, ""), one))...)
	w.conserved()
}

// TestEvidenceInTime: evidence is taken as long as no stake that it concerns can be withdrawn, and not longer.
func TestEvidenceInTime(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	w.goTo(3*128 + 127) // epoch 3; unbonding takes 2
	w.fails("TooOld", account(60), nil, "slash", with(1, equivocation(1, 127))...)
	w.does(account(60), nil, "slash", with(1, equivocation(1, 128))...)
	// A contradiction about a height to come is one all the same; it counts as of now.
	w.does(account(3), nil, "undelegate", uint64(3), ether(50)) // behind epoch 4's seats, too
	w.does(account(60), nil, "slash", with(3, equivocation(3, 1<<62))...)
	w.goTo(8 * 128)
	before := w.balance(account(3))
	w.does(account(3), nil, "withdraw")
	require.Equal(t, new(big.Int).Div(ether(475), big.NewInt(10)), sub(w.balance(account(3)), before))
	w.conserved()
}

// TestForgedEvidence: nothing that an honest validator ever signs, and nothing that others sign, costs it anything.
func TestForgedEvidence(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	w.goTo(100)
	at := func(chainHash crypto.Hash, height uint64, header byte) []byte {
		return chain.AttestationMessage(chainHash, height, crypto.Hash{header})
	}
	a, b := at(genesisHash, 50, 1), at(genesisHash, 50, 2)
	next := at(genesisHash, 51, 2)
	elsewhere := [2][]byte{at(crypto.Hash{9}, 50, 1), at(crypto.Hash{9}, 50, 2)}
	attend := [2][]byte{govern.AttendMessage(genesisHash, 1, 0), govern.AttendMessage(genesisHash, 1, 1)}
	for name, c := range map[string]struct {
		want string
		args []any
	}{
		"one message":         {"NoContradiction", []any{a, signed(1, a), a, signed(1, a)}},
		"two heights":         {"NoContradiction", []any{a, signed(1, a), next, signed(1, next)}},
		"another's signature": {"BadSignature", []any{a, signed(1, a), b, signed(3, b)}},
		"another's first":     {"BadSignature", []any{a, signed(3, a), b, signed(1, b)}},
		"swapped signatures":  {"BadSignature", []any{a, signed(1, b), b, signed(1, a)}},
		"no signatures":       {"BadSignature", []any{a, []byte{}, b, []byte{}}},
		"another chain's":     {"OtherChain", []any{elsewhere[0], signed(1, elsewhere[0]), elsewhere[1], signed(1, elsewhere[1])}},
		"attendances":         {"NoEvidence", []any{attend[0], signed(1, attend[0]), attend[1], signed(1, attend[1])}},
		"nothing":             {"NoEvidence", []any{[]byte{}, []byte{}, []byte{}, []byte{}}},
	} {
		t.Run(name, func(t *testing.T) { w.fails(c.want, account(60), nil, "slash", with(1, c.args)...) })
	}
	w.fails("NoSuchValidator", account(60), nil, "slash", with(2, equivocation(1, 50))...)
	w.fails("BadSignature", account(60), nil, "slash", with(3, equivocation(1, 50))...)
	require.False(t, w.validator(1).Tombstoned)
	require.Equal(t, ether(100), w.validator(1).Stake)
}

// TestFormerKeys: a key answers for what it signed while it may have ruled, and for no more.
func TestFormerKeys(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	w.goTo(70) // epoch 1 is elected
	w.fails("BadSignature", account(1), nil, "changeKey", public(81), possession(80, account(1)))
	w.fails("KeyTaken", account(1), nil, "changeKey", public(3), possession(3, account(1)))
	w.fails("KeyTaken", account(1), nil, "changeKey", public(1), possession(1, account(1)))
	w.does(account(1), nil, "changeKey", public(81), possession(81, account(1)))
	require.Equal(t, []any{uint64(1)}, w.ask("idOfKey", public(1)))
	require.Equal(t, []any{uint64(1)}, w.ask("idOfKey", public(81)))
	w.fails("TooSoon", account(1), nil, "changeKey", public(82), possession(82, account(1)))
	w.attend(1, 1)
	w.goTo(128)
	w.attend(1, 81)
	w.goTo(200)
	_, members := w.read()
	require.Equal(t, public(81), members[0].PublicKey)
	w.fails("TooOld", account(60), nil, "slash", with(1, equivocation(1, 256))...) // it had no seat any more
	w.does(account(3), nil, "changeKey", public(83), possession(83, account(3)))
	w.does(account(60), nil, "slash", with(1, equivocation(1, 255))...)
	w.does(account(60), nil, "slash", with(3, equivocation(83, 199))...)
	w.goTo(4*128 - 1)
	w.does(account(5), nil, "changeKey", public(85), possession(85, account(5)))
	w.goTo(7*128 - 1)
	w.fails("TooSoon", account(5), nil, "changeKey", public(86), possession(86, account(5)))
	w.goTo(7 * 128)
	w.does(account(5), nil, "changeKey", public(86), possession(86, account(5)))
	w.fails("BadSignature", account(60), nil, "slash", with(5, equivocation(5, 500))...)
}

// TestReportersReward is a tenth of the least self stake at the most, however much is slashed; and a slash of everything leaves nothing behind.
func TestReportersReward(t *testing.T) {
	g := staking(5)
	g.Consensus.Stake.SlashBasisPoints = 10_000
	w := newStakeWorld(t, settleAlloc(g))
	w.does(account(50), ether(100_000), "delegate", uint64(1))
	before := w.balance(account(60))
	w.does(account(60), nil, "slash", with(1, equivocation(1, 1))...)
	require.Equal(t, ether(10), sub(w.balance(account(60)), before))
	w.conserved()
	require.Zero(t, w.validator(1).Stake.Sign())
	w.fails("TooMuch", account(50), nil, "undelegate", uint64(1), big.NewInt(1))
	w.does(account(50), nil, "undelegate", uint64(1), max256())
	w.fails("Nothing", account(50), nil, "undelegate", uint64(1), max256())
	w.goTo(4 * 128)
	w.fails("Nothing", account(50), nil, "withdraw")
	w.conserved()
}

// TestReentrance: an account that calls again while it is paid gets what is its own, once.
func TestReentrance(t *testing.T) {
	w := newStakeWorld(t, staking(5))
	thief := common.HexToAddress("0x7e1ef")
	w.known[thief] = true
	// Paid, it calls Staking with the selector in its slot 0, swallows what comes back and keeps success + 2 in slot 1:
	// MSTORE(0, SLOAD(0)) SSTORE(1, 2 + CALL(gas, 0x1003, 0, 0, 32, 0, 0))
	code := common.FromHex("5f54" + "5f52" + "5f5f6020" + "5f5f" + "611003" + "5a" + "f1" + "6002" + "01" + "6001" + "55" + "00")
	w.db.SetCode(thief, code, tracing.CodeChangeUnspecified)
	w.fund(thief, ether(1000))
	w.initial = sum(w.initial, ether(1000))
	id := govern.StakingABI().Methods["withdraw"].ID
	w.db.SetState(thief, common.Hash{}, common.BytesToHash(common.RightPadBytes(id, 32)))
	w.does(thief, ether(10), "delegate", uint64(1))
	w.does(thief, nil, "undelegate", uint64(1), ether(10))
	w.does(account(50), ether(100), "delegate", uint64(1))
	w.goTo(4 * 128)
	w.does(thief, nil, "withdraw")
	require.Equal(t, ether(1000), w.balance(thief))
	require.Equal(t, common.Hash{31: 2}, w.db.GetState(thief, common.Hash{31: 1}), "it called again, and there was nothing")
	w.conserved()
}
