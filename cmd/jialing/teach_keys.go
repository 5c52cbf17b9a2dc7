package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is where a lesson is shown and keys are heard; nil where there is none.
type terminal struct {
	in  *os.File
	out io.Writer
	fd  int
	old *term.State
	// lines is how many the last picture had.
	lines int
}

// hasTerminal tells whether keys can be heard and a view be drawn.
func (c *cli) hasTerminal() bool {
	in, ok := c.in.(*os.File)
	out, shown := c.err.(*os.File)
	return ok && shown && !c.json && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// openTerminal takes the terminal, if stdin and stderr are one. Keys come one by one until close.
func (c *cli) openTerminal() (*terminal, error) {
	if !c.hasTerminal() {
		return nil, nil
	}
	in := c.in.(*os.File)
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return &terminal{in: in, out: c.err, fd: int(in.Fd()), old: old}, nil
}

func (t *terminal) close() error { return term.Restore(t.fd, t.old) }

// keyPoll is how soon a terminal's reader notices that it is to end.
const keyPoll = 100 * time.Millisecond

// keys calls heard for every key until ctx ends.
func (t *terminal) keys(ctx context.Context, heard func(byte)) error {
	buf := make([]byte, 64)
	for ctx.Err() == nil {
		ready := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, int(keyPoll.Milliseconds()))
		if err == unix.EINTR || err == nil && n == 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		n, err = t.in.Read(buf)
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		for _, key := range buf[:n] {
			heard(key)
		}
	}
	return nil
}

// draw shows the view in place of the last one.
func (t *terminal) draw(v *classView) error {
	var b bytes.Buffer
	v.text(&b)
	width, height, err := term.GetSize(t.fd)
	if err != nil {
		width, height = 120, 40
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	lines = lines[:min(len(lines), height-1)]
	var picture strings.Builder
	if t.lines > 0 {
		fmt.Fprintf(&picture, "\x1b[%dA", t.lines)
	}
	for _, l := range lines {
		if r := []rune(l); len(r) >= width {
			l = string(r[:width-1])
		}
		picture.WriteString("\r\x1b[K" + l + "\r\n")
	}
	picture.WriteString("\x1b[J")
	t.lines = len(lines)
	_, err = io.WriteString(t.out, picture.String())
	return err
}

// command is what a key asks for; false for one that asks for nothing now. The caller holds mu.
func (c *class) command(key byte) (command, bool) {
	e, n := c.d.flags.engine, len(c.nodes)
	switch {
	case key >= '1' && key <= '9' && int(key-'1') < n:
		c.chosen = int(key - '1')
	case key == 'k':
		return command{action: faultKill, node: c.chosen}, true
	case key == 'r':
		return command{action: faultRestart, node: c.chosen}, true
	case key == 'p' && n > 1:
		groups := halves(c.chosen, n)
		if c.groups != nil && len(c.groups[0]) > 1 && len(c.groups[1]) > 1 { // parted in halves already: now the chosen one alone
			groups = alone(c.chosen, n)
		}
		return command{action: faultPartition, groups: groups}, true
	case key == 'h':
		return command{action: faultHeal}, true
	case key == 'b' && len(e.lies) > 0:
		return command{action: faultByzantine, node: c.chosen, lie: nextLie(e.lies, c.nodes[c.chosen].lie)}, true
	case key == 'q' || key == 3: // Ctrl-C comes as a key from a raw terminal
		return command{action: commandEnd}, true
	}
	return command{}, false
}

// alone parts one node from the others.
func alone(who, n int) [][]int {
	out := [][]int{{who}, nil}
	for i := range n {
		if i != who {
			out[1] = append(out[1], i)
		}
	}
	return out
}

// nextLie is the one after, the first after the last and after honesty.
func nextLie(lies []string, now string) string {
	for i, l := range lies {
		if l == now {
			return lies[(i+1)%len(lies)]
		}
	}
	return lies[0]
}
