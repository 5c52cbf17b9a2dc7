package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// counters are what a node has counted since its start, as far as engines are compared by it.
type counters struct {
	cpuSeconds      float64
	messages, bytes float64
	// kinds are the engine's own messages that were sent, by what they are.
	kinds map[string]float64
	bans  float64
}

// readCounters reads a node's /metrics.
func readCounters(ctx context.Context, rpcURL string) (out counters, err error) {
	err = withMetrics(ctx, rpcURL, func(r io.Reader) error { out, err = parseCounters(r); return err })
	return out, err
}

func parseCounters(r io.Reader) (counters, error) {
	out := counters{kinds: make(map[string]float64)}
	found := false
	err := eachSeries(r, func(name string, value float64) {
		series, labels, _ := strings.Cut(name, "{")
		sent := strings.Contains(labels, `direction="out"`)
		switch {
		case series == "process_cpu_seconds_total":
			out.cpuSeconds, found = value, true
		case series == "jialing_p2p_messages_total" && sent:
			out.messages += value
		case series == "jialing_p2p_bytes_total" && sent:
			out.bytes += value
		case series == "jialing_p2p_bans_total":
			out.bans = value
		case series == "jialing_engine_messages_total" && sent:
			out.kinds[label(labels, "kind")] += value
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("read metrics: not a node's")
	}
	return out, err
}

// label is a label's value in a series' labels; none of those that are read has a character that is escaped.
func label(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// add sums up nodes, or with factor -1 takes an earlier look away.
func (c *counters) add(o counters, factor float64) {
	if c.kinds == nil {
		c.kinds = make(map[string]float64)
	}
	c.cpuSeconds += factor * o.cpuSeconds
	c.messages += factor * o.messages
	c.bytes += factor * o.bytes
	c.bans += factor * o.bans
	for k, n := range o.kinds {
		c.kinds[k] += factor * n
	}
}

// sumCounters adds up the counters of nodes, all of which must answer.
func sumCounters(ctx context.Context, urls []string) (sum counters, err error) {
	for _, url := range urls {
		one, err := readCounters(ctx, url)
		if err != nil {
			return sum, err
		}
		sum.add(one, 1)
	}
	return sum, nil
}

// perTx makes figures of what the nodes counted while n transactions went through.
func (c *counters) perTx(n int, out *lessonFigures) {
	txs := float64(n)
	out.MessagesPerTx, out.BytesPerTx, out.CPUMicrosPerTx = c.messages/txs, c.bytes/txs, 1e6*c.cpuSeconds/txs
	out.ByKind = c.kinds
	for k, v := range out.ByKind {
		if v == 0 {
			delete(out.ByKind, k)
		}
	}
}
