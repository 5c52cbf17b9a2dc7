package mpt

import (
	"slices"
	"sync"
	"sync/atomic"
)

// task is a piece of an update for one worker: some small tries, or the subtree of one explicit child of a large trie's root.
type task struct {
	tries []*Trie // one, if a subtree is meant
	n     int     // the root's child; -1: whole tries
	ops   []op    // under the child
	fate  fate    // of the child
}

const (
	// splitOps is the number of updates of one trie that are worth spreading over goroutines: about a millisecond of work.
	splitOps = 256
	// goOps is the number of updates in all that are worth starting goroutines for.
	goOps = 128
	// taskTries is the number of small tries in one task: enough to fill the hasher's lanes with their roots.
	taskTries = 16
)

// update applies the pending updates of the tries and makes their roots current.
func (f *Forest) update(tries []*Trie) error {
	if f.err != nil {
		return f.err
	}
	tasks, total, err := f.plan(tries)
	if err != nil {
		return f.fail(err)
	}
	if err := f.perform(tasks, total); err != nil {
		return f.fail(err)
	}
	for i := 0; i < len(tasks); {
		k := i + 1
		for k < len(tasks) && tasks[k].tries[0] == tasks[i].tries[0] {
			k++
		}
		if tasks[i].n >= 0 {
			if err := f.join(tasks[i].tries[0], tasks[i:k]); err != nil {
				return f.fail(err)
			}
		}
		i = k
	}
	f.collect(tries)
	return nil
}

// plan cuts the update into tasks and counts its operations.
func (f *Forest) plan(tries []*Trie) (tasks []task, total int, err error) {
	var small []*Trie
	for _, t := range tries {
		if len(t.pending) == 0 && !t.wipe {
			continue
		}
		t.sort()
		total += len(t.ops)
		split, err := f.split(t)
		if err != nil {
			return nil, 0, err
		}
		if tasks = append(tasks, split...); len(split) == 0 {
			small = append(small, t)
		}
	}
	for lot := range slices.Chunk(small, taskTries) {
		tasks = append(tasks, task{tries: lot, n: -1})
	}
	return tasks, total, nil
}

// split cuts the update of a large trie into tasks for the subtrees under its root; none, if it is not worth it.
func (f *Forest) split(t *Trie) (tasks []task, err error) {
	if len(t.ops) < splitOps || t.wipe || f.cfg.workers() == 1 {
		return nil, nil
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
			tasks = append(tasks, task{tries: []*Trie{t}, n: n, ops: group})
		}
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
			errs[i] = w.perform(&tasks[k])
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
	return w.finish([]*Trie{t})
}

// collect takes over the logs of the workers after the tries were updated.
func (f *Forest) collect(tries []*Trie) {
	for _, w := range f.workers {
		w.trim()
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

// attend turns the worker to a trie.
func (w *worker) attend(t *Trie) { w.table = &t.table }

func (w *worker) perform(k *task) (err error) {
	if k.n < 0 {
		return w.updateTries(k.tries)
	}
	t := k.tries[0]
	w.attend(t)
	root := w.branch(t.root)
	if k.fate, err = w.descend(root, k.n, k.ops); err == nil && k.fate == changed {
		w.hashChild(root, k.n)
	}
	return err
}

// updateTries updates whole tries and hashes them together.
func (w *worker) updateTries(tries []*Trie) error {
	differing := make([]*Trie, 0, len(tries))
	for _, t := range tries {
		w.attend(t)
		if err := t.apply(w); err != nil {
			return err
		}
		if t.root == 0 {
			continue
		}
		if root := w.branch(t.root); root.dirty != 0 {
			w.queueDirty(root)
			differing = append(differing, t)
		}
	}
	w.hashQueues()
	return w.finish(differing)
}

// finish hashes the roots of tries whose references are up to date, and logs their records.
func (w *worker) finish(tries []*Trie) error {
	for _, t := range tries {
		w.attend(t)
		root := w.branch(t.root)
		if root.child == 0 {
			t.hash = EmptyRoot
			continue
		}
		node, err := w.rootNode(root)
		if err != nil {
			return err
		}
		w.push(append(w.message(), node...), (*[32]byte)(&t.hash))
	}
	w.flush()
	for _, t := range tries {
		w.attend(t)
		switch root := w.branch(t.root); {
		case !root.small():
			w.logRecord(&t.table, root, 0, (*[32]byte)(&t.hash))
			t.recorded = true
		case t.recorded:
			w.deleteRecord(&root.path, 0)
			t.recorded = false
		}
	}
	return nil
}
