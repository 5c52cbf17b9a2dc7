package bft

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/consensus"
	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// session is one run of the library. Its parts: library.go what the library calls, comm.go what it sends, intake.go what it is told, proposer.go
// proposals, keeper.go decisions and catching up, tend.go what time brings.
type session struct {
	e       *Engine
	host    order.Host
	journal *journal
	set     chain.ValidatorSet
	me      chain.ValidatorID
	quorum  int
	faulty  int

	lib      *consensus.Consensus
	bodies   *bodies
	out      outbox
	intake   intake
	handover handover
	tickets  chan struct{} // wakes the proposer
	decided  chan types.Decision
	behind   chan struct{} // asks the keeper to catch up
	views    chan viewReport
	// jump is a later view that a peer has proven.
	jump chan viewAt

	ctx  context.Context
	stop context.CancelFunc
	// over is closed when the session is to end; err says why if that is an error. No message and no entry of the journal leaves it after that.
	over chan struct{}
	end  sync.Once
	err  error
	// libraryAsked tells that it was the library that asked to catch up.
	libraryAsked atomic.Bool
	// outrun tells, at the end, that the others were too far ahead. It is the keeper's.
	outrun bool
	// sure tells that peers are known to be ahead.
	sure atomic.Bool

	// mu guards what follows.
	mu   sync.Mutex
	last *chain.Decision // the last durable decision
	// given is the library's last decision: durable, or on its way to be.
	given      types.Decision
	givenAt    uint64
	durable    chan struct{} // closed and replaced when last changes
	view       uint64
	leader     chain.ValidatorID
	leaderFrom time.Time
	// changing tells that this node has asked for the next view and is in none.
	changing bool
	// stash is the proposal that waits for the library to ask for it, ticket the library's request for that, if there is one.
	stash  *order.Proposal
	ticket uint64
	// proposed is the height of this node's newest proposal; own its hash.
	proposed uint64
	own      crypto.Hash
	delivers bool
	promised promises
	// began is the newest message that begins a view.
	began viewProof
	// hinted is since when peers speak of a later view.
	hinted   time.Time
	evidence evidence
}

// newSession prepares the library to go on behind last, in view at.view if that is of this height and newer than what the journal knows.
func newSession(e *Engine, h order.Host, j *journal, last *chain.Decision, set chain.ValidatorSet, me chain.ValidatorID, at viewAt) (*session, error) {
	s := &session{e: e, host: h, journal: j, set: set, me: me, quorum: chain.BFT.Quorum(len(set)), faulty: chain.BFT.Faulty(len(set)),
		bodies: e.bodies, tickets: make(chan struct{}, 1), decided: make(chan types.Decision, 4), behind: make(chan struct{}, 1),
		views: make(chan viewReport, len(set)), jump: make(chan viewAt, 1), over: make(chan struct{}), handover: newHandover(), last: last, durable: make(chan struct{}), evidence: newEvidence()}
	e.held = newHoldings(set, e.held)
	s.intake.init(e.held)
	given, md, err := e.checkpoint(last)
	if err != nil {
		return nil, fmt.Errorf("bft: %w", err)
	}
	s.given, s.givenAt = given, md.LatestSequence
	height := s.height()
	if at.height == height && at.view > md.ViewId {
		if err := s.journal.append(record{Height: height, Messages: [][]byte{newViewRecord(at)}, View: at.view, NewView: at.proof}, true); err != nil {
			return nil, err
		}
	}
	kept, err := s.journal.remains(height)
	if err != nil {
		return nil, err
	}
	s.promised.view = j.promise()
	s.began = j.entered(height)
	if p := kept.proposal; p != nil {
		if len(kept.messages) > 1 && len(p.Proposal.GetHeader()) == len(crypto.Hash{}) {
			s.promised.height, s.promised.header = height+1, crypto.Hash(p.Proposal.Header)
		}
		if err := s.resume(p, kept.body, md); err != nil {
			return nil, fmt.Errorf("bft: the journal's proposal: %w", err)
		}
	}
	nodes := make([]uint64, len(set))
	for i, v := range set {
		nodes[i] = uint64(v.ID)
	}
	cfg := e.cfg.library(uint64(me))
	s.lib = &consensus.Consensus{Config: cfg, Application: s, Assembler: s, WAL: s, WALInitialContent: kept.messages, Comm: comm{s, nodes},
		Signer: s, Verifier: s, RequestInspector: s, Synchronizer: synchronizer{s}, Logger: libraryLog{s}, Metadata: md,
		LastProposal: given.Proposal, LastSignatures: given.Signatures}
	return s, nil
}

