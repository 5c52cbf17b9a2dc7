package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// faultConfig makes memtables so small that a few blocks flush and compact.
func faultConfig(fs vfs.FS) Config {
	c := smallConfig(fs)
	c.MemTableBytes = 256 << 10
	return c
}

// faultWork draws blocks that are large enough to be flushed and compacted within a test.
func (l *ledger) faultWork(n int) []*work {
	out := make([]*work, n)
	l.dataSize = 3000
	for i := range out {
		out[i] = l.randomWork(25)
	}
	return out
}

// resume brings a reopened store to the ledger's end: what is decided is executed again, what is not is decided first.
func (l *ledger) resume(s *Store, works []*work) error {
	ctx := context.Background()
	last, err := s.LastDecision()
	if err != nil {
		return err
	}
	decided := uint64(0)
	if last != nil {
		decided = last.Height
	}
	for _, w := range works {
		h := w.decision.Height
		if h <= s.Head().Number.Uint64() {
			continue
		}
		if h > decided {
			if err := s.AppendDecision(ctx, w.decision, w.txs); err != nil {
				return err
			}
		}
		root, err := s.Stage(ctx, h, w.executed.Writes)
		if err != nil {
			return err
		}
		if w.executed.Block.Header == nil {
			l.seal(w.executed, root)
		} else if root != w.executed.Block.Header.Root {
			return fmt.Errorf("block %d has state root %s, had %s before", h, root, w.executed.Block.Header.Root)
		}
		if err := s.Commit(ctx, w.executed, &chain.Attestation{Validator: 1, Signature: []byte{1}}); err != nil {
			return err
		}
		if err := s.PutCertificate(&chain.Certificate{Height: h, Block: w.executed.Block.Hash}); err != nil {
			return err
		}
	}
	return nil
}

// sameState compares a store's head with the model without ending the test.
func (l *ledger) sameState(s *Store) error {
	height := s.Head().Number.Uint64()
	st, err := s.State(height)
	if err != nil {
		return err
	}
	want := l.states[height]
	for _, addr := range l.addresses {
		a, err := st.Account(addr)
		if err != nil {
			return err
		}
		if w, ok := want.accounts[addr]; ok != (a != nil) || (ok && w != *a) {
			return fmt.Errorf("height %d: account %s is %v, want %v", height, addr, a, w)
		}
		for _, key := range l.keys {
			v, err := st.Slot(addr, key)
			if err != nil {
				return err
			}
			if v != want.slots[slotID{addr, key}] {
				return fmt.Errorf("height %d: slot %s of %s is %s", height, key, addr, v)
			}
		}
	}
	return nil
}

// sealAll runs the ledger's blocks through a store without faults, so that every root is known.
func (l *ledger) sealAll(works []*work) {
	s := l.open(smallConfig(vfs.NewMem()))
	require.NoError(l.tb, l.resume(s, works))
	require.NoError(l.tb, s.Close())
}

// recovered opens what a crash or a full disk has left and brings it to the end.
func (l *ledger) recovered(fs vfs.FS, works []*work, acknowledged, finalized uint64) error {
	s, err := Open(faultConfig(fs), l.suite)
	if err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	defer s.Close()
	if _, err := s.Init(l.genesis); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if got := s.Head().Number.Uint64(); got < acknowledged {
		return fmt.Errorf("block %d was acknowledged, the head is %d", acknowledged, got)
	}
	if got := s.Finalized(); got < finalized || got > s.Head().Number.Uint64() {
		return fmt.Errorf("certificate %d was followed by a synced block, finalized is %d, the head is %d", finalized, got, s.Head().Number.Uint64())
	}
	if got := s.Finalized(); got > 0 {
		if c, err := s.Certificate(got); err != nil || c == nil || c.Block != l.headers[got].Hash() {
			return fmt.Errorf("finalized is %d, its certificate is %v (%v)", got, c, err)
		}
	}
	if got := s.Head().Number.Uint64(); got > 0 {
		if a, err := s.Attestation(got); err != nil || a == nil {
			return fmt.Errorf("block %d is there without our attestation (%v)", got, err)
		}
	}
	if h := s.Head(); h.Number.Uint64() > 0 && h.Hash() != l.headers[h.Number.Uint64()].Hash() {
		return fmt.Errorf("head %d differs", h.Number)
	}
	if err := l.sameState(s); err != nil {
		return err
	}
	if err := s.Check(context.Background(), nil); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if err := l.resume(s, works); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return l.sameState(s)
}

// TestFullDiskAtEveryWrite lets the n-th write operation fail, for every n, once for all later ones too (a full disk) and once alone (a device error).
func TestFullDiskAtEveryWrite(t *testing.T) {
	for _, mode := range []string{"full", "once"} {
		t.Run(mode, func(t *testing.T) {
			l := newLedger(t, 5)
			works := l.faultWork(12)
			l.sealAll(works)
			step := int64(1)
			if mode == "once" {
				step = 3
			}
			if testing.Short() {
				step = 17
			}
			for n := int64(0); ; n += step {
				if !l.fullDiskAt(n, mode == "full", works) {
					require.Greater(t, n, int64(100), "the run has too few writes to mean anything")
					return
				}
			}
		})
	}
}

