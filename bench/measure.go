package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	b := &bench{settings: s, dir: dir, report: newReport(s, accounts)}
	defer b.cleanUp()
	for _, phase := range b.phases() {
		if len(phase.of) > 0 && !slices.ContainsFunc(phase.of, s.has) {
			continue
		}
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

// phase is a step of a run; of are the sections that need it, none for one that every run does.
type phase struct {
	name string
	of   []string
	run  func(context.Context) error
}

func (b *bench) phases() []phase {
	load := []string{"load"}
	return []phase{
		{"make the chain", nil, b.makeChain}, {"fund the holders", nil, b.fund}, {"sign", load, b.sign}, {"warm up", load, b.warmUp},
		{"send at full load", load, b.saturate}, {"send at half load", load, b.halfLoad}, {"idle", []string{"idle"}, b.idle},
		{"kill the leader", []string{"leader"}, b.killLeaders}, {"kill followers", []string{"follower"}, b.killFollowers},
		{"go away and catch up", []string{"away"}, b.goAway}, {"check", nil, b.check}, {"weigh", load, b.weigh},
	}
}

// bench is one run.
type bench struct {
	*settings
	dir    string
	dirs   []string // of the nodes
	report *report

	nodes     cluster
	holders   *holders
	treasurer *treasurer
	payments  *payments
	token     *token
	funded    funded
	yardstick *yardstick
	// other is of secp256k1 transfers where the load's are of another kind, else nil.
	other *yardstick

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
	patience := failPatience
	for i, p := range b.nodes {
		if p == nil {
			continue
		}
		if ended, _ := p.wait(patience); ended {
			err = fmt.Errorf("%w; node %d has ended: %s", err, i+1, p.lastWords())
		}
		patience = 0
	}
	return err
}

func (b *bench) cleanUp() {
	if err := b.nodes.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if !b.Keep {
		os.RemoveAll(b.dir)
	}
}

func (b *bench) start(ctx context.Context) (err error) {
	b.nodes, err = startCluster(ctx, b.Binary, b.dirs, b.log, b.startArgs())
	return err
}

// log is where a node's log goes; it outlives the chain: it tells why a run failed.
func (b *bench) log(node int) string {
	return filepath.Join(b.Out, fmt.Sprintf("node%d-%d.log", node+1, b.report.Accounts))
}

func (b *bench) stop() error {
	nodes := b.nodes
	b.nodes = nil
	return nodes.stop()
}

// urls are the nodes that run.
func (b *bench) urls() (out []string) {
	for _, p := range b.nodes {
		if p != nil {
			out = append(out, p.ws)
		}
	}
	return out
}

func (b *bench) makeChain(ctx context.Context) (err error) {
	if b.holders, err = b.newHolders(ctx); err != nil {
		return err
	}
	b.payments = newPayments(b.report.Accounts, b.Seed)
	b.treasurer = newTreasurer(b.Seed)
	b.funded, err = fundedFolder(b.settings, b.report.Accounts)
	if err != nil {
		return err
	}
	for i := range b.Nodes {
		if err := os.Remove(b.log(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if b.Reuse {
		if b.report.FundedReused, err = b.funded.restore(b.dir); err != nil {
			return err
		}
	}
	if !b.report.FundedReused {
		if err := initChain(ctx, b.settings, b.dir, b.treasurer.address); err != nil {
			return err
		}
	}
	if b.dirs, err = nodeFolders(b.dir); err != nil {
		return err
	}
	if len(b.dirs) != b.Nodes {
		return fmt.Errorf("%s holds the folders of %d nodes, %d are due", b.dir, len(b.dirs), b.Nodes)
	}
	if b.report.FundedReused {
		return nil
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
	if b.weighed, err = weighFolders(ctx, b.Binary, b.dirs); err != nil {
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
	return b.signOther(ctx)
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
	if err != nil {
		return err
	}
	b.report.YardstickBeforeMicros = us
	return b.measureOther()
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
	sent, err := b.traffic(ctx)
	if err != nil {
		return err
	}
	before, err := b.nodes.usage()
	if err != nil {
		return err
	}
	var o *outcome
	var after usage
	profiles := make([]*profile.Profile, len(b.nodes))
	g, gctx := errgroup.WithContext(ctx)
	beside, cancel := context.WithCancel(gctx)
	defer cancel()
	g.Go(func() (err error) {
		defer cancel()
		if o, err = drive(gctx, b.urls(), b.full(b.saturated)); err != nil {
			return err
		}
		after, err = b.nodes.usage()
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
	b.report.Cores = after.since(before)
	if err := b.takeDown(ctx, o, after.nodes-before.nodes, sent); err != nil {
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
func (b *bench) takeDown(ctx context.Context, o *outcome, cpu time.Duration, before traffic) error {
	r, n := b.report, float64(len(b.saturated))
	after, err := b.traffic(ctx)
	if err != nil {
		return err
	}
	stagesBefore := stageSeconds(before.metrics)
	for stage, after := range stageSeconds(after.metrics) {
		r.StageWallMicros[stage] = (after - stagesBefore[stage]) * 1e6 / n
	}
	if b.Nodes > 1 {
		if err := b.weighTraffic(before, after); err != nil {
			return err
		}
	}
	r.TxsPerSecond = n / o.seconds()
	r.MillionGasPerSecond = float64(o.gas) / 1e6 / o.seconds()
	r.CPUMicrosPerTx = float64(cpu.Microseconds()) / n
	r.Blocks = int(o.to - o.from)
	slices.Sort(o.latencies)
	r.SaturatedP50Millis, r.SaturatedP99Millis = percentile(o.latencies, 50), percentile(o.latencies, 99)
	if r.PeakRSSBytes, err = b.nodes.peakRSS(); err != nil {
		return err
	}
	if r.YardstickAfterMicros, err = b.yardstick.measure(yardstickRuns); err != nil {
		return err
	}
	if err := b.measureOther(); err != nil {
		return err
	}
	byNode := r.CPUMicrosPerTx / float64(b.Nodes)
	r.Yardsticks = byNode / ((r.YardstickBeforeMicros + r.YardstickAfterMicros) / 2)
	r.YardsticksLoaded = byNode / r.YardstickDuringMicros
	return nil
}

// halfLoadBatch is small, so that a batch is not waited for. Where the batches of the full load are smaller, so are these: half of a load that was sent
// in batches of 100 is more than half of what the same machine takes one by one.
const halfLoadBatch = 10

func (b *bench) halfLoad(ctx context.Context) error {
	rate := b.report.TxsPerSecond / 2
	batch := min(halfLoadBatch, b.Batch)
	txs, err := b.token.signTransfers(ctx, b.holders, b.payments, max(batch, int(rate*b.Latency.Seconds())))
	if err != nil {
		return err
	}
	l := b.full(txs)
	l.batch, l.rate, l.final = batch, rate, b.Nodes > 1
	before, err := b.nodes.usage()
	if err != nil {
		return err
	}
	o, err := drive(ctx, b.urls(), l)
	if err != nil {
		return err
	}
	after, err := b.nodes.usage()
	if err != nil {
		return err
	}
	b.committed += len(txs)
	b.report.HalfLoadCores, b.report.HalfLoadTxsPerBlock = after.since(before), float64(len(txs))/float64(o.to-o.from)
	slices.Sort(o.latencies)
	b.report.HalfLoadTxsPerSecond = float64(len(txs)) / o.seconds()
	b.report.P50Millis, b.report.P99Millis = percentile(o.latencies, 50), percentile(o.latencies, 99)
	slices.Sort(o.finals)
	b.report.FinalP50Millis, b.report.FinalP99Millis = percentile(o.finals, 50), percentile(o.finals, 99)
	return verifyReceipts(ctx, b.urls()[0], o, len(txs))
}

func (b *bench) check(ctx context.Context) error {
	for _, url := range b.urls() {
		if err := b.token.verifyBalances(ctx, url, b.holders, balanceSample); err != nil {
			return err
		}
	}
	return nil
}

// weigh stops the nodes, so that everything is in files.
func (b *bench) weigh(ctx context.Context) error {
	if err := b.stop(); err != nil {
		return err
	}
	last, err := weighFolders(ctx, b.Binary, b.dirs)
	if err != nil {
		return err
	}
	n := float64(b.committed * b.Nodes) // the report is per node
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
