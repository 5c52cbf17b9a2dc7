package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// hold gives the nodes a steady load of n transfers (0: until the end) at that rate, follows all of them, and lets drive do what it wants meanwhile. The load
// ends when drive returns; then what was sent is waited for. Without shown nobody asks the nodes how they are, which costs them.
func (c *class) hold(ctx context.Context, rate float64, n int, shown func(), drive func(ctx context.Context, sent <-chan struct{}) error) error {
	conn, err := c.d.next(ctx)
	if err != nil {
		return err
	}
	head, err := conn.Head(ctx)
	if err != nil {
		return err
	}
	c.chain.last = head.Number.Uint64()
	c.chain.first = c.chain.last + 1
	maker, err := c.d.newTransferMaker(ctx, conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.lookAround(ctx)
	c.begun = time.Now()
	stop, sent := make(chan struct{}), make(chan struct{})
	g, gctx := errgroup.WithContext(ctx)
	for i := range c.nodes {
		g.Go(func() error { c.follow(gctx, i); return nil })
	}
	g.Go(func() error { c.giveOn(gctx); return nil })
	g.Go(func() error { c.reportLiars(gctx); return nil })
	if shown != nil {
		g.Go(func() error { c.watch(gctx, shown); return nil })
	}
	g.Go(func() error { defer close(sent); return c.send(gctx, maker, rate, n, stop) })
	g.Go(func() error {
		defer cancel()
		err := drive(gctx, sent)
		close(stop)
		<-sent
		if err == nil {
			err = c.settle(gctx, settlePatience*time.Duration(c.d.flags.engine.patience()))
		}
		return err
	})
	err = g.Wait()
	c.d.shown.Transfers += maker.made
	return err
}

// settlePatience is how long the last transfers are waited for.
const settlePatience = 20 * time.Second

// steady sends a quarter of the transfers at the rate that every engine gets, and measures what one of them takes and costs.
func (d *demonstration) steady(ctx context.Context) error {
	n := d.flags.transfers / 4
	if n == 0 {
		return nil
	}
	c := d.newClass()
	c.load.keepAll = true
	before, err := sumCounters(ctx, d.nodes.urls())
	if err != nil {
		return err
	}
	first := uint64(d.height) + 1
	if err := c.hold(ctx, steadyRate, n, nil, func(ctx context.Context, sent <-chan struct{}) error { return waitFor(ctx, sent) }); err != nil {
		return err
	}
	sum, err := sumCounters(ctx, d.nodes.urls())
	if err != nil {
		return err
	}
	sum.add(before, -1)
	if c.load.included != n {
		return fmt.Errorf("%d of %d transfers are in blocks", c.load.included, n)
	}
	f := &lessonFigures{Transfers: n, Blocks: uint64(len(c.chain.heard)), Seconds: c.chain.heard[len(c.chain.heard)-1].Sub(c.begun).Seconds(),
		LatencyP50: percentileMillis(c.load.all, 50), LatencyP99: percentileMillis(c.load.all, 99)}
	f.PerSecond = float64(n) / f.Seconds
	sum.perTx(n, f)
	d.lesson.Steady = f
	d.height = int(c.chain.last)
	return d.checkTransfers(ctx, d.conns[0], first, n)
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// teach is the lesson: a load while things are done to the nodes, by the script or by keys.
func (d *demonstration) teach(ctx context.Context) error {
	n, rate, script := 0, float64(steadyRate), d.flags.steps
	if d.flags.script == "" && !d.keys {
		n = d.flags.transfers - d.shown.Transfers
		rate = float64(n) / script[len(script)-1].at.Seconds()
	}
	c := d.newClass()
	tty, err := d.openTerminal()
	if err != nil {
		return err
	}
	d.nodes.gone.Store(&c.onGone)
	first := uint64(d.height) + 1
	err = c.hold(ctx, rate, n, func() { c.show(tty) }, func(ctx context.Context, sent <-chan struct{}) error {
		err := c.drive(ctx, script, tty)
		if err == nil && n > 0 {
			err = waitFor(ctx, sent)
		}
		return errors.Join(err, c.recover(ctx))
	})
	d.nodes.gone.Store(nil)
	c.show(tty)
	if tty != nil {
		err = errors.Join(err, tty.close())
	}
	for i := range c.nodes {
		if d.conns[i] = c.nodes[i].conn; d.conns[i] == nil && err == nil {
			d.warn("%s is no longer there: %s", c.nodes[i].name, c.nodes[i].ended)
		}
	}
	if err != nil {
		return err
	}
	return d.sum(ctx, c, first)
}

// drive does the commands of the script, or those that keys ask for, one after the other, until the end.
func (c *class) drive(ctx context.Context, script []scriptStep, tty *terminal) error {
	if c.d.keys {
		return c.driveByKeys(ctx, tty)
	}
	for _, step := range script {
		if err := sleepFor(ctx, time.Until(c.begun.Add(step.at))); err != nil {
			return err
		}
		if step.action == commandEnd {
			break
		}
		if err := c.try(ctx, step.command); err != nil {
			return err
		}
	}
	return nil
}

// driveByKeys hears keys while it does what earlier ones asked for.
func (c *class) driveByKeys(ctx context.Context, tty *terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return tty.keys(gctx, func(key byte) {
			c.mu.Lock()
			cmd, asked := c.command(key)
			c.mu.Unlock()
			if !asked {
				return
			}
			select {
			case c.commands <- cmd:
			case <-gctx.Done():
			}
		})
	})
	g.Go(func() error {
		defer cancel()
		for {
			select {
			case cmd := <-c.commands:
				if cmd.action == commandEnd {
					return nil
				}
				if err := c.try(gctx, cmd); err != nil {
					return err
				}
			case <-gctx.Done():
				return context.Cause(gctx)
			}
		}
	})
	return g.Wait()
}

