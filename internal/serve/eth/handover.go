package eth

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// MaxProofHandovers is how many changes of the validator set one proof may carry; verifiers refuse more.
const MaxProofHandovers = 1024

// setChangesPage is how many changes jl_getSetChanges gives at once: with 128 validators each, some 3 MB.
const setChangesPage = 64

// Handover is one change of the validator set with what proves it: the header of the last block that the former set attested, which names the
// new set by its hash, and the former set's certificate of that header. The order of its fields is part of the form.
type Handover struct {
	// From is the first height that the new rule is for, one above Header's.
	From hexutil.Uint64 `json:"from"`
	// Header is RLP.
	Header      hexutil.Bytes    `json:"header"`
	Certificate ProofCertificate `json:"certificate"`
	// Engine and Validators are the new rule.
	Engine     chain.EngineKind `json:"engine"`
	Validators []validatorJSON  `json:"validators"`
}

// errNoHandover is a change whose proof this node lacks: a later certificate made that block final here, or the node began with a later state.
var errNoHandover = errors.New("this node has no certificate of the last block of a validator set, ask another one")

// errEarlierChanges is a proof that a node cannot make which joined by a snapshot.
var errEarlierChanges = errors.New("this node began with a later state and lacks the changes of the validator set before it, ask another one")

// GetSetChanges is jl_getSetChanges(fromHeight): the changes of the validator set that rule from that height or later, up to the finalized
// height, ascending, at most 64 of them; ask on from the last one's height + 1.
func (s *jlService) GetSetChanges(ctx context.Context, from hexutil.Uint64) ([]Handover, error) {
	return run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) ([]Handover, error) {
		return s.a.handovers(ctx, uint64(from), s.a.node.Finalized()+1, setChangesPage)
	})
}

// handovers are the changes with from ≤ From ≤ to, ascending, at most limit.
func (a *API) handovers(ctx context.Context, from, to uint64, limit int) ([]Handover, error) {
	changes, err := a.ledger.SetChanges(max(from, 1), limit) // the founding set needs no proof
	if err != nil {
		return nil, fmt.Errorf("read changes of the validator set: %w", err)
	}
	out := make([]Handover, 0, len(changes))
	for _, c := range changes {
		if c.From > to {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := a.handover(&c)
		if err != nil {
			return nil, fmt.Errorf("change of the validator set at block %d: %w", c.From, err)
		}
		if h != nil {
			out = append(out, *h)
		}
	}
	return out, nil
}

// proofHandovers are the changes that lead from the founding set to the one that attests height.
func (a *API) proofHandovers(ctx context.Context, height uint64) ([]Handover, error) {
	out, err := a.handovers(ctx, 1, height, MaxProofHandovers+1)
	if err != nil {
		return nil, err
	}
	if len(out) > MaxProofHandovers {
		return nil, fmt.Errorf("the validator set has changed more than %d times up to block %d: no proof carries more", MaxProofHandovers, height)
	}
	set, _, err := a.setsOf(0)
	if err != nil {
		return nil, err
	}
	for i := 0; i <= len(out); i++ {
		until := height
		if i < len(out) {
			until = uint64(out[i].From) - 1
		}
		own, next, err := a.setsOf(until)
		if err != nil {
			return nil, err
		}
		if own != set {
			return nil, errEarlierChanges
		}
		set = next
	}
	return out, nil
}

// setsOf are the hashes of the validator sets that a header names.
func (a *API) setsOf(height uint64) (own, next crypto.Hash, err error) {
	header, _, err := a.header(height)
	if err != nil {
		return own, next, err
	}
	extra, err := chain.DecodeExtra(header.Extra)
	if err != nil {
		return own, next, fmt.Errorf("block %d: %w", height, err)
	}
	return extra.Validators, extra.Next, nil
}

// handover proves a change; nil for one that is none: a ledger that began with a snapshot records the set that ruled then.
func (a *API) handover(c *chain.SetChange) (*Handover, error) {
	if own, _, err := a.setsOf(c.From - 1); err != nil || own == c.Rule.Hash(a.suite) {
		return nil, err
	}
	header, _, err := a.header(c.From - 1)
	if err != nil {
		return nil, err
	}
	certificate, err := a.ledger.Certificate(c.From - 1)
	if err != nil {
		return nil, fmt.Errorf("read certificate %d: %w", c.From-1, err)
	}
	if certificate == nil {
		return nil, fmt.Errorf("%w (block %d)", errNoHandover, c.From-1)
	}
	return &Handover{From: hexutil.Uint64(c.From), Header: headerRLP(header), Certificate: certificateJSON(certificate), Engine: c.Engine,
		Validators: validatorList(c.Set)}, nil
}

func validatorList(set chain.ValidatorSet) []validatorJSON {
	out := make([]validatorJSON, len(set))
	for i, v := range set {
		out[i] = validatorJSON{hexutil.Uint64(v.ID), v.PublicKey, v.Address}
	}
	return out
}
