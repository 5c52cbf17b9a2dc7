package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/client"
)

// killLoad is how long the load lasts through which the leader is killed: enough for others to take over and for the node to come back under it.
const killLoad = 4 * time.Second

// killSteps is in how many messages it is sent.
const killSteps = 100

// killView is what became of the killed node.
type killView struct {
	Node      string `json:"node"`
	Transfers int    `json:"transfers"`
	// PauseMillis is the longest time between two blocks that another node announced, from the last one before the kill on.
	PauseMillis float64 `json:"longestPauseMillis"`
	NewLeader   string  `json:"newLeader"`
	DownSeconds float64 `json:"downSeconds"`
	// BlocksBehind is how many blocks the others had made when the node served again, CatchUpSeconds from its start to its having them.
	BlocksBehind   uint64  `json:"blocksBehind"`
	CatchUpSeconds float64 `json:"catchUpSeconds"`
}

// killRun is a steady load that a node dies under. What a client gave to the dead node and sees in no block it gives to another one.
type killRun struct {
	d                *demonstration
	victim, observer int
	batches          [][][]byte

	mu sync.Mutex
	// alive are the nodes that are sent to.
	alive []bool
	// open are the transfers that are in no block yet, with the node that they were given to last.
	open map[common.Hash]given
	// heard is when the observer announced blocks.
	heard          []time.Time
	sent, included int
	changed        chan struct{} // rings when something above has changed
}

type given struct {
	raw  []byte
	node int
}

// transferThroughKill sends the second half of the transfers while the leader is killed and comes back.
func (d *demonstration) transferThroughKill(ctx context.Context) error {
	victim, err := d.nodes.leader(ctx)
	if err != nil {
		return err
	}
	n := d.flags.transfers - d.shown.Transfers
	r := &killRun{d: d, victim: victim, observer: (victim + 1) % len(d.conns), alive: make([]bool, len(d.conns)), open: map[common.Hash]given{},
		changed: make(chan struct{}, 1)}
	for i := range r.alive {
		r.alive[i] = true
	}
	conn := d.conns[r.observer]
	if err := conn.WaitFinal(ctx, uint64(d.height)); err != nil {
		return err
	}
	load, err := d.sign(ctx, conn, n)
	if err != nil {
		return err
	}
	r.batches = load.rounds(max(1, n/killSteps))
	before, err := conn.Head(ctx)
	if err != nil {
		return err
	}
	heads := make(chan *types.Header, 1024)
	sub, err := conn.SubscribeHeads(ctx, heads)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.follow(gctx, conn, heads, sub.Err()) })
	g.Go(func() error { return r.send(gctx) })
	g.Go(func() error { return r.killAndBringBack(gctx, n) })
	if err := g.Wait(); err != nil {
		return err
	}
	d.shown.Kill.Transfers = n
	d.shown.Transfers += n
	return d.checkTransfers(ctx, conn, before.Number.Uint64()+1, n)
}

// rounds are the transfers in messages of that many, all senders taking turns.
func (l *demoLoad) rounds(size int) (out [][][]byte) {
	var all [][]byte
	for i := range l.total {
		all = append(all, l.raws[i%len(l.raws)][i/len(l.raws)])
	}
	return slices.Collect(slices.Chunk(all, size))
}

