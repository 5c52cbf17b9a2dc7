package bft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// Engine implements order.Engine.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	bell  chan struct{}
	inbox *inbox
	// bodies and held outlive sessions: a node that has caught up goes on with what came meanwhile. held is Run's and the session's listener's.
	bodies *bodies
	held   *holdings
	// members are those who are listened to; nil before Run and while this node is none of them.
	members atomic.Pointer[chain.ValidatorSet]
	// host and journal are Run's; answers are what the others say of this node's past. See recall.go.
	host    atomic.Pointer[order.Host]
	journal atomic.Pointer[journal]
	answers chan letter

	// mu guards status, what was spoken last by each validator, and the last decision that was synced.
	mu     sync.Mutex
	status order.Status
	spoken map[chain.ValidatorID]*spoken
	last   *chain.Decision
}

// New returns the engine of the node with that key.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Fence == nil {
		cfg.Fence = order.NewFence(order.FenceOpen, "", nil, cfg.Log, nil)
	}
	if cfg.Kind == "" {
		cfg.Kind = chain.BFT
	}
	return &Engine{cfg: cfg, log: cfg.Log, bell: make(chan struct{}, 1), inbox: newInbox(), bodies: newBodies(),
		answers: make(chan letter, maxAnswers), spoken: make(map[chain.ValidatorID]*spoken),
		status: order.Status{Engine: cfg.Kind, Heard: make(map[chain.ValidatorID]time.Time)}}, nil
}

// Run implements order.Engine: one session after the other while this node is a validator, and following while it is none.
func (e *Engine) Run(ctx context.Context, h order.Host) error {
	log, err := openJournal(e.cfg.Journal)
	if err != nil {
		return err
	}
	e.journal.Store(log)
	e.host.Store(&h)
	recalled := false
	var upTo uint64 // as far as the peers are
	var at viewAt
	var tries giveUps
	var began time.Time
	var from uint64 // where the last session began
	for ctx.Err() == nil {
		last, set, err := e.sync(ctx, h, upTo)
		if err != nil {
			return order.Ended(ctx, fmt.Errorf("bft: %w", err))
		}
		if err := e.cfg.Fence.Decided(last); err != nil {
			return fmt.Errorf("bft: open the fence: %w", err)
		}
		me := e.self(set)
		if me != nil && !recalled && !e.shut() {
			recalled, err = e.recall(ctx, h, me, set)
			if err != nil {
				return order.Ended(ctx, err)
			}
			upTo = 0 // the others have gone on meanwhile, and a set may have changed
			continue
		}
		shut := e.shut()
		recalled = recalled || shut // what opens it again is more than the others' word
		if me == nil || shut {
			e.follow(ctx, h)
			upTo = 0
			continue
		}
		switch lasted := time.Since(began); {
		case heightOf(last) > from:
		case lasted < shortSession: // whatever is wrong, beginning again at once would only take all of a core
			pause(ctx, shortSession)
		case upTo == 0 && lasted < fruitlessSession: // nor does anybody give what the others have decided
			pause(ctx, fruitlessSession)
		}
		s, err := newSession(e, h, log, last, set, me.ID, at)
		if err != nil {
			return err
		}
		began, from = time.Now(), s.height()
		at, err = s.run(ctx)
		switch height := s.height(); {
		case err == nil:
			if upTo = max(height, 1); s.outrun { // else the session has synced if it had to; 0 asks the peers again
				upTo = 0
			}
		case errors.Is(err, errGaveUp) && ctx.Err() == nil && tries.again(height):
			e.log.Error("beginning again from the ledger", "height", height, "err", err)
			upTo = 0
		default:
			return order.Ended(ctx, fmt.Errorf("bft: %w", err))
		}
	}
	return nil
}

const (
	// closeBy is by how many heights the ledger may grow in a last look at the peers: what they have decided meanwhile is waiting in the inbox then.
	closeBy = window / 4
	// maxSyncs bounds the looks. They become shorter; where they do not, decisions are made faster here than they can be fetched.
	maxSyncs = 8
)

