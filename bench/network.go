package main

import (
	"context"
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

	LeaderKills   faults `json:"leaderKills"`
	FollowerKills faults `json:"followerKills"`
	Away          away   `json:"away"`
}

// faults are the runs in which a node was killed under load and started again.
type faults struct {
	TxsPerSecond float64 `json:"txsPerSecond"`
	// PauseMillis is, by run, the longest time without a new block on a node that lived, from the last block before the kill on.
	PauseMillis []float64 `json:"pauseMillis"`
	// CatchUpSeconds is, by run, from starting the process again to its having what the others have.
	CatchUpSeconds []float64 `json:"catchUpSeconds"`
}

// away is the run in which a node was down for long.
type away struct {
	TxsPerSecond   float64 `json:"txsPerSecond"`
	AwaySeconds    float64 `json:"awaySeconds"`
	BlocksBehind   uint64  `json:"blocksBehind"`
	CatchUpSeconds float64 `json:"catchUpSeconds"`
}

// weighTraffic fills in what the nodes sent each other during the saturated phase.
func (b *bench) weighTraffic(before, after map[string]float64) error {
	r, n := b.report.Network, float64(len(b.saturated))
	kinds, err := sentBytes(after)
	if err != nil {
		return err
	}
	earlier, err := sentBytes(before)
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
	return nil
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
