package chain

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// EngineKind is a consensus engine's word in the genesis.
type EngineKind string

// The engines.
const (
	// Solo is one node that decides alone.
	Solo EngineKind = "solo"
	// BFT is four or more validators of whom less than a third may lie or be away.
	BFT EngineKind = "bft"
	// Raft is three or more validators of whom less than half may crash or be away, and none lies.
	Raft EngineKind = "raft"
	// PoS is BFT whose seats are elected by stake each epoch.
	PoS EngineKind = "pos"
	// PoW is open to whoever works: the chain of the most work counts, a block is final when WorkParams.Depth blocks confirm it.
	PoW EngineKind = "pow"
)

// EngineKinds are all words.
var EngineKinds = []EngineKind{Solo, BFT, Raft, PoS, PoW}

// Known tells whether the word is an engine's.
func (k EngineKind) Known() bool {
	for _, known := range EngineKinds {
		if k == known {
			return true
		}
	}
	return false
}

// Networked tells whether the engine is for several validators, who are kept by the chain's own contract.
func (k EngineKind) Networked() bool { return k == BFT || k == Raft || k == PoS }

// Signed tells whether validators sign the blocks; else the work on top of a block speaks for it.
func (k EngineKind) Signed() bool { return k != PoW }

// Away is how many of n validators may crash or be unreachable while the chain goes on.
func (k EngineKind) Away(n int) int { return n - max(k.Quorum(n), 1) }

// Faulty is how many of n validators may fail in any way, lies included, without harm.
func (k EngineKind) Faulty(n int) int {
	if k == BFT || k == PoS {
		return (n - 1) / 3
	}
	return 0
}

// Quorum is how many of n validators must sign for a certificate: any two quorums share an honest validator. 1 for solo, ⌈(n+f+1)/2⌉ for bft and pos, a
// majority for raft, 0 for pow, where nobody signs.
func (k EngineKind) Quorum(n int) int {
	switch k {
	case BFT, PoS:
		return (n + k.Faulty(n) + 2) / 2
	case Raft:
		return n/2 + 1
	case PoW:
		return 0
	}
	return 1
}

// Rule is who orders and attests a height, and how. The set is empty for an engine that is not Signed.
type Rule struct {
	Engine EngineKind
	Set    ValidatorSet
}

// Quorum is how many of the set must sign.
func (r *Rule) Quorum() int { return r.Engine.Quorum(len(r.Set)) }

// Hash is the suite's hash of the rule's RLP: what headers say about who attests them. It covers the engine, for that says how many must sign.
func (r *Rule) Hash(suite crypto.Suite) crypto.Hash {
	b, err := rlp.EncodeToBytes(r)
	if err != nil {
		panic("chain: encode rule: " + err.Error()) // all fields are encodable types
	}
	return suite.Sum([]byte("jialing/rule/1"), b)
}

// CheckForm checks what can be said of a rule without knowing the chain: a known engine, bounds, ids that ascend.
func (r *Rule) CheckForm() error {
	switch {
	case !r.Engine.Known():
		return fmt.Errorf("engine %q is unknown", r.Engine)
	case r.Engine.Signed() == (len(r.Set) == 0) || len(r.Set) > MaxValidators:
		return fmt.Errorf("%d validators with engine %q, want 1 to %d where blocks are signed, else none", len(r.Set), r.Engine, MaxValidators)
	}
	for i, v := range r.Set {
		if v.ID == 0 || i > 0 && r.Set[i-1].ID >= v.ID {
			return fmt.Errorf("validator %d of %d: ids are nonzero and ascending", i, len(r.Set))
		}
	}
	return nil
}

// Term is the time for which one engine rules without a break, from a height on; 0 for the founding one.
type Term struct {
	Engine EngineKind
	From   uint64
}

// EnginesAddress is where the contract Engines is on chains that may change their engine.
var EnginesAddress = common.HexToAddress("0x0000000000000000000000000000000000001004")

// Changeable tells whether the chain's own decision can change its engine: the genesis holds the contract for that.
func (g *Genesis) Changeable() bool {
	_, ok := g.Alloc[EnginesAddress]
	return ok
}