// sync brings the ledger to the given height, or for 0 to where the peers are, as often as they have gone on far meanwhile, and listens to the others
// from the first time on.
func (e *Engine) sync(ctx context.Context, h order.Host, upTo uint64) (last *chain.Decision, set chain.ValidatorSet, err error) {
	var before uint64
	for n := 0; ; n++ {
		if last, set, err = h.Sync(ctx, upTo); err != nil {
			return nil, nil, err
		}
		e.settled(last, set)
		if e.self(set) == nil {
			e.members.Store(nil)
			return last, set, nil
		}
		e.members.Store(&set)
		height := heightOf(last)
		if upTo != 0 || n >= maxSyncs || (n > 0 && height <= before+closeBy) || height == 0 {
			return last, set, nil
		}
		before = height
	}
}

func heightOf(d *chain.Decision) uint64 {
	if d == nil {
		return 0
	}
	return d.Height
}

// shortSession is a session that has achieved nothing if it ends sooner.
const shortSession = 100 * time.Millisecond

// fruitlessSession is one that has ended because the others are ahead, and nothing could be fetched, if it ends sooner.
const fruitlessSession = 500 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// maxGaveUps is how often the library may give up at one height before that ends the run: messages that come at the wrong moment can lead it to
// what it thinks cannot be, and do so once; a broken invariant does it every time.
const maxGaveUps = 3

// giveUps counts them at the current height.
type giveUps struct {
	height uint64
	times  int
}

func (g *giveUps) again(height uint64) bool {
	if height > g.height {
		*g = giveUps{height: height}
	}
	g.times++
	return g.times <= maxGaveUps
}

// self is this node's member of set, or nil.
func (e *Engine) self(set chain.ValidatorSet) *chain.Validator {
	for i := range set {
		if bytes.Equal(set[i].PublicKey, e.cfg.Public) {
			return &set[i]
		}
	}
	return nil
}

// follow waits until the peers are ahead. Who is no validator has nothing to hear from the others.
func (e *Engine) follow(ctx context.Context, h order.Host) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.Behind():
			return
		case <-e.inbox.bell:
			e.inbox.clear()
		case <-e.bell:
		}
	}
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
	members := e.members.Load()
	if members == nil || members.Find(chain.ValidatorID(from)) == nil || len(msg) == 0 {
		return
	}
	switch msg[0] {
	case frameAskSigned: // also while no session reads the inbox: that of the asker waits for it
		e.answerSigned(chain.ValidatorID(from))
	case frameSigned:
		select {
		case e.answers <- letter{from, msg[1:]}:
		default: // nobody waits for it, or it is asked for again
		}
	default:
		e.inbox.put(from, msg)
	}
}

// Status implements order.Engine.
func (e *Engine) Status() order.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	s.Heard = make(map[chain.ValidatorID]time.Time, len(e.status.Heard))
	for id, t := range e.status.Heard {
		s.Heard[id] = t
	}
	s.Evidence = append([]order.Evidence(nil), e.status.Evidence...)
	if state, why := e.cfg.Fence.State(); state == order.FenceShut {
		s.Abstains = why
	}
	return s
}

// settled notes where the ledger is.
func (e *Engine) settled(last *chain.Decision, set chain.ValidatorSet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if last != nil && last.Height > e.status.Height {
		e.status.Height = last.Height
		e.status.LastDecision = time.Now()
	}
	e.last = last
	for id := range e.status.Heard {
		if set.Find(id) == nil {
			delete(e.status.Heard, id)
		}
	}
	for id := range e.spoken {
		if set.Find(id) == nil {
			delete(e.spoken, id)
		}
	}
}

// decided notes a decision.
func (e *Engine) decided(height uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Height, e.status.LastDecision = height, time.Now()
}

// leads notes the leader of a view.
func (e *Engine) leads(view uint64, leader chain.ValidatorID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.status.Leader != 0 && e.status.Leader != leader {
		e.status.LeaderChanges++
	}
	e.status.View, e.status.Leader = view, leader
}

// heard notes a sign of life of a validator.
func (e *Engine) heard(id chain.ValidatorID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Heard[id] = time.Now()
}

// maxEvidence bounds what Status shows: the log has all.
const maxEvidence = 16

// accuse notes that a validator contradicted itself.
func (e *Engine) accuse(ev order.Evidence) {
	e.mu.Lock()
	if len(e.status.Evidence) == maxEvidence {
		e.status.Evidence = append(e.status.Evidence[:0], e.status.Evidence[1:]...)
	}
	e.status.Evidence = append(e.status.Evidence, ev)
	e.mu.Unlock()
	e.log.Warn("a validator contradicts itself", "validator", ev.Validator, "height", ev.Height, "view", ev.View, "what", ev.What,
		"first", ev.First, "second", ev.Second)
}
