package attest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Errors that callers tell apart.
var (
	// ErrDivergence: a quorum attests another header than the one that we executed. Our state is wrong, or the quorum's is; both are for people.
	ErrDivergence = errors.New("a quorum attests another block than ours")
	// ErrDoubleSign: this key has signed another header at that height before.
	ErrDoubleSign = errors.New("refusing to sign a second block at one height")
	// ErrWindow: an attestation is too far ahead of or behind our chain to be kept.
	ErrWindow = errors.New("attestation is outside the window of heights")
	// ErrMember: an attestation is not by a validator of that height.
	ErrMember = errors.New("attestation is by no validator of that height")
)

// Window is how many heights above the last executed block attestations of peers are kept for: as long as the pipelines of honest nodes
// differ by less, none is lost. Below the finalized height there is nothing to gather.
const Window = 128

// Quorum says how many of n validators make a certificate.
type Quorum func(n int) int

// Single is one node's quorum: itself.
func Single(int) int { return 1 }

// Store keeps what must survive. Safe for concurrent use.
type Store interface {
	// Attestation is our own signature in the stored block of that height; nil when there is none.
	Attestation(height uint64) (*chain.Attestation, error)
	// PutCertificate keeps a certificate and moves the stored finalized height.
	PutCertificate(c *chain.Certificate) error
}

// Config is who attests what.
type Config struct {
	Suite crypto.Suite
	// Genesis is the suite's hash of block 0's header: the chain that signatures are for.
	Genesis crypto.Hash
	// Key is this node's; a node whose key is in no validator set attests nothing and gathers all the same.
	Key crypto.PrivateKey
	// Validators is the set that attests the block of that height. Safe for concurrent use.
	Validators func(height uint64) chain.ValidatorSet
	Quorum     Quorum
	Store      Store
	// Finalized is the stored finalized height at start.
	Finalized uint64
}

// Attester signs and gathers. All methods are safe for concurrent use; Run runs once.
type Attester struct {
	cfg  Config
	bell chan struct{}

	mu        sync.Mutex
	heights   map[uint64]*gathering
	executed  uint64
	finalized uint64
	ready     []*chain.Certificate
	diverged  error
	moved     chan struct{} // closed and replaced when finalized moves
}

// gathering is what is known of one height.
type gathering struct {
	ours   crypto.Hash // zero until executed here
	block  common.Hash
	signed map[crypto.Hash]map[chain.ValidatorID][]byte
	done   bool
}

// New returns an attester that continues at cfg.Finalized.
func New(cfg Config) *Attester {
	return &Attester{cfg: cfg, bell: make(chan struct{}, 1), heights: make(map[uint64]*gathering), executed: cfg.Finalized,
		finalized: cfg.Finalized, moved: make(chan struct{})}
}

// Run stores certificates as they come together, until ctx ends (nil) or something makes going on unsafe (ErrDivergence, a storage error).
func (a *Attester) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.bell:
		}
		for {
			c, err := a.next()
			if err != nil {
				return err
			}
			if c == nil {
				break
			}
			if err := a.cfg.Store.PutCertificate(c); err != nil {
				return fmt.Errorf("keep certificate %d: %w", c.Height, err)
			}
			a.finalize(c.Height)
		}
	}
}

// Own signs h for its height. It returns nil when this node is no validator there, and ErrDoubleSign when a block of that height with
// another header was signed and stored before.
func (a *Attester) Own(h *chain.Header) (*chain.Attestation, error) {
	height := h.Number.Uint64()
	me := a.member(height)
	if me == nil {
		return nil, nil
	}
	header, err := chain.HeaderHash(a.cfg.Suite, h)
	if err != nil {
		return nil, err
	}
	msg := chain.AttestationMessage(a.cfg.Genesis, height, header)
	prior, err := a.cfg.Store.Attestation(height)
	if err != nil {
		return nil, fmt.Errorf("look up own attestation: %w", err)
	}
	if prior != nil {
		if a.cfg.Key.Public().Verify(msg, prior.Signature) != nil {
			return nil, fmt.Errorf("%w: height %d", ErrDoubleSign, height)
		}
		return prior, nil
	}
	sig, err := a.cfg.Key.Sign(msg)
	if err != nil {
		return nil, fmt.Errorf("sign header %d: %w", height, err)
	}
	return &chain.Attestation{Validator: me.ID, Signature: sig}, nil
}

// Executed tells that h is durable here, with our own attestation in its batch (nil for none). Heights come in order.
func (a *Attester) Executed(h *chain.Header, own *chain.Attestation) error {
	header, err := chain.HeaderHash(a.cfg.Suite, h)
	if err != nil {
		return err
	}
	height := h.Number.Uint64()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.executed = max(a.executed, height)
	if height <= a.finalized {
		return nil
	}
	g := a.gather(height)
	g.ours, g.block = header, h.Hash()
	if own != nil {
		g.add(header, own)
	}
	a.settle(height, g)
	return nil
}

