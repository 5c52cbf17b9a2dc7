package store

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// checkChain reads everything back and compares it with the ledger.
func (l *ledger) checkChain(s *Store) {
	l.tb.Helper()
	for h := uint64(1); h < uint64(len(l.blocks)) && h <= s.Head().Number.Uint64(); h++ {
		e := l.blocks[h]
		b, err := s.Block(h)
		require.NoError(l.tb, err)
		require.Equal(l.tb, e.Block.Header.Hash(), b.Header.Hash())
		require.Equal(l.tb, e.Block.Hash, b.Hash)
		require.Equal(l.tb, e.Block.Txs.Hashes(), b.Txs.Hashes())
		at, ok, err := s.HeightOf(b.Hash)
		require.NoError(l.tb, err)
		require.True(l.tb, ok)
		require.Equal(l.tb, h, at)
		d, txs, err := s.Decision(h)
		require.NoError(l.tb, err)
		require.Equal(l.tb, e.Decision.Encode(), d.Encode())
		require.Equal(l.tb, d.Txs, txs.Hashes())
		receipts, err := s.Receipts(h)
		require.NoError(l.tb, err)
		require.Len(l.tb, receipts, len(e.Receipts))
		for i, r := range receipts {
			l.checkReceipt(e.Receipts[i], r)
			one, err := s.Receipt(r.TxHash)
			require.NoError(l.tb, err)
			l.checkReceipt(e.Receipts[i], one)
			lookup, err := s.Tx(r.TxHash)
			require.NoError(l.tb, err)
			require.Equal(l.tb, e.Block.Txs[i].Raw(), lookup.Tx.Raw())
			require.Equal(l.tb, e.Block.Txs[i].Sender(), lookup.Tx.Sender())
			require.Equal(l.tb, h, lookup.Height)
			require.EqualValues(l.tb, i, lookup.Index)
			require.Equal(l.tb, b.Hash, lookup.BlockHash)
		}
		excluded, err := s.Exclusions(h)
		require.NoError(l.tb, err)
		require.Equal(l.tb, e.Excluded, excluded)
		for _, x := range e.Excluded {
			got, at, err := s.Excluded(x.Tx)
			require.NoError(l.tb, err)
			require.Equal(l.tb, &x, got)
			require.Equal(l.tb, h, at)
			lookup, err := s.Tx(x.Tx)
			require.NoError(l.tb, err)
			require.Nil(l.tb, lookup)
		}
		own, err := s.Attestation(h)
		require.NoError(l.tb, err)
		require.Equal(l.tb, &chain.Attestation{Validator: 1, Signature: []byte{1}}, own)
	}
	l.checkSets(s)
}

// checkSets compares the validator sets of all heights that the durable blocks have settled.
func (l *ledger) checkSets(s *Store) {
	l.tb.Helper()
	head := s.Head().Number.Uint64()
	for h := uint64(0); h <= head+chain.ActivationDelay; h++ {
		set, err := s.RuleAt(h)
		require.NoError(l.tb, err)
		require.Equal(l.tb, l.ruleAt(h), set, "height %d, head %d", h, head)
	}
	_, err := s.RuleAt(head + chain.ActivationDelay + 1)
	require.ErrorIs(l.tb, err, ErrUnknownBlock)
}

func (l *ledger) checkReceipt(want, got *types.Receipt) {
	l.tb.Helper()
	w, err := want.MarshalJSON()
	require.NoError(l.tb, err)
	g, err := got.MarshalJSON()
	require.NoError(l.tb, err)
	require.JSONEq(l.tb, string(w), string(g))
}

func TestChainReadsBack(t *testing.T) {
	l := newLedger(t, 1)
	fs := vfs.NewMem()
	s := l.open(smallConfig(fs))
	l.checkState(s.Tip(), l.states[0])
	for i := range 40 {
		n := l.rng.IntN(6)
		if i == 20 {
			n = 300 // several chunks
		}
		l.put(s, l.randomWork(n))
		l.checkState(s.Tip(), l.states[len(l.states)-1])
	}
	l.checkChain(s)
	for h, want := range l.states {
		st, err := s.State(uint64(h))
		require.NoError(t, err)
		l.checkState(st, want)
	}
	require.NoError(t, s.Close())

	s = l.open(smallConfig(fs))
	l.checkChain(s)
	for h, want := range l.states {
		st, err := s.State(uint64(h))
		require.NoError(t, err)
		l.checkState(st, want)
	}
	l.put(s, l.randomWork(3))
	l.checkChain(s)
	require.NoError(t, s.Close())
}

func TestPipelineRunsAhead(t *testing.T) {
	l := newLedger(t, 2)
	s := l.open(smallConfig(vfs.NewMem()))
	ctx := context.Background()
	var ahead []*work
	var views []chain.State
	for i := range 60 {
		w := l.randomWork(1)
		require.NoError(t, s.AppendDecision(ctx, w.decision, w.txs))
		root, err := s.Stage(ctx, w.decision.Height, w.executed.Writes)
		require.NoError(t, err)
		l.seal(w.executed, root)
		views = append(views, s.Tip())
		ahead = append(ahead, w)
		for len(ahead) > i%5 {
			require.NoError(t, s.Commit(ctx, ahead[0].executed, nil))
			ahead = ahead[1:]
		}
		for j, v := range views {
			l.checkState(v, l.states[j+1])
		}
	}
	require.NoError(t, s.Close())
}
