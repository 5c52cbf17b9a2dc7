package govern_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	suites "github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
)

// admin is the account of the nth founding organisation.
func admin(n uint64) common.Address { return common.BigToAddress(new(big.Int).SetUint64(0xad0000 + n)) }

// cert is n bytes that are none of a certificate: the contract does not look into it.
func cert(seed byte, n int) []byte { return bytes.Repeat([]byte{seed, 0xce}, n)[:n] }

// withOrganisations is a genesis of 4 validators and n organisations, with names and roots of every length around a slot's.
func withOrganisations(n int) *chain.Genesis {
	g := founding(4)
	g.Admission = chain.AdmitCertificates
	for i := range n {
		o := chain.GenesisOrganisation{Name: fmt.Sprintf("organisation with a name of some length %d", i)[:20+min(i, 20)] + fmt.Sprint(i), Admin: admin(uint64(i))}
		for j := range 1 + i%govern.MaxRoots {
			o.Roots = append(o.Roots, cert(byte(16*j+i), 30+i+40*j))
		}
		g.Organisations = append(g.Organisations, o)
	}
	g.Alloc[govern.OrganisationsAddress] = govern.OrganisationsAccount(g)
	return g
}

// orgWorld is the contract Organisations beside Validators in one EVM.
type orgWorld struct {
	*world
	g *chain.Genesis
}

func newOrgWorld(t *testing.T, n int) *orgWorld {
	g := withOrganisations(n)
	w := newWorld(t, g)
	a := g.Alloc[govern.OrganisationsAddress]
	w.db.CreateAccount(govern.OrganisationsAddress)
	w.db.SetNonce(govern.OrganisationsAddress, uint64(a.Nonce), tracing.NonceChangeGenesis)
	w.db.SetCode(govern.OrganisationsAddress, a.Code, tracing.CodeChangeGenesis)
	for k, v := range a.Storage {
		w.db.SetState(govern.OrganisationsAddress, k, v)
	}
	w.db.Finalise(w.rules)
	return &orgWorld{w, g}
}

func (w *orgWorld) try(from common.Address, method string, args ...any) ([]byte, error) {
	w.t.Helper()
	input, err := govern.OrganisationsABI().Pack(method, args...)
	require.NoError(w.t, err)
	w.cfg.Origin = from
	before, snapshot := len(w.db.Logs()), w.db.Snapshot()
	out, left, err := runtime.Call(govern.OrganisationsAddress, input, w.cfg)
	if err != nil {
		w.db.RevertToSnapshot(snapshot)
	}
	w.logs, w.gas = w.db.Logs()[before:], w.cfg.GasLimit-left
	w.db.Finalise(w.rules)
	return out, err
}

func (w *orgWorld) do(from common.Address, method string, args ...any) []any {
	w.t.Helper()
	out, err := w.try(from, method, args...)
	require.NoError(w.t, err, "%s: %s", method, orgRevert(out))
	results, err := govern.OrganisationsABI().Unpack(method, out)
	require.NoError(w.t, err)
	return results
}

func orgRevert(out []byte) string {
	for name, e := range govern.OrganisationsABI().Errors {
		if len(out) >= 4 && [4]byte(out) == [4]byte(e.ID[:4]) {
			return name
		}
	}
	return ""
}

func (w *orgWorld) denied(want string, from common.Address, method string, args ...any) {
	w.t.Helper()
	out, err := w.try(from, method, args...)
	require.ErrorIs(w.t, err, vm.ErrExecutionReverted)
	require.Equal(w.t, want, orgRevert(out))
}

// saw names the events of the last call.
func (w *orgWorld) saw() (names []string) {
	for _, l := range w.logs {
		e, err := govern.OrganisationsABI().EventByID(l.Topics[0])
		require.NoError(w.t, err)
		names = append(names, e.Name)
	}
	return names
}

// same asserts that Go reads what the contract says, and returns it.
func (w *orgWorld) same() []govern.Organisation {
	w.t.Helper()
	read, err := govern.ReadOrganisations(w)
	require.NoError(w.t, err)
	names := w.do(admin(0), "names")[0].([]string)
	require.Len(w.t, read, len(names))
	for i, o := range read {
		require.Equal(w.t, names[i], o.Name)
		b, err := json.Marshal(w.do(admin(0), "organisationOf", o.Name)[0])
		require.NoError(w.t, err)
		var said struct {
			Admin                common.Address
			Roots, Intermediates [][]byte
			Revoked              []*big.Int
		}
		require.NoError(w.t, json.Unmarshal(b, &said))
		require.Equal(w.t, said.Admin, o.Admin)
		require.Equal(w.t, fmt.Sprintf("%x", said.Roots), fmt.Sprintf("%x", o.Roots))
		require.Equal(w.t, fmt.Sprintf("%x", said.Intermediates), fmt.Sprintf("%x", o.Intermediates))
		require.Len(w.t, o.Revoked, len(said.Revoked))
		for j := range said.Revoked {
			require.Equal(w.t, said.Revoked[j].Bytes(), o.Revoked[j])
		}
	}
	return read
}

