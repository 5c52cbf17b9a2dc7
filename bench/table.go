package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// table sets runs side by side.
type table struct {
	strings.Builder
	reports []*report
}

// printTable shows the sections that were run.
func printTable(out io.Writer, reports []*report) error {
	first := reports[0]
	t := &table{reports: reports}
	fmt.Fprintf(t, "\n%s, %d cores, %s; commit %s; %d node(s), suite %s; ERC-20 transfers signed with %s in batches of %d\n\n",
		first.Machine.CPU, first.Machine.Cores, first.Machine.Go, first.Commit, first.Nodes, first.Suite, first.Kind, first.Batch)
	t.row("token holders", func(r *report) string { return fmt.Sprint(r.Accounts) })
	if slices.Contains(first.Sections, "load") {
		t.load(first.Nodes)
	}
	if slices.Contains(first.Sections, "idle") {
		t.idle()
	}
	for _, section := range []string{"leader", "follower", "away"} {
		if slices.Contains(first.Sections, section) {
			t.faults(section)
		}
	}
	t.WriteByte('\n')
	for _, r := range reports {
		fmt.Fprintln(t, r.Path)
	}
	_, err := io.WriteString(out, t.String())
	return err
}

func (t *table) row(name string, value func(*report) string) {
	fmt.Fprintf(t, "%-44s", name)
	for _, r := range t.reports {
		fmt.Fprintf(t, "%24s", value(r))
	}
	t.WriteByte('\n')
}

func (t *table) number(name string, f func(*report) float64) {
	t.row(name, func(r *report) string { return format(f(r)) })
}

// pair is two numbers, often p50 and p99.
func (t *table) pair(name string, f func(*report) (float64, float64)) {
	t.row(name, func(r *report) string { a, b := f(r); return format(a) + " / " + format(b) })
}

// parts are what a figure consists of, the dearest first.
func (t *table) parts(name string, of func(*report) map[string]float64) {
	for _, part := range dearestFirst(t.reports, of) {
		t.number(name+part, func(r *report) float64 { return of(r)[part] })
	}
}

func (t *table) load(nodes int) {
	t.row("transfers", func(r *report) string { return fmt.Sprint(r.Txs) })
	t.number("committed tx/s", func(r *report) float64 { return r.TxsPerSecond })
	t.number("million gas/s", func(r *report) float64 { return r.MillionGasPerSecond })
	t.row("blocks", func(r *report) string { return fmt.Sprint(r.Blocks) })
	t.pair("latency ms at full load, p50 / p99", func(r *report) (float64, float64) { return r.SaturatedP50Millis, r.SaturatedP99Millis })
	t.pair("latency ms at half load, p50 / p99", func(r *report) (float64, float64) { return r.P50Millis, r.P99Millis })
	if nodes > 1 {
		t.pair("  to a final receipt on another node", func(r *report) (float64, float64) { return r.FinalP50Millis, r.FinalP99Millis })
	}
	t.pair("half load, tx/s / txs per block", func(r *report) (float64, float64) { return r.HalfLoadTxsPerSecond, r.HalfLoadTxsPerBlock })
	t.pair("  cores: nodes / load generator", func(r *report) (float64, float64) { return r.HalfLoadCores.Nodes, r.HalfLoadCores.Generator })
	t.number("CPU µs/tx, all nodes", func(r *report) float64 { return r.CPUMicrosPerTx })
	t.parts("  ", func(r *report) map[string]float64 { return r.Split })
	t.row("yardstick µs, before / during / after", func(r *report) string {
		return format(r.YardstickBeforeMicros) + " / " + format(r.YardstickDuringMicros) + " / " + format(r.YardstickAfterMicros)
	})
	if t.reports[0].Secp256k1Micros > 0 {
		t.row("  of secp256k1 in this run, and by how much dearer", func(r *report) string {
			return format(r.Secp256k1Micros) + " / " + format((r.YardstickBeforeMicros+r.YardstickAfterMicros)/2-r.Secp256k1Micros)
		})
	}
	t.number("CPU per tx and node in yardsticks", func(r *report) float64 { return r.Yardsticks })
	t.number("  in yardsticks during the load", func(r *report) float64 { return r.YardsticksLoaded })
	t.pair("cores: nodes / load generator", func(r *report) (float64, float64) { return r.Cores.Nodes, r.Cores.Generator })
	t.pair("  other programs / idle", func(r *report) (float64, float64) { return r.Cores.Others, r.Cores.Idle })
	if nodes > 1 {
		t.number("bytes of a transaction", func(r *report) float64 { return r.Network.TxBytes })
		t.number("sent between nodes, bytes/tx", func(r *report) float64 { return r.Network.SentBytesPerTx })
		t.row("  over size × (nodes − 1)", func(r *report) string { return strconv.FormatFloat(r.Network.Traffic, 'f', 2, 64) })
		t.parts("  ", func(r *report) map[string]float64 { return r.Network.SentBytesPerTxByKind })
		t.row("  on the wire, framed and encrypted", func(r *report) string {
			return format(r.Network.WireBytesPerTx) + " = " + strconv.FormatFloat(r.Network.WireTraffic, 'f', 2, 64)
		})
	}
	t.parts("wall µs/tx: ", func(r *report) map[string]float64 { return r.StageWallMicros })
	t.number("peak RSS MiB, all nodes", func(r *report) float64 { return float64(r.PeakRSSBytes) / (1 << 20) })
	t.number("chain before the transfers, MiB, all nodes", func(r *report) float64 { return float64(r.DiskBytesFunded) / (1 << 20) })
	t.number("disk bytes/tx and node", func(r *report) float64 { return r.DiskBytesPerTx })
	t.parts("  ", func(r *report) map[string]float64 { return r.DiskBytesPerTxByTable })
}

