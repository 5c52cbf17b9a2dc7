package mpt

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
)

// Forest is the account trie and the storage tries of the chain's head. All methods but Durable belong to one goroutine. An error of any method that
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
	return f.accounts.hash, c, nil
}

// Durable says that the changes of all commits up to gen are on disk: what they touched may be evicted. Safe from any goroutine.
func (f *Forest) Durable(gen uint64) { f.durable.Store(gen + 1) }

// Stats describe the cache.
type Stats struct {
	Tries    int   // live storage tries
	Branches int   // live branches
	Bytes    int64 // memory of live branches and leaves
	Loads    int   // branches read from the store so far
	Evicted  int   // branches evicted so far
}

// Stats returns the present figures.
func (f *Forest) Stats() Stats {
	s := Stats{Tries: len(f.storage), Bytes: int64(len(f.storage)) * trieBytes, Evicted: f.evicted}
	for _, w := range f.workers {
		s.Branches += int(w.live)
		s.Bytes += w.liveBytes
		s.Loads += w.loads
	}
	return s
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

// attend turns the worker to a trie.
func (w *worker) attend(t *Trie) { w.table = &t.table }

// task is a piece of an update: a whole trie, or the subtree of one explicit child of its root.
type task struct {
	t    *Trie
	n    int // -1: the whole trie
	ops  []op
	fate fate
}

const (
	// splitOps is the number of updates of one trie that are worth spreading over goroutines: about a millisecond of work.
	splitOps = 256
	// goOps is the number of updates in all that are worth starting goroutines for.
	goOps = 128
)

// update applies the pending updates of the tries and makes their roots current.
func (f *Forest) update(tries []*Trie) error {
	if f.err != nil {
		return f.err
	}
	var tasks []task
	total := 0
	for _, t := range tries {
		if len(t.pending) == 0 && !t.wipe {
			continue
		}
		t.sort()
		total += len(t.ops)
		split, err := f.plan(t)
		if err != nil {
			return f.fail(err)
		}
		tasks = append(tasks, split...)
	}
	if err := f.perform(tasks, total); err != nil {
		return f.fail(err)
	}
	for i := 0; i < len(tasks); {
		k := i + 1
		for k < len(tasks) && tasks[k].t == tasks[i].t {
			k++
		}
		if tasks[i].n >= 0 {
			if err := f.join(tasks[i].t, tasks[i:k]); err != nil {
				return f.fail(err)
			}
		}
		i = k
	}
	f.collect(tries)
	return nil
}

// plan cuts the update of one trie into tasks.
func (f *Forest) plan(t *Trie) (tasks []task, err error) {
	whole := []task{{t: t, n: -1}}
	if len(t.ops) < splitOps || t.wipe || f.cfg.workers() == 1 {
		return whole, nil
	}
	w := f.worker(0)
	w.attend(t)
	if err := t.open(w); err != nil {
		return nil, err
	}
	root := w.branch(t.root)
	for ops := t.ops; len(ops) > 0; {
		n, group, rest := nextGroup(ops, 0)
		if ops = rest; root.explicit>>n&1 == 1 {
			tasks = append(tasks, task{t: t, n: n, ops: group})
		}
	}
	if len(tasks) < 2 {
		return whole, nil
	}
	return tasks, nil
}

// perform runs the tasks on the workers.
func (f *Forest) perform(tasks []task, total int) error {
	workers := min(f.cfg.workers(), len(tasks))
	if total < goOps {
		workers = min(workers, 1)
	}
	var next atomic.Int64
	errs := make([]error, workers)
	run := func(i int, w *worker) {
		for errs[i] == nil {
			k := int(next.Add(1)) - 1
			if k >= len(tasks) {
				return
			}
			errs[i] = tasks[k].run(w)
		}
	}
	var wg sync.WaitGroup
	for i := 1; i < workers; i++ {
		w := f.worker(i)
		wg.Go(func() { run(i, w) })
	}
	if workers > 0 {
		run(0, f.worker(0))
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *task) run(w *worker) (err error) {
	w.attend(k.t)
	if k.n < 0 {
		return k.t.apply(w)
	}
	root := w.branch(k.t.root)
	if k.fate, err = w.descend(root, k.n, k.ops); err == nil && k.fate == changed {
		w.hashChild(root, k.n)
	}
	return err
}

// join completes a trie whose explicit children were updated by tasks of their own.
func (f *Forest) join(t *Trie, tasks []task) error {
	w := f.worker(0)
	w.attend(t)
	root := w.branch(t.root)
	root.stamp = w.stamp
	var absorb uint16
	differs := false
	for _, k := range tasks {
		differs = differs || k.fate != unchanged
		if k.fate == absorbed {
			absorb |= 1 << k.n
		}
	}
	w.settle(root, t.ops, absorb)
	if !differs && root.dirty == 0 {
		return nil
	}
	w.hashChildren(root)
	return t.finish(w)
}

// collect takes over the logs of the workers after the tries were updated.
func (f *Forest) collect(tries []*Trie) {
	for _, w := range f.workers {
		if w.log.n > 0 {
			f.logs = append(f.logs, w.log)
			w.log = opLog{b: make([]byte, 0, len(w.log.b))}
		}
	}
	for _, t := range tries {
		t.done()
	}
	f.dirty = slices.DeleteFunc(f.dirty, func(t *Trie) bool { return !t.listed })
}
