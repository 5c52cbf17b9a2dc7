package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one node of the chain, a child of ours.
type process struct {
	binary, dir string
	cmd         *exec.Cmd
	// exited holds how the process ended; it is never empty afterwards.
	exited   chan error
	log      *os.File
	http, ws string
	pprof    string
}

// startTimeout bounds how long a node may take to serve; stopTimeout how long to end.
const (
	startTimeout = time.Minute
	stopTimeout  = time.Minute
)

// startProcess runs the node of dir, whose log goes to a file, and returns once it serves.
func startProcess(ctx context.Context, binary, dir, log string, extra []string) (*process, error) {
	p := &process{binary: binary, dir: dir, exited: make(chan error, 1)}
	args := []string{"start", "--dir", dir, "--http.addr", "127.0.0.1:0", "--json", "--log.level", "info"}
	p.cmd = exec.Command(binary, append(args, extra...)...)
	var err error
	// Appended to: a node that is killed and started again tells one story.
	if p.log, err = os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.log
	// The node must not get the terminal's Ctrl-C: it is stopped when we are done with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	served := make(chan error, 1)
	go func() {
		served <- p.readStart(stdout)
		io.Copy(io.Discard, stdout)
		p.exited <- p.cmd.Wait()
	}()
	select {
	case err = <-served:
	case <-time.After(startTimeout):
		err = fmt.Errorf("it does not serve after %s", startTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.cmd.Process.Kill()
		p.wait(stopTimeout)
		return nil, fmt.Errorf("start node: %w: %s", err, p.lastWords())
	}
	return p, nil
}

// startArgs are what the nodes get beside their folders. As jialing network start does, they divide the processors.
func (s *settings) startArgs() (args []string) {
	if s.Profile {
		args = append(args, "--pprof.addr", "127.0.0.1:0")
	}
	if s.Cores > 0 {
		args = append(args, "--cores", strconv.Itoa(s.Cores))
	}
	return args
}

// readStart reads what "jialing start --json" says of where it serves.
func (p *process) readStart(r io.Reader) error {
	var said struct{ HTTP, WebSocket, Pprof string }
	if err := json.NewDecoder(r).Decode(&said); err != nil {
		return errors.New("it ended without saying where it serves")
	}
	p.http, p.ws, p.pprof = said.HTTP, said.WebSocket, said.Pprof
	return nil
}

// stop ends the node cleanly.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop node: %w", err)
	}
	ended, err := p.wait(stopTimeout)
	switch {
	case !ended:
		p.cmd.Process.Kill()
		p.wait(stopTimeout)
		return fmt.Errorf("the node did not end within %s", stopTimeout)
	case err != nil:
		return fmt.Errorf("the node did not end well: %w: %s", err, p.lastWords())
	}
	return p.log.Close()
}

// kill ends the node as kill -9 does, and returns when it has ended.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill node: %w", err)
	}
	if ended, _ := p.wait(stopTimeout); !ended {
		return fmt.Errorf("the node did not end within %s of kill -9", stopTimeout)
	}
	return p.log.Close()
}

// wait waits for the process to end, as long as patience.
func (p *process) wait(patience time.Duration) (ended bool, err error) {
	select {
	case err := <-p.exited:
		p.exited <- err
		return true, err
	case <-time.After(patience):
		return false, nil
	}
}

// lastWords is the end of the node's log.
func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return fmt.Sprintf("%.500s (%s)", lines[len(lines)-1], p.log.Name())
}

// clockTicks is USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

// cpu is the user and system time of the process so far.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the node's CPU time: %w", err)
	}
	return parseStat(b)
}

// parseStat takes utime and stime, fields 14 and 15 of proc(5), counted behind the name in brackets.
func parseStat(stat []byte) (time.Duration, error) {
	// A name may hold brackets and spaces itself.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the node's CPU time: cannot understand %q", stat)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the node's CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// peakRSS is the largest resident memory of the process so far, in bytes.
func (p *process) peakRSS() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the node's memory: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("read the node's memory: no VmHWM")
}