// pass votes with a quorum of the four validators, whose first has proposed.
func (w *orgWorld) pass(proposal any) {
	w.t.Helper()
	w.do(account(3), "vote", proposal)
	w.do(account(5), "vote", proposal)
}

func TestOrganisationsConstantsAreOne(t *testing.T) {
	w := newOrgWorld(t, 1)
	for name, want := range map[string]int64{"MAX_ORGANISATIONS": govern.MaxOrganisations, "MAX_ROOTS": govern.MaxRoots, "MAX_INTERMEDIATES": govern.MaxIntermediates,
		"MAX_REVOKED": govern.MaxRevoked, "MAX_SERIALS": govern.MaxSerials, "MAX_CERTIFICATE": suites.MaxCertificate, "MAX_NAME": govern.MaxName} {
		require.Equal(t, []any{big.NewInt(want)}, w.do(admin(0), name), name)
	}
}

// TestFoundingOrganisationsAreTheContracts: what Go writes into the genesis is what the contract takes for its own, whatever the sizes.
func TestFoundingOrganisationsAreTheContracts(t *testing.T) {
	for _, n := range []int{1, 3, 4, 5, 9, govern.MaxOrganisations} {
		w := newOrgWorld(t, n)
		read := w.same()
		for i, o := range w.g.Organisations {
			require.Equal(t, o.Name, read[i].Name)
			require.Len(t, read[i].Roots, len(o.Roots))
			for j := range o.Roots {
				require.Equal(t, []byte(o.Roots[j]), read[i].Roots[j])
			}
		}
		require.Equal(t, []any{uint64(0)}, w.do(admin(0), "changedAt"))
		if n < govern.MaxOrganisations {
			p := w.do(account(1), "proposeRegister", "another", admin(90), [][]byte{cert(9, 500)})[0]
			w.pass(p)
			require.Len(t, w.same(), n+1)
		}
	}
}

func TestRegisteringTakesAQuorum(t *testing.T) {
	w := newOrgWorld(t, 2)
	w.setHeight(10)
	roots := [][]byte{cert(1, 31), cert(2, 32), cert(3, 33), cert(4, suites.MaxCertificate)}
	p := w.do(account(1), "proposeRegister", "银行", admin(7), roots)[0]
	require.Equal(t, []string{"Proposed", "Voted"}, w.saw())
	require.Equal(t, []any{[]uint64{1}}, w.do(admin(0), "openProposals"))
	w.do(account(3), "vote", p)
	require.Len(t, w.same(), 2, "two of four are no quorum")
	w.denied("AlreadyVoted", account(3), "vote", p)
	w.denied("NotEnoughVotes", account(3), "execute", p)
	w.do(account(5), "vote", p)
	require.Equal(t, []string{"Voted", "Registered"}, w.saw())
	read := w.same()
	require.Equal(t, govern.Organisation{Name: "银行", Admin: admin(7), Roots: roots, Intermediates: [][]byte{}}, read[2])
	require.Equal(t, []any{uint64(10)}, w.do(admin(0), "changedAt"))
	w.denied("NoSuchProposal", account(7), "vote", p)
	require.Equal(t, []any{[]uint64{}}, w.do(admin(0), "openProposals"))
}

