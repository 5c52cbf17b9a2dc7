package client_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// consortium is a chain of several validators whose set changes, made with internal/chain.
type consortium struct {
	*ledger
	keys map[chain.ValidatorID]crypto.PrivateKey
	// from maps first heights to sets; 1 is the founding one's.
	from map[uint64]chain.ValidatorSet
}

// newConsortium makes a chain of length blocks. The set from each height of changes on has these members; the founding set is 1 to 4.
func newConsortium(t require.TestingT, length uint64, changes map[uint64][]chain.ValidatorID) *consortium {
	key, err := suite.ParsePrivateKey(gethcrypto.Keccak256(nil))
	require.NoError(t, err)
	c := &consortium{ledger: &ledger{genesis: newGenesis(t, key)}, keys: map[chain.ValidatorID]crypto.PrivateKey{}, from: map[uint64]chain.ValidatorSet{}}
	g := c.genesis
	g.Consensus.Engine, g.Consensus.BFT, g.Validators = chain.BFT, chain.DefaultBFTParams(), nil
	for i, v := range c.set(t, 1, 2, 3, 4) {
		g.Validators = append(g.Validators, chain.GenesisValidator{ID: v.ID, Name: fmt.Sprintf("founder %d", i+1), PublicKey: v.PublicKey, Address: v.Address})
	}
	require.NoError(t, g.Validate())
	c.from[1] = g.ValidatorSet()
	for h, ids := range changes {
		c.from[h] = c.set(t, ids...)
	}
	header0 := g.Header(suite, g.Writes(hashCode), stateRoot(t, g))
	c.headers = []*chain.Header{header0}
	c.root, err = chain.HeaderHash(suite, header0)
	require.NoError(t, err)
	for h := uint64(1); h <= length; h++ {
		c.block(t, c.headers[0])
	}
	return c
}

func (c *consortium) set(t require.TestingT, ids ...chain.ValidatorID) (set chain.ValidatorSet) {
	for _, id := range ids {
		if c.keys[id] == nil {
			// The same in every process, or the fuzzer's seeds would be of another chain in each of its workers.
			key, err := suite.ParsePrivateKey(gethcrypto.Keccak256([]byte{byte(id)}))
			require.NoError(t, err)
			c.keys[id] = key
		}
		set = append(set, chain.Validator{ID: id, PublicKey: c.keys[id].Public().Bytes(), Address: common.BytesToAddress([]byte{byte(id)})})
	}
	return set
}

func (c *consortium) at(height uint64) chain.ValidatorSet {
	for ; ; height-- {
		if set := c.from[height]; set != nil {
			return set
		}
	}
}

// block appends one with the records of another.
func (c *consortium) block(t require.TestingT, records *chain.Header) {
	parent := c.headers[len(c.headers)-1]
	height := parent.Number.Uint64() + 1
	parentHash, err := chain.HeaderHash(suite, parent)
	require.NoError(t, err)
	of, err := chain.DecodeExtra(records.Extra)
	require.NoError(t, err)
	extra := chain.Extra{Millis: 456, Parent: parentHash, Validators: c.rule(height).Hash(suite), Next: c.rule(height + 1).Hash(suite), Records: of.Records}
	h := types.CopyHeader(parent)
	h.ParentHash, h.Number, h.Extra, h.TxHash, h.ReceiptHash = parent.Hash(), new(big.Int).SetUint64(height), extra.Encode(), records.TxHash, records.ReceiptHash
	c.headers = append(c.headers, h)
}

// certify is the signature of the first n validators of its set on a block.
func (c *consortium) certify(t require.TestingT, height uint64, n int) client.ProofCertificate {
	h := c.headers[height]
	hash, err := chain.HeaderHash(suite, h)
	require.NoError(t, err)
	out := client.ProofCertificate{Height: hexutil.Uint64(height), Block: h.Hash(), Header: common.Hash(hash)}
	for _, v := range c.at(height)[:n] {
		sig, err := c.keys[v.ID].Sign(chain.AttestationMessage(c.root, height, hash))
		require.NoError(t, err)
		out.Attestations = append(out.Attestations, client.ProofAttestation{Validator: hexutil.Uint64(v.ID), Signature: sig})
	}
	return out
}

