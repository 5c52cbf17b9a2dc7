package raft

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// ward is nodes of which each has an engine and a journal, and does nothing but answer births.
type ward struct {
	t       *testing.T
	set     chain.ValidatorSet
	engines map[chain.ValidatorID]*Engine
	stores  map[chain.ValidatorID]*ordertest.Journal
	away    map[chain.ValidatorID]bool
}

// bed is a node's host in the ward.
type bed struct {
	order.Host
	w  *ward
	id chain.ValidatorID
}

func (b bed) Behind() <-chan struct{} { return nil }

func (b bed) Send(to order.PeerID, msg []byte) {
	id := chain.ValidatorID(to)
	if b.w.away[id] || b.w.away[b.id] {
		return
	}
	if msg[0] == frameBirthAnswer {
		b.w.engines[id].Handle(order.PeerID(b.id), msg)
		return
	}
	require.NoError(b.w.t, b.w.engines[id].answerBirth(bed{w: b.w, id: id}, b.w.journal(id), b.id, msg[1:]))
}

func (w *ward) journal(id chain.ValidatorID) *journal {
	j, err := openJournal(w.stores[id])
	require.NoError(w.t, err)
	return j
}

func (w *ward) add(id chain.ValidatorID) {
	e, err := New(Config{Suite: intl.Suite{}, GenesisHash: crypto.Hash{1}, Founders: w.set, Public: []byte{byte(id)}, Params: *chain.DefaultRaftParams(),
		Journal: new(ordertest.Journal)})
	require.NoError(w.t, err)
	e.members.Store(&w.set)
	w.engines[id], w.stores[id] = e, new(ordertest.Journal)
}

// born tells how beBorn ends within a few seconds.
func (w *ward) born(id chain.ValidatorID) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return w.engines[id].beBorn(ctx, bed{w: w, id: id}, w.journal(id), id, w.set)
}

func newWard(t *testing.T, ids ...chain.ValidatorID) *ward {
	w := &ward{t: t, engines: make(map[chain.ValidatorID]*Engine), stores: make(map[chain.ValidatorID]*ordertest.Journal), away: make(map[chain.ValidatorID]bool)}
	for _, id := range ids {
		w.set = append(w.set, chain.Validator{ID: id, PublicKey: []byte{byte(id)}})
	}
	for _, id := range ids {
		w.add(id)
	}
	return w
}

// TestLostJournal: a validator whose journal is gone takes no part under its number any more, whoever of the others are there to say so; under another
// number it does.
func TestLostJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 1, 2, 3, 4, 5)
		for id := chain.ValidatorID(1); id <= 5; id++ {
			ok, err := w.born(id)
			require.NoError(t, err)
			require.True(t, ok)
			ok, err = w.born(id)
			require.NoError(t, err)
			require.True(t, ok, "a restart is no birth")
		}
		w.stores[3] = new(ordertest.Journal)
		for _, away := range []chain.ValidatorID{1, 2, 4, 5} {
			clear(w.away)
			w.away[away] = true
			ok, err := w.born(3)
			require.NoError(t, err)
			require.False(t, ok, "%d is away", away)
		}
		clear(w.away)
		w.set = append(append(w.set[:2:2], w.set[3:]...), chain.Validator{ID: 6, PublicKey: []byte{3}})
		w.add(6)
		w.stores[6] = w.stores[3]
		ok, err := w.born(6)
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, w.journal(6).known, 5, "it has learnt of the others' lives")
	})
}

// TestBirthNeedsMoreThanHalf: with too few of the others a new validator waits; nothing has begun when it is stopped.
func TestBirthNeedsMoreThanHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 1, 2, 3)
		w.away[2] = true
		_, err := w.born(1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, w.journal(1).alive)
		w.away[2] = false
		ok, err := w.born(1)
		require.NoError(t, err)
		require.True(t, ok, "it is the same life")
		state := w.journal(1)
		snapshot, err := state.storage.Snapshot()
		require.NoError(t, err)
		require.Equal(t, []uint64{1, 2, 3}, snapshot.GetMetadata().GetConfState().GetVoters())
	})
}

// TestFramesRefuseGarbage: malformed frames, and messages that a library sends to itself, are refused.
func TestFramesRefuseGarbage(t *testing.T) {
	for _, b := range [][]byte{nil, {1}, make([]byte, 8+birthSize-1), make([]byte, 8+birthSize+1)} {
		_, err := parseBirth(b)
		require.ErrorIs(t, err, errFrame)
	}
	good := birthAnswer(7, make([]byte, birthSize), true, []life{{3, make([]byte, birthSize)}})[1:]
	l, first, known, err := parseBirthAnswer(good)
	require.NoError(t, err)
	require.True(t, first)
	require.EqualValues(t, 7, l.Member)
	require.Len(t, known, 1)
	for _, b := range [][]byte{nil, good[:20], append([]byte(nil), good[:len(good)-1]...), append(append([]byte(nil), good...), 0),
		birthAnswer(7, make([]byte, birthSize), true, []life{{3, []byte{1}}})[1:]} {
		_, _, _, err := parseBirthAnswer(b)
		require.ErrorIs(t, err, errFrame)
	}
	for kind := range raftpb.MessageType_name {
		frame, err := libraryFrame(&raftpb.Message{Type: raftpb.MessageType(kind).Enum()})
		require.NoError(t, err)
		_, err = parseLibrary(frame[1:])
		switch raftpb.MessageType(kind) {
		case raftpb.MsgHup, raftpb.MsgBeat, raftpb.MsgProp, raftpb.MsgUnreachable, raftpb.MsgSnapStatus, raftpb.MsgCheckQuorum, raftpb.MsgTransferLeader,
			raftpb.MsgReadIndex, raftpb.MsgReadIndexResp, raftpb.MsgStorageAppend, raftpb.MsgStorageAppendResp, raftpb.MsgStorageApply,
			raftpb.MsgStorageApplyResp, raftpb.MsgForgetLeader:
			require.ErrorIs(t, err, errFrame, "%s", raftpb.MessageType(kind))
		case raftpb.MsgSnap:
			require.ErrorIs(t, err, errFrame, "without a snapshot")
			frame, err = libraryFrame(&raftpb.Message{Type: raftpb.MsgSnap.Enum(), Snapshot: newSnapshot(2, 1, 0, &raftpb.ConfState{Voters: []uint64{1}})})
			require.NoError(t, err)
			_, err = parseLibrary(frame[1:])
			require.NoError(t, err)
		default:
			require.NoError(t, err, "%s", raftpb.MessageType(kind))
		}
	}
	_, _, err = decodeOrdered([]byte("garbage"))
	require.ErrorIs(t, err, errFrame)
}

// TestAlteredJournal: a log with a hole, or of garbage, is refused with a sentence.
func TestAlteredJournal(t *testing.T) {
	for name, entries := range map[string][]record{
		"hole": {{Entries: [][]byte{mustMarshal(&raftpb.Entry{Index: new(uint64(5)), Term: new(uint64(1))})}}},
		"hard": {{Hard: []byte{0xff}}}, "entry": {{Entries: [][]byte{{0xff}}}}, "snapshot": {{Snapshot: []byte{0xff}}},
	} {
		store := new(ordertest.Journal)
		w := &journal{store: store}
		for _, r := range entries {
			require.NoError(t, w.write(&r, false))
		}
		_, err := openJournal(store)
		require.ErrorContains(t, err, "raft: entry 0 of the journal", name)
	}
	store := new(ordertest.Journal)
	require.NoError(t, store.Append([]byte{1, 2}, false))
	_, err := openJournal(store)
	require.Error(t, err)
}
