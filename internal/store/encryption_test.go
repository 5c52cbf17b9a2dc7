package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/store/vault"
)

// The fixtures of all tests: plain text on the suite intl, unless -encrypted says otherwise or a test of this file runs them.
var (
	fixtureSuite      crypto.Suite = intl.Suite{}
	fixtureEncryption *Encryption
)

var encryptedFlag = flag.String("encrypted", "", "run all tests on encrypted files, with the suite intl or gm")

func TestMain(m *testing.M) {
	flag.Parse()
	switch *encryptedFlag {
	case "intl":
		fixtureEncryption = testEncryption(fixtureSuite, 1)
	case "gm":
		fixtureSuite = gm.Suite{}
		fixtureEncryption = testEncryption(fixtureSuite, 1)
	}
	os.Exit(m.Run())
}

// testMaster is a master key that is there.
type testMaster struct {
	suite crypto.Suite
	key   byte
}

func testEncryption(s crypto.Suite, key byte) *Encryption {
	return &Encryption{Master: testMaster{s, key}}
}

func (m testMaster) bytes() []byte { return bytes.Repeat([]byte{m.key}, m.suite.KeySize()) }

func (m testMaster) Wrap(key, context []byte) ([]byte, error) {
	return m.suite.Seal(rand.Reader, m.bytes(), key, context)
}

func (m testMaster) Unwrap(wrapped, context []byte) ([]byte, error) {
	key, err := m.suite.Open(m.bytes(), wrapped, context)
	if err != nil {
		return nil, ErrMasterKey
	}
	return key, nil
}

// onEncrypted runs test with the fixtures on encrypted files.
func onEncrypted(t *testing.T, s crypto.Suite, name string, test func(t *testing.T)) {
	oldSuite, oldEncryption := fixtureSuite, fixtureEncryption
	defer func() { fixtureSuite, fixtureEncryption = oldSuite, oldEncryption }()
	fixtureSuite, fixtureEncryption = s, testEncryption(s, 1)
	t.Run(s.Name()+"/"+name, test)
}

// TestOnEncryptedFiles runs the tests that say most about files once more. The two slowest take a suite each; -encrypted runs everything.
func TestOnEncryptedFiles(t *testing.T) {
	if *encryptedFlag != "" {
		t.Skip("all tests run on encrypted files already")
	}
	for _, s := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		onEncrypted(t, s, "reads back", TestChainReadsBack)
		onEncrypted(t, s, "pipeline", TestPipelineRunsAhead)
		onEncrypted(t, s, "journal", TestEngineLogOutlivesCrashes)
		onEncrypted(t, s, "proposals", TestKeptProposalsOutliveACrash)
		onEncrypted(t, s, "certificate", TestLastCertificateMayBeLost)
		onEncrypted(t, s, "two opens", TestTwoOpensOfOneFolder)
		onEncrypted(t, s, "format", TestFormatIsChecked)
		onEncrypted(t, s, "damage", TestDamageIsNamed)
		onEncrypted(t, s, "readers", TestReadersBesideCommitsAndPruning)
	}
	onEncrypted(t, intl.Suite{}, "full disk", TestFullDiskAtEveryWrite)
	onEncrypted(t, gm.Suite{}, "crash", TestCrash)
}

func eachSuite(t *testing.T, test func(t *testing.T)) {
	for _, s := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		onEncrypted(t, s, t.Name(), test)
	}
}

// TestNothingIsReadable looks for what a ledger holds in every file of its folder: accounts, keys of the index, transactions. In plain text it is there.
func TestNothingIsReadable(t *testing.T) {
	search := func(t *testing.T) int {
		l := newLedger(t, 51)
		works := l.faultWork(12)
		mem := vfs.NewMem()
		s := l.open(faultConfig(mem))
		require.NoError(t, l.resume(s, works))
		var words [][]byte
		for _, w := range works {
			words = append(words, w.executed.Block.Hash[:])
			for _, tx := range w.txs {
				sender, hash := tx.Sender(), tx.Hash()
				words = append(words, sender[:], hash[:], tx.Raw()[20:60])
			}
		}
		require.NoError(t, s.scan(s.db, []byte{0}, []byte{0xff}, func(k, v []byte) error {
			if len(k) > 7 {
				words = append(words, bytes.Clone(k))
			}
			if len(v) >= 32 {
				words = append(words, bytes.Clone(v[:32]))
			}
			return nil
		}))
		found := 0
		look := func() {
			names, err := mem.List("data")
			require.NoError(t, err)
			for _, name := range names {
				content, err := readAll(mem, "data/"+name)
				if errors.Is(err, os.ErrNotExist) {
					continue // compacted meanwhile
				}
				require.NoError(t, err)
				for _, w := range words {
					if bytes.Contains(content, w) {
						found++
						if fixtureEncryption != nil {
							t.Errorf("%s holds %x", name, w)
						}
					}
				}
			}
		}
		look()
		require.NoError(t, s.Close())
		look()
		return found
	}
	if fixtureEncryption == nil {
		require.Positive(t, search(t), "what is looked for can be found")
	}
	eachSuite(t, func(t *testing.T) { require.Zero(t, search(t)) })
}

