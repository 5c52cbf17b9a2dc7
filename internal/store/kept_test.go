package store

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestKeptProposalsOutliveACrash keeps proposals, crashes without any unsynced data, and decides: what was kept before something else became durable is
// there, the newest four, until the decision.
func TestKeptProposalsOutliveACrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	l := newLedger(t, 44)
	s := l.open(smallConfig(mem))
	works := l.randomWork(3)
	var proposals []chain.Txs
	for from := range works.txs {
		proposals = append(proposals, works.txs[from:])
	}
	kept := func(want ...chain.Txs) {
		t.Helper()
		got, err := s.KeptProposals()
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, want[i].Hashes(), got[i].Hashes())
			require.Equal(t, want[i][0].Sender(), got[i][0].Sender(), "they count as verified")
		}
	}
	crash := func() {
		t.Helper()
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, s.Close())
		mem = crashed
		s = l.open(smallConfig(mem))
	}
	kept()
	for round := range 2 {
		for range maxKept {
			for _, txs := range proposals {
				require.NoError(t, s.KeepProposal(txs))
			}
		}
		log, err := s.EngineLog()
		require.NoError(t, err)
		require.NoError(t, log.Append([]byte("vote"), true))
		crash()
		kept(proposals[2], proposals[0], proposals[1], proposals[2])
		require.NoError(t, s.KeepProposal(proposals[0]))
		kept(proposals[0], proposals[1], proposals[2], proposals[0])
		if round == 0 {
			crash()
			kept(proposals[2], proposals[0], proposals[1], proposals[2])
		}
	}
	require.NoError(t, s.AppendDecision(context.Background(), works.decision, works.txs))
	kept()
	crash()
	kept(proposals[2], proposals[0], proposals[1], proposals[2]) // the decision was lost, so what it is made from is not
	require.NoError(t, s.AppendDecision(context.Background(), works.decision, works.txs))
	log, err := s.EngineLog()
	require.NoError(t, err)
	require.NoError(t, log.Append([]byte("vote"), true))
	crash()
	kept()

	require.NoError(t, s.KeepProposal(proposals[1]))
	kept(proposals[1])
	require.NoError(t, s.db.Set(keptKey(s.kept.next-1), []byte{9, 1}, pebble.Sync))
	_, err = s.KeptProposals()
	require.ErrorIs(t, err, ErrCorrupt)
	require.NoError(t, s.Close())
}
