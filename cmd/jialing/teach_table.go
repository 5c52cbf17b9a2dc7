package main

import (
	"fmt"
	"io"
	"strings"
)

// compareText writes the table that compares engines, one column each, cells separated by tabs.
func compareText(w io.Writer, runs []lessonRun) {
	if len(runs) == 0 {
		fmt.Fprintf(w, "no runs yet: jialing demo --consensus bft\n")
		return
	}
	row := func(name string, cell func(*lessonRun) string) {
		cells := []string{name}
		for i := range runs {
			cells = append(cells, cell(&runs[i]))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	figure := func(name, format string, load func(*lessonRun) *lessonFigures, of func(*lessonFigures) float64) {
		row(name, func(r *lessonRun) string {
			if f := load(r); f != nil {
				return fmt.Sprintf(format, of(f))
			}
			return "-"
		})
	}
	burst := func(r *lessonRun) *lessonFigures { return r.Burst }
	steady := func(r *lessonRun) *lessonFigures { return r.Steady }
	row("", func(r *lessonRun) string { return fmt.Sprintf("%s (%s)", r.Engine, r.Suite) })
	row("nodes", func(r *lessonRun) string { return fmt.Sprint(r.Nodes) })
	for _, load := range []struct {
		name string
		of   func(*lessonRun) *lessonFigures
	}{{"burst", burst}, {"steady", steady}} {
		figure(load.name+": transfers/s", "%.0f", load.of, func(f *lessonFigures) float64 { return f.PerSecond })
		figure("  latency p50 ms", "%.0f", load.of, func(f *lessonFigures) float64 { return f.LatencyP50 })
		figure("  latency p99 ms", "%.0f", load.of, func(f *lessonFigures) float64 { return f.LatencyP99 })
		figure("  transfers/block", "%.1f", load.of, func(f *lessonFigures) float64 { return float64(f.Transfers) / max(1, float64(f.Blocks)) })
		figure("  messages/transfer", "%.2f", load.of, func(f *lessonFigures) float64 { return f.MessagesPerTx })
		figure("  bytes/transfer", "%.0f", load.of, func(f *lessonFigures) float64 { return f.BytesPerTx })
		figure("  CPU µs/transfer", "%.0f", load.of, func(f *lessonFigures) float64 { return f.CPUMicrosPerTx })
	}
	row("transfers lost", func(r *lessonRun) string { return fmt.Sprintf("%d of %d", r.Totals.Lost, r.Totals.Sent) })
	row("blocks lost", func(r *lessonRun) string { return fmt.Sprint(r.Totals.BlocksLost) })
	row("forks", func(r *lessonRun) string { return fmt.Sprint(r.Totals.Forks) })
	fmt.Fprintln(w)
	fmt.Fprintln(w, "engine\tfinal by\tunder faults")
	for i := range runs {
		r := &runs[i]
		finality := r.Finality
		for j := range r.Faults {
			fmt.Fprintf(w, "%s\t%s\t%s\n", engineOnce(r, j), finality, r.Faults[j].sentence())
			finality = ""
		}
		if len(r.Faults) == 0 {
			fmt.Fprintf(w, "%s\t%s\tnothing was done to it\n", engineOnce(r, 0), finality)
		}
	}
	for i := range runs {
		if r := &runs[i]; r.Parameters != "" {
			fmt.Fprintf(w, "\n%s has %s", engineOnce(r, 0), r.Parameters)
		}
	}
	fmt.Fprintln(w)
}

// engineOnce names a run's engine in the first of its lines.
func engineOnce(r *lessonRun, line int) string {
	if line > 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s)", r.Engine, r.Suite)
}

// what says what was done.
func (f *lessonFault) what() string {
	switch f.Action {
	case faultPartition:
		var groups []string
		for _, g := range f.Groups {
			groups = append(groups, strings.Join(g, " "))
		}
		return "partition " + strings.Join(groups, " | ")
	case faultHeal:
		return "heal"
	case faultByzantine:
		return strings.Join(f.Nodes, " ") + " lies (" + f.Lie + ")"
	}
	leader := ""
	if f.Led {
		leader = ", the leader"
	}
	return f.Action + " " + strings.Join(f.Nodes, " ") + leader
}

// sentence says what was done and what came of it.
func (f *lessonFault) sentence() string {
	parts := []string{fmt.Sprintf("longest pause %.0f ms", f.Pause)}
	if f.Stopped {
		parts = []string{fmt.Sprintf("stopped: no block for the last %.1f s", f.Still/1000)}
	}
	if f.LeaderAfter != "" && f.LeaderAfter != f.LeaderBefore {
		parts = append(parts, f.LeaderAfter+" leads")
	}
	if f.CatchUp > 0 {
		parts = append(parts, fmt.Sprintf("%d blocks behind, caught up in %.1f s", f.Behind, f.CatchUp))
	}
	if f.Forks > 0 {
		parts = append(parts, fmt.Sprintf("%d forks", f.Forks))
	}
	for _, e := range f.Evidence {
		parts = append(parts, withoutHashes(e))
	}
	parts = append(parts, f.Slashed...)
	if f.ClockAhead > 0 {
		parts = append(parts, fmt.Sprintf("the chain's time is now %.1f hours ahead", f.ClockAhead/3600))
	}
	if len(f.Banned) > 0 {
		parts = append(parts, "banned: "+strings.Join(f.Banned, " "))
	}
	for _, e := range f.Ended {
		parts = append(parts, "ended: "+e)
	}
	return f.what() + ": " + strings.Join(parts, "; ")
}
