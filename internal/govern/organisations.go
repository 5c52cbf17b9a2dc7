package govern

import (
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// OrganisationsAddress is where the contract Organisations is on every chain whose genesis lists organisations.
var OrganisationsAddress = common.HexToAddress("0x0000000000000000000000000000000000001002")

// What the contract allows; its constants of these names say the same.
const (
	MaxOrganisations = chain.MaxOrganisations
	MaxRoots         = chain.MaxOrganisationRoots
	MaxIntermediates = 8
	MaxRevoked       = 1024
	MaxSerials       = 128
	// MaxSerial is RFC 5280's bound on a serial number, in bytes.
	MaxSerial = 20
)

// RegisterGas is what the vote that registers an organisation with four of the largest certificates costs at the most, beyond one that does not.
const RegisterGas = 9_000_000

//go:embed contract/artifacts/Organisations.json
var organisationsArtifact []byte

var organisationsContract = sync.OnceValue(func() *compiled {
	c := new(compiled)
	if err := json.Unmarshal(organisationsArtifact, c); err != nil || len(c.Code) == 0 {
		panic("govern: the embedded contract cannot be read") // it is part of the program and its tests
	}
	return c
})

// OrganisationsABI is the contract's interface. Callers must not alter it.
func OrganisationsABI() *abi.ABI { return &organisationsContract().ABI }

// OrganisationsCode is the contract as it runs. Callers must not alter it.
func OrganisationsCode() []byte { return organisationsContract().Code }

// Organisation is one as the contract has it. Certificates are DER that nobody has looked into yet.
type Organisation struct {
	Name                 string
	Admin                common.Address
	Roots, Intermediates [][]byte
	// Revoked are serial numbers, big-endian, without leading zeros.
	Revoked [][]byte
}

// The contract's storage (see layout.go).
const (
	slotOrganisationIDs = 0 // the array's length; four ids to a slot
	slotOrganisationsAt = 1 // changedAt(8) in the low bytes, lastId(8) above
	slotIDOfName        = 3
	slotOrganisation    = 4 // id(8) in the low bytes with admin(20) above; name; roots; intermediates; revoked
	idsPerSlot          = 4
)

// at is the state seen from one contract: its slots and nobody else's.
type at struct {
	chain.State
	contract common.Address
}

func (a at) Slot(_ common.Address, slot common.Hash) (common.Hash, error) {
	return a.State.Slot(a.contract, slot)
}

// ReadOrganisations returns the organisations that st holds, in the contract's order. Its cost is bounded by the contract's constants.
func ReadOrganisations(st chain.State) ([]Organisation, error) {
	st = at{st, OrganisationsAddress}
	n, err := readNumber(st, number(slotOrganisationIDs), MaxOrganisations)
	if err != nil {
		return nil, fmt.Errorf("number of organisations: %w", err)
	}
	out := make([]Organisation, n)
	first := arrayStart(uint256.NewInt(slotOrganisationIDs))
	for i := range out {
		v, err := st.Slot(OrganisationsAddress, next(first, uint64(i/idsPerSlot)).Bytes32())
		if err != nil {
			return nil, err
		}
		end := 32 - 8*(i%idsPerSlot)
		id := binary.BigEndian.Uint64(v[end-8 : end])
		if out[i], err = readOrganisation(st, id); err != nil {
			return nil, fmt.Errorf("organisation %d of %d: %w", i+1, n, err)
		}
	}
	return out, nil
}

func readOrganisation(st chain.State, id uint64) (o Organisation, err error) {
	slot := organisationSlot(id)
	head, err := st.Slot(OrganisationsAddress, slot.Bytes32())
	if err != nil {
		return o, err
	}
	if got := binary.BigEndian.Uint64(head[24:]); got != id || id == 0 {
		return o, fmt.Errorf("%w: id %d where %d should be", ErrState, got, id)
	}
	copy(o.Admin[:], head[4:24])
	name, err := readBytes(st, next(slot, 1), MaxName)
	if err != nil {
		return o, fmt.Errorf("name: %w", err)
	}
	o.Name = strings.ToValidUTF8(string(name), "\uFFFD")
	if o.Roots, err = readCertificates(st, next(slot, 2), MaxRoots); err != nil {
		return o, fmt.Errorf("roots: %w", err)
	}
	if o.Intermediates, err = readCertificates(st, next(slot, 3), MaxIntermediates); err != nil {
		return o, fmt.Errorf("intermediates: %w", err)
	}
	list := next(slot, 4)
	n, err := readNumber(st, list.Bytes32(), MaxRevoked)
	if err != nil {
		return o, fmt.Errorf("revoked: %w", err)
	}
	for i := range n {
		v, err := st.Slot(OrganisationsAddress, next(arrayStart(list), i).Bytes32())
		if err != nil {
			return o, err
		}
		o.Revoked = append(o.Revoked, common.TrimLeftZeroes(v[:]))
	}
	return o, nil
}

func readCertificates(st chain.State, slot *uint256.Int, limit uint64) ([][]byte, error) {
	n, err := readNumber(st, slot.Bytes32(), limit)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for i := range out {
		if out[i], err = readBytes(st, next(arrayStart(slot), uint64(i)), crypto.MaxCertificate); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func organisationSlot(id uint64) *uint256.Int {
	h := mapped(number(id), slotOrganisation)
	return new(uint256.Int).SetBytes32(h[:])
}

// OrganisationTracker says which organisations the durable chain has. Durable is for one goroutine, Now is safe for concurrent use.
type OrganisationTracker struct {
	src Source
	mu  sync.Mutex
	now []Organisation
}

// NewOrganisationTracker continues at src's head. It is for chains whose genesis lists organisations.
func NewOrganisationTracker(src Source) (*OrganisationTracker, error) {
	t := &OrganisationTracker{src: src}
	return t, t.read(src.Head().Number.Uint64())
}

// Durable looks at what the block at the durable head wrote and tells whether it changed any organisation.
func (t *OrganisationTracker) Durable(height uint64, writes chain.WriteSet) (changed bool, err error) {
	i, found := slices.BinarySearchFunc(writes, OrganisationsAddress, func(c chain.AccountChange, a common.Address) int { return c.Address.Cmp(a) })
	if !found || !slices.ContainsFunc(writes[i].Slots, func(s chain.SlotChange) bool { return s.Key == number(slotOrganisationsAt) }) {
		return false, nil
	}
	return true, t.read(height)
}

// Now are the organisations at the last block that Durable was told of. Callers must not alter them.
func (t *OrganisationTracker) Now() []Organisation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

func (t *OrganisationTracker) read(height uint64) error {
	st, err := t.src.State(height)
	if err != nil {
		return fmt.Errorf("read organisations: %w", err)
	}
	now, err := ReadOrganisations(st)
	if err != nil {
		return fmt.Errorf("read organisations after block %d: %w", height, err)
	}
	if len(now) == 0 {
		return errors.Join(ErrState, errors.New("the contract holds no organisation"))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = now
	return nil
}