// Networked tells whether the chain is for several validators, now or after a change of its engine.
func (g *Genesis) Networked() bool { return g.Consensus.Engine.Networked() || g.Changeable() }

// BFTParams are the times after which validators lose patience with a leader, in milliseconds.
type BFTParams struct {
	// LeaderTimeoutMillis without a sign of life from the leader makes a validator ask for another; a tenth of it is the leader's heartbeat.
	LeaderTimeoutMillis int `json:"leaderTimeoutMillis"`
	// RequestTimeoutMillis is how long a transaction that validators hold may stay undecided before they ask for another leader.
	RequestTimeoutMillis int `json:"requestTimeoutMillis"`
	// ViewChangeTimeoutMillis is how long a change of leader may take before the one after is tried.
	ViewChangeTimeoutMillis int `json:"viewChangeTimeoutMillis"`
}

// DefaultBFTParams fit a network with round trips below 100 ms: a dead leader is replaced within 2 s.
func DefaultBFTParams() *BFTParams {
	return &BFTParams{LeaderTimeoutMillis: 1000, RequestTimeoutMillis: 2000, ViewChangeTimeoutMillis: 3000}
}

// RaftParams are the engine's times in milliseconds.
type RaftParams struct {
	// ElectionTimeoutMillis without a word from the leader, and up to twice that, makes a validator stand for election; a quarter of it is the
	// leader's heartbeat.
	ElectionTimeoutMillis int `json:"electionTimeoutMillis"`
}

// DefaultRaftParams fit a network with round trips below 50 ms: a dead leader is replaced within a second.
func DefaultRaftParams() *RaftParams { return &RaftParams{ElectionTimeoutMillis: 300} }

// StakeParams are what binds an election by stake. Amounts are in wei.
type StakeParams struct {
	// EpochBlocks is the length of an epoch, at least twice ActivationDelay: an epoch's seats are elected ActivationDelay blocks before it begins.
	EpochBlocks uint64 `json:"epochBlocks"`
	// Seats is how many of the registered are elected at the most, MinSeats to MaxSeats.
	Seats int `json:"seats"`
	// MinSelfStake is what a validator must have staked itself to stand for election.
	MinSelfStake *math.HexOrDecimal256 `json:"minSelfStake"`
	// UnbondingEpochs is how long stake that is taken back can still be slashed before it may be withdrawn.
	UnbondingEpochs uint64 `json:"unbondingEpochs"`
	// RewardPerEpoch is minted and shared among the seats' stakes at the end of each epoch, beside the fees that came in; absent: nothing is minted.
	RewardPerEpoch *math.HexOrDecimal256 `json:"rewardPerEpoch,omitempty"`
	// SlashBasisPoints is which part of all stake behind a validator burns when it is proven to have contradicted itself, of 10,000.
	SlashBasisPoints int `json:"slashBasisPoints"`
	// JailEpochs is how long a validator that was absent stays out of elections.
	JailEpochs uint64 `json:"jailEpochs"`
}

// The bounds of StakeParams.Seats: below four no fault is borne; consensus traffic grows with the square.
const (
	MinSeats = 4
	MaxSeats = 128
)

// DefaultStakeParams fit a public chain of blocks on demand: an epoch of 7,200 blocks, 21 seats.
func DefaultStakeParams() *StakeParams {
	return &StakeParams{EpochBlocks: 7200, Seats: 21, MinSelfStake: ether(1000), UnbondingEpochs: 7, RewardPerEpoch: ether(100), SlashBasisPoints: 500, JailEpochs: 2}
}

// WorkParams are what binds miners.
type WorkParams struct {
	// BlockMillis is the interval between blocks that the difficulty aims at.
	BlockMillis int `json:"blockMillis"`
	// Depth is how many blocks, its own included, confirm a block before it is final and executed.
	Depth int `json:"depth"`
	// Bits is the first block's target in compact form (exponent(1) ‖ mantissa(3), as Bitcoin has it).
	Bits uint32 `json:"bits"`
	// HalfLifeMillis is by how much blocks must be late together for the difficulty to halve (ASERT).
	HalfLifeMillis int `json:"halfLifeMillis"`
	// Reward is minted for each block's miner; it halves every HalvingBlocks (0: never).
	Reward        *math.HexOrDecimal256 `json:"reward,omitempty"`
	HalvingBlocks uint64                `json:"halvingBlocks,omitempty"`
	// Checkpoints are blocks that the chain must go through, ascending: a node that syncs needs no more work to believe them.
	Checkpoints []WorkCheckpoint `json:"checkpoints,omitempty"`
}

