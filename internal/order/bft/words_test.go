package bft

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/rlp"
	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// TestWords: whatever is asked for in whatever order, what is granted never contradicts itself, and what was granted once is granted again while it is remembered.
func TestWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w words
		signed := make(map[[2]uint64]crypto.Hash)
		for range rapid.IntRange(1, 60).Draw(t, "asks") {
			h := head{rapid.Uint64Range(1, 5).Draw(t, "height"), rapid.Uint64Range(0, 3).Draw(t, "view"), crypto.Hash{byte(rapid.IntRange(0, 2).Draw(t, "digest"))}}
			if rapid.Bool().Draw(t, "restart") { // what the journal holds is all that is left
				b, err := rlp.EncodeToBytes(&record{Signed: w.height, Words: w.said})
				require.NoError(t, err)
				var r record
				require.NoError(t, rlp.DecodeBytes(b, &r))
				w = words{height: r.Signed, said: r.Words}
			}
			first, said := signed[[2]uint64{h.height, h.view}]
			granted := w.add(h)
			if granted && said {
				require.Equal(t, first, h.digest)
			}
			if granted {
				signed[[2]uint64{h.height, h.view}] = h.digest
				require.True(t, w.cover(h))
			}
			if !granted && h.height == w.height {
				require.True(t, said && first != h.digest, "what contradicts nothing is granted")
			}
		}
	})
	var w words
	for view := range uint64(maxWords) {
		require.True(t, w.add(head{1, view, crypto.Hash{1}}))
	}
	require.False(t, w.add(head{1, maxWords, crypto.Hash{1}}), "bounded")
	require.True(t, w.add(head{2, 0, crypto.Hash{1}}))
	require.False(t, w.add(head{1, 0, crypto.Hash{1}}), "of lower heights nothing is remembered, so nothing is said")
	require.True(t, w.cover(head{1, 0, crypto.Hash{9}}))
	require.False(t, w.cover(head{2, 0, crypto.Hash{9}}))
	require.False(t, w.cover(head{3, 0, crypto.Hash{1}}))
}

// proposalOf is one as the library hands it to be signed.
func proposalOf(t *testing.T, view, height uint64, d byte) types.Proposal {
	return types.Proposal{Header: bytes.Repeat([]byte{d}, 32), Metadata: metadata(t, view, height)}
}

// TestSignsOnce: whatever the library asks for, in this session or in one after a crash, no second commit at a height and view leaves.
func TestSignsOnce(t *testing.T) {
	s, _, _ := testSession(t)
	first := s.SignProposal(proposalOf(t, 2, 1, 1), []byte{1})
	require.NotNil(t, first.Value)
	require.NotNil(t, s.SignProposal(proposalOf(t, 2, 1, 1), []byte{2}).Value, "the same proposal, other words beside it")
	require.NotNil(t, s.SignProposal(proposalOf(t, 3, 1, 2), []byte{1}).Value, "in another view another proposal may be signed")
	require.False(t, s.dead())
	require.Nil(t, s.SignProposal(proposalOf(t, 2, 1, 2), []byte{1}).Value)
	require.True(t, s.dead(), "and nothing leaves it any more")

	require.NoError(t, s.journal.append(record{}, true))
	again, err := openJournal(s.journal.store)
	require.NoError(t, err)
	require.True(t, again.knows(headFrom(t, first.Msg)))
	for view, d := range map[uint64]byte{2: 1, 3: 2} {
		require.True(t, again.maySign(headOf(suite, proposalOf(t, view, 1, d).Header, viewMeta(view, 1), metadata(t, view, 1))))
	}
	require.False(t, again.maySign(headOf(suite, proposalOf(t, 3, 1, 1).Header, viewMeta(3, 1), metadata(t, 3, 1))))
}

func headFrom(t *testing.T, msg []byte) head {
	h, _, err := parseHead(msg)
	require.NoError(t, err)
	return h
}

func viewMeta(view, height uint64) *smartbftprotos.ViewMetadata {
	return &smartbftprotos.ViewMetadata{ViewId: view, LatestSequence: height}
}

// TestFenceHoldsAll: behind a shut fence neither commits nor states are signed.
func TestFenceHoldsAll(t *testing.T) {
	s, _, _ := testSession(t)
	s.e.cfg.Fence.Forgot("a test")
	require.Nil(t, s.SignProposal(proposalOf(t, 2, 1, 1), []byte{1}).Value)
	require.True(t, s.dead())
	s, _, _ = testSession(t)
	s.e.cfg.Fence.Forgot("a test")
	require.Nil(t, s.tellState(viewData(t, 1, nil)))
	require.True(t, s.dead())
}

// askedHost is a host that keeps what is sent.
type askedHost struct {
	order.Host
	sent   chan []byte
	behind chan struct{}
}

func (a askedHost) Send(_ order.PeerID, msg []byte) { a.sent <- msg }
func (a askedHost) Behind() <-chan struct{}         { return a.behind }

