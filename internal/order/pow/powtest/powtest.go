// Package powtest is for tests of networks that work: miners of a given hash power on virtual time. Tests import it only.
package powtest

import (
	"context"
	"math"
	"math/rand"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order/pow"
)

// Solver is a pow.Solver of a given hash power: it waits as long as such a miner would have to, then finds a nonce at once. What it finds is real, so targets
// must be easy: a thousand hashes take half a millisecond.
type Solver struct {
	mu     sync.Mutex
	random *rand.Rand
	power  float64
}

// New returns a miner of that many hashes per second; what it draws follows from seed.
func New(seed int64, power float64) *Solver {
	return &Solver{random: rand.New(rand.NewSource(seed)), power: power}
}

// SetPower changes the hash power from the next block on, or the next work on the same.
func (s *Solver) SetPower(power float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.power = power
}

// Rate implements pow.Solver.
func (s *Solver) Rate() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.power
}

// Hashes is how many hashes a header of these bits takes on average.
func Hashes(bits uint32) float64 {
	target, ok := chain.CompactTarget(bits)
	if !ok {
		return math.Inf(1)
	}
	t, _ := target.Float64()
	return math.Exp2(256) / (t + 1)
}

// Solve implements pow.Solver. Finding a block has no memory, so that beginning anew with other transactions costs nothing.
func (s *Solver) Solve(ctx context.Context, job pow.Job) (extra, nonce uint64, ok bool) {
	s.mu.Lock()
	wait := s.random.ExpFloat64() * Hashes(job.Header.Bits) / s.power
	extra = s.random.Uint64()
	s.mu.Unlock()
	timer := time.NewTimer(time.Duration(min(wait, 1e9) * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, 0, false
	}
	nonce = Grind(job, extra)
	return extra, nonce, true
}

// Grind finds a nonce, however long it takes.
func Grind(job pow.Job, extra uint64) (nonce uint64) {
	h := job.Header
	h.Extra = extra
	for h.Nonce = 0; !pow.Solved(job.Suite, &h); h.Nonce++ {
	}
	return h.Nonce
}
