package attest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

const (
	// repeatEvery is how long the finalized height stands still before signatures are repeated: long beside a round trip, short for a person.
	repeatEvery = time.Second
	// askPeers is how many peers are asked for missing certificates at a time, in turn; one of them may be as far behind as we are.
	askPeers = 2
	// asksPerSecond bounds the questions of one peer that are answered.
	asksPerSecond = 32
)

// Receive takes a peer's message. It never blocks: it decodes, and queues what is worth verifying. The error wraps ErrMessage; what is found wrong later
// goes to Config.Refused.
func (a *Attester) Receive(from chain.Peer, msg []byte) error {
	if a.cfg.Unsigned {
		return fmt.Errorf("%w: nobody signs on this chain", ErrMessage)
	}
	m, err := decodeMessage(msg)
	if err != nil {
		return err
	}
	m.Signed = slices.DeleteFunc(m.Signed, func(s signed) bool { near, _ := a.near(s.Height); return !near })
	m.Certificates = slices.DeleteFunc(m.Certificates, func(c chain.Certificate) bool { near, _ := a.near(c.Height); return !near })
	if m.Lacks > 0 && !a.grant(from, m.Lacks) {
		m.Lacks = 0
	}
	if m.Lacks == 0 && len(m.Signed) == 0 && len(m.Certificates) == 0 {
		return nil
	}
	a.inbox.put(received{from, len(msg), m})
	return nil
}

// Joined is for a peer that has just connected: it is told our signatures that it may have missed. It never blocks.
func (a *Attester) Joined(peer chain.Peer) {
	if a.cfg.Network == nil || a.cfg.Unsigned {
		return
	}
	a.mu.Lock()
	m := a.pending()
	a.mu.Unlock()
	if m.Lacks > 0 {
		a.cfg.Network.Send(peer, encodeMessage(m))
	}
}

// Dropped counts messages that found the queue full.
func (a *Attester) Dropped() uint64 {
	a.inbox.mu.Lock()
	defer a.inbox.mu.Unlock()
	return a.inbox.dropped
}

// grant tells whether a question is to be answered.
func (a *Attester) grant(from chain.Peer, lacks uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if lacks > a.finalized || a.credits[from] >= asksPerSecond {
		return false
	}
	a.credits[from]++
	return true
}

// work verifies what peers have sent, until ctx ends.
func (a *Attester) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.inbox.bell:
		}
		for _, r := range a.inbox.take() {
			if ctx.Err() != nil {
				return
			}
			a.verify(&r)
		}
	}
}

func (a *Attester) verify(r *received) {
	for i := range r.m.Signed {
		s := &r.m.Signed[i]
		a.refused(r.from, a.Handle(s.Height, s.Header, &s.Attestation))
	}
	last := uint64(0)
	for i := range r.m.Certificates {
		c := &r.m.Certificates[i]
		err := a.Certified(c)
		if err == nil {
			last = max(last, c.Height)
		}
		a.refused(r.from, err)
	}
	if len(r.m.Certificates) == maxCertificates && last > 0 {
		a.askOn(r.from, last+1)
	}
	if r.m.Lacks > 0 {
		a.answer(r.from, r.m.Lacks)
	}
}

// refused reports what an honest peer would not have sent.
func (a *Attester) refused(from chain.Peer, err error) {
	if a.cfg.Refused == nil || err == nil {
		return
	}
	for _, offence := range []error{ErrMember, ErrEquivocation, crypto.ErrSignature, chain.ErrCertificate} {
		if errors.Is(err, offence) {
			a.cfg.Refused(from, err)
			return
		}
	}
}

// askOn asks a peer that has answered in full for more, if more is lacking.
func (a *Attester) askOn(peer chain.Peer, from uint64) {
	a.mu.Lock()
	more := from <= a.executed
	a.mu.Unlock()
	if more && a.cfg.Network != nil {
		a.cfg.Network.Send(peer, encodeMessage(&message{Lacks: from}))
	}
}

// answer sends the certificates from a height on that fit into a message.
func (a *Attester) answer(peer chain.Peer, from uint64) {
	if a.cfg.Network == nil {
		return
	}
	m, size := new(message), 64
	for height := from; height <= a.Finalized() && len(m.Certificates) < maxCertificates; height++ {
		c, err := a.cfg.Store.Certificate(height)
		if err != nil {
			a.log.Warn("cannot read a certificate that a peer asks for", "height", height, "peer", peer.Short(), "err", err)
			return
		}
		if c == nil {
			continue // passed over, a later one vouches for it
		}
		if size += len(c.Encode()); size > MaxMessage {
			break
		}
		m.Certificates = append(m.Certificates, *c)
	}
	if len(m.Certificates) > 0 {
		a.cfg.Network.Send(peer, encodeMessage(m))
	}
}

// repeat runs every second. While finalized stands still below what is executed, it says again what may have been lost.
func (a *Attester) repeat() {
	a.mu.Lock()
	clear(a.credits)
	if a.finalized != a.seen || a.executed == a.finalized {
		a.seen, a.still = a.finalized, 0
		a.mu.Unlock()
		return
	}
	a.still++
	if a.still%10 == 0 {
		a.note(slog.LevelWarn, "no quorum attests the next block", "height", a.finalized+1, "seconds", a.still, "executed", a.executed)
	}
	m, turn := a.pending(), a.turn
	a.turn += askPeers
	a.mu.Unlock()
	if a.cfg.Network == nil {
		return
	}
	if len(m.Signed) > 0 {
		a.cfg.Network.Broadcast(encodeMessage(&message{Signed: m.Signed}))
	}
	peers := a.cfg.Network.Connected()
	for i := range min(askPeers, len(peers)) {
		a.cfg.Network.Send(peers[(turn+i)%len(peers)], encodeMessage(&message{Lacks: m.Lacks}))
	}
}

// pending is our oldest signatures without a certificate, and the first height that lacks one. The caller holds mu.
func (a *Attester) pending() *message {
	m := new(message)
	for height := a.finalized + 1; height <= a.executed && len(m.Signed) < maxSigned; height++ {
		g := a.heights[height]
		if g == nil || g.ours.IsZero() {
			continue
		}
		if m.Lacks == 0 {
			m.Lacks = height
		}
		if g.own != nil {
			m.Signed = append(m.Signed, signed{height, g.ours, *g.own})
		}
	}
	return m
}
