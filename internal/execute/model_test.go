package execute_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/execute/executetest"
)

// modelAccount is an account as plainly as it can be held.
type modelAccount struct {
	nonce, balance                uint64
	code                          string
	storage                       map[common.Hash]common.Hash
	committed                     map[common.Hash]common.Hash
	destructed, contract, mutated bool
}

// model is a StateDB by copying: a snapshot is a copy of everything.
type model struct {
	accounts  map[common.Address]*modelAccount
	transient map[string]common.Hash
	warm      map[string]bool
	refund    uint64
	// logs are the transaction's, earlier the block's before it.
	logs, earlier int
}

func newModel() *model {
	return &model{accounts: map[common.Address]*modelAccount{}, transient: map[string]common.Hash{}, warm: map[string]bool{}}
}

func (m *model) copy() *model {
	c := &model{accounts: map[common.Address]*modelAccount{}, transient: maps.Clone(m.transient), warm: maps.Clone(m.warm), refund: m.refund, logs: m.logs, earlier: m.earlier}
	for addr, a := range m.accounts {
		b := *a
		b.storage, b.committed = maps.Clone(a.storage), maps.Clone(a.committed)
		c.accounts[addr] = &b
	}
	return c
}

// ensure is the account, made if need be, as mutated.
func (m *model) ensure(addr common.Address) *modelAccount {
	a := m.accounts[addr]
	if a == nil {
		a = &modelAccount{storage: map[common.Hash]common.Hash{}, committed: map[common.Hash]common.Hash{}, mutated: true}
		m.accounts[addr] = a
	}
	return a
}

func (m *model) finalise() {
	for addr, a := range m.accounts {
		if a.mutated && (a.destructed || (a.nonce == 0 && a.balance == 0 && a.code == "")) {
			delete(m.accounts, addr)
			continue
		}
		a.mutated, a.destructed, a.contract = false, false, false
		a.committed = maps.Clone(a.storage)
	}
	m.transient, m.warm, m.refund = map[string]common.Hash{}, map[string]bool{}, 0
	m.logs, m.earlier = 0, m.earlier+m.logs
}

// machine runs a StateDB beside the model. Its exported methods are the operations that rapid draws.
type machine struct {
	ledger *executetest.Ledger
	st     *execute.StateDB
	m      *model
	marks  []mark
}

type mark struct {
	id    int
	model *model
}

var (
	modelRules = params.Rules{IsEIP158: true, IsBerlin: true, IsShanghai: true}
	addresses  = rapid.Custom(func(t *rapid.T) common.Address { return common.Address{rapid.ByteRange(1, 5).Draw(t, "addr")} })
	keys       = rapid.Custom(func(t *rapid.T) common.Hash { return common.Hash{rapid.ByteRange(0, 3).Draw(t, "key")} })
	values     = rapid.Custom(func(t *rapid.T) common.Hash { return common.Hash{31: rapid.ByteRange(0, 2).Draw(t, "value")} })
)

// TestStateDBEqualsModel draws operations, snapshots, reverts, transaction and block ends, and compares every answer with the model's.
func TestStateDBEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &machine{ledger: executetest.New(), m: newModel()}
		s.st = execute.NewStateDB(s.ledger)
		t.Repeat(rapid.StateMachineActions(s))
	})
}

// Check runs after every operation.
func (s *machine) Check(t *rapid.T) {
	for i := byte(1); i <= 5; i++ {
		compareAccount(t, s.st, s.m, common.Address{i})
	}
	require.Equal(t, s.m.refund, s.st.GetRefund())
	require.Len(t, s.st.Logs(), s.m.logs)
}

