package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// doctorWait is how long the doctor watches: a heartbeat of the leader and some blocks fit in.
const doctorWait = 2 * time.Second

// errUnwell is a network in which something is wrong.
var errUnwell = errors.New("something is wrong")

func (c *cli) doctorCommand() *cobra.Command {
	var urls []string
	var dir string
	var watch time.Duration
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say why a chain stands still or is slow, and what to do",
		Long: `Say why a chain stands still or is slow, and what to do about it. The doctor looks twice, some seconds apart, at every node that it is given:
those of a folder (a network's or one node's; it also reads what lies on the disk, so it works when nothing runs) and those of --rpc. The more
nodes it sees, the more it can compare. It changes nothing.

Exit codes: 0 all is well, 1 something is wrong, 2 it was asked wrongly. docs/operations.md explains every finding.`,
		Example: `  jialing doctor --dir net
  jialing doctor --rpc http://10.0.0.1:8545 --rpc http://10.0.0.2:8545
  jialing doctor --json | jq '.findings[].cause'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch < 0 || watch > time.Hour {
				return usagef("--watch must be 0s to 1h")
			}
			f, err := gather(cmd.Context(), dir, urls, watch)
			if err != nil {
				return err
			}
			return c.printDiagnosis(f, diagnose(f))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "a network's folder or one node's")
	cmd.Flags().StringArrayVar(&urls, "rpc", nil, "a node's URL; may be repeated (default "+defaultRPC+" where no --dir is given)")
	cmd.Flags().DurationVar(&watch, "watch", doctorWait, "how long to watch whether anything moves")
	return cmd
}

// severity orders findings.
type severity string

const (
	// broken: the chain or a node does not work. ailing: it works, with less room for the next fault. remark: worth knowing, nothing is wrong.
	broken severity = "error"
	ailing severity = "warning"
	remark severity = "note"
)

func (s severity) rank() int { return slices.Index([]severity{broken, ailing, remark}, s) }

// finding is one thing that is wrong.
type finding struct {
	Severity severity `json:"severity"`
	// Rule is a word for programs; docs/operations.md has a paragraph for each.
	Rule string `json:"rule"`
	// Cause is a sentence, Evidence what it is taken from, Remedy what to do.
	Cause    string `json:"cause"`
	Evidence string `json:"evidence,omitempty"`
	Remedy   string `json:"remedy"`
}

// diagnose applies all rules; the worst comes first.
func diagnose(f *facts) []finding {
	var out []finding
	for _, rule := range rules {
		out = append(out, rule(f)...)
	}
	names := f.names()
	for i := range out {
		out[i].Evidence = names.Replace(out[i].Evidence)
	}
	slices.SortStableFunc(out, func(a, b finding) int { return a.Severity.rank() - b.Severity.rank() })
	return out
}

type diagnosisView struct {
	Healthy  bool      `json:"healthy"`
	Nodes    []seenRow `json:"nodes"`
	Findings []finding `json:"findings"`
}

// seenRow is a node as the doctor found it.
type seenRow struct {
	Node     string  `json:"node"`
	RPC      string  `json:"rpc"`
	PID      int     `json:"pid,omitempty"`
	Answers  bool    `json:"answers"`
	Height   *uint64 `json:"height"`
	Peers    *int    `json:"peers"`
	IsLeader bool    `json:"leader"`
}

func (c *cli) printDiagnosis(f *facts, found []finding) error {
	wrong := 0
	for _, d := range found {
		if d.Severity != remark {
			wrong++
		}
	}
	v := diagnosisView{Healthy: wrong == 0, Findings: found}
	if found == nil {
		v.Findings = []finding{}
	}
	answering := 0
	for _, n := range f.nodes {
		row := seenRow{Node: n.name, RPC: n.url, PID: n.pid}
		if s := n.now(); s != nil {
			answering++
			row.Answers, row.Height, row.Peers = true, &s.Durable, &s.Peers
			row.IsLeader = s.Validator != nil && s.Leader != nil && *s.Leader == *s.Validator
		}
		v.Nodes = append(v.Nodes, row)
	}
	err := c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "looked at %s: %d answer\n", plural(len(f.nodes), "node"), answering)
		for _, d := range found {
			fmt.Fprintf(w, "\n%s  %s\n", d.Severity, d.Cause)
			if d.Evidence != "" {
				fmt.Fprintf(w, "  because  %s\n", indent(d.Evidence))
			}
			fmt.Fprintf(w, "  do this  %s\n", indent(d.Remedy))
		}
		if wrong == 0 {
			fmt.Fprintf(w, "\nall is well%s\n", f.summary())
		}
	})
	if err != nil || wrong == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", errUnwell, plural(wrong, "finding"))
}

// summary is what a healthy network is worth saying of.
func (f *facts) summary() string {
	for _, n := range f.nodes {
		if s := n.now(); s != nil {
			if s.Work != nil {
				return fmt.Sprintf(": %s, height %d, finalized %d, %s", s.Chain, s.Work.Tip, s.Finalized, f.mining())
			}
			return fmt.Sprintf(": %s, height %d, finalized %d, %d of %d validators connected", s.Chain, s.Durable, s.Finalized,
				len(f.reachableValidators()), len(s.Validators))
		}
	}
	return ""
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// facts are what the rules judge; none of them asks anybody anything.
type facts struct {
	nodes []*nodeFacts
	// watched is the time between the two looks.
	watched time.Duration
	// dir is the folder that was given, for remedies; "" for none.
	dir string
	// heads are block hashes at one height that all answering nodes have, by node; empty where it could not be had.
	commonHeight uint64
	heads        map[string]string
	// baseFee is the price of gas in the latest block, nil where it is zero or not known; poor are the validators whose accounts hold nothing.
	baseFee *big.Int
	poor    []string
}

// nodeFacts is what is known of one node.
type nodeFacts struct {
	name string
	url  string
	// first and second are what it answered; both are there.
	first, second *answer
	// folder is nil for a node that is known by its URL alone; the fields below are then empty.
	folder *nodeFolder
	pid    int
	// elsewhere names the machine that the node is meant for; "" for this one.
	elsewhere string
	halt      *haltFacts
	lastWords string
	// diskFree is of the folder's disk, in bytes; diskKnown tells that it could be read.
	diskFree  uint64
	diskKnown bool
	// taken are the node's addresses on which something listens although the node does not run.
	taken []string
	// audit is what is wrong with the audit log; nil for nothing.
	audit error
}

// haltFacts is halt.json as people read it.
type haltFacts struct {
	height   uint64
	evidence string
	advice   string
	// forked tells of a deep fork on a chain of work.
	forked bool
}

// now is the newest status; nil when the node does not answer.
func (n *nodeFacts) now() *nodeStatus {
	if n.second.status != nil {
		return n.second.status
	}
	return nil
}

// label is the node's name for sentences.
func (n *nodeFacts) label() string { return n.name }

// gather looks at everything twice.
func gather(ctx context.Context, dir string, urls []string, watch time.Duration) (*facts, error) {
	f := &facts{watched: watch, dir: dir}
	if dir == "" && len(urls) == 0 {
		urls = []string{defaultRPC}
	}
	if dir != "" {
		folders, err := openNetwork(dir)
		if err != nil {
			return nil, err
		}
		for _, folder := range folders {
			f.nodes = append(f.nodes, folderFacts(folder))
		}
	}
	for _, url := range urls {
		if !slices.ContainsFunc(f.nodes, func(n *nodeFacts) bool { return n.url == url }) {
			f.nodes = append(f.nodes, &nodeFacts{name: url, url: url})
		}
	}
	asked := make([]string, len(f.nodes))
	for i, n := range f.nodes {
		asked[i] = n.url
	}
	for i, a := range probeAll(ctx, asked) {
		f.nodes[i].first = a
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(watch):
	}
	for i, a := range probeAll(ctx, asked) {
		n := f.nodes[i]
		n.second = a
		if n.folder == nil && a.status != nil && a.status.Name != "" {
			n.name = a.status.Name
		}
	}
	for _, n := range f.nodes {
		n.audit = auditFault(n)
	}
	f.heads = f.readHeads(ctx)
	f.readFees(ctx)
	return f, ctx.Err()
}

// indent keeps the further lines of a text under its first.
func indent(s string) string {
	const margin = "\n           "
	out := ""
	for i, line := range slices.Collect(lines(s)) {
		if i > 0 {
			out += margin
		}
		out += line
	}
	return out
}

// exists tells whether a file is there.
func exists(path string) bool { _, err := os.Stat(path); return err == nil }
