package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// classView is one moment of a lesson, ready to be drawn.
type classView struct {
	Engine   chain.EngineKind
	Suite    string
	Finality string
	View     string
	At       time.Duration
	Lies     []string
	// Keys tells that keys are heard.
	Keys   bool
	Nodes  []classNodeView
	Chosen int
	// Blocks and Transfers are means over the last seconds; Last is the highest block, Ago how long ago it came.
	BlocksPerSecond float64
	Last            uint64
	Ago             time.Duration
	P50, P99        float64
	Sent, Included  int
	Open, Forks     int
	// Unsigned are the validators whose signature the next block lacks, while it lacks it for long.
	Unsigned string
	Events   []classEvent
}

// classNodeView is a node's line.
type classNodeView struct {
	Name, State, Role       string
	View                    uint64
	Height, Final, PoolSize uint64
	Peers                   int
	Known                   bool
	// Kinds are messages of the engine per second.
	Kinds map[string]float64
	// Work is there on a chain of work.
	Work string
}

// kindColumns are the kinds of messages that have a column, those that somebody sends.
var kindColumns = []string{"proposal", "prepare", "commit", "ack", "election", "heartbeat", "sync"}

// rateWindow is over how long blocks per second are counted.
const rateWindow = 5 * time.Second

// view is how things are. The caller holds mu.
func (c *class) view(now time.Time, keys bool) *classView {
	e := c.d.flags.engine
	v := &classView{Engine: e.kind, Suite: c.d.flags.suite, Finality: e.finality, View: e.viewWord(), At: now.Sub(c.begun), Lies: e.lies, Keys: keys, Chosen: c.chosen,
		Last: c.chain.last, P50: percentileMillis(c.load.latencies, 50), P99: percentileMillis(c.load.latencies, 99), Sent: c.load.sent, Included: c.load.included,
		Open: len(c.load.open), Forks: c.chain.forks(), Events: slices.Clone(c.events)}
	if n := len(c.chain.heard); n > 0 {
		v.Ago = now.Sub(c.chain.heard[n-1])
		recent := 0
		for _, at := range c.chain.heard {
			if now.Sub(at) < rateWindow {
				recent++
			}
		}
		v.BlocksPerSecond = float64(recent) / min(rateWindow.Seconds(), max(1, v.At.Seconds()))
	}
	leader := c.leader()
	for i := range c.nodes {
		v.Nodes = append(v.Nodes, c.nodeView(i, leader))
		if s := c.nodes[i].look.status; s != nil && v.Ago > longPause && v.Unsigned == "" && s.Finalized < s.Executed && c.nodes[i].alive() {
			v.Unsigned = s.memberNames(s.Unsigned)
		}
	}
	return v
}

func (c *class) nodeView(i, leader int) classNodeView {
	n := &c.nodes[i]
	v := classNodeView{Name: n.name, State: "up"}
	switch {
	case n.ended != "" && !n.alive():
		v.State = "ended"
	case !n.alive():
		v.State = "killed"
	case n.lie != "":
		v.State = "lies: " + n.lie
	case c.groups != nil:
		var with []string
		for _, j := range groupOf(c.groups, i) {
			with = append(with, fmt.Sprint(j+1))
		}
		v.State = "part " + strings.Join(with, " ")
	case n.look.err != nil:
		v.State = "no answer"
	}
	s := n.look.status
	if s == nil || !n.alive() {
		return v
	}
	v.Known = true
	if i == leader {
		v.Role = "leader"
	} else if s.Validator == nil && s.Work == nil {
		v.Role = "follower"
	}
	if s.Leader != nil && s.Validator != nil && *s.Leader == *s.Validator && i != leader {
		v.Role = "says it leads"
	}
	v.View, v.Height, v.Final, v.PoolSize, v.Peers = s.View, s.Durable, s.Finalized, uint64(s.Pool.Pending), s.Peers
	v.Kinds = n.look.kindsPerSecond
	if w := s.Work; w != nil {
		v.Role = ""
		v.Work = fmt.Sprintf("tip %d, %d branches, %d reorgs (deepest %d), found %d, %.0f kH/s", w.Tip, w.Branches, w.Reorganisations, w.Deepest, w.Found,
			w.HashesPerSecond/1000)
	}
	return v
}

// shownEvents is how many events fit a small terminal.
const shownEvents = 10

// text draws the view.
func (v *classView) text(out io.Writer) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "consensus %s (%s), final by %s; %.0f s\n\n", v.Engine, v.Suite, v.Finality, v.At.Seconds())
	var kinds []string
	for _, k := range kindColumns {
		if slices.ContainsFunc(v.Nodes, func(n classNodeView) bool { return n.Kinds[k] >= 0.05 }) {
			kinds = append(kinds, k)
		}
	}
	head := fmt.Sprintf("\tnode\tstate\trole\t%s\theight\tfinal\tpeers\tpool", v.View)
	for _, k := range kinds {
		head += "\t" + k + "/s"
	}
	fmt.Fprintln(w, head)
	for i := range v.Nodes {
		n := &v.Nodes[i]
		mark := ""
		if v.Keys && i == v.Chosen {
			mark = ">"
		}
		line := fmt.Sprintf("%s%d\t%s\t%s\t%s", mark, i+1, n.Name, n.State, n.Role)
		if n.Known {
			line += fmt.Sprintf("\t%d\t%d\t%d\t%d\t%d", n.View, n.Height, n.Final, n.Peers, n.PoolSize)
			for _, k := range kinds {
				line += fmt.Sprintf("\t%.1f", n.Kinds[k])
			}
		}
		if n.Work != "" {
			line += "\t" + n.Work
		}
		fmt.Fprintln(w, line)
	}
	_ = w.Flush() // that is memory
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
	fmt.Fprintf(out, "\nblock %d, %.1f s ago, %.1f blocks/s; latency p50 %.0f ms, p99 %.0f ms; forks %d\n", v.Last, v.Ago.Seconds(), v.BlocksPerSecond, v.P50, v.P99, v.Forks)
	fmt.Fprintf(out, "transfers: %d sent, %d in blocks, %d waiting\n", v.Sent, v.Included, v.Open)
	if v.Unsigned != "" {
		fmt.Fprintf(out, "the next block lacks the signatures of %s\n", v.Unsigned)
	}
	fmt.Fprintln(out)
	for _, e := range v.Events[max(0, len(v.Events)-shownEvents):] {
		fmt.Fprintf(out, "%7.1f s  %s\n", e.at.Seconds(), e.text)
	}
	if v.Keys {
		keys := fmt.Sprintf("\n1-%d choose a node, k kill, r restart", len(v.Nodes))
		if len(v.Nodes) > 1 {
			keys += ", p part the network, h heal"
		}
		if len(v.Lies) > 0 {
			keys += ", b make it lie (" + strings.Join(v.Lies, ", ") + ")"
		}
		fmt.Fprintln(out, keys+", q end")
	}
}