func TestWrongAndMissingKeys(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		l := newLedger(t, 52)
		mem := vfs.NewMem()
		cfg := smallConfig(mem)
		s := l.open(cfg)
		l.put(s, l.randomWork(3))
		require.NoError(t, s.Close())
		before := l.sums(mem)
		refused := func(e *Encryption, want error, word string) {
			t.Helper()
			bad := cfg
			bad.Encryption = e
			_, err := Open(bad, l.suite)
			require.ErrorIs(t, err, want)
			require.ErrorContains(t, err, word)
			require.Equal(t, before, l.sums(mem), "a refused folder is not touched")
		}
		refused(testEncryption(l.suite, 2), ErrMasterKey, "data key 1")
		refused(nil, ErrEncrypted, "vault.json")
		require.NoError(t, mem.Rename("data/vault.json", "vault.json"))
		before = l.sums(mem)
		refused(cfg.Encryption, ErrKeyFile, "restore it from a backup")
		require.NoError(t, mem.Rename("vault.json", "data/vault.json"))
		require.NoError(t, ChangeMaster(cfg, l.suite, testMaster{l.suite, 2}))
		before = l.sums(mem)
		refused(cfg.Encryption, ErrMasterKey, "data key 1")
		cfg.Encryption = testEncryption(l.suite, 2)
		s = l.open(cfg)
		l.checkChain(s)
		require.ErrorIs(t, ChangeMaster(cfg, l.suite, testMaster{l.suite, 3}), ErrLocked)
		require.NoError(t, s.Close())

		plain := smallConfig(vfs.NewMem())
		plain.Encryption = nil
		s = newLedger(t, 52).open(plain)
		require.ErrorIs(t, s.Rekey(t.Context(), RekeyOptions{}), ErrNotEncrypted)
		require.NoError(t, s.Close())
		before, mem = l.sums(plain.FS), plain.FS.(*vfs.MemFS)
		cfg = plain
		refused(testEncryption(l.suite, 1), ErrNotEncrypted, "not encrypted")
	})
}

func released(context.Context) error { return nil }

// TestRekeyUnderLoad re-keys again and again while blocks are committed and read.
func TestRekeyUnderLoad(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		l := newLedger(t, 53)
		works := l.faultWork(60)
		mem := vfs.NewMem()
		cfg := faultConfig(mem)
		s := l.open(cfg)
		done := make(chan struct{})
		var rekeyed int
		var rekeyErr error
		go func() {
			defer close(done)
			for s.Head().Number.Uint64() < 60 && rekeyErr == nil {
				rekeyErr = s.Rekey(context.Background(), RekeyOptions{Release: released})
				rekeyed++
			}
		}()
		require.NoError(t, l.resume(s, works))
		<-done
		require.NoError(t, rekeyErr)
		require.Positive(t, rekeyed)
		require.NoError(t, l.sameState(s))
		status, err := s.Encryption()
		require.NoError(t, err)
		require.Equal(t, []uint32{uint32(1 + rekeyed)}, status.Keys)
		require.False(t, status.Pending() || status.Running)
		require.NoError(t, s.Close())
		s = l.open(cfg)
		require.NoError(t, l.sameState(s))
		require.NoError(t, s.Check(context.Background(), nil))
		require.NoError(t, s.Close())
		t.Logf("re-keyed %d times", rekeyed)
	})
}

// TestConvertUnderLoad seals a ledger in plain text while blocks are committed; it stops halfway once, for the next start to go on.
func TestConvertUnderLoad(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		l := newLedger(t, 54)
		works := l.faultWork(40)
		cfg := faultConfig(vfs.NewMem())
		cfg.Encryption = nil
		s := l.open(cfg)
		require.NoError(t, l.resume(s, works[:15]))
		require.NoError(t, s.Close())
		cfg.Encryption = testEncryption(l.suite, 1)
		cfg.Encryption.Convert = true
		s = l.open(cfg)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.ErrorIs(t, s.Rekey(ctx, RekeyOptions{Release: released}), context.Canceled)
		require.NoError(t, l.resume(s, works[:20]))
		require.NoError(t, s.Close())
		cfg.Encryption.Convert = false
		s = l.open(cfg)
		done := make(chan error)
		go func() { done <- s.Rekey(context.Background(), RekeyOptions{Resume: true, Release: released}) }()
		require.NoError(t, l.resume(s, works))
		require.NoError(t, <-done)
		status, err := s.Encryption()
		require.NoError(t, err)
		require.False(t, status.Pending())
		require.NoError(t, s.Check(context.Background(), nil))
		require.NoError(t, s.Close())
		sealed, err := vault.AnySealed(cfg.FS, "data")
		require.NoError(t, err)
		require.NotEmpty(t, sealed)
		s = l.open(cfg)
		require.NoError(t, l.sameState(s))
		require.NoError(t, s.Close())
	})
}

