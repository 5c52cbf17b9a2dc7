package store

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/chain"
)

func drawHash(t *rapid.T, label string) common.Hash {
	return common.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
}

func TestAccountLeafEqualsGeth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := account{exists: true, root: types.EmptyRootHash}
		a.CodeHash = types.EmptyCodeHash
		a.Nonce = rapid.Uint64().Draw(t, "nonce") >> rapid.IntRange(0, 63).Draw(t, "shift")
		a.Balance.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "balance"))
		if rapid.Bool().Draw(t, "contract") {
			a.root, a.CodeHash = drawHash(t, "root"), drawHash(t, "code")
		}
		want, err := rlp.EncodeToBytes(&types.StateAccount{Nonce: a.Nonce, Balance: &a.Balance, Root: a.root, CodeHash: a.CodeHash[:]})
		require.NoError(t, err)
		require.Equal(t, want, a.appendLeaf(nil))
		back, err := decodeAccount(a.appendRecord(nil))
		require.NoError(t, err)
		require.Equal(t, a, back)
	})
}

func TestSlotRecordEqualsGeth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := common.BytesToHash(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "value"))
		record := appendSlot(nil, &v)
		if v == (common.Hash{}) {
			require.Empty(t, record)
		} else {
			want, err := rlp.EncodeToBytes(bytes.TrimLeft(v[:], "\x00"))
			require.NoError(t, err)
			require.Equal(t, want, record)
		}
		back, err := decodeSlot(record)
		require.NoError(t, err)
		require.Equal(t, v, back)
	})
}

func TestPostingsRoundTrip(t *testing.T) {
	require.Equal(t, []byte{1, 0x86, 0x27}, appendPosting(nil, ascending(0, 5000)), "one run of 5,000")
	rapid.Check(t, func(t *rapid.T) {
		txs := rapid.SliceOfDistinct(rapid.Uint32Range(0, chain.MaxDecisionTxs-1), func(v uint32) uint32 { return v }).Draw(t, "txs")
		if rapid.Bool().Draw(t, "run") {
			txs = append(txs, ascending(100, 40)...)
		}
		slices.Sort(txs)
		txs = slices.Compact(txs)
		back, err := decodePosting(nil, appendPosting(nil, txs))
		require.NoError(t, err)
		require.True(t, slices.Equal(txs, back))
	})
}

func ascending(from, n uint32) (out []uint32) {
	for i := range n {
		out = append(out, from+i)
	}
	return out
}

func TestDiffChunksFindEveryKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := map[string][]byte{}
		owner := drawHash(t, "owner")
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			var key []byte
			h := drawHash(t, "hash")
			if rapid.Bool().Draw(t, "slot") {
				k := slotKey(&owner, &h)
				key = k[:]
			} else {
				k := accountKey(&h)
				key = k[:]
			}
			entries[string(key)] = rapid.SliceOfN(rapid.Byte(), 1, 110).Draw(t, "record")
			if rapid.Bool().Draw(t, "absent") {
				entries[string(key)] = nil
			}
		}
		keys := make([]string, 0, len(entries))
		for k := range entries {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		var chunk, prev []byte
		for _, k := range keys {
			chunk = appendDiffEntry(chunk, prev, []byte(k), entries[k])
			prev = []byte(k)
		}
		for _, k := range keys {
			record, found, err := findInDiffChunk(chunk, []byte(k))
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, entries[k], record)
			other := []byte(k)
			other[len(other)-1] ^= 1
			if _, there := entries[string(other)]; !there {
				_, found, err = findInDiffChunk(chunk, other)
				require.NoError(t, err)
				require.False(t, found)
			}
		}
	})
}

func TestChunksCoverAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 2*chunkBytes), 0, 600).Draw(t, "sizes")
		if rapid.Bool().Draw(t, "small") {
			for i := range sizes {
				sizes[i] %= 100
			}
		}
		next := 0
		splitChunks(len(sizes), func(i int) int { return sizes[i] }, func(from, to int) {
			require.Equal(t, next, from)
			require.Less(t, from, to)
			require.LessOrEqual(t, to-from, chunkTxs)
			total := 0
			for _, s := range sizes[from:to] {
				total += s
			}
			require.True(t, total <= chunkBytes || to-from == 1)
			next = to
		})
		require.Equal(t, len(sizes), next)
	})
}

// TestComparerKeepsPebblesRules checks what Pebble asks of Split: prefixes are ordered as keys are, and cutting is idempotent.
func TestComparerKeepsPebblesRules(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) []byte {
		table := rapid.SampledFrom([]byte{tableChanges, tableTxs, tableLogs, tableHashes, tableSlots, tableMeta, 0}).Draw(t, "table")
		return append([]byte{table}, rapid.SliceOfN(rapid.ByteRange(0, 2), 0, 22).Draw(t, "rest")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		pa, pb := a[:comparer.Split(a)], b[:comparer.Split(b)]
		require.Equal(t, len(pa), comparer.Split(pa))
		require.LessOrEqual(t, bytes.Compare(pa, a), 0)
		if bytes.Compare(a, b) <= 0 {
			require.LessOrEqual(t, bytes.Compare(pa, pb), 0)
		}
		if bytes.Equal(pa, pb) {
			require.Equal(t, comparer.Compare(a, b), comparer.ComparePointSuffixes(a[len(pa):], b[len(pb):]))
		}
	})
}

func TestHeightsKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64Range(0, maxHeight).Draw(t, "a"), rapid.Uint64Range(0, maxHeight).Draw(t, "b")
		ka, kb := appendHeight(nil, a), appendHeight(nil, b)
		require.Len(t, ka, heightSize)
		require.Equal(t, a, decodeHeight(ka))
		require.Equal(t, a < b, bytes.Compare(ka, kb) < 0)
	})
}

func TestEpochs(t *testing.T) {
	e := &epochs{starts: []uint64{0}}
	for height := uint64(1); height <= 100; height++ {
		next, begun := e.grow(height, 10)
		require.Equal(t, e.entries >= 10, begun)
		next.entries += 3
		e = next
	}
	require.Equal(t, 24, e.last())
	for height := uint64(0); height <= 110; height++ {
		i := e.of(height)
		require.LessOrEqual(t, e.starts[i], height)
		if i < e.last() {
			require.Greater(t, e.starts[i+1], height)
		}
	}
}

// TestCacheNeverLies compares the cache with the full history of every key: it may forget, but a value that it gives for a height is the one at that height.
func TestCacheNeverLies(t *testing.T) {
	c := newCache[uint64, uint64](1) // one set a shard
	rng := rand.New(rand.NewPCG(1, 1))
	type change struct{ height, value uint64 }
	history := map[uint64][]change{}
	hits := 0
	for height := uint64(1); height < 4000; height++ {
		for range 4 {
			key := rng.Uint64N(600)
			history[key] = append(history[key], change{height, rng.Uint64()})
			c.put(key, history[key][len(history[key])-1].value, height, nil)
		}
		c.put(rng.Uint64N(600), 7, height, func() bool { return false })
		for range 8 {
			key, at := rng.Uint64N(600), height-min(height, rng.Uint64N(50))
			got, ok := c.get(key, at)
			if !ok {
				continue
			}
			hits++
			var want uint64
			for _, h := range history[key] {
				if h.height <= at {
					want = h.value
				}
			}
			require.Equal(t, want, got)
		}
	}
	require.Greater(t, hits, 100)
	c.clear()
	_, ok := c.get(1, 1<<40)
	require.False(t, ok)
}

func TestCodeCacheIsBounded(t *testing.T) {
	c := newCodeCache(1000)
	for i := range 100 {
		c.put(common.Hash{byte(i)}, make([]byte, 90))
		require.LessOrEqual(t, c.size, int64(1000))
		_, ok := c.get(common.Hash{byte(i)})
		require.True(t, ok)
	}
	c.put(common.Hash{0xff}, make([]byte, 2000))
	_, ok := c.get(common.Hash{0xff})
	require.False(t, ok)
}

func TestCommitsWaitForCompaction(t *testing.T) {
	l := newLedger(t, 1)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	asked := make(chan int)
	depth := func() int { return <-asked }
	done := make(chan error, 1)
	go func() { done <- s.waitBelow(context.Background(), 10, depth) }()
	asked <- 12
	s.events.listener().CompactionEnd(pebble.CompactionInfo{})
	asked <- 11
	s.events.listener().CompactionEnd(pebble.CompactionInfo{})
	asked <- 9
	require.NoError(t, <-done)

	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- s.waitBelow(ctx, 10, depth) }()
	asked <- 12
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.True(t, s.events.flushed.Load(), "the next commit looks again")

	go func() { done <- s.waitBelow(context.Background(), 10, depth) }()
	asked <- 12
	s.fs.note("write", "x", context.DeadlineExceeded)
	require.ErrorIs(t, <-done, ErrStorage)
}

func TestStagingIsBounded(t *testing.T) {
	l := newLedger(t, 1)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	for i := range maxStaged {
		w := l.randomWork(0)
		require.NoError(t, s.AppendDecision(context.Background(), w.decision, nil))
		_, err := s.Stage(context.Background(), uint64(i+1), w.executed.Writes)
		require.NoError(t, err)
	}
	require.Equal(t, maxStaged, s.Staged())
	_, err := s.Stage(context.Background(), maxStaged+1, nil)
	require.ErrorContains(t, err, "wait to be committed")
	require.NoError(t, s.Err(), "asking too early is no damage")
}

func TestBadWriteSets(t *testing.T) {
	for name, w := range map[string]chain.WriteSet{
		"order":       {{Address: common.Address{2}, Account: &chain.Account{}}, {Address: common.Address{1}, Account: &chain.Account{}}},
		"twice":       {{Address: common.Address{2}, Account: &chain.Account{}}, {Address: common.Address{2}, Account: &chain.Account{}}},
		"slots":       {{Address: common.Address{2}, Account: &chain.Account{Balance: *uint256.NewInt(1)}, Slots: []chain.SlotChange{{Key: common.Hash{2}}, {Key: common.Hash{1}}}}},
		"gone, slots": {{Address: common.Address{2}, Slots: []chain.SlotChange{{Key: common.Hash{2}}}}},
	} {
		l := newLedger(t, 1)
		s := l.open(smallConfig(vfs.NewMem()))
		_, err := s.Stage(context.Background(), 1, w)
		require.ErrorIs(t, err, errWriteSet, name)
		require.Error(t, s.Err(), "the commitment may be half updated: open again")
		require.NoError(t, s.Close())
	}
}
