package pool

import (
	"context"
	"encoding/binary"
	"math/big"
	"math/rand"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	benchAccounts = 1_000_000
	benchTxs      = 60_000
	benchBlock    = 5_000
	// benchBacklog stays in the pool all the time, so that its maps have the size of a busy node's.
	benchBacklog = 30_000
)

// benchRaws signs benchTxs transactions, perAccount of each sender, the senders mixed.
var benchRaws = func() func(b *testing.B, perAccount int, tip func(i int) uint64) [][]byte {
	var mu sync.Mutex
	kept := map[int][][]byte{}
	return func(b *testing.B, perAccount int, tip func(i int) uint64) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if kept[perAccount] == nil {
			senders := benchTxs / perAccount
			raws := make([][]byte, benchTxs)
			var wg sync.WaitGroup
			for part := range runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					for s := part; s < senders; s += runtime.GOMAXPROCS(0) {
						w := person(s)
						for n := range perAccount {
							raws[n*senders+s] = spec{from: w, nonce: uint64(n), feeCap: 1e9, tipCap: tip(n*senders + s)}.raw(b)
						}
					}
				})
			}
			wg.Wait()
			kept[perAccount] = raws
		}
		return kept[perAccount]
	}
}()

func benchTip(i int) uint64 { return uint64(rand.New(rand.NewSource(int64(i))).Intn(1e9)) }

// benchLedger has a million accounts, the senders among them.
func benchLedger(senders []common.Address) *ledger {
	l := newLedger()
	for _, addr := range senders {
		l.set(addr, 0, 1e18)
	}
	var addr common.Address
	for i := len(l.accounts); i < benchAccounts; i++ {
		binary.BigEndian.PutUint64(addr[:], uint64(i)*0x9e3779b97f4a7c15)
		l.accounts[addr] = chain.Account{Balance: *uint256.NewInt(1e18), CodeHash: chain.EmptyCodeHash}
	}
	return l
}

// BenchmarkLifecycle measures what a transaction costs the pool from admission to its block, decoding and recovery apart: nanoseconds of this
// thread's processor time, in all and by step, on a chain of 1M accounts, with a backlog.
func BenchmarkLifecycle(b *testing.B) {
	for _, mode := range []chain.FeeMode{chain.FeesZero, chain.FeesMarket} {
		for _, perAccount := range []int{1, 10} {
			name := string(mode) + "/1-per-account"
			if perAccount == 10 {
				name = string(mode) + "/10-per-account"
			}
			b.Run(name, func(b *testing.B) { lifecycle(b, mode, perAccount) })
		}
	}
}

func lifecycle(b *testing.B, mode chain.FeeMode, perAccount int) {
	raws := benchRaws(b, perAccount, benchTip)
	txs := make(chain.Txs, len(raws))
	verifier := chain.NewVerifier(genesis(mode, 7))
	for i, raw := range raws {
		tx, err := chain.DecodeTx(raw)
		if err == nil {
			err = verifier.Verify(tx)
		}
		if err != nil {
			b.Fatal(err)
		}
		txs[i] = tx
	}
	senders := make([]common.Address, 0, len(txs)/perAccount)
	for _, tx := range txs[:len(txs)/perAccount] {
		senders = append(senders, tx.Sender())
	}
	l := benchLedger(senders)
	l.baseFee = big.NewInt(7)
	runtime.LockOSThread() // threadTime is this thread's
	defer runtime.UnlockOSThread()
	b.ResetTimer()
	var steps benchSteps
	for range b.N {
		b.StopTimer()
		p, err := New(DefaultConfig(), genesis(mode, 7), l, Options{})
		if err != nil {
			b.Fatal(err)
		}
		l.height = 0
		for _, addr := range senders {
			l.set(addr, 0, 1e18)
		}
		runtime.GC()
		b.StartTimer()
		steps.run(b, p, l, txs)
	}
	n := float64(len(txs) * b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(steps.read)/n, "state-read-ns/tx")
	b.ReportMetric(float64(steps.admit)/n, "admit-ns/tx")
	b.ReportMetric(float64(steps.build)/n, "build-ns/tx")
	b.ReportMetric(float64(steps.decided)/n, "decided-ns/tx")
	b.ReportMetric(float64(steps.executed)/n, "executed-ns/tx")
	b.ReportMetric(float64(steps.admit+steps.build+steps.decided+steps.executed)/n, "ns/tx")
}

