package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestConfigNamesTheField(t *testing.T) {
	for name, alter := range map[string]func(*Config){
		"Dir":             func(c *Config) { c.Dir = "" },
		"BlockCacheBytes": func(c *Config) { c.BlockCacheBytes = 1 },
		"StateCacheBytes": func(c *Config) { c.StateCacheBytes = 0 },
		"CommitmentBytes": func(c *Config) { c.CommitmentBytes = -1 },
		"MemTableBytes":   func(c *Config) { c.MemTableBytes = 2 << 30 },
	} {
		c := DefaultConfig()
		c.Dir = "x"
		require.NoError(t, c.Validate())
		alter(&c)
		require.ErrorContains(t, c.Validate(), name)
	}
}

func TestTwoOpensOfOneFolder(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"disk": vfs.Default, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, 1)
			cfg := smallConfig(fs)
			cfg.Dir = t.TempDir()
			s := l.open(cfg)
			_, err := Open(cfg, l.suite)
			require.ErrorIs(t, err, ErrLocked)
			require.ErrorContains(t, err, cfg.Dir)
			l.put(s, l.randomWork(1))
			require.NoError(t, s.Close())
			s, err = Open(cfg, l.suite)
			require.NoError(t, err)
			require.EqualValues(t, 1, s.Head().Number.Uint64())
			require.NoError(t, s.Close())
		})
	}
}

func TestOtherGenesisIsRefused(t *testing.T) {
	l := newLedger(t, 1)
	fs := vfs.NewMem()
	s := l.open(smallConfig(fs))
	h, err := s.Init(l.genesis)
	require.NoError(t, err, "Init again changes nothing")
	require.Equal(t, l.header.Hash(), h.Hash())
	other := testGenesis(t)
	other.Name, other.ChainID = "other", 7
	_, err = s.Init(other)
	require.ErrorIs(t, err, ErrOtherGenesis)
	for _, word := range []string{`"test"`, `"other"`, "1337", "7", "data"} {
		require.ErrorContains(t, err, word)
	}
	g, err := s.Genesis()
	require.NoError(t, err)
	require.Equal(t, l.genesis.Encode(), g.Encode())
	require.NoError(t, s.Close())
}

func TestEmptyFolder(t *testing.T) {
	l := newLedger(t, 1)
	s, err := Open(smallConfig(vfs.NewMem()), l.suite)
	require.NoError(t, err)
	require.Nil(t, s.Head())
	_, err = s.Genesis()
	require.ErrorIs(t, err, ErrEmpty)
	require.ErrorIs(t, s.AppendDecision(context.Background(), &chain.Decision{Height: 1}, nil), ErrEmpty)
	require.ErrorIs(t, s.Check(context.Background(), nil), ErrEmpty)
	_, err = s.State(0)
	require.ErrorIs(t, err, ErrUnknownBlock)
	require.NoError(t, s.Close())
}

func TestFormatIsChecked(t *testing.T) {
	l := newLedger(t, 1)
	for text, want := range map[string]string{
		"jialing store 2 ready\n": "older", "jialing store 4 ready\n": "newer", "jialing store 3 odd\n": "reads", "": "reads", "nonsense": "reads",
	} {
		fs := vfs.NewMem()
		require.NoError(t, l.open(smallConfig(fs)).Close())
		f, err := fs.Create("data/"+stampName, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		before := l.sums(fs)
		_, err = Open(smallConfig(fs), l.suite)
		require.ErrorContains(t, err, want, "%q", text)
		require.Equal(t, before, l.sums(fs), "a refused folder is not touched")
	}
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("data", 0o755))
	f, err := fs.Create("data/letter.txt", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = Open(smallConfig(fs), l.suite)
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "letter.txt")
}

func TestOpenIsFast(t *testing.T) {
	l := newLedger(t, 1)
	fs := vfs.NewMem()
	cfg := smallConfig(fs)
	s := l.open(cfg)
	for range 1000 {
		l.put(s, l.randomWork(1))
	}
	require.NoError(t, s.Close())
	start := time.Now()
	s, err := Open(cfg, l.suite)
	require.NoError(t, err)
	took := time.Since(start)
	require.EqualValues(t, 1000, s.Head().Number.Uint64())
	require.NoError(t, s.Close())
	t.Logf("opened 1,000 blocks in %v", took)
	require.Less(t, took, 2*time.Second)
}

