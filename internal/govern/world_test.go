package govern_test

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/govern"
)

var suite crypto.Suite = intl.Suite{}

// testing.TB, and rapid's T.
type fataler interface {
	require.TestingT
	Helper()
}

// founding is a genesis of n validators with odd ids, so that position and id never agree. Names are of every length around a slot's.
func founding(n int) *chain.Genesis {
	g := &chain.Genesis{Name: "test", ChainID: 1337, TimeMillis: 1_700_000_000_000, Suite: suite.Name(), GasLimit: 60_000_000,
		Consensus:    chain.Consensus{Engine: chain.BFT, MaxBlockTxs: 100, MaxBlockBytes: 1 << 20, BFT: chain.DefaultBFTParams()},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesZero}, Alloc: map[common.Address]chain.GenesisAccount{}}
	for i := range n {
		id := uint64(2*i + 1)
		name := "validator with a name of some length that goes beyond a slot, 嘉陵"
		v := chain.GenesisValidator{ID: chain.ValidatorID(id), Name: name[:min(len(name)-6, 28+i)], PublicKey: key(id), Address: account(id)}
		if i%2 == 0 {
			v.Endpoint = "node.example:30000"
		}
		g.Validators = append(g.Validators, v)
	}
	g.Alloc[govern.Address] = govern.Account(g)
	return g
}

// keySize is that of the public keys that key makes: of the suite intl, or of gm.
var keySize = 32

func key(n uint64) []byte { return common.LeftPadBytes(new(big.Int).SetUint64(n).Bytes(), keySize) }

func account(n uint64) common.Address {
	return common.BigToAddress(new(big.Int).SetUint64(0xacc000 + n))
}

// world is the contract in a geth EVM of its own. It is a chain.State.
type world struct {
	t     fataler
	db    *state.StateDB
	rules params.Rules
	cfg   *runtime.Config
	// logs are those of the last call that succeeded, gas is what it used of its limit.
	logs []*types.Log
	gas  uint64
}

func newWorld(t fataler, g *chain.Genesis) *world {
	t.Helper()
	db, err := state.New(types.EmptyRootHash, state.NewDatabase(triedb.NewDatabase(rawdb.NewMemoryDatabase(), nil), nil))
	require.NoError(t, err)
	rules := g.ChainConfig().Rules(big.NewInt(1), true, 1_700_000_000)
	a := g.Alloc[govern.Address]
	db.CreateAccount(govern.Address)
	db.SetNonce(govern.Address, uint64(a.Nonce), tracing.NonceChangeGenesis)
	db.SetCode(govern.Address, a.Code, tracing.CodeChangeGenesis)
	for k, v := range a.Storage {
		db.SetState(govern.Address, k, v)
	}
	db.Finalise(rules)
	return &world{t: t, db: db, rules: rules, cfg: &runtime.Config{ChainConfig: g.ChainConfig(), State: db, GasLimit: 16_777_216, BlockNumber: big.NewInt(1), Time: 1_700_000_000,
		Random: &common.Hash{}, BaseFee: new(big.Int)}}
}

// Account implements chain.State.
func (w *world) Account(common.Address) (*chain.Account, error) { panic("nobody reads accounts") }

// Code implements chain.State.
func (w *world) Code(common.Hash) ([]byte, error) { panic("nobody reads code") }

// Slot implements chain.State.
func (w *world) Slot(addr common.Address, slot common.Hash) (common.Hash, error) {
	return w.db.GetState(addr, slot), nil
}

func (w *world) setHeight(h uint64) { w.cfg.BlockNumber = new(big.Int).SetUint64(h) }

// raw calls the contract in a transaction of its own; what fails leaves no trace.
func (w *world) raw(from common.Address, method string, args ...any) ([]byte, error) {
	w.t.Helper()
	input, err := govern.ABI().Pack(method, args...)
	require.NoError(w.t, err)
	return w.send(from, input)
}

