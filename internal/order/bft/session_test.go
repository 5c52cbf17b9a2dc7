package bft

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// testSession is one of four validators' that runs nothing.
func testSession(t *testing.T) (*session, chain.ValidatorSet, []crypto.PrivateKey) {
	set, keys := signers(t, 4)
	e := testEngine(t)
	j, err := openJournal(e.cfg.Journal)
	require.NoError(t, err)
	s, err := newSession(e, &benchHost{id: set[0].ID, set: set, key: keys[0]}, j, nil, set, set[0].ID, viewAt{})
	require.NoError(t, err)
	s.ctx, s.stop = context.WithCancel(context.Background())
	t.Cleanup(s.stop)
	return s, set, keys
}

// TestLibraryGivesUp: the library's panic ends the session and the goroutine, not the process; the engine begins again, but not for ever.
func TestLibraryGivesUp(t *testing.T) {
	s, _, _ := testSession(t)
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		libraryLog{s}.Panicf("sequence %d is not %d", 3, 4)
		returned = true
	}()
	<-done
	require.False(t, returned)
	require.True(t, s.dead())
	require.ErrorIs(t, s.err, errGaveUp)
	require.ErrorContains(t, s.err, "sequence 3 is not 4")

	var tries giveUps
	for range maxGaveUps {
		require.True(t, tries.again(7))
	}
	require.False(t, tries.again(7), "a broken invariant does it every time")
	require.True(t, tries.again(8), "it got on in between")
}

// TestNothingToPropose: a library that asks for a proposal which is not there would ask for ever.
func TestNothingToPropose(t *testing.T) {
	s, _, _ := testSession(t)
	metadata, err := proto.Marshal(&smartbftprotos.ViewMetadata{LatestSequence: 1})
	require.NoError(t, err)
	for range 2 { // in a session that it ends, and in one that has ended
		returned := false
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.AssembleProposal(metadata, nil)
			returned = true
		}()
		<-done
		require.False(t, returned)
		require.True(t, s.dead())
		require.NoError(t, s.err)
	}
}

func TestEvidence(t *testing.T) {
	s, set, keys := testSession(t)
	commit := func(i int, view uint64, d byte) *smartbftprotos.Commit {
		msg := head{1, view, crypto.Hash(bytes.Repeat([]byte{d}, 32))}.encode()
		sig, err := keys[i].Sign(order.SigningMessage(crypto.Hash{1}, commitMessage(msg)))
		require.NoError(t, err)
		return &smartbftprotos.Commit{View: view, Seq: 1, Signature: &smartbftprotos.Signature{Signer: uint64(set[i].ID), Msg: msg, Value: sig}}
	}
	from := set[1].ID
	s.evidence.commit(s, from, commit(1, 0, 1))
	s.evidence.commit(s, from, commit(1, 0, 1))
	s.evidence.commit(s, from, commit(1, 1, 2))
	require.Empty(t, s.e.Status().Evidence, "in another view another proposal may be committed to")
	forged := commit(1, 0, 2)
	forged.Signature.Value = make([]byte, 64)
	s.evidence.commit(s, from, forged)
	require.Empty(t, s.e.Status().Evidence, "an unsigned word is held against nobody")
	s.evidence.commit(s, from, commit(2, 0, 2))
	require.Empty(t, s.e.Status().Evidence, "nor that of another")
	s.evidence.commit(s, from, commit(1, 0, 2))
	s.evidence.commit(s, from, commit(1, 0, 3))
	proven := s.e.Status().Evidence
	require.Len(t, proven, 1, "once")
	proof := proven[0].Proof
	require.NoError(t, proof.Verify(suite, crypto.Hash{1}))
	require.Equal(t, order.Evidence{Validator: from, Height: 1, View: 0, What: "commit", First: crypto.Hash(bytes.Repeat([]byte{1}, 32)),
		Second: crypto.Hash(bytes.Repeat([]byte{2}, 32)), Proof: proof}, proven[0])
	hidden := commit(1, 2, 1)
	hidden.Signature.Value = make([]byte, 64)
	s.evidence.commit(s, from, hidden)
	s.evidence.commit(s, from, commit(1, 2, 2))
	require.Len(t, s.e.Status().Evidence, 1)
	s.evidence.commit(s, from, commit(1, 2, 3))
	require.Len(t, s.e.Status().Evidence, 2, "unsigned words first do not hide the signed ones")
	for view := range uint64(100) {
		s.evidence.propose(s, from, view, 1, crypto.Hash{1})
		s.evidence.propose(s, from, view, 1, crypto.Hash{2})
	}
	require.Len(t, s.e.Status().Evidence, maxEvidence, "bounded")
	for view := range uint64(2 * maxSpoken) {
		s.evidence.propose(s, from, view, 1, crypto.Hash{1})
	}
	require.LessOrEqual(t, len(s.evidence.spoken), maxSpoken)
}

