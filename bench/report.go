package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

	Accounts int `json:"accounts"`
	Txs      int `json:"txs"`
	Nodes    int `json:"nodes"`
	// Sections are what was measured; the figures of others are zero.
	Sections []string `json:"sections"`
	Batch    int      `json:"batch"`
	Window   int      `json:"window"`
	// Suite is the chain's, Kind how the holders sign.
	Suite string `json:"suite"`
	Kind  string `json:"kind"`
	Seed  int64  `json:"seed"`

	TxsPerSecond         float64 `json:"txsPerSecond"`
	MillionGasPerSecond  float64 `json:"millionGasPerSecond"`
	Blocks               int     `json:"blocks"`
	SaturatedP50Millis   float64 `json:"saturatedP50Millis"`
	SaturatedP99Millis   float64 `json:"saturatedP99Millis"`
	HalfLoadTxsPerSecond float64 `json:"halfLoadTxsPerSecond"`
	P50Millis            float64 `json:"p50Millis"`
	P99Millis            float64 `json:"p99Millis"`
	// HalfLoadTxsPerBlock and HalfLoadCores are of the phase at half load.
	HalfLoadTxsPerBlock float64 `json:"halfLoadTxsPerBlock"`
	HalfLoadCores       cores   `json:"halfLoadCores"`

	// FinalP50Millis and FinalP99Millis are at half load until an attested receipt was there on another node; 0 on one node.
	FinalP50Millis float64 `json:"finalP50Millis,omitempty"`
	FinalP99Millis float64 `json:"finalP99Millis,omitempty"`

	// CPUMicrosPerTx is over all nodes.
	CPUMicrosPerTx float64 `json:"cpuMicrosPerTx"`
	// Cores says how the machine was divided at full load.
	Cores cores `json:"cores"`
	// Split is CPUMicrosPerTx by place, from the profile's samples.
	Split map[string]float64 `json:"cpuMicrosPerTxByPlace,omitempty"`
	// StageWallMicros is what the node's own clocks say: wall time per transaction that a stage worked.
	StageWallMicros map[string]float64 `json:"stageWallMicrosPerTx"`

	YardstickBeforeMicros float64 `json:"yardstickBeforeMicros"`
	YardstickDuringMicros float64 `json:"yardstickDuringMicros"`
	YardstickAfterMicros  float64 `json:"yardstickAfterMicros"`
	// Secp256k1Micros is one decode with recovery of a secp256k1 transfer, measured before and after the load where that consists of another kind.
	Secp256k1Micros float64 `json:"secp256k1Micros,omitempty"`
	// Yardsticks is CPUMicrosPerTx by node over the mean of before and after; YardsticksLoaded over the one during the load.
	Yardsticks       float64 `json:"yardsticksPerTx"`
	YardsticksLoaded float64 `json:"yardsticksLoadedPerTx"`

	PeakRSSBytes int64 `json:"peakRssBytes"`
	// DiskBytesPerTx is of one node.
	DiskBytesPerTx  float64 `json:"diskBytesPerTx"`
	DiskBytesFunded int64   `json:"diskBytesFunded"`
	// DiskBytesPerTxByTable divides most of DiskBytesPerTx; what compactions have still to remove makes single tables rough.
	DiskBytesPerTxByTable map[string]float64 `json:"diskBytesPerTxByTable"`

	// IdlePercent is by node, of one core.
	IdlePercent []float64 `json:"idlePercent,omitempty"`
	IdleBlocks  int       `json:"idleBlocks"`

	Network *networkReport `json:"network,omitempty"`

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
	r := &report{Time: time.Now().UTC().Format(time.RFC3339), Commit: commit(), Machine: thisMachine(), Accounts: accounts, Txs: s.Txs, Nodes: s.Nodes, Sections: s.Sections,
		Batch: s.Batch, Window: s.Window, Seed: s.Seed, Suite: s.Suite, Kind: s.Kind, StageWallMicros: map[string]float64{}, Split: map[string]float64{}, DiskBytesPerTxByTable: map[string]float64{},
		PhaseSeconds: map[string]float64{}}
	if s.Nodes > 1 {
		r.Network = &networkReport{}
	}
	return r
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
	return fmt.Sprintf("%s-%d-%d", strings.NewReplacer("-", "", ":", "").Replace(r.Time), r.Nodes, r.Accounts)
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
