package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// maxHandovers bounds the changes of the validator set that one proof may carry: each costs its verifier a quorum of signatures. Where a chain
// has had more, trust a later set (see Trust.Follow).
const maxHandovers = 1024

// Handover is the evidence that one validator set gave way to another: the header of the last block that the former attested, which names the
// latter by its hash, and the former's signatures on that header. It is what jl_getSetChanges returns.
type Handover struct {
	// From is the first height that the new set attests, one above the header's.
	From hexutil.Uint64 `json:"from"`
	// Header is RLP.
	Header      hexutil.Bytes    `json:"header"`
	Certificate ProofCertificate `json:"certificate"`
	// Engine is the new engine, which may be the old one: it says how many of the new set must sign.
	Engine string `json:"engine"`
	// Validators is the new set, sorted by ID.
	Validators []HandoverValidator `json:"validators"`
}

// HandoverValidator is a validator as the hash of its set covers it.
type HandoverValidator struct {
	ID        hexutil.Uint64 `json:"id"`
	PublicKey hexutil.Bytes  `json:"publicKey"`
	Address   common.Address `json:"address"`
}

// SetChanges asks the node for the changes of the validator set that rule from height from or later, ascending: as many as the node gives at
// once, none when there is no further one up to the finalized block. The result is not verified: see Trust.Follow.
func (c *Client) SetChanges(ctx context.Context, from uint64) ([]Handover, error) {
	var out []Handover
	if err := c.rpc.CallContext(ctx, &out, "jl_getSetChanges", hexutil.Uint64(from)); err != nil {
		return nil, describe("get changes of the validator set", err)
	}
	return out, nil
}

// Certificate asks the node for the certificate of the block at height; nil while there is none. The result is not verified: see
// VerifyCertificate.
func (c *Client) Certificate(ctx context.Context, height uint64) (*ProofCertificate, error) {
	var out *ProofCertificate
	if err := c.rpc.CallContext(ctx, &out, "jl_getCertificate", hexutil.Uint64(height)); err != nil {
		return nil, describe("get certificate", err)
	}
	return out, nil
}

// VerifyCertificate checks that a quorum of t's validators signed what c names, and returns who did. It needs no node. Whether they are the
// validators of that height, the certified header says (see Verify). Every error wraps ErrProof, or ErrTrust where t itself cannot be.
func VerifyCertificate(c *ProofCertificate, t *Trust) ([]TrustedValidator, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	s, err := suiteByName(t.Suite)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	signers, err := c.verify(s, t)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrProof, err)
	}
	return signers, nil
}

