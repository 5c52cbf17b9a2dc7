package gossip

import (
	"context"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// feed is how many batches of the pool may wait for the sender; when it falls behind further, its peers are told to compare.
	feed = 256
	// linksWait is the least time between two messages about our links: a network that starts changes them many times a second.
	linksWait = 100 * time.Millisecond
	// oweWait is the least time between two requests to compare to one peer, and how long one that found no room waits.
	oweWait = 500 * time.Millisecond
	// resubscribeWait is the pause before the pool is asked for its transactions again: it was faster than we are, or it has ended.
	resubscribeWait = 20 * time.Millisecond
)

// relay are transactions of a peer that the pool admitted.
type relay struct {
	from chain.Peer
	txs  []*chain.Tx
}

// outbox collects one batch. One goroutine has it.
type outbox struct {
	msg []byte
	n   int
	// last is the size of the batch before, a guess at this one's.
	last int
}

func (o *outbox) add(raw []byte) {
	if o.msg == nil {
		o.msg = append(make([]byte, 0, max(512, o.last+o.last/4, len(raw)+16)), kindTxs)
	}
	o.msg = appendTx(o.msg, raw)
	o.n++
}

// take gives the batch away: the network keeps it.
func (o *outbox) take() (msg []byte, n int) {
	msg, n = o.msg, o.n
	o.msg, o.n, o.last = nil, 0, len(msg)
	return msg, n
}

// spreader is the state of the sending goroutine.
type spreader struct {
	g *Gossip
	// local collects what entered here, boxes what each peer sent, by peer.
	local outbox
	boxes map[chain.Peer]*outbox
	// flushed is when the last batch went out, wait how long the next one waits after that.
	flushed time.Time
	wait    time.Duration
	// told is when our links went out.
	told time.Time
	// resubscribe is when to ask the pool again after it has ended the subscription.
	resubscribe time.Time
}

func newSpreader(g *Gossip) *spreader {
	return &spreader{g: g, boxes: make(map[chain.Peer]*outbox), wait: g.cfg.BatchWait}
}

// send batches and sends until ctx ends.
func (g *Gossip) send(ctx context.Context) {
	s := newSpreader(g)
	local, cancel := g.deps.Pool.SubscribeLocal(feed)
	defer func() { cancel() }()
	g.oweAll() // what was ready before is announced to nobody
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		var txs []*chain.Tx
		open := true
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-g.sendBell:
		case r := <-g.relays:
			s.relay(r)
		case txs, open = <-local:
			s.add(txs)
		}
		now := time.Now()
		switch {
		case !open:
			cancel()
			local, s.resubscribe = nil, now.Add(resubscribeWait)
		case local == nil && !now.Before(s.resubscribe):
			local, cancel = g.deps.Pool.SubscribeLocal(feed)
			g.oweAll()
		}
		s.drain(local)
		wait := s.act(now)
		if local == nil {
			wait = min(wait, s.resubscribe.Sub(now))
		}
		timer.Reset(wait)
	}
}

// oweAll remembers that all peers missed something.
func (g *Gossip) oweAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peers {
		p.owes = true
	}
}

// drain takes what is there already, so that it goes into one batch.
func (s *spreader) drain(local <-chan []*chain.Tx) {
	for range feed {
		select {
		case txs := <-local: // none when it has closed, which the loop notices
			s.add(txs)
		case r := <-s.g.relays:
			s.relay(r)
		default:
			return
		}
	}
}

func (s *spreader) add(txs []*chain.Tx) {
	for _, tx := range txs {
		s.put(&s.local, "", tx)
	}
}

func (s *spreader) relay(r relay) {
	box := s.boxes[r.from]
	if box == nil {
		box = new(outbox)
		s.boxes[r.from] = box
	}
	for _, tx := range r.txs {
		s.put(box, r.from, tx)
	}
}

