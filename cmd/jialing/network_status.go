package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
)

func (c *cli) networkStatus() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the network's nodes on this machine",
		Long: `Show the network's nodes on this machine: whether they run, how far they are, whom they know and what keeps them from working.
"jialing doctor --dir DIR" says what to do about it, "jialing status" shows one node live.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := openNetwork(dir)
			if err != nil {
				return err
			}
			return c.showNetwork(cmd.Context(), dir, all)
		},
	}
	networkDirFlag(cmd, &dir)
	return cmd
}

// nodeRow is a line of network status. What is not known is null.
type nodeRow struct {
	Node      string  `json:"node"`
	PID       *int    `json:"pid"`
	RPC       string  `json:"rpc"`
	Height    *uint64 `json:"height"`
	Finalized *uint64 `json:"finalized"`
	Peers     *int    `json:"peers"`
	Leader    string  `json:"leader"`
	Problem   string  `json:"problem"`
}

func (c *cli) showNetwork(ctx context.Context, dir string, all []*nodeFolder) error {
	urls := make([]string, len(all))
	for i, n := range all {
		urls[i] = n.rpcURL()
	}
	answers := probeAll(ctx, urls)
	rows := make([]nodeRow, len(all))
	for i, n := range all {
		rows[i] = rowOf(n, n.running(), answers[i])
	}
	return c.print(rows, func(w io.Writer) {
		fmt.Fprintln(w, "node\tpid\theight\tfinalized\tpeers\tleader\tJSON-RPC\tproblem")
		for _, r := range rows {
			pid, height, finalized, peers := "-", "-", "-", "-"
			if r.PID != nil {
				pid = fmt.Sprint(*r.PID)
			}
			if r.Height != nil {
				height, finalized, peers = fmt.Sprint(*r.Height), fmt.Sprint(*r.Finalized), fmt.Sprint(*r.Peers)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Node, pid, height, finalized, peers, dash(r.Leader), r.RPC, r.Problem)
		}
	})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func rowOf(n *nodeFolder, pid int, a *answer) nodeRow {
	r := nodeRow{Node: n.name, RPC: a.url}
	if pid != 0 {
		r.PID = &pid
	}
	if s := a.status; s != nil && s.key() == n.key {
		r.Height, r.Finalized, r.Peers, r.Leader = &s.Durable, &s.Finalized, &s.Peers, s.leader()
	}
	switch host := n.elsewhere(); {
	case pid == 0 && host != "":
		r.Problem = "meant for " + host
	case pid == 0 && a.err != nil:
		r.Problem = "does not run"
	case errors.Is(a.err, client.ErrUnreachable):
		r.Problem = "runs but does not answer (it may be starting)"
	case a.err != nil:
		r.Problem = a.err.Error()
	default:
		r.Problem = notReady(n, a)
	}
	return r
}

// memberName is what people call a validator.
func memberName(name string, id chain.ValidatorID) string {
	switch {
	case name != "":
		return name
	case id != 0:
		return fmt.Sprintf("validator %d", id)
	}
	return "a node without a name"
}