// fullDiskAt reports whether the fault was reached.
func (l *ledger) fullDiskAt(n int64, forever bool, works []*work) bool {
	mem := vfs.NewMem()
	var count atomic.Int64
	var hit atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFilePreallocate {
			return nil
		}
		if i := count.Add(1) - 1; i == n || (forever && i > n) {
			if op.Kind == errorfs.OpFileClose && !hit.Load() && !forever {
				count.Add(-1) // closing a file for reading is no write; take the next one
				return nil
			}
			hit.Store(true)
			return syscall.ENOSPC
		}
		return nil
	}))
	var acknowledged, finalized uint64
	s, err := Open(faultConfig(fs), l.suite)
	if err == nil {
		if _, err = s.Init(l.genesis); err == nil {
			err = l.resume(s, works)
			// The last certificate may not have been followed by a sync.
			acknowledged, finalized = s.Head().Number.Uint64(), max(s.Finalized(), 1)-1
			if err != nil {
				require.NoError(l.tb, l.sameState(s), "reads after a failed write, fault at %d", n)
				again := s.AppendDecision(context.Background(), works[0].decision, works[0].txs)
				require.ErrorIs(l.tb, again, ErrStorage, "fault at %d", n)
			}
		}
		_ = s.Close()
	}
	if err != nil {
		require.True(l.tb, hit.Load(), "fault at %d: error without a fault: %v", n, err)
		require.ErrorIs(l.tb, err, syscall.ENOSPC, "fault at %d", n)
		if acknowledged > 0 {
			require.ErrorIs(l.tb, err, ErrStorage, "fault at %d", n)
		}
	}
	require.NoError(l.tb, l.recovered(mem, works, acknowledged, finalized), "fault at %d", n)
	return hit.Load()
}

// TestCrash crashes before every sync and every third other write: what was synced is there, of the rest a random part.
func TestCrash(t *testing.T) {
	l := newLedger(t, 6)
	works := l.faultWork(24)
	l.sealAll(works)
	type crash struct {
		fs                      *vfs.MemFS
		acknowledged, finalized uint64
		at                      string
	}
	mem := vfs.NewCrashableMem()
	crashes := make(chan crash)
	var acknowledged, finalized atomic.Uint64
	var ops atomic.Int64
	step := int64(3) // of the operations that are no sync
	if testing.Short() {
		step = 13
	}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpFilePreallocate {
			return nil
		}
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if n := ops.Add(1); n%step == 0 || (sync && !testing.Short()) {
			c := crash{acknowledged: acknowledged.Load(), finalized: finalized.Load(), at: fmt.Sprintf("operation %d: %d %s", n, op.Kind, op.Path)}
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: int(n * 37 % 101), RNG: rand.New(rand.NewPCG(uint64(n), 3))}
			c.fs = mem.CrashClone(cfg)
			crashes <- c
		}
		return nil
	}))
	done := make(chan error, 1)
	go func() {
		defer close(crashes)
		s, err := Open(faultConfig(fs), l.suite)
		if err == nil {
			_, err = s.Init(l.genesis)
		}
		for i := range works {
			if err == nil {
				err = l.resume(s, works[:i+1])
				acknowledged.Store(s.Head().Number.Uint64())
				finalized.Store(max(s.Finalized(), 1) - 1) // the last one has not been followed by a sync
			}
		}
		done <- errors.Join(err, s.Close())
	}()
	n := 0
	for c := range crashes {
		n++
		if err := l.recovered(c.fs, works, c.acknowledged, c.finalized); err != nil {
			t.Errorf("crash at %s: %v", c.at, err)
		}
	}
	require.NoError(t, <-done)
	if !testing.Short() {
		require.Greater(t, n, 100)
	}
	t.Logf("%d crashes", n)
}

