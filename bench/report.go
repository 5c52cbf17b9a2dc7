package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// report is the result of one run, as written to JSON. CPU times are of the node processes alone.
type report struct {
	Time    string  `json:"time"`
	Commit  string  `json:"commit"`
	Machine machine `json:"machine"`

	Accounts int   `json:"accounts"`
	Txs      int   `json:"txs"`
	Nodes    int   `json:"nodes"`
	Batch    int   `json:"batch"`
	Window   int   `json:"window"`
	Seed     int64 `json:"seed"`

	TxsPerSecond         float64 `json:"txsPerSecond"`
	MillionGasPerSecond  float64 `json:"millionGasPerSecond"`
	Blocks               int     `json:"blocks"`
	SaturatedP50Millis   float64 `json:"saturatedP50Millis"`
	SaturatedP99Millis   float64 `json:"saturatedP99Millis"`
	HalfLoadTxsPerSecond float64 `json:"halfLoadTxsPerSecond"`
	P50Millis            float64 `json:"p50Millis"`
	P99Millis            float64 `json:"p99Millis"`

	CPUMicrosPerTx float64 `json:"cpuMicrosPerTx"`
	CPUCores       float64 `json:"cpuCores"`
	// Split is CPUMicrosPerTx by place, from the profile's samples.
	Split map[string]float64 `json:"cpuMicrosPerTxByPlace,omitempty"`
	// StageWallMicros is what the node's own clocks say: wall time per transaction that a stage worked.
	StageWallMicros map[string]float64 `json:"stageWallMicrosPerTx"`

	YardstickBeforeMicros float64 `json:"yardstickBeforeMicros"`
	YardstickDuringMicros float64 `json:"yardstickDuringMicros"`
	YardstickAfterMicros  float64 `json:"yardstickAfterMicros"`
	// Yardsticks is CPUMicrosPerTx over the mean of before and after; YardsticksLoaded over the one during the load.
	Yardsticks       float64 `json:"yardsticksPerTx"`
	YardsticksLoaded float64 `json:"yardsticksLoadedPerTx"`

	PeakRSSBytes    int64   `json:"peakRssBytes"`
	DiskBytesPerTx  float64 `json:"diskBytesPerTx"`
	DiskBytesFunded int64   `json:"diskBytesFunded"`
	// DiskBytesPerTxByTable divides most of DiskBytesPerTx; what compactions have still to remove makes single tables rough.
	DiskBytesPerTxByTable map[string]float64 `json:"diskBytesPerTxByTable"`

	PhaseSeconds map[string]float64 `json:"phaseSeconds"`
	// FundedReused tells that the chain was copied from an earlier run of the same program, before the first transfer.
	FundedReused      bool    `json:"fundedReused"`
	FundingCPUSeconds float64 `json:"fundingCpuSeconds,omitempty"`

	Path string `json:"-"`
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memoryBytes"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func newReport(s *settings, accounts int) *report {
	return &report{Time: time.Now().UTC().Format(time.RFC3339), Commit: commit(), Machine: thisMachine(), Accounts: accounts, Txs: s.Txs, Nodes: s.Nodes,
		Batch: s.Batch, Window: s.Window, Seed: s.Seed, StageWallMicros: map[string]float64{}, Split: map[string]float64{}, DiskBytesPerTxByTable: map[string]float64{},
		PhaseSeconds: map[string]float64{}}
}

// commit is what the working tree stands on; "+" marks changes that are not committed.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(out))
	if changes, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(changes) > 0 {
		name += "+"
	}
	return name
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOARCH}
	m.CPU = fieldOf("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib << 10
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	return m
}

