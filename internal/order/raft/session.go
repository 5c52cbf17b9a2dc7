package raft

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// session is this node's part in the log under one number. Four goroutines share it: one drives the library and owns it with the journal, one hears the
// peers, one applies what is committed, one proposes.
type session struct {
	e       *Engine
	host    order.Host
	journal *journal
	me      chain.ValidatorID
	node    *raft.RawNode
	// configuration is the library's as of what is committed; reconfigured tells that no snapshot has it yet. The driving goroutine's.
	configuration *raftpb.ConfState
	reconfigured  bool

	ctx  context.Context //nolint:containedctx // of one run, and nothing outlives it
	stop context.CancelFunc
	end  sync.Once
	err  error

	steps     chan *raftpb.Message
	held      chan *raftpb.Message
	births    chan letter
	proposals chan *offer

	// mu guards what follows; changed is closed and replaced whenever it changes.
	mu      sync.Mutex
	changed chan struct{}
	view    view
}

// view is what the goroutines tell each other.
type view struct {
	last *chain.Decision
	set  chain.ValidatorSet
	// term is the one that this node leads in, 0 when it leads in none; opened is the index of the entry with which it began.
	term, opened uint64
	// committed is what the library has committed, applied as far as this node has come; height is the last decision's at applied.
	committed, applied uint64
	// behind is the height that a snapshot stands for and the ledger has not reached.
	behind uint64
	// member tells that the library's configuration, or the set, has this node.
	member bool
}

// offer is a proposal on its way into the log.
type offer struct {
	data []byte
	term uint64
	// taken says whether the library has it.
	taken chan bool
}

func newSession(e *Engine, h order.Host, j *journal, last *chain.Decision, set chain.ValidatorSet, me chain.ValidatorID) *session {
	return &session{e: e, host: h, journal: j, me: me, steps: make(chan *raftpb.Message, 256), held: make(chan *raftpb.Message, maxInflight),
		births: make(chan letter, 16), proposals: make(chan *offer), changed: make(chan struct{}), view: view{last: last, set: set, member: true}}
}

// run takes part until ctx ends, the library cannot go on, or this node is no member any more.
func (s *session) run(ctx context.Context) error {
	s.ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	snapshot, err := s.journal.storage.Snapshot()
	if err != nil {
		return err
	}
	applied := snapshot.GetMetadata().GetIndex()
	height, err := heightOf(snapshot)
	if err != nil {
		return err
	}
	s.view.applied, s.view.committed = applied, applied
	s.configuration = snapshot.GetMetadata().GetConfState()
	if s.height() < height {
		s.view.behind = height
	}
	if err := s.guard(func() (err error) {
		s.node, err = raft.NewRawNode(s.e.cfg.library(s.me, s.journal.storage, applied))
		return err
	}); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	var parts sync.WaitGroup
	for _, part := range []func() error{s.drive, s.hear, s.hold, s.apply, s.propose} {
		parts.Go(func() {
			if err := part(); err != nil {
				s.finish(err)
			}
		})
	}
	parts.Wait()
	return s.err
}

// finish ends the session; err is nil when another one, or following, is to come.
func (s *session) finish(err error) {
	s.end.Do(func() {
		s.err = err
		s.stop()
	})
}

// errLibrary is what the library cannot go on from.
var errLibrary = errors.New("the log is damaged, or a validator's is")

// guard runs the library, which panics where a log contradicts itself or another's.
func (s *session) guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			text, ok := r.(broken)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%w: %s", errLibrary, string(text))
		}
	}()
	return f()
}

// height is the last decision's.
func (s *session) height() uint64 {
	if v := s.look(); v.last != nil {
		return v.last.Height
	}
	return 0
}

func (s *session) look() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

// update changes the view and wakes who waits for that.
func (s *session) update(change func(v *view)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.view)
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until the view is as wanted; false when the session ends before.
func (s *session) await(wanted func(v *view) bool) (view, bool) {
	for {
		s.mu.Lock()
		v, changed := s.view, s.changed
		s.mu.Unlock()
		if wanted(&v) {
			return v, s.ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return v, false
		}
	}
}
