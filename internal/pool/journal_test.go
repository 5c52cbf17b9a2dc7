package pool

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func journaled(dir string) func(*Config) {
	return func(c *Config) { c.Journal, c.JournalBytes = dir, minJournalBytes }
}

func (f *fixture) local(s spec) common.Hash {
	f.Helper()
	tx, err := f.Add(context.Background(), s.raw(f), true)
	require.NoError(f, err)
	return tx.Hash()
}

func newestJournal(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, journalPattern))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names[len(names)-1]
}

func TestRestartKeepsLocals(t *testing.T) {
	for _, sync := range []bool{false, true} {
		dir := t.TempDir()
		l := newLedger()
		cfg := func(c *Config) { journaled(dir)(c); c.JournalSync = sync }
		f := start(t, setup{ledger: l, cfg: cfg})
		a, b := person(1), person(2)
		f.rich(a, b)
		a0, a1, a3 := f.local(spec{from: a}), f.local(spec{from: a, nonce: 1}), f.local(spec{from: a, nonce: 3})
		remote := f.must(spec{from: b})
		f.stop()

		l.set(a.addr, 1, 1e18) // a0 was executed meanwhile
		g := start(t, setup{ledger: l, cfg: cfg})
		require.NoError(t, g.wait(context.Background()))
		require.Nil(t, g.Get(a0))
		require.Nil(t, g.Get(remote))
		require.Equal(t, []common.Hash{a1}, g.build())
		require.NotNil(t, g.Get(a3))
		require.True(t, g.accounts[a.addr].local)
		g.consistent()
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Len(t, names, 1, "the old file is gone")
		g.stop()

		h := start(t, setup{ledger: l, cfg: cfg})
		require.NoError(t, h.wait(context.Background()))
		require.NotNil(t, h.Get(a1), "the rewritten file holds what waits")
		require.NotNil(t, h.Get(a3))
	}
}

// A crash may cut the file anywhere: what is whole before the cut comes back, the pool starts, and nothing is made up.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := newLedger()
	f := start(t, setup{ledger: l, cfg: journaled(dir)})
	a := person(1)
	f.rich(a)
	hashes := []common.Hash{f.local(spec{from: a}), f.local(spec{from: a, nonce: 1}), f.local(spec{from: a, nonce: 2})}
	f.stop()
	name := newestJournal(t, dir)
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	ends := []int{len(journalMagic)}
	for _, h := range hashes {
		ends = append(ends, ends[len(ends)-1]+recordHeader+common.AddressLength+len(f.Get(h).Raw()))
	}
	require.Equal(t, len(whole), ends[3])
	for cut := 0; cut <= len(whole); cut++ {
		records := 0
		for records < 3 && ends[records+1] <= cut {
			records++
		}
		n := 0
		at, err := readJournal(bytes.NewReader(whole[:cut]), nil, func(common.Address, []byte) { n++ })
		require.Equal(t, records, n)
		if cut == ends[records] {
			require.NoError(t, err)
			require.EqualValues(t, cut, at)
		} else {
			require.ErrorIs(t, err, errTorn)
		}
	}
	for _, cut := range []int{0, 3, ends[0], ends[1] - 1, ends[2], ends[2] + 5} {
		again := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(again, filepath.Base(name)), whole[:cut], 0o600))
		g := start(t, setup{ledger: l, cfg: journaled(again)})
		require.NoError(t, g.wait(context.Background()))
		want := 0
		for want < 3 && ends[want+1] <= cut {
			want++
		}
		require.Len(t, g.build(), want)
		g.local(spec{from: a, nonce: uint64(want), value: 3})
		g.stop()
	}
}

func TestDamagedJournalIsKept(t *testing.T) {
	dir := t.TempDir()
	l := newLedger()
	f := start(t, setup{ledger: l, cfg: journaled(dir)})
	a := person(1)
	f.rich(a)
	first := f.local(spec{from: a})
	for n := range uint64(4) {
		f.local(spec{from: a, nonce: n + 1, gas: 10_000_000, data: make([]byte, 100_000)})
	}
	f.stop()
	name := newestJournal(t, dir)
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	b[len(journalMagic)+300] ^= 1 // in the second record
	require.NoError(t, os.WriteFile(name, b, 0o600))

	var log bytes.Buffer
	g := start(t, setup{ledger: l, cfg: journaled(dir), log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, g.wait(context.Background()))
	require.Equal(t, []common.Hash{first}, g.build())
	kept, err := os.ReadFile(name + ".damaged")
	require.NoError(t, err)
	require.Equal(t, b, kept)
	require.Contains(t, log.String(), "journal is damaged")
}

func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	f := start(t, setup{cfg: journaled(dir)})
	a, waits := person(1), person(2)
	f.rich(a, waits)
	stays := f.local(spec{from: waits, nonce: 9})
	for n := range uint64(60) { // 6 MB through a journal of 1 MiB
		h := f.local(spec{from: a, nonce: n, gas: 10_000_000, data: make([]byte, 100_000)})
		f.execute(f.decide(h))
	}
	f.gate.Lock()   // until no rotation is between its two halves; the loop below waits for the last one
	f.gate.Unlock() //lint:ignore SA2001 nothing is to be done while it is held
	require.Eventually(t, func() bool {
		total := int64(0)
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				total += info.Size()
			}
		}
		return total < 3*minJournalBytes
	}, waitFor, tick)
	f.stop()
	g := start(t, setup{ledger: f.ledger, cfg: journaled(dir)})
	require.NoError(t, g.wait(context.Background()))
	require.NotNil(t, g.Get(stays))
}

