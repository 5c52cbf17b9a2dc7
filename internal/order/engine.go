package order

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// PeerID names an authenticated peer: a validator's number, or one that the network gives to a node that is none.
type PeerID uint64

// Engine orders; it never executes. All engines pass ordertest.
type Engine interface {
	// Run orders until ctx ends (nil) or until it cannot go on, as when Host.Deliver fails (that error). It blocks until its goroutines have
	// ended and is called once. It starts from what Host.Sync returns, and with a look into the pool: what waits there may have rung before.
	Run(ctx context.Context, h Host) error
	// Pending is the doorbell: the pool has work. It never blocks and may ring without need and before Run.
	Pending()
	// Handle takes a message of an authenticated peer. It never blocks; what there is no room for is dropped, so engines repeat themselves.
	// The message is not trusted and belongs to the engine.
	Handle(from PeerID, msg []byte)
	// VerifyDecision checks by d.Proof that set agreed on d. It needs no running engine. The error wraps ErrProof.
	VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error
	// Status may be asked at any time.
	Status() Status
}

// Host is what a node gives an engine. Deliver and Sync are called by one goroutine at a time, the others by any.
type Host interface {
	// Build proposes what follows parent (nil before the first decision). It waits for a batch to fill once it has its first transaction, at most the
	// genesis's batch time, and for parent's block to be final, at most Config.Pace. With an empty pool it returns an empty proposal at once: whether to
	// decide on that is the engine's choice.
	Build(ctx context.Context, parent *chain.Decision) (*Proposal, error)
	// Verify checks another node's proposal and waits, bounded, for transactions that are still on their way. The error wraps ErrProposal.
	Verify(ctx context.Context, p *Proposal) error
	// Hold waits, bounded, for the transactions of a proposal whose place among the decisions is not known yet, and keeps them across a crash, at the latest
	// from the engine's next entry in its journal on. The error wraps ErrProposal when they do not come.
	Hold(ctx context.Context, p *Proposal) error
	// Deliver keeps d and hands it on; what the engine journals afterwards is not durable without it. It waits while the pipeline is full. After an error nothing
	// is handed on and the engine must stop, except that after ctx ended d may be kept. Delivering the same decision again is harmless. A non-nil set rules from
	// the next height.
	Deliver(ctx context.Context, d *chain.Decision) (chain.ValidatorSet, error)
	// Sync brings the ledger to height from if the network can (0: as far as the peers are that it knows), and returns the last decision, nil
	// before the first, with the set that rules the height after it. Decisions that it fetches are verified, kept and handed on as those of
	// Deliver are. It may block for long; what it cannot get is no error.
	Sync(ctx context.Context, from uint64) (*chain.Decision, chain.ValidatorSet, error)
	// Behind rings when peers are ahead of the ledger: an engine that does not hear the others itself calls Sync then. It holds one ring.
	Behind() <-chan struct{}
	// Overdue lists up to max transactions that this node could have proposed for longer than wait, while decisions had room or none was made.
	Overdue(wait time.Duration, max int) []common.Hash
	// Wanted gets those of hashes that the pool lacks from the peer, which waits for them to be decided. It does not wait for that.
	Wanted(from PeerID, hashes []common.Hash)
	// Sign signs msg with the node's key under SigningMessage. Persist what the signature promises before sending it.
	Sign(msg []byte) ([]byte, error)
	// VerifySig checks a signature of Sign.
	VerifySig(v *chain.Validator, msg, sig []byte) error
	// Send and Broadcast never block; a message that finds no room is lost.
	Send(to PeerID, msg []byte)
	Broadcast(msg []byte)
}

// Journal is what an engine must remember across a crash. Called by one goroutine at a time.
type Journal interface {
	// Append makes entry durable behind those before it. With truncate the earlier ones are forgotten in the same atomic step.
	Append(entry []byte, truncate bool) error
	// Entries are what is remembered, oldest first.
	Entries() ([][]byte, error)
}

