package bft

import (
	"testing"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

func prepare(view, seq uint64) *smartbftprotos.Message {
	return &smartbftprotos.Message{Content: &smartbftprotos.Message_Prepare{Prepare: &smartbftprotos.Prepare{View: view, Seq: seq}}}
}

func TestHoldings(t *testing.T) {
	set, _ := signers(t, 4)
	h := newHoldings(set, nil)
	for seq := range uint64(2 * maxHeldBackOfOne) {
		h.keep(heldBack{from: set[1].ID, m: prepare(0, seq)})
	}
	h.keep(heldBack{from: set[2].ID, m: prepare(0, 7)})
	again := newHoldings(set[:3], h)
	require.Equal(t, maxHeldBackOfOne+1, again.count)
	all := again.takeAll()
	require.Len(t, all, maxHeldBackOfOne+1)
	require.EqualValues(t, maxHeldBackOfOne, all[0].m.GetPrepare().Seq, "the newest stay")
	require.EqualValues(t, 2*maxHeldBackOfOne-1, all[maxHeldBackOfOne-1].m.GetPrepare().Seq, "in their order")
	require.EqualValues(t, 7, all[maxHeldBackOfOne].m.GetPrepare().Seq, "a loud one leaves room for others")
	require.Zero(t, again.count)
	require.Empty(t, again.takeAll())

	require.Empty(t, newHoldings(set[2:], h).of[set[1].ID], "who has left is forgotten")
	large := make(chain.ValidatorSet, chain.MaxValidators)
	require.LessOrEqual(t, newHoldings(large, nil).most*len(large), 2*maxHeldBack)
}

func TestFrontier(t *testing.T) {
	set, _ := signers(t, 4)
	h := newHoldings(set, nil)
	h.vote(set[1].ID, 1<<60)
	require.Zero(t, h.frontier.Load(), "one may lie")
	h.vote(set[2].ID, 7)
	require.EqualValues(t, 7, h.frontier.Load())
	h.vote(set[1].ID, 1<<61)
	require.EqualValues(t, 7, h.frontier.Load())
	h.vote(set[3].ID, 9)
	require.EqualValues(t, 9, h.frontier.Load())
	h.vote(set[3].ID, 3)
	require.EqualValues(t, 9, h.frontier.Load(), "who begins again is known to have been there")
	require.EqualValues(t, 7, newHoldings(set, h).frontier.Load(), "by what they said last")
}

// TestFarAheadIsHeld: what comes for heights far above the ledger is kept while others are known to be there, and dropped otherwise.
func TestFarAheadIsHeld(t *testing.T) {
	s, set, _ := testSession(t)
	vote := func(i int, seq uint64) verdict {
		m := prepare(0, seq)
		s.voted(set[i].ID, viewSeq{0, seq}, false)
		return s.judge(heldBack{from: set[i].ID, m: m, at: time.Now()})
	}
	require.Equal(t, drop, vote(1, 1000), "one may lie")
	given, far := s.lags()
	require.Zero(t, given)
	require.False(t, far)
	require.Equal(t, hold, vote(2, 900))
	require.Equal(t, drop, vote(1, 900+window+1))
	require.Equal(t, hold, vote(1, 900+window))
	_, far = s.lags()
	require.True(t, far)
	require.True(t, s.farBehind())
	s.voted(set[3].ID, viewSeq{0, 2000}, true)
	s.voted(set[2].ID, viewSeq{0, 2000}, true)
	require.EqualValues(t, 916, s.intake.held.frontier.Load()+window, "who helps another is not there")
}

// TestStateIsToldAgain: a validator that has caught up while the view changes is heard once more, and not for ever.
func TestStateIsToldAgain(t *testing.T) {
	s, set, keys := testSession(t)
	s.intake.changeView.Store(1)
	state := func(height uint64) *smartbftprotos.SignedViewData {
		md, err := proto.Marshal(&smartbftprotos.ViewMetadata{LatestSequence: height})
		require.NoError(t, err)
		raw, err := proto.Marshal(&smartbftprotos.ViewData{NextView: 1, LastDecision: &smartbftprotos.Proposal{Metadata: md}})
		require.NoError(t, err)
		sig, err := keys[2].Sign(order.SigningMessage(crypto.Hash{1}, viewDataMessage(raw)))
		require.NoError(t, err)
		return &smartbftprotos.SignedViewData{RawViewData: raw, Signer: uint64(set[2].ID), Signature: sig}
	}
	h := heldBack{from: set[2].ID, at: time.Now()}
	require.Equal(t, pass, s.judgeViewData(h, state(5)))
	require.Equal(t, drop, s.judgeViewData(h, state(5)))
	require.Equal(t, drop, s.judgeViewData(h, state(4)))
	for height := range uint64(maxStates - 1) {
		require.Equal(t, pass, s.judgeViewData(h, state(6+height)))
	}
	require.Equal(t, drop, s.judgeViewData(h, state(100)))
	s.intake.changeView.Store(2)
	require.Equal(t, drop, s.judgeViewData(h, state(101)), "of a view that was left")
}
