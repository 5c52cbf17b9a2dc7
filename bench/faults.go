package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// others are the nodes but one.
func (b *bench) others(node int) (out []int) {
	for i := range b.nodes {
		if i != node {
			out = append(out, i)
		}
	}
	return out
}

// leaderTimeout is how long a network may be without a leader that its nodes know.
const leaderTimeout = 30 * time.Second

// leader asks the nodes that run who leads and who they are, and returns the number of the node that leads.
func (b *bench) leader(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout)
	defer cancel()
	var views []*chainView
	var numbers []int
	for i, p := range b.nodes {
		if p == nil {
			continue
		}
		view, err := dialView(ctx, p.ws)
		if err != nil {
			return 0, err
		}
		defer view.close()
		views, numbers = append(views, view), append(numbers, i)
	}
	for {
		led := make(map[uint64]int) // votes of nodes, for the leader that they name
		node := make(map[uint64]int)
		for i, view := range views {
			r, err := view.role(ctx)
			if err != nil {
				return 0, err
			}
			if r.Validator != nil {
				node[*r.Validator] = numbers[i]
			}
			if r.Leader != nil {
				led[*r.Leader]++
			}
		}
		for id, votes := range led {
			if i, known := node[id]; known && votes > len(views)/2 {
				return i, nil
			}
		}
		if err := sleepUntil(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
			return 0, fmt.Errorf("the nodes do not agree on a leader for %s: %v", leaderTimeout, led)
		}
	}
}

// killLeaders kills whoever leads, under load, as often as is asked for.
func (b *bench) killLeaders(ctx context.Context) error {
	return b.kill(ctx, b.LeaderKills, &b.report.Network.LeaderKills, func(_, leader int) int { return leader })
}

// killFollowers kills nodes that do not lead, in turn.
func (b *bench) killFollowers(ctx context.Context) error {
	return b.kill(ctx, b.FollowerKills, &b.report.Network.FollowerKills, func(run, leader int) int {
		others := b.others(leader)
		return others[run%len(others)]
	})
}

// kill does the runs one after the other under one load.
func (b *bench) kill(ctx context.Context, runs int, into *faults, choose func(run, leader int) int) error {
	return b.underLoad(ctx, func(ctx context.Context, l *background) error {
		into.TxsPerSecond = l.rate
		for run := range runs {
			leader, err := b.leader(ctx)
			if err != nil {
				return err
			}
			r := faultRun{Victim: choose(run, leader) + 1, LeaderBefore: leader + 1}
			if err := b.killOnce(ctx, l, &r); err != nil {
				return fmt.Errorf("kill %d, of node %d: %w", run+1, r.Victim, err)
			}
			into.Runs = append(into.Runs, r)
		}
		return nil
	})
}

// steady is how long blocks are watched before and after a kill. Before, so that the node that was killed last votes again: without it there is no quorum
// to lose another one from. After, for longer than the goal for the pause.
const (
	steadyBefore = 3 * time.Second
	steadyAfter  = 4 * time.Second
)

// killOnce kills a node, watches the blocks of another one, and starts it again.
func (b *bench) killOnce(ctx context.Context, l *background, r *faultRun) error {
	victim := r.Victim - 1
	observer := b.others(victim)[0]
	pulse, err := watchPulse(ctx, b.nodes[observer].ws)
	if err != nil {
		return err
	}
	defer pulse.close()
	if err := sleepUntil(ctx, time.Now().Add(steadyBefore)); err != nil {
		return err
	}
	at := time.Now()
	r.At = at.UTC().Format(time.StampMilli)
	if err := b.takeAway(l, victim); err != nil {
		return err
	}
	if err := pulse.after(ctx, at.Add(steadyAfter)); err != nil {
		return err
	}
	r.PauseMillis = round(float64(pulse.longestGap(at).Microseconds()) / 1000)
	leader, err := b.leader(ctx)
	if err != nil {
		return err
	}
	r.LeaderAfter = leader + 1
	took, behind, err := b.bringBack(ctx, l, victim, observer)
	r.CatchUpSeconds, r.BlocksBehind = took.Seconds(), behind
	return err
}