// WorkCheckpoint names a block by the suite's hash of its work header.
type WorkCheckpoint struct {
	Height uint64      `json:"height"`
	Hash   crypto.Hash `json:"hash"`
}

// DefaultWorkParams fit a few ordinary machines: a block each two seconds, final after six. With a half-life of ten intervals the interval is back within a
// tenth of its target 63 blocks after the hash power has changed tenfold.
func DefaultWorkParams() *WorkParams {
	return &WorkParams{BlockMillis: 2000, Depth: 6, Bits: 0x1f00ffff, HalfLifeMillis: 20_000, Reward: ether(2), HalvingBlocks: 2_100_000}
}

func ether(n int64) *math.HexOrDecimal256 {
	return (*math.HexOrDecimal256)(new(big.Int).Mul(big.NewInt(n), big.NewInt(1e18)))
}

type refusal func(field, format string, args ...any) error

func (g *Genesis) validateConsensus(bad func(string, string, ...any) error) error {
	c := g.Consensus
	switch {
	case !c.Engine.Known():
		return bad("consensus.engine", "%q is unknown, use \"solo\", \"bft\", \"raft\", \"pos\" or \"pow\"", c.Engine)
	case c.Engine == Raft && c.Raft == nil:
		return bad("consensus.raft", "must stand there with engine \"raft\"")
	case (c.Engine == BFT || c.Engine == PoS) && c.BFT == nil:
		return bad("consensus.bft", "must stand there with engine %q", c.Engine)
	case c.Engine == PoS && c.Stake == nil:
		return bad("consensus.stake", "must stand there with engine \"pos\"")
	case (c.Engine == PoW) != (c.Work != nil):
		return bad("consensus.work", "must stand there with engine \"pow\" and only with it")
	case c.Engine == PoW && (c.BFT != nil || c.Raft != nil || c.Stake != nil):
		return bad("consensus.work", "no other engine's parameters may stand beside it: a chain of work does not change its engine")
	case c.MaxBlockTxs < 1 || c.MaxBlockTxs > MaxDecisionTxs:
		return bad("consensus.maxBlockTxs", "must be 1 to %d", MaxDecisionTxs)
	case c.MaxBlockBytes < MaxTxSize || c.MaxBlockBytes > 256<<20:
		return bad("consensus.maxBlockBytes", "must be %d (the largest transaction) to 256 MiB", MaxTxSize)
	case c.BatchMillis < 0 || c.BatchMillis > 60_000:
		return bad("consensus.batchMillis", "must be 0 to 60000")
	case c.HeartbeatMillis < 0 || c.HeartbeatMillis > 86_400_000:
		return bad("consensus.heartbeatMillis", "must be 0 (none) to one day")
	}
	for _, check := range []func(refusal) error{c.BFT.validate, c.Raft.validate, c.Stake.validate, c.Work.validate} {
		if err := check(bad); err != nil {
			return err
		}
	}
	return nil
}

func (p *BFTParams) validate(bad refusal) error {
	if p == nil {
		return nil
	}
	// Below 200 ms a busy machine looks dead; above ten minutes nobody waits.
	for _, f := range []struct {
		name  string
		value int
	}{{"leaderTimeoutMillis", p.LeaderTimeoutMillis}, {"requestTimeoutMillis", p.RequestTimeoutMillis}, {"viewChangeTimeoutMillis", p.ViewChangeTimeoutMillis}} {
		if f.value < 200 || f.value > 600_000 {
			return bad("consensus.bft."+f.name, "must be 200 to 600000")
		}
	}
	return nil
}

