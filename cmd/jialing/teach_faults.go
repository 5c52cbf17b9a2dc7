package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/client"
)

// errCannot is a command that does not fit the state of the nodes; a lesson goes on without it.
var errCannot = errors.New("cannot")

// do does one thing to the nodes.
func (c *class) do(ctx context.Context, cmd command) error {
	c.mu.Lock()
	if cmd.node == theLeader && (cmd.action == faultKill || cmd.action == faultRestart || cmd.action == faultByzantine) {
		if cmd.node = c.leader(); cmd.node == theLeader {
			cmd.node = 0 // nobody leads on this engine: the first one is as good as any
		}
	}
	c.mu.Unlock()
	switch cmd.action {
	case faultKill:
		return c.kill(cmd.node)
	case faultRestart:
		return c.restart(ctx, cmd.node)
	case faultPartition:
		return c.partition(ctx, cmd.groups)
	case faultHeal:
		return c.heal(ctx)
	case faultByzantine:
		return c.byzantine(ctx, cmd.node, cmd.lie)
	}
	return fmt.Errorf("%w: %q", errCannot, cmd.action)
}

// begin closes the fault before and opens a new one.
func (c *class) begin(f lessonFault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
	f.At = time.Since(c.begun).Seconds()
	c.before = c.now()
	f.LeaderBefore = c.before.leader
	f.Led = f.Action != faultRestart && len(f.Nodes) == 1 && f.Nodes[0] == f.LeaderBefore
	f.Evidence, f.Banned, f.Ended = []string{}, []string{}, []string{}
	c.tell("* " + f.what())
	c.faults = append(c.faults, f)
}

// close puts into the last fault what came of it until now. The caller holds mu.
func (c *class) close() {
	if len(c.faults) == 0 {
		return
	}
	f, was, now := &c.faults[len(c.faults)-1], &c.before, c.now()
	f.Until = time.Since(c.begun).Seconds()
	f.Blocks, f.Forks = now.blocks-was.blocks, now.forks-was.forks
	f.LeaderAfter = now.leader
	last := was.at // of the last block before now
	if n := len(c.chain.heard); n > 0 {
		last = c.chain.heard[n-1]
	}
	heard := c.chain.heard
	if len(c.load.open) > 0 { // else nobody waits for a block, and there need be none
		heard = append(slices.Clone(heard), now.at)
		f.Still = millisOf(now.at.Sub(last))
		whole := now.at.Sub(was.at)
		f.Stopped = whole >= 2*time.Second && now.at.Sub(last) >= whole/2
	}
	f.Pause = millisOf(longestPause(heard, was.at))
	for name, n := range now.changes {
		f.LeaderChanges = max(f.LeaderChanges, n-was.changes[name])
	}
	for _, o := range slices.Sorted(maps.Keys(now.evidence)) {
		if was.evidence[o] == "" {
			f.Evidence = append(f.Evidence, now.evidence[o])
		}
	}
	if now.ahead > clockTolerance {
		f.ClockAhead = now.ahead.Seconds()
	}
	f.Banned = append(f.Banned, news(now.banned, was.banned)...)
	f.Ended = append(f.Ended, news(now.ended, was.ended)...)
	c.before = now
}