func TestInboxIsBounded(t *testing.T) {
	b := newInbox()
	for i := range 2 * perPeer {
		b.put(1, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	require.Equal(t, perPeer, b.count)
	b.put(2, make([]byte, perPeerBytes+1))
	require.Equal(t, perPeer, b.count, "too large for anybody")
	b.put(2, []byte{2})
	require.Equal(t, perPeer+1, b.count, "a loud peer leaves room for others")
	for i := range perPeer {
		require.Len(t, b.bell, 1, "it rings while there is more")
		<-b.bell
		m, ok := b.take()
		require.True(t, ok)
		if i == 1 {
			require.Equal(t, letter{2, []byte{2}}, m, "in turn")
			m, _ = b.take()
			i++
		}
		require.Equal(t, order.PeerID(1), m.from)
		if i == 0 {
			require.EqualValues(t, perPeer, binary.BigEndian.Uint32(m.msg), "the newest stay")
		}
	}
	_, ok := b.take()
	require.False(t, ok)
	require.Empty(t, b.peers)
	require.Empty(t, b.turn)
	require.Zero(t, b.count)

	for range perPeerBytes/(1<<20) + 4 {
		b.put(3, make([]byte, 1<<20))
	}
	require.Equal(t, perPeerBytes, b.peers[3].bytes)
	b.clear()
	_, ok = b.take()
	require.False(t, ok)

	for peer := range order.PeerID(2 * inboxMessages / perPeer) {
		for range perPeer {
			b.put(peer, []byte{1})
		}
		require.Len(t, b.peers[peer].msgs, min(perPeer, len(b.peers[peer].msgs)))
		require.NotEmpty(t, b.peers[peer].msgs, "those who come late have room as well")
	}
	require.Equal(t, inboxMessages, b.count)
	sum := 0
	for _, l := range b.peers {
		sum += len(l.msgs)
	}
	require.Equal(t, inboxMessages, sum)
	for range inboxMessages {
		_, ok := b.take()
		require.True(t, ok)
	}
	require.Empty(t, b.peers)
	require.Zero(t, b.count)
}

func TestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBodies()
		p := &order.Proposal{Height: 1, Proposer: 1}
		for i := range byte(3 * perOwner) {
			b.put(crypto.Hash{i}, p, []byte{i}, 7)
		}
		require.Len(t, b.all, perOwner)
		found, _ := b.get(crypto.Hash{3*perOwner - 1})
		require.NotNil(t, found, "the newest stay")
		for i := range byte(100) {
			b.put(crypto.Hash{1, i}, p, nil, 8)
		}
		found, _ = b.get(crypto.Hash{3*perOwner - 1})
		require.NotNil(t, found, "nobody pushes out another's")
		for i := range byte(100) {
			b.put(crypto.Hash{2, i}, p, nil, chain.ValidatorID(10+i/2))
		}
		require.Len(t, b.all, maxBodies)
		require.Len(t, b.age, maxBodies)
		large := make([]byte, chain.MaxDecisionTxs*common.HashLength)
		for i := range byte(100) {
			b.put(crypto.Hash{4, i}, p, large, 9)
		}
		bytes := 0
		for _, found := range b.all {
			if found.owner == 9 {
				bytes += len(found.raw)
			}
		}
		require.Equal(t, perOwnerBytes, bytes)
		questions := 0
		go func() {
			time.Sleep(time.Second - askBodyEvery/2)
			b.put(crypto.Hash{3, 200}, p, nil, asked)
		}()
		require.NotNil(t, b.wait(context.Background(), crypto.Hash{3, 200}, func() { questions++ }))
		require.Equal(t, int(time.Second/askBodyEvery), questions)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.Nil(t, b.wait(ctx, crypto.Hash{3, 201}, func() {}))
	})
}

func TestConfigValidate(t *testing.T) {
	good := testEngine(t).cfg
	for want, change := range map[string]func(*Config){
		"suite":       func(c *Config) { c.Suite = nil },
		"public key":  func(c *Config) { c.Public = nil },
		"journal":     func(c *Config) { c.Journal = nil },
		"heartbeat":   func(c *Config) { c.Heartbeat = -1 },
		"leader":      func(c *Config) { c.Params.LeaderTimeoutMillis = 0 },
		"request":     func(c *Config) { c.Params.RequestTimeoutMillis = 0 },
		"view change": func(c *Config) { c.Params.ViewChangeTimeoutMillis = -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
	for _, millis := range []int{200, 1000, 600_000} { // the genesis' bounds
		cfg := good
		cfg.Params = chain.BFTParams{LeaderTimeoutMillis: millis, RequestTimeoutMillis: millis, ViewChangeTimeoutMillis: millis}
		library := cfg.library(1)
		require.NoError(t, library.Validate(), "%d ms", millis)
	}
}