// TestRekeyCrash crashes a store that is being re-keyed while it commits, before operations of any kind and with part of what was not synced: every acknowledged block is
// there, and the re-keying is brought to its end.
func TestRekeyCrash(t *testing.T) {
	onEncrypted(t, gm.Suite{}, "crash", func(t *testing.T) {
		l := newLedger(t, 55)
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
		step := int64(11)
		if testing.Short() {
			step = 53
		}
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpFilePreallocate {
				return nil
			}
			if n := ops.Add(1); n%step == 0 || op.Kind == errorfs.OpRename {
				c := crash{acknowledged: acknowledged.Load(), finalized: finalized.Load(), at: fmt.Sprintf("operation %d: %d %s", n, op.Kind, op.Path)}
				c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(n * 37 % 101), RNG: mrand.New(mrand.NewPCG(uint64(n), 3))})
				crashes <- c
			}
			return nil
		}))
		done := make(chan error, 1)
		go func() {
			defer close(crashes)
			s, err := Open(faultConfig(fs), l.suite)
			if err != nil {
				done <- err
				return
			}
			_, err = s.Init(l.genesis)
			rekeyed := make(chan error, 1)
			for i := range works {
				if i == 8 {
					go func() { rekeyed <- s.Rekey(context.Background(), RekeyOptions{Release: released}) }()
				}
				if err == nil {
					err = l.resume(s, works[:i+1])
					acknowledged.Store(s.Head().Number.Uint64())
					finalized.Store(max(s.Finalized(), 1) - 1)
				}
			}
			done <- errors.Join(err, <-rekeyed, s.Close())
		}()
		n, pending := 0, 0
		for c := range crashes {
			n++
			s, err := Open(faultConfig(c.fs), l.suite)
			require.NoError(t, err, c.at)
			if status, err := s.Encryption(); err != nil || status.Pending() {
				pending++
			}
			require.NoError(t, s.Rekey(context.Background(), RekeyOptions{Resume: true, Release: released}), c.at)
			status, err := s.Encryption()
			require.NoError(t, err)
			require.False(t, status.Pending(), c.at)
			require.Len(t, status.Keys, 1)
			require.NoError(t, s.Close())
			require.NoError(t, l.recovered(c.fs, works, c.acknowledged, c.finalized), "crash at %s", c.at)
		}
		require.NoError(t, <-done)
		require.Positive(t, pending, "crashes amid a re-keying")
		t.Logf("%d crashes, %d amid a re-keying", n, pending)
	})
}

// TestAlteredTableIsDamage: what a reader meets in an altered table is ErrCorrupt and names the file.
func TestAlteredTableIsDamage(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		l := newLedger(t, 56)
		works := l.faultWork(14)
		mem := vfs.NewMem()
		s := l.open(faultConfig(mem))
		require.NoError(t, l.resume(s, works))
		require.NoError(t, s.Close())
		names, err := mem.List("data")
		require.NoError(t, err)
		found := 0
		for _, name := range names {
			if !strings.HasSuffix(name, ".sst") {
				continue
			}
			verdict := l.damage(mem, name, "flip middle", works)
			require.Contains(t, verdict, "names the file", name)
			found++
		}
		require.Positive(t, found)
	})
}

// TestUnfinishedDatabaseIsMadeAnew: a crash while a database is made may keep the name of a file and lose the file.
func TestUnfinishedDatabaseIsMadeAnew(t *testing.T) {
	eachSuite(t, func(t *testing.T) {
		l := newLedger(t, 57)
		mem := vfs.NewMem()
		require.NoError(t, l.open(smallConfig(mem)).Close())
		names, err := mem.List("data")
		require.NoError(t, err)
		for _, n := range names {
			if strings.HasPrefix(n, "MANIFEST") {
				require.NoError(t, mem.Remove("data/"+n))
			}
		}
		_, err = Open(smallConfig(mem), l.suite)
		require.ErrorIs(t, err, ErrCorrupt, "it was ready")
		f, err := mem.Create("data/"+stampName, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = fmt.Fprintf(f, "%s%d %s\n", stampPrefix, formatVersion, stampCreating)
		require.NoError(t, errors.Join(err, f.Close()))
		s := l.open(smallConfig(mem))
		l.put(s, l.randomWork(2))
		require.NoError(t, s.Close())
		require.NoError(t, l.open(smallConfig(mem)).Close())
	})
}