func (c *consortium) rule(height uint64) *chain.Rule {
	return &chain.Rule{Engine: chain.BFT, Set: c.at(height)}
}

func (c *consortium) quorum(height uint64) int { return chain.BFT.Quorum(len(c.at(height))) }

// handovers are those up to height, oldest first.
func (c *consortium) handovers(t require.TestingT, height uint64) []client.Handover {
	out := []client.Handover{}
	for h := uint64(2); h <= height; h++ {
		set := c.from[h]
		if set == nil {
			continue
		}
		raw, err := rlp.EncodeToBytes(c.headers[h-1])
		require.NoError(t, err)
		one := client.Handover{From: hexutil.Uint64(h), Header: raw, Certificate: c.certify(t, h-1, c.quorum(h-1)), Engine: "bft"}
		for _, v := range set {
			one.Validators = append(one.Validators, client.HandoverValidator{ID: hexutil.Uint64(v.ID), PublicKey: v.PublicKey, Address: v.Address})
		}
		out = append(out, one)
	}
	return out
}

func (c *consortium) trusted(t require.TestingT) *client.Trust {
	trust, err := client.ParseTrust(c.genesis.Encode())
	require.NoError(t, err)
	return trust
}

// threeSets: at 4 validator 5 joins and 1 leaves, at 5 validators 6 and 7 join, at 8 only 4 to 7 remain.
func threeSets(t require.TestingT) *consortium {
	return newConsortium(t, 12, map[uint64][]chain.ValidatorID{4: {2, 3, 4, 5}, 5: {2, 3, 4, 5, 6, 7}, 8: {4, 5, 6, 7}})
}

// proveTx appends a block with one transaction and links after it, and proves the transaction by the last block's certificate.
func (c *consortium) proveTx(t *testing.T, links int) *client.Proof {
	one := newLedger(t, 1, 0, 0)
	first := uint64(len(c.headers))
	header1 := one.headers[1]
	c.block(t, header1)
	for range links {
		c.block(t, c.headers[0])
	}
	last := uint64(len(c.headers) - 1)
	p := one.proof
	p.Genesis, p.BlockHash, p.Header, p.Links = common.Hash(c.root), c.headers[first].Hash(), nil, []hexutil.Bytes{}
	for h := first; h <= last; h++ {
		raw, err := rlp.EncodeToBytes(c.headers[h])
		require.NoError(t, err)
		if h == first {
			p.Header = raw
		} else {
			p.Links = append(p.Links, raw)
		}
	}
	p.Certificate, p.Handovers = c.certify(t, last, c.quorum(last)), c.handovers(t, last)
	return p
}

func TestProofsHoldAcrossChangesOfTheSet(t *testing.T) {
	for _, length := range []uint64{1, 2, 3, 6, 9} {
		for _, links := range []int{0, 1, 3} {
			c := newConsortium(t, length, map[uint64][]chain.ValidatorID{4: {2, 3, 4, 5}, 5: {2, 3, 4, 5, 6, 7}, 8: {4, 5, 6, 7}})
			p, err := client.ParseProof(c.proveTx(t, links).Encode())
			require.NoError(t, err)
			got, err := client.Verify(p, c.trusted(t))
			require.NoError(t, err, "block %d, %d links", length+1, links)
			at := length + 1 + uint64(links)
			require.Equal(t, length+1, got.Height)
			require.Equal(t, at, got.CertifiedHeight)
			require.Equal(t, c.quorum(at), got.Quorum)
			require.Len(t, c.at(at), got.Validators)
			require.Len(t, got.Signers, got.Quorum)
			for _, s := range got.Signers {
				require.Equal(t, map[bool]string{true: fmt.Sprintf("founder %d", s.ID), false: fmt.Sprintf("validator %d", s.ID)}[s.ID <= 4], s.Name)
			}
		}
	}
}