// try does a command. What does not work is told, and the lesson goes on: the nodes are not well, and that is what it is about.
func (c *class) try(ctx context.Context, cmd command) error {
	err := c.do(ctx, cmd)
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(fmt.Sprintf("%s: %v", cmd.action, err))
	return nil
}

// recover makes the network whole again: what comes after the lesson needs it.
func (c *class) recover(ctx context.Context) error {
	if err := c.heal(ctx); err != nil && !errors.Is(err, errCannot) {
		return err
	}
	c.mu.Lock()
	var dead []int
	for i := range c.nodes {
		if n := &c.nodes[i]; n.dead && n.ended == "" {
			dead = append(dead, i)
		}
	}
	c.mu.Unlock()
	for _, i := range dead {
		if err := c.bringBack(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// show draws the view, or writes what is new where there is no terminal.
func (c *class) show(tty *terminal) {
	c.mu.Lock()
	v := c.view(time.Now(), c.d.keys)
	fresh := c.events[min(c.told, len(c.events)):]
	c.told = len(c.events)
	c.mu.Unlock()
	if tty != nil {
		_ = tty.draw(v) // a terminal that cannot draw is no reason to stop the lesson
		return
	}
	if c.d.json {
		return
	}
	for _, e := range fresh {
		c.d.warn("%7.1f s  %s", e.at.Seconds(), e.text)
	}
}

// sum puts the lesson into the run's figures.
func (d *demonstration) sum(ctx context.Context, c *class, first uint64) error {
	c.lookAround(ctx)
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	d.lesson.Faults = c.faults
	d.height = int(c.chain.last)
	conn, err := d.next(ctx)
	if err != nil {
		return err
	}
	included, err := d.countTransfers(ctx, conn, first)
	if err != nil {
		return err
	}
	t := &d.lesson.Totals
	t.Sent, t.Included = t.Sent+c.load.sent, t.Included+included
	t.Lost = max(0, c.load.sent-included)
	t.Forks = c.chain.forks()
	for height, hashes := range c.chain.blocks {
		if len(hashes) > 1 {
			t.BlocksLost += len(hashes) - 1
		}
		_ = height
	}
	d.shown.noteKill(c.faults, included)
	if d.flags.script == "" && !d.keys && t.Lost > 0 {
		return fmt.Errorf("%d of %d transfers that nodes took are in no block", t.Lost, c.load.sent)
	}
	return nil
}

// noteKill takes the first killed node for the demo's own table.
func (v *demoView) noteKill(faults []lessonFault, transfers int) {
	for i := range faults {
		f := &faults[i]
		if f.Action != faultKill || v.Kill.Node != "" {
			continue
		}
		v.Kill = killView{Node: f.Nodes[0], Led: f.Led, Transfers: transfers, PauseMillis: f.Pause, NewLeader: f.LeaderAfter}
		for _, back := range faults[i:] {
			if back.Action == faultRestart && back.Nodes[0] == f.Nodes[0] {
				v.Kill.DownSeconds, v.Kill.BlocksBehind, v.Kill.CatchUpSeconds = back.At-f.At, back.Behind, back.CatchUp
				v.Kill.NewLeader = back.LeaderAfter
				break
			}
		}
	}
}
