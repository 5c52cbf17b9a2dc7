package raft

import (
	"bytes"
	"context"
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
	inbox chan letter
	// members are those who are listened to; nil before Run.
	members atomic.Pointer[chain.ValidatorSet]

	// mu guards status.
	mu     sync.Mutex
	status order.Status
}

// letter is a message with its sender.
type letter struct {
	from order.PeerID
	msg  []byte
}

// inboxMessages bounds what waits for the session. What finds no room is dropped: the library repeats itself.
const inboxMessages = 4096

// New returns the engine of the node with that key.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{cfg: cfg, log: cfg.Log, bell: make(chan struct{}, 1), inbox: make(chan letter, inboxMessages),
		status: order.Status{Engine: chain.Raft, Heard: make(map[chain.ValidatorID]time.Time)}}, nil
}

// Run implements order.Engine: a session while this node is a member of the log's configuration or of the validator set, following otherwise.
func (e *Engine) Run(ctx context.Context, h order.Host) error {
	j, err := openJournal(e.cfg.Journal)
	if err != nil {
		return err
	}
	var upTo uint64
	for ctx.Err() == nil {
		last, set, err := h.Sync(ctx, upTo)
		if err != nil {
			return order.Ended(ctx, fmt.Errorf("raft: %w", err))
		}
		e.settled(last)
		e.members.Store(&set)
		me := e.self(set)
		if me == nil {
			e.follow(ctx, h)
			upTo = 0
			continue
		}
		alive, err := e.beBorn(ctx, h, j, me.ID, set)
		switch {
		case err != nil:
			return order.Ended(ctx, err)
		case !alive:
			e.follow(ctx, h)
			upTo = 0
			continue
		}
		s := newSession(e, h, j, last, set, me.ID)
		if err := s.run(ctx); err != nil {
			return order.Ended(ctx, fmt.Errorf("raft: %w", err))
		}
		upTo = 0
	}
	return nil
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

// follow waits until the peers are ahead.
func (e *Engine) follow(ctx context.Context, h order.Host) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.Behind():
			return
		case <-e.inbox:
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
	if e.members.Load() == nil {
		return
	}
	select {
	case e.inbox <- letter{from, msg}:
	default:
	}
}

// VerifyDecision implements order.Engine: a decision bears its proposer's signature. That a majority stored it is not in it; see the package's comment.
func (e *Engine) VerifyDecision(set chain.ValidatorSet, d *chain.Decision) error {
	return order.VerifySigned(e.cfg.Suite, e.cfg.GenesisHash, set, d)
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
	return s
}

// settled notes where the ledger is.
func (e *Engine) settled(last *chain.Decision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if last != nil && last.Height > e.status.Height {
		e.status.Height, e.status.LastDecision = last.Height, time.Now()
	}
}

// leads notes the leader of a term, 0 for none.
func (e *Engine) leads(term uint64, leader chain.ValidatorID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if leader != 0 && e.status.Leader != leader && e.status.View != term {
		if e.status.View != 0 {
			e.status.LeaderChanges++
		}
		e.log.Info("another leader", "height", e.status.Height+1, "view", term, "leader", leader)
	}
	e.status.View, e.status.Leader = term, leader
}

// heard notes a sign of life of a validator.
func (e *Engine) heard(id chain.ValidatorID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Heard[id] = time.Now()
}
