package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/client"
)

// class is one lesson: a steady load while things are done to the nodes, and what the nodes do meanwhile. Its goroutines meet in mu.
type class struct {
	d     *demonstration
	begun time.Time
	// commands are what is to be done, one after the other.
	commands chan command

	mu    sync.Mutex
	nodes []classNode
	chain classChain
	load  classLoad
	// faults are all so far; the last one is under way.
	faults []lessonFault
	// before is what was known when the last one began.
	before looked
	// groups are the partition that stands; nil for none.
	groups [][]int
	// told is how many of the events were written where there is no terminal.
	told int
	// events are the newest things that happened, the newest last.
	events []classEvent
	// onGone is told of a node that ended though nobody killed it.
	onGone func(i int, story string)
	// chosen is the node that keys are for.
	chosen int
}

// classNode is a node as the lesson knows it.
type classNode struct {
	name string
	// key is its public key in hex, once it told.
	key string
	// conn is nil while the node is dead.
	conn *client.Client
	// dead by our hand, ended by its own; ended is what it said last.
	dead  bool
	ended string
	lie   string
	look  nodeLook
}

// alive tells whether the node is to be asked and sent to.
func (n *classNode) alive() bool { return n.conn != nil }

// classChain is all that nodes announced.
type classChain struct {
	// blocks are the hashes of each height since the lesson began, at some node.
	blocks map[uint64]map[common.Hash]bool
	// last is the highest of them; heard is when each height came first, in that order.
	first, last uint64
	heard       []time.Time
}

// forks are the heights at which there were two blocks.
func (c *classChain) forks() (n int) {
	for _, hashes := range c.blocks {
		if len(hashes) > 1 {
			n++
		}
	}
	return n
}

// classEvent is a line of the view.
type classEvent struct {
	at   time.Duration
	text string
}

// maxClassEvents bounds what the view remembers; it shows fewer.
const maxClassEvents = 32

func (d *demonstration) newClass() *class {
	c := &class{d: d, begun: time.Now(), commands: make(chan command), chain: classChain{blocks: make(map[uint64]map[common.Hash]bool)}}
	for i, f := range d.nodes.folders {
		c.nodes = append(c.nodes, classNode{name: f.name, conn: d.conns[i]})
	}
	c.load.open = make(map[common.Hash]*openTransfer)
	c.onGone = c.gone
	return c
}

// tell adds an event. The caller holds mu.
func (c *class) tell(text string) {
	c.events = append(c.events, classEvent{time.Since(c.begun), text})
	if more := len(c.events) - maxClassEvents; more > 0 {
		c.events, c.told = c.events[more:], max(0, c.told-more)
	}
}

// living are the numbers of the nodes that can be asked.
func (c *class) living() (out []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.nodes {
		if c.nodes[i].alive() {
			out = append(out, i)
		}
	}
	return out
}

// conn is a node's connection; nil while it is dead.
func (c *class) conn(i int) *client.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i].conn
}

// names are the nodes' by number.
func (c *class) names(nodes []int) (out []string) {
	for _, i := range nodes {
		out = append(out, c.d.nodes.folders[i].name)
	}
	return out
}

// leader is the number of the node that most of the others take for the leader; theLeader when nobody says.
func (c *class) leader() int {
	votes := make(map[int]int)
	for i := range c.nodes {
		n := &c.nodes[i]
		if !n.alive() || n.look.status == nil || n.look.status.Leader == nil {
			continue
		}
		for j := range c.nodes {
			if s := c.nodes[j].look.status; s != nil && s.Validator != nil && *s.Validator == *n.look.status.Leader {
				votes[j]++
			}
		}
	}
	best := theLeader
	for _, j := range slices.Sorted(maps.Keys(votes)) {
		if best == theLeader || votes[j] > votes[best] {
			best = j
		}
	}
	return best
}

// leaderName is "" where nobody leads. The caller holds mu.
func (c *class) leaderName() string {
	if i := c.leader(); i != theLeader {
		return c.nodes[i].name
	}
	return ""
}

// until asks every few milliseconds whether something holds, under the lock.
func (c *class) until(ctx context.Context, holds func() bool) error {
	for {
		c.mu.Lock()
		ok := holds()
		c.mu.Unlock()
		if ok {
			return nil
		}
		if err := sleepFor(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
