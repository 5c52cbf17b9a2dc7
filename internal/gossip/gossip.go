package gossip

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The offences that Network.Report is told; the numbers are p2p's.
const (
	nuisance     = 1
	misbehaviour = 10
)

// Network reaches the peers. Safe for concurrent use; Send and Report never block.
type Network interface {
	// Send is false when the peer is not connected or its queue is full. msg is not altered afterwards.
	Send(to chain.Peer, protocol string, msg []byte) bool
	Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error)
	// Report tells how badly a peer behaved: 1 what can happen to an honest one, 10 what cannot.
	Report(peer chain.Peer, offence int, why string)
	// Connected are the peers that can be sent to now, sorted.
	Connected() []chain.Peer
}

// Pool is where transactions wait. Safe for concurrent use.
type Pool interface {
	// AddBatch admits in the given order; a nil transaction where there is an error. The raw bytes belong to the pool afterwards.
	AddBatch(ctx context.Context, raws [][]byte, local bool) ([]*chain.Tx, []error)
	// AddUrgent is AddBatch for what a proposal waits for: it comes before all else.
	AddUrgent(ctx context.Context, raws [][]byte) ([]*chain.Tx, []error)
	// SubscribeLocal delivers local transactions as they become ready; the channel closes when the receiver is too slow, and when the pool ends.
	SubscribeLocal(buf int) (<-chan []*chain.Tx, func())
	// Bodies returns nil in the places of the missing ones, and lists those.
	Bodies(hashes []common.Hash) (chain.Txs, []common.Hash)
	// Waiting lists what is ready, in the order in which it will be proposed.
	Waiting(max int) []common.Hash
}

// Blocks has the transactions that have left the pool. Safe for concurrent use.
type Blocks interface {
	// Tx finds a transaction of a durable block, nil when there is none.
	Tx(hash common.Hash) (*chain.TxLookup, error)
}

// Deps are what gossip works with.
type Deps struct {
	Network Network
	Pool    Pool
	Blocks  Blocks
	// Verifier checks what Fetch gets.
	Verifier *chain.Verifier
	// Full tells whether the pool refused a transaction for want of room, so that it is worth asking for again. nil: never.
	Full func(err error) bool
	// Log may be nil.
	Log *slog.Logger
}

// maxPeers bounds the peers that are known at a time; the network admits fewer.
const maxPeers = 1024

// Gossip spreads transactions. Run is called once; all other methods are safe for concurrent use and do nothing useful before it.
type Gossip struct {
	cfg   Config
	deps  Deps
	stats counters

	// work holds peers with something in their queue, each at most once.
	work chan *peer
	// relays carries what was admitted from a peer to the sender's goroutine.
	relays chan relay
	// sendBell and compareBell wake the two loops; each holds one ring.
	sendBell, compareBell chan struct{}
	// round numbers the fetches, so that they do not all begin with the same peer.
	round atomic.Uint32

	// mu guards all below and the peers' fields. Nothing is sent under it.
	mu    sync.Mutex
	peers map[chain.Peer]*peer
	// linksDirty tells that our links changed since the peers heard of them.
	linksDirty bool
	// snapshots are listings of our pool that peers read, the oldest first; listed numbers them.
	snapshots []snapshot
	listed    uint64
}

// peer is what is known of another node. Its fields are guarded by Gossip.mu.
type peer struct {
	id        chain.Peer
	connected bool
	since     time.Time
	// links is nil until the peer has told them.
	links map[chain.Peer]struct{}
	// told counts the links messages of the second that began at toldSince.
	told      int
	toldSince time.Time

	// queue are batches for the pool, queued their bytes with those of working; busy tells that a worker has the peer or it is in Gossip.work.
	queue  []*parcel
	queued int
	busy   bool
	// working are the batches that the pool is being given, until done closes.
	working []*parcel
	done    chan struct{}

	// lacks tells that we must compare our pool with the peer's, at compareAt or later; wait is the pause after the next comparison.
	lacks, comparing bool
	compareAt        time.Time
	wait             time.Duration
	// owes tells that the peer must be told to compare, at oweAt or later.
	owes  bool
	oweAt time.Time
	// listedAt is when the peer asked for a new listing of our pool.
	listedAt time.Time
	// debt is how many transactions were looked up for the peer beyond what time has allowed since, as of paced.
	debt  float64
	paced time.Time
}

