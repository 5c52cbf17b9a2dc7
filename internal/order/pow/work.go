package pow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// Errors of those who work for a node.
var (
	// ErrNoWork: there is nothing to work on now: no account is configured, or blocks are being fetched.
	ErrNoWork = errors.New("no work to be had")
	// ErrStale: the work is for a block that has a successor by now, or was given away too long ago.
	ErrStale = errors.New("stale work")
	// ErrNonce: the header's hash misses the target.
	ErrNonce = errors.New("the nonce solves nothing")
)

// maxTemplates bounds the work that is remembered as given away: one is made for each second and each rush of transactions, and a miner that is slower than
// sixteen of them works on an old tip anyway.
const maxTemplates = 16

// Template is a header to be solved for the node.
type Template struct {
	// ID is the work hash of Header, by which Submit knows it.
	ID crypto.Hash
	// Header is the encoded header with zeros in its last 16 bytes: extra(8) ‖ nonce(8), big-endian. Its double hash by the chain's suite, as a big-endian
	// number, must not exceed Target.
	Header []byte
	Target [32]byte
	Height uint64
	// Txs is how many transactions the block holds.
	Txs int
}

// template is a block without its nonce.
type template struct {
	id       crypto.Hash
	header   Header
	encoded  []byte
	proposal *order.Proposal
	hash     crypto.Hash
	txs      chain.Txs
	parent   *node
}

// solution is a template with its nonce.
type solution struct {
	template     *template
	extra, nonce uint64
	// accepted gets what became of it; its buffer has room.
	accepted chan error
}

// work is what miners and the session share.
type work struct {
	solved chan solution

	// mu guards what follows; changed is closed and replaced whenever it changes.
	mu      sync.Mutex
	changed chan struct{}
	threads int
	// asked is when somebody asked for work last.
	asked time.Time
	// current is what is worked on, nil when nothing is; given are the last ones, newest last.
	current *template
	given   []*template
}

func newWork(threads int) *work {
	return &work{solved: make(chan solution), changed: make(chan struct{}), threads: threads}
}

func (w *work) miners() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.threads
}

func (w *work) setThreads(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.threads = n
	w.wake()
}

// offer makes t what is worked on; nil: nothing.
func (w *work) offer(t *template) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t == w.current {
		return
	}
	w.current = t
	if t != nil {
		if len(w.given) == maxTemplates {
			w.given = append(w.given[:0], w.given[1:]...)
		}
		w.given = append(w.given, t)
	}
	w.wake()
}

// wake runs under mu.
func (w *work) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *work) look() (t *template, threads int, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current, w.threads, w.changed
}

func (w *work) find(id crypto.Hash) *template {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.given {
		if t.id == id {
			return t
		}
	}
	return nil
}

// mines tells whether there is an account to mine for.
func (e *Engine) mines() bool { return e.cfg.Coinbase != (common.Address{}) }

const (
	// askedFor is how long after somebody has asked for work it is kept ready: miners ask several times for each block.
	askedFor = time.Minute
	// workWait is how long the first to ask waits for it.
	workWait = time.Second
)

// needed tells whether anybody works.
func (w *work) needed(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.threads > 0 || now.Sub(w.asked) < askedFor
}

func (w *work) ask(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = now
}

// Work gives away what this node would work on now; the first to ask waits for it, a second at the most. The error wraps ErrNoWork. Safe for concurrent use.
func (e *Engine) Work() (*Template, error) {
	if !e.mines() {
		return nil, fmt.Errorf("%w: no account to credit", ErrNoWork)
	}
	e.work.ask(e.cfg.Now())
	patience := time.NewTimer(workWait)
	defer patience.Stop()
	t, _, changed := e.work.look()
	if t == nil {
		e.Pending()
	}
	for t == nil {
		select {
		case <-changed:
			t, _, changed = e.work.look()
		case <-patience.C:
			return nil, fmt.Errorf("%w: the node is fetching or executing blocks", ErrNoWork)
		}
	}
	target, _ := expand(t.header.Bits)
	return &Template{ID: t.id, Header: append([]byte(nil), t.encoded...), Target: target.Bytes32(), Height: t.header.Height, Txs: len(t.proposal.Txs)}, nil
}

// Submit brings the solution of work that was given away, and returns when its block is this node's tip. The error wraps ErrStale or ErrNonce, or is ctx's. Safe
// for concurrent use.
func (e *Engine) Submit(ctx context.Context, id crypto.Hash, extra, nonce uint64) error {
	t := e.work.find(id)
	if t == nil {
		return fmt.Errorf("%w: %s", ErrStale, id)
	}
	h := t.header
	h.Extra, h.Nonce = extra, nonce
	if target, _ := expand(h.Bits); !meets(Hash(e.cfg.Suite, h.Encode()), target) {
		return fmt.Errorf("%w: extra %d, nonce %d for %s", ErrNonce, extra, nonce, id)
	}
	s := solution{t, extra, nonce, make(chan error, 1)}
	select {
	case e.work.solved <- s:
	case <-ctx.Done():
		return fmt.Errorf("submit work: %w", ctx.Err())
	}
	select {
	case err := <-s.accepted:
		return err
	case <-ctx.Done():
		return fmt.Errorf("submit work: %w", ctx.Err())
	}
}

// mine solves what the session offers until ctx ends.
func (s *session) mine(ctx context.Context) error {
	w := s.e.work
	for {
		t, threads, changed := w.look()
		if t == nil || threads == 0 {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		solving, cancel := context.WithCancel(ctx)
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			select {
			case <-changed:
				cancel()
			case <-solving.Done():
			}
		}()
		extra, nonce, ok := s.e.cfg.Solver.Solve(solving, Job{Suite: s.e.cfg.Suite, Header: t.header, Threads: threads})
		cancel()
		<-stopped
		if !ok {
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		found := solution{t, extra, nonce, make(chan error, 1)}
		select {
		case w.solved <- found:
		case <-ctx.Done():
			return nil
		}
		select { // the session offers what comes next before it answers
		case <-found.accepted:
		case <-ctx.Done():
			return nil
		}
	}
}
