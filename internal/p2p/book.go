package p2p

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// maxRecords bounds what is remembered of peers that are neither members, configured nor connected; the longest unheard go first.
	maxRecords = 2048
	// banScore is where a peer is banned. healPerSecond is what a score regains: a Misbehaviour is forgotten in a hundred seconds, so only who keeps
	// at it reaches the ban.
	banScore      = -100
	healPerSecond = 0.1
	// nuisanceFloor is as low as nuisances bring a score: when a set of validators changes, honest ones are a nuisance to each other by the hundred.
	nuisanceFloor = -50
)

// book is what is known of peers: who belongs, who is connected, who is out. Safe for concurrent use.
type book struct {
	now func() time.Time
	// live is who can be sent to; replaced as a whole, so that senders take no lock.
	live atomic.Pointer[map[chain.Peer]*conn]

	mu      sync.Mutex
	records map[chain.Peer]*record
	// events wait for the watchers, in order. Each connection makes two, and watchers do not block, so they are few.
	events []event
	ring   chan struct{} // holds one token when there are events
}

// record is one peer's. Its fields belong to the book's mutex, the counters to everyone.
type record struct {
	peer chain.Peer
	// member, configured and found peers have room reserved; found are those that answered at a configured address.
	member, configured, found bool
	// endpoints to dial: the configuration's, the members' list's, the peer's own announcement.
	static, listed, announced string

	conn      *conn  // nil when not connected
	last      *conn  // the latest one, which may still be ending
	address   string // last connected at, or tried at
	heard     time.Time
	score     float64
	scored    time.Time
	bannedTil time.Time
	lastError string

	sent, received, dropped atomic.Uint64
}

func (r *record) reserved() bool { return r.member || r.configured || r.found }

// event is a connection that came or went.
type event struct {
	conn *conn
	came bool
}

func newBook(now func() time.Time) *book {
	b := &book{now: now, records: make(map[chain.Peer]*record), ring: make(chan struct{}, 1)}
	b.live.Store(&map[chain.Peer]*conn{})
	return b
}

// connected is the connection to a peer, nil when there is none.
func (b *book) connected(p chain.Peer) *conn { return (*b.live.Load())[p] }

// conns are all connections, by peer.
func (b *book) conns() map[chain.Peer]*conn { return *b.live.Load() }

func (b *book) isMember(p chain.Peer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[p]
	return r != nil && r.member
}

// connectedKinds counts the connected members and others.
func (b *book) connectedKinds() (members, others int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		switch {
		case r.conn != nil && r.member:
			members++
		case r.conn != nil:
			others++
		}
	}
	return members, others
}

// get is a peer's record, made if need be. Called with mu held.
func (b *book) get(p chain.Peer) *record {
	r := b.records[p]
	if r == nil {
		b.prune()
		r = &record{peer: p, heard: b.now()}
		b.records[p] = r
	}
	return r
}

// prune makes room for a record. Called with mu held.
func (b *book) prune() {
	if len(b.records) < maxRecords {
		return
	}
	var oldest *record
	for _, r := range b.records {
		if r.reserved() || r.conn != nil {
			continue
		}
		// Who is banned stays before who is not: a crowd of new keys does not wash off a ban.
		if oldest == nil || cmp.Or(r.bannedTil.Compare(oldest.bannedTil), r.heard.Compare(oldest.heard)) < 0 {
			oldest = r
		}
	}
	if oldest != nil {
		delete(b.records, oldest.peer)
	}
}

// setMembers replaces the members and reports who is one no longer.
func (b *book) setMembers(members map[chain.Peer]string) (former []chain.Peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, r := range b.records {
		if _, is := members[p]; r.member && !is {
			r.member, r.listed = false, ""
			former = append(former, p)
		}
	}
	for p, endpoint := range members {
		r := b.get(p)
		r.member, r.listed = true, endpoint
	}
	return former
}

// configure names a peer of the configuration.
func (b *book) configure(p chain.Peer, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.get(p)
	r.configured, r.static = true, address
}