func (w *world) send(from common.Address, input []byte) ([]byte, error) {
	w.cfg.Origin = from
	before := len(w.db.Logs())
	snapshot := w.db.Snapshot()
	out, left, err := runtime.Call(govern.Address, input, w.cfg)
	if err != nil {
		w.db.RevertToSnapshot(snapshot)
	}
	w.logs, w.gas = w.db.Logs()[before:], w.cfg.GasLimit-left
	w.db.Finalise(w.rules)
	return out, err
}

func (w *world) call(from common.Address, method string, args ...any) []any {
	w.t.Helper()
	out, err := w.raw(from, method, args...)
	require.NoError(w.t, err, "%s: %s", method, w.revert(out))
	results, err := govern.ABI().Unpack(method, out)
	require.NoError(w.t, err)
	return results
}

// refused asserts that the call reverts with that custom error and these arguments.
func (w *world) refused(want string, wantArgs []any, from common.Address, method string, args ...any) {
	w.t.Helper()
	out, err := w.raw(from, method, args...)
	require.ErrorIs(w.t, err, vm.ErrExecutionReverted)
	require.Equal(w.t, want, w.revert(out))
	def := govern.ABI().Errors[want]
	got, err := def.Unpack(out)
	require.NoError(w.t, err)
	if len(wantArgs) > 0 {
		require.Equal(w.t, fmt.Sprint(wantArgs), fmt.Sprint(got))
	}
}

// revert names the custom error in revert data.
func (w *world) revert(out []byte) string {
	for name, e := range govern.ABI().Errors {
		if len(out) >= 4 && [4]byte(out) == [4]byte(e.ID[:4]) {
			return name
		}
	}
	return ""
}

// events names the events of the last call, in order.
func (w *world) events() (names []string) {
	for _, l := range w.logs {
		e, err := govern.ABI().EventByID(l.Topics[0])
		require.NoError(w.t, err)
		names = append(names, e.Name)
	}
	return names
}

func (w *world) proposeAdd(from, n uint64) uint64 {
	w.t.Helper()
	return w.call(account(from), "proposeAdd", key(n), account(n), "new", "")[0].(uint64)
}

func (w *world) read() (chain.ValidatorSet, []govern.Member) {
	w.t.Helper()
	set, members, err := govern.Read(w)
	require.NoError(w.t, err)
	return set, members
}

// viewed is a member as the contract's own view returns it.
type viewed struct {
	ID                        uint64
	Account                   common.Address
	Name, Endpoint, PublicKey string
}

// view is what the contract itself says.
func (w *world) view() (out []viewed) {
	w.t.Helper()
	for _, m := range abiMembers(w.call(account(1), "validators")[0]) {
		out = append(out, viewed{m.Id, m.Account, m.Name, m.Endpoint, string(m.PublicKey)})
	}
	return out
}

// agrees asserts that Go reads what the contract says, and returns it.
func (w *world) agrees() []viewed {
	w.t.Helper()
	view := w.view()
	set, members := w.read()
	require.Len(w.t, set, len(view))
	require.Len(w.t, members, len(view))
	for i, m := range members {
		require.Equal(w.t, view[i], viewed{uint64(m.ID), m.Address, m.Name, m.Endpoint, string(m.PublicKey)})
		require.Equal(w.t, m.Validator, set[i])
		require.Equal(w.t, []any{uint64(m.ID)}, w.call(account(1), "validatorOf", m.Address))
	}
	return view
}

type abiMember struct {
	Id        uint64 //nolint:revive // the ABI's name
	Account   common.Address
	Name      string
	Endpoint  string
	PublicKey []byte
}

func abiMembers(v any) []abiMember {
	type anonymous = []struct {
		Id        uint64         `json:"id"` //nolint:revive // the ABI's name
		Account   common.Address `json:"account"`
		Name      string         `json:"name"`
		Endpoint  string         `json:"endpoint"`
		PublicKey []byte         `json:"publicKey"`
	}
	var out []abiMember
	for _, m := range v.(anonymous) {
		out = append(out, abiMember(m))
	}
	return out
}

func TestWorldIsHonest(t *testing.T) {
	w := newWorld(t, founding(4))
	require.Equal(t, uint256.NewInt(0), w.db.GetBalance(govern.Address))
	require.Equal(t, govern.Code(), w.db.GetCode(govern.Address))
}
