package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/p2p"
)

// condition is what one direction of a link does to messages.
type condition struct {
	// delay and jitter: a message takes delay plus up to jitter.
	delay, jitter time.Duration
	// loss, duplicate and reorder are probabilities in percent. What is lost makes no sound; a duplicate comes up to ten seconds later; what is
	// reordered overtakes or is overtaken.
	loss, duplicate, reorder int
	// rate in bytes per second; 0: no limit.
	rate int
	// cut loses everything.
	cut bool
}

// healthy is a local network.
var healthy = condition{delay: 2 * time.Millisecond, jitter: 3 * time.Millisecond}

// link is one direction between two hosts.
type link struct {
	condition
	rng *rand.Rand
	// free is when each protocol's last message arrives: streams keep their order.
	free map[string]time.Time
	// waiting are the messages of each protocol that a slow link has not taken yet.
	waiting map[string]*backlog
}

type backlog struct {
	messages, bytes int
	clear           time.Time
}

// pair is a connection between two hosts.
type pair struct {
	connected bool
	// broken is closed when the connection ends; generation counts connections.
	broken     chan struct{}
	generation uint64
	since      time.Time
	// pending tells that an attempt to connect or the discovery of a cut is under way.
	connecting, discovering bool
	bannedUntil             time.Time
}

// network is the wires between all hosts of a world. Time is the bubble's; every draw comes from the seed, per link, so that what one link does does
// not depend on the others' traffic. Safe for concurrent use.
type network struct {
	// tap sees every message that leaves a host, before anything happens to it.
	tap func(from, to int, protocol string, msg []byte)
	// reported hears of offences.
	reported func(by, of int, offence p2p.Offence, why string)
	// blocked hears of a handler that let time pass, which none may.
	blocked func(host int, protocol string, took time.Duration)

	mu    sync.Mutex
	hosts []*host
	links [][]*link
	pairs map[[2]int]*pair
	rng   *rand.Rand
	// sent counts messages and bytes.
	sent, sentBytes uint64
}

// host is a place in the network. Two hosts with one peer are two processes with one key; route says which of them another host reaches.
type host struct {
	index int
	peer  chain.Peer
	up    *endpoint
}

// newNetwork connects hosts with these names.
func newNetwork(seed uint64, peers []chain.Peer) *network {
	n := &network{pairs: make(map[[2]int]*pair), rng: rand.New(rand.NewPCG(seed, 0x6e6574)),
		tap: func(int, int, string, []byte) {}, reported: func(int, int, p2p.Offence, string) {}, blocked: func(int, string, time.Duration) {}}
	for i, p := range peers {
		n.hosts = append(n.hosts, &host{index: i, peer: p})
		row := make([]*link, len(peers))
		for j := range peers {
			row[j] = &link{condition: healthy, rng: rand.New(rand.NewPCG(seed, uint64(i)<<32|uint64(j)|1<<63)),
				free: make(map[string]time.Time), waiting: make(map[string]*backlog)}
			if j < i {
				n.pairs[[2]int{j, i}] = &pair{broken: make(chan struct{})}
			}
		}
		n.links = append(n.links, row)
	}
	return n
}

func order2(i, j int) [2]int { return [2]int{min(i, j), max(i, j)} }

// change alters the direction from i to j and lets the connection follow.
func (n *network) change(i, j int, f func(*condition)) {
	if i == j {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.links[i][j]
	before := l.rate
	f(&l.condition)
	if l.rate != before {
		clear(l.free)
		clear(l.waiting)
	}
	n.settle(i, j)
}

// settle lets a connection follow the state of its two directions: it is found to be dead some time after a cut and comes back some time after the
// cut has ended. The caller holds mu.
func (n *network) settle(i, j int) {
	p := n.pairs[order2(i, j)]
	cut := n.links[i][j].cut || n.links[j][i].cut
	up := n.hosts[i].up != nil && n.hosts[j].up != nil
	switch {
	case !up:
		n.drop(i, j)
	case cut && p.connected && !p.discovering:
		// A transport notices silence after its idle time, a direction that still works delays that.
		wait := n.between(time.Second, 10*time.Second)
		if n.links[i][j].cut != n.links[j][i].cut {
			wait = n.between(5*time.Second, 30*time.Second)
		}
		p.discovering = true
		n.later(wait, func() {
			p.discovering = false
			if n.links[i][j].cut || n.links[j][i].cut {
				n.drop(i, j)
			}
		})
	case !cut && !p.connected && !p.connecting && n.hosts[i].peer != n.hosts[j].peer:
		p.connecting = true
		wait := max(n.between(10*time.Millisecond, 2*time.Second), time.Until(p.bannedUntil))
		n.later(wait, func() {
			p.connecting = false
			n.connect(i, j)
		})
	}
}

// later runs f with mu held.
func (n *network) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		f()
	})
}

func (n *network) between(low, high time.Duration) time.Duration {
	return low + time.Duration(n.rng.Int64N(int64(high-low)))
}

