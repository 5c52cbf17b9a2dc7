package execute

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/stateless"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/types/bal"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// StateDB is the EVM's view of a chain.State plus everything that a block's transactions have changed so far. It implements vm.StateDB for
// the rules up to Osaka. What a transaction costs here depends on what that transaction does, not on what earlier ones did.
//
// The first error of the underlying state is kept and every later read gives zero values; whoever runs transactions must look at Err before
// using any result. One goroutine at a time.
type StateDB struct {
	base  chain.State
	codes *codeCache
	err   error

	accounts     map[common.Address]*account
	slots        map[slotKey]*slot
	accountArena arena[account]
	slotArena    arena[slot]
	lastAccount  *account
	lastSlot     *slot
	storages     uint32

	// changed and changedSlots list what the block's transactions wrote, in the order of the first write.
	changed      []*account
	changedSlots []*slot

	// The running transaction.
	tx          uint64
	journal     []entry
	touched     []*account
	oldCodes    [][]byte
	refund      uint64
	logs        []*types.Log
	logIndex    uint
	transient   map[transientKey]common.Hash
	precompiles []common.Address
	txHash      common.Hash
	txIndex     uint
}

type transientKey struct {
	addr common.Address
	key  common.Hash
}

// mapKeep is how many entries a map may have had to be cleared for the next use instead of dropped: clearing costs in proportion to a
// map's largest size, so one huge transaction or block would slow all that follow.
const mapKeep = 1 << 16

// transientKeep is mapKeep for transient storage, which is cleared per transaction and not per block.
const transientKeep = 256

var _ vm.StateDB = (*StateDB)(nil)

// NewStateDB returns an empty view over base.
func NewStateDB(base chain.State) *StateDB {
	s := newStateDB(newCodeCache(DefaultConfig().CodeCacheBytes))
	s.Reset(base)
	return s
}

func newStateDB(codes *codeCache) *StateDB {
	return &StateDB{
		codes:     codes,
		accounts:  make(map[common.Address]*account),
		slots:     make(map[slotKey]*slot),
		transient: make(map[transientKey]common.Hash),
	}
}

// Reset forgets everything and starts over on base, keeping the memory. base may be nil until the next Reset.
func (s *StateDB) Reset(base chain.State) {
	s.base, s.err = base, nil
	s.accounts = emptied(s.accounts, mapKeep)
	s.slots = emptied(s.slots, mapKeep)
	s.accountArena.reset()
	s.slotArena.reset()
	s.lastAccount, s.lastSlot, s.storages = nil, nil, 0
	s.changed, s.changedSlots = s.changed[:0], s.changedSlots[:0]
	s.tx, s.precompiles, s.logIndex = 1, nil, 0
	s.clearTransaction()
}

func emptied[K comparable, V any](m map[K]V, keep int) map[K]V {
	if len(m) > keep {
		return make(map[K]V)
	}
	clear(m)
	return m
}

// clearTransaction forgets the running transaction's bookkeeping.
func (s *StateDB) clearTransaction() {
	clear(s.oldCodes)
	s.journal, s.touched, s.oldCodes = s.journal[:0], s.touched[:0], s.oldCodes[:0]
	s.refund, s.logs = 0, nil
	if len(s.transient) > 0 {
		s.transient = emptied(s.transient, transientKeep)
	}
}

// Err is the first error of the underlying state.
func (s *StateDB) Err() error { return s.err }

func (s *StateDB) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// SetTxContext names the transaction that the logs to come belong to.
func (s *StateDB) SetTxContext(hash common.Hash, index int, _ uint32) {
	s.txHash, s.txIndex = hash, uint(index)
}

// CreateAccount makes an account that does not exist.
func (s *StateDB) CreateAccount(addr common.Address) { s.create(s.account(addr)) }

// CreateContract marks an existing account as becoming a contract in this transaction (EIP-6780).
func (s *StateDB) CreateContract(addr common.Address) {
	a := s.account(addr)
	if a.created {
		return
	}
	s.record(entry{kind: entryContract, account: a})
	s.touch(a)
	a.created = true
}

