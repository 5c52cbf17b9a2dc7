package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are what a run is asked to do.
type settings struct {
	Binary      string
	Out         string
	Accounts    []int
	Txs         int
	Nodes       int
	Batch       int
	Connections int
	// Window bounds the transactions that are sent and not yet in a block: enough to keep every stage busy, less than a pool holds.
	Window  int
	Warmup  int
	Latency time.Duration
	Seed    int64
	Reuse   bool
	Keep    bool
	Profile bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = s.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse takes the defaults of ACCOUNTS, TXS and NODES from the environment, where make puts the variables of its command line.
func parse(args []string) (*settings, error) {
	s := &settings{}
	var accounts string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&s.Binary, "bin", "bin/jialing", "the node's program")
	f.StringVar(&s.Out, "out", "bench/out", "folder of the reports, and of the chains while they run")
	f.StringVar(&accounts, "accounts", env("ACCOUNTS", "100000,1000000"), "token holders, one run for each number")
	f.IntVar(&s.Txs, "txs", envInt("TXS", 200_000), "transfers of the saturated phase")
	f.IntVar(&s.Nodes, "nodes", envInt("NODES", 1), "nodes of the chain")
	f.IntVar(&s.Batch, "batch", 100, "transactions in one JSON-RPC batch")
	f.IntVar(&s.Connections, "connections", 4, "WebSocket connections that send")
	f.IntVar(&s.Window, "window", 20_000, "transactions sent and not yet in a block, at most")
	f.IntVar(&s.Warmup, "warmup", 20_000, "transfers before the measured ones: the node has just been started")
	f.DurationVar(&s.Latency, "latency", 10*time.Second, "length of the phase at half load")
	f.Int64Var(&s.Seed, "seed", 1, "seed of who pays whom")
	f.BoolVar(&s.Reuse, "reuse", true, "start from the funded chain that the same program made before, if it is still in -out")
	f.BoolVar(&s.Keep, "keep", false, "keep the chain's folders")
	f.BoolVar(&s.Profile, "profile", true, "split the CPU time by profiling the node")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	for _, a := range strings.Split(accounts, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(a))
		if err != nil || n < 2 || n > 50_000_000 {
			return nil, fmt.Errorf("-accounts: %q is no number from 2 to 50000000", a)
		}
		s.Accounts = append(s.Accounts, n)
	}
	switch {
	case s.Txs < s.Batch || s.Batch < 1 || s.Batch > 1000:
		return nil, errors.New("-batch must be 1 to 1000 and no more than -txs")
	case s.Nodes != 1:
		return nil, errors.New("-nodes: chains of several validators do not exist yet, use 1")
	case s.Connections < 1 || s.Window < s.Batch*s.Connections:
		return nil, errors.New("-window must hold a batch for each of the -connections")
	case s.Warmup < 0 || s.Latency < time.Second:
		return nil, errors.New("-warmup must not be negative, -latency at least 1s")
	}
	return s, nil
}

func env(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

func envInt(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

// run measures once for every number of accounts, each on a chain of its own.
func (s *settings) run(ctx context.Context) error {
	if _, err := os.Stat(s.Binary); err != nil {
		return fmt.Errorf("no node program: %w (make build)", err)
	}
	if err := os.MkdirAll(s.Out, 0o755); err != nil {
		return err
	}
	var reports []*report
	for _, accounts := range s.Accounts {
		r, err := s.measure(ctx, accounts)
		if err != nil {
			return fmt.Errorf("%d accounts: %w", accounts, err)
		}
		path, err := r.save(s.Out)
		if err != nil {
			return err
		}
		r.Path = path
		reports = append(reports, r)
	}
	return printTable(os.Stdout, reports)
}