func TestDecisionsMustFollow(t *testing.T) {
	l := newLedger(t, 1)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	ctx := context.Background()
	d, err := s.LastDecision()
	require.NoError(t, err)
	require.Nil(t, d)
	w := l.randomWork(3)
	for name, alter := range map[string]func(*chain.Decision, *chain.Txs){
		"height":       func(d *chain.Decision, _ *chain.Txs) { d.Height = 2 },
		"parent":       func(d *chain.Decision, _ *chain.Txs) { d.Parent[0] ^= 1 },
		"transactions": func(_ *chain.Decision, txs *chain.Txs) { *txs = (*txs)[1:] },
		"order":        func(_ *chain.Decision, txs *chain.Txs) { *txs = chain.Txs{(*txs)[1], (*txs)[0], (*txs)[2]} },
	} {
		d, txs := *w.decision, w.txs
		alter(&d, &txs)
		require.Error(t, s.AppendDecision(ctx, &d, txs), name)
	}
	require.NoError(t, s.AppendDecision(ctx, w.decision, w.txs))
	require.Error(t, s.AppendDecision(ctx, w.decision, w.txs), "twice")
	d, err = s.LastDecision()
	require.NoError(t, err)
	require.Equal(t, w.decision.Hash(l.suite), d.Hash(l.suite))
	_, _, err = s.Decision(2)
	require.ErrorIs(t, err, ErrUnknownBlock)
	_, err = s.Block(1)
	require.ErrorIs(t, err, ErrUnknownBlock, "decided, but not executed")
}

func TestCommitChecksItsBlock(t *testing.T) {
	l := newLedger(t, 1)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	ctx := context.Background()
	w := l.randomWork(3)
	require.NoError(t, s.AppendDecision(ctx, w.decision, w.txs))
	l.seal(w.executed, common.Hash{1})
	require.ErrorContains(t, s.Commit(ctx, w.executed, nil), "no block is staged")
	_, err := s.Stage(ctx, 2, nil)
	require.Error(t, err)
	root, err := s.Stage(ctx, 1, w.executed.Writes)
	require.NoError(t, err)
	require.ErrorContains(t, s.Commit(ctx, w.executed, nil), "state root")
	l.headers = l.headers[:1]
	l.seal(w.executed, root)
	bad := *w.executed
	bad.Receipts = bad.Receipts[:len(bad.Receipts)-1]
	require.ErrorContains(t, s.Commit(ctx, &bad, nil), "receipts")
	require.NoError(t, s.Commit(ctx, w.executed, nil), "the mistakes left no trace")
	require.Error(t, s.Commit(ctx, w.executed, nil), "twice")
	require.Error(t, s.PutCertificate(&chain.Certificate{Height: 1, Block: common.Hash{5}}))
	require.Error(t, s.PutCertificate(&chain.Certificate{Height: 2, Block: common.Hash{5}}))
	require.Zero(t, s.Finalized())
	require.NoError(t, s.PutCertificate(&chain.Certificate{Height: 1, Block: w.executed.Block.Hash}))
	require.EqualValues(t, 1, s.Finalized())
	c, err := s.Certificate(1)
	require.NoError(t, err)
	require.Equal(t, w.executed.Block.Hash, c.Block)
	c, err = s.Certificate(2)
	require.NoError(t, err)
	require.Nil(t, c)
}

func TestProofTooOld(t *testing.T) {
	l := newLedger(t, 4)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	for range 20 {
		l.put(s, l.randomWork(0))
	}
	_, err := s.prove(context.Background(), 0, l.addresses[1], l.keys, 10)
	require.ErrorIs(t, err, ErrProofTooOld)
	_, err = s.prove(context.Background(), 20, l.addresses[1], l.keys, 10)
	require.NoError(t, err)
}

