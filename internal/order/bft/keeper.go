package bft

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// keep makes decisions durable and catches up with the peers, one after the other as Host wants it. It returns the view that the next session
// begins with, if the peers are in a later one than this.
func (s *session) keep() (at viewAt) {
	var pause backoff
	var progress time.Time
	for !s.dead() {
		select {
		case <-s.ctx.Done():
		case next := <-s.jump:
			if view, _, _ := s.where(); next.view > view && next.height == s.height() {
				s.e.log.Info("a peer has proven a later view", "height", next.height, "view", next.view)
				s.finish(nil)
				return next
			}
		case d := <-s.decided:
			if err := s.store(d); err != nil {
				if s.ctx.Err() == nil {
					s.finish(err)
				}
				return at
			}
			pause.reset()
			progress = time.Now()
		case <-s.behind:
			if time.Since(progress) < progressPatience || (!s.sure.Swap(false) && !pause.over()) {
				continue // whoever asked asks again
			}
			if s.farBehind() {
				s.e.log.Info("the others are far ahead, beginning again behind what they have decided", "height", s.height()+1, "peers", s.e.held.frontier.Load())
				s.outrun = true
				s.finish(nil)
				return at
			}
			next, err := s.catchUp()
			if err != nil {
				if s.ctx.Err() == nil {
					s.finish(err)
				}
				return at
			}
			if next != nil {
				s.finish(nil)
				return *next
			}
			pause.longer()
		}
	}
	return at
}

// store makes d durable. A new set ends the session.
func (s *session) store(d types.Decision) error {
	md, err := parseMetadata(d.Proposal.Metadata)
	if err != nil {
		return err
	}
	if md.LatestSequence <= s.height() { // delivered twice, which the library does at times
		return nil
	}
	b, err := s.decidedBody(crypto.Hash(d.Proposal.Header), md.LatestSequence)
	if b == nil {
		return err
	}
	p, err := newProof(d.Proposal.Metadata, d.Signatures, s.quorum)
	if err != nil {
		return fmt.Errorf("decision %d: %w", b.Height, err)
	}
	dec := b.Decide(p.encode())
	s.mu.Lock()
	s.delivers = true
	s.mu.Unlock()
	set, err := s.host.Deliver(s.ctx, dec)
	if err != nil {
		return fmt.Errorf("deliver decision %d: %w", dec.Height, err)
	}
	s.e.decided(dec.Height)
	if set != nil {
		s.e.log.Info("the validators change", "height", dec.Height+1, "count", len(set))
		s.finish(nil)
	}
	s.mu.Lock()
	s.last, s.delivers = dec, false
	close(s.durable)
	s.durable = make(chan struct{})
	s.mu.Unlock()
	s.intake.flush()
	s.wakeProposer()
	return nil
}

// bodyPatience is how long peers are asked for a decided body before their ledgers are: some have forgotten it, none has lost it.
const bodyPatience = time.Second

// decidedBody returns the body of a decision. nil without an error when the decision came by catching up, and the session has ended with that.
func (s *session) decidedBody(hash crypto.Hash, height uint64) (*body, error) {
	for {
		ctx, cancel := context.WithTimeout(s.ctx, bodyPatience)
		b := s.bodies.wait(ctx, hash, func() { s.askBody(hash) })
		cancel()
		if b != nil || s.ctx.Err() != nil {
			return b, s.ctx.Err()
		}
		last, _, err := s.host.Sync(s.ctx, height)
		if err != nil {
			return nil, fmt.Errorf("catch up: %w", err)
		}
		if last != nil && last.Height >= height {
			s.finish(nil)
			return nil, nil
		}
	}
}

// askCatchUp makes the keeper look whether the peers are ahead. Where that is sure it does not wait for its next turn.
func (s *session) askCatchUp(sure bool) {
	if sure {
		s.sure.Store(true)
	}
	select {
	case s.behind <- struct{}{}:
	default:
	}
}

// farBehind tells that what is missing takes longer to fetch than the library should be left without messages: it would take the leader for silent.
func (s *session) farBehind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.e.held.frontier.Load() > s.givenAt+window
}

// progressPatience is how long after a decision of its own a node takes being behind for being slow: what it lacks is on its way, and beginning again
// would make it slower.
const progressPatience = 300 * time.Millisecond

// askPatience is how long peers may take to tell their view.
const askPatience = 200 * time.Millisecond

// viewReport is a peer's answer to frameAskView.
type viewReport struct {
	from chain.ValidatorID
	at   viewAt
}

// catchUp fetches what the peers have decided, and asks for their view. It returns where to begin again, nil when there is no need to.
func (s *session) catchUp() (*viewAt, error) {
	before, byLibrary := s.height(), s.libraryAsked.Swap(false)
	last, _, err := s.host.Sync(s.ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("catch up: %w", err)
	}
	if decided := s.e.held.frontier.Load(); heightOf(last)+1 < decided { // it was told by its votes, the heights that peers announce lag behind
		if last, _, err = s.host.Sync(s.ctx, decided-1); err != nil {
			return nil, fmt.Errorf("catch up: %w", err)
		}
	}
	if last != nil && last.Height > before {
		s.e.log.Info("caught up with the peers", "from", before, "height", last.Height)
		return &viewAt{}, nil
	}
	at := viewAt{height: before}
	for len(s.views) > 0 {
		<-s.views
	}
	s.send(0, []byte{frameAskView})
	timer := time.NewTimer(askPatience)
	defer timer.Stop()
	heard := make(map[chain.ValidatorID]uint64)
	for len(heard) < len(s.set)-1 {
		select {
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		case r := <-s.views:
			if r.at.height == before {
				heard[r.from] = r.at.view
			}
			continue
		case <-timer.C:
		}
		break
	}
	// One honest validator at least is in the highest view that more than the faulty ones name, and came there by the rules.
	var views []uint64
	for _, v := range heard {
		views = append(views, v)
	}
	sort.Slice(views, func(i, j int) bool { return views[i] > views[j] })
	for i := 0; i+s.faulty < len(views); i++ {
		if views[i] == views[i+s.faulty] {
			at.view = views[i]
			break
		}
	}
	view, leader, changing := s.where()
	switch {
	case at.view > view:
		s.e.log.Info("the peers are in a later view", "height", before, "view", at.view)
		return &at, nil
	case leader == s.me && byLibrary && !changing:
		return &viewAt{}, nil // a leader that the library made ask stops proposing
	}
	return nil, nil
}

// backoff spaces fruitless attempts to catch up: on an idle chain the library asks for one every second.
type backoff struct {
	next time.Time
	wait time.Duration
}

const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

func (b *backoff) over() bool { return !time.Now().Before(b.next) }

func (b *backoff) longer() {
	b.wait = min(max(2*b.wait, firstBackoff), lastBackoff)
	b.next = time.Now().Add(b.wait)
}

func (b *backoff) reset() { *b = backoff{} }
