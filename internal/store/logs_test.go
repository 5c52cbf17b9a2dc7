package store

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// wanted is geth's rule in its plainest form.
func wanted(q chain.LogQuery, log *types.Log) bool {
	ok := len(q.Addresses) == 0
	for _, a := range q.Addresses {
		ok = ok || a == log.Address
	}
	for i, alternatives := range q.Topics {
		if i >= len(log.Topics) {
			return false
		}
		any := len(alternatives) == 0
		for _, t := range alternatives {
			any = any || t == log.Topics[i]
		}
		ok = ok && any
	}
	return ok
}

// bruteForce is eth_getLogs by reading everything.
func (l *ledger) bruteForce(q chain.LogQuery) []*types.Log {
	var out []*types.Log
	for h := max(q.From, 1); h <= q.To && h < uint64(len(l.blocks)); h++ {
		for _, r := range l.blocks[h].Receipts {
			for _, log := range r.Logs {
				if wanted(q, log) {
					out = append(out, log)
				}
			}
		}
	}
	return out
}

func TestLogsEqualBruteForce(t *testing.T) {
	l := newLedger(t, 3)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	for i := range 60 {
		n := l.rng.IntN(12)
		if i%7 == 0 {
			n = 0
		}
		if i == 30 {
			n = 300
		}
		l.put(s, l.randomWork(n))
	}
	any := rapid.SampledFrom(l.keys)
	rapid.Check(t, func(t *rapid.T) {
		q := chain.LogQuery{
			From: rapid.Uint64Range(0, 65).Draw(t, "from"), To: rapid.Uint64Range(0, 65).Draw(t, "to"),
			Addresses:  rapid.SliceOfN(rapid.SampledFrom(l.addresses[:6]), 0, 3).Draw(t, "addresses"),
			Topics:     rapid.SliceOfN(rapid.SliceOfN(any, 0, 3), 0, 4).Draw(t, "topics"),
			MaxResults: rapid.SampledFrom([]int{1, 10, 100_000}).Draw(t, "max"),
			MaxBytes:   rapid.SampledFrom([]int{0, 100, 2000, 1 << 20}).Draw(t, "bytes"),
		}
		want := l.bruteForce(q)
		bytes := 0
		for _, log := range want {
			bytes += len(log.Data)
		}
		got, err := s.Logs(context.Background(), q)
		if len(want) > q.MaxResults || (q.MaxBytes > 0 && bytes > q.MaxBytes) {
			require.ErrorIs(t, err, ErrTooManyLogs)
			require.Empty(t, got)
			return
		}
		require.NoError(t, err)
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
	})
}

func TestLogsBoundTerms(t *testing.T) {
	l := newLedger(t, 3)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	_, err := s.Logs(context.Background(), chain.LogQuery{Addresses: make([]common.Address, MaxLogTerms+1)})
	require.ErrorIs(t, err, ErrTooManyTerms)
	_, err = s.Logs(context.Background(), chain.LogQuery{Topics: make([][]common.Hash, 5)})
	require.Error(t, err)
}

func TestLogsBoundVainCandidates(t *testing.T) {
	l := newLedger(t, 3)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	// Each transaction has both topics, but in different logs.
	w := l.randomWork(0)
	e := w.executed
	for range 1300 {
		tx := l.tx(nil)
		w.txs, w.decision.Txs, e.Block.Txs = append(w.txs, tx), append(w.decision.Txs, tx.Hash()), append(e.Block.Txs, tx)
		e.Receipts = append(e.Receipts, &types.Receipt{Status: 1, GasUsed: 1, Logs: []*types.Log{
			{Topics: []common.Hash{{1}, {2}}}, {Topics: []common.Hash{{3}, {4}}},
		}})
	}
	l.decision = w.decision.Hash(l.suite)
	l.put(s, w)
	q := chain.LogQuery{To: 1, Topics: [][]common.Hash{{{1}}, {{4}}}, MaxResults: 1}
	_, err := s.Logs(context.Background(), q)
	require.ErrorIs(t, err, ErrTooManyLogs)
	q.MaxResults = 100
	got, err := s.Logs(context.Background(), q)
	require.NoError(t, err)
	require.Empty(t, got)
}

// TestLogsReadNoOtherBlock takes away the content of every block but the one that has the log: a query by index does not miss it.
func TestLogsReadNoOtherBlock(t *testing.T) {
	l := newLedger(t, 13)
	s := l.open(smallConfig(vfs.NewMem()))
	defer s.Close()
	rare := common.Hash{0xfe}
	for i := range 50 {
		w := l.randomWork(6)
		if i == 32 {
			last := len(w.executed.Receipts) - 1
			w.executed.Receipts[last].Logs = append(w.executed.Receipts[last].Logs, &types.Log{Topics: []common.Hash{rare, l.keys[0]}, Data: []byte{1}})
		}
		l.put(s, w)
	}
	for height := uint64(0); height <= 50; height++ {
		if height == 33 {
			continue
		}
		for _, table := range []byte{tableHeaders, tableBodies, tableReceipts, tableExclusions, tableDecisions} {
			lo := heightKey(table, height)
			require.NoError(t, s.db.DeleteRange(lo, prefixEnd(lo), pebble.NoSync))
		}
	}
	for _, q := range []chain.LogQuery{
		{To: 50, Topics: [][]common.Hash{{rare}}, MaxResults: 10},
		{To: 50, Topics: [][]common.Hash{{rare}, {l.keys[0], l.keys[1]}}, MaxResults: 10},
		{From: 33, To: 33, MaxResults: 100},
	} {
		want := l.bruteForce(chain.LogQuery{From: 33, To: 33, Addresses: q.Addresses, Topics: q.Topics})
		got, err := s.Logs(context.Background(), q)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NotEmpty(t, got)
	}
	got, err := s.Logs(context.Background(), chain.LogQuery{To: 50, Topics: [][]common.Hash{{{0xdd}}}, MaxResults: 1})
	require.NoError(t, err)
	require.Empty(t, got)
}