func TestReplacingRoots(t *testing.T) {
	w := newOrgWorld(t, 2)
	name := w.g.Organisations[0].Name
	w.do(admin(0), "revoke", name, []*big.Int{big.NewInt(7), big.NewInt(7), big.NewInt(8)})
	w.do(admin(0), "setIntermediates", name, [][]byte{cert(8, 100)})
	o := w.same()[0]
	require.Equal(t, [][]byte{{7}, {8}}, o.Revoked)
	require.Len(t, o.Intermediates, 1)
	// A root stays: what was revoked under it stays too.
	kept := []byte(w.g.Organisations[0].Roots[0])
	w.pass(w.do(account(1), "proposeRegister", name, admin(50), [][]byte{cert(7, 700), kept})[0])
	o = w.same()[0]
	require.Equal(t, [][]byte{{7}, {8}}, o.Revoked)
	require.Equal(t, admin(50), o.Admin)
	require.Len(t, o.Intermediates, 1)
	// None stays: it begins anew.
	w.pass(w.do(account(1), "proposeRegister", name, admin(51), [][]byte{cert(6, 64)})[0])
	all := w.same()
	require.Len(t, all, 2)
	o = all[1]
	require.Equal(t, govern.Organisation{Name: name, Admin: admin(51), Roots: [][]byte{cert(6, 64)}, Intermediates: [][]byte{}}, o)
	w.do(admin(51), "revoke", name, []*big.Int{big.NewInt(7)})
	require.Equal(t, [][]byte{{7}}, w.same()[1].Revoked)
	w.denied("NotTheAdmin", admin(0), "revoke", name, []*big.Int{big.NewInt(1)})
}

func TestRemoving(t *testing.T) {
	w := newOrgWorld(t, 3)
	first, last := w.g.Organisations[0].Name, w.g.Organisations[2].Name
	w.pass(w.do(account(1), "proposeRemove", first)[0])
	require.Equal(t, []string{"Voted", "Removed"}, w.saw())
	require.Len(t, w.same(), 2)
	w.denied("NoSuchOrganisation", account(1), "proposeRemove", first)
	w.denied("NoSuchOrganisation", admin(0), "revoke", first, []*big.Int{big.NewInt(1)})
	w.pass(w.do(account(1), "proposeRemove", last)[0])
	p := w.do(account(1), "proposeRemove", w.g.Organisations[1].Name)[0]
	w.do(account(3), "vote", p)
	w.denied("LastOrganisation", account(5), "vote", p)
	require.Len(t, w.same(), 1)
	w.denied("NotTheProposer", account(3), "withdraw", p)
	w.do(account(1), "withdraw", p)
	w.pass(w.do(account(1), "proposeRegister", first, admin(60), [][]byte{cert(1, 40)})[0])
	require.Len(t, w.same(), 2, "who was removed may come back")
}

func TestRevokingByVote(t *testing.T) {
	w := newOrgWorld(t, 2)
	name := w.g.Organisations[1].Name
	serial := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 160), big.NewInt(1))
	w.pass(w.do(account(1), "proposeRevoke", name, []*big.Int{serial, big.NewInt(3)})[0])
	require.Equal(t, []string{"Voted", "Revoked"}, w.saw())
	require.Equal(t, [][]byte{serial.Bytes(), {3}}, w.same()[1].Revoked)
}

func TestVotesOfFormerValidatorsDoNotCount(t *testing.T) {
	w := newOrgWorld(t, 1)
	// A fifth validator comes, votes and goes.
	w.setHeight(1)
	add := w.proposeAdd(1, 99)
	w.call(account(3), "vote", add)
	w.call(account(5), "vote", add)
	p := w.do(account(99), "proposeRegister", "x", admin(5), [][]byte{cert(1, 9)})[0]
	w.do(account(1), "vote", p)
	w.setHeight(2)
	remove := w.call(account(1), "proposeRemove", uint64(8))[0]
	for _, v := range []uint64{3, 5, 7} {
		w.call(account(v), "vote", remove)
	}
	w.denied("NotAValidator", account(99), "vote", p)
	w.do(account(3), "vote", p)
	require.Equal(t, []string{"Voted"}, w.saw())
	require.Len(t, w.same(), 1, "of three votes one is of nobody")
	w.do(account(5), "vote", p)
	require.Len(t, w.same(), 2)
}

