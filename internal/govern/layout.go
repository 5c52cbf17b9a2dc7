package govern

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The contract's storage, as Solidity lays out its variables. Mappings are keyed by keccak(key ‖ slot), arrays begin at keccak(slot).
const (
	slotMembers     = 0 // the array's length
	slotChange      = 1 // changedAt(8) in the low bytes, lastId(8) above
	slotPosition    = 3
	slotIDOfAccount = 4
	slotIDOfKey     = 5
	// slotElectedByStake is 1 while stake rules: founding data of engine "pos".
	slotElectedByStake = 8
	slotsPerMember     = 4 // id(8) in the low bytes with account(20) above; name; endpoint; public key
	bytesPerSlot       = 32
	longestShortBytes  = 31 // what fits into the slot with its length
)

// Member is a validator as the contract has it.
type Member struct {
	chain.Validator
	// Name is for people. It is what the validators agreed on, made valid UTF-8.
	Name string
	// Endpoint is the host:port where other nodes reach it; empty where none, or none that could be, was agreed on.
	Endpoint string
}

// ErrState is wrapped where a contract's storage is none that the contract writes: a broken node or a genesis that was not checked.
var ErrState = errors.New("a system contract's state cannot be read")

// Read returns the validators that st holds, by ascending id. Its cost is bounded by MaxMembers: some ten slots for each.
func Read(st chain.State) (chain.ValidatorSet, []Member, error) {
	n, err := readNumber(st, number(slotMembers), MaxMembers)
	if err != nil {
		return nil, nil, fmt.Errorf("number of validators: %w", err)
	}
	if n == 0 {
		return nil, nil, fmt.Errorf("%w: it holds no validator", ErrState)
	}
	members := make([]Member, n)
	for i := range members {
		if members[i], err = readMember(st, memberSlot(i)); err != nil {
			return nil, nil, fmt.Errorf("validator %d of %d: %w", i+1, n, err)
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return compareIDs(a.ID, b.ID) })
	set := make(chain.ValidatorSet, n)
	for i := range members {
		if set[i] = members[i].Validator; set[i].ID == 0 || i > 0 && set[i-1].ID == set[i].ID {
			return nil, nil, fmt.Errorf("%w: id %d is there twice or zero", ErrState, set[i].ID)
		}
	}
	return set, members, nil
}

// Settled tells whether the set of height+1 and all sets that the state st after block height has settled are one: no change is under way. A
// snapshot of such a height needs no other state to know who rules next.
func Settled(st chain.State, height uint64) (bool, error) {
	v, err := st.Slot(Address, number(slotChange))
	if err != nil {
		return false, err
	}
	if at := binary.BigEndian.Uint64(v[24:]); at != 0 && at+chain.ActivationDelay > height+1 {
		return false, nil
	}
	v, err = st.Slot(chain.EnginesAddress, number(slotTerms)) // nothing where the chain cannot change its engine
	if err != nil {
		return false, err
	}
	return binary.BigEndian.Uint64(v[24:]) <= height+1, nil
}

func compareIDs(a, b chain.ValidatorID) int {
	if a < b {
		return -1
	}
	return 1
}

func readMember(st chain.State, slot *uint256.Int) (m Member, err error) {
	head, err := st.Slot(Address, slot.Bytes32())
	if err != nil {
		return m, err
	}
	m.ID = chain.ValidatorID(binary.BigEndian.Uint64(head[24:]))
	copy(m.Address[:], head[4:24])
	name, err := readBytes(st, next(slot, 1), MaxName)
	if err != nil {
		return m, fmt.Errorf("name: %w", err)
	}
	m.Name = strings.ToValidUTF8(string(name), "\uFFFD")
	endpoint, err := readBytes(st, next(slot, 2), MaxEndpoint)
	if err != nil {
		return m, fmt.Errorf("endpoint: %w", err)
	}
	if isEndpoint(string(endpoint)) {
		m.Endpoint = string(endpoint)
	}
	if m.PublicKey, err = readBytes(st, next(slot, 3), MaxKey); err != nil {
		return m, fmt.Errorf("public key: %w", err)
	}
	if len(m.PublicKey) == 0 {
		return m, fmt.Errorf("%w: no public key", ErrState)
	}
	return m, nil
}

// readBytes reads a Solidity string or bytes.
func readBytes(st chain.State, slot *uint256.Int, limit int) ([]byte, error) {
	head, err := st.Slot(Address, slot.Bytes32())
	if err != nil {
		return nil, err
	}
	if head[31]&1 == 0 {
		n := int(head[31]) / 2
		if n > longestShortBytes {
			return nil, fmt.Errorf("%w: %d bytes in one slot", ErrState, n)
		}
		return head[:n:n], nil
	}
	size := new(uint256.Int).SetBytes32(head[:])
	size.Rsh(size, 1)
	if !size.IsUint64() || size.Uint64() > uint64(limit) || size.Uint64() <= longestShortBytes {
		return nil, fmt.Errorf("%w: %s bytes, at most %d", ErrState, size.Dec(), limit)
	}
	out := make([]byte, 0, size.Uint64()+bytesPerSlot)
	for at := arrayStart(slot); len(out) < int(size.Uint64()); at = next(at, 1) {
		v, err := st.Slot(Address, at.Bytes32())
		if err != nil {
			return nil, err
		}
		out = append(out, v[:]...)
	}
	return out[:size.Uint64()], nil
}

func readNumber(st chain.State, slot common.Hash, limit uint64) (uint64, error) {
	v, err := st.Slot(Address, slot)
	if err != nil {
		return 0, err
	}
	n := new(uint256.Int).SetBytes32(v[:])
	if !n.IsUint64() || n.Uint64() > limit {
		return 0, fmt.Errorf("%w: %s, at most %d", ErrState, n.Dec(), limit)
	}
	return n.Uint64(), nil
}

func isEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != ""
}

// writer builds the contract's founding storage.
type writer map[common.Hash]common.Hash

func (w writer) number(slot common.Hash, n uint64) { w[slot] = number(n) }

// bytes writes a Solidity string or bytes.
func (w writer) bytes(slot *uint256.Int, b []byte) {
	if len(b) == 0 {
		return
	}
	var head common.Hash
	if len(b) <= longestShortBytes {
		copy(head[:], b)
		head[31] = byte(2 * len(b))
		w[slot.Bytes32()] = head
		return
	}
	w[slot.Bytes32()] = number(uint64(2*len(b) + 1))
	for at := arrayStart(slot); len(b) > 0; at = next(at, 1) {
		var v common.Hash
		b = b[copy(v[:], b):]
		w[at.Bytes32()] = v
	}
}

func number(n uint64) (h common.Hash) {
	binary.BigEndian.PutUint64(h[24:], n)
	return h
}

// mapped is the slot of a mapping's entry; key is padded to 32 bytes.
func mapped(key common.Hash, slot uint64) common.Hash {
	at := number(slot)
	return crypto.Keccak256Hash(key[:], at[:])
}

func memberSlot(i int) *uint256.Int {
	return next(arrayStart(uint256.NewInt(slotMembers)), uint64(slotsPerMember*i))
}

func arrayStart(slot *uint256.Int) *uint256.Int {
	at := slot.Bytes32()
	return new(uint256.Int).SetBytes(crypto.Keccak256(at[:]))
}

func next(slot *uint256.Int, n uint64) *uint256.Int { return new(uint256.Int).AddUint64(slot, n) }
