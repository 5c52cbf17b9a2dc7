package pool

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"runtime"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Chain is what the pool asks of the ledger. Safe for concurrent use.
type Chain interface {
	// State is the state after the last executed block or a later one.
	State() chain.State
	// Head is the last executed block.
	Head() *chain.Header
	// NextBaseFee is the base fee in wei of the block after Head.
	NextBaseFee() *big.Int
}

// Permission says whether a transaction may enter. It is asked once, at admission, by many goroutines at a time; its error is the reason.
// Execution asks again, so this is for telling the sender early.
type Permission interface {
	Allow(ctx context.Context, st chain.State, tx *chain.Tx) error
}

// Pool holds the transactions that no block has executed. All methods are safe for concurrent use.
type Pool struct {
	cfg        Config
	rules      rules
	verifier   *chain.Verifier
	chain      Chain
	permission Permission
	log        *slog.Logger
	now        func() time.Time

	// jobs are for the workers, urgent those that come before them.
	jobs    chan func()
	urgent  chan func()
	opened  chan struct{}
	closed  chan struct{}
	bell    chan struct{}
	journal *journal
	sealer  Sealer
	// rewrites asks Run to write the journal anew.
	rewrites chan chan error
	// gate is held shared from the journal entry to the admission, exclusively to rotate the journal: so nothing falls between two files.
	gate sync.RWMutex
	subs subscribers
	// locals are the listeners that want local transactions only.
	locals subscribers

	// mu guards all below. See the package comment for what may happen under it.
	mu       sync.Mutex
	accounts map[common.Address]*account
	all      map[common.Hash]*entry
	ready    queue
	// waiting[class] holds the accounts with gapped transactions, the longest without a new one first.
	waiting  [2]list
	counts   [statuses]int
	bytes    [statuses]int
	readyGas uint64
	seq      uint64
	// since is when the first transaction became ready that no Build has seen; zero when there is none.
	since time.Time
	// height is the last block that Executed told, recent its writes and those of the blocks before.
	height uint64
	recent []written
	// fresh collects what became ready until the lock is let go.
	fresh []*chain.Tx
	// freshLocal are the local ones among them.
	freshLocal []*chain.Tx
	// dirty are the accounts that settle has to file.
	dirty []*account
	// waits are the last decisions' waits, as a ring.
	waits    [16]waited
	nextWait int
	reasons  map[common.Hash]string
	noted    []common.Hash
	nextNote int
}

// written is what a block changed.
type written struct {
	height uint64
	writes chain.WriteSet
}

// recentBlocks is how many blocks may be executed while an admission reads the state before it must read again.
const recentBlocks = 8

// Options are what New takes beside its configuration; the zero value is fine.
type Options struct {
	Permission Permission
	Log        *slog.Logger
	// Now is the clock; time.Now when nil. It decides about lifetimes only.
	Now func() time.Time
	// Sealer encrypts the journal; nil: it is in plain text.
	Sealer Sealer
}

// New returns a pool that admits nothing until Run.
func New(cfg Config, g *chain.Genesis, c Chain, o Options) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Pool{
		cfg: cfg, rules: newRules(g, cfg.MinFeeCap), verifier: chain.NewVerifier(g), chain: c, permission: o.Permission, log: o.Log, now: o.Now, sealer: o.Sealer, rewrites: make(chan chan error),
		jobs: make(chan func()), urgent: make(chan func()), opened: make(chan struct{}), closed: make(chan struct{}), bell: make(chan struct{}, 1),
		accounts: make(map[common.Address]*account), all: make(map[common.Hash]*entry), height: c.Head().Number.Uint64(),
		reasons: make(map[common.Hash]string), noted: make([]common.Hash, cfg.Reasons),
	}
	p.ready = newTurns()
	if !p.rules.zero {
		p.ready = newMarket(priceOfBig(c.NextBaseFee()))
	}
	for i := range p.waiting {
		p.waiting[i].of = func(a *account) *links { return &a.gap }
	}
	return p, nil
}

// Run reads the journal back, then serves Add until ctx ends; it returns when its workers have. It may be called once. The error is nil
// after a cancelled context, or says why the journal cannot be used.
func (p *Pool) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	stop := make(chan struct{})
	for range p.cfg.Workers {
		workers.Go(func() { p.worker(stop) })
	}
	defer func() {
		close(p.closed)
		close(stop)
		workers.Wait()
		p.subs.closeAll()
		p.locals.closeAll()
		if p.journal != nil {
			p.gate.Lock() // calls that have journaled are admitted first, later ones see closed
			defer p.gate.Unlock()
			p.journal.close()
		}
	}()
	if p.cfg.Journal != "" {
		if err := p.openJournal(ctx); err != nil {
			return fmt.Errorf("pool: %w", err)
		}
	}
	close(p.opened)
	expiry := time.NewTicker(max(p.cfg.GappedLifetime/60, time.Second))
	defer expiry.Stop()
	for {
		var full <-chan struct{}
		if p.journal != nil {
			full = p.journal.full
		}
		select {
		case <-ctx.Done():
			return nil
		case <-expiry.C:
			p.expire()
		case <-full:
			if err := p.rotate(); err != nil {
				return fmt.Errorf("pool: %w", err)
			}
		case done := <-p.rewrites:
			done <- p.rewritten() // the old files are still there when it fails
		}
	}
}

// Opened is closed when Run has read the journal back: before that the pool does not know all that it had acknowledged, and admits nothing new.
func (p *Pool) Opened() <-chan struct{} { return p.opened }

// Notify rings when transactions became ready. It holds one ring: a slow reader misses repetitions, never the last.
func (p *Pool) Notify() <-chan struct{} { return p.bell }

func (p *Pool) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// release files what was touched, lets the lock go and then tells the world what became ready under it.
func (p *Pool) release() {
	p.settle()
	fresh, local := p.fresh, p.freshLocal
	p.fresh, p.freshLocal = nil, nil
	if len(fresh) > 0 && p.since.IsZero() {
		p.since = p.now()
	}
	p.mu.Unlock()
	if len(fresh) > 0 {
		p.ring()
		p.subs.publish(fresh)
	}
	if len(local) > 0 {
		p.locals.publish(local)
	}
}

// expire drops gapped transactions of accounts that got no new one for the lifetime.
func (p *Pool) expire() {
	now := p.now()
	for class := range p.waiting {
		for p.expireSome(class, now) {
		}
	}
}

// expireSome does a part of it under one hold of the lock; false when nothing is left to do.
func (p *Pool) expireSome(class int, now time.Time) bool {
	p.mu.Lock()
	defer p.release()
	l := &p.waiting[class]
	for range lockBlock {
		a := l.first
		if a == nil || now.Sub(a.gapSince) < p.cfg.GappedLifetime {
			return false
		}
		p.dropGapped(a, len(a.txs), ErrExpired.Error())
		l.remove(a)
		p.touch(a)
	}
	return true
}

// dropGapped drops up to n gapped transactions of a, from the end.
func (p *Pool) dropGapped(a *account, n int, reason string) {
	for i := len(a.txs) - 1; i >= a.exec && n > 0; i-- {
		if a.txs[i].status == gapped {
			p.note(p.remove(a, i).hash, reason)
			n--
		}
	}
}

// wait blocks until Run serves.
func (p *Pool) wait(ctx context.Context) error {
	select {
	case <-p.opened:
		return nil
	case <-p.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("add transaction: %w", ctx.Err())
	}
}
