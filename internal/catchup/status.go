package catchup

import (
	"context"
	"slices"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// PeerState is what a peer has told, for people.
type PeerState struct {
	Peer chain.Peer
	// First is the lowest height that it serves; the others are how far it says it is.
	First, Decided, Executed, Finalized uint64
	// Heard is when it told that.
	Heard time.Time
	// ClockOffset is its clock minus ours, RoundTrip how exact that is: the error is at most half of it. Both 0 when not yet known.
	ClockOffset, RoundTrip time.Duration
	// IgnoredUntil is in the future while the peer is not asked and not believed, Why says for what.
	IgnoredUntil time.Time
	Why          string
}

// peer is what is known of another node. Its fields are guarded by CatchUp.mu.
type peer struct {
	id    chain.Peer
	told  status
	heard time.Time
	// tokens meter its messages, as of counted.
	tokens  float64
	counted time.Time

	offset, roundTrip time.Duration
	measured          time.Time

	// ignoredUntil is until when it is not asked, for the reason why; liarUntil the same where it lied.
	ignoredUntil, liarUntil time.Time
	why                     string
	// failures counts requests that failed in a row; ask is what to ask it for in bytes; asking counts the ranges that it is asked for.
	failures, ask, asking int

	// debt is what the peer was served beyond what time has allowed since, in bytes, as of paced.
	debt  float64
	paced time.Time
}

const (
	// statusRate is how many messages a second of one peer are heard: twice what StatusLeast lets an honest one send; statusBurst of them may come at once.
	statusRate  = 40
	statusBurst = 100
	// stale is after how long without a message a peer's heights count no more. Its connection may well last.
	stale = 15 * time.Second
	// firstAsk is what an unknown peer is asked for at first, in bytes.
	firstAsk = 1 << 20
	// offsetLife is how long a measurement of a clock keeps a worse one away.
	offsetLife = 30 * time.Second
)

// Run tells the peers our heights until ctx ends (nil).
func (c *CatchUp) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var sent time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.bell:
			if wait := time.Until(sent.Add(c.cfg.StatusLeast)); wait > 0 {
				timer.Reset(wait)
				continue
			}
		}
		sent = time.Now()
		c.tell()
		timer.Reset(c.cfg.StatusMost)
	}
}

// tell sends our status to all peers. One that has no room for it gets the next one.
func (c *CatchUp) tell() {
	connected := c.deps.Network.Connected()
	c.mu.Lock()
	c.sweep(connected)
	s := status{First: c.first, Decided: c.decided, Executed: min(c.executed, c.decided)}
	s.Finalized = min(c.finalized, s.Executed)
	s.First = max(min(s.First, s.Decided+1), 1)
	now := time.Now()
	s.Clock = uint64(max(c.deps.Now().UnixMilli(), 0))
	msgs := make([][]byte, len(connected))
	for i, id := range connected {
		one := s
		if p := c.peers[id]; p != nil && !p.heard.IsZero() {
			one.Echo, one.Held = p.told.Clock, uint64(max(now.Sub(p.heard).Milliseconds(), 0))
		}
		msgs[i] = one.encode()
	}
	c.mu.Unlock()
	for i, id := range connected {
		c.deps.Network.Send(id, Protocol, msgs[i])
	}
}

// sweep forgets who is gone, whatever became of its messages. The caller holds mu.
func (c *CatchUp) sweep(connected []chain.Peer) {
	for id, p := range c.peers {
		if _, there := slices.BinarySearch(connected, id); !there && time.Since(p.heard) > stale && p.asking == 0 && time.Now().After(p.ignoredUntil) {
			delete(c.peers, id)
		}
	}
}

// Changed tells that a peer has come or gone. It never blocks.
func (c *CatchUp) Changed(id chain.Peer, connected bool) {
	c.mu.Lock()
	if p := c.peers[id]; p != nil && !connected {
		p.heard = time.Time{} // its heights count no more; that it lied is not forgotten
	}
	c.mu.Unlock()
	ring(c.bell)
}

// Handle takes a message of Protocol. It never blocks.
func (c *CatchUp) Handle(from chain.Peer, msg []byte) {
	s, err := decodeStatus(msg)
	if err != nil {
		c.deps.Network.Report(from, misbehaviour, "catchup: "+err.Error())
		return
	}
	if flood := c.hear(from, s); flood {
		c.deps.Network.Report(from, nuisance, "catchup: tells its heights too often")
	}
}

// hear keeps what a peer tells and tells whether it talks too much, in which case nothing is kept.
func (c *CatchUp) hear(from chain.Peer, s *status) (flood bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peer(from, now)
	if p == nil {
		return false
	}
	p.tokens = min(statusBurst, p.tokens+now.Sub(p.counted).Seconds()*statusRate)
	p.counted = now
	if p.tokens < 1 {
		return true
	}
	p.tokens--
	p.told, p.heard = *s, now
	p.measure(s, c.deps.Now().UnixMilli(), now)
	if p.believed(now) && s.Decided > c.decided {
		ring(c.behind)
	}
	return false
}

// measure estimates the peer's clock from a message that came back: it left us at Echo, was held there for Held, and the answer left at Clock.
func (p *peer) measure(s *status, clock int64, now time.Time) {
	if s.Echo == 0 {
		return
	}
	trip := clock - int64(s.Echo) - int64(s.Held)
	if trip < 0 || trip > stale.Milliseconds() {
		return // our clock was set meanwhile, or it echoes what we never said
	}
	roundTrip := time.Duration(trip) * time.Millisecond
	if !p.measured.IsZero() && roundTrip > p.roundTrip && now.Sub(p.measured) < offsetLife {
		return
	}
	p.offset = time.Duration(2*int64(s.Clock)-int64(s.Held)-int64(s.Echo)-clock) * time.Millisecond / 2
	p.roundTrip, p.measured = roundTrip, now
}

// believed tells that the peer's heights count now.
func (p *peer) believed(now time.Time) bool {
	return !p.heard.IsZero() && now.Sub(p.heard) <= stale && !now.Before(p.ignoredUntil)
}

// States lists what the peers have told, sorted by peer.
func (c *CatchUp) States() []PeerState {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]PeerState, 0, len(c.peers))
	for _, p := range c.peers {
		if p.heard.IsZero() {
			continue
		}
		out = append(out, PeerState{Peer: p.id, First: p.told.First, Decided: p.told.Decided, Executed: p.told.Executed, Finalized: p.told.Finalized,
			Heard: p.heard, ClockOffset: p.offset, RoundTrip: p.roundTrip, IgnoredUntil: p.ignoredUntil, Why: p.why})
	}
	slices.SortFunc(out, func(a, b PeerState) int {
		switch {
		case a.Peer < b.Peer:
			return -1
		case a.Peer > b.Peer:
			return 1
		}
		return 0
	})
	return out
}
