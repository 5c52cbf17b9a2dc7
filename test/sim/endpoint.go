package sim

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// endpoint is one process's access to the simulated network: node.Network by the contract in internal/node/network.go. One goroutine calls its
// handlers, in the order of arrival.
type endpoint struct {
	net  *network
	host *host

	protocols map[string]protocolHandler
	methods   map[string]methodResponder
	watchers  []func(chain.Peer, bool)

	// wake tells the goroutine that an earlier event has come in.
	wake chan struct{}
	work sync.WaitGroup

	// queueMu guards queue and turn.
	queueMu sync.Mutex
	queue   events
	turn    uint64

	// The fields below are guarded by net.mu.
	dead bool
	ctx  context.Context // of Run: answers end with it
	// peers are the connected ones.
	peers   map[chain.Peer]*host
	members map[chain.Peer]string
	scores  map[chain.Peer]int
	// answering counts the answers in work and waiting per peer and method.
	answering map[string]*turnstile
}

type protocolHandler struct {
	p2p.Protocol
	handle p2p.Handler
}

type methodResponder struct {
	p2p.Method
	respond p2p.Responder
}

// turnstile lets so many in at a time.
type turnstile struct {
	inside  int
	waiting []func()
}

func newEndpoint(n *network, index int) *endpoint {
	return &endpoint{net: n, host: n.hosts[index], protocols: make(map[string]protocolHandler), methods: make(map[string]methodResponder),
		wake: make(chan struct{}, 1), peers: make(map[chain.Peer]*host), scores: make(map[chain.Peer]int), answering: make(map[string]*turnstile)}
}

// Handle implements node.Network.
func (e *endpoint) Handle(p p2p.Protocol, h p2p.Handler) { e.protocols[p.Name] = protocolHandler{p, h} }

// Serve implements node.Network.
func (e *endpoint) Serve(m p2p.Method, r p2p.Responder) { e.methods[m.Name] = methodResponder{m, r} }

// Watch implements node.Network.
func (e *endpoint) Watch(f func(peer chain.Peer, connected bool)) { e.watchers = append(e.watchers, f) }

// Run implements node.Network.
func (e *endpoint) Run(ctx context.Context) error {
	e.ctx = ctx
	if err := e.net.attach(e); err != nil {
		return err
	}
	defer e.work.Wait()
	defer e.net.detach(e)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, wait := e.next()
		if next != nil {
			next()
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-timer.C:
		}
	}
}