// addresses are where a peer may be reached, the likeliest first.
func (b *book) addresses(p chain.Peer) (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[p]
	if r == nil {
		return nil
	}
	for _, a := range []string{r.static, r.listed, r.announced} {
		if a != "" && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// bannedFor is how long a peer stays out; 0 when it is welcome.
func (b *book) bannedFor(p chain.Peer) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.records[p]; r != nil {
		return max(0, r.bannedTil.Sub(b.now()))
	}
	return 0
}

// penalise lowers a score. It reports the connection to end when that means a ban.
func (b *book) penalise(p chain.Peer, offence Offence, banTime time.Duration) (c *conn, banned bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.get(p)
	r.heal(b.now())
	if offence == Nuisance {
		r.score = min(r.score, max(nuisanceFloor, r.score-float64(Nuisance)))
	} else {
		r.score -= float64(offence)
	}
	if r.score > banScore {
		return nil, false
	}
	banned = !r.bannedTil.After(b.now())
	r.bannedTil = b.now().Add(banTime)
	return r.conn, banned
}

// heal brings the score up to now. Called with the book's mu held.
func (r *record) heal(now time.Time) {
	if !r.bannedTil.IsZero() && !r.bannedTil.After(now) { // it is over, and forgotten
		r.score, r.bannedTil = 0, time.Time{}
	}
	if !r.scored.IsZero() {
		r.score = min(0, r.score+healPerSecond*now.Sub(r.scored).Seconds())
	}
	r.scored = now
}

// failed notes why a peer is not connected and reports whether that is news.
func (b *book) failed(p chain.Peer, address, why string) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.get(p)
	if r.conn != nil { // by another connection
		return false
	}
	news = r.lastError != why
	r.lastError, r.address = why, address
	return news
}

// enter makes c the connection of its peer. The one before it, if there still is any, ends. Called with mu held.
func (b *book) enter(c *conn) {
	r := c.record
	if r.conn != nil {
		r.conn.end(errReplaced, codeTwice)
		b.events = append(b.events, event{r.conn, false})
	}
	c.before, r.last = r.last, c
	r.conn, r.address, r.heard, r.lastError = c, c.address, b.now(), ""
	b.publish(func(live map[chain.Peer]*conn) { live[c.peer] = c })
	b.events = append(b.events, event{c, true})
	b.ringWatchers()
}

// leave forgets a connection that has ended, unless another has taken its place.
func (b *book) leave(c *conn) {
	why := c.ending()
	b.mu.Lock()
	defer b.mu.Unlock()
	r := c.record
	if r.conn != c {
		return
	}
	r.conn, r.heard, r.lastError = nil, b.now(), why
	b.publish(func(live map[chain.Peer]*conn) { delete(live, c.peer) })
	b.events = append(b.events, event{c, false})
	b.ringWatchers()
}

// publish replaces live by an altered copy. Called with mu held.
func (b *book) publish(alter func(map[chain.Peer]*conn)) {
	live := maps.Clone(*b.live.Load())
	alter(live)
	b.live.Store(&live)
}

func (b *book) ringWatchers() {
	select {
	case b.ring <- struct{}{}:
	default:
	}
}

// takeEvents are what the watchers do not know yet.
func (b *book) takeEvents() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.events
	b.events = nil
	return out
}

// infos describes every record, sorted by peer.
func (b *book) infos() []Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	out := make([]Info, 0, len(b.records))
	for _, r := range b.records {
		r.heal(now)
		i := Info{Peer: r.peer, Address: r.address, Member: r.member, Score: int(math.Round(r.score)), BannedUntil: r.bannedTil, LastError: r.lastError,
			Sent: r.sent.Load(), Received: r.received.Load(), Dropped: r.dropped.Load()}
		if i.Address == "" {
			for _, a := range []string{r.static, r.listed, r.announced} {
				if a != "" {
					i.Address = a
					break
				}
			}
		}
		if c := r.conn; c != nil {
			i.Connected, i.Inbound, i.Since, i.RoundTrip = true, c.inbound, c.since, c.session.RTT()
			i.Channel = c.net.channel.security.called(c.mux.ConnState().Security)
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(string(a.Peer), string(b.Peer)) })
	return out
}

// wanted are the peers to be connected to.
func (b *book) wanted() (out []chain.Peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, r := range b.records {
		if r.member || r.configured {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// isReserved reports whether a peer has room reserved.
func (b *book) isReserved(p chain.Peer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[p]
	return r != nil && r.reserved()
}

// rumoured notes where a peer is said to be, if nothing better is known.
func (b *book) rumoured(r rumour) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rec := b.get(r.peer); rec.announced == "" {
		rec.announced = r.address
	}
}
