package main

import (
	"bufio"
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
	"text/tabwriter"
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
		Batch: s.Batch, Window: s.Window, Seed: s.Seed, StageWallMicros: map[string]float64{}, Split: map[string]float64{}, PhaseSeconds: map[string]float64{}}
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
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value func(*report) string) {
		fmt.Fprint(w, name, "\t")
		for _, r := range reports {
			fmt.Fprint(w, value(r), "\t")
		}
		fmt.Fprintln(w)
	}
	number := func(f func(*report) float64) func(*report) string {
		return func(r *report) string { return format(f(r)) }
	}
	first := reports[0]
	fmt.Fprintf(out, "\n%s, %d cores, %s; commit %s; %d node(s); ERC-20 transfers in batches of %d\n\n",
		first.Machine.CPU, first.Machine.Cores, first.Machine.Go, first.Commit, first.Nodes, first.Batch)
	row("token holders", func(r *report) string { return fmt.Sprint(r.Accounts) })
	row("transfers", func(r *report) string { return fmt.Sprint(r.Txs) })
	row("committed tx/s", number(func(r *report) float64 { return r.TxsPerSecond }))
	row("Mgas/s", number(func(r *report) float64 { return r.MillionGasPerSecond }))
	row("blocks", func(r *report) string { return fmt.Sprint(r.Blocks) })
	row("latency at full load p50 / p99 ms", func(r *report) string { return format(r.SaturatedP50Millis) + " / " + format(r.SaturatedP99Millis) })
	row("latency at half load p50 / p99 ms", func(r *report) string { return format(r.P50Millis) + " / " + format(r.P99Millis) })
	row("half load tx/s", number(func(r *report) float64 { return r.HalfLoadTxsPerSecond }))
	row("CPU µs/tx", number(func(r *report) float64 { return r.CPUMicrosPerTx }))
	row("cores used", number(func(r *report) float64 { return r.CPUCores }))
	row("yardstick µs before / during / after", func(r *report) string {
		return format(r.YardstickBeforeMicros) + " / " + format(r.YardstickDuringMicros) + " / " + format(r.YardstickAfterMicros)
	})
	row("CPU in yardsticks", number(func(r *report) float64 { return r.Yardsticks }))
	row("… in yardsticks under load", number(func(r *report) float64 { return r.YardsticksLoaded }))
	row("peak RSS MiB", number(func(r *report) float64 { return float64(r.PeakRSSBytes) / (1 << 20) }))
	row("disk bytes/tx", number(func(r *report) float64 { return r.DiskBytesPerTx }))
	row("chain after funding MiB", number(func(r *report) float64 { return float64(r.DiskBytesFunded) / (1 << 20) }))
	for _, place := range places(reports) {
		row("CPU µs/tx: "+place, number(func(r *report) float64 { return r.Split[place] }))
	}
	for _, stage := range stagesOf(reports) {
		row("wall µs/tx: "+stage, number(func(r *report) float64 { return r.StageWallMicros[stage] }))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, r := range reports {
		fmt.Fprintln(out, r.Path)
	}
	return nil
}

// places are all places of the splits, the dearest first.
func places(reports []*report) []string {
	sum := map[string]float64{}
	for _, r := range reports {
		for place, us := range r.Split {
			sum[place] += us
		}
	}
	out := sortedKeys(sum)
	slices.SortStableFunc(out, func(a, b string) int {
		switch {
		case sum[a] > sum[b]:
			return -1
		case sum[a] < sum[b]:
			return 1
		}
		return 0
	})
	return out
}

func stagesOf(reports []*report) []string {
	sum := map[string]float64{}
	for _, r := range reports {
		for stage, us := range r.StageWallMicros {
			sum[stage] += us
		}
	}
	return sortedKeys(sum)
}

func sortedKeys(m map[string]float64) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
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
