package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sync/errgroup"
)

// yardstickRuns is how many transactions the yardstick before and after takes: a fifth of a second.
const yardstickRuns = 4000

// balanceSample is how many holders' balances are checked at the end.
const balanceSample = 200

// measure runs everything on one fresh chain.
func (s *settings) measure(ctx context.Context, accounts int) (*report, error) {
	dir := filepath.Join(s.Out, fmt.Sprintf("chain-%d", accounts))
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	b := &bench{settings: s, dir: filepath.Join(dir, "node1"), report: newReport(s, accounts)}
	defer b.cleanUp()
	for _, phase := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"make the chain", b.makeChain}, {"fund the holders", b.fund}, {"sign", b.sign}, {"warm up", b.warmUp},
		{"send at full load", b.saturate}, {"send at half load", b.halfLoad}, {"check", b.check}, {"weigh", b.weigh},
	} {
		begin := time.Now()
		fmt.Fprintf(os.Stderr, "%9d accounts: %s … ", accounts, phase.name)
		if err := phase.run(ctx); err != nil {
			fmt.Fprintln(os.Stderr)
			return nil, fmt.Errorf("%s: %w", phase.name, b.explain(err))
		}
		b.report.PhaseSeconds[phase.name] = round(time.Since(begin).Seconds())
		fmt.Fprintf(os.Stderr, "%.1f s\n", time.Since(begin).Seconds())
	}
	return b.report, nil
}

// bench is one run.
type bench struct {
	*settings
	dir    string
	report *report

	nodes     cluster
	holders   *holders
	treasurer *treasurer
	payments  *payments
	token     *token
	funded    funded
	yardstick *yardstick

	warmup, saturated []signed
	// committed counts the measured chain's transfers, for the disk.
	committed int
	// weighed is the folder before the first transfer.
	weighed weight
}

// failPatience is how long a node that may be failing has to say why.
const failPatience = 5 * time.Second

// explain adds the last words of nodes that have ended to an error that they may be the cause of.
func (b *bench) explain(err error) error {
	for _, p := range b.nodes {
		if ended, _ := p.wait(failPatience); ended {
			err = fmt.Errorf("%w; the node has ended: %s", err, p.lastWords())
		}
	}
	return err
}

func (b *bench) cleanUp() {
	if err := b.nodes.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if !b.Keep {
		os.RemoveAll(filepath.Dir(b.dir))
	}
}

func (b *bench) start(ctx context.Context) error {
	// The log outlives the chain: it tells why a run failed.
	log := filepath.Join(b.Out, fmt.Sprintf("node1-%d.log", b.report.Accounts))
	p, err := startProcess(ctx, b.Binary, b.dir, log, b.Profile)
	if err != nil {
		return err
	}
	b.nodes = cluster{p}
	return nil
}

func (b *bench) stop() error {
	nodes := b.nodes
	b.nodes = nil
	return nodes.stop()
}

func (b *bench) urls() (out []string) {
	for _, p := range b.nodes {
		out = append(out, p.ws)
	}
	return out
}

func (b *bench) makeChain(ctx context.Context) (err error) {
	b.holders = newHolders(b.report.Accounts, b.Seed)
	b.payments = newPayments(b.report.Accounts, b.Seed)
	b.treasurer = newTreasurer(b.Seed)
	b.funded, err = fundedFolder(b.settings, b.report.Accounts)
	if err != nil {
		return err
	}
	if b.Reuse {
		found, err := b.funded.restore(b.dir)
		if found || err != nil {
			b.report.FundedReused = found
			return err
		}
	}
	if err := initChain(ctx, b.Binary, b.dir, b.treasurer.address); err != nil {
		return err
	}
	return b.start(ctx)
}

// fund ends with a restart, so that what funding left in memory is no part of what is measured.
func (b *bench) fund(ctx context.Context) (err error) {
	b.token = newToken(b.treasurer.address, len(b.holders.addresses))
	if !b.report.FundedReused {
		if err := b.token.deploy(ctx, b.urls(), b.treasurer, b.holders); err != nil {
			return err
		}
		cpu, err := b.nodes.cpu()
		if err != nil {
			return err
		}
		b.report.FundingCPUSeconds = round(cpu.Seconds())
		if err := b.stop(); err != nil {
			return err
		}
		if err := b.funded.keep(b.dir); err != nil {
			return err
		}
	}
	if b.weighed, err = weighFolder(ctx, b.Binary, b.dir); err != nil {
		return err
	}
	return b.start(ctx)
}

func (b *bench) sign(ctx context.Context) error {
	txs, err := b.token.signTransfers(ctx, b.holders, b.payments, b.Warmup+b.Txs)
	if err != nil {
		return err
	}
	b.warmup, b.saturated = txs[:b.Warmup], txs[b.Warmup:]
	b.yardstick = newYardstick(chainID, b.saturated)
	return nil
}

func (b *bench) warmUp(ctx context.Context) error {
	if _, err := b.yardstick.measure(yardstickRuns); err != nil {
		return err
	}
	if b.Warmup > 0 {
		if _, err := b.drive(ctx, b.full(b.warmup)); err != nil {
			return err
		}
	}
	us, err := b.yardstick.measure(yardstickRuns)
	b.report.YardstickBeforeMicros = us
	return err
}

