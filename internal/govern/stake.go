package govern

import (
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// What the contract Staking (at chain.StakingAddress) allows; its constants of these names say the same.
const (
	MaxCandidates = 512
	MaxUnbondings = 32
	// MaxCommission and MaxCommissionRise, by how much it may rise in an epoch, are in basis points.
	MaxCommission     = 5000
	MaxCommissionRise = 500
)

// StakeGas is what may come on top of an estimate of a transaction to Staking: another one may come first that makes this one move a candidate, or be the
// first of its epoch to write somewhere.
const StakeGas = 150_000

//go:embed contract/artifacts/Staking.json
var stakingArtifact []byte

var stakingContract = sync.OnceValue(func() *compiled {
	c := new(compiled)
	if err := json.Unmarshal(stakingArtifact, c); err != nil || len(c.Code) == 0 {
		panic("govern: the embedded contract cannot be read") // it is part of the program and its tests
	}
	return c
})

// StakingABI is the contract's interface. Callers must not alter it.
func StakingABI() *abi.ABI { return &stakingContract().ABI }

// StakingCode is the contract as it runs. Callers must not alter it.
func StakingCode() []byte { return stakingContract().Code }

// AttendMessage is what a validator's node key signs to show Staking that it is present in an epoch. genesis is the suite's hash of block 0's header.
func AttendMessage(genesis crypto.Hash, id chain.ValidatorID, epoch uint64) []byte {
	b := append([]byte("jialing/attend/1"), genesis[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	return binary.BigEndian.AppendUint64(b, epoch)
}

// StakeMessage is what a node key signs to let an account register it, at first or as another key: nobody registers a key of which it does not have the private
// half.
func StakeMessage(genesis crypto.Hash, account common.Address) []byte {
	return append(append([]byte("jialing/stake/1"), genesis[:]...), account[:]...)
}

// Staker is what a node must know of its own registration.
type Staker struct {
	ID      chain.ValidatorID
	Account common.Address
	// Stands tells whether it is a candidate; Tombstoned that it was slashed and never will be again.
	Stands, Tombstoned bool
	// JailedUntil is the first epoch in which it may leave jail; 0 where it is in none.
	JailedUntil uint64
	// Stake is all that stands behind it, in wei.
	Stake *uint256.Int
	// attended are the last even and the last odd epoch in which it was present, plus one.
	attended [2]uint64
}

// Attended tells whether the contract knows that the validator is present in an epoch, the present or the last one.
func (s *Staker) Attended(epoch uint64) bool { return s.attended[epoch%2] == epoch+1 }

// ReadStaker returns the registration of a node key, its present or its former one, nil where there is none. It reads four slots.
func ReadStaker(st chain.State, publicKey []byte) (*Staker, error) {
	st = at{st, chain.StakingAddress}
	v, err := st.Slot(chain.StakingAddress, mapped(gethcrypto.Keccak256Hash(publicKey), slotStakerOfKey))
	if err != nil {
		return nil, err
	}
	id := binary.BigEndian.Uint64(v[24:])
	if id == 0 {
		return nil, nil
	}
	base := stakerSlot(id)
	var words [7]common.Hash
	for _, i := range []uint64{0, 1, 2, 6} {
		if words[i], err = st.Slot(chain.StakingAddress, next(base, i).Bytes32()); err != nil {
			return nil, err
		}
	}
	head, status, stake, attended := words[0], words[1], words[2], words[6]
	if got := binary.BigEndian.Uint64(head[24:]); got != id {
		return nil, fmt.Errorf("%w: staker %d where %d should be", ErrState, got, id)
	}
	return &Staker{ID: chain.ValidatorID(id), Account: common.BytesToAddress(head[4:24]), Stands: binary.BigEndian.Uint32(status[4:8]) != 0, Tombstoned: status[3] != 0,
		JailedUntil: binary.BigEndian.Uint64(status[16:24]), Stake: new(uint256.Int).SetBytes(stake[16:]),
		attended: [2]uint64{binary.BigEndian.Uint64(attended[24:]), binary.BigEndian.Uint64(attended[16:24])}}, nil
}
