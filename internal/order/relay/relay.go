package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// Terms says which engine rules a height. Safe for concurrent use.
type Terms interface {
	// TermOf is the term of a height above the last executed one; false when the block that settles it has not been executed yet.
	TermOf(height uint64) (chain.Term, bool)
}

// Config is what a relay is made from.
type Config struct {
	Terms Terms
	// Rule is the rule of any settled height; nil where it is not settled.
	Rule func(height uint64) *chain.Rule
	// Last is the last decision's height in the ledger at start; 0 before the first.
	Last uint64
	// Make makes the engine of a term, over a journal of its own.
	Make func(t chain.Term, journal order.Journal) (order.Engine, error)
	// Journal outlives the process.
	Journal order.Journal
	Log     *slog.Logger
}

// Relay implements order.Engine, order.Kinds and what lessons ask of an engine. See order.Engine for concurrency.
type Relay struct {
	cfg Config
	now atomic.Pointer[runner]
	// provers check decisions of terms that do not run, by kind. Built at start, read only.
	provers map[chain.EngineKind]order.Engine
}

// runner is the engine of a term.
type runner struct {
	chain.Term
	order.Engine
}

// New makes the engine of the term that follows the last decision, which is settled: what is decided and not executed is less than a change's delay.
func New(cfg Config) (*Relay, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{cfg: cfg, provers: make(map[chain.EngineKind]order.Engine)}
	for _, kind := range []chain.EngineKind{chain.Solo, chain.Raft, chain.BFT, chain.PoS} {
		e, err := cfg.Make(chain.Term{Engine: kind}, silent{})
		if errors.Is(err, ErrNotConfigured) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		r.provers[kind] = e
	}
	term, ok := cfg.Terms.TermOf(cfg.Last + 1)
	if !ok {
		return nil, fmt.Errorf("relay: the engine of height %d is not known", cfg.Last+1)
	}
	return r, r.make(term)
}

// ErrNotConfigured is what Make returns for an engine that the genesis has no parameters for.
var ErrNotConfigured = errors.New("the genesis has no parameters for this engine")

// Run implements order.Engine: term after term.
func (r *Relay) Run(ctx context.Context, h order.Host) error {
	height := r.cfg.Last
	for ctx.Err() == nil {
		term, ok := r.cfg.Terms.TermOf(height + 1)
		if !ok {
			return fmt.Errorf("relay: the engine of height %d is not known", height+1)
		}
		if term != r.now.Load().Term {
			if err := r.make(term); err != nil {
				return err
			}
			r.cfg.Log.Info("another engine rules", "height", height+1, "engine", term.Engine)
		}
		var over bool
		var err error
		if height, over, err = r.serve(ctx, h, height); err != nil || !over {
			return err
		}
	}
	return nil
}

// serve runs the present term's engine to its end. over: another term has begun behind height.
func (r *Relay) serve(ctx context.Context, h order.Host, height uint64) (last uint64, over bool, err error) {
	now := r.now.Load()
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	host := &host{Host: h, term: now.Term, terms: r.cfg.Terms, end: cancel}
	host.height.Store(height)
	now.Pending() // the pool may have rung for the engine before it
	err = now.Run(ctx2, host)
	if ctx.Err() == nil && host.over.Load() {
		return host.height.Load(), true, nil // how an engine takes its end is its own affair
	}
	return host.height.Load(), false, err
}

func (r *Relay) make(term chain.Term) error {
	e, err := r.cfg.Make(term, &journal{r.cfg.Journal, term.From})
	if err != nil {
		return fmt.Errorf("relay: make engine %q of height %d: %w", term.Engine, term.From, err)
	}
	r.now.Store(&runner{term, e})
	return nil
}

// Pending implements order.Engine.
func (r *Relay) Pending() { r.now.Load().Pending() }

// Handle implements order.Engine. A message of another term is dropped: who is behind learns that from heights, and engines repeat themselves.
func (r *Relay) Handle(from order.PeerID, msg []byte) {
	term, n := binary.Uvarint(msg)
	if now := r.now.Load(); n > 0 && term == now.From {
		now.Handle(from, msg[n:])
	}
}

// VerifyDecision implements order.Engine, by the engine of the decision's height.
func (r *Relay) VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error {
	rule := r.cfg.Rule(d.Height)
	if rule == nil {
		return fmt.Errorf("%w: the engine of height %d is not known", order.ErrProof, d.Height)
	}
	e := r.provers[rule.Engine]
	if e == nil {
		return fmt.Errorf("%w: engine %q of height %d is not configured", order.ErrProof, rule.Engine, d.Height)
	}
	return e.VerifyDecision(set, d)
}

// Status implements order.Engine.
func (r *Relay) Status() order.Status { return r.now.Load().Status() }

// Kind implements order.Kinds.
func (r *Relay) Kind(msg []byte) string {
	_, n := binary.Uvarint(msg)
	if kinds, ok := r.now.Load().Engine.(order.Kinds); ok && n > 0 {
		return kinds.Kind(msg[n:])
	}
	return order.KindOther
}

// Contradict gives what contradicts a message of this node's, where the engine can; for lessons.
func (r *Relay) Contradict(msg []byte, sign func(msg []byte) ([]byte, error)) ([]byte, error) {
	c, ok := r.now.Load().Engine.(interface {
		Contradict(msg []byte, sign func(msg []byte) ([]byte, error)) ([]byte, error)
	})
	_, n := binary.Uvarint(msg)
	if !ok || n <= 0 {
		return nil, nil
	}
	out, err := c.Contradict(msg[n:], sign)
	if err != nil || out == nil {
		return nil, err
	}
	return append(append([]byte(nil), msg[:n]...), out...), nil
}