// connect opens the connection if nothing stands against it. The caller holds mu.
func (n *network) connect(i, j int) {
	a, b, p := n.hosts[i].up, n.hosts[j].up, n.pairs[order2(i, j)]
	if p.connected || a == nil || b == nil || a.host.peer == b.host.peer || n.links[i][j].cut || n.links[j][i].cut || time.Now().Before(p.bannedUntil) {
		return
	}
	if a.find(b.host.peer) != nil || b.find(a.host.peer) != nil {
		// Another process with that key is connected; this one tries again.
		p.connecting = true
		n.later(n.between(2*time.Second, 30*time.Second), func() {
			p.connecting = false
			n.connect(i, j)
		})
		return
	}
	p.connected, p.broken, p.since = true, make(chan struct{}), time.Now()
	p.generation++
	a.peers[b.host.peer], b.peers[a.host.peer] = b.host, a.host
	a.tell(b.host.peer, true)
	b.tell(a.host.peer, true)
}

// drop ends the connection if there is one. The caller holds mu.
func (n *network) drop(i, j int) {
	p := n.pairs[order2(i, j)]
	if !p.connected {
		return
	}
	p.connected = false
	close(p.broken)
	for _, d := range [][2]int{{i, j}, {j, i}} {
		if e := n.hosts[d[0]].up; e != nil {
			other := n.hosts[d[1]]
			delete(e.peers, other.peer)
			e.tell(other.peer, false)
		}
	}
	clear(n.links[i][j].free)
	clear(n.links[j][i].free)
	if n.hosts[i].up != nil && n.hosts[j].up != nil {
		n.settle(i, j)
	}
}

// attach brings a host up.
func (n *network) attach(e *endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.dead {
		return nil // the power is off: it will never hear anything
	}
	if n.hosts[e.host.index].up != nil {
		return fmt.Errorf("host %d is up already", e.host.index)
	}
	e.host.up = e
	for j := range n.hosts {
		if j != e.host.index && n.hosts[j].peer != e.host.peer {
			n.settle(e.host.index, j)
		}
	}
	return nil
}

// detach takes a host down at once: nothing leaves it or reaches it any more.
func (n *network) detach(e *endpoint) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.dead = true
	if e.host.up != e {
		return
	}
	for j := range n.hosts {
		if j != e.host.index {
			n.drop(e.host.index, j)
		}
	}
	e.host.up = nil
}

// shuffleTwins lets the other processes with a host's key take over some of its connections.
func (n *network) shuffleTwins(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for j := range n.hosts {
		if j == i || n.rng.IntN(2) == 0 {
			continue
		}
		n.drop(i, j)
		for k := range n.hosts {
			if k != i && k != j && n.hosts[k].peer == n.hosts[i].peer {
				n.connect(k, j)
			}
		}
	}
}

// ban keeps two hosts apart for a while.
func (n *network) ban(i, j int, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pairs[order2(i, j)].bannedUntil = time.Now().Add(d)
	n.drop(i, j)
}

// maxBacklog bounds how long a message may wait for a narrow link: a transport gives up a peer that takes nothing for longer, and what was queued
// does not arrive an hour after the link has become wide again.
const maxBacklog = 5 * time.Second

// carry puts one message on the link from i to j and runs arrive on j's side for it, or for none or two. limit bounds what may wait on a slow link.
// It reports false when the queue is full. The caller holds mu.
func (n *network) carry(i, j int, channel string, size int, limit *p2p.Protocol, arrive func()) bool {
	l := n.links[i][j]
	now := time.Now()
	n.sent++
	n.sentBytes += uint64(size)
	leaves := now
	if l.rate > 0 {
		w := l.waiting[channel]
		if w == nil || !w.clear.After(now) {
			w = &backlog{clear: now}
			l.waiting[channel] = w
		}
		if limit != nil && (w.messages >= limit.QueueMessages || w.bytes+size > limit.QueueBytes || w.clear.Sub(now) > maxBacklog) {
			return false
		}
		w.messages++
		w.bytes += size
		w.clear = w.clear.Add(time.Duration(size) * time.Second / time.Duration(l.rate))
		leaves = w.clear
	}
	if l.cut || l.rng.IntN(100) < l.loss {
		return true
	}
	at := leaves.Add(l.delay)
	if l.jitter > 0 {
		at = at.Add(time.Duration(l.rng.Int64N(int64(l.jitter))))
	}
	if l.reorder > 0 && l.rng.IntN(100) < l.reorder {
		at = at.Add(time.Duration(l.rng.Int64N(int64(2 * time.Second))))
	} else {
		if at.Before(l.free[channel]) {
			at = l.free[channel]
		}
		l.free[channel] = at
	}
	to := n.hosts[j].up
	to.at(at, arrive)
	if l.duplicate > 0 && l.rng.IntN(100) < l.duplicate {
		to.at(at.Add(time.Duration(l.rng.Int64N(int64(10*time.Second)))), arrive)
	}
	return true
}
