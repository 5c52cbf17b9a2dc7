package attest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Errors that callers tell apart.
var (
	// ErrDivergence: a quorum attests another header than the one that we executed. Our state is wrong, or the quorum's is; both are for people.
	ErrDivergence = errors.New("a quorum attests another block than ours")
	// ErrDoubleSign: this key has signed another header at that height before.
	ErrDoubleSign = errors.New("refusing to sign a second block at one height")
	// ErrWindow: an attestation or certificate is too far ahead of our chain to be judged or kept. Honest peers send such when we are behind.
	ErrWindow = errors.New("attestation is outside the window of heights")
	// ErrMember: an attestation is not by a validator of that height.
	ErrMember = errors.New("attestation is by no validator of that height")
	// ErrEquivocation: a validator has attested two headers at one height; Evidence has both.
	ErrEquivocation = errors.New("validator attests two headers at one height")
	// ErrMessage: a peer's message is not of the form.
	ErrMessage = errors.New("malformed attestation message")
)

const (
	// Window is how many heights above the last executed block attestations of peers are kept for: as long as the pipelines of honest nodes
	// differ by less, none is lost. Below the finalized height there is nothing to gather.
	Window = 128
	// MaxBacklog is how far execution may run ahead of the finalized height: some seconds of a busy chain, so that a pause of a validator's does
	// not stop the others, and little enough to gather in memory and to explain to people.
	MaxBacklog = 256
)

// Store keeps what must survive. Safe for concurrent use.
type Store interface {
	// Attestation is our own signature in the stored block of that height; nil when there is none.
	Attestation(height uint64) (*chain.Attestation, error)
	// PutCertificate keeps a certificate and moves the stored finalized height. It need not be durable at once.
	PutCertificate(c *chain.Certificate) error
	// Certificate returns a kept certificate, nil when there is none.
	Certificate(height uint64) (*chain.Certificate, error)
	// Header returns the header of a durable block.
	Header(height uint64) (*chain.Header, error)
}

// Network carries messages to peers. Its methods never block and may lose a message; msg must not be altered afterwards.
type Network interface {
	Send(to chain.Peer, msg []byte)
	Broadcast(msg []byte)
	// Connected are the peers that can be sent to now.
	Connected() []chain.Peer
}

// Config is who attests what.
type Config struct {
	Suite crypto.Suite
	// Genesis is the suite's hash of block 0's header: the chain that signatures are for.
	Genesis crypto.Hash
	// Key is this node's; a node whose key is in no validator set attests nothing and gathers all the same.
	Key crypto.PrivateKey
	// Rule says who attests the block of that height, and by how many; nil when it is not yet known. Safe for concurrent use.
	Rule func(height uint64) *chain.Rule
	// Unsigned: nobody signs on this chain, see unsigned.go. Rule and Key are then not looked at.
	Unsigned bool
	Store    Store
	// May tells whether this node may sign for a height: not while it may have forgotten what it signed. nil: always. Safe for concurrent use.
	May func(height uint64) bool
	// Finalized is the stored finalized height at start.
	Finalized uint64

	// Network reaches the other nodes; nil on a chain of one node.
	Network Network
	// Refused is told what a peer sent wrongly: ErrMember, ErrEquivocation, crypto.ErrSignature, chain.ErrCertificate. Run's goroutine calls it. May be nil.
	Refused func(from chain.Peer, err error)
	// Explain and Writes serve to say how a quorum's block differs from ours: Explain asks peers, Writes is what our block of that height wrote, if the
	// node still holds it. May be nil.
	Explain Explain
	Writes  func(height uint64) (w chain.WriteSet, held bool)
	// Log defaults to discarding.
	Log *slog.Logger
}

// Attester signs and gathers. All methods are safe for concurrent use; Run runs once.
type Attester struct {
	cfg   Config
	log   *slog.Logger
	bell  chan struct{}
	inbox *inbox

	mu        sync.Mutex
	heights   map[uint64]*gathering
	executed  uint64
	finalized uint64
	// ready are certificates to be stored, of executed heights.
	ready    map[uint64]*chain.Certificate
	diverged *Divergence
	moved    chan struct{} // closed and replaced when finalized moves
	evidence map[chain.ValidatorID]*chain.Equivocation
	// notes wait for Run to log them: nothing is written under mu.
	notes []note
	keys  map[string]crypto.PublicKey
	// seen is finalized at the last tick, still the number of ticks since it moved, credits what peers may yet ask for in this second.
	seen    uint64
	still   int
	turn    int
	credits map[chain.Peer]int
}

type note struct {
	level slog.Level
	text  string
	args  []any
}

// New returns an attester that continues at cfg.Finalized.
func New(cfg Config) *Attester {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Attester{cfg: cfg, log: cfg.Log, bell: make(chan struct{}, 1), inbox: newInbox(), heights: make(map[uint64]*gathering),
		executed: cfg.Finalized, finalized: cfg.Finalized, ready: make(map[uint64]*chain.Certificate), moved: make(chan struct{}),
		evidence: make(map[chain.ValidatorID]*chain.Equivocation), keys: make(map[string]crypto.PublicKey), credits: make(map[chain.Peer]int),
		seen: cfg.Finalized}
}