// Status is what an engine shows to people.
type Status struct {
	Engine chain.EngineKind
	// Height is the last delivered decision's.
	Height uint64
	// Leader proposes the next one; 0 when that is not known.
	Leader chain.ValidatorID
	// View counts changes of the leader.
	View uint64
	// LeaderChanges counts those that this node has seen since it started.
	LeaderChanges uint64
	// LastDecision is when this node delivered the last decision; zero when it has delivered none since it started.
	LastDecision time.Time
	// Heard is when each of the other validators was last heard from; one that is missing was not.
	Heard map[chain.ValidatorID]time.Time
	// Abstains says why this node, though a validator, signs nothing for now; empty when it does.
	Abstains string
	// Evidence is of validators that contradicted themselves, the newest last; the log has all.
	Evidence []Evidence
	// Work is of an engine that works for its decisions; nil of others.
	Work *WorkStatus
}

// WorkStatus is what an engine that works for its decisions knows of blocks and headers.
type WorkStatus struct {
	// Tip and TipHash are the last block of the branch that counts, TipTime its time; Work is all the work up to it.
	Tip     uint64
	TipHash crypto.Hash
	TipTime time.Time
	Work    *big.Int
	// Bits is the target of the next block, and Difficulty how many hashes that takes on average.
	Bits       uint32
	Difficulty float64
	// Headers is the height of the best header, Blocks how many blocks that are not delivered are here, on all branches.
	Headers uint64
	Blocks  int
	// Orphans is how many headers wait for their parent.
	Orphans int
	// Forks is how many blocks have come beside one of their height, Reorgs how often another branch took over, and Deepest how many blocks that took back at
	// the most, all since the start.
	Forks, Reorgs uint64
	Deepest       int
	// Refused counts, by reason, headers and blocks that were not accepted.
	Refused map[string]uint64
	// Mined is how many blocks this node has found, Mining with how many threads it looks for the next, HashRate how many hashes per second it makes.
	Mined    uint64
	Mining   int
	HashRate float64
}

// Evidence is that a validator said two things of which one excludes the other.
type Evidence struct {
	Validator chain.ValidatorID
	Height    uint64
	View      uint64
	// What it said: "proposal" or "commit".
	What string
	// First and Second are the digests of what it said.
	First, Second crypto.Hash
	// Proof is what it signed; nil for proposals, which are not signed.
	Proof *chain.Contradiction
}

// Proposal is a decision before agreement: it has no proof.
type Proposal chain.Decision

// Decide is the decision that agreement on p gives.
func (p *Proposal) Decide(proof []byte) *chain.Decision {
	d := chain.Decision(*p)
	d.Proof = proof
	return &d
}

// Hash is the hash of the decision that p would become.
func (p *Proposal) Hash(suite crypto.Suite) crypto.Hash { return (*chain.Decision)(p).Hash(suite) }

// Encode is the form that travels.
func (p *Proposal) Encode() []byte { return (*chain.Decision)(p).Encode() }

// DecodeProposal reverses Encode; it checks form and bounds.
func DecodeProposal(b []byte) (*Proposal, error) {
	d, err := chain.DecodeDecision(b)
	if err != nil {
		return nil, fmt.Errorf("decode proposal: %w", err)
	}
	if len(d.Proof) > 0 {
		return nil, fmt.Errorf("decode proposal: %d bytes of proof before agreement", len(d.Proof))
	}
	return (*Proposal)(d), nil
}

// VerifySigned checks that d is proposed by one of set and bears that validator's signature on its hash: the proof of engines whose validators do not
// lie. The error wraps ErrProof.
func VerifySigned(suite crypto.Suite, genesis crypto.Hash, set chain.ValidatorSet, d *chain.Decision) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	v := set.Find(d.Proposer)
	if v == nil {
		return fmt.Errorf("%w: proposer %d is no validator", ErrProof, d.Proposer)
	}
	hash := d.Hash(suite)
	if err := VerifySig(suite, genesis, v, hash[:], d.Proof); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// SigningMessage is what Host.Sign signs for msg: a domain and the chain (by its genesis header's suite hash) come first, so that no
// signature of ordering passes for an attestation or on another chain.
func SigningMessage(genesis crypto.Hash, msg []byte) []byte {
	const domain = chain.OrderDomain
	b := make([]byte, 0, len(domain)+len(genesis)+len(msg))
	b = append(b, domain...)
	b = append(b, genesis[:]...)
	return append(b, msg...)
}