func (r *killRun) ring() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// until waits until the condition, which is asked under the lock, holds.
func (r *killRun) until(ctx context.Context, holds func() bool) error {
	for {
		r.mu.Lock()
		ok := holds()
		r.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follow notes the observer's blocks until all transfers are in some.
func (r *killRun) follow(ctx context.Context, conn *client.Client, heads <-chan *types.Header, lost <-chan error) error {
	for total := r.total(); ; {
		select {
		case h := <-heads:
			at := time.Now()
			b, err := conn.BlockByHash(ctx, h.Hash())
			if err != nil {
				return err
			}
			r.mu.Lock()
			r.heard = append(r.heard, at)
			for _, hash := range b.Txs {
				if _, ours := r.open[hash]; ours {
					delete(r.open, hash)
					r.included++
				}
			}
			all := r.included == total
			r.mu.Unlock()
			r.d.shown.Blocks++
			r.d.height = max(r.d.height, int(b.Header.Number.Int64()))
			r.ring()
			if all {
				return nil
			}
		case err := <-lost:
			return fmt.Errorf("lost the subscription to blocks: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *killRun) total() (n int) {
	for _, b := range r.batches {
		n += len(b)
	}
	return n
}

// send hands the messages to the living nodes in turn, steadily.
func (r *killRun) send(ctx context.Context) error {
	begin := time.Now()
	for i, batch := range r.batches {
		if err := sleepFor(ctx, time.Until(begin.Add(killLoad*time.Duration(i)/time.Duration(len(r.batches))))); err != nil {
			return err
		}
		if err := r.give(ctx, batch, i); err != nil {
			return err
		}
		r.mu.Lock()
		r.sent++
		r.mu.Unlock()
		r.ring()
	}
	return nil
}

// give hands transfers to the first living node, from that turn on, that takes them.
func (r *killRun) give(ctx context.Context, batch [][]byte, turn int) error {
	var last error
	for try := range 3 * len(r.alive) {
		node := (turn + try) % len(r.alive)
		r.mu.Lock()
		alive, conn := r.alive[node], r.d.conns[node]
		for _, raw := range batch {
			if alive {
				r.open[client.TxHash(raw)] = given{raw, node}
			}
		}
		r.mu.Unlock()
		if !alive {
			continue
		}
		_, errs, err := conn.SendRawBatch(ctx, batch)
		if err == nil {
			err = errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil || hadBefore(err) })...)
		}
		if err == nil {
			return nil
		}
		last = err
	}
	return fmt.Errorf("no node takes a transfer: %w", last)
}

// hadBefore tells that a node refused a transaction because it, or the chain, has it.
func hadBefore(err error) bool {
	return strings.Contains(err.Error(), "already known") || strings.Contains(err.Error(), "nonce too low")
}

// killAndBringBack kills the leader after a quarter of the load and starts it again after three quarters.
func (r *killRun) killAndBringBack(ctx context.Context, transfers int) error {
	nodes, v := r.d.nodes, &r.d.shown.Kill
	v.Node = nodes.folders[r.victim].name
	if err := r.until(ctx, func() bool { return r.sent >= len(r.batches)/4 && r.included > 0 }); err != nil {
		return err
	}
	at := time.Now()
	if err := nodes.kill(r.victim); err != nil {
		return err
	}
	if err := r.takeOver(ctx); err != nil {
		return err
	}
	if err := r.until(ctx, func() bool { return r.sent >= 3*len(r.batches)/4 && r.heard[len(r.heard)-1].After(at) }); err != nil {
		return err
	}
	begin := time.Now()
	v.DownSeconds = begin.Sub(at).Seconds()
	if err := r.bringBack(ctx); err != nil {
		return err
	}
	v.CatchUpSeconds = time.Since(begin).Seconds()
	if err := r.until(ctx, func() bool { return r.included == transfers }); err != nil {
		return err
	}
	r.mu.Lock()
	v.PauseMillis = float64(longestPause(r.heard, at).Microseconds()) / 1000
	r.mu.Unlock()
	leader, err := nodes.leader(ctx)
	if err != nil {
		return err
	}
	v.NewLeader = nodes.folders[leader].name
	r.d.lesson.Faults = []lessonFault{
		{Action: faultKill, Nodes: []string{v.Node}, Led: true, Pause: v.PauseMillis, LeaderBefore: v.Node, LeaderAfter: v.NewLeader, Evidence: []string{},
			Banned: []string{}, Ended: []string{}},
		{Action: faultRestart, Nodes: []string{v.Node}, LeaderBefore: v.NewLeader, LeaderAfter: v.NewLeader, CatchUp: v.CatchUpSeconds, Behind: v.BlocksBehind,
			Evidence: []string{}, Banned: []string{}, Ended: []string{}},
	}
	return nil
}

// takeOver gives what the dead node had taken, and is in no block, to the others.
func (r *killRun) takeOver(ctx context.Context) error {
	r.mu.Lock()
	r.alive[r.victim] = false
	var lost [][]byte
	for _, g := range r.open {
		if g.node == r.victim {
			lost = append(lost, g.raw)
		}
	}
	r.mu.Unlock()
	if len(lost) == 0 {
		return nil
	}
	return r.give(ctx, lost, r.observer)
}

// bringBack starts the node where it served before and waits until it has what the observer has.
func (r *killRun) bringBack(ctx context.Context) error {
	nodes := r.d.nodes
	u, err := url.Parse(nodes.children[r.victim].view.HTTP)
	if err != nil {
		return err
	}
	if err := nodes.start(ctx, r.victim, u.Host); err != nil {
		return err
	}
	conn, err := client.Dial(ctx, nodes.children[r.victim].view.WebSocket)
	if err != nil {
		return err
	}
	r.mu.Lock()
	old := r.d.conns[r.victim]
	r.d.conns[r.victim] = conn
	r.alive[r.victim] = true
	r.mu.Unlock()
	old.Close()
	for first := true; ; first = false {
		own, err := conn.Finalized(ctx)
		if err != nil {
			return err
		}
		other, err := r.d.conns[r.observer].Finalized(ctx)
		if err != nil {
			return err
		}
		has, must := own.Number.Uint64(), other.Number.Uint64()
		if first {
			r.d.shown.Kill.BlocksBehind = must - min(has, must)
		}
		if has >= must {
			return nil
		}
		if err := sleepFor(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s has block %d, %s has %d: %w", nodes.folders[r.victim].name, has, nodes.folders[r.observer].name, must, err)
		}
	}
}

// longestPause is the longest time between two blocks of which the later one came after that time.
func longestPause(heard []time.Time, from time.Time) (longest time.Duration) {
	for i := 1; i < len(heard); i++ {
		if heard[i].After(from) {
			longest = max(longest, heard[i].Sub(heard[i-1]))
		}
	}
	return longest
}
