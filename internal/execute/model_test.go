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
	logs      int
}

func newModel() *model {
	return &model{accounts: map[common.Address]*modelAccount{}, transient: map[string]common.Hash{}, warm: map[string]bool{}}
}

func (m *model) copy() *model {
	c := &model{accounts: map[common.Address]*modelAccount{}, transient: maps.Clone(m.transient), warm: maps.Clone(m.warm), refund: m.refund, logs: m.logs}
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
	m.transient, m.warm, m.refund, m.logs = map[string]common.Hash{}, map[string]bool{}, 0, 0
}

// TestStateDBEqualsModel draws operations, snapshots, reverts, transaction and block ends, and compares every answer with the model's.
func TestStateDBEqualsModel(t *testing.T) {
	rules := params.Rules{IsEIP158: true, IsBerlin: true, IsShanghai: true}
	rapid.Check(t, func(t *rapid.T) {
		ledger, m := executetest.New(), newModel()
		st := execute.NewStateDB(ledger)
		type mark struct {
			id    int
			model *model
		}
		var marks []mark
		addrs := rapid.Custom(func(t *rapid.T) common.Address { return common.Address{rapid.ByteRange(1, 5).Draw(t, "addr")} })
		keys := rapid.Custom(func(t *rapid.T) common.Hash { return common.Hash{rapid.ByteRange(0, 3).Draw(t, "key")} })
		steps := map[string]func(*rapid.T){
			"": func(t *rapid.T) { // invariant: all answers are the model's
				for i := byte(1); i <= 5; i++ {
					compareAccount(t, st, m, common.Address{i})
				}
				require.Equal(t, m.refund, st.GetRefund())
				require.Len(t, st.Logs(), m.logs)
			},
			"addBalance": func(t *rapid.T) {
				addr, wei := addrs.Draw(t, "a"), rapid.Uint64Range(0, 3).Draw(t, "wei")
				prev := st.AddBalance(addr, uint256.NewInt(wei), tracing.BalanceChangeUnspecified)
				a := m.ensure(addr)
				require.Equal(t, a.balance, prev.Uint64())
				a.mutated = a.mutated || wei > 0 || (a.nonce == 0 && a.balance == 0 && a.code == "")
				a.balance += wei
			},
			"subBalance": func(t *rapid.T) {
				addr := addrs.Draw(t, "a")
				a := m.ensure(addr)
				wei := rapid.Uint64Range(0, min(a.balance, 2)).Draw(t, "wei")
				st.SubBalance(addr, uint256.NewInt(wei), tracing.BalanceChangeUnspecified)
				a.mutated = a.mutated || wei > 0
				a.balance -= wei
			},
			"setNonce": func(t *rapid.T) {
				addr, nonce := addrs.Draw(t, "a"), rapid.Uint64Range(1, 3).Draw(t, "nonce")
				st.SetNonce(addr, nonce, tracing.NonceChangeUnspecified)
				a := m.ensure(addr)
				a.nonce, a.mutated = nonce, true
			},
			"setCode": func(t *rapid.T) {
				addr, code := addrs.Draw(t, "a"), rapid.SampledFrom([]string{"", "x", "yy"}).Draw(t, "code")
				a := m.ensure(addr)
				if a.nonce == 0 { // as in the EVM: what has or had code has a nonce
					st.SetNonce(addr, 1, tracing.NonceChangeUnspecified)
					a.nonce = 1
				}
				prev := st.SetCode(addr, []byte(code), tracing.CodeChangeUnspecified)
				require.Equal(t, a.code, string(prev))
				a.code, a.mutated = code, true
			},
			"setState": func(t *rapid.T) {
				addr, key := addrs.Draw(t, "a"), keys.Draw(t, "k")
				if a := m.accounts[addr]; a == nil || a.code == "" {
					return // only contracts write storage
				}
				value := common.Hash{31: rapid.ByteRange(0, 2).Draw(t, "v")}
				a := m.accounts[addr]
				require.Equal(t, a.storage[key], st.SetState(addr, key, value))
				if a.storage[key] != value {
					a.mutated = true
					a.storage[key] = value
				}
			},
			"transient": func(t *rapid.T) {
				addr, key, value := addrs.Draw(t, "a"), keys.Draw(t, "k"), common.Hash{31: rapid.ByteRange(0, 2).Draw(t, "v")}
				id := fmt.Sprint(addr, key)
				require.Equal(t, m.transient[id], st.GetTransientState(addr, key))
				st.SetTransientState(addr, key, value)
				m.transient[id] = value
				require.Equal(t, value, st.GetTransientState(addr, key))
			},
			"warm": func(t *rapid.T) {
				addr, key := addrs.Draw(t, "a"), keys.Draw(t, "k")
				addrOK, slotOK := st.SlotInAccessList(addr, key)
				require.Equal(t, m.warm[fmt.Sprint(addr)], addrOK)
				require.Equal(t, m.warm[fmt.Sprint(addr, key)], slotOK)
				require.Equal(t, addrOK, st.AddressInAccessList(addr))
				if rapid.Bool().Draw(t, "slot") {
					st.AddSlotToAccessList(addr, key)
					m.warm[fmt.Sprint(addr, key)] = true
				} else {
					st.AddAddressToAccessList(addr)
				}
				m.warm[fmt.Sprint(addr)] = true
			},
			"refund": func(t *rapid.T) {
				gas := rapid.Uint64Range(0, 5).Draw(t, "gas")
				if gas <= m.refund && rapid.Bool().Draw(t, "sub") {
					st.SubRefund(gas)
					m.refund -= gas
					return
				}
				st.AddRefund(gas)
				m.refund += gas
			},
			"log": func(*rapid.T) {
				st.AddLog(&types.Log{})
				m.logs++
			},
			"createContract": func(t *rapid.T) {
				addr := addrs.Draw(t, "a")
				a := m.ensure(addr)
				if !st.Exist(addr) {
					st.CreateAccount(addr)
				}
				st.CreateContract(addr)
				st.SetNonce(addr, 1, tracing.NonceChangeNewContract)
				a.contract, a.nonce, a.mutated = true, 1, true
			},
			"selfDestruct": func(t *rapid.T) {
				addr := addrs.Draw(t, "a")
				st.SelfDestruct(addr)
				if a := m.accounts[addr]; a != nil {
					a.mutated = a.mutated || !a.destructed
					a.destructed = true
				}
			},
			"snapshot": func(*rapid.T) { marks = append(marks, mark{st.Snapshot(), m.copy()}) },
			"revert": func(t *rapid.T) {
				if len(marks) == 0 {
					return
				}
				i := rapid.IntRange(0, len(marks)-1).Draw(t, "mark")
				st.RevertToSnapshot(marks[i].id)
				m, marks = marks[i].model, marks[:i]
			},
			"finalise": func(*rapid.T) {
				st.Finalise(rules)
				m.finalise()
				marks = nil
			},
			"block": func(t *rapid.T) {
				st.Finalise(rules)
				m.finalise()
				marks = nil
				_, err := ledger.Stage(context.Background(), 0, st.WriteSet())
				require.NoError(t, err)
				st.Reset(ledger)
				compareLedger(t, ledger, m)
			},
		}
		t.Repeat(steps)
	})
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
