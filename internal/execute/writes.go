package execute

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// WriteSet is all that the finalised transactions since Reset changed against the underlying state, in canonical order and without what
// ended as it began. It shares nothing with the StateDB but code.
func (s *StateDB) WriteSet() chain.WriteSet {
	slices.SortFunc(s.changed, func(a, b *account) int { return a.addr.Cmp(b.addr) })
	slots := s.netSlots()
	changes := make([]chain.SlotChange, 0, len(slots))
	accounts := make([]chain.Account, 0, 2*len(s.changed))
	keep := func(a chain.Account) *chain.Account {
		accounts = append(accounts, a)
		return &accounts[len(accounts)-1]
	}

	out := make(chain.WriteSet, 0, len(s.changed))
	for _, a := range s.changed {
		first := len(changes)
		for len(slots) > 0 && slots[0].account == a {
			sl := slots[0]
			changes = append(changes, chain.SlotChange{Key: sl.key, Value: sl.value, Prev: sl.prev})
			slots = slots[1:]
		}
		c := chain.AccountChange{Address: a.addr, Slots: changes[first:len(changes):len(changes)]}
		now := chain.Account{Nonce: a.nonce, Balance: a.balance, CodeHash: a.codeHash}
		// Only a contract has storage: an account without nonce and code has none (EIP-7610).
		c.Wiped = a.removed && a.existed && (a.prev.Nonce > 0 || a.prev.CodeHash != chain.EmptyCodeHash)
		if len(c.Slots) == 0 && !c.Wiped && a.exists == a.existed && (!a.exists || now == a.prev) {
			continue
		}
		if a.existed {
			c.Prev = keep(a.prev)
		}
		if a.exists {
			c.Account = keep(now)
			if a.codeHash != chain.EmptyCodeHash && (c.Prev == nil || c.Wiped || a.codeHash != a.prev.CodeHash) {
				c.Code = a.code
			}
		}
		out = append(out, c)
	}
	return out
}

// netSlots are the slots of accounts that still have that storage and whose value differs from the one before the block, by address and key.
func (s *StateDB) netSlots() []*slot {
	net := make([]*slot, 0, len(s.changedSlots))
	for _, sl := range s.changedSlots {
		if sl.storage == sl.account.storage && sl.value != sl.prev {
			net = append(net, sl)
		}
	}
	slices.SortFunc(net, func(a, b *slot) int {
		if c := a.account.addr.Cmp(b.account.addr); c != 0 {
			return c
		}
		return common.Hash.Cmp(a.key, b.key)
	})
	return net
}
