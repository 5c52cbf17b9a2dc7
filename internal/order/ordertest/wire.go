package ordertest

import (
	"context"
	"math/rand"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// latency of the fake network, one way: that of one machine room.
const latency = 200 * time.Microsecond

// wires connect the nodes of a cluster. Messages between two nodes keep their order and are lost only when a queue is full, unless told otherwise.
type wires struct {
	mu   sync.Mutex
	rng  *rand.Rand
	last map[[2]order.PeerID]time.Time
	// cut says which nodes do not hear which.
	cut map[[2]order.PeerID]bool
	// loss, double and shuffle are the shares of messages that are lost, arrive twice, or arrive up to 50 ms late and out of order.
	loss, double, shuffle float64
	// meddle may drop or alter a message: it returns what arrives.
	meddle func(from, to order.PeerID, msg []byte) [][]byte
}

// message is what a node hears.
type message struct {
	from order.PeerID
	body []byte
}

func newWires() *wires {
	return &wires{rng: rand.New(rand.NewSource(1)), last: make(map[[2]order.PeerID]time.Time), cut: make(map[[2]order.PeerID]bool)}
}

// change alters the wires' behaviour.
func (w *wires) change(f func(*wires)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

// split cuts all wires between nodes of different groups, and mends all others. Nodes that are in no group are cut off.
func (w *wires) split(groups ...[]order.PeerID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = make(map[[2]order.PeerID]bool)
	if len(groups) == 0 {
		return
	}
	group := make(map[order.PeerID]int)
	for i, g := range groups {
		for _, id := range g {
			group[id] = i + 1
		}
	}
	for a := order.PeerID(0); a < 64; a++ {
		for b := order.PeerID(0); b < 64; b++ {
			if group[a] == 0 || group[a] != group[b] {
				w.cut[[2]order.PeerID{a, b}] = true
			}
		}
	}
}

// open tells whether b hears a.
func (w *wires) open(a, b order.PeerID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut[[2]order.PeerID{a, b}]
}

// carry brings msg to the node.
func (w *wires) carry(from order.PeerID, to *node, msg []byte) {
	w.mu.Lock()
	meddle := w.meddle
	w.mu.Unlock()
	msgs := [][]byte{slices.Clone(msg)}
	if meddle != nil {
		msgs = meddle(from, to.peer, msgs[0])
	}
	for _, m := range msgs {
		for _, delay := range w.delays(from, to.peer) {
			time.AfterFunc(delay, func() { to.put(message{from, m}) })
		}
	}
}

// delays are after how long a message arrives, once for each time that it does.
func (w *wires) delays(from, to order.PeerID) (out []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	link := [2]order.PeerID{from, to}
	if w.cut[link] || w.rng.Float64() < w.loss {
		return nil
	}
	times := 1
	if w.rng.Float64() < w.double {
		times = 2
	}
	for range times {
		if w.rng.Float64() < w.shuffle {
			out = append(out, latency+time.Duration(w.rng.Int63n(int64(50*time.Millisecond))))
			continue
		}
		at := time.Now().Add(latency)
		if last := w.last[link]; !at.After(last) {
			at = last.Add(1)
		}
		w.last[link] = at
		out = append(out, time.Until(at))
	}
	return out
}

// network is a node's order.Network.
type network struct{ n *node }

func (w network) Send(to order.PeerID, msg []byte) {
	for _, n := range w.n.c.nodes {
		if n.peer == to && n != w.n {
			w.n.c.wires.carry(w.n.peer, n, msg)
		}
	}
}

func (w network) Broadcast(msg []byte) {
	for _, n := range w.n.c.nodes {
		if n.peer != w.n.peer {
			w.n.c.wires.carry(w.n.peer, n, msg)
		}
	}
}

// Fetch asks the pools of the nodes within reach.
func (w network) Fetch(ctx context.Context, _ order.PeerID, hashes []common.Hash) (chain.Txs, error) {
	out := make(chain.Txs, len(hashes))
	for {
		select {
		case <-ctx.Done():
			return out, nil
		case <-time.After(2 * latency):
		}
		lack := 0
		for i, h := range hashes {
			for _, n := range w.n.c.reach(w.n) {
				if out[i] == nil {
					out[i] = n.body(h)
				}
			}
			if out[i] == nil {
				lack++
			}
		}
		if lack == 0 {
			w.n.offer(out)
			return out, nil
		}
	}
}

// catchUp is a node's order.CatchUp: it reads the ledgers of the nodes within reach.
type catchUp struct {
	n    *node
	bell chan struct{}

	// height is the own, told the highest that was announced.
	mu           sync.Mutex
	height, told uint64
}

func (c *catchUp) Behind() <-chan struct{} { return c.bell }

func (c *catchUp) SetHeight(h uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.height = h
}

// announce hears the heights of the nodes within reach, and rings when one is ahead.
func (c *catchUp) announce() {
	var told uint64
	for _, n := range c.n.c.reach(c.n) {
		told = max(told, n.ledger.Height())
	}
	c.mu.Lock()
	height := c.height
	c.told = told
	c.mu.Unlock()
	if told > height {
		select {
		case c.bell <- struct{}{}:
		default:
		}
	}
}

// target is as far as Fetch goes: to where it is told to, or as far as the others have announced to be, which is always a little less than they are.
func (c *catchUp) target(to uint64) uint64 {
	if to > 0 {
		return to
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

func (c *catchUp) Fetch(ctx context.Context, from, to uint64, verify func(context.Context, *chain.Decision) error,
	deliver func(context.Context, *chain.Decision, chain.Txs) error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * latency):
	}
	for h := from; h <= c.target(to); h++ {
		found := false
		for _, n := range c.n.c.reach(c.n) {
			d, txs, err := n.ledger.Decision(h)
			if err != nil || verify(ctx, d) != nil {
				continue
			}
			if err := deliver(ctx, d, txs); err != nil {
				return err
			}
			found = true
			break
		}
		if !found {
			return nil
		}
	}
	return nil
}
