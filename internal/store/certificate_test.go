package store

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestLastCertificateMayBeLost crashes right after a certificate, with nothing of the unsynced data on the disk: the certificate may go, the block and
// our own signature of it may not; and what was gathered again is taken again.
func TestLastCertificateMayBeLost(t *testing.T) {
	l := newLedger(t, 41)
	mem := vfs.NewCrashableMem()
	s := l.open(smallConfig(mem))
	for range 3 {
		w := l.randomWork(2)
		l.put(s, w)
		require.NoError(t, s.PutCertificate(&chain.Certificate{Height: w.decision.Height, Block: w.executed.Block.Hash}))
	}
	require.EqualValues(t, 3, s.Finalized())
	crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 1))})
	require.NoError(t, s.Close())

	s = l.open(smallConfig(crashed))
	require.EqualValues(t, 3, s.Head().Number.Uint64())
	require.EqualValues(t, 2, s.Finalized(), "the certificate of block 2 went to the disk with block 3")
	own, err := s.Attestation(3)
	require.NoError(t, err)
	require.NotNil(t, own)
	require.NoError(t, s.PutCertificate(&chain.Certificate{Height: 3, Block: s.Head().Hash()}))
	require.EqualValues(t, 3, s.Finalized())
	require.NoError(t, s.Close())

	s = l.open(smallConfig(crashed))
	defer s.Close()
	require.EqualValues(t, 3, s.Finalized(), "closing makes it durable")
}