// TestRecall: a quorum's others must answer, whoever else does; only a signature of its own shuts the fence.
func TestRecall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, keys := signers(t, 4)
		commit := func(i int, h head) answer {
			msg := append(h.encode(), 7)
			sig, err := keys[i].Sign(order.SigningMessage(crypto.Hash{1}, commitMessage(msg)))
			require.NoError(t, err)
			return answer{msg, sig}
		}
		begin := func() (*Engine, askedHost, chan bool) {
			e, err := New(Config{Suite: suite, GenesisHash: crypto.Hash{1}, Public: set[0].PublicKey, Params: *chain.DefaultBFTParams(), Journal: new(ordertest.Journal),
				Fence: order.NewFence(order.FenceUnsure, "", nil, nil, nil)})
			require.NoError(t, err)
			j, err := openJournal(e.cfg.Journal)
			require.NoError(t, err)
			require.True(t, j.maySign(head{5, 1, crypto.Hash{5}}))
			e.journal.Store(j)
			e.members.Store(&set)
			h := askedHost{sent: make(chan []byte, 64), behind: make(chan struct{}, 1)}
			done := make(chan bool, 1)
			go func() {
				ok, err := e.recall(t.Context(), h, &set[0], set)
				done <- ok && err == nil
			}()
			synctest.Wait()
			require.Len(t, h.sent, 3, "all others are asked")
			return e, h, done
		}
		reply := func(e *Engine, i int, a answer) {
			b, err := rlp.EncodeToBytes(&a)
			require.NoError(t, err)
			e.Handle(order.PeerID(set[i].ID), append([]byte{frameSigned}, b...))
			synctest.Wait()
		}
		for name, c := range map[string]struct {
			answers [2]answer
			want    order.FenceState
		}{
			"nothing is known":            {want: order.FenceOpen},
			"what it knows itself":        {[2]answer{commit(0, head{5, 1, crypto.Hash{5}}), commit(0, head{4, 9, crypto.Hash{8}})}, order.FenceOpen},
			"a later height":              {[2]answer{{}, commit(0, head{6, 0, crypto.Hash{5}})}, order.FenceShut},
			"another view of that height": {[2]answer{commit(0, head{5, 2, crypto.Hash{5}}), {}}, order.FenceShut},
			"another's signature":         {[2]answer{commit(1, head{6, 0, crypto.Hash{5}}), commit(2, head{1 << 60, 0, crypto.Hash{}})}, order.FenceOpen},
			"garbage":                     {[2]answer{{[]byte{1}, []byte{2}}, {make([]byte, 100), make([]byte, 64)}}, order.FenceOpen},
		} {
			e, h, done := begin()
			reply(e, 1, c.answers[0])
			reply(e, 1, c.answers[0])
			reply(e, 0, c.answers[0])
			e.Handle(99, []byte{frameSigned, 0xc2, 0x80, 0x80})
			e.Handle(order.PeerID(set[3].ID), []byte{frameSigned, 0xc1})
			synctest.Wait()
			require.Empty(t, done, "%s: one has answered, twice, and a stranger, and in no form", name)
			time.Sleep(askSignedEvery + time.Millisecond)
			require.Len(t, h.sent, 5, "the others are asked again")
			reply(e, 2, c.answers[1])
			require.True(t, <-done, name)
			state, _ := e.cfg.Fence.State()
			require.Equal(t, c.want, state, name)
		}
		e, h, done := begin() // nobody answers, and it is behind
		h.behind <- struct{}{}
		time.Sleep(askSignedFor + time.Second)
		select {
		case h.behind <- struct{}{}:
		default:
		}
		time.Sleep(time.Second)
		require.False(t, <-done)
		state, _ := e.cfg.Fence.State()
		require.Equal(t, order.FenceUnsure, state)
	})
}

// TestAnswers: whoever asks is told the newest of what was heard and what the last decision holds.
func TestAnswers(t *testing.T) {
	set, keys := signers(t, 4)
	e := testEngine(t)
	e.members.Store(&set)
	var host order.Host = askedHost{sent: make(chan []byte, 8)}
	e.host.Store(&host)
	answerTo := func(i int) answer {
		e.Handle(order.PeerID(set[i].ID), []byte{frameAskSigned})
		frame := <-host.(askedHost).sent
		require.Equal(t, frameSigned, frame[0])
		a, err := parseAnswer(frame[1:])
		require.NoError(t, err)
		return a
	}
	require.Empty(t, answerTo(1).Msg)
	e.settled(agreed(t, set, keys, 9, 0, 1, 2), set) // of height 7
	require.EqualValues(t, 7, headFrom(t, answerTo(1).Msg).height)
	require.Empty(t, answerTo(3).Msg, "its commit is not in the proof")
	e.hears(set[1].ID, head{6, 0, crypto.Hash{1}}, &smartbftprotos.Signature{Msg: head{6, 0, crypto.Hash{1}}.encode(), Value: []byte{1}})
	require.EqualValues(t, 7, headFrom(t, answerTo(1).Msg).height)
	e.hears(set[1].ID, head{8, 0, crypto.Hash{1}}, &smartbftprotos.Signature{Msg: head{8, 0, crypto.Hash{1}}.encode(), Value: []byte{1}})
	require.EqualValues(t, 8, headFrom(t, answerTo(1).Msg).height)
	e.settled(nil, set[2:])
	require.Len(t, e.spoken, 0, "who left is forgotten")
}

// TestOwnCommitInAProof: decisions that are fetched tell as well what the journal does not know.
func TestOwnCommitInAProof(t *testing.T) {
	set, keys := signers(t, 4)
	for i, want := range map[int]order.FenceState{0: order.FenceShut, 3: order.FenceOpen} {
		e := testEngine(t)
		e.cfg.Public = set[i].PublicKey
		j, err := openJournal(e.cfg.Journal)
		require.NoError(t, err)
		e.journal.Store(j)
		require.NoError(t, e.VerifyDecision(set, agreed(t, set, keys, 9, 0, 1, 2)))
		state, _ := e.cfg.Fence.State()
		require.Equal(t, want, state)
	}
}

func FuzzParseAnswer(f *testing.F) {
	b, err := rlp.EncodeToBytes(&answer{[]byte("message"), []byte("signature")})
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte{0xc2, 0x80, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAnswer(b); err == nil {
			again, err := rlp.EncodeToBytes(&a)
			require.NoError(t, err)
			require.Equal(t, b, again, "one form only")
		}
	})
}
