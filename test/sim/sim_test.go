package sim

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	oneSeed   = flag.String("seed", "", "run this seed only")
	ofSuite   = flag.String("suite", "", "the new seeds' suite, \"raft\", \"pos\" or \"pow\" for that engine, \"change\" for one after the other, or \"gm-raft\" for both; intl and bft without it")
	newSeeds  = flag.Int("seeds", 0, "run so many new seeds")
	firstSeed = flag.Uint64("first", 0, "the first of the new seeds; 0: by the clock")
)

// fixedSeeds run with every test: enough that all kinds of faults and vices occur.
var fixedSeeds = []string{"31-validators", "1", "2", "3", "4", "5", "6", "gm-1", "gm-2", "raft-1", "raft-2", "raft-3", "gm-raft-1", "gm-raft-2", "pos-1", "pos-2", "pos-3", "pos-16", "gm-pos-4", "pow-1", "pow-2", "pow-3", "gm-pow-4", "change-1", "change-2", "gm-change-3"}

// TestSimulation runs whole networks. In a child process it is one seed in a bubble; without flags it runs the fixed seeds and those that have ever
// failed, with -seed one, with -seeds new ones.
func TestSimulation(t *testing.T) {
	if name := os.Getenv(seedVariable); name != "" {
		simulate(t, name)
		return
	}
	var seeds []string
	switch {
	case *oneSeed != "":
		seeds = []string{*oneSeed}
	case *newSeeds > 0:
		first := *firstSeed
		if first == 0 {
			first = uint64(time.Now().Unix()) * 100_000
		}
		for i := range *newSeeds {
			seed := strconv.FormatUint(first+uint64(i), 10)
			if *ofSuite != "" {
				seed = *ofSuite + "-" + seed
			}
			seeds = append(seeds, seed)
		}
	default:
		seeds = append(append(seeds, fixedSeeds...), foundSeeds(t)...)
	}
	sum := newTotal()
	runAll(context.Background(), seeds, runtime.GOMAXPROCS(0), t.TempDir(), func(r *result) {
		sum.add(r)
		fmt.Fprintln(os.Stderr, r)
		if r.Failure != "" {
			fmt.Fprintln(os.Stderr, howToRepeat(r, keepLog(t, r)))
			t.Errorf("seed %s: %s", r.Name, r.Failure)
		}
	})
	sum.write(os.Stderr)
	require.Equal(t, len(seeds), sum.seeds)
}

// simulate is the child's part.
func simulate(t *testing.T, name string) {
	p, err := planOf(name)
	require.NoError(t, err)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := run(p, dir)
		r.Name = name
		require.NoError(t, writeResult(r))
		if r.Failure != "" {
			os.Exit(0) // goroutines are left in the bubble, which would hide the result behind a panic
		}
	})
}

// foundSeeds reads the seeds that have ever failed.
func foundSeeds(t *testing.T) (seeds []string) {
	f, err := os.Open("testdata/seeds")
	require.NoError(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		if fields := strings.Fields(line); len(fields) > 0 {
			seeds = append(seeds, fields[0])
		}
	}
	return seeds
}

// keepLog writes the nodes' logs of a failed seed where the run that failed leaves its files, and returns the name.
func keepLog(t *testing.T, r *result) string {
	name := filepath.Join(os.TempDir(), "jialing-sim-"+r.Name+".log")
	require.NoError(t, os.WriteFile(name, []byte(r.Log), 0o644))
	return name
}
