package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jialing-chain/jialing/client"
)

// demoNodes are the nodes that the demo runs, each a process of its own: what is shown is the real thing.
type demoNodes struct {
	*cli
	folders []demoFolder
	// cores is each node's share of the machine, 0 for no division.
	cores int
	// children are by number; one that was killed on purpose stays until it is started again.
	children []*child
	// fail ends the demo: a node ended before its time.
	fail context.CancelCauseFunc
	// serving tells that the demo has been shown: who kills a node of a network now wants to see the others go on.
	serving atomic.Bool
	// gone is told, while a lesson is on, of nodes that end by themselves: that is then a thing to see.
	gone atomic.Pointer[func(i int, story string)]
}

// child is one process.
type child struct {
	name  string
	cmd   *exec.Cmd
	view  startView
	log   string
	meant atomic.Bool   // it is to end
	ended chan struct{} // closed when the process has ended
	err   error         // why, after ended
}

// stopGrace is how long the nodes get to stop before they are killed; a clean stop takes milliseconds.
const stopGrace = 20 * time.Second

var errChildEnded = errors.New("a node of the demo ended before its time")

// startAll runs all nodes and waits until they serve and, in a network, have found each other and a leader.
func (n *demoNodes) startAll(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for i := range n.folders {
		g.Go(func() error { return n.start(gctx, i, n.folders[i].httpAddr) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for len(n.folders) > 1 {
		missing := n.missing(ctx)
		if missing == "" {
			break
		}
		if err := sleepFor(ctx, startPoll); err != nil {
			return fmt.Errorf("%w (%s)", err, missing)
		}
	}
	return nil
}

// urls are where the nodes answer JSON-RPC.
func (n *demoNodes) urls() (out []string) {
	for _, c := range n.children {
		out = append(out, c.view.HTTP)
	}
	return out
}

// missing says what keeps the network from ordering; "" when nothing does.
func (n *demoNodes) missing(ctx context.Context) string {
	for i, a := range probeAll(ctx, n.urls()) {
		folder, err := openNodeFolder(n.folders[i].dir)
		if err != nil {
			return err.Error()
		}
		if why := notReady(folder, a); why != "" {
			return folder.name + ": " + why
		}
	}
	return ""
}

// start runs the node of a folder and returns once it serves.
func (n *demoNodes) start(ctx context.Context, i int, httpAddr string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	folder := n.folders[i]
	c := &child{name: folder.name, ended: make(chan struct{}), log: filepath.Join(folder.dir, logFolder, logFile)}
	if err := os.MkdirAll(filepath.Dir(c.log), 0o755); err != nil {
		return fmt.Errorf("make the log of %s: %w", c.name, err)
	}
	log, err := os.OpenFile(c.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", c.name, err)
	}
	defer log.Close() // the child has its own
	args := append([]string{"start", "--dir", folder.dir, "--http.addr", httpAddr, "--log.level", "info", "--json"}, coresArgs(n.cores)...)
	c.cmd = exec.Command(exe, args...)
	c.cmd.Args[0] = os.Args[0]
	c.cmd.Stderr = log
	// Its own process group: Ctrl-C reaches us alone, and we stop it in order.
	c.cmd.SysProcAttr = childAttributes()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	n.children[i] = c
	ready := make(chan error, 1)
	go func() {
		ready <- json.NewDecoder(out).Decode(&c.view)
		c.err = c.cmd.Wait()
		close(c.ended)
		n.ended(c)
	}()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w: %s", c.name, err, c.story())
	}
	return nil
}

// ended ends the demo when a node did that was not to; a network that has been shown goes on without.
func (n *demoNodes) ended(c *child) {
	gone := n.gone.Load()
	switch {
	case c.meant.Load():
	case gone != nil:
		(*gone)(slices.Index(n.children, c), c.story())
	case n.serving.Load() && len(n.folders) > 1:
		n.warn("%s has ended (%v); the others go on while three of them live. Start it again: jialing network start --dir %s %s", c.name, c.err,
			filepath.Dir(n.folders[0].dir), c.name)
	default:
		n.fail(fmt.Errorf("%w: %s", errChildEnded, c.story()))
	}
}

// story is how a process ended, as far as that is known, and the last of what it said.
func (c *child) story() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return fmt.Sprintf("%s (%v)", c.name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return fmt.Sprintf("%s said last: %.500s (%s)", c.name, lines[len(lines)-1], c.log)
}

// kill ends a node as kill -9 does and returns when it has ended.
func (n *demoNodes) kill(i int) error {
	c := n.children[i]
	c.meant.Store(true)
	if err := c.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", c.name, err)
	}
	<-c.ended
	return nil
}

// stop asks all nodes to stop and waits until they have: those that the demo started and those that somebody has started again since.
func (n *demoNodes) stop() error {
	errs := make([]error, len(n.children))
	var g errgroup.Group
	for i, c := range n.children {
		if c != nil {
			g.Go(func() error {
				errs[i] = c.stop()
				if folder, err := openNodeFolder(n.folders[i].dir); err == nil && n.serving.Load() {
					_, _, err := folder.stop(context.Background(), stopGrace)
					errs[i] = errors.Join(errs[i], err)
				}
				return nil
			})
		}
	}
	_ = g.Wait() // errs has them all
	return errors.Join(errs...)
}

func (c *child) stop() error {
	meant := c.meant.Swap(true)
	select {
	case <-c.ended:
		return nil // if that was too early, the demo has failed with it
	default:
	}
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	select {
	case <-c.ended:
	case <-time.After(stopGrace):
		if err := c.cmd.Process.Kill(); err != nil {
			return fmt.Errorf("kill %s: %w", c.name, err)
		}
		<-c.ended
		return fmt.Errorf("%s did not stop within %s and was killed", c.name, stopGrace)
	}
	if c.err != nil && !meant {
		return fmt.Errorf("%s ended with: %w", c.name, c.err)
	}
	return nil
}

// dial connects to every node.
func (n *demoNodes) dial(ctx context.Context) (conns []*client.Client, err error) {
	for _, c := range n.children {
		conn, err := client.Dial(ctx, c.view.WebSocket)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// sleepFor ends after d or with ctx, whose cause it returns.
func sleepFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
