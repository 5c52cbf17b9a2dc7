package apps_test

import (
	"bytes"
	"errors"
	"math/big"
	"os/exec"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
)

var (
	alice = common.HexToAddress("0xa11ce")
	bob   = common.HexToAddress("0xb0b")
)

// deployed is a contract living in a geth EVM of its own.
type deployed struct {
	t        *testing.T
	contract *apps.Contract
	address  common.Address
	cfg      *runtime.Config
}

func deploy(t *testing.T, c *apps.Contract, args ...any) *deployed {
	t.Helper()
	db, err := state.New(types.EmptyRootHash, state.NewDatabaseForTesting())
	require.NoError(t, err)
	d := &deployed{t: t, contract: c, cfg: &runtime.Config{
		State: db, Origin: alice, GasLimit: 10_000_000, BlockNumber: big.NewInt(7), Time: 1_700_000_000,
	}}
	creation, err := c.Creation(args...)
	require.NoError(t, err)
	_, d.address, _, err = runtime.Create(creation, d.cfg)
	require.NoError(t, err)
	return d
}

// call returns the decoded results of a call by an account.
func (d *deployed) call(from common.Address, method string, args ...any) []any {
	d.t.Helper()
	d.cfg.Origin = from
	input, err := d.contract.ABI.Pack(method, args...)
	require.NoError(d.t, err)
	out, _, err := runtime.Call(d.address, input, d.cfg)
	require.NoError(d.t, err)
	results, err := d.contract.ABI.Unpack(method, out)
	require.NoError(d.t, err)
	return results
}

// refused asserts that the call reverts with the named custom error and exactly these arguments.
func (d *deployed) refused(want string, wantArgs []any, from common.Address, method string, args ...any) {
	d.t.Helper()
	d.cfg.Origin = from
	input, err := d.contract.ABI.Pack(method, args...)
	require.NoError(d.t, err)
	snapshot := d.cfg.State.Snapshot()
	out, _, err := runtime.Call(d.address, input, d.cfg)
	require.ErrorIs(d.t, err, vm.ErrExecutionReverted)
	d.cfg.State.RevertToSnapshot(snapshot)
	def, ok := d.contract.ABI.Errors[want]
	require.True(d.t, ok, "the ABI has no error %s", want)
	got, err := def.Unpack(out)
	require.NoError(d.t, err, "revert data %x", out)
	require.Equal(d.t, wantArgs, got)
}

// lastLog decodes the newest log, which must be the named event of the contract.
func (d *deployed) lastLog(event string) (topics []common.Hash, data []any) {
	d.t.Helper()
	logs := d.cfg.State.Logs()
	require.NotEmpty(d.t, logs)
	last := logs[0]
	for _, l := range logs {
		if l.Index > last.Index {
			last = l
		}
	}
	require.Equal(d.t, d.contract.ABI.Events[event].ID, last.Topics[0])
	data, err := d.contract.ABI.Events[event].Inputs.NonIndexed().Unpack(last.Data)
	require.NoError(d.t, err)
	return last.Topics[1:], data
}

func TestTokenMintsTheSupplyToTheDeployer(t *testing.T) {
	supply := new(big.Int).Mul(big.NewInt(21), big.NewInt(1e18))
	token := deploy(t, apps.Token, supply)

	require.Equal(t, []any{"Jialing Token"}, token.call(alice, "name"))
	require.Equal(t, []any{"JLT"}, token.call(alice, "symbol"))
	require.Equal(t, []any{uint8(18)}, token.call(alice, "decimals"))
	require.Equal(t, []any{supply}, token.call(alice, "totalSupply"))
	require.Equal(t, []any{supply}, token.call(alice, "balanceOf", alice))

	require.Equal(t, []any{true}, token.call(alice, "transfer", bob, big.NewInt(5)))
	topics, data := token.lastLog("Transfer")
	require.Equal(t, []common.Hash{common.BytesToHash(alice[:]), common.BytesToHash(bob[:])}, topics)
	require.Equal(t, []any{big.NewInt(5)}, data)
	require.Equal(t, []any{big.NewInt(5)}, token.call(alice, "balanceOf", bob))
	token.refused("ERC20InsufficientBalance", []any{bob, big.NewInt(5), big.NewInt(6)}, bob, "transfer", alice, big.NewInt(6))
}