func TestEveryByteOfAHandoverCounts(t *testing.T) {
	c := newConsortium(t, 5, map[uint64][]chain.ValidatorID{4: {2, 3, 4, 5}})
	trust := c.trusted(t)
	file := c.proveTx(t, 0).Encode()
	require.NoError(t, parseAndVerify(file, trust))
	begin := bytes.Index(file, []byte(`"handovers"`))
	require.Positive(t, begin)
	for i := begin; i < len(file); i++ {
		bad := bytes.Clone(file)
		bad[i] ^= 0x01
		require.ErrorIs(t, parseAndVerify(bad, trust), client.ErrProof, "byte %d: %q for %q", i, bad[i], file[i])
	}
}

func TestFollowRefusesForgedHandovers(t *testing.T) {
	for name, f := range map[string]struct {
		want  string
		forge func(c *consortium, h []client.Handover) []client.Handover
	}{
		"one missing":       {"a change is missing", func(_ *consortium, h []client.Handover) []client.Handover { return append(h[:1], h[2:]...) }},
		"the first missing": {"a change is missing", func(_ *consortium, h []client.Handover) []client.Handover { return h[1:] }},
		"back in time":      {"at block 4, the one before at 5", func(_ *consortium, h []client.Handover) []client.Handover { return append(h[:2:2], h[0]) }},
		"one twice":         {"at block 8, the one before at 8", func(_ *consortium, h []client.Handover) []client.Handover { return append(h, h[2]) }},
		"another height":    {"its header is of block 3", func(_ *consortium, h []client.Handover) []client.Handover { h[0].From = 5; return h }},
		"no header":         {"decode", func(_ *consortium, h []client.Handover) []client.Handover { h[0].Header = nil; return h }},
		"another's header":  {"its header is of block 4", func(_ *consortium, h []client.Handover) []client.Handover { h[0].Header = h[1].Header; return h }},
		"another certificate": {"of another header", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Certificate = h[1].Certificate
			return h
		}},
		"too few signatures": {"2 signatures, want 3 to 4", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Certificate.Attestations = h[0].Certificate.Attestations[:2]
			return h
		}},
		"a quorum of four for six": {"3 signatures, want 4 to 6", func(_ *consortium, h []client.Handover) []client.Handover {
			h[2].Certificate.Attestations = h[2].Certificate.Attestations[:3]
			return h
		}},
		"one signature twice": {"not sorted", func(_ *consortium, h []client.Handover) []client.Handover {
			a := h[0].Certificate.Attestations
			a[1] = a[0]
			return h
		}},
		"signed by the new set": {"validator 5 is none", func(c *consortium, h []client.Handover) []client.Handover {
			a := h[0].Certificate.Attestations
			sig, err := c.keys[5].Sign(chain.AttestationMessage(c.root, 3, crypto.Hash(h[0].Certificate.Header)))
			if err != nil {
				panic(err)
			}
			a[2] = client.ProofAttestation{Validator: 5, Signature: sig}
			return h
		}},
		"a set that hashes elsewhere": {"names other validators", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Validators[3].Address[0] ^= 1
			return h
		}},
		"a key of the attacker": {"names other validators", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Validators[0].PublicKey = make([]byte, 32)
			return h
		}},
		"another engine":                {"names other validators", func(_ *consortium, h []client.Handover) []client.Handover { h[0].Engine = "pos"; return h }},
		"an engine that asks for fewer": {"names other validators", func(_ *consortium, h []client.Handover) []client.Handover { h[0].Engine = "raft"; return h }},
		"no engine":                     {"unknown to this version", func(_ *consortium, h []client.Handover) []client.Handover { h[0].Engine = ""; return h }},
		"one more member": {"names other validators", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Validators = append(h[0].Validators, client.HandoverValidator{ID: 99, PublicKey: make([]byte, 32)})
			return h
		}},
		"unsorted set": {"ids are nonzero and ascending", func(_ *consortium, h []client.Handover) []client.Handover { slices.Reverse(h[0].Validators); return h }},
		"empty set":    {"with 0 validators", func(_ *consortium, h []client.Handover) []client.Handover { h[0].Validators = nil; return h }},
		"three members": {"with 3 validators", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Validators = h[0].Validators[:3]
			return h
		}},
		"a huge set": {"at most 512", func(_ *consortium, h []client.Handover) []client.Handover {
			h[0].Validators = make([]client.HandoverValidator, 513)
			return h
		}},
		"thousands": {"at most 1024", func(_ *consortium, h []client.Handover) []client.Handover {
			for len(h) < 5000 {
				h = append(h, h[0], h[1])
			}
			return h
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := threeSets(t)
			h := f.forge(c, c.handovers(t, 12))
			_, err := c.trusted(t).Follow(h)
			require.ErrorIs(t, err, client.ErrProof)
			require.NotErrorIs(t, err, client.ErrTrust)
			require.ErrorContains(t, err, f.want)
			p := c.proveTx(t, 0)
			p.Handovers = h
			_, err = client.Verify(p, c.trusted(t))
			require.ErrorIs(t, err, client.ErrProof)
		})
	}
}

