package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"runtime/pprof"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// erc20 makes blocks of token transfers: each writes its sender's account and two slots of one contract, and logs one Transfer.
type erc20 struct {
	l        *ledger
	token    common.Address
	slots    []common.Hash    // key of each holder's balance
	holders  []common.Address // senders, with accounts
	balances []uint64
	nonces   []uint64
	contract chain.Account
}

func newERC20(l *ledger, holders int) *erc20 {
	b := &erc20{l: l, token: common.Address{0xaa}, slots: make([]common.Hash, holders), holders: make([]common.Address, holders),
		balances: make([]uint64, holders), nonces: make([]uint64, holders)}
	for i := range holders {
		var seed [8]byte
		binary.BigEndian.PutUint64(seed[:], uint64(i))
		h := newHasher().sum(seed[:])
		b.holders[i] = common.Address(h[:20])
		b.slots[i] = newHasher().sum(h[:])
	}
	b.contract = chain.Account{Nonce: 1, CodeHash: newHasher().sum([]byte("token code"))}
	return b
}

// fund gives holders [from, to) an account and a balance, in a block without transactions.
func (b *erc20) fund(from, to int) *work {
	var w chain.WriteSet
	token := chain.AccountChange{Address: b.token, Account: &b.contract, Code: []byte("token code")}
	for i := from; i < to; i++ {
		b.balances[i] = 1 << 40
		w = append(w, chain.AccountChange{Address: b.holders[i], Account: &chain.Account{Balance: *uint256.NewInt(1 << 60), CodeHash: chain.EmptyCodeHash}})
		token.Slots = append(token.Slots, chain.SlotChange{Key: b.slots[i], Value: balanceWord(b.balances[i])})
	}
	w = append(w, token)
	return b.finish(w, nil, nil)
}

func balanceWord(v uint64) (h common.Hash) {
	binary.BigEndian.PutUint64(h[24:], v)
	return h
}

var transferTopic = common.HexToHash("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")

func (b *erc20) finish(w chain.WriteSet, txs chain.Txs, receipts types.Receipts) *work {
	slices.SortFunc(w, func(x, y chain.AccountChange) int { return x.Address.Cmp(y.Address) })
	for i := range w {
		slices.SortFunc(w[i].Slots, func(x, y chain.SlotChange) int { return x.Key.Cmp(y.Key) })
	}
	height := uint64(len(b.l.headers))
	d := &chain.Decision{Height: height, Parent: b.l.decision, TimeMillis: b.l.genesis.TimeMillis + height, Proposer: 1, Txs: txs.Hashes()}
	b.l.decision = d.Hash(b.l.suite)
	return &work{decision: d, txs: txs, executed: &chain.Executed{Decision: d, Writes: w, Receipts: receipts, Block: &chain.Block{Txs: txs}}}
}

// block is n transfers between random holders.
func (b *erc20) block(n int) *work {
	rng := b.l.rng
	accounts := map[int]struct{}{}
	before := map[int]uint64{}
	var txs chain.Txs
	var receipts types.Receipts
	for range n {
		from, to := rng.IntN(len(b.holders)), rng.IntN(len(b.holders))
		for _, i := range []int{from, to} {
			if _, ok := before[i]; !ok {
				before[i] = b.balances[i]
			}
		}
		amount := rng.Uint64N(1000) + 1
		b.balances[from] -= amount
		b.balances[to] += amount
		accounts[from] = struct{}{}
		txs = append(txs, b.transfer(from, to, amount))
		b.nonces[from]++
		receipts = append(receipts, &types.Receipt{Status: 1, GasUsed: 34_000 + rng.Uint64N(2000), Logs: []*types.Log{{Address: b.token,
			Topics: []common.Hash{transferTopic, common.BytesToHash(b.holders[from][:]), common.BytesToHash(b.holders[to][:])}, Data: balanceWord(amount).Bytes()}}})
	}
	var w chain.WriteSet
	for i := range accounts {
		w = append(w, chain.AccountChange{Address: b.holders[i],
			Account: &chain.Account{Nonce: b.nonces[i], Balance: *uint256.NewInt(1 << 60), CodeHash: chain.EmptyCodeHash}})
	}
	token := chain.AccountChange{Address: b.token, Account: &b.contract}
	for i, old := range before {
		if b.balances[i] != old {
			token.Slots = append(token.Slots, chain.SlotChange{Key: b.slots[i], Value: balanceWord(b.balances[i]), Prev: balanceWord(old)})
		}
	}
	return b.finish(append(w, token), txs, receipts)
}

