package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
)

// noneRuns wants no process on the demo's folders.
func noneRuns(t *testing.T, dir string) {
	t.Helper()
	for i := range demoValidators {
		require.Zero(t, (&nodeFolder{dir: filepath.Join(dir, fmt.Sprintf("node%d", i+1))}).running(), "a process was left behind")
	}
}

// TestDemoNetwork: the leader is killed and comes back under load, all nodes end with the same block, and no process stays.
func TestDemoNetwork(t *testing.T) {
	for _, suite := range []string{"intl", "gm"} {
		t.Run(suite, func(t *testing.T) { demoNetwork(t, suite) })
	}
}

func demoNetwork(t *testing.T, suite string) {
	dir := filepath.Join(t.TempDir(), "demo")
	cmd := exec.Command("jialing", "demo", "--once", "--json", "--http.addr", "127.0.0.1:0", "--dir", dir, "--transfers", "300", "--document", "demo.go", "--suite", suite)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	noneRuns(t, dir)
	var v demoView
	require.NoError(t, json.Unmarshal(out, &v), string(out))
	require.Equal(t, 300, v.Transfers, "the chain's logs were counted")
	require.Len(t, v.Nodes, demoValidators)
	for _, n := range v.Nodes {
		require.Equal(t, v.Nodes[0].HeadHash, n.HeadHash)
		require.Equal(t, v.Head, n.Finalized, "%s", n.Name)
	}
	require.Equal(t, 75, v.Kill.Transfers)
	require.NotEqual(t, v.Kill.Node, v.Kill.NewLeader, "another node took over")
	require.Positive(t, v.Kill.PauseMillis)
	require.Positive(t, v.Kill.BlocksBehind, "the others went on without it")
	require.Positive(t, v.Kill.CatchUpSeconds)
	require.GreaterOrEqual(t, len(v.ProvenBy), 3)
	require.Contains(t, v.Refusal, "proof does not hold")
	text := new(strings.Builder)
	v.text(text)
	require.Contains(t, text.String(), "killed\t"+v.Kill.Node+", the leader, with -9 while 75 of the transfers were sent")
	require.Contains(t, text.String(), "heads\tall 4 nodes at block")
}

// TestDemoServesOn: once the demo is shown, the death of a node ends it no longer, and Ctrl-C stops every process, also one that was started again.
func TestDemoServesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	cmd := exec.Command("jialing", "demo", "--http.addr", "127.0.0.1:0", "--dir", dir, "--transfers", "20", "--document", "demo.go")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		killBackground(dir)
	})
	said := hear(stderr)
	await(t, hear(stdout), "That private key is known to everybody")

	victim := &nodeFolder{dir: filepath.Join(dir, "node3")}
	pid := victim.running()
	require.NotZero(t, pid)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	await(t, said, "node3 has ended")
	restarted, err := exec.Command("jialing", "network", "start", "--dir", dir, "node3").CombinedOutput()
	require.NoError(t, err, string(restarted))
	require.NotZero(t, victim.running())

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
	noneRuns(t, dir)
}

// TestDemoKinds: on a chain that takes SM2 transactions some of the senders and the notary sign with SM2, on another nobody.
func TestDemoKinds(t *testing.T) {
	for suite, want := range map[string]struct {
		sm2  int
		kind string
	}{"intl": {0, client.KindSecp256k1}, "gm": {2, client.KindSM2}} {
		dir := filepath.Join(t.TempDir(), "demo")
		out, err := exec.Command("jialing", "demo", "--solo", "--once", "--json", "--http.addr", "127.0.0.1:0", "--dir", dir, "--transfers", "20", "--senders", "4",
			"--document", "demo.go", "--suite", suite).Output()
		require.NoError(t, err, suite)
		var v demoView
		require.NoError(t, json.Unmarshal(out, &v), string(out))
		require.Equal(t, want.sm2, v.SM2Senders)
		require.Equal(t, want.kind, v.NotarisedWith)
		require.Equal(t, 20, v.Transfers)
	}
}

// hear is what a process prints, line by line.
func hear(r io.Reader) <-chan string {
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			out <- s.Text()
		}
	}()
	return out
}

func await(t *testing.T, said <-chan string, text string) {
	t.Helper()
	var all []string
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-said:
			require.True(t, ok, "the process has ended without saying %q, but %q", text, all)
			if all = append(all, line); strings.Contains(line, text) {
				return
			}
		case <-deadline:
			t.Fatalf("it does not say %q, but %q", text, all)
		}
	}
}

func TestLongestPause(t *testing.T) {
	kill := time.Now()
	var heard []time.Time
	for _, ms := range []int{-2000, -100, -50, 10, 400, 1100, 1110} {
		heard = append(heard, kill.Add(time.Duration(ms)*time.Millisecond))
	}
	require.Equal(t, 700*time.Millisecond, longestPause(heard, kill), "what was before the kill does not count")
	require.Equal(t, 60*time.Millisecond, longestPause(heard[:4], kill), "the gap that the kill is in does")
	require.Zero(t, longestPause(nil, kill))
}
