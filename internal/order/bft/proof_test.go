package bft

import (
	"bytes"
	"math/rand"
	"testing"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

var suite crypto.Suite = intl.Suite{}

// signers are a set of n validators and their keys.
func signers(t testing.TB, n int) (chain.ValidatorSet, []crypto.PrivateKey) {
	var set chain.ValidatorSet
	var keys []crypto.PrivateKey
	for i := range n {
		key, err := suite.GenerateKey(rand.New(rand.NewSource(int64(i + 1))))
		require.NoError(t, err)
		set = append(set, chain.Validator{ID: chain.ValidatorID(10 * (i + 1)), PublicKey: key.Public().Bytes()})
		keys = append(keys, key)
	}
	return set, keys
}

// agreed is a decision with the commits of the validators at the given places of set.
func agreed(t testing.TB, set chain.ValidatorSet, keys []crypto.PrivateKey, view uint64, by ...int) *chain.Decision {
	d := &chain.Decision{Height: 7, TimeMillis: 5, Proposer: leaderOf(set, view)}
	md := &smartbftprotos.ViewMetadata{ViewId: view, LatestSequence: 7, DecisionsInView: 3}
	metadata, err := proto.Marshal(md)
	require.NoError(t, err)
	hash := d.Hash(suite)
	signed := headOf(suite, hash[:], md, metadata).encode()
	var sigs []types.Signature
	for _, i := range by {
		msg := append(bytes.Clone(signed), byte(i))
		sig, err := keys[i].Sign(order.SigningMessage(crypto.Hash{1}, commitMessage(msg)))
		require.NoError(t, err)
		sigs = append(sigs, types.Signature{ID: uint64(set[i].ID), Msg: msg, Value: sig})
	}
	p, err := newProof(metadata, sigs, len(by))
	require.NoError(t, err)
	d.Proof = p.encode()
	return d
}

func testEngine(t testing.TB) *Engine {
	e, err := New(Config{Suite: suite, GenesisHash: crypto.Hash{1}, Public: []byte{1}, Params: *chain.DefaultBFTParams(), Journal: new(ordertest.Journal)})
	require.NoError(t, err)
	return e
}

func TestVerifyDecision(t *testing.T) {
	e := testEngine(t)
	for n, quorum := range map[int]int{4: 3, 5: 4, 6: 4, 7: 5, 10: 7} {
		set, keys := signers(t, n)
		var all []int
		for i := range n {
			all = append(all, i)
		}
		require.Equal(t, quorum, chain.BFT.Quorum(n))
		require.NoError(t, e.VerifyDecision(set, agreed(t, set, keys, 9, all[:quorum]...)), "%d of %d", quorum, n)
		require.NoError(t, e.VerifyDecision(set, agreed(t, set, keys, 9, all[n-quorum:]...)), "the last %d of %d", quorum, n)
		require.ErrorIs(t, e.VerifyDecision(set, agreed(t, set, keys, 9, all[:quorum-1]...)), order.ErrProof, "one less of %d", n)
		if quorum < n {
			require.ErrorIs(t, e.VerifyDecision(set, agreed(t, set, keys, 9, all[:quorum+1]...)), order.ErrProof, "one more of %d: not the one form", n)
		}
	}
}

func TestVerifyDecisionRefuses(t *testing.T) {
	e := testEngine(t)
	set, keys := signers(t, 4)
	for name, change := range map[string]func(*chain.Decision, *proof){
		"another view":      func(d *chain.Decision, p *proof) { p.Metadata = metadata(t, 8, 7) },
		"another height":    func(d *chain.Decision, p *proof) { p.Metadata = metadata(t, 9, 8) },
		"no metadata":       func(d *chain.Decision, p *proof) { p.Metadata = nil },
		"large metadata":    func(d *chain.Decision, p *proof) { p.Metadata = make([]byte, maxMetadata+1) },
		"altered aux":       func(d *chain.Decision, p *proof) { p.Commits[1].Aux = []byte{9} },
		"large aux":         func(d *chain.Decision, p *proof) { p.Commits[1].Aux = make([]byte, maxAux+1) },
		"altered signature": func(d *chain.Decision, p *proof) { p.Commits[0].Signature[3] ^= 1 },
		"one signs for two": func(d *chain.Decision, p *proof) {
			p.Commits[1].Signature, p.Commits[1].Aux = p.Commits[0].Signature, p.Commits[0].Aux
		},
		"twice the same":      func(d *chain.Decision, p *proof) { p.Commits[1] = p.Commits[0] },
		"unsorted":            func(d *chain.Decision, p *proof) { p.Commits[0], p.Commits[1] = p.Commits[1], p.Commits[0] },
		"a stranger":          func(d *chain.Decision, p *proof) { p.Commits[2].Validator = 35 },
		"another's proposal":  func(d *chain.Decision, p *proof) { d.Proposer = 10 },
		"another transaction": func(d *chain.Decision, p *proof) { d.TimeMillis++ },
	} {
		d := agreed(t, set, keys, 9, 0, 1, 2)
		require.NoError(t, e.VerifyDecision(set, d))
		p, err := decodeProof(d.Proof)
		require.NoError(t, err)
		change(d, p)
		d.Proof = p.encode()
		require.ErrorIs(t, e.VerifyDecision(set, d), order.ErrProof, name)
	}
	d := agreed(t, set, keys, 9, 0, 1, 2)
	d.Proof = append(d.Proof, 0)
	require.ErrorIs(t, e.VerifyDecision(set, d), order.ErrProof)
	d.Proof = make([]byte, maxProof+1)
	require.ErrorIs(t, e.VerifyDecision(set, d), order.ErrProof)
}

func metadata(t testing.TB, view, height uint64) []byte {
	b, err := proto.Marshal(&smartbftprotos.ViewMetadata{ViewId: view, LatestSequence: height, DecisionsInView: 3})
	require.NoError(t, err)
	return b
}

// TestCheckpoint: what the library needs of a last decision comes back from its proof, equal on all nodes that have it.
func TestCheckpoint(t *testing.T) {
	set, keys := signers(t, 4)
	a, b := agreed(t, set, keys, 9, 0, 1, 2), agreed(t, set, keys, 9, 1, 2, 3)
	one, md, err := checkpoint(suite, a)
	require.NoError(t, err)
	require.EqualValues(t, 9, md.ViewId)
	require.EqualValues(t, 3, md.DecisionsInView)
	other, _, err := checkpoint(suite, b)
	require.NoError(t, err)
	require.Equal(t, one.Proposal, other.Proposal)
	require.Len(t, one.Signatures, 3)
	again, err := newProof(one.Proposal.Metadata, one.Signatures, 3)
	require.NoError(t, err)
	require.Equal(t, a.Proof, again.encode())
	none, md, err := checkpoint(suite, nil)
	require.NoError(t, err)
	require.NotNil(t, md)
	require.Nil(t, none.Proposal.Metadata)
}

func FuzzVerifyDecision(f *testing.F) {
	set, keys := signers(f, 4)
	e := testEngine(f)
	good := agreed(f, set, keys, 9, 0, 1, 2)
	f.Add(good.Proof)
	f.Add(good.Proof[:20])
	f.Add([]byte{0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := *good
		d.Proof = b
		if p, err := decodeProof(b); err == nil {
			require.True(t, bytes.Equal(b, p.encode()), "one form only")
		}
		if e.VerifyDecision(set, &d) == nil {
			require.Equal(t, good.Proof, b, "nobody can forge")
		}
	})
}

// FuzzFrames gives frames of a validator to the parsers: none panics, and what is a frame is one in one form.
func FuzzFrames(f *testing.F) {
	m := &smartbftprotos.Message{Content: &smartbftprotos.Message_PrePrepare{PrePrepare: &smartbftprotos.PrePrepare{View: 1, Seq: 2,
		Proposal: &smartbftprotos.Proposal{Header: make([]byte, 32), Metadata: []byte{8, 1}}}}}
	frame, err := proposeFrame(m, []byte("body"))
	require.NoError(f, err)
	f.Add(frame)
	vote, err := libraryFrame(&smartbftprotos.Message{Content: &smartbftprotos.Message_Prepare{Prepare: &smartbftprotos.Prepare{View: 1, Seq: 2, Digest: "x"}}})
	require.NoError(f, err)
	f.Add(vote)
	f.Add(viewFrame(3, 4))
	f.Add(append([]byte{frameWaiting}, make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		switch b[0] {
		case frameLibrary:
			if m, err := parseLibrary(b[1:]); err == nil {
				require.NotNil(t, m.GetContent())
				require.Nil(t, m.GetPrePrepare())
			}
		case framePropose:
			if m, body, err := parsePropose(b[1:]); err == nil {
				require.Len(t, m.GetPrePrepare().Proposal.Header, 32)
				require.LessOrEqual(t, len(body), len(b))
			}
		case frameWaiting:
			if hashes, err := parseWaiting(b[1:]); err == nil {
				require.LessOrEqual(t, len(hashes), maxWaiting)
				require.Equal(t, b, waitingFrame(hashes))
			}
		case frameView:
			if at, err := parseView(b[1:]); err == nil {
				require.Equal(t, b, viewFrame(at.view, at.height))
			}
		}
	})
}