func TestUnknownThings(t *testing.T) {
	l := newLedger(t, 4)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	l.put(s, l.randomWork(2))
	unknown := common.Hash{0xee}
	tx, err := s.Tx(unknown)
	require.NoError(t, err)
	require.Nil(t, tx)
	r, err := s.Receipt(unknown)
	require.NoError(t, err)
	require.Nil(t, r)
	h, err := s.HeaderByHash(unknown)
	require.NoError(t, err)
	require.Nil(t, h)
	x, _, err := s.Excluded(unknown)
	require.NoError(t, err)
	require.Nil(t, x)
	for _, height := range []uint64{2, 1 << 50, 1<<64 - 1} {
		_, err = s.Header(height)
		require.ErrorIs(t, err, ErrUnknownBlock)
		_, err = s.Receipts(height)
		require.ErrorIs(t, err, ErrUnknownBlock)
		_, err = s.State(height)
		require.ErrorIs(t, err, ErrUnknownBlock)
	}
	_, err = s.Tip().Code(unknown)
	require.ErrorIs(t, err, ErrCorrupt)
}

// TestCheckFindsEveryAlteration alters each record of a closed store, one at a time: its value, or its being there. Check finds every one but those that say nothing
// about the chain.
func TestCheckFindsEveryAlteration(t *testing.T) {
	l := newLedger(t, 35)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	for range 6 {
		w := l.randomWork(3)
		l.put(s, w)
		require.NoError(t, s.PutCertificate(&chain.Certificate{Height: w.decision.Height, Block: w.executed.Block.Hash}))
	}
	ctx := context.Background()
	require.NoError(t, s.Check(ctx, nil))
	type record struct{ key, value []byte }
	var records []record
	require.NoError(t, s.scan(s.db, []byte{0}, []byte{0xff}, func(k, v []byte) error {
		records = append(records, record{bytes.Clone(k), bytes.Clone(v)})
		return nil
	}))
	free := func(r record) bool { // an attestation is this node's word, and its absence or a certificate's is no damage; code may be unused
		if r.key[0] == tableSets && decodeHeight(r.key[1:]) > s.Head().Number.Uint64()+1 {
			return true // no header names this validator set yet
		}
		return r.key[0] == tableAttestations || r.key[0] == tableCertificates || bytes.Equal(r.key, metaFinalized)
	}
	found := map[byte]int{}
	for _, r := range records {
		if free(r) {
			continue
		}
		require.NoError(t, s.db.Delete(r.key, pebble.NoSync))
		err := s.Check(ctx, nil)
		if err == nil && (r.key[0] == tableCode || isRootRecord(r.key)) {
			err = ErrCorrupt // code that no account has now; a root's record is rebuilt from the leaves
		}
		if bytes.Equal(r.key, metaGenesis) && errors.Is(err, ErrEmpty) {
			err = ErrCorrupt
		}
		require.ErrorIs(t, err, ErrCorrupt, "without %q %x", r.key[0], r.key[1:])
		if len(r.value) > 0 {
			bad := bytes.Clone(r.value)
			bad[l.rng.IntN(len(bad))] ^= byte(1 + l.rng.IntN(255))
			require.NoError(t, s.db.Set(r.key, bad, pebble.NoSync))
			err = s.Check(ctx, nil)
			if err == nil && bytes.Equal(r.key, metaHead) && bytes.Equal(bad[:8+hashSize], r.value[:8+hashSize]) {
				err = ErrCorrupt // the count of entries only says when an epoch ends
			}
			if err == nil && (r.key[0] == tableCode || (r.key[0] == tableExclusions && samePositions(t, r.value, bad))) {
				err = ErrCorrupt // unused code; the sentence that gives the reason
			}
			require.ErrorIs(t, err, ErrCorrupt, "altered %q %x: %x for %x", r.key[0], r.key[1:], bad, r.value)
		}
		require.NoError(t, s.db.Set(r.key, r.value, pebble.NoSync))
		found[r.key[0]]++
	}
	require.NoError(t, s.Check(ctx, nil))
	for table, n := range found {
		t.Logf("table %q: %d records", table, n)
	}
}

func isRootRecord(key []byte) bool {
	return (key[0] == tableAccountNodes && len(key) == 2) || (key[0] == tableStorageNodes && len(key) == 2+hashSize && key[1+hashSize] == 0)
}

func samePositions(tb testing.TB, a, b []byte) bool {
	tb.Helper()
	x, err := decodeExclusions(a)
	require.NoError(tb, err)
	y, err := decodeExclusions(b)
	return err == nil && slices.EqualFunc(x, y, func(x, y exclusion) bool { return x.Position == y.Position })
}
