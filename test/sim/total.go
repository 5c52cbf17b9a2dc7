package sim

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// total is what many seeds came to.
type total struct {
	seeds, failed, transactions int
	simulated, cpu, recovery    time.Duration
	decisions, messages         uint64
	faults                      map[string]int
	started                     time.Time
}

func newTotal() *total { return &total{faults: make(map[string]int), started: time.Now()} }

func (t *total) add(r *result) {
	t.seeds++
	if r.Failure != "" {
		t.failed++
	}
	t.transactions += r.Transactions
	t.simulated += r.Simulated
	t.cpu += r.CPU
	t.recovery = max(t.recovery, r.Recovery)
	t.decisions += r.Decisions
	t.messages += r.Messages
	for k, n := range r.Faults {
		t.faults[k] += n
	}
}

// write prints the table.
func (t *total) write(out io.Writer) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(tw, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("seeds", "%d", t.seeds)
	row("broken invariants", "%d", t.failed)
	row("simulated", "%.0f minutes", t.simulated.Minutes())
	row("decisions", "%d", t.decisions)
	row("transactions", "%d", t.transactions)
	row("messages", "%d", t.messages)
	row("longest recovery", "%s (bound %s)", t.recovery.Round(time.Millisecond), recovery)
	row("real time", "%s", time.Since(t.started).Round(time.Second))
	row("CPU", "%s, %.0f ms a simulated minute", t.cpu.Round(time.Second), float64(t.cpu.Milliseconds())/max(t.simulated.Minutes(), 0.001))
	kinds := sortedKeys(t.faults)
	slices.SortStableFunc(kinds, func(a, b string) int { return t.faults[b] - t.faults[a] })
	for _, k := range kinds {
		row("  "+k, "%d", t.faults[k])
	}
	tw.Flush()
}
