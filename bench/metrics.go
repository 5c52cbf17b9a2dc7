package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scrape reads a node's metrics, by name with labels as they are written.
func scrape(ctx context.Context, url string) (map[string]float64, error) {
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
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if out[line[:at]], err = strconv.ParseFloat(line[at+1:], 64); err != nil {
			return nil, fmt.Errorf("read the node's metrics: %w", err)
		}
	}
	return out, lines.Err()
}

// stageSeconds is jialing_stage_seconds_total by stage.
func stageSeconds(metrics map[string]float64) map[string]float64 {
	out := make(map[string]float64)
	for name, value := range metrics {
		if rest, ok := strings.CutPrefix(name, `jialing_stage_seconds_total{stage="`); ok {
			out[strings.TrimSuffix(rest, `"}`)] = value
		}
	}
	return out
}

// metrics adds up the metrics of all nodes that run.
func (c cluster) metrics(ctx context.Context) (map[string]float64, error) {
	total := make(map[string]float64)
	for _, p := range c {
		if p == nil {
			continue
		}
		one, err := scrape(ctx, p.http)
		if err != nil {
			return nil, err
		}
		for name, value := range one {
			total[name] += value
		}
	}
	return total, nil
}

// bytesMetric is what a node has exchanged with others, by protocol and direction, without framing and encryption.
const bytesMetric = "jialing_p2p_bytes_total"

// sentBytes is what the nodes have sent each other, by protocol. Without the metric it is an error: nothing sent would be a false figure.
func sentBytes(metrics map[string]float64) (map[string]float64, error) {
	out := make(map[string]float64)
	for name, value := range metrics {
		labels, ok := strings.CutPrefix(name, bytesMetric)
		if !ok || !strings.Contains(labels, `direction="out"`) {
			continue
		}
		_, rest, _ := strings.Cut(labels, `protocol="`)
		protocol, _, _ := strings.Cut(rest, `"`)
		out[protocol] += value
	}
	if len(out) == 0 {
		return nil, errors.New("the nodes have no metric " + bytesMetric)
	}
	return out, nil
}

// cores says who used the machine's processors, on average over a time, in cores.
type cores struct {
	Nodes     float64 `json:"nodes"`
	Generator float64 `json:"generator"`
	// Others is the rest of what was busy: other programs of the machine.
	Others float64 `json:"others"`
	Idle   float64 `json:"idle"`
}

// usage is processor time so far.
type usage struct {
	at                           time.Time
	nodes, generator, busy, idle time.Duration
}

func (c cluster) usage() (u usage, err error) {
	u.at = time.Now()
	if u.nodes, err = c.cpu(); err != nil {
		return u, err
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return u, fmt.Errorf("read the generator's CPU time: %w", err)
	}
	u.generator = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, fmt.Errorf("read the machine's CPU time: %w", err)
	}
	u.busy, u.idle, err = parseMachineStat(string(stat))
	return u, err
}

// since is the average from before to u.
func (u usage) since(before usage) cores {
	wall := u.at.Sub(before.at).Seconds()
	c := cores{Nodes: (u.nodes - before.nodes).Seconds() / wall, Generator: (u.generator - before.generator).Seconds() / wall,
		Idle: (u.idle - before.idle).Seconds() / wall}
	c.Others = max(0, (u.busy-before.busy).Seconds()/wall-c.Nodes-c.Generator)
	return c
}

// parseMachineStat sums up the first line of /proc/stat, proc(5): user nice system idle iowait irq softirq steal.
func parseMachineStat(stat string) (busy, idle time.Duration, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("read the machine's CPU time: cannot understand %q", line)
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the machine's CPU time: %w", err)
		}
		if t := time.Duration(n) * time.Second / clockTicks; i == 3 || i == 4 {
			idle += t
		} else {
			busy += t
		}
	}
	return busy, idle, nil
}
