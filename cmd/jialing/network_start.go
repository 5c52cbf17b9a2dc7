package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// startWait is how long the nodes get to find each other: opening a large ledger after a crash takes some of it.
	startWait = time.Minute
	// startPoll is how often starting nodes are asked.
	startPoll = 200 * time.Millisecond
	// stopWait is how long a node gets to stop by itself; what is in flight must reach the disk.
	stopWait = 30 * time.Second
)

func (c *cli) networkStart() *cobra.Command {
	var dir, level string
	var cores int
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "start [NODE...]",
		Short: "Run the network's nodes in the background and wait until they are ready to order blocks",
		Long: `Run the network's nodes in the background and wait until they are ready to order blocks: they answer, enough of them have found each other, and
they have a leader. Nodes that run already are left alone; nodes that are meant for another machine are named and left out. Each writes its log to
NODE/log/node.log in its folder, and outlives this command. With arguments only these nodes start. The nodes of one machine divide its processors.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if wait <= 0 {
				return usagef("--wait must be positive")
			}
			if err := checkCores(cores); err != nil {
				return err
			}
			if _, err := newLogger(io.Discard, level, "text"); err != nil {
				return err
			}
			return c.withNetwork(dir, args, func(all, some []*nodeFolder) error {
				return c.startNodes(cmd.Context(), dir, all, some, launching{level, cores}, wait)
			})
		},
	}
	networkDirFlag(cmd, &dir)
	coresFlag(cmd, &cores, "its share of this machine's, at least one; all with proof of work")
	cmd.Flags().DurationVar(&wait, "wait", startWait, "how long to wait until the network is ready")
	cmd.Flags().StringVar(&level, "log.level", "info", "of the nodes' logs: debug (every block), info, warn or error")
	return cmd
}

func (c *cli) networkStop() *cobra.Command {
	var dir string
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "stop [NODE...]",
		Short: "Stop the network's nodes on this machine",
		Long: `Stop the network's nodes on this machine, all at once, and wait until they have ended. A node that does not end in time is killed, which loses
nothing that was acknowledged. With arguments only these nodes stop.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if grace <= 0 {
				return usagef("--wait must be positive")
			}
			return c.withNetwork(dir, args, func(_, some []*nodeFolder) error { return c.stopNodes(cmd.Context(), some, grace, true) })
		},
	}
	networkDirFlag(cmd, &dir)
	cmd.Flags().DurationVar(&grace, "wait", stopWait, "how long a node gets to stop by itself before it is killed")
	return cmd
}

func (c *cli) networkRestart() *cobra.Command {
	var dir, level string
	var cores int
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "restart NODE...", Short: "Stop nodes of the network and start them again", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if wait <= 0 {
				return usagef("--wait must be positive")
			}
			if err := checkCores(cores); err != nil {
				return err
			}
			if _, err := newLogger(io.Discard, level, "text"); err != nil {
				return err
			}
			return c.withNetwork(dir, args, func(all, some []*nodeFolder) error {
				if err := c.stopNodes(cmd.Context(), some, stopWait, false); err != nil {
					return err
				}
				return c.startNodes(cmd.Context(), dir, all, some, launching{level, cores}, wait)
			})
		},
	}
	networkDirFlag(cmd, &dir)
	coresFlag(cmd, &cores, "its share of this machine's, at least one; all with proof of work")
	cmd.Flags().DurationVar(&wait, "wait", startWait, "how long to wait until the network is ready")
	cmd.Flags().StringVar(&level, "log.level", "info", "of the nodes' logs: debug (every block), info, warn or error")
	return cmd
}

// errNetworkBusy is a folder in which another start or stop is at work.
var errNetworkBusy = errors.New("another jialing network command is at work in this folder")

// withNetwork opens the network, keeps others from starting and stopping nodes in it meanwhile, and hands over all its nodes and the chosen ones.
func (c *cli) withNetwork(dir string, args []string, do func(all, some []*nodeFolder) error) error {
	all, err := openNetwork(dir)
	if err != nil {
		return err
	}
	some, err := chosen(all, args)
	if err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open the network's folder: %w", err)
	}
	defer folder.Close() // which gives the lock back
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s", errNetworkBusy, dir)
		}
		return fmt.Errorf("lock the network's folder: %w", err)
	}
	return do(all, some)
}