// Handle takes a peer's attestation of header at height. What it refuses costs the peer one signature verification at the most.
func (a *Attester) Handle(height uint64, header crypto.Hash, att *chain.Attestation) error {
	v := a.cfg.Validators(height).Find(att.Validator)
	if v == nil {
		return fmt.Errorf("%w: validator %d, height %d", ErrMember, att.Validator, height)
	}
	if wanted, err := a.wants(height, header, att.Validator); !wanted {
		return err
	}
	key, err := a.cfg.Suite.ParsePublicKey(v.PublicKey)
	if err != nil {
		return fmt.Errorf("key of validator %d: %w", v.ID, err)
	}
	if err := key.Verify(chain.AttestationMessage(a.cfg.Genesis, height, header), att.Signature); err != nil {
		return fmt.Errorf("attestation of validator %d at height %d: %w", v.ID, height, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if height <= a.finalized {
		return nil
	}
	g := a.gather(height)
	g.add(header, att)
	a.settle(height, g)
	return nil
}

// Finalized is the height of the last certified block.
func (a *Attester) Finalized() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.finalized
}

// Moved is closed when Finalized next moves.
func (a *Attester) Moved() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.moved
}

// wants tells whether an attestation is new and near enough to be worth verifying.
func (a *Attester) wants(height uint64, header crypto.Hash, from chain.ValidatorID) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if height <= a.finalized {
		return false, nil
	}
	if height > a.executed+Window {
		return false, fmt.Errorf("%w: height %d, executed %d", ErrWindow, height, a.executed)
	}
	g := a.heights[height]
	if g == nil {
		return true, nil
	}
	if _, known := g.signed[header][from]; known || g.done {
		return false, nil
	}
	// One signature per validator and height is all that an honest one sends; a second header from it would only cost memory, and the
	// first one is kept as evidence.
	for _, by := range g.signed {
		if _, other := by[from]; other {
			return false, fmt.Errorf("validator %d attests two headers at height %d", from, height)
		}
	}
	return true, nil
}

func (a *Attester) gather(height uint64) *gathering {
	g := a.heights[height]
	if g == nil {
		g = &gathering{signed: make(map[crypto.Hash]map[chain.ValidatorID][]byte)}
		a.heights[height] = g
	}
	return g
}

// settle looks whether g has come together. The caller holds mu.
func (a *Attester) settle(height uint64, g *gathering) {
	if g.done || g.ours.IsZero() {
		return
	}
	need := a.cfg.Quorum(len(a.cfg.Validators(height)))
	for header, by := range g.signed {
		if len(by) < need {
			continue
		}
		if header != g.ours {
			a.diverged = fmt.Errorf("%w: height %d, ours %s, theirs %s", ErrDivergence, height, g.ours, header)
		} else {
			a.ready = append(a.ready, certificate(height, g))
			g.done = true
		}
		a.ring()
		return
	}
}

func (a *Attester) next() (*chain.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.diverged != nil {
		return nil, a.diverged
	}
	if len(a.ready) == 0 {
		return nil, nil
	}
	c := a.ready[0]
	a.ready = a.ready[1:]
	return c, nil
}

func (a *Attester) finalize(height uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.heights, func(h uint64, _ *gathering) bool { return h <= height })
	if height <= a.finalized {
		return
	}
	a.finalized = height
	close(a.moved)
	a.moved = make(chan struct{})
}

func (a *Attester) member(height uint64) *chain.Validator {
	if a.cfg.Key == nil {
		return nil
	}
	mine := a.cfg.Key.Public().Bytes()
	set := a.cfg.Validators(height)
	for i := range set {
		if slices.Equal(set[i].PublicKey, mine) {
			return &set[i]
		}
	}
	return nil
}

func (a *Attester) ring() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

func (g *gathering) add(header crypto.Hash, att *chain.Attestation) {
	by := g.signed[header]
	if by == nil {
		by = make(map[chain.ValidatorID][]byte)
		g.signed[header] = by
	}
	by[att.Validator] = att.Signature
}

func certificate(height uint64, g *gathering) *chain.Certificate {
	c := &chain.Certificate{Height: height, Block: g.block, Header: g.ours}
	by := g.signed[g.ours]
	for _, id := range slices.Sorted(maps.Keys(by)) {
		c.Attestations = append(c.Attestations, chain.Attestation{Validator: id, Signature: by[id]})
	}
	return c
}