func TestOrganisationRefusals(t *testing.T) {
	w := newOrgWorld(t, 1)
	name, one := w.g.Organisations[0].Name, [][]byte{cert(1, 9)}
	p := w.do(account(1), "proposeRegister", "x", admin(5), one)[0]
	serials := []*big.Int{big.NewInt(1)}
	for label, c := range map[string]struct {
		want string
		from common.Address
		call []any
	}{
		"stranger registers":    {"NotAValidator", account(99), []any{"proposeRegister", "y", admin(5), one}},
		"stranger removes":      {"NotAValidator", admin(0), []any{"proposeRemove", name}},
		"stranger revokes":      {"NotAValidator", admin(0), []any{"proposeRevoke", name, serials}},
		"stranger votes":        {"NotAValidator", admin(0), []any{"vote", p}},
		"stranger executes":     {"NotAValidator", admin(0), []any{"execute", p}},
		"validator revokes":     {"NotTheAdmin", account(1), []any{"revoke", name, serials}},
		"another sets":          {"NotTheAdmin", admin(1), []any{"setIntermediates", name, one}},
		"another admin":         {"NotTheAdmin", admin(1), []any{"setAdmin", name, admin(1)}},
		"no admin":              {"BadAccount", admin(0), []any{"setAdmin", name, common.Address{}}},
		"registers no admin":    {"BadAccount", account(1), []any{"proposeRegister", "y", common.Address{}, one}},
		"no name":               {"BadName", account(1), []any{"proposeRegister", "", admin(5), one}},
		"long name":             {"BadName", account(1), []any{"proposeRegister", string(cert('x', 257)), admin(5), one}},
		"no root":               {"BadCertificates", account(1), []any{"proposeRegister", "y", admin(5), [][]byte{}}},
		"five roots":            {"BadCertificates", account(1), []any{"proposeRegister", "y", admin(5), make([][]byte, 5)}},
		"empty root":            {"BadCertificate", account(1), []any{"proposeRegister", "y", admin(5), [][]byte{{}}}},
		"long root":             {"BadCertificate", account(1), []any{"proposeRegister", "y", admin(5), [][]byte{cert(1, 2049)}}},
		"nine intermediates":    {"BadCertificates", admin(0), []any{"setIntermediates", name, make([][]byte, 9)}},
		"empty intermediate":    {"BadCertificate", admin(0), []any{"setIntermediates", name, [][]byte{{}}}},
		"no serial":             {"BadSerials", admin(0), []any{"revoke", name, []*big.Int{}}},
		"many serials":          {"BadSerials", admin(0), []any{"revoke", name, manySerials(1, 129)}},
		"serial zero":           {"BadSerial", admin(0), []any{"revoke", name, []*big.Int{new(big.Int)}}},
		"long serial":           {"BadSerial", account(1), []any{"proposeRevoke", name, []*big.Int{new(big.Int).Lsh(big.NewInt(1), 160)}}},
		"unknown organisation":  {"NoSuchOrganisation", admin(0), []any{"revoke", "nobody", serials}},
		"revokes of nobody":     {"NoSuchOrganisation", account(1), []any{"proposeRevoke", "nobody", serials}},
		"unknown proposal":      {"NoSuchProposal", account(1), []any{"vote", uint64(99)}},
		"withdraws nothing":     {"NoSuchProposal", account(1), []any{"withdraw", uint64(99)}},
		"shows of nobody":       {"NoSuchOrganisation", account(1), []any{"organisationOf", "nobody"}},
		"shows unknown":         {"NoSuchProposal", account(1), []any{"proposalOf", uint64(99)}},
		"another's withdrawing": {"NotTheProposer", account(3), []any{"withdraw", p}},
	} {
		t.Run(label, func(t *testing.T) { w.denied(c.want, c.from, c.call[0].(string), c.call[1:]...) })
	}
	for range 3 {
		w.do(account(1), "proposeRemove", name)
	}
	w.denied("TooManyOpen", account(1), "proposeRemove", name)
	w.setHeight(1_000_002)
	w.denied("Expired", account(3), "vote", p)
	w.do(account(1), "proposeRemove", name)
	require.Contains(t, w.saw(), "Lapsed")
	w.do(admin(0), "setAdmin", name, admin(9))
	require.Equal(t, admin(9), w.same()[0].Admin)
}

func manySerials(from, n int64) (out []*big.Int) {
	for i := range n {
		out = append(out, big.NewInt(from+i))
	}
	return out
}

// TestLargestCallsFitIntoATransaction: whatever the bounds allow can be voted for and revoked within EIP-7825's gas.
func TestLargestCallsFitIntoATransaction(t *testing.T) {
	w := newOrgWorld(t, govern.MaxOrganisations)
	full := [][]byte{cert(1, 2048), cert(2, 2048), cert(3, 2048), cert(4, 2048)}
	name := w.g.Organisations[5].Name
	register := w.do(account(1), "proposeRegister", name, admin(5), full)[0]
	w.pass(register)
	require.Less(t, w.gas, uint64(govern.RegisterGas))
	t.Logf("the deciding vote used %d gas", w.gas)
	more := w.do(account(1), "proposeRegister", "one too many", admin(5), full)[0]
	w.do(account(3), "vote", more)
	w.denied("TooManyOrganisations", account(5), "vote", more)
	for i := range int64(govern.MaxRevoked / govern.MaxSerials) {
		w.do(admin(5), "revoke", name, manySerials(1+i*govern.MaxSerials, govern.MaxSerials))
	}
	t.Logf("%d serials used %d gas", govern.MaxSerials, w.gas)
	w.denied("TooManyRevoked", admin(5), "revoke", name, []*big.Int{big.NewInt(5000)})
	w.do(admin(5), "setIntermediates", name, [][]byte{full[0], full[1], full[2], full[3]})
	w.do(admin(5), "setIntermediates", name, [][]byte{full[0], full[1], full[2]})
	w.same()
}

