package main

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/client"
)

const (
	// lookEvery is the pace of asking the nodes how they are, countEvery that of reading their counters, which costs them more.
	lookEvery  = 250 * time.Millisecond
	countEvery = time.Second
	// lookTimeout bounds one question: a node that is stopped or overloaded must not hold up the view.
	lookTimeout = time.Second
	// longPause is how long the chain must have stood still for its going on to be an event.
	longPause = 800 * time.Millisecond
)

// teachStatus is jl_nodeStatus with what lessons need beyond the rest.
type teachStatus struct {
	nodeStatus
	Teaching *struct {
		Cut []hexutil.Bytes `json:"cut"`
		Lie string          `json:"lie"`
	} `json:"teaching"`
	// Work is there on a chain of work.
	Work *struct {
		Tip             uint64  `json:"tip"`
		Branches        int     `json:"branches"`
		Reorganisations uint64  `json:"reorganisations"`
		Deepest         uint64  `json:"deepest"`
		Found           uint64  `json:"found"`
		HashesPerSecond float64 `json:"hashesPerSecond"`
	} `json:"work"`
}

// nodeLook is what a node said last.
type nodeLook struct {
	status *teachStatus
	peers  []peerStatus
	counts counters
	// kindsPerSecond are the engine's messages that it sends, means over the last look.
	kindsPerSecond map[string]float64
	counted        time.Time
	err            error
}

// follow hears of a node's blocks, whenever it lives, until ctx ends.
func (c *class) follow(ctx context.Context, i int) {
	for ctx.Err() == nil {
		if conn := c.conn(i); conn != nil {
			_ = c.followOnce(ctx, i, conn) // it died, or will be asked again
		}
		_ = sleepFor(ctx, 100*time.Millisecond)
	}
}

func (c *class) followOnce(ctx context.Context, i int, conn *client.Client) error {
	heads := make(chan *types.Header, 1024)
	sub, err := conn.SubscribeHeads(ctx, heads)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	head, err := conn.Head(ctx)
	if err != nil {
		return err
	}
	if err := c.heard(ctx, conn, head, time.Now()); err != nil {
		return err
	}
	gone := time.NewTicker(lookEvery)
	defer gone.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-sub.Err():
			return fmt.Errorf("lost the subscription to blocks: %w", err)
		case h := <-heads:
			if err := c.heard(ctx, conn, h, time.Now()); err != nil {
				return err
			}
		case <-gone.C:
			if c.conn(i) != conn {
				return nil
			}
		}
	}
}

// heard notes a block that a node announced, and those between it and the last one that anybody did.
func (c *class) heard(ctx context.Context, conn *client.Client, h *types.Header, at time.Time) error {
	height := h.Number.Uint64()
	c.mu.Lock()
	last := c.chain.last
	c.mu.Unlock()
	for between := last + 1; between < height; between++ {
		b, err := conn.Block(ctx, new(big.Int).SetUint64(between))
		if err != nil {
			return err
		}
		c.note(between, b.Header.Hash(), b.Txs, at)
	}
	hash := h.Hash()
	c.mu.Lock()
	known := height < c.chain.first || c.chain.blocks[height][hash]
	c.mu.Unlock()
	if known {
		return nil
	}
	b, err := conn.BlockByHash(ctx, hash)
	if err != nil {
		return err
	}
	c.note(height, hash, b.Txs, at)
	return nil
}

// note takes a block into account, once.
func (c *class) note(height uint64, hash common.Hash, txs []common.Hash, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hashes := c.chain.blocks[height]
	if hashes[hash] {
		return
	}
	if hashes == nil {
		hashes = make(map[common.Hash]bool)
		c.chain.blocks[height] = hashes
		if n := len(c.chain.heard); n > 0 && at.Sub(c.chain.heard[n-1]) > longPause {
			c.tell(fmt.Sprintf("block %d after %.1f s without one", height, at.Sub(c.chain.heard[n-1]).Seconds()))
		}
		c.chain.heard = append(c.chain.heard, at)
	}
	hashes[hash] = true
	if len(hashes) > 1 && len(c.chain.blocks[height-1]) < 2 { // a fork goes on; where it begins is news
		c.tell(fmt.Sprintf("FORK: there are %d blocks of height %d", len(hashes), height))
	}
	c.chain.last = max(c.chain.last, height)
	n := c.load.take(txs, at)
	if len(c.faults) > 0 {
		c.faults[len(c.faults)-1].Transfers += n
	}
}

// watch asks the nodes how they are until ctx ends, and calls shown after each round.
func (c *class) watch(ctx context.Context, shown func()) {
	for ctx.Err() == nil {
		c.lookAround(ctx)
		shown()
		_ = sleepFor(ctx, lookEvery)
	}
}

// lookAround asks all living nodes once.
func (c *class) lookAround(ctx context.Context) {
	done := make(chan struct{})
	living := c.living()
	for _, i := range living {
		go func() {
			defer func() { done <- struct{}{} }()
			if conn := c.conn(i); conn != nil {
				c.lookAt(ctx, i, conn)
			}
		}()
	}
	for range living {
		<-done
	}
}