// TestFollowThroughCycles: a set may come back; every change is of its height and of no other.
func TestFollowThroughCycles(t *testing.T) {
	a, b := []chain.ValidatorID{1, 2, 3, 4}, []chain.ValidatorID{3, 4, 5, 6}
	c := newConsortium(t, 20, map[uint64][]chain.ValidatorID{3: b, 5: a, 7: b, 9: a, 11: {4, 5, 6, 7}})
	h := c.handovers(t, 20)
	got, err := c.trusted(t).Follow(h)
	require.NoError(t, err)
	require.EqualValues(t, 7, got.Validators[3].ID)
	require.EqualValues(t, 11, got.From)
	// The same changes again, as if they came later.
	again := append(slices.Clone(h[:2]), h[0], h[1])
	_, err = c.trusted(t).Follow(again)
	require.ErrorContains(t, err, "at block 3, the one before at 5")
	again[2].From, again[3].From = 100, 102
	_, err = c.trusted(t).Follow(again)
	require.ErrorContains(t, err, "its header is of block 2")
	// From the middle: what came before is not looked at, what comes after must fit.
	middle, err := c.trusted(t).Follow(h[:3])
	require.NoError(t, err)
	h[0].Header = nil
	_, err = middle.Follow(h)
	require.NoError(t, err)
	_, err = middle.Follow(h[4:])
	require.ErrorContains(t, err, "a change is missing")
	// A loop that nobody signed.
	for i := range h {
		h[i].Certificate.Attestations = nil
	}
	_, err = middle.Follow(h)
	require.ErrorIs(t, err, client.ErrProof)
}

func TestALaterTrustNeedsNoEarlierChange(t *testing.T) {
	c := threeSets(t)
	h := c.handovers(t, 12)
	second, err := c.trusted(t).Follow(h[:2])
	require.NoError(t, err)
	require.Equal(t, 4, second.Quorum, "of six")
	second, err = client.ParseTrust(second.Encode())
	require.NoError(t, err)
	p := c.proveTx(t, 0)
	for _, handovers := range [][]client.Handover{h, h[1:], h[2:]} {
		p.Handovers = handovers
		_, err = client.Verify(p, second)
		require.NoError(t, err)
	}
	p.Handovers = []client.Handover{}
	_, err = client.Verify(p, second)
	require.ErrorContains(t, err, "other validators than the trusted ones")
	last, err := second.Follow(h)
	require.NoError(t, err)
	_, err = client.Verify(p, last)
	require.NoError(t, err)
	same, err := last.Follow(nil)
	require.NoError(t, err)
	require.Equal(t, last, same)
}

