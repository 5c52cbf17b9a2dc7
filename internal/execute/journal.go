package execute

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
)

// entryKind says what a journal entry undoes. The kinds up to lastMutation mutate an account.
type entryKind uint8

const (
	entryCreate entryKind = iota
	entryTouch
	entryDestruct
	entryBalance
	entryNonce
	entryCode
	entryStorage
	lastMutation = entryStorage

	entryContract entryKind = iota
	entryRefund
	entryLog
	entryWarmAccount
	entryWarmSlot
	entryTransient
)

// entry is one undoable step. Which fields count depends on the kind; word holds the value before the step, n a number before it.
type entry struct {
	kind      entryKind
	account   *account
	slot      *slot
	key, word common.Hash
	n         uint64
}

// record appends a step and, where it mutates an account, lists the account for Finalise.
func (s *StateDB) record(e entry) {
	s.journal = append(s.journal, e)
	if e.kind > lastMutation {
		return
	}
	e.account.dirty++
	s.touch(e.account)
}

func (s *StateDB) touch(a *account) {
	if a.touched != s.tx {
		a.touched = s.tx
		s.touched = append(s.touched, a)
	}
}

// Snapshot marks the present state for RevertToSnapshot within the same transaction.
func (s *StateDB) Snapshot() int { return len(s.journal) }

// RevertToSnapshot undoes every step since the snapshot. It panics on a number that is no snapshot of this transaction.
func (s *StateDB) RevertToSnapshot(id int) {
	if id < 0 || id > len(s.journal) {
		panic(fmt.Sprintf("execute: revert to snapshot %d, the journal has %d entries", id, len(s.journal)))
	}
	for i := len(s.journal) - 1; i >= id; i-- {
		s.undo(&s.journal[i])
	}
	s.journal = s.journal[:id]
}

func (s *StateDB) undo(e *entry) {
	a := e.account
	if e.kind <= lastMutation {
		a.dirty--
	}
	switch e.kind {
	case entryCreate:
		a.exists = false
	case entryDestruct:
		a.destructed = false
	case entryBalance:
		a.balance.SetBytes32(e.word[:])
	case entryNonce:
		a.nonce = e.n
	case entryCode:
		a.codeHash, a.code = e.word, s.oldCodes[e.n]
	case entryStorage:
		e.slot.value = e.word
	case entryContract:
		a.created = false
	case entryRefund:
		s.refund = e.n
	case entryLog:
		s.logs = s.logs[:len(s.logs)-1]
		s.logIndex--
	case entryWarmAccount:
		a.warm = 0
	case entryWarmSlot:
		e.slot.warm = 0
	case entryTransient:
		s.setTransient(transientKey{a.addr, e.key}, e.word)
	}
}
