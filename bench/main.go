package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jialing-chain/jialing/client"
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
	// Consensus is the engine of a chain of several nodes, Encrypt whether ledgers are encrypted.
	Consensus string
	Encrypt   bool
	// Suite is the chain's, Kind how the token holders sign.
	Suite, Kind string
	Reuse       bool
	Keep        bool
	Profile     bool
	// Cores is how many processors each node computes on; 0 is all.
	Cores int

	// Sections are what is measured, see allSections.
	Sections []string
	// Rate is the load of the sections with faults in transactions per second; 0 takes half of what load measured, or defaultRate without it.
	Rate float64
	// LeaderKills and FollowerKills are how often each is done.
	LeaderKills, FollowerKills int
	// Away is how long a node is down in the section away; Idle is how long an idle network is watched.
	Away, Idle time.Duration
}

// allSections are the parts of a run, in their order. A chain of one node has load and idle.
var allSections = []string{"load", "idle", "leader", "follower", "away"}

func (s *settings) has(section string) bool { return slices.Contains(s.Sections, section) }

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

// parse takes the defaults of ACCOUNTS, TXS, NODES, SECTIONS, SUITE, KIND, CONSENSUS and ENCRYPT from the environment, where make puts the variables of its command line.
func parse(args []string) (*settings, error) {
	s := &settings{}
	var accounts, sections string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&s.Binary, "bin", "bin/jialing", "the node's program")
	f.StringVar(&s.Out, "out", "bench/out", "folder of the reports, and of the chains while they run")
	f.StringVar(&accounts, "accounts", os.Getenv("ACCOUNTS"), "token holders, one run for each number (default 100000,1000000; 100000 where there are several nodes)")
	f.IntVar(&s.Txs, "txs", envInt("TXS", 0), "transfers of the saturated phase (default 200000 over the number of nodes)")
	f.IntVar(&s.Nodes, "nodes", envInt("NODES", 1), "nodes of the chain, all of them validators")
	f.StringVar(&sections, "sections", os.Getenv("SECTIONS"), "what to measure, of "+strings.Join(allSections, ",")+" (default load; all where there are several nodes)")
	f.Float64Var(&s.Rate, "rate", 0, "transfers per second while nodes are killed (default half of what load measured, or 200)")
	f.IntVar(&s.LeaderKills, "leader-kills", 20, "how often the leader is killed")
	f.IntVar(&s.FollowerKills, "follower-kills", 5, "how often another node is")
	f.DurationVar(&s.Away, "away", time.Minute, "how long a node is away before it catches up")
	f.DurationVar(&s.Idle, "idle", 30*time.Second, "how long the idle network is watched")
	f.IntVar(&s.Batch, "batch", 100, "transactions in one JSON-RPC batch")
	f.IntVar(&s.Connections, "connections", 4, "WebSocket connections that send")
	f.IntVar(&s.Window, "window", 20_000, "transactions sent and not yet in a block, at most")
	f.IntVar(&s.Warmup, "warmup", 20_000, "transfers before the measured ones, no more than these: the nodes have just been started")
	f.DurationVar(&s.Latency, "latency", 10*time.Second, "length of the phase at half load")
	f.StringVar(&s.Suite, "suite", cmp.Or(os.Getenv("SUITE"), "intl"), "cryptographic suite of the chain, intl or gm")
	f.StringVar(&s.Consensus, "consensus", cmp.Or(os.Getenv("CONSENSUS"), "bft"), "engine of a chain of several nodes, bft or raft")
	f.BoolVar(&s.Encrypt, "encrypt", os.Getenv("ENCRYPT") != "", "encrypt the nodes' ledgers")
	f.StringVar(&s.Kind, "kind", cmp.Or(os.Getenv("KIND"), client.KindSecp256k1), "how the token holders sign, secp256k1 or sm2")
	f.Int64Var(&s.Seed, "seed", 1, "seed of who pays whom")
	f.IntVar(&s.Cores, "cores", 0, "processors that each node computes on (default: all of one node, else its share of the machine's, at least 1)")
	f.BoolVar(&s.Reuse, "reuse", true, "start from the funded chain that the same program made before, if it is still in -out")
	f.BoolVar(&s.Keep, "keep", false, "keep the chain's folders")
	f.BoolVar(&s.Profile, "profile", true, "split the CPU time by profiling the node")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if err := s.complete(accounts, sections); err != nil {
		return nil, err
	}
	return s, s.validate()
}

// maxNodes is how many processes the benchmark starts at most; each may take some hundred MiB.
const maxNodes = 31

// complete fills in what depends on the number of nodes.
func (s *settings) complete(accounts, sections string) error {
	if accounts == "" {
		accounts = "100000"
		if s.Nodes == 1 {
			accounts = "100000,1000000"
		}
	}
	for _, a := range strings.Split(accounts, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(a))
		if err != nil || n < 2 || n > 50_000_000 {
			return fmt.Errorf("-accounts: %q is no number from 2 to 50000000", a)
		}
		s.Accounts = append(s.Accounts, n)
	}
	if s.Cores == 0 && s.Nodes > 1 {
		s.Cores = max(1, runtime.GOMAXPROCS(0)/s.Nodes)
	}
	switch {
	case sections == "" && s.Nodes == 1:
		sections = "load"
	case sections == "":
		sections = strings.Join(allSections, ",")
	}
	for _, section := range strings.Split(sections, ",") {
		if !slices.Contains(allSections, section) {
			return fmt.Errorf("-sections: %q is none of %s", section, strings.Join(allSections, ", "))
		}
		s.Sections = append(s.Sections, section)
	}
	if s.Txs == 0 {
		s.Txs = 200_000 / max(1, s.Nodes)
	}
	s.Warmup = min(s.Warmup, s.Txs)
	s.Connections = max(s.Connections, s.Nodes)
	return nil
}

func (s *settings) validate() error {
	switch {
	case s.Nodes < 1 || s.Nodes > maxNodes:
		return fmt.Errorf("-nodes must be 1 to %d", maxNodes)
	case s.Nodes < 4 && (s.has("leader") || s.has("follower") || s.has("away")):
		return errors.New("-sections: a chain goes on without one of its nodes when it has at least 4 (-nodes)")
	case s.Kind != client.KindSecp256k1 && s.Kind != client.KindSM2:
		return fmt.Errorf("-kind: %q is neither %q nor %q", s.Kind, client.KindSecp256k1, client.KindSM2)
	case s.Txs < s.Batch || s.Batch < 1 || s.Batch > 1000:
		return errors.New("-batch must be 1 to 1000 and no more than -txs")
	case s.Window < s.Batch*s.Connections:
		return errors.New("-window must hold a batch for each of the -connections")
	case s.Warmup < 0 || s.Latency < time.Second || s.Idle < time.Second || s.Away < time.Second:
		return errors.New("-warmup must not be negative, -latency, -idle and -away at least 1s")
	case s.Rate < 0 || s.LeaderKills < 1 || s.FollowerKills < 1:
		return errors.New("-rate must not be negative, -leader-kills and -follower-kills at least 1")
	}
	return nil
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
