package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/transport"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Network connects this node with the others of its chain. Handle, Serve, Watch and OnConflict come before Run; all other methods are safe for
// concurrent use.
type Network struct {
	cfg   Config
	id    Identity
	self  chain.Peer
	hello *hello
	log   *slog.Logger
	now   func() time.Time
	asks  time.Duration // discoverPause, less in tests

	// admission is nil on a chain that lets everybody in; readmissions counts the calls of Readmit.
	admission    Admission
	readmissions atomic.Uint64

	channel *channel
	book    *book
	count   counters
	twice   conflicts

	// Fixed once Run has begun.
	protocols map[string]*spoken
	methods   map[string]*served
	byStream  map[string]*spoken // by the name that streams begin with
	byRequest map[string]*served
	watchers  []func(chain.Peer, bool)
	started   atomic.Bool

	leaving  atomic.Bool
	work     sync.WaitGroup
	greeting chan struct{} // places for handshakes of inbound connections
	bound    atomic.Pointer[string]

	listening chan struct{} // closed when Run listens

	mu sync.Mutex
	// targets are whom the node wants to be connected to, by key or, where it is unknown, address.
	targets map[string]*target
	// unknown are the configured addresses without a key, with the reason why nobody has answered there.
	unknown map[string]string
	running context.Context // of Run, for the goroutines that other calls start; nil before
	// refusedAt is when the log last told of a caller with another channel.
	refusedAt time.Time
}

// spoken is a registered protocol, served a registered method.
type spoken struct {
	protocol Protocol
	handler  Handler
	traffic  *traffic
}

type served struct {
	method    Method
	responder Responder
	traffic   *traffic
}

// New checks the configuration and the identity. Nothing is opened before Run.
func New(cfg Config, id Identity, log *slog.Logger) (*Network, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if _, err := newSecurity(id, nil); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	n := &Network{
		cfg: cfg, id: id, self: chain.Peer(id.Key.Public().Bytes()), log: log, now: time.Now, asks: discoverPause,
		protocols: make(map[string]*spoken), methods: make(map[string]*served), byStream: make(map[string]*spoken), byRequest: make(map[string]*served),
		greeting: make(chan struct{}, maxHandshakes), targets: make(map[string]*target), unknown: make(map[string]string), listening: make(chan struct{}),
	}
	n.hello = &hello{Genesis: id.Genesis, ChainID: id.ChainID, Version: printable([]byte(id.Version[:min(len(id.Version), maxVersion)]))}
	if _, err := rand.Read(n.hello.Instance[:]); err != nil {
		return nil, fmt.Errorf("network: draw instance: %w", err)
	}
	n.count.traffic = make(map[string]*traffic)
	n.book = newBook(func() time.Time { return n.now() })
	for _, s := range cfg.Peers {
		key, address, err := parsePeer(s)
		if err != nil {
			return nil, fmt.Errorf("network: peers: %q: %w", s, err)
		}
		if key == "" {
			n.unknown[address] = ""
			continue
		}
		if _, err := id.Suite.ParsePublicKey([]byte(key)); err != nil {
			return nil, fmt.Errorf("network: peers: %q: %w", s, err)
		}
		n.book.configure(key, address)
	}
	n.Serve(noticeMethod, n.hearNotice)
	n.Serve(peersMethod, n.tellPeers)
	n.Serve(certificateMethod, n.hearCertificates)
	return n, nil
}

// Handle gives the messages of protocol p to h. It panics on a protocol that cannot be, and after Run has begun: both are errors of the program.
func (n *Network) Handle(p Protocol, h Handler) {
	n.before("Handle")
	n.checkNew(p.Name)
	if p.MaxMessage < 1 || p.QueueMessages < 1 || p.QueueBytes < p.MaxMessage || p.BytesPerSecond < 0 || p.BytesPerSecond > 0 && p.Burst < 1 || h == nil {
		panic(fmt.Sprintf("p2p: protocol %s: limits %+v cannot be", p.Name, p))
	}
	s := &spoken{p, h, n.count.add(p.Name)}
	n.protocols[p.Name], n.byStream[streamName(n.id.Genesis, p.Name)] = s, s
}