func (p *RaftParams) validate(bad refusal) error {
	if p != nil && (p.ElectionTimeoutMillis < 200 || p.ElectionTimeoutMillis > 600_000) {
		return bad("consensus.raft.electionTimeoutMillis", "must be 200 to 600000")
	}
	return nil
}

func (p *StakeParams) validate(bad refusal) error {
	if p == nil {
		return nil
	}
	self, reward := (*big.Int)(p.MinSelfStake), (*big.Int)(p.RewardPerEpoch)
	switch {
	case p.EpochBlocks < 2*ActivationDelay || p.EpochBlocks > 1<<32:
		return bad("consensus.stake.epochBlocks", "must be %d (twice the delay of a change) to 2^32", 2*ActivationDelay)
	case p.Seats < MinSeats || p.Seats > MaxSeats:
		return bad("consensus.stake.seats", "must be %d to %d", MinSeats, MaxSeats)
	case self == nil || self.Sign() <= 0 || self.BitLen() > 128:
		return bad("consensus.stake.minSelfStake", "must be 1 to 2^128-1 wei")
	case p.UnbondingEpochs < 1 || p.UnbondingEpochs > 10_000:
		return bad("consensus.stake.unbondingEpochs", "must be 1 to 10000: evidence needs time to be found")
	case reward != nil && (reward.Sign() < 0 || reward.BitLen() > 128):
		return bad("consensus.stake.rewardPerEpoch", "must be 0 to 2^128-1 wei")
	case p.SlashBasisPoints < 1 || p.SlashBasisPoints > 10_000:
		return bad("consensus.stake.slashBasisPoints", "must be 1 to 10000")
	case p.JailEpochs < 1 || p.JailEpochs > 10_000:
		return bad("consensus.stake.jailEpochs", "must be 1 to 10000")
	}
	return nil
}

func (p *WorkParams) validate(bad refusal) error {
	if p == nil {
		return nil
	}
	reward := (*big.Int)(p.Reward)
	switch {
	case p.BlockMillis < 100 || p.BlockMillis > 3_600_000:
		return bad("consensus.work.blockMillis", "must be 100 (else most blocks are found twice) to one hour")
	case p.Depth < 1 || p.Depth > 1000:
		return bad("consensus.work.depth", "must be 1 to 1000: forks up to it live in memory")
	case p.HalfLifeMillis < p.BlockMillis || p.HalfLifeMillis > 30*86_400_000:
		return bad("consensus.work.halfLifeMillis", "must be blockMillis to 30 days")
	case reward != nil && (reward.Sign() < 0 || reward.BitLen() > 128):
		return bad("consensus.work.reward", "must be 0 to 2^128-1 wei")
	}
	if target, ok := p.Target(); !ok {
		return bad("consensus.work.bits", "%#08x is no target from 1 to 2^255", p.Bits)
	} else if target.BitLen() < 160 {
		return bad("consensus.work.bits", "%#08x is a target below 2^159: nobody would ever find the first block", p.Bits)
	}
	for i, c := range p.Checkpoints {
		if c.Height == 0 || i > 0 && p.Checkpoints[i-1].Height >= c.Height || c.Hash.IsZero() {
			return bad(fmt.Sprintf("consensus.work.checkpoints[%d]", i), "heights are nonzero and ascending, hashes are not zero")
		}
	}
	return nil
}

// Target is the first block's target: a work header's hash, read as a big-endian number, must not exceed it. False where Bits is no canonical compact
// form of a number from 1 to 2^255.
func (p *WorkParams) Target() (*big.Int, bool) { return CompactTarget(p.Bits) }

// CompactTarget expands a target in compact form: exponent(1) ‖ mantissa(3), worth mantissa × 256^(exponent−3). False where it is not canonical
// (a mantissa below 0x008000 or above 0x7fffff) or no number from 1 to 2^255.
func CompactTarget(bits uint32) (*big.Int, bool) {
	exponent, mantissa := int(bits>>24), int64(bits&0xffffff)
	if mantissa < 0x8000 || mantissa > 0x7fffff || exponent < 3 || exponent > 32 {
		return nil, false
	}
	target := new(big.Int).Lsh(big.NewInt(mantissa), uint(8*(exponent-3)))
	return target, target.BitLen() <= 255
}
