package bft

import (
	"testing"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// TestViewIsProven gives a validator the message that began a view in all ways in which it must not count, and then as it is.
func TestViewIsProven(t *testing.T) {
	s, set, keys := testSession(t)
	state := func(i int, raw []byte) *smartbftprotos.SignedViewData {
		sig, err := keys[i].Sign(order.SigningMessage(crypto.Hash{1}, viewDataMessage(raw)))
		require.NoError(t, err)
		return &smartbftprotos.SignedViewData{RawViewData: raw, Signer: uint64(set[i].ID), Signature: sig}
	}
	ahead, err := proto.Marshal(&smartbftprotos.ViewMetadata{LatestSequence: 3})
	require.NoError(t, err)
	decided := &smartbftprotos.ViewData{NextView: 3, LastDecision: &smartbftprotos.Proposal{Metadata: ahead}}
	elsewhere, err := proto.Marshal(decided)
	require.NoError(t, err)
	good := viewData(t, 3, nil)
	forged := state(3, good)
	forged.Signature[5] ^= 1
	stranger := state(3, good)
	stranger.Signer = 99
	for name, states := range map[string][]*smartbftprotos.SignedViewData{
		"nothing":           nil,
		"too few":           {state(1, good), state(2, good)},
		"one twice":         {state(1, good), state(2, good), state(2, good)},
		"forged":            {state(1, good), state(2, good), forged},
		"a stranger's":      {state(1, good), state(2, good), stranger},
		"another's":         {state(1, good), state(2, good), {RawViewData: good, Signer: uint64(set[3].ID), Signature: state(2, good).Signature}},
		"of another view":   {state(1, good), state(2, good), state(3, viewData(t, 4, nil))},
		"prepared":          {state(1, good), state(2, good), state(3, viewData(t, 3, []byte("hash")))},
		"of another height": {state(1, good), state(2, good), state(3, elsewhere)},
		"of this view":      {state(1, viewData(t, 0, nil)), state(2, viewData(t, 0, nil)), state(3, viewData(t, 0, nil))},
		"garbage":           {state(1, []byte{1}), state(2, good), state(3, good)},
	} {
		raw, err := proto.Marshal(&smartbftprotos.NewView{SignedViewData: states})
		require.NoError(t, err)
		s.takeProof(raw)
		require.Empty(t, s.jump, name)
	}
	s.takeProof([]byte("garbage"))
	require.Empty(t, s.jump)

	raw, err := proto.Marshal(&smartbftprotos.NewView{SignedViewData: []*smartbftprotos.SignedViewData{state(1, good), state(3, good), state(0, good)}})
	require.NoError(t, err)
	s.takeProof(raw)
	at := <-s.jump
	require.Equal(t, viewAt{view: 3, proof: raw}, at)

	// The next session is in that view and can prove it itself, after a crash as well; once something is decided nobody needs it.
	again, err := newSession(s.e, &benchHost{id: set[0].ID, set: set, key: keys[0]}, s.journal, nil, set, set[0].ID, at)
	require.NoError(t, err)
	require.Equal(t, raw, again.provenBy(3))
	require.Nil(t, again.provenBy(2))
	require.NoError(t, again.journal.append(record{Messages: [][]byte{newViewRecord(at)}}, true))
	j, err := openJournal(s.journal.store)
	require.NoError(t, err)
	require.Equal(t, viewProof{3, raw}, j.entered(0))
	require.NoError(t, j.append(record{Height: 1}, true))
	require.Zero(t, j.entered(1))
	j, err = openJournal(s.journal.store)
	require.NoError(t, err)
	require.Zero(t, j.entered(0))
}

// TestEnteredViewIsKept: the message that the library sends or takes is in the journal with its note of having entered the view.
func TestEnteredViewIsKept(t *testing.T) {
	s, _, _ := testSession(t)
	m := &smartbftprotos.NewView{SignedViewData: []*smartbftprotos.SignedViewData{{RawViewData: viewData(t, 2, nil), Signer: 1}}}
	s.proves(&smartbftprotos.Message{Content: &smartbftprotos.Message_NewView{NewView: m}})
	require.NoError(t, s.Append(newViewRecord(viewAt{view: 1}), false))
	require.Zero(t, s.journal.entered(0), "of another view")
	require.NoError(t, s.Append(newViewRecord(viewAt{view: 2}), false))
	raw, err := proto.Marshal(m)
	require.NoError(t, err)
	require.Equal(t, viewProof{2, raw}, s.journal.entered(0))
}