func TestCheckOrganisations(t *testing.T) {
	g := withOrganisations(5)
	require.NoError(t, g.Validate())
	require.NoError(t, govern.CheckOrganisations(g))
	require.NoError(t, govern.CheckOrganisations(founding(4)))
	back, err := chain.ParseGenesis(g.Encode())
	require.NoError(t, err)
	require.NoError(t, govern.CheckOrganisations(back))
	for text, alter := range map[string]func(*chain.Genesis){
		"is missing":              func(g *chain.Genesis) { delete(g.Alloc, govern.OrganisationsAddress) },
		"lists none":              func(g *chain.Genesis) { g.Organisations = nil },
		"founding organisations":  func(g *chain.Genesis) { g.Organisations[1].Roots[0][4] ^= 1 },
		"organisations contract":  func(g *chain.Genesis) { g.Alloc[govern.OrganisationsAddress].Code[9] ^= 1 },
		"does not hold exactly":   func(g *chain.Genesis) { g.Organisations[2].Admin = admin(99) },
		".storage: does not hold": func(g *chain.Genesis) { g.Alloc[govern.OrganisationsAddress].Storage[common.Hash{9}] = common.Hash{1} },
	} {
		g := withOrganisations(5)
		alter(g)
		err := govern.CheckOrganisations(g)
		require.ErrorIs(t, err, chain.ErrGenesis, text)
		require.ErrorContains(t, err, text)
	}
}

func TestOrganisationTracker(t *testing.T) {
	w := newOrgWorld(t, 2)
	l := &ledger{state: w}
	tr, err := govern.NewOrganisationTracker(l)
	require.NoError(t, err)
	require.Len(t, tr.Now(), 2)
	w.pass(w.do(account(1), "proposeRemove", w.g.Organisations[0].Name)[0])
	changed, err := tr.Durable(1, change)
	require.NoError(t, err)
	require.False(t, changed, "another contract was written")
	l.durable = 2
	changed, err = tr.Durable(2, chain.WriteSet{{Address: govern.OrganisationsAddress, Slots: []chain.SlotChange{{Key: common.Hash{31: 1}}}}})
	require.NoError(t, err)
	require.True(t, changed)
	require.Len(t, tr.Now(), 1)
	_, err = govern.NewOrganisationTracker(&ledger{state: slots{}})
	require.ErrorIs(t, err, govern.ErrState)
}

// TestReadOrganisationsRefusesWhatTheContractNeverWrites: it ends with an error and bounded work, whatever is there.
func TestReadOrganisationsRefusesWhatTheContractNeverWrites(t *testing.T) {
	good := govern.OrganisationsAccount(withOrganisations(3)).Storage
	refused := 0
	for slot := range good {
		for _, bad := range []common.Hash{{31: 1}, {31: 200}, {31: 64}, {30: 255, 31: 255}, common.MaxHash} {
			altered := make(slots)
			for k, v := range good {
				altered[k] = v
			}
			altered[slot] = bad
			if _, err := govern.ReadOrganisations(altered); err != nil {
				require.ErrorIs(t, err, govern.ErrState)
				refused++
			}
		}
	}
	require.Greater(t, refused, 20)
}

// TestGoldenOrganisations pins code and founding storage: another one is another chain.
func TestGoldenOrganisations(t *testing.T) {
	storage, err := json.Marshal(govern.OrganisationsAccount(withOrganisations(5)).Storage)
	require.NoError(t, err)
	require.Equal(t, "0x7e984374e888a54422cd976c41fb0dcdcc9927732b25b0655d6d903886c209f5", crypto.Keccak256Hash(govern.OrganisationsCode()).Hex())
	require.Equal(t, "0x1376639d2dfad5fb7ebee581870ff3d028ca796f1ff40d452bace4142a8f89fc", crypto.Keccak256Hash(storage).Hex())
}
