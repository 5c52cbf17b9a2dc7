package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestEngineLogOutlivesCrashes appends at random and crashes now and then with part of the unsynced data: what was appended is there, in order, and
// truncation is one step with its entry.
func TestEngineLogOutlivesCrashes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	mem := vfs.NewCrashableMem()
	l := newLedger(t, 43)
	s := l.open(smallConfig(mem))
	log, err := s.EngineLog()
	require.NoError(t, err)
	var want [][]byte
	check := func() {
		t.Helper()
		got, err := log.Entries()
		require.NoError(t, err)
		require.True(t, slices.EqualFunc(want, got, slices.Equal), "%d entries, want %d", len(got), len(want))
	}
	check()
	for i := range 200 {
		entry, truncate := fmt.Appendf(nil, "entry %d", i), random.IntN(5) == 0
		require.NoError(t, log.Append(entry, truncate))
		if truncate {
			want = nil
		}
		want = append(want, entry)
		check()
		if random.IntN(10) == 0 {
			crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
			require.NoError(t, s.Close())
			mem = crashed
			s = l.open(smallConfig(mem))
			log, err = s.EngineLog()
			require.NoError(t, err)
			check()
		}
	}
	require.ErrorContains(t, log.Append(make([]byte, maxEngineLog+1), false), "at most")
	check()
	require.NoError(t, s.Close())
}