// takeAway kills a node; the load goes to the others.
func (b *bench) takeAway(l *background, victim int) error {
	err := b.nodes[victim].kill()
	l.remove(victim)
	b.nodes[victim] = nil
	return err
}

// bringBack starts a node again and returns how long it took to have what the observer has, and how many blocks that were.
func (b *bench) bringBack(ctx context.Context, l *background, node, observer int) (took time.Duration, behind uint64, err error) {
	begin := time.Now()
	p, err := startProcess(ctx, b.Binary, b.dirs[node], b.log(node), b.startArgs())
	if err != nil {
		return 0, 0, err
	}
	b.nodes[node] = p
	if behind, err = catchUp(ctx, p.ws, b.nodes[observer].ws); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	l.add(node, p.ws)
	return took, behind, nil
}

// closeBy is how many blocks a node that comes along may be behind another one at the instant of asking.
const closeBy = 2

// catchUpTimeout is when a node that comes back is given up; the goal is 15 s.
const catchUpTimeout = 2 * time.Minute

// catchUp returns when the final height of a node is that of another one, and how far it was behind at first.
func catchUp(ctx context.Context, node, other string) (behind uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	var views [2]*chainView
	for i, url := range []string{node, other} {
		if views[i], err = dialView(ctx, url); err != nil {
			return 0, err
		}
		defer views[i].close()
	}
	for first := true; ; first = false {
		var heights [2]uint64
		for i, v := range views {
			s, err := v.status(ctx)
			if err != nil {
				return 0, fmt.Errorf("catch up: %w", err)
			}
			heights[i] = uint64(s.Finalized)
		}
		if first {
			behind = heights[1] - min(heights[0], heights[1])
		}
		if heights[0]+closeBy >= heights[1] {
			return behind, nil
		}
		if err := sleepUntil(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return 0, fmt.Errorf("catch up from %d to %d: %w", heights[0], heights[1], err)
		}
	}
}

// goAway kills a follower, keeps it down under load, and brings it back.
func (b *bench) goAway(ctx context.Context) error {
	return b.underLoad(ctx, func(ctx context.Context, l *background) error {
		leader, err := b.leader(ctx)
		if err != nil {
			return err
		}
		others := b.others(leader)
		victim, observer := others[len(others)-1], leader
		begin := time.Now()
		if err := b.takeAway(l, victim); err != nil {
			return err
		}
		if err := sleepUntil(ctx, begin.Add(b.Away)); err != nil {
			return err
		}
		r := &b.report.Network.Away
		r.TxsPerSecond, r.AwaySeconds = l.rate, time.Since(begin).Seconds()
		took, behind, err := b.bringBack(ctx, l, victim, observer)
		r.CatchUpSeconds, r.BlocksBehind = took.Seconds(), behind
		return err
	})
}

// pulse is when blocks arrived from one node.
type pulse struct {
	view  *chainView
	heads *subscription
	at    []time.Time
}

func watchPulse(ctx context.Context, url string) (*pulse, error) {
	view, err := dialView(ctx, url)
	if err != nil {
		return nil, err
	}
	heads, err := view.subscribe(ctx)
	if err != nil {
		view.close()
		return nil, err
	}
	return &pulse{view: view, heads: heads}, nil
}

func (p *pulse) close() {
	p.heads.close()
	p.view.close()
}

// after takes in blocks until one has arrived after that time.
func (p *pulse) after(ctx context.Context, until time.Time) error {
	for {
		select {
		case a := <-p.heads.arrived:
			p.at = append(p.at, a.at)
			if a.at.After(until) {
				return nil
			}
		case err := <-p.heads.Err():
			return fmt.Errorf("the subscription to new heads ended: %v", err)
		case <-time.After(max(0, time.Until(until)) + headTimeout):
			return fmt.Errorf("no block for %s after a kill", headTimeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// longestGap is the longest time between two blocks of which the later one came after that time.
func (p *pulse) longestGap(from time.Time) (longest time.Duration) {
	i := slices.IndexFunc(p.at, func(t time.Time) bool { return t.After(from) })
	for i = max(i, 1); i < len(p.at); i++ {
		longest = max(longest, p.at[i].Sub(p.at[i-1]))
	}
	return longest
}
