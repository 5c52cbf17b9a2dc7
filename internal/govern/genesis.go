package govern

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Account is the contract with g's founding validators, as a genesis with a networked engine must hold it in alloc under Address.
func Account(g *chain.Genesis) chain.GenesisAccount {
	w := make(writer)
	w.number(number(slotMembers), uint64(len(g.Validators)))
	var last chain.ValidatorID
	for i, v := range g.Validators {
		at := memberSlot(i)
		id := number(uint64(v.ID))
		head := id
		copy(head[4:24], v.Address[:])
		w[at.Bytes32()] = head
		w.bytes(next(at, 1), []byte(v.Name))
		w.bytes(next(at, 2), []byte(v.Endpoint))
		w.bytes(next(at, 3), v.PublicKey)
		w.number(mapped(id, slotPosition), uint64(i+1))
		w[mapped(common.BytesToHash(v.Address[:]), slotIDOfAccount)] = id
		w[mapped(crypto.Keccak256Hash(v.PublicKey), slotIDOfKey)] = id
		last = max(last, v.ID)
	}
	if g.Consensus.Engine == chain.PoS {
		w.number(number(slotElectedByStake), 1)
	}
	var change common.Hash // changedAt is 0
	lastID := number(uint64(last))
	copy(change[16:24], lastID[24:])
	w[number(slotChange)] = change
	return chain.GenesisAccount{Nonce: 1, Code: bytes.Clone(Code()), Storage: w}
}

// Check refuses a genesis for several validators whose alloc does not hold exactly Account(g) under Address, StakeAccount(g) under
// chain.StakingAddress where it has StakeParams, and EnginesAccount(g) under chain.EnginesAddress or nothing, or whose validators the contracts could not have: its errors wrap chain.ErrGenesis and name the field. With
// another engine there is nothing to check.
func Check(g *chain.Genesis) error {
	if !g.Networked() {
		return nil
	}
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", chain.ErrGenesis, field, fmt.Sprintf(format, args...))
	}
	if len(g.Validators) > MaxMembers {
		return bad("validators", "at most %d with engine %q, this lists %d", MaxMembers, g.Consensus.Engine, len(g.Validators))
	}
	accounts := make(map[common.Address]chain.ValidatorID)
	for i, v := range g.Validators {
		if other, twice := accounts[v.Address]; twice {
			return bad(fmt.Sprintf("validators[%d].address", i), "is also validator %d's; one account votes for one validator", other)
		}
		accounts[v.Address] = v.ID
	}
	field := "alloc." + Address.Hex()
	have, ok := g.Alloc[Address]
	want := Account(g)
	switch {
	case !ok:
		return bad(field, "is missing: engine %q keeps its validators in this contract", g.Consensus.Engine)
	case !bytes.Equal(have.Code, want.Code):
		return bad(field+".code", "is not this version's validators contract")
	case have.Nonce != want.Nonce || have.Balance != nil:
		return bad(field, "must have nonce %d and no balance", want.Nonce)
	case !maps.Equal(have.Storage, want.Storage):
		return bad(field+".storage", "does not hold exactly the founding validators")
	}
	return cmp.Or(checkStake(g), checkEngines(g))
}