func fieldOf(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for _, line := range strings.Split(string(b), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// split divides the CPU time by the nodes' profiles, and keeps them merged beside the report.
func (r *report) split(dir string, profiles []*profile.Profile) error {
	merged, err := profile.Merge(profiles)
	if err != nil {
		return fmt.Errorf("merge profiles: %w", err)
	}
	parts, err := shares(merged)
	if err != nil {
		return err
	}
	r.Split = make(map[string]float64, len(parts))
	for place, share := range parts {
		r.Split[place] = share * r.CPUMicrosPerTx
	}
	f, err := os.Create(filepath.Join(dir, r.name()+".pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	return merged.Write(f)
}

// name is the report's file name without its ending.
func (r *report) name() string {
	return fmt.Sprintf("%s-%d", strings.NewReplacer("-", "", ":", "").Replace(r.Time), r.Accounts)
}

// save writes the JSON and returns its path.
func (r *report) save(dir string) (string, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.name()+".json")
	return path, os.WriteFile(path, append(b, '\n'), 0o644)
}

// printTable sets the runs side by side.
func printTable(out io.Writer, reports []*report) error {
	var b strings.Builder
	row := func(name string, value func(*report) string) {
		fmt.Fprintf(&b, "%-42s", name)
		for _, r := range reports {
			fmt.Fprintf(&b, "%22s", value(r))
		}
		b.WriteByte('\n')
	}
	number := func(name string, f func(*report) float64) {
		row(name, func(r *report) string { return format(f(r)) })
	}
	parts := func(name string, of func(*report) map[string]float64) {
		for _, part := range dearestFirst(reports, of) {
			number(name+part, func(r *report) float64 { return of(r)[part] })
		}
	}
	first := reports[0]
	fmt.Fprintf(&b, "\n%s, %d cores, %s; commit %s; %d node(s); ERC-20 transfers in batches of %d\n\n",
		first.Machine.CPU, first.Machine.Cores, first.Machine.Go, first.Commit, first.Nodes, first.Batch)
	row("token holders", func(r *report) string { return fmt.Sprint(r.Accounts) })
	row("transfers", func(r *report) string { return fmt.Sprint(r.Txs) })
	number("committed tx/s", func(r *report) float64 { return r.TxsPerSecond })
	number("million gas/s", func(r *report) float64 { return r.MillionGasPerSecond })
	row("blocks", func(r *report) string { return fmt.Sprint(r.Blocks) })
	row("latency ms at full load, p50 / p99", func(r *report) string { return format(r.SaturatedP50Millis) + " / " + format(r.SaturatedP99Millis) })
	row("latency ms at half load, p50 / p99", func(r *report) string { return format(r.P50Millis) + " / " + format(r.P99Millis) })
	number("half load, tx/s", func(r *report) float64 { return r.HalfLoadTxsPerSecond })
	number("CPU µs/tx", func(r *report) float64 { return r.CPUMicrosPerTx })
	parts("  ", func(r *report) map[string]float64 { return r.Split })
	number("cores used", func(r *report) float64 { return r.CPUCores })
	row("yardstick µs, before / during / after", func(r *report) string {
		return format(r.YardstickBeforeMicros) + " / " + format(r.YardstickDuringMicros) + " / " + format(r.YardstickAfterMicros)
	})
	number("CPU per tx in yardsticks", func(r *report) float64 { return r.Yardsticks })
	number("  in yardsticks during the load", func(r *report) float64 { return r.YardsticksLoaded })
	parts("wall µs/tx: ", func(r *report) map[string]float64 { return r.StageWallMicros })
	number("peak RSS MiB", func(r *report) float64 { return float64(r.PeakRSSBytes) / (1 << 20) })
	number("chain before the transfers, MiB", func(r *report) float64 { return float64(r.DiskBytesFunded) / (1 << 20) })
	number("disk bytes/tx", func(r *report) float64 { return r.DiskBytesPerTx })
	parts("  ", func(r *report) map[string]float64 { return r.DiskBytesPerTxByTable })
	b.WriteByte('\n')
	for _, r := range reports {
		fmt.Fprintln(&b, r.Path)
	}
	_, err := io.WriteString(out, b.String())
	return err
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

// stageSeconds reads jialing_stage_seconds_total of a node's metrics.
func stageSeconds(ctx context.Context, url string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the node's metrics: %w", err)
	}
	defer response.Body.Close()
	out := make(map[string]float64)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), `jialing_stage_seconds_total{stage="`)
		if !ok {
			continue
		}
		stage, value, _ := strings.Cut(rest, `"} `)
		if out[stage], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("read the node's metrics: %w", err)
		}
	}
	return out, lines.Err()
}