func (c *class) lookAt(ctx context.Context, i int, conn *client.Client) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	status := new(teachStatus)
	var peers []peerStatus
	batch := []rpc.BatchElem{{Method: "jl_nodeStatus", Result: status}, {Method: "jl_peers", Result: &peers}}
	err := conn.RPC().BatchCallContext(ctx, batch)
	for _, b := range batch {
		if err == nil {
			err = b.Error
		}
	}
	c.mu.Lock()
	count := time.Since(c.nodes[i].look.counted) >= countEvery
	c.mu.Unlock()
	var counts counters
	if count && err == nil {
		counts, err = readCounters(ctx, c.d.nodes.children[i].view.HTTP)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.nodes[i]
	if n.conn != conn {
		return // it died meanwhile
	}
	if err != nil {
		n.look.err = err
		return
	}
	c.compareLooks(n, status, peers)
	n.key = hexutil.Encode(status.PublicKey)
	n.look.status, n.look.peers, n.look.err = status, peers, nil
	if count {
		n.look.count(counts, time.Now())
	}
}

// count takes a new look at the counters.
func (l *nodeLook) count(counts counters, now time.Time) {
	if !l.counted.IsZero() {
		l.kindsPerSecond = make(map[string]float64)
		seconds := now.Sub(l.counted).Seconds()
		for kind, v := range counts.kinds {
			l.kindsPerSecond[kind] = max(0, v-l.counts.kinds[kind]) / seconds
		}
	}
	l.counts, l.counted = counts, now
}

// compareLooks tells of what is new at a node. The caller holds mu.
func (c *class) compareLooks(n *classNode, now *teachStatus, peers []peerStatus) {
	was := n.look.status
	if was == nil {
		return
	}
	if now.Leader != nil && (was.Leader == nil || *was.Leader != *now.Leader) {
		c.tellOnce(fmt.Sprintf("%s leads (%s %d)", now.leader(), c.d.flags.engine.viewWord(), now.View))
	}
	for _, e := range now.Evidence {
		if !slices.ContainsFunc(was.Evidence, func(o string) bool { return offence(o) == offence(e) }) {
			c.tellOnce(n.name + " has evidence: " + withoutHashes(e))
		}
	}
	for i := range peers {
		if p := &peers[i]; p.BannedUntil != nil && !bannedIn(n.look.peers, p) {
			c.tellOnce(n.name + " bans " + p.label())
		}
	}
	if now.Work != nil && was.Work != nil && now.Work.Reorganisations > was.Work.Reorganisations {
		c.tellOnce(fmt.Sprintf("%s goes over to a better branch (deepest so far: %d blocks)", n.name, now.Work.Deepest))
	}
	if now.Problem != nil && was.Problem == nil {
		c.tellOnce(n.name + " takes no transactions: " + *now.Problem)
	}
}

// offence is who did what, without where: the first of a kind is news.
func offence(evidence string) string {
	what, _, _ := strings.Cut(evidence, " at height ")
	return what
}

// withoutHashes is evidence as people read it.
func withoutHashes(evidence string) string {
	what, _, _ := strings.Cut(evidence, ": 0x")
	return what
}

func bannedIn(peers []peerStatus, who *peerStatus) bool {
	return slices.ContainsFunc(peers, func(p peerStatus) bool { return p.BannedUntil != nil && slices.Equal(p.PublicKey, who.PublicKey) })
}

// tellOnce adds an event unless it is among the last ones: all nodes see the same. The caller holds mu.
func (c *class) tellOnce(text string) {
	for _, e := range c.events[max(0, len(c.events)-len(c.nodes)):] {
		if e.text == text {
			return
		}
	}
	c.tell(text)
}

// looked is what the nodes know at one moment, to tell what is new later.
type looked struct {
	at     time.Time
	blocks int
	forks  int
	leader string
	// ahead is how far the last block's time is ahead of its node's clock.
	ahead   time.Duration
	changes map[string]int
	// evidence has one sentence for each offence.
	evidence map[string]string
	banned   map[string]bool
	ended    map[string]bool
}

// now takes stock. The caller holds mu.
func (c *class) now() looked {
	l := looked{at: time.Now(), blocks: len(c.chain.heard), forks: c.chain.forks(), leader: c.leaderName(), changes: make(map[string]int),
		evidence: make(map[string]string), banned: make(map[string]bool), ended: make(map[string]bool)}
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.ended != "" {
			l.ended[n.name+": "+n.ended] = true
		}
		if n.look.status == nil {
			continue
		}
		l.changes[n.name] = n.look.status.LeaderChanges
		if n.alive() {
			l.ahead = max(l.ahead, time.Duration(n.look.status.LastBlockAt-n.look.status.Now)*time.Millisecond)
		}
		for _, e := range n.look.status.Evidence {
			if l.evidence[offence(e)] == "" {
				l.evidence[offence(e)] = e
			}
		}
		for j := range n.look.peers {
			if p := &n.look.peers[j]; p.BannedUntil != nil {
				l.banned[p.label()] = true
			}
		}
	}
	return l
}