// Follow is the trust in the set to which changes lead from t's: each must be certified by a quorum of the set before it. Changes up to t.From
// are skipped. It needs no node. Errors wrap ErrProof, or ErrTrust where t itself cannot be.
func (t *Trust) Follow(changes []Handover) (*Trust, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	s, err := suiteByName(t.Suite)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	out, err := t.follow(s, changes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return out, nil
}

// follow walks from t's set by the changes after t.From to the last one.
func (t *Trust) follow(s *suite, changes []Handover) (*Trust, error) {
	if len(changes) > maxHandovers {
		return nil, fmt.Errorf("%d changes of the validator set, at most %d", len(changes), maxHandovers)
	}
	current := t
	for i := range changes {
		if i > 0 && changes[i].From <= changes[i-1].From {
			return nil, fmt.Errorf("change %d of the validator set is at block %d, the one before at %d", i, uint64(changes[i].From), uint64(changes[i-1].From))
		}
		if changes[i].From <= t.From {
			continue
		}
		next, err := current.handOver(s, &changes[i])
		if err != nil {
			return nil, fmt.Errorf("change of the validator set at block %d: %w", uint64(changes[i].From), err)
		}
		current = next
	}
	return current, nil
}

// handOver is the trust in the set that t's set has handed over to.
func (t *Trust) handOver(s *suite, h *Handover) (*Trust, error) {
	header, extra, err := decodeHeader(h.Header)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	own, err := t.ruleHash(s)
	if err != nil {
		return nil, err
	}
	next, err := t.with(h.Engine, h.Validators, h.From)
	if err != nil {
		return nil, err
	}
	set, err := next.ruleHash(s)
	if err != nil {
		return nil, err
	}
	height, c := header.Number.Uint64(), &h.Certificate
	switch {
	case height+1 != uint64(h.From) || height == ^uint64(0):
		return nil, fmt.Errorf("its header is of block %d", height)
	case extra.Validators != own:
		return nil, fmt.Errorf("block %d is attested by other validators than those that the trusted ones lead to; a change is missing", height)
	case extra.Next != set:
		return nil, fmt.Errorf("block %d names other validators than those that are given", height)
	case set == own:
		return nil, errors.New("it changes nothing")
	case uint64(c.Height) != height || c.Block != crypto.Keccak256Hash(h.Header) || c.Header != s.sum(h.Header):
		return nil, errors.New("the certificate is of another header")
	}
	if _, err := c.verify(s, t); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return next, nil
}

// with is t with another engine and set, from a height on. Names are carried over by id: no hash covers them.
func (t *Trust) with(engine string, set []HandoverValidator, from hexutil.Uint64) (*Trust, error) {
	next := *t
	next.Engine, next.From = engine, from
	if len(set) > maxTrustedValidators {
		return nil, fmt.Errorf("%d validators, at most %d", len(set), maxTrustedValidators)
	}
	next.Validators = make([]TrustedValidator, len(set))
	for i, v := range set {
		next.Validators[i] = TrustedValidator{v.ID, fmt.Sprintf("validator %d", uint64(v.ID)), v.PublicKey, v.Address}
		if at := slices.IndexFunc(t.Validators, func(o TrustedValidator) bool { return o.ID == v.ID }); at >= 0 {
			next.Validators[i].Name = t.Validators[at].Name
		}
	}
	var err error
	if next.Quorum, err = quorum(next.Engine, len(set)); err != nil {
		return nil, err
	}
	if err := next.Validate(); err != nil {
		return nil, fmt.Errorf("its set: %v", err) // not wrapped: it is not the caller's trust that is wrong
	}
	return &next, nil
}

// verify checks the signatures against t's set. Each is over: "jialing/attest/1" ‖ genesis(32) ‖ height(8, big-endian) ‖ header(32).
func (c *ProofCertificate) verify(s *suite, t *Trust) ([]TrustedValidator, error) {
	if t.Work != nil || c.Kind != "" || len(c.Work) > 0 {
		return nil, errors.New("no signatures, but work: that is verified with its block (Verify)")
	}
	if len(c.Attestations) < t.Quorum || len(c.Attestations) > len(t.Validators) {
		return nil, fmt.Errorf("%d signatures, want %d to %d", len(c.Attestations), t.Quorum, len(t.Validators))
	}
	msg := append([]byte("jialing/attest/1"), t.Genesis[:]...)
	msg = binary.BigEndian.AppendUint64(msg, uint64(c.Height))
	msg = append(msg, c.Header[:]...)
	signers := make([]TrustedValidator, 0, len(c.Attestations))
	for i, a := range c.Attestations {
		if i > 0 && a.Validator <= c.Attestations[i-1].Validator {
			return nil, errors.New("the signatures are not sorted by validator, or one is there twice")
		}
		at := slices.IndexFunc(t.Validators, func(v TrustedValidator) bool { return v.ID == a.Validator })
		if at < 0 {
			return nil, fmt.Errorf("validator %d is none of the trusted ones", uint64(a.Validator))
		}
		v := t.Validators[at]
		if !s.verify(v.PublicKey, msg, a.Signature) {
			return nil, fmt.Errorf("the signature of validator %d (%s) does not verify", uint64(v.ID), v.Name)
		}
		signers = append(signers, v)
	}
	return signers, nil
}

// ruleHash is the hash of an engine and a set as headers carry it: the suite's over a domain and the RLP of [engine, [[id, public key, address]…]].
func ruleHash(s *suite, engine string, set []HandoverValidator) (common.Hash, error) {
	type member struct {
		ID        uint64
		PublicKey []byte
		Address   common.Address
	}
	members := make([]member, len(set))
	for i, v := range set {
		members[i] = member{uint64(v.ID), v.PublicKey, v.Address}
	}
	b, err := rlp.EncodeToBytes(&struct {
		Engine  string
		Members []member
	}{engine, members})
	if err != nil {
		return common.Hash{}, fmt.Errorf("encode validators: %w", err)
	}
	return s.sum([]byte("jialing/rule/1"), b), nil
}
