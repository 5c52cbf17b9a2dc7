package sim

import (
	"context"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common/math"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/store"
)

const (
	// workInterval is the time between blocks that the difficulty aims at, workDepth how many confirm one: together far more than longestWork, so that no fault
	// parts the network for as long as it takes a part of it to call a block final that the others will never have.
	workInterval = 4 * time.Second
	workDepth    = 60
	longestWork  = 40 * time.Second
	// workBits is a target of 256 hashes: they are really tried, the time that they take is simulated.
	workBits = 0x2000ffff
)

// ofWork is the plan for the engine pow: any number of miners, of whom each may crash, be cut off and lose his disk, as nobody has promised anything. Nobody
// lies: internal/order/pow has its own tests of those who do.
func (p *plan) ofWork() *plan {
	p.bft, p.faulty, p.votes, p.heartbeatMillis = nil, p.validators, 0, 0
	p.nodes = min(p.nodes-len(p.twins), 7)
	p.validators = min(p.validators, p.nodes)
	clear(p.vices)
	clear(p.twins)
	p.work = &chain.WorkParams{BlockMillis: int(workInterval.Milliseconds()), Depth: workDepth, Bits: workBits, HalfLifeMillis: int(10 * workInterval.Milliseconds()),
		Reward: (*math.HexOrDecimal256)(big.NewInt(1000)), HalvingBlocks: 100}
	return p
}

// confirming is how long a transaction takes until it is final, at the most; 0 where that is no matter of blocks.
func (p *plan) confirming() time.Duration {
	if p.work == nil {
		return 0
	}
	return 3 * workDepth * workInterval // after faults the difficulty may be too high for who is left
}

// patience is after how long without a receipt a client sends again.
func (p *plan) patience() time.Duration {
	if p.work == nil {
		return patience
	}
	return 5 * workInterval // what a node holds is not lost by waiting; more often would only cost
}

// longest bounds a fault.
func (p *plan) longest() time.Duration {
	if p.work == nil {
		return 24 * time.Hour
	}
	return longestWork
}

// ofWork makes the genesis one of a chain of work.
func (w *world) ofWork(g *chain.Genesis) {
	g.Consensus.Engine, g.Consensus.BFT, g.Consensus.Raft, g.Consensus.Work = chain.PoW, nil, nil, w.plan.work
	g.Consensus.HeartbeatMillis, g.Validators = 0, []chain.GenesisValidator{}
	clear(w.ids)
}

// solver finds blocks with simulated hash power: it waits for as long as that many hashes would take, and then tries the few that there are. One goroutine at a time
// asks it.
type solver struct {
	mu  sync.Mutex
	rng *rand.Rand
	// rate is in hashes per second.
	rate float64
}

// newSolver shares the hash power that finds a block of the first difficulty each workInterval among the miners, not quite evenly.
func newSolver(p *plan, index int) *solver {
	rng := rand.New(rand.NewPCG(p.seed, uint64(index)|1<<41))
	target, _ := p.work.Target()
	hashes, _ := new(big.Float).SetInt(new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 256), target)).Float64()
	return &solver{rng: rng, rate: hashes / workInterval.Seconds() / float64(p.validators) * (0.5 + rng.Float64())}
}

// Solve implements pow.Solver.
func (s *solver) Solve(ctx context.Context, job pow.Job) (extra, nonce uint64, ok bool) {
	target, _ := chain.CompactTarget(job.Header.Bits)
	hashes, _ := new(big.Float).SetInt(new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 256), target)).Float64()
	s.mu.Lock()
	wait := time.Duration(s.rng.ExpFloat64() * hashes / s.rate * float64(time.Second))
	extra = s.rng.Uint64()
	s.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, 0, false
	}
	h := job.Header
	h.Extra = extra
	b := h.Encode()
	for ; ; nonce++ {
		binary.BigEndian.PutUint64(b[pow.HeaderSize-8:], nonce)
		if hash := pow.Hash(job.Suite, b); new(big.Int).SetBytes(hash[:]).Cmp(target) <= 0 {
			return extra, nonce, true
		}
	}
}

// Rate implements pow.Solver.
func (s *solver) Rate() float64 { return s.rate }

// rewards holds what the miners have against what the genesis mints up to the head.
func (c *checker) rewards(m *member, st *store.Store) {
	sum := new(big.Int)
	for _, o := range c.w.members {
		_, balance, err := balanceOf(st.Tip(), o.account.address)
		if err != nil {
			c.w.fail("member %d: balance of %s: %v", m.index, o.account.address, err)
			return
		}
		sum.Add(sum, balance)
	}
	if want := c.w.plan.work.Issued(st.Head().Number.Uint64()); sum.Cmp(want) != 0 {
		c.w.fail("the miners have %s at block %d, %s were minted", sum, st.Head().Number, want)
	}
}
