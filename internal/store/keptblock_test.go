package store

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// TestKeptBlocksOutliveACrash keeps blocks of several heights, crashes without any unsynced data, drops one and decides a height: those above it stay.
func TestKeptBlocksOutliveACrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	l := newLedger(t, 45)
	s := l.open(smallConfig(mem))
	works := l.randomWork(3)
	kept := func(want map[crypto.Hash]chain.Txs) {
		t.Helper()
		got := make(map[crypto.Hash]chain.Txs)
		require.NoError(t, s.KeptBlocks(func(height uint64, hash crypto.Hash, txs chain.Txs) {
			require.Equal(t, height, uint64(hash[0]))
			got[hash] = txs
		}))
		require.Len(t, got, len(want))
		for hash, txs := range want {
			require.Equal(t, txs.Hashes(), got[hash].Hashes())
			for _, tx := range got[hash] {
				require.True(t, tx.Verified())
			}
		}
		require.Len(t, s.kept.blocks, len(want))
	}
	crash := func() {
		t.Helper()
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, s.Close())
		mem = crashed
		s = l.open(smallConfig(mem))
	}
	keep := func(height byte, fork byte, txs chain.Txs) crypto.Hash {
		hash := crypto.Hash{height, fork}
		require.NoError(t, s.KeepBlock(uint64(height), hash, txs))
		return hash
	}
	kept(nil)
	a, b, c, d := keep(1, 1, works.txs), keep(1, 2, works.txs[1:]), keep(2, 1, works.txs[2:]), keep(3, 1, nil)
	log, err := s.EngineLog()
	require.NoError(t, err)
	require.NoError(t, log.Append([]byte("block"), false))
	crash()
	log, err = s.EngineLog()
	require.NoError(t, err)
	kept(map[crypto.Hash]chain.Txs{a: works.txs, b: works.txs[1:], c: works.txs[2:], d: nil})
	require.NoError(t, s.DropBlock(1, b))
	require.NoError(t, s.DropBlock(1, b), "twice is once")
	kept(map[crypto.Hash]chain.Txs{a: works.txs, c: works.txs[2:], d: nil})
	works.decision.Proof = []byte("work")
	require.NoError(t, s.AppendDecision(context.Background(), works.decision, works.txs))
	kept(map[crypto.Hash]chain.Txs{c: works.txs[2:], d: nil})
	require.NoError(t, log.Append([]byte("vote"), false))
	crash()
	kept(map[crypto.Hash]chain.Txs{c: works.txs[2:], d: nil})

	proof, err := s.DecisionProof(1)
	require.NoError(t, err)
	require.Equal(t, []byte("work"), proof)
	for _, height := range []uint64{0, 2} {
		_, err = s.DecisionProof(height)
		require.ErrorIs(t, err, ErrUnknownBlock)
	}
	for i := len(s.kept.blocks); i < maxKeptBlocks; i++ {
		s.kept.blocks[string(rune(i))] = 9
	}
	require.ErrorIs(t, s.KeepBlock(9, crypto.Hash{9}, nil), ErrKept)
	require.NoError(t, s.db.Set(keptBlockKey(4, crypto.Hash{4}), []byte{9, 1}, pebble.Sync))
	require.ErrorIs(t, s.KeptBlocks(func(uint64, crypto.Hash, chain.Txs) {}), ErrCorrupt)
	require.NoError(t, s.Close())
}
