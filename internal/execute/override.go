package execute

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// errBothStorages is an override that replaces a storage and changes it.
var errBothStorages = errors.New("has both 'state' and 'stateDiff'")

// overrideAccounts applies overrides as if a transaction before the call had made them. precompiles is altered where an override moves or
// hides one. Accounts go by address, so that an error is the same each time.
func overrideAccounts(st *StateDB, overrides map[common.Address]chain.AccountOverride, precompiles vm.PrecompiledContracts) error {
	moved := make(map[common.Address]struct{})
	for _, addr := range slices.SortedFunc(maps.Keys(overrides), common.Address.Cmp) {
		o := overrides[addr]
		if _, taken := moved[addr]; taken {
			return fmt.Errorf("account %s has already been overridden by a precompile", addr.Hex())
		}
		p, isPrecompile := precompiles[addr]
		if to := o.MovePrecompileTo; to != nil {
			if !isPrecompile {
				return fmt.Errorf("account %s is not a precompile", addr.Hex())
			}
			if _, overridden := overrides[*to]; overridden {
				return fmt.Errorf("account %s is already overridden", to.Hex())
			}
			precompiles[*to], moved[*to] = p, struct{}{}
		}
		delete(precompiles, addr)
		if err := overrideAccount(st, addr, &o); err != nil {
			return err
		}
	}
	st.Finalise(params.Rules{})
	return nil
}

func overrideAccount(st *StateDB, addr common.Address, o *chain.AccountOverride) error {
	if o.Storage != nil && o.StorageDiff != nil {
		return fmt.Errorf("account %s %w", addr.Hex(), errBothStorages)
	}
	if o.Nonce != nil {
		st.SetNonce(addr, *o.Nonce, tracing.NonceChangeUnspecified)
	}
	if o.Code != nil {
		st.SetCode(addr, *o.Code, tracing.CodeChangeUnspecified)
	}
	if o.Balance != nil {
		st.setBalance(addr, o.Balance)
	}
	if o.Storage != nil {
		st.emptyStorage(addr)
	}
	for _, slots := range []map[common.Hash]common.Hash{o.Storage, o.StorageDiff} {
		for key, value := range slots {
			st.SetState(addr, key, value)
		}
	}
	return nil
}

func (s *StateDB) setBalance(addr common.Address, wei *uint256.Int) {
	a := s.ensure(addr)
	s.record(entry{kind: entryBalance, account: a, word: a.balance.Bytes32()})
	a.balance = *wei
}

// emptyStorage drops an account's storage between transactions. Only for views that no write set is taken from.
func (s *StateDB) emptyStorage(addr common.Address) {
	a := s.ensure(addr)
	a.storage, a.fresh = s.newStorage(), true
}

// overrideHeader returns h with the overrides applied; h itself stays.
func overrideHeader(h *chain.Header, o *chain.BlockOverride) *chain.Header {
	h = types.CopyHeader(h)
	if o == nil {
		return h
	}
	if o.Number != nil {
		h.Number.SetUint64(*o.Number)
	}
	if o.Time != nil {
		h.Time = *o.Time
	}
	if o.GasLimit != nil {
		h.GasLimit = *o.GasLimit
	}
	if o.Coinbase != nil {
		h.Coinbase = *o.Coinbase
	}
	if o.Prevrandao != nil {
		h.MixDigest = *o.Prevrandao
	}
	if o.BaseFee != nil {
		h.BaseFee = o.BaseFee.ToBig()
	}
	return h
}