// New returns a gossip that knows nobody.
func New(cfg Config, deps Deps) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Full == nil {
		deps.Full = func(error) bool { return false }
	}
	return &Gossip{cfg: cfg, deps: deps, work: make(chan *peer, 2*maxPeers), relays: make(chan relay, 64), sendBell: make(chan struct{}, 1),
		compareBell: make(chan struct{}, 1), peers: make(map[chain.Peer]*peer)}, nil
}

// Run spreads until ctx ends; it returns nil when its goroutines have ended.
func (g *Gossip) Run(ctx context.Context) error {
	var running errgroup.Group
	running.Go(func() error { g.send(ctx); return nil })
	running.Go(func() error { g.compare(ctx); return nil })
	for range g.cfg.Workers {
		running.Go(func() error { g.receive(ctx); return nil })
	}
	return running.Wait()
}

// Handle takes a message of Protocol. It never blocks; msg belongs to it.
func (g *Gossip) Handle(from chain.Peer, msg []byte) {
	if len(msg) == 0 || len(msg) > MaxMessage {
		g.deps.Network.Report(from, misbehaviour, "gossip: message of a size that there is not")
		return
	}
	switch body := msg[1:]; msg[0] {
	case kindTxs:
		g.enqueue(from, body)
	case kindLinks:
		g.handleLinks(from, body)
	case kindLacks:
		g.mu.Lock()
		if p := g.peer(from); p != nil {
			p.lacks = true
		}
		g.mu.Unlock()
		ring(g.compareBell)
	default:
		g.deps.Network.Report(from, misbehaviour, "gossip: message of an unknown kind")
	}
}

// Changed tells that a peer has come or gone. It never blocks.
func (g *Gossip) Changed(id chain.Peer, connected bool) {
	g.mu.Lock()
	now := time.Now()
	for other, p := range g.peers { // who sent something and was never announced, or only after it was gone
		if !p.connected && now.Sub(p.since) > time.Minute {
			delete(g.peers, other)
		}
	}
	if connected {
		if p := g.peer(id); p != nil {
			p.connected, p.lacks = true, true
		}
	} else {
		delete(g.peers, id)
	}
	g.linksDirty = true
	g.mu.Unlock()
	ring(g.sendBell)
	ring(g.compareBell)
}

// peer finds a peer or begins to know it; nil when too many are known. The caller holds mu.
func (g *Gossip) peer(id chain.Peer) *peer {
	p := g.peers[id]
	if p == nil && len(g.peers) < maxPeers {
		p = &peer{id: id, since: time.Now(), wait: g.cfg.CompareWait}
		g.peers[id] = p
	}
	return p
}

// handleLinks replaces what is known of a peer's links. Where one of them broke, each of its two ends may lack what came to us from the other one and
// we kept back for it: we tell those that are our peers to compare. The other end may have been our peer and be gone, so the teller is told always.
func (g *Gossip) handleLinks(from chain.Peer, body []byte) {
	links, err := decodeLinks(body)
	if err != nil {
		g.deps.Network.Report(from, misbehaviour, "gossip: links: "+err.Error())
		return
	}
	g.mu.Lock()
	p := g.peer(from)
	if p == nil {
		g.mu.Unlock()
		return
	}
	flood := p.tooMany(time.Now())
	for other := range p.links {
		if _, still := links[other]; still {
			continue
		}
		p.owes = true
		if q := g.peers[other]; q != nil {
			q.owes = true
		}
	}
	p.links = links
	g.mu.Unlock()
	if flood {
		g.deps.Network.Report(from, nuisance, "gossip: tells its links too often")
	}
	ring(g.sendBell)
}

// linksPerSecond is how often a peer may tell its links: we do so at most ten times.
const linksPerSecond = 40

// tooMany counts a links message and tells whether it is more than an honest peer sends.
func (p *peer) tooMany(now time.Time) bool {
	if now.Sub(p.toldSince) >= time.Second {
		p.told, p.toldSince = 0, now
	}
	p.told++
	return p.told > linksPerSecond
}

// targets are the peers that must be sent what came from source: those that source has no link to. Without a source, all.
// Both ends must say that they have a link. The caller holds mu.
func (g *Gossip) targets(source chain.Peer) []chain.Peer {
	var out []chain.Peer
	from := g.peers[source]
	for id, p := range g.peers {
		if !p.connected || id == source {
			continue
		}
		if from != nil {
			_, there := from.links[id]
			_, back := p.links[source]
			if there && back {
				continue
			}
		}
		out = append(out, id)
	}
	return out
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