// Run verifies what peers send and stores certificates as they come together, until ctx ends (nil) or something makes going on unsafe
// (*Divergence, a storage error). It returns when its goroutines have ended.
func (a *Attester) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { a.work(ctx) })
	err := a.keep(ctx)
	cancel()
	work.Wait()
	return err
}

// keep stores certificates and repeats what may have been lost.
func (a *Attester) keep(ctx context.Context) error {
	tick := time.NewTicker(repeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.bell:
		case <-tick.C:
			a.repeat()
		}
		if err := a.store(ctx); err != nil {
			return err
		}
	}
}

// store stores the certificates that are ready.
func (a *Attester) store(ctx context.Context) error {
	for {
		c, d := a.next()
		a.say()
		if d != nil {
			return a.explain(ctx, d)
		}
		if c == nil {
			return nil
		}
		if err := a.cfg.Store.PutCertificate(c); err != nil {
			return fmt.Errorf("keep certificate %d: %w", c.Height, err)
		}
		a.finalize(c.Height)
	}
}

// Own signs h for its height. It returns nil when this node is no validator there or may not sign, and ErrDoubleSign when a block of that height with
// another header was signed and stored before. The signature must be stored with the block before anybody sees it.
func (a *Attester) Own(h *chain.Header) (*chain.Attestation, error) {
	if a.cfg.Unsigned {
		return nil, nil
	}
	height := h.Number.Uint64()
	rule := a.cfg.Rule(height)
	if rule == nil {
		return nil, fmt.Errorf("the validators of height %d are not known", height)
	}
	me := a.member(rule.Set)
	if me == nil || a.cfg.May != nil && !a.cfg.May(height) {
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

// Executed tells that h is durable here, with our own attestation in its batch (nil for none), which the others are now told. Heights come in
// order.
func (a *Attester) Executed(h *chain.Header, own *chain.Attestation) error {
	if a.cfg.Unsigned {
		return a.durable(h, own)
	}
	header, err := chain.HeaderHash(a.cfg.Suite, h)
	if err != nil {
		return err
	}
	height := h.Number.Uint64()
	rule := a.cfg.Rule(height)
	if rule == nil {
		return fmt.Errorf("the validators of height %d are not known", height)
	}
	needed, spare := a.executedHere(height, rule, header, h, own)
	if needed && own != nil && a.cfg.Network != nil {
		a.cfg.Network.Broadcast(encodeMessage(&message{Signed: []signed{{height, header, *own}}}))
	}
	for _, s := range spare {
		if err := a.Handle(s.Height, s.Header, &s.Attestation); err != nil {
			a.log.Warn("a signature that was put aside does not count", "height", s.Height, "err", err)
		}
	}
	return nil
}

// executedHere tells whether the others need our signature, and returns signatures that have become worth verifying.
func (a *Attester) executedHere(height uint64, rule *chain.Rule, header crypto.Hash, h *chain.Header,
	own *chain.Attestation) (needed bool, spare map[chain.ValidatorID]signed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.executed = max(a.executed, height)
	if height <= a.finalized {
		return false, nil
	}
	g := a.gather(height, rule)
	g.ours, g.block, g.own = header, h.Hash(), own
	if own != nil {
		g.add(header, own)
	}
	a.settle(height, g)
	if !g.done {
		spare = g.spare
	}
	g.spare = nil
	return g.certificate == nil, spare
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

// Backlog is the number of blocks that are durable and not certified.
func (a *Attester) Backlog() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.executed - a.finalized
}

// Wait returns when another block may be executed: at once while fewer than MaxBacklog wait for their certificates. It fails when ctx ends only.
func (a *Attester) Wait(ctx context.Context) error {
	warned := false
	for {
		a.mu.Lock()
		backlog, finalized, moved := a.executed-a.finalized, a.finalized, a.moved
		a.mu.Unlock()
		if backlog < MaxBacklog {
			return nil
		}
		if !warned {
			warned = true
			a.log.Warn("execution waits: blocks are executed and not attested by a quorum", "height", finalized+1, "blocks", backlog, "silent", a.Missing())
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Missing are the validators whose signature of the oldest executed block without a certificate has not come; none when all blocks have theirs.
func (a *Attester) Missing() (out []chain.ValidatorID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.heights[a.finalized+1]
	if g == nil || g.ours.IsZero() || g.done {
		return nil
	}
	for _, v := range g.rule.Set {
		if _, signed := g.signed[g.ours][v.ID]; !signed {
			out = append(out, v.ID)
		}
	}
	return out
}

func (a *Attester) member(set chain.ValidatorSet) *chain.Validator {
	if a.cfg.Key == nil {
		return nil
	}
	mine := a.cfg.Key.Public().Bytes()
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

// say logs what was noted under the lock.
func (a *Attester) say() {
	a.mu.Lock()
	notes := a.notes
	a.notes = nil
	a.mu.Unlock()
	for _, n := range notes {
		a.log.Log(context.Background(), n.level, n.text, n.args...)
	}
}