type benchSteps struct{ read, admit, build, decided, executed time.Duration }

func (s *benchSteps) run(b *testing.B, p *Pool, l *ledger, txs chain.Txs) {
	const batch = 100
	block := func() {
		start := threadTime()
		hashes := p.Build(benchBlock, 1<<30, 1<<50)
		s.build += threadTime() - start
		start = threadTime()
		bodies, missing := p.Bodies(hashes)
		if len(missing) > 0 || len(bodies) == 0 {
			b.Fatalf("%d built, %d missing", len(bodies), len(missing))
		}
		p.Decided(bodies)
		s.decided += threadTime() - start
		writes := make(map[common.Address]chain.AccountChange)
		for _, tx := range bodies {
			writes[tx.Sender()] = l.set(tx.Sender(), tx.Nonce()+1, 1e18)
		}
		var set chain.WriteSet
		for _, w := range writes {
			set = append(set, w)
		}
		slices.SortFunc(set, func(a, b chain.AccountChange) int { return a.Address.Cmp(b.Address) })
		x := l.block(bodies, nil)
		x.Writes = set
		start = threadTime()
		p.Executed(x)
		s.executed += threadTime() - start
	}
	for at := 0; at < len(txs); at += batch {
		start := threadTime()
		w := &work{raws: make([][]byte, batch), local: true, entries: make([]*entry, batch), reads: make([]reading, batch), errs: make([]error, batch)}
		for i := range batch {
			w.entries[i], _ = newEntry(txs[at+i], true, true)
		}
		s.admit += threadTime() - start
		start = threadTime()
		p.prefetch(w.entries, w.reads) // mostly the fake ledger's maps
		s.read += threadTime() - start
		start = threadTime()
		p.admitAll(w)
		s.admit += threadTime() - start
		for _, err := range w.errs {
			if err != nil {
				b.Fatal(err)
			}
		}
		if pending, _ := p.Status(); pending > benchBacklog {
			block()
		}
	}
	for pending, _ := p.Status(); pending > 0; pending, _ = p.Status() {
		block()
	}
}

// BenchmarkAddBatch is the whole admission with real signatures, in batches of 100, against BenchmarkYardstick. The journal's price is the
// difference between its modes.
func BenchmarkAddBatch(b *testing.B) {
	for _, mode := range []string{"no-journal", "journal", "journal-synced"} {
		for _, size := range []int{1, 100} {
			name := mode + "/batch-1"
			if size == 100 {
				name = mode + "/batch-100"
			}
			b.Run(name, func(b *testing.B) { addBatch(b, mode, size) })
		}
	}
}

func addBatch(b *testing.B, mode string, size int) {
	raws := benchRaws(b, 1, benchTip)
	l := newLedger()
	l.rich = true
	cfg := DefaultConfig()
	if mode != "no-journal" {
		cfg.Journal, cfg.JournalSync = b.TempDir(), mode == "journal-synced"
	}
	p, err := New(cfg, genesis(chain.FeesZero, 0), l, Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	callers := 32
	n := min(b.N, len(raws)/size)
	b.ResetTimer()
	cpu := cpuTime()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				_, errs := p.AddBatch(context.Background(), raws[i*size:(i+1)*size], true)
				for _, err := range errs {
					if err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(n*size)/1e3, "cpu-µs/tx")
	b.ReportMetric(float64(b.Elapsed())/float64(n*size)/1e3, "µs/tx")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkYardstick is one decode and one recovery, what no pool can avoid.
func BenchmarkYardstick(b *testing.B) {
	raws := benchRaws(b, 1, benchTip)
	verifier := chain.NewVerifier(genesis(chain.FeesZero, 0))
	b.ResetTimer()
	cpu := cpuTime()
	for i := range b.N {
		tx, err := chain.DecodeTx(raws[i%len(raws)])
		if err == nil {
			err = verifier.Verify(tx)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/1e3, "cpu-µs/tx")
}