func TestTokenPermitSpendsBySignature(t *testing.T) {
	key, err := crypto.HexToECDSA("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
	require.NoError(t, err)
	owner := crypto.PubkeyToAddress(key.PublicKey)
	token := deploy(t, apps.Token, big.NewInt(100))
	token.call(alice, "transfer", owner, big.NewInt(100))

	deadline := new(big.Int).SetUint64(token.cfg.Time)
	domain := token.call(alice, "DOMAIN_SEPARATOR")[0].([32]byte)
	word := func(b []byte) []byte { return common.LeftPadBytes(b, 32) }
	permit := crypto.Keccak256(
		crypto.Keccak256([]byte("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")),
		word(owner[:]), word(bob[:]), word([]byte{40}), word(nil), word(deadline.Bytes()))
	sig, err := crypto.Sign(crypto.Keccak256([]byte{0x19, 0x01}, domain[:], permit), key)
	require.NoError(t, err)
	r, s, v := [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64]+27

	token.call(bob, "permit", owner, bob, big.NewInt(40), deadline, v, r, s)
	require.Equal(t, []any{big.NewInt(40)}, token.call(alice, "allowance", owner, bob))
	token.call(bob, "transferFrom", owner, bob, big.NewInt(40))
	require.Equal(t, []any{big.NewInt(40)}, token.call(alice, "balanceOf", bob))
	token.cfg.Time++
	token.refused("ERC2612ExpiredSignature", []any{deadline}, bob, "permit", owner, bob, big.NewInt(40), deadline, v, r, s)
}

func TestEvidenceFirstNotarisationWins(t *testing.T) {
	e := deploy(t, apps.Evidence)
	digest := crypto.Keccak256Hash([]byte("contract.pdf"))
	time := new(big.Int).SetUint64(e.cfg.Time)
	nobody := []any{common.Address{}, big.NewInt(0), big.NewInt(0)}

	requireBig(t, nobody, e.call(bob, "recordOf", digest))
	require.Equal(t, []any{false}, e.call(bob, "stands", digest))
	e.call(alice, "notarise", digest, "合同.pdf")
	topics, data := e.lastLog("Notarised")
	require.Equal(t, []common.Hash{digest, common.BytesToHash(alice[:])}, topics)
	require.Equal(t, []any{time, "合同.pdf"}, data)
	record := []any{alice, time, big.NewInt(7)}
	requireBig(t, record, e.call(bob, "recordOf", digest))
	require.Equal(t, []any{true}, e.call(bob, "stands", digest))

	e.cfg.Time += 100
	e.cfg.BlockNumber = big.NewInt(8)
	taken := []any{[32]byte(digest), alice, time}
	e.refused("AlreadyNotarised", taken, bob, "notarise", digest, "mine")
	e.refused("AlreadyNotarised", taken, alice, "notarise", digest, "again")
	e.refused("EmptyDigest", []any{}, alice, "notarise", common.Hash{}, "nothing")
	requireBig(t, record, e.call(bob, "recordOf", digest))
}

func TestEvidenceBatchIsAllOrNothing(t *testing.T) {
	e := deploy(t, apps.Evidence)
	a, b, c := [32]byte{1}, [32]byte{2}, [32]byte{3}
	time := new(big.Int).SetUint64(e.cfg.Time)

	e.call(alice, "notariseBatch", [][32]byte{a, b}, []string{"a", "b"})
	require.Len(t, e.cfg.State.Logs(), 2)
	e.refused("AlreadyNotarised", []any{b, alice, time}, bob, "notariseBatch", [][32]byte{c, b}, []string{"c", "b"})
	e.refused("AlreadyNotarised", []any{c, bob, time}, bob, "notariseBatch", [][32]byte{c, c}, []string{"c", "c"})
	e.refused("LengthMismatch", []any{big.NewInt(1), big.NewInt(2)}, bob, "notariseBatch", [][32]byte{c}, []string{"c", "d"})
	require.Equal(t, []any{false}, e.call(bob, "stands", c))
	e.call(bob, "notariseBatch", [][32]byte{c}, []string{"c"})
	require.Equal(t, bob, e.call(bob, "recordOf", c)[0])
}

func TestEvidenceOnlyTheNotaryRevokes(t *testing.T) {
	e := deploy(t, apps.Evidence)
	digest := [32]byte{9}
	made := new(big.Int).SetUint64(e.cfg.Time)

	e.refused("NotNotarised", []any{digest}, alice, "revoke", digest, "why not")
	e.call(alice, "notarise", digest, "draft")
	e.refused("NotTheNotary", []any{digest, alice}, bob, "revoke", digest, "I say so")
	requireBig(t, []any{big.NewInt(0), ""}, e.call(bob, "revocationOf", digest))

	e.cfg.Time += 5
	revoked := new(big.Int).SetUint64(e.cfg.Time)
	e.call(alice, "revoke", digest, "superseded")
	topics, data := e.lastLog("Revoked")
	require.Equal(t, []common.Hash{digest, common.BytesToHash(alice[:])}, topics)
	require.Equal(t, []any{revoked, "superseded"}, data)
	requireBig(t, []any{revoked, "superseded"}, e.call(bob, "revocationOf", digest))
	requireBig(t, []any{alice, made, big.NewInt(7)}, e.call(bob, "recordOf", digest))
	require.Equal(t, []any{false}, e.call(bob, "stands", digest))

	e.refused("AlreadyRevoked", []any{digest, revoked}, alice, "revoke", digest, "twice")
	e.refused("AlreadyNotarised", []any{digest, alice, made}, alice, "notarise", digest, "again")
}

func TestCreationRefusesWrongArguments(t *testing.T) {
	_, err := apps.Token.Creation()
	require.ErrorContains(t, err, "constructor arguments of JialingToken")
	_, err = apps.Evidence.Creation(big.NewInt(1))
	require.ErrorContains(t, err, "constructor arguments of Evidence")
	before := bytes.Clone(apps.Token.Bytecode)
	one, err := apps.Token.Creation(big.NewInt(1))
	require.NoError(t, err)
	require.Len(t, one, len(before)+32)
	require.Equal(t, before, apps.Token.Bytecode)
}

func TestParseRefusesWhatIsNoContract(t *testing.T) {
	for name, artifact := range map[string]string{
		"not JSON":      `{`,
		"no name":       `{"abi":[],"bytecode":"0x00"}`,
		"no bytecode":   `{"contractName":"I","abi":[],"bytecode":"0x"}`,
		"unlinked":      `{"contractName":"L","abi":[],"bytecode":"0x73__$abc$__"}`,
		"malformed abi": `{"contractName":"A","abi":[{"type":"nonsense"}],"bytecode":"0x00"}`,
	} {
		_, err := apps.Parse([]byte(artifact))
		require.Error(t, err, name)
	}
}

// The artifacts are what the sources compile to. Needs Node and "npm ci" in apps/.
func TestArtifactsAreReproducible(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the artifacts were not compared with their sources")
	}
	if _, err := exec.Command(node, "-e", `import.meta.resolve("solc"); await import("solc")`, "--input-type=module").CombinedOutput(); err != nil {
		t.Skip(`solc is not installed: run "npm ci" in apps/ to compare the artifacts with their sources`)
	}
	out, err := exec.Command(node, "build.mjs", "--check").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%s", out)
	}
	require.NoError(t, err)
	t.Logf("%s", out)
}

// requireBig compares decoded results; big integers by value.
func requireBig(t *testing.T, want, got []any) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if w, ok := want[i].(*big.Int); ok {
			require.Zero(t, w.Cmp(got[i].(*big.Int)), "result %d: want %v, got %v", i, w, got[i])
			continue
		}
		require.Equal(t, want[i], got[i])
	}
}