// transfer has a random signature: nobody here recovers it, and it must not compress.
func (b *erc20) transfer(from, to int, amount uint64) *chain.Tx {
	data := append(common.FromHex("a9059cbb"), common.LeftPadBytes(b.holders[to][:], 32)...)
	data = append(data, balanceWord(amount).Bytes()...)
	sig := func() *big.Int {
		var w [32]byte
		for i := range 4 {
			binary.BigEndian.PutUint64(w[8*i:], b.l.rng.Uint64()>>1|1<<55)
		}
		return new(big.Int).SetBytes(w[:])
	}
	inner := types.NewTx(&types.DynamicFeeTx{ChainID: big.NewInt(1337), Nonce: b.nonces[from], Gas: 60_000, To: &b.token, Data: data,
		GasFeeCap: new(big.Int), GasTipCap: new(big.Int), V: big.NewInt(1), R: sig(), S: sig()})
	raw, err := inner.MarshalBinary()
	require.NoError(b.l.tb, err)
	tx, err := chain.RestoreTx(raw, b.holders[from])
	require.NoError(b.l.tb, err)
	return tx
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkERC20 stores blocks of 5,000 token transfers among a million holders: CPU of the whole process (compaction, garbage collection and kernel
// included) and disk bytes for each transfer. JIALING_HOLDERS and JIALING_BLOCKS alter the size, JIALING_PROFILE writes a CPU profile of the measured part.
func BenchmarkERC20(b *testing.B) {
	holders, blocks := envInt("JIALING_HOLDERS", 1_000_000), envInt("JIALING_BLOCKS", 40)
	const txs = 5000
	for b.Loop() {
		l := newLedger(b, 1)
		l.epochEntries = epochEntries
		cfg := DefaultConfig()
		cfg.Encryption = fixtureEncryption
		cfg.Dir = b.TempDir()
		s := l.open(cfg)
		e := newERC20(l, holders)
		for from := 0; from < holders; from += 50_000 {
			l.put(s, e.fund(from, min(from+50_000, holders)))
		}
		// Funding has left a debt of compaction that is not the transfers'.
		require.NoError(b, s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true))
		funded, before := usageMap(b, s), s.Metrics()
		profileTo(b, os.Getenv("JIALING_PROFILE"), func() { e.measure(b, s, blocks, txs) })
		report(b, s, funded, before, float64(blocks*txs))
		l.put(s, e.block(txs)) // something for the log
		require.NoError(b, s.Close())
		start := time.Now()
		s = l.open(cfg)
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "reopen-ms")
		require.NoError(b, s.Close())
	}
}

// measure stores the blocks and reports their CPU time. What is left to flush at the end counts, what is left to compact does not.
func (b *erc20) measure(tb *testing.B, s *Store, blocks, txs int) {
	var cpu [3]time.Duration
	for range blocks {
		for i, d := range b.l.timedPut(tb, s, b.block(txs)) {
			cpu[i] += d
		}
	}
	start := cpuTime()
	require.NoError(tb, s.db.Flush())
	cpu[2] += cpuTime() - start
	n := float64(blocks * txs)
	for i, name := range []string{"decide-µs/tx", "stage-µs/tx", "commit-µs/tx"} {
		tb.ReportMetric(cpu[i].Seconds()*1e6/n, name)
	}
	tb.ReportMetric((cpu[0]+cpu[1]+cpu[2]).Seconds()*1e6/n, "cpu-µs/tx")
}