// IsNewContract reports whether the account became a contract in this transaction.
func (s *StateDB) IsNewContract(addr common.Address) bool {
	a := s.account(addr)
	return a.exists && a.created
}

// Exist reports whether the account exists; one that self-destructed in this transaction still does.
func (s *StateDB) Exist(addr common.Address) bool { return s.account(addr).exists }

// Empty reports whether the account is absent or empty by EIP-161.
func (s *StateDB) Empty(addr common.Address) bool {
	a := s.account(addr)
	return !a.exists || a.empty()
}

// Touch reads the account.
func (s *StateDB) Touch(addr common.Address) { s.account(addr) }

// GetBalance returns a copy in wei.
func (s *StateDB) GetBalance(addr common.Address) *uint256.Int {
	balance := s.account(addr).balance
	return &balance
}

// AddBalance adds wei and returns the balance before. Adding nothing touches an empty account (EIP-161).
func (s *StateDB) AddBalance(addr common.Address, amount *uint256.Int, _ tracing.BalanceChangeReason) uint256.Int {
	a := s.ensure(addr)
	prev := a.balance
	if amount.IsZero() {
		if a.empty() {
			s.record(entry{kind: entryTouch, account: a})
		}
		return prev
	}
	s.record(entry{kind: entryBalance, account: a, word: prev.Bytes32()})
	a.balance.Add(&prev, amount)
	return prev
}

// SubBalance subtracts wei and returns the balance before. The caller has checked that it suffices.
func (s *StateDB) SubBalance(addr common.Address, amount *uint256.Int, _ tracing.BalanceChangeReason) uint256.Int {
	a := s.ensure(addr)
	prev := a.balance
	if amount.IsZero() {
		return prev
	}
	s.record(entry{kind: entryBalance, account: a, word: prev.Bytes32()})
	a.balance.Sub(&prev, amount)
	return prev
}

// GetNonce returns 0 for an absent account.
func (s *StateDB) GetNonce(addr common.Address) uint64 { return s.account(addr).nonce }

// SetNonce sets the nonce, making the account if needed.
func (s *StateDB) SetNonce(addr common.Address, nonce uint64, _ tracing.NonceChangeReason) {
	a := s.ensure(addr)
	s.record(entry{kind: entryNonce, account: a, n: a.nonce})
	a.nonce = nonce
}

// GetCodeHash returns the zero hash for an absent account (EIP-1052).
func (s *StateDB) GetCodeHash(addr common.Address) common.Hash {
	a := s.account(addr)
	if !a.exists {
		return common.Hash{}
	}
	return a.codeHash
}

// GetCode returns the code; callers must not alter it.
func (s *StateDB) GetCode(addr common.Address) []byte { return s.codeOf(s.account(addr)) }

// GetCodeSize returns the code's length in bytes.
func (s *StateDB) GetCodeSize(addr common.Address) int { return len(s.codeOf(s.account(addr))) }

// SetCode sets the code and returns the code before.
func (s *StateDB) SetCode(addr common.Address, code []byte, _ tracing.CodeChangeReason) []byte {
	a := s.ensure(addr)
	prev := s.codeOf(a)
	s.record(entry{kind: entryCode, account: a, word: a.codeHash, n: uint64(len(s.oldCodes))})
	s.oldCodes = append(s.oldCodes, prev)
	a.code, a.codeHash = code, chain.EmptyCodeHash
	if len(code) > 0 {
		a.codeHash = crypto.Keccak256Hash(code)
	}
	return prev
}

// AddRefund adds gas to the refund counter.
func (s *StateDB) AddRefund(gas uint64) {
	s.record(entry{kind: entryRefund, n: s.refund})
	s.refund += gas
}

// SubRefund takes gas from the refund counter; the EVM never takes more than it added.
func (s *StateDB) SubRefund(gas uint64) {
	if gas > s.refund {
		panic(fmt.Sprintf("execute: refund counter below zero: take %d of %d", gas, s.refund))
	}
	s.record(entry{kind: entryRefund, n: s.refund})
	s.refund -= gas
}

// GetRefund returns the refund counter in gas.
func (s *StateDB) GetRefund() uint64 { return s.refund }