func (s *spreader) put(box *outbox, source chain.Peer, tx *chain.Tx) {
	box.add(tx.Raw())
	if len(box.msg) >= s.g.cfg.BatchBytes || box.n == maxBatchTxs {
		s.wait = s.g.cfg.BatchWait
		s.flush(box, source)
	}
}

// flush sends a batch to all that need it.
func (s *spreader) flush(box *outbox, source chain.Peer) {
	msg, n := box.take()
	if n == 0 {
		return
	}
	s.flushed = time.Now()
	g := s.g
	g.mu.Lock()
	targets := g.targets(source)
	g.mu.Unlock()
	for _, to := range targets {
		if !g.deps.Network.Send(to, Protocol, msg) {
			g.stats.lost.Add(1)
			g.owe(to)
			continue
		}
		g.stats.batches.Add(1)
		if source == "" {
			g.stats.sent.Add(uint64(n))
		} else {
			g.stats.relayed.Add(uint64(n))
		}
	}
}

// owe remembers that a peer missed something.
func (g *Gossip) owe(to chain.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peers[to]; p != nil {
		p.owes = true
	}
}

// act does what is due and returns how long until something else is.
func (s *spreader) act(now time.Time) time.Duration {
	next := s.flushDue(now)
	next = min(next, s.g.tellLinks(s, now))
	return min(next, s.g.tellOwed(now)) // last: what found no room just now is owed
}

// flushDue sends the batches that have waited long enough.
func (s *spreader) flushDue(now time.Time) time.Duration {
	n := s.local.n
	for _, box := range s.boxes {
		n += box.n
	}
	if n == 0 {
		return idle
	}
	since := now.Sub(s.flushed)
	if since < s.wait {
		return s.wait - since
	}
	switch { // as the load is
	case since >= 2*s.g.cfg.BatchWaitMax:
		s.wait = s.g.cfg.BatchWait
	case n < worthSending:
		s.wait = min(2*s.wait, s.g.cfg.BatchWaitMax)
	default:
		s.wait = max(s.wait/2, s.g.cfg.BatchWait)
	}
	s.flush(&s.local, "")
	for source, box := range s.boxes {
		s.flush(box, source)
	}
	clear(s.boxes) // a batch's guess of its size is all that they hold
	return idle
}

// worthSending is how many transactions make the cost of a message small beside theirs.
const worthSending = 16

// idle is how long the sender sleeps when nothing is due.
const idle = time.Hour

// tellLinks tells all peers our links after they changed.
func (g *Gossip) tellLinks(s *spreader, now time.Time) time.Duration {
	g.mu.Lock()
	dirty := g.linksDirty
	wait := s.told.Add(linksWait).Sub(now)
	var links []chain.Peer
	if dirty && wait <= 0 {
		g.linksDirty = false
		for id, p := range g.peers {
			if p.connected {
				links = append(links, id)
			}
		}
	}
	g.mu.Unlock()
	switch {
	case !dirty:
		return idle
	case wait > 0:
		return wait
	}
	s.told = now
	msg, failed := encodeLinks(links), false
	for _, to := range links {
		failed = !g.deps.Network.Send(to, Protocol, msg) || failed
	}
	if !failed {
		return idle
	}
	g.mu.Lock()
	g.linksDirty = true
	g.mu.Unlock()
	return linksWait
}

// tellOwed tells the peers that may lack something of ours to compare.
func (g *Gossip) tellOwed(now time.Time) time.Duration {
	next := idle
	var due []chain.Peer
	g.mu.Lock()
	for id, p := range g.peers {
		if !p.owes || !p.connected {
			continue
		}
		if wait := p.oweAt.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		p.owes, p.oweAt = false, now.Add(oweWait)
		due = append(due, id)
	}
	g.mu.Unlock()
	for _, to := range due {
		if !g.deps.Network.Send(to, Protocol, []byte{kindLacks}) {
			g.owe(to)
			next = min(next, oweWait)
		}
	}
	return next
}