func TestVerifyCertificate(t *testing.T) {
	c := threeSets(t)
	founders := c.trusted(t)
	good := c.certify(t, 2, 3)
	signers, err := client.VerifyCertificate(&good, founders)
	require.NoError(t, err)
	require.Len(t, signers, 3)
	require.Equal(t, "founder 1", signers[0].Name)
	few := c.certify(t, 2, 2)
	_, err = client.VerifyCertificate(&few, founders)
	require.ErrorIs(t, err, client.ErrProof)
	later := c.certify(t, 9, 3)
	_, err = client.VerifyCertificate(&later, founders)
	require.ErrorIs(t, err, client.ErrProof)
	now, err := founders.Follow(c.handovers(t, 9))
	require.NoError(t, err)
	_, err = client.VerifyCertificate(&later, now)
	require.NoError(t, err)
	later.Height++
	_, err = client.VerifyCertificate(&later, now)
	require.ErrorIs(t, err, client.ErrProof)
	now.Quorum = 1
	_, err = client.VerifyCertificate(&later, now)
	require.ErrorIs(t, err, client.ErrTrust)
}

// TestAnyHistoryOfSets: whatever sets follow each other, the changes lead from the founders to the last, and none can be left out.
func TestAnyHistoryOfSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		changes := map[uint64][]chain.ValidatorID{}
		ids := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 12), 4, 9, rapid.ID[uint64])
		for h := uint64(2); h <= 14; h++ {
			if rapid.IntRange(0, 2).Draw(t, "changes") > 0 {
				continue
			}
			drawn := ids.Draw(t, "set")
			slices.Sort(drawn)
			for _, id := range drawn {
				changes[h] = append(changes[h], chain.ValidatorID(id))
			}
		}
		c := newConsortium(t, 15, changes)
		for h := uint64(2); h <= 14; h++ {
			if c.from[h] != nil && c.rule(h).Hash(suite) == c.rule(h-1).Hash(suite) {
				delete(c.from, h) // no change
			}
		}
		h := c.handovers(t, 15)
		now, err := c.trusted(t).Follow(h)
		require.NoError(t, err)
		require.Equal(t, c.quorum(15), now.Quorum)
		require.Len(t, now.Validators, len(c.at(15)))
		for i, v := range c.at(15) {
			require.EqualValues(t, v.PublicKey, now.Validators[i].PublicKey)
		}
		if len(h) < 2 {
			return
		}
		// Without one in the middle only a chain of equal sets may still hold.
		out := rapid.IntRange(0, len(h)-2).Draw(t, "left out")
		if got, err := c.trusted(t).Follow(slices.Delete(slices.Clone(h), out, out+1)); err == nil {
			require.Equal(t, now.Validators[0].PublicKey, got.Validators[0].PublicKey)
			require.Equal(t, now.Quorum, got.Quorum)
		} else {
			require.ErrorIs(t, err, client.ErrProof)
		}
	})
}

// FuzzFollow: no file makes a verifier panic, and none but the true changes leads anywhere.
func FuzzFollow(f *testing.F) {
	t := new(testing.T)
	c := newConsortium(t, 6, map[uint64][]chain.ValidatorID{3: {2, 3, 4, 5}, 5: {2, 3, 4, 5, 6}})
	trust := c.trusted(t)
	want, err := trust.Follow(c.handovers(t, 6))
	if err != nil {
		f.Fatal(err)
	}
	for height := range uint64(7) {
		file, err := json.Marshal(c.handovers(t, height))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var changes []client.Handover
		if json.Unmarshal(file, &changes) != nil {
			return
		}
		got, err := trust.Follow(changes)
		if err != nil {
			require.ErrorIs(t, err, client.ErrProof)
			return
		}
		switch got.From {
		case 0:
			require.Equal(t, trust, got)
		case 3, 5:
			require.LessOrEqual(t, len(got.Validators), len(want.Validators))
			for _, v := range got.Validators {
				require.EqualValues(t, c.keys[chain.ValidatorID(v.ID)].Public().Bytes(), v.PublicKey)
			}
		default:
			t.Fatalf("the changes lead to a set from height %d, which there is not", got.From)
		}
	})
}
