package catchup

import (
	"context"
	"errors"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// failWait is how long a peer is left alone after its first failure; each further one doubles that, up to failMost.
	failWait = 500 * time.Millisecond
	failMost = 30 * time.Second
	// patience is how many failures in a row are nobody's fault.
	patience = 3
	// fast is how soon a full answer must come for the peer to be asked for twice as much next time.
	fast = 500 * time.Millisecond
)

// highest is how far the believed peers say they are.
func (c *CatchUp) highest(now time.Time) (height uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.peers {
		if p.believed(now) {
			height = max(height, p.told.Decided)
		}
	}
	return height
}

// choose finds the peer to ask for s, the one that has the least to do, and what to ask it; "" when there is none. asked must follow.
func (c *CatchUp) choose(now time.Time, s *span) (chain.Peer, *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var best *peer
	for _, p := range c.peers {
		if !p.believed(now) || p.told.First > s.from || p.told.Decided < s.from || p.asking >= c.cfg.PerPeer {
			continue
		}
		if len(s.asked) > 0 && s.asked[0] == p.id {
			continue
		}
		// Among those with equally little to do the one that may be asked for more is faster; the name decides the rest, so that runs repeat.
		if best == nil || p.asking < best.asking || (p.asking == best.asking && (p.ask > best.ask || (p.ask == best.ask && p.id < best.id))) {
			best = p
		}
	}
	if best == nil {
		return "", nil
	}
	best.asking++
	count := min(s.count, best.told.Decided-s.from+1, maxBlocks)
	return best.id, &request{kind: kindBlocks, height: s.from, count: uint32(count), bytes: uint32(best.ask)}
}

// asked ends what choose began.
func (c *CatchUp) asked(id chain.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		p.asking--
	}
}

// served rewards a peer that has answered well.
func (c *CatchUp) served(a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[a.peer]
	if p == nil {
		return
	}
	p.failures = 0
	if a.took < fast {
		p.ask = min(2*p.ask, c.cfg.RangeBytes)
	}
}

// failed leaves a peer alone for a while that could not be asked. One that took too long is asked for less, one that refuses again and again what it
// says it has is reported.
func (c *CatchUp) failed(id chain.Peer, err error) {
	if again := c.backOff(id, err); again {
		c.deps.Network.Report(id, nuisance, "catchup: "+err.Error())
	}
}

func (c *CatchUp) backOff(id chain.Peer, err error) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	if p == nil {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) && p.ask > leastAsk {
		p.ask = max(p.ask/2, leastAsk)
	}
	wait := min(failWait<<min(p.failures, 16), failMost)
	p.failures++
	c.ignore(p, wait, err)
	return p.failures > patience
}

// lied reports a peer and leaves it alone. What it was asked for before that and answers now is the same lie, and is not reported again.
func (c *CatchUp) lied(id chain.Peer, offence int, err error) {
	now := time.Now()
	c.mu.Lock()
	if p := c.peers[id]; p != nil {
		if now.Before(p.liarUntil) {
			c.mu.Unlock()
			return
		}
		p.liarUntil = now.Add(c.cfg.IgnoreWait)
		c.ignore(p, c.cfg.IgnoreWait, err)
	}
	c.mu.Unlock()
	c.deps.Log.Warn("catchup: a peer sent what does not hold", "peer", id.Short(), "err", err)
	c.deps.Network.Report(id, offence, "catchup: "+err.Error())
}

// ignore disbelieves a peer for a while. The caller holds mu.
func (c *CatchUp) ignore(p *peer, wait time.Duration, err error) {
	if until := time.Now().Add(wait); until.After(p.ignoredUntil) {
		p.ignoredUntil, p.why = until, err.Error()
	}
}
