package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/chain"
)

// maxCores bounds --cores: more processors than any machine has are a slip of the finger.
const maxCores = 4096

// coresFlag is how many processors a node computes on at once.
func coresFlag(cmd *cobra.Command, cores *int, byDefault string) {
	cmd.Flags().IntVar(cores, "cores", 0, "how many processors a node computes on at once (default "+byDefault+")")
}

// checkCores refuses what no machine has.
func checkCores(cores int) error {
	if cores < 0 || cores > maxCores {
		return usagef("--cores must be 1 to %d, or 0 for the default", maxCores)
	}
	return nil
}

// useCores has this process compute on that many processors at once; 0 changes nothing.
func useCores(cores int) {
	if cores > 0 {
		runtime.GOMAXPROCS(cores)
	}
}

// sharedCores divides the machine's processors among so many nodes that run on it; 0 is no division. Nodes that each think the machine theirs keep waking threads
// for work that one thread would do at once: four of them on two processors spend a tenth of the time on that (docs/benchmarks.md). With proof of work the miner's
// threads are what there is to divide, and its node says how many (mine.threads). Who sets GOMAXPROCS has decided already.
func sharedCores(nodes int, engine chain.EngineKind) int {
	if nodes < 2 || engine == chain.PoW || os.Getenv("GOMAXPROCS") != "" {
		return 0
	}
	return max(1, runtime.GOMAXPROCS(0)/nodes)
}

// coresArgs are the arguments of a node that is started with that share.
func coresArgs(cores int) []string {
	if cores == 0 {
		return nil
	}
	return []string{"--cores", strconv.Itoa(cores)}
}

// coresWords says it to people.
func coresWords(cores int) string {
	switch cores {
	case 0:
		return ""
	case 1:
		return " on one processor"
	}
	return fmt.Sprintf(" on %d processors", cores)
}