// Serve answers requests of method m by r. It panics as Handle does.
func (n *Network) Serve(m Method, r Responder) {
	n.before("Serve")
	n.checkNew(m.Name)
	if m.MaxRequest < 0 || m.MaxResponse < 0 || m.Parallel < 1 || m.Timeout <= 0 || m.Timeout > maxTimeout || r == nil {
		panic(fmt.Sprintf("p2p: method %s: limits %+v cannot be", m.Name, m))
	}
	s := &served{m, r, n.count.add(m.Name)}
	n.methods[m.Name], n.byRequest[requestName(n.id.Genesis, m.Name)] = s, s
}

// Watch calls f when a peer has come or gone, by one goroutine and in order: after it came and before its first message is handled, and after it went.
// A connection that takes another one's place goes and comes, for messages may be lost in between.
func (n *Network) Watch(f func(peer chain.Peer, connected bool)) {
	n.before("Watch")
	n.watchers = append(n.watchers, f)
}

func (n *Network) before(what string) {
	if n.started.Load() {
		panic("p2p: " + what + " after Run")
	}
}

func (n *Network) checkNew(name string) {
	if err := checkName(name); err != nil {
		panic("p2p: " + err.Error())
	}
	if n.count.traffic[name] != nil {
		panic("p2p: " + name + " is registered twice")
	}
}

// Run listens, connects and serves until ctx ends.
func (n *Network) Run(ctx context.Context) error {
	if n.started.Swap(true) {
		return errors.New("network: Run was called before")
	}
	if n.cfg.Listen == "" {
		close(n.listening)
		<-ctx.Done()
		return nil
	}
	var err error
	if n.channel, err = newChannel(&n.cfg, n.id, n.maxStreams(), func() { n.count.rejected.Add(1) }, n.refuseChannel); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	defer n.channel.limits.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := n.channel.listen(ctx, n.cfg.Listen)
	if err != nil {
		return fmt.Errorf("network: listen at %s: %w", n.cfg.Listen, err)
	}
	n.announce(listener.Addr())
	n.log.Info("listening for peers", "address", n.Address(), "peer", n.self.Short())
	n.mu.Lock()
	n.running = ctx
	n.mu.Unlock()
	close(n.listening)

	told := make(chan struct{})
	go func() {
		defer close(told)
		n.tell(ctx)
	}()
	n.aim()
	if n.cfg.Discovery {
		n.work.Go(func() { n.discover(ctx) })
	}
	failed := make(chan error, 1)
	n.work.Go(func() { failed <- n.accept(ctx, listener) })
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	n.shutDown(cancel, listener)
	<-told
	return err
}

// shutDown ends everything and waits for it.
func (n *Network) shutDown(cancel context.CancelFunc, listener transport.Listener) {
	n.mu.Lock()
	n.leaving.Store(true)
	n.mu.Unlock()
	cancel()
	_ = listener.Close()
	n.book.mu.Lock() // whoever was about to enter a connection has done it, or sees that we are leaving
	conns := n.book.conns()
	n.book.mu.Unlock()
	for _, c := range conns {
		c.end(errLeaving, codeBye)
	}
	n.work.Wait()
}

// errLeaving is why connections end when the node stops.
var errLeaving = errors.New("this node is shutting down")

// maxStreams is how many streams a well-behaved peer may have open here: the hello, each protocol's and its successor, and each method's requests.
func (n *Network) maxStreams() int {
	out := 8 + 2*len(n.protocols)
	for _, m := range n.methods {
		out += 2*m.method.Parallel + 1
	}
	return out
}

// announce notes where this node listens and can be reached.
func (n *Network) announce(at net.Addr) {
	address := at.String()
	n.bound.Store(&address)
	if n.hello.Endpoint = n.cfg.Announce; n.hello.Endpoint != "" {
		return
	}
	host, _, _ := net.SplitHostPort(n.cfg.Listen)
	_, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "" // peers put in the address that they see
	}
	n.hello.Endpoint = net.JoinHostPort(host, port)
}