// startNodes runs those that do not run yet and waits until the network is ready. When it is told to stop while waiting, it stops what it started.
func (c *cli) startNodes(ctx context.Context, dir string, all, some []*nodeFolder, how launching, wait time.Duration) error {
	if how.cores == 0 {
		how.cores = sharedCores(countHere(all), some[0].genesis.Consensus.Engine)
	}
	started, err := c.launchAll(some, how)
	if err == nil {
		if len(started) == 0 {
			c.say("nothing to start")
		}
		err = c.awaitReady(ctx, all, started, wait)
	}
	if err != nil && (ctx.Err() != nil || len(started) < len(some) && errors.Is(err, errLaunch)) {
		c.warn("stopping what was started")
		// ctx has ended; stopping is bounded by itself.
		for _, b := range started {
			if _, _, serr := b.stop(context.WithoutCancel(ctx), stopWait); serr != nil {
				err = errors.Join(err, serr)
			}
		}
		return err
	}
	if err != nil {
		return err
	}
	return c.showNetwork(ctx, dir, all)
}

// errLaunch is a node whose process could not even be started.
var errLaunch = errors.New("a node could not be started")

// launching is how nodes are started: the level of their logs, and on how many processors each computes, 0 for all.
type launching struct {
	level string
	cores int
}

// countHere counts the nodes that are meant for this machine.
func countHere(all []*nodeFolder) (n int) {
	for _, f := range all {
		if f.elsewhere() == "" {
			n++
		}
	}
	return n
}

// launchAll starts those that do not run and are meant for this machine.
func (c *cli) launchAll(some []*nodeFolder, how launching) ([]*background, error) {
	var started []*background
	for _, n := range some {
		if pid := n.running(); pid != 0 {
			c.say("%s runs already (pid %d)", n.name, pid)
			continue
		}
		if host := n.elsewhere(); host != "" {
			c.say("%s is meant for %s: copy its folder there and start it there", n.name, host)
			continue
		}
		b, err := n.launch(how.level, how.cores)
		if err != nil {
			return started, fmt.Errorf("%w: %w", errLaunch, err)
		}
		started = append(started, b)
		c.say("%s started (pid %d)%s", n.name, b.pid, coresWords(how.cores))
	}
	return started, nil
}

// say tells of progress on stderr, where --json does not want silence.
func (c *cli) say(format string, args ...any) {
	if !c.json {
		c.warn(format, args...)
	}
}

// errNotReady is a network that does not order blocks; the text has a line per node that keeps it from doing so.
var errNotReady = errors.New("the network is not ready to order blocks")

// errElsewhere is a network of which nothing is to run here.
var errElsewhere = errors.New("none of these nodes is meant for this machine")

// awaitReady asks the nodes of this machine until nothing is missing.
func (c *cli) awaitReady(ctx context.Context, all []*nodeFolder, started []*background, wait time.Duration) error {
	here := make([]*nodeFolder, 0, len(all))
	urls := make([]string, 0, len(all))
	for _, n := range all {
		if n.running() != 0 || hasStarted(started, n) != nil {
			here, urls = append(here, n), append(urls, n.rpcURL())
		}
	}
	if len(here) == 0 {
		return errElsewhere
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	told := ""
	for {
		missing, fatal := missingNow(ctx, here, started, urls)
		if len(missing) == 0 {
			return nil
		}
		text := strings.Join(missing, "\n  ")
		if fatal {
			return fmt.Errorf("%w:\n  %s", errNotReady, text)
		}
		if text != told && told != "" {
			c.say("waiting: %s", shortly(missing))
		}
		told = text
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("%w after %s:\n  %s", errNotReady, wait, text)
		case <-tick.C:
		}
	}
}

// shortly is a line's worth of what is missing; the error at the end has all of it.
func shortly(missing []string) string {
	short := make([]string, len(missing))
	for i, m := range missing {
		short[i], _, _ = strings.Cut(m, ";")
	}
	return strings.Join(short, "; ")
}

