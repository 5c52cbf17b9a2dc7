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
	// briefBlocks is how near to the end of a peer's chain a block must be for its transactions to be likely here: gossip brings what is not yet executed.
	briefBlocks = 8
	// fast is how soon a full answer must come for the peer to be asked for twice as much next time.
	fast = 500 * time.Millisecond
)

// peer finds a peer or begins to know it; nil when too many are known. The caller holds mu.
func (c *CatchUp) peer(id chain.Peer, now time.Time) *peer {
	p := c.peers[id]
	if p == nil && len(c.peers) < maxPeers {
		p = &peer{id: id, tokens: statusBurst, counted: now, ask: min(firstAsk, c.cfg.RangeBytes), paced: now}
		c.peers[id] = p
	}
	return p
}

const (
	// serveRate is what one peer is served in the long run in bytes a second, serveBurst at once. Blocks of 16 MiB a second are more than any chain makes
	// and cost us a fifth of a core; without a limit, asking costs a peer nothing and us all we have.
	serveRate  = 16 << 20
	serveBurst = 32 << 20
)

// pace waits until the peer may be served again. Who asks faster waits in its own request.
func (c *CatchUp) pace(ctx context.Context, id chain.Peer) error {
	for {
		wait := c.paceWait(id, 0)
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// paceWait charges a peer with bytes that it was served and tells how long until it may be served again.
func (c *CatchUp) paceWait(id chain.Peer, bytes int) time.Duration {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peer(id, now)
	if p == nil {
		return failMost // more peers than there can be
	}
	p.debt = max(0, p.debt-now.Sub(p.paced).Seconds()*serveRate) + float64(bytes)
	p.paced = now
	return time.Duration((p.debt - serveBurst) / serveRate * float64(time.Second))
}

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
	r := &request{kind: kindBlocks, height: s.from, count: uint32(count), bytes: uint32(best.ask)}
	if best.told.Decided-s.from < briefBlocks {
		r.kind = kindBrief
	}
	return best.id, r
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
