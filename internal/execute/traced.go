package execute

import (
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/types/bal"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// tracedState tells a tracer of every change, at the places where geth's hooked state does.
type tracedState struct {
	*StateDB
	hooks *tracing.Hooks
}

var _ vm.StateDB = tracedState{}

func (s tracedState) AddBalance(addr common.Address, amount *uint256.Int, reason tracing.BalanceChangeReason) uint256.Int {
	prev := s.StateDB.AddBalance(addr, amount, reason)
	if s.hooks.OnBalanceChange != nil && !amount.IsZero() {
		s.hooks.OnBalanceChange(addr, prev.ToBig(), new(uint256.Int).Add(&prev, amount).ToBig(), reason)
	}
	return prev
}

func (s tracedState) SubBalance(addr common.Address, amount *uint256.Int, reason tracing.BalanceChangeReason) uint256.Int {
	prev := s.StateDB.SubBalance(addr, amount, reason)
	if s.hooks.OnBalanceChange != nil && !amount.IsZero() {
		s.hooks.OnBalanceChange(addr, prev.ToBig(), new(uint256.Int).Sub(&prev, amount).ToBig(), reason)
	}
	return prev
}

func (s tracedState) SetNonce(addr common.Address, nonce uint64, reason tracing.NonceChangeReason) {
	prev := s.GetNonce(addr)
	s.StateDB.SetNonce(addr, nonce, reason)
	s.nonceChanged(addr, prev, nonce, reason)
}

func (s tracedState) SetCode(addr common.Address, code []byte, reason tracing.CodeChangeReason) []byte {
	prev := s.StateDB.SetCode(addr, code, reason)
	if before, after := crypto.Keccak256Hash(prev), crypto.Keccak256Hash(code); before != after {
		s.codeChanged(addr, before, prev, after, code, reason)
	}
	return prev
}

func (s tracedState) SetState(addr common.Address, key, value common.Hash) common.Hash {
	prev := s.StateDB.SetState(addr, key, value)
	if s.hooks.OnStorageChange != nil && prev != value {
		s.hooks.OnStorageChange(addr, key, prev, value)
	}
	return prev
}

func (s tracedState) AddLog(log *types.Log) {
	s.StateDB.AddLog(log)
	if s.hooks.OnLog != nil {
		s.hooks.OnLog(log)
	}
}

// Finalise first tells what the removal of self-destructed accounts takes away, by address.
func (s tracedState) Finalise(rules params.Rules) *bal.ConstructionBlockAccessList {
	var gone []*account
	for _, a := range s.touched {
		if a.dirty > 0 && a.exists && a.destructed {
			gone = append(gone, a)
		}
	}
	slices.SortFunc(gone, func(a, b *account) int { return a.addr.Cmp(b.addr) })
	for _, a := range gone {
		if s.hooks.OnBalanceChange != nil && !a.balance.IsZero() {
			s.hooks.OnBalanceChange(a.addr, a.balance.ToBig(), new(big.Int), tracing.BalanceDecreaseSelfdestructBurn)
		}
		s.nonceChanged(a.addr, a.nonce, 0, tracing.NonceChangeSelfdestruct)
		if a.codeHash != chain.EmptyCodeHash {
			s.codeChanged(a.addr, a.codeHash, s.codeOf(a), chain.EmptyCodeHash, nil, tracing.CodeChangeSelfDestruct)
		}
	}
	return s.StateDB.Finalise(rules)
}

func (s tracedState) nonceChanged(addr common.Address, prev, nonce uint64, reason tracing.NonceChangeReason) {
	if s.hooks.OnNonceChangeV2 != nil {
		s.hooks.OnNonceChangeV2(addr, prev, nonce, reason)
	} else if s.hooks.OnNonceChange != nil {
		s.hooks.OnNonceChange(addr, prev, nonce)
	}
}

func (s tracedState) codeChanged(addr common.Address, prevHash common.Hash, prev []byte, hash common.Hash, code []byte, reason tracing.CodeChangeReason) {
	if s.hooks.OnCodeChangeV2 != nil {
		s.hooks.OnCodeChangeV2(addr, prevHash, prev, hash, code, reason)
	} else if s.hooks.OnCodeChange != nil {
		s.hooks.OnCodeChange(addr, prevHash, prev, hash, code)
	}
}