func (b *bench) full(txs []signed) load {
	return load{txs: txs, batch: b.Batch, connections: b.Connections, window: b.Window}
}

// drive sends a load and checks that every transaction of it succeeded.
func (b *bench) drive(ctx context.Context, l load) (*outcome, error) {
	o, err := drive(ctx, b.urls(), l)
	if err != nil {
		return nil, err
	}
	b.committed += len(l.txs)
	return o, verifyReceipts(ctx, b.urls()[0], o, len(l.txs))
}

// saturate sends as fast as the chain takes it, beside the profiler and the yardstick.
func (b *bench) saturate(ctx context.Context) error {
	stages, err := stageSeconds(ctx, b.nodes[0].http)
	if err != nil {
		return err
	}
	before, err := b.nodes.cpu()
	if err != nil {
		return err
	}
	var o *outcome
	var cpu time.Duration
	profiles := make([]*profile.Profile, len(b.nodes))
	g, gctx := errgroup.WithContext(ctx)
	beside, cancel := context.WithCancel(gctx)
	defer cancel()
	g.Go(func() (err error) {
		defer cancel()
		if o, err = drive(gctx, b.urls(), b.full(b.saturated)); err != nil {
			return err
		}
		cpu, err = b.nodes.cpu()
		return err
	})
	g.Go(func() (err error) {
		b.report.YardstickDuringMicros, err = b.yardstick.during(beside)
		return err
	})
	if b.Profile {
		for i, p := range b.nodes {
			g.Go(func() (err error) {
				profiles[i], err = profileNode(beside, p.pprof)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	b.committed += len(b.saturated)
	if err := b.takeDown(ctx, o, cpu-before, stages); err != nil {
		return err
	}
	if b.Profile {
		if err := b.report.split(b.Out, profiles); err != nil {
			return err
		}
	}
	return verifyReceipts(ctx, b.urls()[0], o, len(b.saturated))
}

// takeDown fills the report with the results of the saturated phase.
func (b *bench) takeDown(ctx context.Context, o *outcome, cpu time.Duration, stagesBefore map[string]float64) error {
	r, n := b.report, float64(len(b.saturated))
	stages, err := stageSeconds(ctx, b.nodes[0].http)
	if err != nil {
		return err
	}
	for stage, after := range stages {
		r.StageWallMicros[stage] = (after - stagesBefore[stage]) * 1e6 / n
	}
	r.TxsPerSecond = n / o.seconds()
	r.MillionGasPerSecond = float64(o.gas) / 1e6 / o.seconds()
	r.CPUMicrosPerTx = float64(cpu.Microseconds()) / n
	r.CPUCores = cpu.Seconds() / o.seconds()
	r.Blocks = int(o.to - o.from)
	slices.Sort(o.latencies)
	r.SaturatedP50Millis, r.SaturatedP99Millis = percentile(o.latencies, 50), percentile(o.latencies, 99)
	if r.PeakRSSBytes, err = b.nodes.peakRSS(); err != nil {
		return err
	}
	if r.YardstickAfterMicros, err = b.yardstick.measure(yardstickRuns); err != nil {
		return err
	}
	r.Yardsticks = r.CPUMicrosPerTx / ((r.YardstickBeforeMicros + r.YardstickAfterMicros) / 2)
	r.YardsticksLoaded = r.CPUMicrosPerTx / r.YardstickDuringMicros
	return nil
}

// halfLoadBatch is small, so that a batch is not waited for.
const halfLoadBatch = 10

func (b *bench) halfLoad(ctx context.Context) error {
	rate := b.report.TxsPerSecond / 2
	txs, err := b.token.signTransfers(ctx, b.holders, b.payments, max(halfLoadBatch, int(rate*b.Latency.Seconds())))
	if err != nil {
		return err
	}
	l := b.full(txs)
	l.batch, l.rate = halfLoadBatch, rate
	o, err := b.drive(ctx, l)
	if err != nil {
		return err
	}
	slices.Sort(o.latencies)
	b.report.HalfLoadTxsPerSecond = float64(len(txs)) / o.seconds()
	b.report.P50Millis, b.report.P99Millis = percentile(o.latencies, 50), percentile(o.latencies, 99)
	return nil
}

func (b *bench) check(ctx context.Context) error {
	return b.token.verifyBalances(ctx, b.urls()[0], b.holders, balanceSample)
}

// weigh stops the node, so that everything is in files.
func (b *bench) weigh(ctx context.Context) error {
	if err := b.stop(); err != nil {
		return err
	}
	last, err := weighFolder(ctx, b.Binary, b.dir)
	if err != nil {
		return err
	}
	n := float64(b.committed)
	b.report.DiskBytesFunded = b.weighed.folder
	b.report.DiskBytesPerTx = float64(last.folder-b.weighed.folder) / n
	for table, bytes := range last.tables {
		b.report.DiskBytesPerTxByTable[table] = float64(bytes-b.weighed.tables[table]) / n
	}
	return nil
}

// percentile of sorted durations, in milliseconds.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := (len(sorted)*p + 99) / 100
	return float64(sorted[max(0, i-1)].Microseconds()) / 1000
}
