package govern

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// OrganisationsAccount is the contract with g's founding organisations, as a genesis that lists any must hold it in alloc under OrganisationsAddress.
func OrganisationsAccount(g *chain.Genesis) chain.GenesisAccount {
	w := make(writer)
	w.number(number(slotOrganisationIDs), uint64(len(g.Organisations)))
	ids := arrayStart(uint256.NewInt(slotOrganisationIDs))
	for i, o := range g.Organisations {
		id := number(uint64(i + 1))
		packed := next(ids, uint64(i/idsPerSlot)).Bytes32()
		v := w[packed]
		end := 32 - 8*(i%idsPerSlot)
		copy(v[end-8:end], id[24:])
		w[packed] = v
		w[mapped(crypto.Keccak256Hash([]byte(o.Name)), slotIDOfName)] = id
		slot := organisationSlot(uint64(i + 1))
		head := id
		copy(head[4:24], o.Admin[:])
		w[slot.Bytes32()] = head
		w.bytes(next(slot, 1), []byte(o.Name))
		roots := next(slot, 2)
		w.number(roots.Bytes32(), uint64(len(o.Roots)))
		for j, root := range o.Roots {
			w.bytes(next(arrayStart(roots), uint64(j)), root)
		}
	}
	var change common.Hash // changedAt is 0
	last := number(uint64(len(g.Organisations)))
	copy(change[16:24], last[24:])
	w[number(slotOrganisationsAt)] = change
	return chain.GenesisAccount{Nonce: 1, Code: bytes.Clone(OrganisationsCode()), Storage: w}
}

// CheckOrganisations refuses a genesis that lists organisations and whose alloc does not hold exactly OrganisationsAccount(g), or that lists none and
// has something there: its errors wrap chain.ErrGenesis and name the field.
func CheckOrganisations(g *chain.Genesis) error {
	have, ok := g.Alloc[OrganisationsAddress]
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: alloc.%s%s: %s", chain.ErrGenesis, OrganisationsAddress.Hex(), field, fmt.Sprintf(format, args...))
	}
	if len(g.Organisations) == 0 {
		if ok {
			return bad("", "is the organisations contract's, and the genesis lists none")
		}
		return nil
	}
	want := OrganisationsAccount(g)
	switch {
	case !ok:
		return bad("", "is missing: organisations are kept in this contract")
	case !bytes.Equal(have.Code, want.Code):
		return bad(".code", "is not this version's organisations contract")
	case have.Nonce != want.Nonce || have.Balance != nil:
		return bad("", "must have nonce %d and no balance", want.Nonce)
	case !maps.Equal(have.Storage, want.Storage):
		return bad(".storage", "does not hold exactly the founding organisations")
	}
	return nil
}
