package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// networkReport is what is measured of several nodes alone.
type networkReport struct {
	// TxBytes is the mean size of the saturated phase's transactions; SentBytesPerTx what the nodes sent each other for one; Traffic the latter
	// over TxBytes × (nodes − 1), which is what sending each transaction to each node once takes.
	TxBytes              float64            `json:"txBytes"`
	SentBytesPerTx       float64            `json:"sentBytesPerTx"`
	SentBytesPerTxByKind map[string]float64 `json:"sentBytesPerTxByKind"`
	Traffic              float64            `json:"trafficMultiple"`
	// WireBytesPerTx and WireTraffic are the same with framing and encryption, as the kernel counts it; 0 where it cannot be asked.
	WireBytesPerTx float64 `json:"wireBytesPerTx,omitempty"`
	WireTraffic    float64 `json:"wireTrafficMultiple,omitempty"`

	LeaderKills   faults `json:"leaderKills"`
	FollowerKills faults `json:"followerKills"`
	Away          away   `json:"away"`
}

// faults are the runs in which a node was killed under load and started again.
type faults struct {
	TxsPerSecond float64    `json:"txsPerSecond"`
	Runs         []faultRun `json:"runs"`
}

type faultRun struct {
	At string `json:"at"`
	// Victim, LeaderBefore and LeaderAfter are nodes' numbers from 1.
	Victim       int `json:"victim"`
	LeaderBefore int `json:"leaderBefore"`
	LeaderAfter  int `json:"leaderAfter"`
	// PauseMillis is the longest time without a new block on a node that lived, from the last block before the kill on.
	PauseMillis float64 `json:"pauseMillis"`
	// CatchUpSeconds is from starting the process again to its having what the others have; it was BlocksBehind them when it served.
	CatchUpSeconds float64 `json:"catchUpSeconds"`
	BlocksBehind   uint64  `json:"blocksBehind"`
}

// away is the run in which a node was down for long.
type away struct {
	TxsPerSecond   float64 `json:"txsPerSecond"`
	AwaySeconds    float64 `json:"awaySeconds"`
	BlocksBehind   uint64  `json:"blocksBehind"`
	CatchUpSeconds float64 `json:"catchUpSeconds"`
}

// weighTraffic fills in what the nodes sent each other during the saturated phase.
func (b *bench) weighTraffic(before, after traffic) error {
	r, n := b.report.Network, float64(len(b.saturated))
	kinds, err := sentBytes(after.metrics)
	if err != nil {
		return err
	}
	earlier, err := sentBytes(before.metrics)
	if err != nil {
		return err
	}
	r.SentBytesPerTxByKind = make(map[string]float64, len(kinds))
	for kind, bytes := range kinds {
		r.SentBytesPerTxByKind[kind] = (bytes - earlier[kind]) / n
		r.SentBytesPerTx += (bytes - earlier[kind]) / n
	}
	total := 0
	for _, tx := range b.saturated {
		total += len(tx.raw)
	}
	r.TxBytes = float64(total) / n
	r.Traffic = r.SentBytesPerTx / (r.TxBytes * float64(b.Nodes-1))
	if before.wire > 0 {
		r.WireBytesPerTx = (after.wire - before.wire) / n
		r.WireTraffic = r.WireBytesPerTx / (r.TxBytes * float64(b.Nodes-1))
	}
	return nil
}

// traffic is the nodes' counters at a time.
type traffic struct {
	metrics map[string]float64
	// wire is 0 where the kernel cannot be asked.
	wire float64
}

func (b *bench) traffic(ctx context.Context) (t traffic, err error) {
	if t.metrics, err = b.nodes.metrics(ctx); err != nil || b.Nodes == 1 {
		return t, err
	}
	t.wire, err = b.nodes.wireBytes(ctx)
	if errors.Is(err, errNoSockets) {
		fmt.Fprintf(os.Stderr, "(no bytes on the wire: %v) ", err)
		err = nil
	}
	return t, err
}

// idleSettle is how long the nodes get to finish what a load left them: compactions, journals.
const idleSettle = 5 * time.Second

// idle watches the nodes while nobody asks them for anything.
func (b *bench) idle(ctx context.Context) error {
	if err := sleepUntil(ctx, time.Now().Add(idleSettle)); err != nil {
		return err
	}
	heightBefore, err := b.height(ctx, 0)
	if err != nil {
		return err
	}
	before := make([]time.Duration, len(b.nodes))
	for i, p := range b.nodes {
		if before[i], err = p.cpu(); err != nil {
			return err
		}
	}
	begin := time.Now()
	if err := sleepUntil(ctx, begin.Add(b.Idle)); err != nil {
		return err
	}
	wall := time.Since(begin)
	for i, p := range b.nodes {
		after, err := p.cpu()
		if err != nil {
			return err
		}
		b.report.IdlePercent = append(b.report.IdlePercent, 100*(after-before[i]).Seconds()/wall.Seconds())
	}
	height, err := b.height(ctx, 0)
	b.report.IdleBlocks = int(height - heightBefore)
	return err
}

// height asks a node for its last block's.
func (b *bench) height(ctx context.Context, node int) (uint64, error) {
	view, err := dialView(ctx, b.nodes[node].ws)
	if err != nil {
		return 0, err
	}
	defer view.close()
	return view.height(ctx)
}
