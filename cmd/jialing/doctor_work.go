package main

import (
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// workStatus is jl_nodeStatus's "work", on a chain of work.
type workStatus struct {
	Coinbase        *common.Address   `json:"coinbase"`
	Threads         int               `json:"threads"`
	HashesPerSecond float64           `json:"hashesPerSecond"`
	Tip             uint64            `json:"tip"`
	Headers         uint64            `json:"headers"`
	Depth           int               `json:"depth"`
	BlockMillis     int               `json:"blockMillis"`
	TotalWork       *hexutil.Big      `json:"totalWork"`
	HashesPerBlock  float64           `json:"hashesPerBlock"`
	Blocks          int               `json:"blocks"`
	Orphans         int               `json:"orphans"`
	Forks           uint64            `json:"forks"`
	Reorgs          uint64            `json:"reorgs"`
	Deepest         int               `json:"deepest"`
	Mined           uint64            `json:"mined"`
	Refused         map[string]uint64 `json:"refused"`
}

// line is the status in one line.
func (w *workStatus) line() string {
	mines := "does not mine"
	if w.Threads > 0 {
		mines = fmt.Sprintf("mines %s/s, %d found", thousands(w.HashesPerSecond), w.Mined)
	}
	return fmt.Sprintf("tip %d, final after %d; %s; next takes %s; %s, deepest %d", w.Tip, w.Depth, mines, thousands(w.HashesPerBlock), plural(int(w.Forks), "fork"), w.Deepest)
}

// thousands is a number of hashes for people.
func thousands(n float64) string {
	units := []string{"", " k", " M", " G", " T", " P"}
	i := 0
	for ; n >= 1000 && i < len(units)-1; i++ {
		n /= 1000
	}
	return fmt.Sprintf("%.3g%sH", n, units[i])
}

// work is one answering node's, the one with the highest tip; nil where the chain is none of work.
func (f *facts) work() (best *workStatus) {
	for _, n := range f.nodes {
		if s := n.now(); s != nil && s.Work != nil && (best == nil || s.Work.Tip > best.Tip) {
			best = s.Work
		}
	}
	return best
}

// mining says how much the nodes that were asked work.
func (f *facts) mining() string {
	threads, rate := 0, 0.0
	for _, n := range f.nodes {
		if s := n.now(); s != nil && s.Work != nil {
			threads += s.Work.Threads
			rate += s.Work.HashesPerSecond
		}
	}
	return fmt.Sprintf("%s mining here, %.0f hashes/s", plural(threads, "thread"), rate)
}

// patientBlocks is how many times its interval a chain of work may be without a block before anybody has to wonder: one in 20,000 takes longer by chance.
const patientBlocks = 10

// ruleNobodyMines finds a chain of work that stands still.
func ruleNobodyMines(f *facts) []finding {
	w := f.work()
	if w == nil {
		return nil
	}
	threads := 0
	for _, n := range f.nodes {
		if s := n.now(); s != nil && s.Work != nil {
			if before := n.before(); before != nil && before.Work != nil && s.Work.Tip > before.Work.Tip {
				return nil
			}
			threads += s.Work.Threads
		}
	}
	s := f.anyStatus()
	// The last final block is depth blocks older than the tip.
	age := time.Duration(s.Now-s.LastBlockAt) * time.Millisecond
	if age < time.Duration(patientBlocks+w.Depth)*time.Duration(w.BlockMillis)*time.Millisecond {
		return nil
	}
	d := finding{broken, "nobody_mines", "no block is found", fmt.Sprintf("the tip stays at %d, the last final block is %s old; of the nodes asked none mines", w.Tip, ago(age)),
		"Somebody must: [mine] enabled and coinbase in a node's node.toml, jialing mine start, or jialing mine beside a node that names an account."}
	if threads > 0 {
		d.Severity, d.Rule = ailing, "blocks_slow"
		d.Cause = "no block was found for long"
		d.Evidence = fmt.Sprintf("the tip stays at %d, the last final block is %s old; a block takes %.3g hashes, %s", w.Tip, ago(age), w.HashesPerBlock, f.mining())
		d.Remedy = "Where much hash power has gone, the difficulty falls by half with each half-life in the genesis that blocks are late: wait, or add miners."
	}
	return []finding{d}
}
