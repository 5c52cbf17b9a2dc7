package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"jialing": main})
}

// Each file of testdata is a transcript: commands with what they must print and whether they fail.
//
// Beyond testscript's own commands: startnode DIR [FLAG...] runs a node and sets $RPC and $WS; stopnode stops it and wants a clean end; killnode
// kills it; exit CODE COMMAND... wants that exit code; match VAR REGEXP takes the first group found in the last stdout; listen VAR takes a port; portof VAR ADDR is the
// port of an address; ports VAR... finds consecutive free ones; http DIR PORT sets a
// node's; sleeper FILE starts a process and writes its pid, stillruns wants it alive; freeze PID sends SIGSTOP, kill9 DIR kills a node, until PATTERN COMMAND...
// repeats a command until what it prints matches; repeat N COMMAND... runs it N times. Nodes left in the background are
// killed when the script ends. contradict DIR HEIGHT FILE makes evidence against a node.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Setup:         setup,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"startnode": startNode, "stopnode": stopNode, "killnode": killNode, "exit": wantExit, "match": match, "listen": listen,
			"portof": portOf, "ports": ports,
			"http": setHTTP, "sleeper": sleeper, "stillruns": stillRuns, "freeze": freeze, "kill9": kill9, "until": until, "repeat": repeat, "contradict": contradict,
		},
	})
}

type nodeKey struct{}

func setup(e *testscript.Env) error {
	e.Setenv("HOME", e.WorkDir)
	e.Values[nodeKey{}] = new(runningNode)
	e.Defer(func() { killBackground(e.WorkDir) })
	return nil
}

// killBackground ends the nodes that a script left running in the background.
func killBackground(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "node.toml" {
			if pid := (&nodeFolder{dir: filepath.Dir(path)}).running(); pid != 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return nil
	})
}

// setHTTP gives the node of a folder a port for JSON-RPC.
func setHTTP(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(filepath.Join(args[0], "node.toml"))
	b, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, regexp.MustCompile(`(?m)^addr = .*$`).ReplaceAll(b, []byte(`addr = "127.0.0.1:`+args[1]+`"`)), 0o644))
}

// sleeper starts a process that has nothing to do with nodes and writes its pid to a file.
func sleeper(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command("sleep", "600")
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, "%d\n", cmd.Process.Pid), 0o644))
	ts.Setenv("SLEEPER", strconv.Itoa(cmd.Process.Pid))
}

// stillRuns wants the sleeper unharmed.
func stillRuns(ts *testscript.TestScript, _ bool, _ []string) {
	pid, err := strconv.Atoi(ts.Getenv("SLEEPER"))
	ts.Check(err)
	if args, _ := commandLine(pid); len(args) == 0 || filepath.Base(args[0]) != "sleep" {
		ts.Fatalf("the sleeper was ended")
	}
}

// until runs a command again and again, for a minute at most, until what it prints matches: what other processes do takes its time.
func until(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND [ARGUMENT...]")
	}
	pattern := regexp.MustCompile(args[0])
	for end := time.Now().Add(time.Minute); ; {
		_ = ts.Exec(args[1], args[2:]...) // what it prints counts
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nothing matches %s", args[0])
		}
	}
}

// kill9 kills the node of a folder as a crash does.
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	pid := (&nodeFolder{dir: ts.MkAbs(args[0])}).running()
	if pid == 0 {
		ts.Fatalf("no node runs in %s", args[0])
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	for end := time.Now().Add(time.Minute); runsNode(pid, ts.MkAbs(args[0])); {
		if time.Now().After(end) {
			ts.Fatalf("process %d does not end", pid)
		}
		runtime.Gosched()
	}
}

// freeze stops a process as SIGSTOP does: it no longer hears that it should end.
func freeze(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGSTOP))
}

type runningNode struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

func startNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: startnode DIR [FLAG...]")
	}
	n := ts.Value(nodeKey{}).(*runningNode)
	if n.cmd != nil {
		ts.Fatalf("a node runs already")
	}
	n.stderr.Reset()
	cmd := exec.Command("jialing", append([]string{"start", "--json", "--http.addr", "127.0.0.1:0", "--dir", args[0]}, args[1:]...)...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Stderr = &n.stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	n.cmd = cmd
	ts.Defer(func() { // a script that failed leaves it running
		if n.cmd != nil {
			_ = n.cmd.Process.Kill()
			_ = n.cmd.Wait()
		}
	})
	var view startView
	if err := json.NewDecoder(out).Decode(&view); err != nil {
		_ = cmd.Wait()
		n.cmd = nil
		ts.Fatalf("the node did not start: %v\n%s", err, n.stderr.String())
	}
	ts.Setenv("RPC", view.HTTP)
	ts.Setenv("WS", view.WebSocket)
}

func stopNode(ts *testscript.TestScript, _ bool, _ []string) {
	n := ts.Value(nodeKey{}).(*runningNode)
	ts.Check(n.cmd.Process.Signal(os.Interrupt))
	err := n.cmd.Wait()
	n.cmd = nil
	if err != nil || !strings.HasSuffix(n.stderr.String(), "stopped\n") {
		ts.Fatalf("the node ended with %v\n%s", err, n.stderr.String())
	}
}

func killNode(ts *testscript.TestScript, _ bool, _ []string) {
	n := ts.Value(nodeKey{}).(*runningNode)
	ts.Check(n.cmd.Process.Kill())
	_ = n.cmd.Wait() // killed
	n.cmd = nil
}

func wantExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE COMMAND [ARGUMENT...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		exited, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = strconv.Itoa(exited.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// match sets a variable to the first group of a pattern in the last output.
func match(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no %s in the output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// portOf sets a variable to the port of a host:port.
func portOf(ts *testscript.TestScript, _ bool, args []string) {
	_, port, err := net.SplitHostPort(args[1])
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// firstPort is where ports looks next: below the ports that systems give to outgoing connections, from a place that depends on the process, since
// several test runs may share the machine.
var firstPort atomic.Uint32

func init() { firstPort.Store(uint32(10_000 + os.Getpid()%1000*20)) }

// ports sets variables to consecutive ports that nothing listens on.
func ports(ts *testscript.TestScript, _ bool, args []string) {
	n := uint32(len(args))
	for range 1000 {
		first := firstPort.Add(n) - n
		if first+n > 32_000 {
			firstPort.Store(10_000)
			continue
		}
		if free(first, n) {
			for i, name := range args {
				ts.Setenv(name, strconv.Itoa(int(first)+i))
			}
			return
		}
	}
	ts.Fatalf("no %d consecutive free ports", n)
}

func free(first, n uint32) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
		if err != nil {
			return false
		}
		if l.Close() != nil {
			return false
		}
	}
	return true
}

// listen occupies a port for the rest of the script.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}