// resume puts the proposal in flight back where it was, and md to its view: the library takes view and leader from there.
func (s *session) resume(p *smartbftprotos.PrePrepare, raw []byte, md *smartbftprotos.ViewMetadata) error {
	proposal, err := order.DecodeProposal(raw)
	if err != nil {
		return err
	}
	hash := proposal.Hash(s.e.cfg.Suite)
	own, err := parseMetadata(p.Proposal.Metadata)
	if err != nil {
		return err
	}
	if string(hash[:]) != string(p.Proposal.Header) || own.LatestSequence != s.height()+1 {
		return errors.New("its body is another one")
	}
	s.bodies.put(hash, proposal, raw, proposal.Proposer)
	s.proposed = proposal.Height // nothing else is proposed before that is settled
	if own.ViewId > md.ViewId {
		md.ViewId = own.ViewId
	}
	if leaderOf(s.set, own.ViewId) == s.me { // it may never have been sent
		m := &smartbftprotos.Message{Content: &smartbftprotos.Message_PrePrepare{PrePrepare: p}}
		if err := s.out.resume(m, raw); err != nil {
			return err
		}
	}
	if own.ViewId == md.ViewId && own.DecisionsInView == 0 {
		md.DecisionsInView = math.MaxUint64 // the library adds one
	}
	return nil
}

// run takes part until the session is over. It returns the view to go on with, if the peers told one.
func (s *session) run(ctx context.Context) (viewAt, error) {
	s.ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	clock, changes := time.NewTicker(s.e.cfg.tick()), time.NewTicker(s.e.cfg.tick())
	defer clock.Stop()
	defer changes.Stop()
	s.lib.Scheduler, s.lib.ViewChangerTicker = clock.C, changes.C

	var parts sync.WaitGroup
	var at viewAt
	parts.Go(func() { at = s.keep() })
	started := make(chan error, 1)
	go func() {
		err := errors.New("the library ended while it started")
		defer func() { started <- err }()
		err = s.lib.Start()
	}()
	err := <-started
	if err != nil {
		s.finish(fmt.Errorf("start: %w", err))
	} else {
		parts.Go(s.listen)
		parts.Go(s.propose)
		parts.Go(s.tend)
		s.hurry()
		select {
		case <-ctx.Done():
		case <-s.over:
		}
		s.finish(ctx.Err())
		s.stopLibrary()
	}
	parts.Wait()
	return at, s.err
}

// stopPatience is how long the library may take to stop. It has places where a goroutine of its waits for another that has gone.
const stopPatience = 10 * time.Second

func (s *session) stopLibrary() {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.lib.Stop()
	}()
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		s.e.log.Error("the consensus library does not stop; some of its goroutines are left behind")
	}
}

// finish ends the session; err is nil when another one is to follow.
func (s *session) finish(err error) {
	s.end.Do(func() {
		s.err = err
		close(s.over)
		s.stop()
	})
}

// dead tells that the session is over: callbacks of the library then do nothing and return at once.
func (s *session) dead() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// height is the last durable decision's.
func (s *session) height() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return heightOf(s.last)
}

// settled waits until all decisions of the library up to height are durable; false when the session ends before.
func (s *session) settled(height uint64) bool {
	for {
		s.mu.Lock()
		have, bell := uint64(0), s.durable
		if s.last != nil {
			have = s.last.Height
		}
		s.mu.Unlock()
		if have >= height {
			return !s.dead()
		}
		select {
		case <-bell:
		case <-s.ctx.Done():
			return false
		}
	}
}

// settledAll waits until what the library has decided is durable.
func (s *session) settledAll() bool {
	s.mu.Lock()
	height := s.givenAt
	s.mu.Unlock()
	return s.settled(height)
}

// allSettled tells that what the library has decided is durable.
func (s *session) allSettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return heightOf(s.last) >= s.givenAt
}

// where is the view and its leader.
func (s *session) where() (view uint64, leader chain.ValidatorID, changing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view, s.leader, s.changing
}