// next takes the first event that is due, or says how long until there may be one.
func (e *endpoint) next() (func(), time.Duration) {
	e.queueMu.Lock()
	defer e.queueMu.Unlock()
	if len(e.queue) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(e.queue[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&e.queue).(event).do, 0
}

// at runs do on the endpoint's goroutine at that time.
func (e *endpoint) at(t time.Time, do func()) {
	e.queueMu.Lock()
	e.turn++
	heap.Push(&e.queue, event{t, e.turn, do})
	first := e.queue[0].turn == e.turn
	e.queueMu.Unlock()
	if first {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// tell lets the watchers know. The caller holds net.mu.
func (e *endpoint) tell(p chain.Peer, connected bool) {
	e.at(time.Now(), func() {
		for _, f := range e.watchers {
			f(p, connected)
		}
	})
}

// find is the connected host of that name. The caller holds net.mu.
func (e *endpoint) find(p chain.Peer) *host { return e.peers[p] }

// Send implements node.Network.
func (e *endpoint) Send(to chain.Peer, protocol string, msg []byte) bool {
	p, ok := e.protocols[protocol]
	if !ok || len(msg) > p.MaxMessage {
		return false
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	h := e.find(to)
	if e.dead || h == nil {
		return false
	}
	e.net.tap(e.host.index, h.index, protocol, msg)
	receiver, copied := h.up, bytes.Clone(msg)
	return e.net.carry(e.host.index, h.index, "p/"+protocol, len(msg), &p.Protocol, func() { receiver.receive(e.host.peer, protocol, bytes.Clone(copied)) })
}

// receive hands a message to its handler, on the endpoint's goroutine.
func (e *endpoint) receive(from chain.Peer, protocol string, msg []byte) {
	p, ok := e.protocols[protocol]
	if !ok || len(msg) > p.MaxMessage {
		return
	}
	e.net.mu.Lock()
	_, member := e.members[from]
	connected := e.find(from) != nil
	e.net.mu.Unlock()
	if !connected || p.MembersOnly && !member {
		return
	}
	start := time.Now()
	p.handle(from, msg)
	if took := time.Since(start); took > 0 {
		e.net.blocked(e.host.index, protocol, took)
	}
}

// Errors of requests.
var (
	errNotConnected = errors.New("peer is not connected")
	errBroken       = errors.New("connection lost")
)

type answer struct {
	body []byte
	err  error
}

// Request implements node.Network.
func (e *endpoint) Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error) {
	m, ok := e.methods[method]
	if !ok || len(request) > m.MaxRequest {
		return nil, fmt.Errorf("request %s: unknown or longer than %d bytes", method, m.MaxRequest)
	}
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	got := make(chan answer, 2) // a duplicate may follow
	broken, err := e.ask(to, method, bytes.Clone(request), got)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-got:
		if a.err == nil && len(a.body) > m.MaxResponse {
			return nil, fmt.Errorf("request %s: an answer of %d bytes, at most %d", method, len(a.body), m.MaxResponse)
		}
		return a.body, a.err
	case <-broken:
		return nil, errBroken
	case <-ctx.Done():
		return nil, fmt.Errorf("request %s: %w", method, ctx.Err())
	}
}

// ask sends the request on its way. The answer may never come.
func (e *endpoint) ask(to chain.Peer, method string, request []byte, got chan<- answer) (broken <-chan struct{}, err error) {
	n := e.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h := e.find(to)
	if e.dead || h == nil {
		return nil, errNotConnected
	}
	me, other, server := e.host.index, h.index, h.up
	n.carry(me, other, "q/"+method, len(request), nil, func() {
		server.serve(e.host.peer, method, bytes.Clone(request), func(a answer) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if server.dead || e.dead {
				return
			}
			n.carry(other, me, "a/"+method, len(a.body), nil, func() {
				select {
				case got <- a:
				default:
				}
			})
		})
	})
	return n.pairs[order2(me, other)].broken, nil
}

// maxWaiting bounds the requests of one peer that wait for their turn; a real peer's stream window holds fewer.
const maxWaiting = 64

// serve answers one request in a goroutine of its own, as many at a time as the method allows a peer.
func (e *endpoint) serve(from chain.Peer, method string, request []byte, reply func(answer)) {
	m, ok := e.methods[method]
	if !ok || len(request) > m.MaxRequest {
		reply(answer{err: errors.New("no such method, or the request is too long")})
		return
	}
	key := string(from) + method
	run := func() {
		e.work.Go(func() {
			ctx, cancel := context.WithTimeout(e.ctx, m.Timeout)
			defer cancel()
			body, err := m.respond(ctx, from, request)
			if err != nil {
				err = fmt.Errorf("the peer says: %s", err.Error())
			}
			reply(answer{bytes.Clone(body), err})
			e.leave(key)
		})
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	t := e.answering[key]
	if t == nil {
		t = new(turnstile)
		e.answering[key] = t
	}
	switch {
	case e.dead:
	case t.inside < m.Parallel:
		t.inside++
		run()
	case len(t.waiting) < maxWaiting:
		t.waiting = append(t.waiting, run)
	}
}

func (e *endpoint) leave(key string) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	t := e.answering[key]
	if len(t.waiting) > 0 && !e.dead {
		next := t.waiting[0]
		t.waiting = t.waiting[1:]
		next()
		return
	}
	t.inside--
}

// SetMembers implements node.Network.
func (e *endpoint) SetMembers(members map[chain.Peer]string) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.members = members
}

// The consequences of offences, as on a real network.
const (
	banScore = int(p2p.Attack)
	banTime  = 5 * time.Minute
)

// Report implements node.Network.
func (e *endpoint) Report(peer chain.Peer, offence p2p.Offence, why string) {
	n := e.net
	n.mu.Lock()
	h := e.find(peer)
	e.scores[peer] += int(offence)
	banned := e.scores[peer] >= banScore
	if banned {
		e.scores[peer] = 0
	}
	n.mu.Unlock()
	if h == nil {
		return
	}
	n.reported(e.host.index, h.index, offence, why)
	if banned {
		n.ban(e.host.index, h.index, banTime)
	}
}

// Connected implements node.Network.
func (e *endpoint) Connected() []chain.Peer {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	out := make([]chain.Peer, 0, len(e.peers))
	for p := range e.peers {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Peers implements node.Network.
func (e *endpoint) Peers() []p2p.Info {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	var out []p2p.Info
	for _, h := range e.net.hosts {
		if h.peer == e.host.peer || slices.ContainsFunc(out, func(i p2p.Info) bool { return i.Peer == h.peer }) {
			continue
		}
		_, member := e.members[h.peer]
		i := p2p.Info{Peer: h.peer, Member: member, Score: -e.scores[h.peer]}
		if c := e.find(h.peer); c != nil {
			p := e.net.pairs[order2(e.host.index, c.index)]
			i.Connected, i.Since, i.Inbound = true, p.since, c.index < e.host.index
		}
		out = append(out, i)
	}
	return out
}

// event is something that happens at an endpoint; turn orders those of one instant.
type event struct {
	at   time.Time
	turn uint64
	do   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].turn < e[j].turn
	}
	return e[i].at.Before(e[j].at)
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}