func (s *machine) AddBalance(t *rapid.T) {
	addr, wei := addresses.Draw(t, "a"), rapid.Uint64Range(0, 3).Draw(t, "wei")
	prev := s.st.AddBalance(addr, uint256.NewInt(wei), tracing.BalanceChangeUnspecified)
	a := s.m.ensure(addr)
	require.Equal(t, a.balance, prev.Uint64())
	a.mutated = a.mutated || wei > 0 || (a.nonce == 0 && a.balance == 0 && a.code == "")
	a.balance += wei
}

func (s *machine) SubBalance(t *rapid.T) {
	addr := addresses.Draw(t, "a")
	a := s.m.ensure(addr)
	wei := rapid.Uint64Range(0, min(a.balance, 2)).Draw(t, "wei")
	s.st.SubBalance(addr, uint256.NewInt(wei), tracing.BalanceChangeUnspecified)
	a.mutated = a.mutated || wei > 0
	a.balance -= wei
}

func (s *machine) SetNonce(t *rapid.T) {
	addr, nonce := addresses.Draw(t, "a"), rapid.Uint64Range(1, 3).Draw(t, "nonce")
	s.st.SetNonce(addr, nonce, tracing.NonceChangeUnspecified)
	a := s.m.ensure(addr)
	a.nonce, a.mutated = nonce, true
}

func (s *machine) SetCode(t *rapid.T) {
	addr, code := addresses.Draw(t, "a"), rapid.SampledFrom([]string{"", "x", "yy"}).Draw(t, "code")
	a := s.m.ensure(addr)
	if a.nonce == 0 { // as in the EVM: what has or had code has a nonce
		s.st.SetNonce(addr, 1, tracing.NonceChangeUnspecified)
		a.nonce = 1
	}
	prev := s.st.SetCode(addr, []byte(code), tracing.CodeChangeUnspecified)
	require.Equal(t, a.code, string(prev))
	a.code, a.mutated = code, true
}

func (s *machine) SetState(t *rapid.T) {
	addr, key, value := addresses.Draw(t, "a"), keys.Draw(t, "k"), values.Draw(t, "v")
	a := s.m.accounts[addr]
	if a == nil || a.code == "" {
		return // only contracts write storage
	}
	require.Equal(t, a.storage[key], s.st.SetState(addr, key, value))
	if a.storage[key] != value {
		a.mutated = true
		a.storage[key] = value
	}
}

func (s *machine) Transient(t *rapid.T) {
	addr, key, value := addresses.Draw(t, "a"), keys.Draw(t, "k"), values.Draw(t, "v")
	id := fmt.Sprint(addr, key)
	require.Equal(t, s.m.transient[id], s.st.GetTransientState(addr, key))
	s.st.SetTransientState(addr, key, value)
	s.m.transient[id] = value
	require.Equal(t, value, s.st.GetTransientState(addr, key))
}

func (s *machine) Warm(t *rapid.T) {
	addr, key := addresses.Draw(t, "a"), keys.Draw(t, "k")
	addrOK, slotOK := s.st.SlotInAccessList(addr, key)
	require.Equal(t, s.m.warm[fmt.Sprint(addr)], addrOK)
	require.Equal(t, s.m.warm[fmt.Sprint(addr, key)], slotOK)
	require.Equal(t, addrOK, s.st.AddressInAccessList(addr))
	if rapid.Bool().Draw(t, "slot") {
		s.st.AddSlotToAccessList(addr, key)
		s.m.warm[fmt.Sprint(addr, key)] = true
	} else {
		s.st.AddAddressToAccessList(addr)
	}
	s.m.warm[fmt.Sprint(addr)] = true
}

func (s *machine) Refund(t *rapid.T) {
	gas := rapid.Uint64Range(0, 5).Draw(t, "gas")
	if gas <= s.m.refund && rapid.Bool().Draw(t, "sub") {
		s.st.SubRefund(gas)
		s.m.refund -= gas
		return
	}
	s.st.AddRefund(gas)
	s.m.refund += gas
}

func (s *machine) Log(t *rapid.T) {
	log := new(types.Log)
	s.st.AddLog(log)
	require.Equal(t, uint(s.m.earlier+s.m.logs), log.Index)
	s.m.logs++
}

