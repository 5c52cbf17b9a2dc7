package sim

import (
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/store"
)

// stakeBurnt is the slot of the contract Staking in which it counts what it has burnt.
var stakeBurnt = common.BigToHash(big.NewInt(4))

// supply holds a member's whole chain against what a chain of stake promises: after every block all accounts together hold what they began with and what epochs
// have minted, less what was burnt, to the wei; there are never fewer than four seats and those who may lie have less than a third of them; nobody honest was slashed.
func (c *checker) supply(m *member, st *store.Store, included map[common.Hash]inclusion) {
	holders, initial := make(map[common.Address]bool), new(big.Int)
	for addr, a := range c.w.genesis.Alloc {
		if holders[addr] = true; a.Balance != nil {
			initial.Add(initial, (*big.Int)(a.Balance))
		}
	}
	for _, tx := range included {
		holders[tx.from] = true
	}
	var last *chain.Rule
	for h := uint64(1); h <= st.Head().Number.Uint64() && c.w.failed() == nil; h++ {
		c.supplyAt(m, st, h, holders, initial)
		rule, err := st.RuleAt(h)
		if err != nil {
			c.w.fail("member %d: validators of %d: %v", m.index, h, err)
			return
		}
		c.seats(h, rule.Set)
		if last != nil && last.Hash(c.w.suite) != rule.Hash(c.w.suite) {
			c.w.count("seats changed")
			c.w.logf("from block %d on %d seats: %v", h, len(rule.Set), idsOf(rule.Set))
		}
		last = rule
	}
	for _, m := range c.w.members {
		staker, err := govern.ReadStaker(st.Tip(), []byte(m.peer))
		switch {
		case err != nil:
			c.w.fail("member %d: its stake: %v", m.index, err)
		case staker != nil && staker.Tombstoned && !m.untrusted.Load():
			c.w.fail("member %d is honest and was slashed", m.index)
		case staker != nil && staker.Tombstoned && !c.w.isTwin(m):
			c.w.count("liars slashed")
		}
	}
}

func (c *checker) supplyAt(m *member, st *store.Store, height uint64, holders map[common.Address]bool, initial *big.Int) {
	state, err := st.State(height)
	if err != nil {
		c.w.fail("member %d: state of %d: %v", m.index, height, err)
		return
	}
	sum := new(big.Int)
	for addr := range holders {
		_, balance, err := balanceOf(state, addr)
		if err != nil {
			c.w.fail("member %d: account %s at %d: %v", m.index, addr, height, err)
			return
		}
		sum.Add(sum, balance)
	}
	burnt, err := state.Slot(chain.StakingAddress, stakeBurnt)
	if err != nil {
		c.w.fail("member %d: what was burnt at %d: %v", m.index, height, err)
		return
	}
	want := c.w.genesis.Consensus.Stake.Issued(height)
	want.Add(want, initial).Sub(want, burnt.Big())
	if want.Cmp(sum) != 0 {
		c.w.fail("after block %d all accounts hold %s wei, it should be %s", height, sum, want)
	}
}

// seats checks a set by what the plan allows.
func (c *checker) seats(height uint64, set chain.ValidatorSet) {
	liars := 0
	for _, m := range c.w.members {
		seated := slices.ContainsFunc(set, func(v chain.Validator) bool { return chain.Peer(v.PublicKey) == m.peer })
		if seated && m.untrusted.Load() && !c.w.isTwin(m) {
			liars++
		}
	}
	if len(set) < chain.MinSeats || 3*liars >= len(set) {
		c.w.fail("block %d is of %d seats, %d of which may lie", height, len(set), liars)
	}
}

func idsOf(set chain.ValidatorSet) (ids []chain.ValidatorID) {
	for _, v := range set {
		ids = append(ids, v.ID)
	}
	return ids
}