func TestJournalFailureRefuses(t *testing.T) {
	dir := t.TempDir()
	f := start(t, setup{cfg: journaled(dir)})
	a := person(1)
	f.rich(a)
	require.NoError(t, f.wait(context.Background()))
	require.NoError(t, f.journal.f.Close()) // every write fails from here on
	_, err := f.Add(context.Background(), spec{from: a}.raw(t), true)
	require.ErrorIs(t, err, ErrJournal)
	require.Empty(t, f.build(), "what would not survive is not pooled")
	f.must(spec{from: a}) // a peer's transaction needs no journal
}

func TestConcurrentAppends(t *testing.T) {
	dir := t.TempDir()
	f := start(t, setup{cfg: journaled(dir)})
	var wg sync.WaitGroup
	for i := range 8 {
		w := person(i)
		f.rich(w)
		raws := make([][]byte, 25)
		for n := range raws {
			raws[n] = spec{from: w, nonce: uint64(n)}.raw(t)
		}
		wg.Go(func() {
			for _, raw := range raws {
				_, err := f.Add(context.Background(), raw, true)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f.consistent()
	f.stop()
	g := start(t, setup{ledger: f.ledger, cfg: journaled(dir)})
	require.NoError(t, g.wait(context.Background()))
	require.Len(t, g.build(), 200)
}

// xorSealer is a cipher for tests: what it seals has its key in front.
type xorSealer struct{ key byte }

func (s *xorSealer) Seal(dst, plain []byte) ([]byte, error) {
	dst = append(dst, s.key)
	for _, b := range plain {
		dst = append(dst, b^s.key)
	}
	return dst, nil
}

func (s *xorSealer) Open(sealed []byte) ([]byte, error) {
	out := bytes.Clone(sealed[1:])
	for i := range out {
		out[i] ^= sealed[0]
	}
	return out, nil
}

// TestSealedJournal: a journal in plain text becomes a sealed one at the next start, RewriteJournal leaves nothing under an old key, and a node without a key does not start.
func TestSealedJournal(t *testing.T) {
	dir := t.TempDir()
	f := start(t, setup{cfg: journaled(dir)})
	a := person(1)
	raw := spec{from: a}.raw(t)
	f.rich(a)
	_, err := f.Add(context.Background(), raw, true)
	require.NoError(t, err)
	require.True(t, bytes.Contains(onlyJournal(t, dir), raw[20:]))
	f.stop()

	sealer := &xorSealer{0x55}
	f = start(t, setup{ledger: f.ledger, cfg: journaled(dir), sealer: sealer})
	require.NoError(t, f.wait(context.Background()))
	second := spec{from: a, nonce: 1}.raw(t)
	_, err = f.Add(context.Background(), second, true)
	require.NoError(t, err)
	content := onlyJournal(t, dir)
	require.True(t, bytes.HasPrefix(content, []byte(sealedMagic)))
	require.False(t, bytes.Contains(content, raw[20:]) || bytes.Contains(content, second[20:]))
	sealer.key = 0x77
	require.NoError(t, f.RewriteJournal(context.Background()))
	require.EqualValues(t, 0x77, onlyJournal(t, dir)[len(sealedMagic)+recordHeader])
	require.Len(t, f.build(), 2)
	f.stop()
	require.ErrorIs(t, f.RewriteJournal(context.Background()), ErrClosed)

	g := start(t, setup{ledger: f.ledger, cfg: journaled(dir), sealer: sealer})
	require.NoError(t, g.wait(context.Background()))
	require.Len(t, g.build(), 2)
	g.stop()
	file, err := os.Open(newestJournal(t, dir))
	require.NoError(t, err)
	defer file.Close()
	_, err = readJournal(file, nil, func(common.Address, []byte) {})
	require.ErrorIs(t, err, errSealed)
}

func onlyJournal(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, journalPattern))
	require.NoError(t, err)
	require.Len(t, names, 1)
	b, err := os.ReadFile(names[0])
	require.NoError(t, err)
	return b
}

func FuzzReadJournal(f *testing.F) {
	tx, err := chain.DecodeTx(spec{from: person(1)}.raw(f))
	require.NoError(f, err)
	good, err := appendRecord([]byte(journalMagic), nil, person(1).addr, tx.Raw())
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0, 0, 0, 30, 1, 2, 3, 4))
	f.Add([]byte(journalMagic + "\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again := []byte(journalMagic)
		whole, err := readJournal(bytes.NewReader(b), nil, func(sender common.Address, raw []byte) {
			var err error
			again, err = appendRecord(again, nil, sender, raw)
			require.NoError(t, err)
		})
		if whole == 0 {
			require.Error(t, err)
			return
		}
		require.Equal(t, b[:whole], again, "what is read is what was written")
		require.Equal(t, err == nil, int(whole) == len(b))
	})
}