func (s *machine) CreateContract(t *rapid.T) {
	addr := addresses.Draw(t, "a")
	a := s.m.ensure(addr)
	if !s.st.Exist(addr) {
		s.st.CreateAccount(addr)
	}
	s.st.CreateContract(addr)
	s.st.SetNonce(addr, 1, tracing.NonceChangeNewContract)
	a.contract, a.nonce, a.mutated = true, 1, true
}

func (s *machine) SelfDestruct(t *rapid.T) {
	addr := addresses.Draw(t, "a")
	s.st.SelfDestruct(addr)
	if a := s.m.accounts[addr]; a != nil {
		a.mutated = a.mutated || !a.destructed
		a.destructed = true
	}
}

func (s *machine) Snapshot(*rapid.T) { s.marks = append(s.marks, mark{s.st.Snapshot(), s.m.copy()}) }

func (s *machine) Revert(t *rapid.T) {
	if len(s.marks) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.marks)-1).Draw(t, "mark")
	s.st.RevertToSnapshot(s.marks[i].id)
	s.m, s.marks = s.marks[i].model, s.marks[:i]
}

func (s *machine) Finalise(*rapid.T) {
	s.st.Finalise(modelRules)
	s.m.finalise()
	s.marks = nil
}

func (s *machine) Block(t *rapid.T) {
	s.Finalise(t)
	_, err := s.ledger.Stage(context.Background(), 0, s.st.WriteSet())
	require.NoError(t, err)
	s.st.Reset(s.ledger)
	s.m.earlier = 0
	compareLedger(t, s.ledger, s.m)
}

func compareAccount(t *rapid.T, st *execute.StateDB, m *model, addr common.Address) {
	a := m.accounts[addr]
	require.Equal(t, a != nil, st.Exist(addr))
	if a == nil {
		require.True(t, st.Empty(addr))
		require.Equal(t, common.Hash{}, st.GetCodeHash(addr))
		a = &modelAccount{}
	} else {
		require.Equal(t, gethcrypto.Keccak256Hash([]byte(a.code)), st.GetCodeHash(addr))
		require.Equal(t, a.nonce == 0 && a.balance == 0 && a.code == "", st.Empty(addr))
	}
	require.Equal(t, a.nonce, st.GetNonce(addr))
	require.Equal(t, a.balance, st.GetBalance(addr).Uint64())
	require.Equal(t, a.code, string(st.GetCode(addr)))
	require.Equal(t, a.destructed, st.HasSelfDestructed(addr))
	require.Equal(t, a.contract, st.IsNewContract(addr))
	for k := range byte(4) {
		value, committed := st.GetStateAndCommittedState(addr, common.Hash{k})
		require.Equal(t, a.storage[common.Hash{k}], value)
		require.Equal(t, a.storage[common.Hash{k}], st.GetState(addr, common.Hash{k}))
		require.Equal(t, a.committed[common.Hash{k}], committed)
	}
}

// compareLedger compares what the write sets built with the model.
func compareLedger(t *rapid.T, ledger *executetest.Ledger, m *model) {
	for i := byte(1); i <= 5; i++ {
		addr := common.Address{i}
		got, err := ledger.Account(addr)
		require.NoError(t, err)
		a := m.accounts[addr]
		if a == nil {
			require.Nil(t, got)
			a = &modelAccount{}
		} else {
			want := chain.Account{Nonce: a.nonce, Balance: *uint256.NewInt(a.balance), CodeHash: gethcrypto.Keccak256Hash([]byte(a.code))}
			require.Equal(t, want, *got)
		}
		for k := range byte(4) {
			v, err := ledger.Slot(addr, common.Hash{k})
			require.NoError(t, err)
			require.Equal(t, a.storage[common.Hash{k}], v)
		}
	}
}