func (t *table) idle() {
	t.row("idle: % of a core, by node", func(r *report) string {
		var out []string
		for _, p := range r.IdlePercent {
			out = append(out, strconv.FormatFloat(p, 'f', 2, 64))
		}
		return strings.Join(out, " ")
	})
	t.number("  new blocks", func(r *report) float64 { return float64(r.IdleBlocks) })
}

func (t *table) faults(section string) {
	switch section {
	case "leader":
		t.pauses("leader killed", func(r *report) *faults { return &r.Network.LeaderKills })
	case "follower":
		t.pauses("follower killed", func(r *report) *faults { return &r.Network.FollowerKills })
	case "away":
		t.row("back after s away / blocks behind", func(r *report) string {
			return fmt.Sprintf("%s / %d", format(r.Network.Away.AwaySeconds), r.Network.Away.BlocksBehind)
		})
		t.row("  caught up after s", func(r *report) string { return strconv.FormatFloat(r.Network.Away.CatchUpSeconds, 'f', 2, 64) })
	}
}

func (t *table) pauses(name string, of func(*report) *faults) {
	t.row(name+", runs / tx/s", func(r *report) string { return fmt.Sprintf("%d / %s", len(of(r).Runs), format(of(r).TxsPerSecond)) })
	pauses := func(r *report) (out []float64) {
		for _, run := range of(r).Runs {
			out = append(out, run.PauseMillis)
		}
		slices.Sort(out)
		return append(out, 0)[:max(1, len(out))] // no run has no pause
	}
	t.pair("  longest pause ms, median / worst", func(r *report) (float64, float64) { p := pauses(r); return p[len(p)/2], p[len(p)-1] })
	t.row("  leader changed", func(r *report) string {
		changed := 0
		for _, run := range of(r).Runs {
			if run.LeaderBefore != run.LeaderAfter {
				changed++
			}
		}
		return fmt.Sprintf("%d of %d", changed, len(of(r).Runs))
	})
	t.row("  back and caught up s, worst", func(r *report) string {
		worst := 0.0
		for _, run := range of(r).Runs {
			worst = max(worst, run.CatchUpSeconds)
		}
		return strconv.FormatFloat(worst, 'f', 2, 64)
	})
}

// dearestFirst are the parts of the reports' sums, without what rounds to nothing.
func dearestFirst(reports []*report, of func(*report) map[string]float64) (parts []string) {
	sum := map[string]float64{}
	for _, r := range reports {
		for part, n := range of(r) {
			sum[part] += n
		}
	}
	for part, n := range sum {
		if math.Abs(n) >= 0.05 {
			parts = append(parts, part)
		}
	}
	slices.SortFunc(parts, func(a, b string) int {
		if c := cmp.Compare(sum[b], sum[a]); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	return parts
}

func format(f float64) string {
	if f >= 1000 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}

func round(f float64) float64 { return math.Round(f*10) / 10 }
