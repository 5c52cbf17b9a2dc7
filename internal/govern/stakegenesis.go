package govern

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The storage of the contract Staking (see layout.go), as far as Go writes or reads it.
const (
	slotStakeParams  = 0 // epochBlocks(8) in the low bytes, unbondingEpochs(8), jailEpochs(8), seats(2), slashBasisPoints(2), keySize(2)
	slotStakeAmounts = 1 // minSelfStake(16) in the low bytes, rewardPerEpoch(16)
	slotStaked       = 2
	slotOwed         = 3
	slotCandidates   = 5 // the array's length; four ids to a slot
	slotStaker       = 6
	slotStakerOf     = 7
	slotStakerOfKey  = 8
	slotDelegation   = 9
	slotSeated       = 11 // the length of the even epochs' seats; four ids to a slot
	// A staker is id(8) in the low bytes, account(20), commission(2) and nextCommission(2); commissionFrom(8), jailedUntil(8), offence(8), position(4) and
	// tombstoned(1); stake(16) and shares(16); selfShares(16) and formerUntil(8); perShare; unsettled; attended(8, 8); name; endpoint; key; former key.
)

// StakeAccount is the contract Staking, as a genesis with StakeParams must hold it in alloc under chain.StakingAddress. With engine "pos" each founding
// validator has exactly the least self stake, no commission and a seat of epoch 0, and the account's balance is the sum of their stakes; with another
// engine nobody has staked yet.
func StakeAccount(g *chain.Genesis) chain.GenesisAccount {
	p := g.Consensus.Stake
	w := make(writer)
	var params common.Hash
	binary.BigEndian.PutUint64(params[24:], p.EpochBlocks)
	binary.BigEndian.PutUint64(params[16:], p.UnbondingEpochs)
	binary.BigEndian.PutUint64(params[8:], p.JailEpochs)
	binary.BigEndian.PutUint16(params[6:], uint16(p.Seats))
	binary.BigEndian.PutUint16(params[4:], uint16(p.SlashBasisPoints))
	if len(g.Validators) > 0 { // the suite's keys have one size, which is not known here otherwise
		binary.BigEndian.PutUint16(params[2:], uint16(len(g.Validators[0].PublicKey)))
	}
	w[number(slotStakeParams)] = params
	self := (*big.Int)(p.MinSelfStake)
	w[number(slotStakeAmounts)] = halves(self, p.EpochReward())
	a := chain.GenesisAccount{Nonce: 1, Code: bytes.Clone(StakingCode()), Storage: w}
	if g.Consensus.Engine != chain.PoS {
		return a
	}
	ids := make([]uint64, len(g.Validators))
	for i, v := range g.Validators {
		ids[i] = uint64(v.ID)
		w.staker(v, i, self)
	}
	w.ids(slotCandidates, ids)
	w.ids(slotSeated, ids)
	sum := new(big.Int).Mul(self, big.NewInt(int64(len(ids))))
	w[number(slotStaked)], w[number(slotOwed)] = common.BigToHash(sum), common.BigToHash(sum)
	a.Balance = (*math.HexOrDecimal256)(sum)
	return a
}

// checkStake is Check for the contract Staking.
func checkStake(g *chain.Genesis) error {
	have, ok := g.Alloc[chain.StakingAddress]
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: alloc.%s%s: %s", chain.ErrGenesis, chain.StakingAddress.Hex(), field, fmt.Sprintf(format, args...))
	}
	p := g.Consensus.Stake
	if p == nil {
		if ok {
			return bad("", "is the staking contract's, and the genesis has no consensus.stake")
		}
		return nil
	}
	for i, v := range g.Validators {
		if len(v.PublicKey) != len(g.Validators[0].PublicKey) {
			return fmt.Errorf("%w: validators[%d].publicKey: has %d bytes, the first one's %d", chain.ErrGenesis, i, len(v.PublicKey), len(g.Validators[0].PublicKey))
		}
	}
	want := StakeAccount(g)
	if sum := (*big.Int)(want.Balance); sum != nil && sum.BitLen() > 128 {
		return fmt.Errorf("%w: consensus.stake.minSelfStake: the founders' stakes exceed 2^128-1 wei together", chain.ErrGenesis)
	}
	switch {
	case !ok:
		return bad("", "is missing: stake is kept in this contract")
	case !bytes.Equal(have.Code, want.Code):
		return bad(".code", "is not this version's staking contract")
	case have.Nonce != want.Nonce:
		return bad(".nonce", "must be %d", want.Nonce)
	case (have.Balance == nil) != (want.Balance == nil) || have.Balance != nil && (*big.Int)(have.Balance).Cmp((*big.Int)(want.Balance)) != 0:
		return bad(".balance", "must be the sum of the founders' stakes, %d (none where the engine is not \"pos\")", (*big.Int)(want.Balance))
	case !maps.Equal(have.Storage, want.Storage):
		return bad(".storage", "does not hold exactly the parameters and the founders")
	}
	return nil
}

// staker writes a founding validator, the i-th of the candidates.
func (w writer) staker(v chain.GenesisValidator, i int, self *big.Int) {
	base, id := stakerSlot(uint64(v.ID)), number(uint64(v.ID))
	head := id
	copy(head[4:24], v.Address[:])
	w[base.Bytes32()] = head
	var status common.Hash
	binary.BigEndian.PutUint32(status[4:], uint32(i+1))
	w[next(base, 1).Bytes32()] = status
	w[next(base, 2).Bytes32()] = halves(self, self)
	w[next(base, 3).Bytes32()] = common.BigToHash(self)
	w.bytes(next(base, 7), []byte(v.Name))
	w.bytes(next(base, 8), []byte(v.Endpoint))
	w.bytes(next(base, 9), v.PublicKey)
	account := common.BytesToHash(v.Address[:])
	w[mapped(account, slotStakerOf)] = id
	w[mapped(gethcrypto.Keccak256Hash(v.PublicKey), slotStakerOfKey)] = id
	of := mapped(id, slotDelegation)
	w[gethcrypto.Keccak256Hash(account[:], of[:])] = common.BigToHash(self)
}

// ids writes a Solidity uint64[].
func (w writer) ids(slot uint64, ids []uint64) {
	w.number(number(slot), uint64(len(ids)))
	start := arrayStart(uint256.NewInt(slot))
	for i, id := range ids {
		at := next(start, uint64(i/idsPerSlot)).Bytes32()
		v := w[at]
		binary.BigEndian.PutUint64(v[24-8*(i%idsPerSlot):], id)
		w[at] = v
	}
}

// halves are two uint128 in one slot.
func halves(low, high *big.Int) (h common.Hash) {
	low.FillBytes(h[16:])
	high.FillBytes(h[:16])
	return h
}

func stakerSlot(id uint64) *uint256.Int {
	h := mapped(number(id), slotStaker)
	return new(uint256.Int).SetBytes32(h[:])
}