func profileTo(b *testing.B, name string, run func()) {
	if name != "" {
		f, err := os.Create(name)
		require.NoError(b, err)
		defer f.Close()
		require.NoError(b, pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	run()
}

// report gives the bytes that n transactions have cost: written, on disk now, and in each table once all is compacted.
func report(b *testing.B, s *Store, funded map[string]int64, before *pebble.Metrics, n float64) {
	after := s.Metrics()
	var flushed, compacted uint64
	for i := range after.Levels {
		flushed += after.Levels[i].TableBytesFlushed - before.Levels[i].TableBytesFlushed
		compacted += after.Levels[i].TableBytesCompacted - before.Levels[i].TableBytesCompacted
	}
	b.ReportMetric(float64(after.WAL.BytesWritten-before.WAL.BytesWritten)/n, "wal-B/tx")
	b.ReportMetric(float64(flushed)/n, "flush-B/tx")
	b.ReportMetric(float64(compacted)/n, "compact-B/tx")
	require.NoError(b, s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true))
	total := 0.0
	settled := usageMap(b, s)
	for _, t := range tables {
		d := float64(settled[t.name]-funded[t.name]) / n
		if total += d; d > 1 {
			b.Logf("%-20s %8.1f B/tx", t.name, d)
		}
	}
	b.ReportMetric(total, "settled-B/tx")
}

func usageMap(b *testing.B, s *Store) map[string]int64 {
	u, err := s.Usage()
	require.NoError(b, err)
	out := map[string]int64{}
	for _, t := range u.Tables {
		out[t.Name] = int64(t.Bytes)
	}
	return out
}

// timedPut is put with the CPU time of its three steps; background work counts where it happens.
func (l *ledger) timedPut(b *testing.B, s *Store, w *work) (decideStageCommit [3]time.Duration) {
	ctx := context.Background()
	tip := s.Tip()
	for i := range w.executed.Writes { // the executor has read these
		_, err := tip.Account(w.executed.Writes[i].Address)
		require.NoError(b, err)
	}
	t0 := cpuTime()
	require.NoError(b, s.AppendDecision(ctx, w.decision, w.txs))
	t1 := cpuTime()
	root, err := s.Stage(ctx, w.decision.Height, w.executed.Writes)
	require.NoError(b, err)
	t2 := cpuTime()
	l.seal(w.executed, root)
	t3 := cpuTime()
	require.NoError(b, s.Commit(ctx, w.executed, &chain.Attestation{Validator: 1, Signature: make([]byte, 64)}))
	return [3]time.Duration{t1 - t0, t2 - t1, cpuTime() - t3}
}

func envInt(name string, def int) int {
	var n int
	if _, err := fmt.Sscan(os.Getenv(name), &n); err != nil {
		return def
	}
	return n
}

// BenchmarkSlotRead reads random balances: from the state cache, from the flat state (with Pebble's cache warm), and at a height 20 blocks back.
func BenchmarkSlotRead(b *testing.B) {
	l := newLedger(b, 1)
	l.epochEntries = epochEntries
	cfg := DefaultConfig()
	cfg.Encryption = fixtureEncryption
	cfg.Dir = b.TempDir()
	s := l.open(cfg)
	defer s.Close()
	e := newERC20(l, 200_000)
	for from := 0; from < 200_000; from += 50_000 {
		l.put(s, e.fund(from, from+50_000))
	}
	for range 20 {
		l.put(s, e.block(5000))
	}
	head, tip := s.Head().Number.Uint64(), s.Tip()
	read := func(st chain.State, i int) {
		v, err := st.Slot(e.token, e.slots[i])
		if err != nil || v == (common.Hash{}) {
			b.Fatalf("slot %d: %v %v", i, v, err)
		}
	}
	for name, run := range map[string]func(){
		"cached": func() { read(tip, l.rng.IntN(100)) },
		"flat": func() {
			i := l.rng.IntN(len(e.slots))
			s.slots.put(slotID{e.token, e.slots[i]}, common.Hash{}, 1<<60, nil) // no height may use it
			read(s.Tip(), i)
		},
		"history": func() {
			st, err := s.State(head - 20)
			require.NoError(b, err)
			i := l.rng.IntN(len(e.slots))
			s.slots.put(slotID{e.token, e.slots[i]}, common.Hash{}, 1<<60, nil)
			read(st, i)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkSmallBlock stores blocks of one transfer: what a block costs by itself.
func BenchmarkSmallBlock(b *testing.B) {
	l := newLedger(b, 1)
	l.epochEntries = epochEntries
	cfg := DefaultConfig()
	cfg.Encryption = fixtureEncryption
	cfg.Dir = b.TempDir()
	s := l.open(cfg)
	defer s.Close()
	e := newERC20(l, 50_000)
	l.put(s, e.fund(0, 50_000))
	var cpu time.Duration
	for b.Loop() {
		w := e.block(1)
		for _, d := range l.timedPut(b, s, w) {
			cpu += d
		}
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-µs/block")
}