func hasStarted(started []*background, n *nodeFolder) *background {
	for _, b := range started {
		if b.nodeFolder == n {
			return b
		}
	}
	return nil
}

// missingNow says, node by node, what keeps the network from ordering. fatal tells that waiting cannot help: a process has ended.
func missingNow(ctx context.Context, here []*nodeFolder, started []*background, urls []string) (missing []string, fatal bool) {
	for _, b := range started {
		select {
		case <-b.ended:
			missing = append(missing, endedSentence(b))
		default:
		}
	}
	if len(missing) > 0 {
		return missing, true
	}
	for i, a := range probeAll(ctx, urls) {
		if why := notReady(here[i], a); why != "" {
			missing = append(missing, here[i].name+": "+why)
		}
	}
	return missing, false
}

func endedSentence(b *background) string {
	how := "its process ended"
	if b.err != nil {
		how += " (" + b.err.Error() + ")"
	}
	if words := b.lastWords(b.logged); words != "" {
		return fmt.Sprintf("%s: %s: %s", b.name, how, strings.ReplaceAll(words, "\n", "\n    "))
	}
	return fmt.Sprintf("%s: %s and left nothing in %s", b.name, how, filepath.Join(b.dir, logFolder, logFile))
}

// notReady says why a node cannot take part in ordering; "" when it can.
func notReady(n *nodeFolder, a *answer) string {
	switch s := a.status; {
	case a.err != nil:
		return fmt.Sprintf("no answer from %s yet", a.url)
	case s.key() != n.key:
		return fmt.Sprintf("another node answers at %s (%s)", a.url, memberName(s.Name, 0))
	case s.Problem != nil:
		return *s.Problem
	case len(s.Validators) == 1 || s.Work != nil && len(n.cfg.Network.Peers) == 0:
		return ""
	case s.Validator != nil && connectedValidators(a) < s.Quorum:
		return fmt.Sprintf("it has found %d of %d validators (itself included), %d must have found each other%s", connectedValidators(a), len(s.Validators), s.Quorum,
			unreachable(a))
	case s.Validator == nil && s.Peers == 0:
		return "it has found no other node" + unreachable(a)
	case s.Validator != nil && s.Leader == nil:
		return "no leader yet"
	}
	return ""
}

// connectedValidators counts the ruling validators that the node reaches, itself included.
func connectedValidators(a *answer) int {
	n := 0
	if a.status.Validator != nil {
		n++
	}
	for _, p := range a.peers {
		if p.Connected && a.status.rules(chain.Peer(p.PublicKey)) {
			n++
		}
	}
	return n
}

// unreachable lists the validators that the node does not reach, with the last error.
func unreachable(a *answer) string {
	var out []string
	for _, p := range a.peers {
		if !p.Connected && p.Validator != nil {
			why := p.label() + " at " + p.Address
			if p.LastError != "" {
				why += " (" + p.LastError + ")"
			}
			out = append(out, why)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; missing: " + strings.Join(out, ", ")
}

// stopNodes stops them all at once. loud also tells of those that did not run.
func (c *cli) stopNodes(ctx context.Context, some []*nodeFolder, grace time.Duration, loud bool) error {
	type outcome struct {
		pid    int
		killed bool
		err    error
	}
	done := make([]chan outcome, len(some))
	for i, n := range some {
		done[i] = make(chan outcome, 1)
		go func() {
			pid, killed, err := n.stop(ctx, grace)
			done[i] <- outcome{pid, killed, err}
		}()
	}
	var errs []error
	for i, n := range some {
		switch o := <-done[i]; {
		case o.err != nil:
			errs = append(errs, o.err)
		case o.killed:
			c.say("%s (pid %d) did not stop within %s and was killed", n.name, o.pid, grace)
		case o.pid != 0:
			c.say("%s stopped (pid %d)", n.name, o.pid)
		case loud:
			c.say("%s did not run", n.name)
		}
	}
	return errors.Join(errs...)
}
