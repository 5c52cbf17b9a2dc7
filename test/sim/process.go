package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Every seed runs in a process of its own: on one thread, so that its goroutines take turns in nearly the same order every time, and so that a hang or
// a crash of one is that seed's failure and no more.
const (
	seedVariable   = "JIALING_SIM_SEED"
	resultVariable = "JIALING_SIM_RESULT"
	// testName is the test that a child runs.
	testName = "TestSimulation"
	// realBound is how long a seed may take on the real clock. Some take a minute on a busy machine; one that takes this long hangs, as when a goroutine
	// waits on a mutex whose holder sleeps: the bubble's time then stands still.
	realBound = 3 * time.Minute
)

// runSeed runs a seed in a child process.
func runSeed(ctx context.Context, seed, dir string) *result {
	r := &result{}
	out := filepath.Join(dir, "result-"+seed+".json")
	ctx, cancel := context.WithTimeout(ctx, realBound)
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		return failed(seed, err.Error())
	}
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+testName+"$", "-test.timeout=0", "-test.count=1")
	cmd.Env = append(os.Environ(), seedVariable+"="+seed, resultVariable+"="+out, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1", "GOGC=400",
		"GOMEMLIMIT=2GiB")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // it says where every goroutine is
	cmd.WaitDelay = 20 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	runErr := cmd.Run()
	b, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	switch {
	case ctx.Err() != nil:
		return failed(seed, fmt.Sprintf("no end within %s:\n%s", realBound, ending(stuck(said.String()))))
	case err != nil:
		return failed(seed, fmt.Sprintf("the process ended without a result (%v):\n%s", runErr, ending(said.String())))
	case runErr != nil && r.Failure == "":
		r.Failure = fmt.Sprintf("the process ended with %v:\n%s", runErr, ending(said.String()))
	}
	r.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r
}

func failed(seed, why string) *result { return &result{Name: seed, Failure: why} }

// stuck is what of a dump of all goroutines keeps the bubble's time from going on: those in the bubble that do not wait for it.
func stuck(dump string) string {
	var b strings.Builder
	for _, g := range strings.Split(dump, "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "synctest bubble") && !strings.Contains(head, "(durable)") {
			b.WriteString(g + "\n\n")
		}
	}
	if b.Len() == 0 {
		return dump
	}
	return b.String()
}

// ending is the part of a long output that tells most: its beginning, where a panic says what it is, and as much of the rest as one reads.
func ending(s string) string {
	const most = 12_000
	if len(s) > most {
		s = s[:most] + "\n..."
	}
	return s
}

// writeResult is the child's last act.
func writeResult(r *result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv(resultVariable), b, 0o644)
}

// runAll runs seeds, so many at a time, and calls done for each as it ends, one at a time.
func runAll(ctx context.Context, seeds []string, parallel int, dir string, done func(*result)) {
	var mu sync.Mutex
	var work sync.WaitGroup
	next := make(chan string)
	for range parallel {
		work.Go(func() {
			for seed := range next {
				r := runSeed(ctx, seed, dir)
				mu.Lock()
				done(r)
				mu.Unlock()
			}
		})
	}
	for _, seed := range seeds {
		if ctx.Err() != nil {
			break
		}
		next <- seed
	}
	close(next)
	work.Wait()
}

// howToRepeat is what a person needs for a failed seed, whose nodes' logs are in a file.
func howToRepeat(r *result, log string) string {
	return fmt.Sprintf("seed %s: %s\n%s\nthe nodes' logs are in %s; repeat it with: make sim SEED=%s", r.Name, r.Failure, strings.TrimRight(r.Events, "\n"),
		log, r.Name)
}