// TestCrashLosesADecisionWithAllThatCameAfter crashes with none of the unsynced data: a decision is there as soon as anything is that was written after it, and
// before that its loss is no damage.
func TestCrashLosesADecisionWithAllThatCameAfter(t *testing.T) {
	l := newLedger(t, 61)
	works := l.faultWork(3)
	l.sealAll(works)
	mem := vfs.NewCrashableMem()
	s := l.open(smallConfig(mem))
	ctx := context.Background()
	crash := func(decided, block uint64) {
		t.Helper()
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, s.Close())
		mem = crashed
		s = l.open(smallConfig(mem))
		require.Equal(t, decided, s.decided.Load().height)
		require.Equal(t, block, s.Head().Number.Uint64())
	}
	decide := func(i int) { require.NoError(t, s.AppendDecision(ctx, works[i].decision, works[i].txs)) }
	commit := func(i int) {
		require.NoError(t, s.Commit(ctx, works[i].executed, &chain.Attestation{Validator: 1, Signature: []byte{1}}))
	}
	stage := func(i int) {
		_, err := s.Stage(ctx, works[i].decision.Height, works[i].executed.Writes)
		require.NoError(t, err)
	}
	crash(0, 0)
	decide(0)
	crash(0, 0)
	decide(0)
	log, err := s.EngineLog()
	require.NoError(t, err)
	require.NoError(t, log.Append([]byte("vote on the next height"), true))
	crash(1, 0)
	stage(0)
	decide(1) // while the block of the first executes
	commit(0)
	decide(2)
	crash(2, 1)
	stage(1)
	commit(1)
	crash(2, 2)
	decide(2)
	require.NoError(t, s.SyncDecisions())
	crash(3, 2)
	require.NoError(t, s.Close())
}

// TestDamageIsNamed flips a byte in, or cuts, each file of a closed folder in turn. Either the store refuses the folder or Check finds the damage or nothing that matters was
// hit; never is anything wrong served, and a refused folder keeps its files.
func TestDamageIsNamed(t *testing.T) {
	l := newLedger(t, 7)
	works := l.faultWork(14)
	mem := vfs.NewMem()
	s := l.open(faultConfig(mem))
	require.NoError(t, l.resume(s, works))
	require.NoError(t, s.Close())
	names, err := mem.List("data")
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, name := range names {
		if name == "LOCK" || strings.HasPrefix(name, "OPTIONS") || strings.HasPrefix(name, "marker") {
			continue
		}
		for _, how := range []string{"flip first", "flip middle", "flip last", "cut", "empty", "remove"} {
			verdict := l.damage(mem, name, how, works)
			kinds[fmt.Sprintf("%s %s: %s", kindOf(name), how, verdict)]++
		}
	}
	for k, n := range kinds {
		t.Logf("%3d × %s", n, k)
		require.False(t, strings.HasSuffix(k, "unnoticed") && !strings.HasPrefix(k, anchorName), k)
	}
}

func kindOf(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i:]
	}
	if i := strings.IndexByte(name, '-'); i >= 0 {
		return name[:i]
	}
	return name
}

// damage copies the folder, damages one file and says what became of it.
func (l *ledger) damage(mem *vfs.MemFS, name, how string, works []*work) string {
	l.tb.Helper()
	fs := vfs.NewMem()
	ok, err := vfs.Clone(mem, fs, "data", "data")
	require.NoError(l.tb, err)
	require.True(l.tb, ok)
	path := fs.PathJoin("data", name)
	data, err := readAll(fs, path)
	require.NoError(l.tb, err)
	if len(data) == 0 && how != "remove" {
		return "empty already"
	}
	switch how {
	case "flip first":
		data[0] ^= 0x40
	case "flip middle":
		data[len(data)/2] ^= 0x40
	case "flip last":
		data[len(data)-1] ^= 0x40
	case "cut":
		data = data[:len(data)*2/3]
	case "empty":
		data = nil
	}
	require.NoError(l.tb, fs.Remove(path))
	if how != "remove" {
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		require.NoError(l.tb, err)
		_, err = f.Write(data)
		require.NoError(l.tb, err)
		require.NoError(l.tb, f.Close())
	}
	before := l.sums(fs)
	s, err := Open(faultConfig(fs), l.suite)
	if err != nil {
		require.True(l.tb, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) || errors.Is(err, ErrKeyFile), "%s, %s: %v", name, how, err)
		for file, sum := range before {
			if isTable(file) || strings.HasSuffix(file, ".log") || file == name {
				require.Equal(l.tb, sum, l.sums(fs)[file], "%s, %s: refused, but %s was changed", name, how, file)
			}
		}
		return "refused: " + firstWords(err.Error(), name)
	}
	defer s.Close()
	if err := s.Check(context.Background(), nil); err != nil {
		require.ErrorIs(l.tb, err, ErrCorrupt, "%s, %s", name, how)
		return "found by check: " + firstWords(err.Error(), name)
	}
	if s.Head().Number.Uint64() == uint64(len(works)) && l.sameState(s) == nil {
		return "harmless"
	}
	return "unnoticed"
}

// firstWords tells whether the error names the file.
func firstWords(text, name string) string {
	if strings.Contains(text, strings.TrimLeft(strings.TrimSuffix(name, ".sst"), "0")) {
		return "names the file"
	}
	return text
}

func (l *ledger) sums(fs vfs.FS) map[string]common.Hash {
	names, err := fs.List("data")
	require.NoError(l.tb, err)
	out := make(map[string]common.Hash)
	h := newHasher()
	for _, n := range names {
		b, err := readAll(fs, fs.PathJoin("data", n))
		require.NoError(l.tb, err)
		out[n] = h.sum(b)
	}
	return out
}