// Address is the host:port that the node listens at; "" before Run.
func (n *Network) Address() string {
	if a := n.bound.Load(); a != nil {
		return *a
	}
	return ""
}

// accept takes inbound connections until the listener is closed.
func (n *Network) accept(ctx context.Context, l transport.Listener) error {
	for {
		mux, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("network: accept peers: %w", err)
		}
		select {
		case n.greeting <- struct{}{}:
		default:
			n.work.Go(func() { _ = mux.Close() }) // more handshakes than places: whoever it is comes again
			continue
		}
		n.work.Go(func() {
			defer func() { <-n.greeting }()
			address := net.JoinHostPort(hostOf(mux), portOf(mux))
			c, err := n.greet(ctx, mux, address, fromPeer)
			var r *refusal
			if errors.As(err, &r) && c.peer != n.self && r.verdict != already {
				n.unreachable(c.peer, address, r.text)
			}
		})
	}
}

// tell tells the watchers, in order, until ctx ends.
func (n *Network) tell(ctx context.Context) {
	for {
		for _, e := range n.book.takeEvents() {
			n.tellOne(e)
		}
		select {
		case <-n.book.ring:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Network) tellOne(e event) {
	c := e.conn
	for _, t := range n.aimedAt(c.peer) {
		t.nudge()
	}
	level := slog.LevelDebug
	if n.book.isMember(c.peer) {
		level = slog.LevelInfo
	}
	if e.came {
		n.log.Log(context.Background(), level, "peer connected", "peer", c.peer.Short(), "address", c.address, "inbound", c.inbound, "version", c.remote.Version)
	} else {
		n.log.Log(context.Background(), level, "peer disconnected", "peer", c.peer.Short(), "address", c.address, "reason", c.ending())
	}
	for _, f := range n.watchers {
		f(c.peer, e.came)
	}
	if e.came {
		close(c.ready)
	}
}

// Send queues msg and never blocks; false when the peer is not connected or its queue is full.
func (n *Network) Send(to chain.Peer, protocol string, msg []byte) bool {
	c := n.book.connected(to)
	if c == nil {
		return false
	}
	o := c.outboxes[protocol]
	return o != nil && o.push(msg)
}

// SetMembers says who belongs to the chain's validators, with their endpoints ("" where unknown).
func (n *Network) SetMembers(members map[chain.Peer]string) {
	former := n.book.setMembers(members)
	for _, p := range former {
		if c := n.book.connected(p); c != nil {
			c.expel()
		}
	}
	for _, c := range n.book.conns() {
		c.retry()
	}
	n.aim()
}

// Report lowers a peer's score, which may disconnect and ban it.
func (n *Network) Report(peer chain.Peer, offence Offence, why string) {
	if peer == n.self {
		return
	}
	c, news := n.book.penalise(peer, offence, n.cfg.BanTime)
	if news {
		n.count.bans.Add(1)
		n.log.Warn("peer banned", "peer", peer.Short(), "for", n.cfg.BanTime, "reason", why)
	} else {
		n.log.Debug("peer reported", "peer", peer.Short(), "offence", int(offence), "reason", why)
	}
	if c != nil {
		c.end(fmt.Errorf("banned: %s", why), codeBanned)
	}
}

// Connected are the peers that can be sent to now, sorted.
func (n *Network) Connected() []chain.Peer {
	conns := n.book.conns()
	out := make([]chain.Peer, 0, len(conns))
	for p := range conns {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Peers are all that are known, sorted by key; addresses whose key is not known yet come first.
func (n *Network) Peers() []Info {
	var out []Info
	n.mu.Lock()
	for address, why := range n.unknown {
		if why != known {
			out = append(out, Info{Address: address, LastError: why})
		}
	}
	n.mu.Unlock()
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Address, b.Address) })
	for _, i := range n.book.infos() {
		if i.Peer != n.self {
			out = append(out, i)
		}
	}
	return out
}