// GetState returns a slot's present value.
func (s *StateDB) GetState(addr common.Address, key common.Hash) common.Hash {
	a := s.account(addr)
	if !a.exists {
		return common.Hash{}
	}
	return s.slot(a, key).value
}

// GetStateAndCommittedState returns a slot's present value and the one at the start of the transaction.
func (s *StateDB) GetStateAndCommittedState(addr common.Address, key common.Hash) (value, committed common.Hash) {
	a := s.account(addr)
	if !a.exists {
		return common.Hash{}, common.Hash{}
	}
	sl := s.slot(a, key)
	if sl.written == s.tx {
		return sl.value, sl.committed
	}
	return sl.value, sl.value
}

// SetState sets a slot and returns its value before.
func (s *StateDB) SetState(addr common.Address, key, value common.Hash) common.Hash {
	a := s.ensure(addr)
	sl := s.slot(a, key)
	prev := sl.value
	if prev == value {
		return prev
	}
	s.record(entry{kind: entryStorage, account: a, slot: sl, word: prev})
	if sl.written != s.tx {
		sl.written, sl.committed = s.tx, prev
	}
	if !sl.listed {
		sl.listed = true
		s.changedSlots = append(s.changedSlots, sl)
	}
	sl.value = value
	return prev
}

// GetTransientState returns a transient slot's value (EIP-1153).
func (s *StateDB) GetTransientState(addr common.Address, key common.Hash) common.Hash {
	return s.transient[transientKey{addr, key}]
}

// SetTransientState sets a transient slot.
func (s *StateDB) SetTransientState(addr common.Address, key, value common.Hash) {
	k := transientKey{addr, key}
	prev := s.transient[k]
	if prev == value {
		return
	}
	s.record(entry{kind: entryTransient, account: s.entry(addr), key: key, word: prev})
	s.setTransient(k, value)
}

func (s *StateDB) setTransient(k transientKey, value common.Hash) {
	if value == (common.Hash{}) {
		delete(s.transient, k)
		return
	}
	s.transient[k] = value
}

// SelfDestruct marks an existing account for removal at the end of the transaction. The EVM moves the balance.
func (s *StateDB) SelfDestruct(addr common.Address) {
	a := s.account(addr)
	if !a.exists || a.destructed {
		return
	}
	s.record(entry{kind: entryDestruct, account: a})
	a.destructed = true
}

// HasSelfDestructed reports whether SelfDestruct was called in this transaction.
func (s *StateDB) HasSelfDestructed(addr common.Address) bool {
	a := s.account(addr)
	return a.exists && a.destructed
}

// AddLog appends a log and fills its place: transaction and index in the block.
func (s *StateDB) AddLog(log *types.Log) {
	s.record(entry{kind: entryLog})
	log.TxHash, log.TxIndex, log.Index = s.txHash, s.txIndex, s.logIndex
	s.logs = append(s.logs, log)
	s.logIndex++
}

// Logs are the running transaction's. They are the caller's to keep; Finalise forgets them.
func (s *StateDB) Logs() []*types.Log { return s.logs }

// Finalise ends the transaction: accounts that self-destructed or that it left empty (EIP-161) are removed, what it wrote is the block's.
// The access list returned is always nil: block access lists are Amsterdam's.
func (s *StateDB) Finalise(rules params.Rules) *bal.ConstructionBlockAccessList {
	for _, a := range s.touched {
		if a.dirty > 0 && a.exists {
			if a.destructed || (rules.IsEIP158 && a.empty()) {
				s.remove(a)
			}
			if !a.listed {
				a.listed = true
				s.changed = append(s.changed, a)
			}
		}
		a.dirty, a.destructed, a.created = 0, false, false
	}
	s.clearTransaction()
	s.tx++
	return nil
}

// AddPreimage does nothing: no preimages are kept.
func (s *StateDB) AddPreimage(common.Hash, []byte) {}

// Witness is nil: no witness is recorded.
func (s *StateDB) Witness() *stateless.Witness { return nil }

// AccessEvents is nil: they are EIP-4762's.
func (s *StateDB) AccessEvents() *state.AccessEvents { return nil }
