package mpt

import (
	"fmt"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
)

// Forest is the account trie and the storage tries of the chain's head. All methods but Durable and Stats belong to one goroutine. An error of any method that
// reads or changes a trie is final: later calls return it again, and the caller opens a new Forest on the durable state.
type Forest struct {
	cfg           Config
	reader        Reader
	arena         *arena
	accounts      *Trie
	storage       map[common.Hash]*Trie // live ones
	dirty         []*Trie               // with pending updates
	workers       []*worker
	logs          []opLog // of the running commit
	commits       []commit
	durable       atomic.Uint64 // generation + 1
	stamp         uint32        // of the running commit
	durableBefore uint32        // stamp of the last commit known to be durable
	evicted       int
	stats         atomic.Pointer[Stats] // as of the last commit
	err           error
}

// commit remembers which generation the caller gave to a stamp, until it is durable.
type commit struct {
	stamp uint32
	gen   uint64
}

// NewForest opens the tries over the durable state: root is the account trie's root in it, EmptyRoot for a new chain.
func NewForest(cfg Config, r Reader, root common.Hash) (*Forest, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Forest{cfg: cfg, reader: r, arena: newArena(), storage: make(map[common.Hash]*Trie), stamp: 1}
	f.accounts = &Trie{forest: f, table: cfg.Layout.table(common.Hash{}), hash: root}
	w := f.worker(0)
	w.attend(f.accounts)
	if err := f.accounts.open(w); err != nil {
		return nil, err
	}
	f.publish()
	return f, nil
}

// Accounts returns the account trie.
func (f *Forest) Accounts() *Trie { return f.accounts }

// Storage returns the storage trie of an account: owner is the hash of its address, root its current storage root. A trie that is live with another root
// is an error.
func (f *Forest) Storage(owner, root common.Hash) (*Trie, error) {
	if f.err != nil {
		return nil, f.err
	}
	t := f.storage[owner]
	if t == nil {
		if owner == (common.Hash{}) {
			return nil, f.fail(fmt.Errorf("storage trie of the zero owner"))
		}
		t = &Trie{forest: f, table: f.cfg.Layout.table(owner), hash: root}
		f.storage[owner] = t
	}
	if t.hash != root {
		return nil, f.fail(fmt.Errorf("storage trie of %x has root %x, the account says %x", owner, t.hash, root))
	}
	return t, nil
}

// HashStorage applies the pending updates of all storage tries, which work side by side.
func (f *Forest) HashStorage() error {
	tries := f.dirty[:0:0]
	for _, t := range f.dirty {
		if t != f.accounts {
			tries = append(tries, t)
		}
	}
	return f.update(tries)
}

// Commit applies what is pending and returns the account trie's root and the records to write. gen, the block's height, grows with every commit.
func (f *Forest) Commit(gen uint64) (common.Hash, *Changes, error) {
	if err := f.update(f.dirty); err != nil {
		return common.Hash{}, nil, err
	}
	c := &Changes{logs: f.logs}
	f.logs = nil
	f.commits = append(f.commits, commit{stamp: f.stamp, gen: gen})
	f.stamp++
	f.evict()
	f.publish()
	return f.accounts.hash, c, nil
}

// Durable says that the changes of all commits up to gen are on disk: what they touched may be evicted. Safe from any goroutine.
func (f *Forest) Durable(gen uint64) { f.durable.Store(gen + 1) }

// Stats describe the cache as the last commit left it.
type Stats struct {
	Tries    int   // live storage tries
	Branches int   // live branches
	Bytes    int64 // memory of live branches and leaves
	Loads    int   // branches read from the store so far
	Evicted  int   // branches evicted so far
}

// Stats returns the figures as of the last Commit. Safe from any goroutine.
func (f *Forest) Stats() Stats { return *f.stats.Load() }

func (f *Forest) count() Stats {
	s := Stats{Tries: len(f.storage), Bytes: int64(len(f.storage)) * trieBytes, Evicted: f.evicted}
	for _, w := range f.workers {
		s.Branches += int(w.live)
		s.Bytes += w.liveBytes
		s.Loads += w.loads
	}
	return s
}

func (f *Forest) publish() {
	s := f.count()
	f.stats.Store(&s)
}

func (f *Forest) enlist(t *Trie) {
	if !t.listed {
		t.listed = true
		f.dirty = append(f.dirty, t)
	}
}

// fail makes an error final.
func (f *Forest) fail(err error) error {
	if f.err == nil && err != nil {
		f.err = fmt.Errorf("commitment is unusable until reopened: %w", err)
	}
	return err
}

func (f *Forest) worker(i int) *worker {
	for len(f.workers) <= i {
		f.workers = append(f.workers, newWorker(f.arena, f.reader))
	}
	w := f.workers[i]
	w.stamp = f.stamp
	return w
}
