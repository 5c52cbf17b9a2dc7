package pow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"sync"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Engine implements order.Engine and order.Chooser.
type Engine struct {
	cfg   Config
	rules *rules
	log   *slog.Logger
	inbox *inbox
	bell  chan struct{}
	work  *work

	// mu guards what follows.
	mu     sync.Mutex
	status order.Status
	// chosen are the headers' hashes, by height, that may be fetched now.
	chosen map[uint64]crypto.Hash
}

// DeepFork ends a run: a chain of more work leaves out decisions that are delivered here. They are executed, and execution is not taken back.
type DeepFork struct {
	// Fork is the height of the last block that both have, Delivered that of the last decision delivered here.
	Fork, Delivered uint64
	// Ours and Theirs are the ends of the two chains, as far as they are known here.
	Ours, Theirs End
}

// End is the last block of a chain with all the work up to it.
type End struct {
	Height uint64
	Hash   crypto.Hash
	Work   *big.Int
}

// Error says which chains there are.
func (f *DeepFork) Error() string {
	return fmt.Sprintf("a chain of more work leaves out what is final here: block %d is the last in common, %d was delivered; ours ends with %d (%s, work %s), theirs with %d (%s, work %s)",
		f.Fork, f.Delivered, f.Ours.Height, f.Ours.Hash, f.Ours.Work, f.Theirs.Height, f.Theirs.Hash, f.Theirs.Work)
}

// New returns an engine; it does nothing before Run but verify.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Misbehaved == nil {
		cfg.Misbehaved = func(order.PeerID, string) {}
	}
	if cfg.Solver == nil {
		cfg.Solver = new(grinder)
	}
	r, err := newRules(&cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, rules: r, log: cfg.Log, inbox: newInbox(), bell: make(chan struct{}, 1), work: newWork(cfg.Threads)}
	e.status = order.Status{Engine: chain.PoW, Work: &order.WorkStatus{Work: new(big.Int), Bits: cfg.Params.Bits, Refused: make(map[string]uint64)}}
	return e, nil
}

// Run implements order.Engine. The host must be an order.Branches. The error wraps a *DeepFork where a better chain leaves out what is delivered.
func (e *Engine) Run(ctx context.Context, h order.Host) error {
	host, ok := h.(order.Branches)
	if !ok {
		return errors.New("pow: the host keeps no branches")
	}
	s, err := newSession(e, host)
	if err != nil {
		return fmt.Errorf("pow: %w", err)
	}
	if err := s.run(ctx); err != nil {
		return order.Ended(ctx, fmt.Errorf("pow: %w", err))
	}
	return nil
}

// Pending implements order.Engine.
func (e *Engine) Pending() {
	select {
	case e.bell <- struct{}{}:
	default:
	}
}

// Handle implements order.Engine.
func (e *Engine) Handle(from order.PeerID, msg []byte) {
	if from != 0 && len(msg) > 0 {
		e.inbox.put(from, msg)
	}
}

// VerifyDecision implements order.Engine: the proof is a header that is worth what it says. That its chain has the most work is not in it: see Chosen. Nobody
// signs, so the set is not looked at.
func (e *Engine) VerifyDecision(_ chain.ValidatorSet, d *chain.Decision) error {
	_, _, err := e.rules.proof(d)
	return err
}

// Chosen implements order.Chooser.
func (e *Engine) Chosen(d *chain.Decision) error {
	hash := Hash(e.cfg.Suite, d.Proof)
	e.mu.Lock()
	want, ok := e.chosen[d.Height]
	e.mu.Unlock()
	if !ok || want != hash {
		return fmt.Errorf("%w: block %d with header %s is not on the chain of the most work", order.ErrProof, d.Height, hash)
	}
	return nil
}

func (e *Engine) choose(chosen map[uint64]crypto.Hash) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.chosen = chosen
}

// Status implements order.Engine.
func (e *Engine) Status() order.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	w := *e.status.Work
	w.Refused = maps.Clone(w.Refused)
	w.Mining, w.HashRate = e.work.miners(), e.cfg.Solver.Rate()
	s.Work = &w
	return s
}

// SetThreads changes how many goroutines mine; 0 stops them. Safe for concurrent use.
func (e *Engine) SetThreads(n int) error {
	if n < 0 || n > maxThreads {
		return fmt.Errorf("pow: threads must be 0 to %d", maxThreads)
	}
	if n > 0 && !e.mines() {
		return fmt.Errorf("%w: no account to credit", ErrNoWork)
	}
	e.work.setThreads(n)
	e.Pending() // there is work to offer, or none any more
	return nil
}

// settled notes where the ledger is.
func (e *Engine) settled(height uint64, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if height > e.status.Height {
		e.status.Height, e.status.LastDecision = height, at
	}
}

// refused counts what was not accepted.
func (e *Engine) refused(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Work.Refused[why]++
}

// note changes what Status shows of blocks and headers.
func (e *Engine) note(change func(w *order.WorkStatus)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e.status.Work)
}
