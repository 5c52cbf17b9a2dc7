package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The files of a node that runs in the background.
const (
	pidFile   = "node.pid"
	logFolder = "log"
	logFile   = "node.log"
)

// maxLog is the size at which a log is put aside when its node starts; one older log is kept.
const maxLog = 32 << 20

// running is the process of the node's folder, 0 when there is none. A pid file whose process is another program's is stale: only the command line
// tells. A node that was started without one is found too, where /proc exists.
func (n *nodeFolder) running() int {
	b, err := os.ReadFile(filepath.Join(n.dir, pidFile))
	if err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 0 && runsNode(pid, n.dir) {
			return pid
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, p := range processes {
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil && runsNode(pid, n.dir) {
			return pid
		}
	}
	return 0
}

// runsNode tells whether a process is "jialing start" on that folder. A process that has ended and is not yet collected has no command line.
func runsNode(pid int, dir string) bool {
	args, cwd := commandLine(pid)
	if len(args) < 2 || args[1] != "start" { // "network start" is not it
		return false
	}
	for i, arg := range args {
		value, joined := strings.CutPrefix(arg, "--dir=")
		if arg == "--dir" && i+1 < len(args) {
			value, joined = args[i+1], true
		}
		if !joined {
			continue
		}
		if !filepath.IsAbs(value) {
			value = filepath.Join(cwd, value)
		}
		if sameFolder(value, dir) {
			return true
		}
	}
	return false
}

// sameFolder also sees through symbolic links.
func sameFolder(a, b string) bool {
	if filepath.Clean(a) == b {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// commandLine is a process's arguments and its folder; none when it does not run.
func commandLine(pid int) (args []string, cwd string) {
	if runtime.GOOS != "linux" {
		out, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
		if err != nil {
			return nil, ""
		}
		return strings.Fields(string(out)), ""
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	b, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil || len(b) == 0 {
		return nil, ""
	}
	cwd, err = os.Readlink(filepath.Join(proc, "cwd"))
	if err != nil {
		cwd = "" // another user's: its relative paths cannot be known
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), cwd
}

// background is a node that this process has started.
type background struct {
	*nodeFolder
	pid int
	// ended is closed when the process has ended; err then says how.
	ended chan struct{}
	err   error
	// logged is where in the log this run begins.
	logged int64
}

// launch runs a node in the background, in a session of its own: it outlives this process and its terminal.
func (n *nodeFolder) launch(logLevel string, cores int) (*background, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	log, offset, err := n.openLog()
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", n.name, err)
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(exe, append([]string{"start", "--dir", n.dir, "--log.level", logLevel}, coresArgs(cores)...)...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", n.name, err)
	}
	b := &background{nodeFolder: n, pid: cmd.Process.Pid, ended: make(chan struct{}), logged: offset}
	go func() { // ends with the child, or with this process
		b.err = cmd.Wait()
		close(b.ended)
	}()
	path := filepath.Join(n.dir, pidFile)
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", b.pid), 0o644); err != nil {
		_ = cmd.Process.Kill() // nobody could stop it by its pid file
		<-b.ended
		return nil, fmt.Errorf("write the pid of %s: %w", n.name, err)
	}
	return b, nil
}

// openLog opens the log to append to it and says how long it is.
func (n *nodeFolder) openLog() (*os.File, int64, error) {
	folder := filepath.Join(n.dir, logFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, 0, err
	}
	path := filepath.Join(folder, logFile)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// maxLastWords bounds what is shown of a log.
const maxLastWords = 2 << 10

// lastWords is the end of the node's log, from offset on at most.
func (n *nodeFolder) lastWords(offset int64) string {
	f, err := os.Open(filepath.Join(n.dir, logFolder, logFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(offset, info.Size()-maxLastWords)
	if from >= info.Size() {
		return ""
	}
	b := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(b, from); err != nil {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "\n")
}

// stopPoll is how often a process that is asked to stop is looked at: it is not our child, so nobody tells us.
const stopPoll = 20 * time.Millisecond

// killWait is how long a killed process may take to be gone: only a disk that hangs makes it last.
const killWait = 10 * time.Second

// stop asks the node to stop, waits for grace and then kills it. killed tells that it had to. Not running is no error; pid is 0 then.
func (n *nodeFolder) stop(ctx context.Context, grace time.Duration) (pid int, killed bool, err error) {
	if pid = n.running(); pid == 0 {
		return 0, false, n.forgetPID()
	}
	if err := signalNode(pid, syscall.SIGTERM); err != nil {
		return pid, false, fmt.Errorf("stop %s (pid %d): %w", n.name, pid, err)
	}
	gone, err := n.gone(ctx, pid, grace)
	if err != nil {
		return pid, false, err
	}
	if !gone {
		killed = true
		if err := signalNode(pid, syscall.SIGKILL); err != nil {
			return pid, true, fmt.Errorf("kill %s (pid %d): %w", n.name, pid, err)
		}
		if gone, err = n.gone(ctx, pid, killWait); err != nil {
			return pid, true, err
		}
		if !gone {
			return pid, true, fmt.Errorf("%s (pid %d) is still there %s after it was killed: its disk may hang", n.name, pid, killWait)
		}
	}
	return pid, killed, n.forgetPID()
}

// signalNode sends a signal; a process that is gone already is no error.
func signalNode(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// gone waits until the process has ended, for at most so long.
func (n *nodeFolder) gone(ctx context.Context, pid int, within time.Duration) (bool, error) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	for runsNode(pid, n.dir) {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("wait for the end of %s (pid %d): %w", n.name, pid, ctx.Err())
		case <-deadline.C:
			return false, nil
		case <-tick.C:
		}
	}
	return true, nil
}

func (n *nodeFolder) forgetPID() error {
	if err := os.Remove(filepath.Join(n.dir, pidFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the pid file of %s: %w", n.name, err)
	}
	return nil
}