func millisOf(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clockTolerance is how far a block's time may be ahead of a clock without being worth a word: what honest nodes let pass.
const clockTolerance = 10 * time.Second

// news are the words that are new, sorted.
func news(now, was map[string]bool) (out []string) {
	for _, w := range slices.Sorted(maps.Keys(now)) {
		if !was[w] {
			out = append(out, w)
		}
	}
	return out
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

func (c *class) kill(i int) error {
	c.mu.Lock()
	n := &c.nodes[i]
	conn := n.conn
	c.mu.Unlock()
	if conn == nil {
		return fmt.Errorf("%w: %s is dead already", errCannot, n.name)
	}
	c.begin(lessonFault{Action: faultKill, Nodes: []string{n.name}})
	c.mu.Lock()
	n.conn, n.dead, n.lie = nil, true, ""
	c.mu.Unlock()
	conn.Close()
	return c.d.nodes.kill(i)
}

// restart starts a node again, or all that are dead; one that lives is killed first.
func (c *class) restart(ctx context.Context, who int) error {
	var nodes []int
	c.mu.Lock()
	for i := range c.nodes {
		if i == who || who == allDead && !c.nodes[i].alive() {
			nodes = append(nodes, i)
		}
	}
	c.mu.Unlock()
	if len(nodes) == 0 {
		return fmt.Errorf("%w: nobody is dead", errCannot)
	}
	for _, i := range nodes {
		if c.conn(i) != nil {
			if err := c.kill(i); err != nil {
				return err
			}
		}
		if err := c.bringBack(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// bringBack starts a node where it served before, and waits a while until it has what the others have.
func (c *class) bringBack(ctx context.Context, i int) error {
	nodes, name := c.d.nodes, c.nodes[i].name
	u, err := url.Parse(nodes.children[i].view.HTTP)
	if err != nil {
		return err
	}
	c.begin(lessonFault{Action: faultRestart, Nodes: []string{name}})
	begin := time.Now()
	if err := nodes.start(ctx, i, u.Host); err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.nodes[i].ended = err.Error() // it may have halted for good, and says so
		c.tell(name + " does not start: " + err.Error())
		return nil
	}
	conn, err := client.Dial(ctx, nodes.children[i].view.WebSocket)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.nodes[i].conn, c.nodes[i].dead, c.nodes[i].look = conn, false, nodeLook{}
	groups := c.groups
	c.mu.Unlock()
	if groups != nil { // it has forgotten that it is cut off
		if err := c.isolate(ctx, groups); err != nil {
			return err
		}
	}
	return c.catchUp(ctx, i, conn, begin)
}

// catchUpPatience is how long a node that was started is waited for: one that is cut off from all that is new never has it.
const catchUpPatience = 15 * time.Second

// catchUp measures how long a node takes until it has what another living one of its part has.
func (c *class) catchUp(ctx context.Context, i int, conn *client.Client, begin time.Time) error {
	other := c.companion(i)
	if other == nil {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, catchUpPatience*time.Duration(c.d.flags.engine.patience()))
	defer cancel()
	for first := true; ; first = false {
		own, err := conn.Finalized(wait)
		must := uint64(0)
		if err == nil {
			var head *types.Header
			if head, err = other.Finalized(wait); err == nil {
				must = head.Number.Uint64()
			}
		}
		if err == nil {
			has := own.Number.Uint64()
			c.mu.Lock()
			f := &c.faults[len(c.faults)-1]
			if first {
				f.Behind = must - min(has, must)
			}
			if has >= must {
				f.CatchUp = time.Since(begin).Seconds()
				c.tell(fmt.Sprintf("%s has all blocks again, %.1f s after its start", c.nodes[i].name, f.CatchUp))
				c.mu.Unlock()
				return nil
			}
			c.mu.Unlock()
		}
		if sleepFor(wait, 10*time.Millisecond) != nil {
			return ctx.Err() // it has not caught up: the fault says so by having no time for it
		}
	}
}

// companion is the connection of another living node that i can reach; nil for none.
func (c *class) companion(i int) *client.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	for j := range c.nodes {
		if j != i && c.nodes[j].alive() && (c.groups == nil || slices.Equal(groupOf(c.groups, i), groupOf(c.groups, j))) {
			return c.nodes[j].conn
		}
	}
	return nil
}

func groupOf(groups [][]int, i int) []int {
	for _, g := range groups {
		if slices.Contains(g, i) {
			return g
		}
	}
	return nil
}

func (c *class) partition(ctx context.Context, groups [][]int) error {
	var names [][]string
	var all []string
	for _, g := range groups {
		names = append(names, c.names(g))
		all = append(all, c.names(g)...)
	}
	if len(groups) < 2 {
		return fmt.Errorf("%w: one node cannot be split", errCannot)
	}
	c.begin(lessonFault{Action: faultPartition, Nodes: all, Groups: names})
	c.mu.Lock()
	c.groups = groups
	c.mu.Unlock()
	return c.isolate(ctx, groups)
}

// isolate tells every living node whom it does not hear. nil binds all again.
func (c *class) isolate(ctx context.Context, groups [][]int) error {
	for _, i := range c.living() {
		cut := []string{}
		for _, g := range groups {
			if !slices.Contains(g, i) {
				for _, j := range g {
					cut = append(cut, c.key(j))
				}
			}
		}
		if err := c.teach(ctx, i, "jl_isolate", slices.DeleteFunc(cut, func(k string) bool { return k == "" })); err != nil {
			return err
		}
	}
	return nil
}

// key is a node's public key in hex; "" while it has not told.
func (c *class) key(i int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i].key
}

// teach calls one of the methods of nodes in teaching mode.
func (c *class) teach(ctx context.Context, i int, method string, arg any) error {
	conn := c.conn(i)
	if conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := conn.RPC().CallContext(ctx, nil, method, arg); err != nil {
		return fmt.Errorf("%s: %s: %w", c.nodes[i].name, method, err)
	}
	return nil
}

// heal binds all nodes together and makes all honest.
func (c *class) heal(ctx context.Context) error {
	c.mu.Lock()
	var liars []int
	for i := range c.nodes {
		if c.nodes[i].lie != "" {
			liars = append(liars, i)
		}
	}
	parted := c.groups != nil
	c.mu.Unlock()
	if !parted && len(liars) == 0 {
		return fmt.Errorf("%w: the network is whole and everybody honest", errCannot)
	}
	c.begin(lessonFault{Action: faultHeal, Nodes: c.names(c.living())})
	c.mu.Lock()
	c.groups = nil
	c.mu.Unlock()
	err := c.isolate(ctx, nil)
	for _, i := range liars {
		err = errors.Join(err, c.lie(ctx, i, ""))
	}
	return err
}

func (c *class) byzantine(ctx context.Context, i int, how string) error {
	if c.conn(i) == nil {
		return fmt.Errorf("%w: %s is dead", errCannot, c.nodes[i].name)
	}
	c.begin(lessonFault{Action: faultByzantine, Nodes: []string{c.nodes[i].name}, Lie: how})
	return c.lie(ctx, i, how)
}

func (c *class) lie(ctx context.Context, i int, how string) error {
	if err := c.teach(ctx, i, "jl_misbehave", how); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i].lie = how
	return nil
}

// gone notes that a node ended though nobody killed it.
func (c *class) gone(i int, story string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.nodes[i]
	n.conn, n.ended = nil, endWords(story)
	c.tell(n.name + " has ended: " + n.ended)
}

// maxEndWords bounds what is shown of why a node ended; its log has all.
const maxEndWords = 160

// endWords is the error in what a process said last, or all that it said.
func endWords(story string) string {
	if _, words, found := strings.Cut(story, `"error":"`); found {
		story, _, _ = strings.Cut(words, `"`)
	}
	if r := []rune(story); len(r) > maxEndWords {
		story = string(r[:maxEndWords]) + "…"
	}
	return strings.TrimSpace(story)
}
