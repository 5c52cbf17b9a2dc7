package execute

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// Prepare starts a transaction: access list (EIP-2929, 2930, 3651) and transient storage (EIP-1153).
func (s *StateDB) Prepare(rules params.Rules, sender, coinbase common.Address, dest *common.Address, precompiles []common.Address, list types.AccessList) {
	if len(s.transient) > 0 {
		s.transient = emptied(s.transient, transientKeep)
	}
	// A number of its own, so that nothing is warm that an earlier Prepare or a touch before it warmed.
	s.renumber()
	if !rules.IsBerlin {
		return
	}
	s.setPrecompiles(precompiles)
	s.entry(sender).warm = s.tx
	if dest != nil {
		s.entry(*dest).warm = s.tx
	}
	for i := range list {
		a := s.entry(list[i].Address)
		a.warm = s.tx
		for _, key := range list[i].StorageKeys {
			s.slotEntry(a, key).warm = s.tx
		}
	}
	if rules.IsShanghai {
		s.entry(coinbase).warm = s.tx
	}
}

// setPrecompiles marks the always-warm addresses. The list is the same for all transactions of a block, so this is done once.
func (s *StateDB) setPrecompiles(list []common.Address) {
	if len(list) == len(s.precompiles) && (len(list) == 0 || &list[0] == &s.precompiles[0]) {
		return
	}
	for _, addr := range s.precompiles {
		s.entry(addr).precompile = false
	}
	for _, addr := range list {
		s.entry(addr).precompile = true
	}
	s.precompiles = list
}

// renumber gives the running transaction a new number, which empties the access list. Accounts that are already listed stay listed.
func (s *StateDB) renumber() {
	s.tx++
	for _, a := range s.touched {
		a.touched = s.tx
	}
}

// AddressInAccessList reports whether the address is warm.
func (s *StateDB) AddressInAccessList(addr common.Address) bool { return s.isWarm(s.entry(addr)) }

func (s *StateDB) isWarm(a *account) bool { return a.warm == s.tx || a.precompile }

// SlotInAccessList reports whether the address and the slot are warm.
func (s *StateDB) SlotInAccessList(addr common.Address, key common.Hash) (addressOk, slotOk bool) {
	a := s.entry(addr)
	return s.isWarm(a), s.slotEntry(a, key).warm == s.tx
}

// AddAddressToAccessList makes the address warm until the end of the transaction or a revert.
func (s *StateDB) AddAddressToAccessList(addr common.Address) {
	a := s.entry(addr)
	if s.isWarm(a) {
		return
	}
	s.record(entry{kind: entryWarmAccount, account: a})
	a.warm = s.tx
}

// AddSlotToAccessList makes the address and the slot warm until the end of the transaction or a revert.
func (s *StateDB) AddSlotToAccessList(addr common.Address, key common.Hash) {
	s.AddAddressToAccessList(addr)
	sl := s.slotEntry(s.entry(addr), key)
	if sl.warm == s.tx {
		return
	}
	s.record(entry{kind: entryWarmSlot, slot: sl})
	sl.warm = s.tx
}
