package pow

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// grinder is the Solver on this machine's processors.
type grinder struct {
	// mu guards what follows: the hashes of a time that is over, for Rate.
	mu     sync.Mutex
	rate   float64
	since  time.Time
	hashes uint64
}

const (
	// lookEvery is after how many hashes a goroutine looks whether it should go on: well below a millisecond.
	lookEvery = 512
	// rateOver is over how long the hash rate is taken.
	rateOver = 5 * time.Second
)

// Rate implements Solver.
func (g *grinder) Rate() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.since) > 4*rateOver {
		return 0
	}
	return g.rate
}

// done counts hashes that were made from start on.
func (g *grinder) done(hashes uint64, start time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.hashes == 0 || now.Sub(g.since) > 4*rateOver {
		g.since, g.hashes = start, 0
	}
	g.hashes += hashes
	if over := now.Sub(g.since); over > rateOver || g.rate == 0 && over > 0 {
		g.rate = float64(g.hashes) / over.Seconds()
		g.since, g.hashes = now, 0
	}
}

// Solve implements Solver. Each goroutine has extras of its own, from a random one on, so that nodes with one account do not try the same.
func (g *grinder) Solve(ctx context.Context, job Job) (extra, nonce uint64, ok bool) {
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		panic("pow: the system has no randomness: " + err.Error()) // crypto/rand does not fail on systems that run
	}
	first := binary.BigEndian.Uint64(seed[:])
	var found atomic.Bool
	var running sync.WaitGroup
	for i := range job.Threads {
		running.Go(func() {
			h := job.Header
			h.Extra = first + uint64(i)
			if n, solved := g.grind(ctx, &found, job, &h); solved && found.CompareAndSwap(false, true) {
				extra, nonce, ok = h.Extra, n, true
			}
		})
	}
	running.Wait()
	return extra, nonce, ok
}

// grind tries nonces until one solves h, found is set or ctx ends.
func (g *grinder) grind(ctx context.Context, found *atomic.Bool, job Job, h *Header) (nonce uint64, ok bool) {
	b := h.Encode()
	t, _ := expand(h.Bits)
	target := t.Bytes32()
	h256, once, twice := job.Suite.NewHash(), make([]byte, 0, 32), make([]byte, 0, 32) // Hash, without what it allocates
	start, counted := time.Now(), uint64(0)
	count := func() {
		g.done(nonce-counted, start)
		start, counted = time.Now(), nonce
	}
	defer func() { count() }()
	for ; ; nonce++ {
		if nonce%lookEvery == 0 {
			if ctx.Err() != nil || found.Load() {
				return nonce, false
			}
			if time.Since(start) > time.Second {
				count()
			}
		}
		binary.BigEndian.PutUint64(b[offNonce:], nonce)
		h256.Reset()
		h256.Write(b)
		once = h256.Sum(once[:0])
		h256.Reset()
		h256.Write(once)
		if twice = h256.Sum(twice[:0]); bytes.Compare(twice, target[:]) <= 0 {
			return nonce, true
		}
	}
}
