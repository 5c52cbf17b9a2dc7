package bft

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/rlp"
	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

const (
	// maxMetadata bounds the library's metadata: three numbers.
	maxMetadata = 64
	// maxAux bounds what a commit says beside the proposal: the numbers of those whose prepares it saw, up to ten bytes and a little each.
	maxAux = 16 * chain.MaxValidators
	// maxSignature bounds a signature of any suite.
	maxSignature = 256
	// maxProof bounds an encoded proof.
	maxProof = maxMetadata + chain.MaxValidators*(maxAux+maxSignature+32)
)

// proof is agreement on a decision: the library's metadata of the proposal and commit signatures of exactly a quorum, ascending by validator.
type proof struct {
	Metadata []byte
	Commits  []commit
}

type commit struct {
	Validator uint64
	// Aux is what the validator signed behind the head.
	Aux       []byte
	Signature []byte
}

// newProof takes a quorum of sigs, whatever their order.
func newProof(metadata []byte, sigs []types.Signature, quorum int) (*proof, error) {
	p := &proof{Metadata: metadata}
	seen := make(map[uint64]bool, len(sigs))
	for _, s := range sigs {
		_, aux, err := parseHead(s.Msg)
		if seen[s.ID] || err != nil {
			continue
		}
		seen[s.ID] = true
		p.Commits = append(p.Commits, commit{s.ID, aux, s.Value})
	}
	if len(p.Commits) < quorum {
		return nil, fmt.Errorf("%d commit signatures, the quorum is %d", len(p.Commits), quorum)
	}
	slices.SortFunc(p.Commits, func(a, b commit) int {
		if a.Validator < b.Validator {
			return -1
		}
		return 1
	})
	p.Commits = p.Commits[:quorum]
	return p, nil
}

func (p *proof) encode() []byte {
	b, err := rlp.EncodeToBytes(p)
	if err != nil {
		panic("bft: encode proof: " + err.Error()) // all fields are encodable types
	}
	return b
}

// decodeProof reverses encode; it checks form and bounds.
func decodeProof(b []byte) (*proof, error) {
	if len(b) > maxProof {
		return nil, fmt.Errorf("decode proof: %d bytes, at most %d", len(b), maxProof)
	}
	p := new(proof)
	if err := rlp.DecodeBytes(b, p); err != nil {
		return nil, fmt.Errorf("decode proof: %w", err)
	}
	if len(p.Metadata) > maxMetadata || len(p.Commits) > chain.MaxValidators {
		return nil, fmt.Errorf("decode proof: %d bytes of metadata and %d signatures are too much", len(p.Metadata), len(p.Commits))
	}
	var last uint64
	for _, c := range p.Commits {
		if c.Validator <= last {
			return nil, fmt.Errorf("decode proof: validator %d after %d", c.Validator, last)
		}
		if len(c.Aux) > maxAux || len(c.Signature) > maxSignature {
			return nil, fmt.Errorf("decode proof: the commit of validator %d is too large", c.Validator)
		}
		last = c.Validator
	}
	return p, nil
}

// parseMetadata reads the library's metadata of a proposal.
func parseMetadata(b []byte) (*smartbftprotos.ViewMetadata, error) {
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("%d bytes of metadata, at most %d", len(b), maxMetadata)
	}
	md := new(smartbftprotos.ViewMetadata)
	if err := proto.Unmarshal(b, md); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if len(md.BlackList) > 0 || len(md.PrevCommitSignatureDigest) > 0 {
		return nil, fmt.Errorf("metadata: a black list or earlier commits, which only rotating leaders have")
	}
	return md, nil
}

// leaderOf is the leader of a view.
func leaderOf(set chain.ValidatorSet, view uint64) chain.ValidatorID {
	return set[view%uint64(len(set))].ID
}

// VerifyDecision implements order.Engine.
func (e *Engine) VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: height %d: %w", order.ErrProof, d.Height, fmt.Errorf(format, args...))
	}
	if err := d.Validate(); err != nil {
		return bad("%w", err)
	}
	p, err := decodeProof(d.Proof)
	if err != nil {
		return bad("%w", err)
	}
	md, err := parseMetadata(p.Metadata)
	if err != nil {
		return bad("%w", err)
	}
	quorum := chain.BFT.Quorum(len(set))
	switch {
	case len(set) == 0:
		return bad("there are no validators")
	case md.LatestSequence != d.Height:
		return bad("the proof is of height %d", md.LatestSequence)
	case leaderOf(set, md.ViewId) != d.Proposer:
		return bad("validator %d proposed, view %d is %d's", d.Proposer, md.ViewId, leaderOf(set, md.ViewId))
	case len(p.Commits) != quorum:
		return bad("%d commits, a quorum is %d", len(p.Commits), quorum)
	}
	hash := d.Hash(e.cfg.Suite)
	signed := headOf(e.cfg.Suite, hash[:], md, p.Metadata).encode()
	for _, c := range p.Commits {
		v := set.Find(chain.ValidatorID(c.Validator))
		if v == nil {
			return bad("%d is no validator", c.Validator)
		}
		msg := commitMessage(append(bytes.Clone(signed), c.Aux...))
		if err := order.VerifySig(e.cfg.Suite, e.cfg.GenesisHash, v, msg, c.Signature); err != nil {
			return bad("%w", err)
		}
		if bytes.Equal(v.PublicKey, e.cfg.Public) {
			e.recognise(v, append(bytes.Clone(signed), c.Aux...), c.Signature)
		}
	}
	return nil
}

// checkpoint is the decision on which a session stands, in the library's terms. Where another engine has proven it, it is view 0's, without commits: every member
// of the session has it, verified by the rule of its height, or would not have begun the session.
func (e *Engine) checkpoint(d *chain.Decision) (types.Decision, *smartbftprotos.ViewMetadata, error) {
	if d == nil || d.Height >= e.cfg.From {
		return checkpoint(e.cfg.Suite, d)
	}
	md := &smartbftprotos.ViewMetadata{LatestSequence: d.Height}
	raw, err := proto.Marshal(md)
	if err != nil {
		return types.Decision{}, nil, fmt.Errorf("encode where the term begins: %w", err)
	}
	hash := d.Hash(e.cfg.Suite)
	return types.Decision{Proposal: types.Proposal{Header: hash[:], Metadata: raw}}, md, nil
}

// checkpoint is the decision in the library's terms; the zero value for none.
func checkpoint(suite crypto.Suite, d *chain.Decision) (types.Decision, *smartbftprotos.ViewMetadata, error) {
	if d == nil {
		return types.Decision{}, &smartbftprotos.ViewMetadata{}, nil
	}
	p, err := decodeProof(d.Proof)
	if err != nil {
		return types.Decision{}, nil, fmt.Errorf("last decision: %w", err)
	}
	md, err := parseMetadata(p.Metadata)
	if err != nil {
		return types.Decision{}, nil, fmt.Errorf("last decision: %w", err)
	}
	hash := d.Hash(suite)
	signed := headOf(suite, hash[:], md, p.Metadata).encode()
	out := types.Decision{Proposal: types.Proposal{Header: hash[:], Metadata: p.Metadata}}
	for _, c := range p.Commits {
		out.Signatures = append(out.Signatures, types.Signature{ID: c.Validator, Value: c.Signature, Msg: append(bytes.Clone(signed), c.Aux...)})
	}
	return out, md, nil
}
