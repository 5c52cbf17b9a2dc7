package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// load is what a node's counters say of its work since its start.
type load struct {
	txs, blocks float64
	// seconds and counted add up, by stage, how long blocks took from the stage before.
	seconds, counted map[string]float64
}

// maxMetrics bounds what is read of /metrics.
const maxMetrics = 4 << 20

// blockStages are the labels of jialing_block_seconds whose sum is the time from ordered to certified.
var blockStages = []string{"executed", "durable", "certified"}

// readLoad reads the node's /metrics.
func readLoad(ctx context.Context, rpcURL string) (out *load, err error) {
	err = withMetrics(ctx, rpcURL, func(r io.Reader) error { out, err = parseLoad(r); return err })
	return out, err
}

// withMetrics gives parse what the node's /metrics says.
func withMetrics(ctx context.Context, rpcURL string, parse func(io.Reader) error) error {
	u, err := url.Parse(rpcURL)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.Path, u.RawQuery = "/metrics", ""
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	credentials, err := readCredentials(rpcURL)
	if err != nil {
		return err
	}
	credentials.authorize(request.Header)
	response, err := credentials.transport().Do(request)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("read metrics: %s", response.Status)
	}
	return parse(io.LimitReader(response.Body, maxMetrics))
}

// parseLoad takes the few series that the view needs out of Prometheus' text format.
func parseLoad(r io.Reader) (*load, error) {
	out := &load{seconds: make(map[string]float64), counted: make(map[string]float64)}
	found := false
	err := eachSeries(r, func(name string, value float64) {
		switch {
		case name == "jialing_transactions_total":
			out.txs, found = value, true
		case name == "jialing_blocks_total":
			out.blocks = value
		default:
			for _, stage := range blockStages {
				switch name {
				case `jialing_block_seconds_sum{to="` + stage + `"}`:
					out.seconds[stage] = value
				case `jialing_block_seconds_count{to="` + stage + `"}`:
					out.counted[stage] = value
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("read metrics: not a node's")
	}
	return out, nil
}

// eachSeries calls f with every series of Prometheus' text format.
func eachSeries(r io.Reader, f func(name string, value float64)) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			f(name, value)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	return nil
}

// rates are means over a time.
type rates struct {
	TxsPerSecond    float64 `json:"txsPerSecond"`
	BlocksPerSecond float64 `json:"blocksPerSecond"`
	// FinalMs is from ordered to certified; null when no block was made.
	FinalMs *float64 `json:"orderedToFinalMs"`
	// Seconds is over how long.
	Seconds float64 `json:"seconds"`
}

// ratesBetween compares two looks.
func ratesBetween(before, now *load, elapsed time.Duration) *rates {
	if before == nil || now == nil || elapsed <= 0 {
		return nil
	}
	s := elapsed.Seconds()
	out := &rates{TxsPerSecond: (now.txs - before.txs) / s, BlocksPerSecond: (now.blocks - before.blocks) / s, Seconds: s}
	total := 0.0
	for _, stage := range blockStages {
		n := now.counted[stage] - before.counted[stage]
		if n <= 0 {
			return out
		}
		total += 1000 * (now.seconds[stage] - before.seconds[stage]) / n
	}
	out.FinalMs = &total
	return out
}
