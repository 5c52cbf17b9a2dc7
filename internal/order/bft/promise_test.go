package bft

import (
	"bytes"
	"testing"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

func viewData(t *testing.T, next uint64, prepared []byte) []byte {
	d := &smartbftprotos.ViewData{NextView: next, LastDecision: &smartbftprotos.Proposal{}}
	if prepared != nil {
		d.InFlightProposal, d.InFlightPrepared = &smartbftprotos.Proposal{Header: prepared}, true
	}
	raw, err := proto.Marshal(d)
	require.NoError(t, err)
	return raw
}

// commits tells whether mayCommit comes back.
func commits(s *session, view, height uint64, header []byte) (ok bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.mayCommit(view, height, header)
		ok = true
	}()
	<-done
	return ok
}

// TestPromise: who has told its state for a view commits to nothing in an earlier one, now or after a restart.
func TestPromise(t *testing.T) {
	s, set, keys := testSession(t)
	mine, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	require.True(t, commits(s, 0, 1, mine))
	require.NotNil(t, s.Sign(viewData(t, 1, mine)), "it tells what it has committed to")
	require.False(t, commits(s, 0, 1, other))
	require.False(t, commits(s, 0, 2, other), "at no height")
	require.True(t, s.muted())
	require.Equal(t, drop, s.judgeVote(heldBack{from: set[1].ID, at: time.Now()}, 0, 1))
	require.True(t, commits(s, 1, 1, other))
	require.False(t, s.dead())

	require.NoError(t, s.journal.append(record{Height: 9}, true))
	j, err := openJournal(s.journal.store)
	require.NoError(t, err)
	require.EqualValues(t, 1, j.promise(), "truncation forgets no promise")
	again, err := newSession(s.e, &benchHost{id: set[0].ID, set: set, key: keys[0]}, j, nil, set, set[0].ID, viewAt{})
	require.NoError(t, err)
	require.False(t, commits(again, 0, 1, mine))
}

// TestPromiseRace: a commit that was signed while the state was put together must be in it, or the state is not told.
func TestPromiseRace(t *testing.T) {
	mine, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, prepared := range [][]byte{nil, other} {
		s, _, _ := testSession(t)
		require.True(t, commits(s, 0, 1, mine))
		require.Nil(t, s.Sign(viewData(t, 1, prepared)))
		require.True(t, s.dead(), "the next session tells it from the journal")
		require.NoError(t, s.err)
		require.Zero(t, s.journal.promise())
	}
}

// TestNewViewIsChecked: the states in a new view are of different validators, each signed by its own, for the view that is prepared.
func TestNewViewIsChecked(t *testing.T) {
	s, set, keys := testSession(t)
	state := func(i int, next uint64) *smartbftprotos.SignedViewData {
		raw := viewData(t, next, nil)
		sig, err := keys[i].Sign(order.SigningMessage(crypto.Hash{1}, viewDataMessage(raw)))
		require.NoError(t, err)
		return &smartbftprotos.SignedViewData{RawViewData: raw, Signer: uint64(set[i].ID), Signature: sig}
	}
	forged := state(3, 1)
	forged.Signature = state(2, 1).Signature
	stolen := state(2, 1)
	stolen.Signer = uint64(set[3].ID)
	for name, c := range map[string]struct {
		from   int
		states []*smartbftprotos.SignedViewData
		want   verdict
	}{
		"good":              {1, []*smartbftprotos.SignedViewData{state(1, 1), state(2, 1), state(3, 1)}, pass},
		"none":              {1, nil, drop},
		"twice the same":    {1, []*smartbftprotos.SignedViewData{state(1, 1), state(2, 1), state(2, 1)}, drop},
		"forged":            {1, []*smartbftprotos.SignedViewData{state(1, 1), state(2, 1), forged}, drop},
		"another's":         {1, []*smartbftprotos.SignedViewData{state(1, 1), state(2, 1), stolen}, drop},
		"of two views":      {1, []*smartbftprotos.SignedViewData{state(1, 1), state(2, 1), state(3, 2)}, drop},
		"not by its leader": {2, []*smartbftprotos.SignedViewData{state(1, 1), state(2, 1), state(3, 1)}, drop},
		"early":             {2, []*smartbftprotos.SignedViewData{state(1, 2), state(2, 2), state(3, 2)}, hold},
	} {
		s.intake.init(newHoldings(set, nil))
		s.intake.changeView.Store(1)
		h := heldBack{from: set[c.from].ID, at: time.Now()}
		require.Equal(t, c.want, s.judgeNewView(h, &smartbftprotos.NewView{SignedViewData: c.states}), name)
		if c.want == pass {
			require.Equal(t, drop, s.judgeNewView(h, &smartbftprotos.NewView{SignedViewData: c.states}), "once")
		}
	}
	s.intake.init(newHoldings(set, nil))
	from := func(id chain.ValidatorID) heldBack { return heldBack{from: id, at: time.Now()} }
	require.Equal(t, pass, s.judgeViewData(from(set[2].ID), state(2, 1)))
	require.Equal(t, drop, s.judgeViewData(from(set[2].ID), state(2, 1)), "once")
	require.Equal(t, drop, s.judgeViewData(from(set[3].ID), state(2, 1)), "each for itself")
	require.Equal(t, drop, s.judgeViewData(from(set[3].ID), forged))
	s.entered(1, set[1].ID)
	require.Equal(t, drop, s.judgeViewData(from(set[3].ID), state(3, 1)), "too late")
}

// sendsHost notes what a session sends to one peer.
type sendsHost struct {
	*benchHost
	sent [][]byte
}

func (h *sendsHost) Send(_ order.PeerID, msg []byte) { h.sent = append(h.sent, msg) }

// TestPromiseIsAgreedTo: who has told its state for a view in an earlier session helps others up to that view, and to none beyond.
func TestPromiseIsAgreedTo(t *testing.T) {
	s, set, keys := testSession(t)
	require.NotNil(t, s.Sign(viewData(t, 3, nil)))
	h := &sendsHost{benchHost: &benchHost{id: set[0].ID, set: set, key: keys[0]}}
	again, err := newSession(s.e, h, s.journal, nil, set, set[0].ID, viewAt{})
	require.NoError(t, err)
	view, _, _ := again.where()
	require.Zero(t, view, "it begins where it was")
	for view := range uint64(5) {
		again.agree(set[1].ID, view)
	}
	require.Equal(t, [][]byte{agreeFrame(1), agreeFrame(2), agreeFrame(3)}, h.sent)
}
