package bft

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// holdFor is after how long what is held back for a later view is let through: the library then learns that it is behind.
const holdFor = time.Second

// intake is what stands between the inbox and the library. But for the methods that say so it is the listener's.
type intake struct {
	held *holdings
	// passed are the messages of changes of the view that the library has had, with the height of the last decision that they tell: it takes a repeated
	// one for a new one. Only those of passedView.
	passed     map[passedKey]passedOne
	passedView uint64
	// answered is when a peer last got a body that it asked for: answers are long, so questions that come too fast have none.
	answered map[chain.ValidatorID]time.Time
	// proven is when a peer last proved a view.
	proven map[chain.ValidatorID]time.Time
	// bell asks the listener to look through held.
	bell chan struct{}
	// changeView is the view that the library prepares or is in.
	changeView atomic.Uint64

	// gate is held while the library takes a vote. frozen keeps it from taking one: it would wait for a lock that is held until two of its ticks.
	gate   sync.Mutex
	frozen bool

	// mu guards wanted: decided hashes whose bodies are missing.
	mu     sync.Mutex
	wanted map[crypto.Hash]bool
}

func (in *intake) init(held *holdings) {
	in.held = held
	in.bell, in.passed, in.wanted = make(chan struct{}, 1), make(map[passedKey]passedOne), make(map[crypto.Hash]bool)
	in.answered, in.proven = make(map[chain.ValidatorID]time.Time), make(map[chain.ValidatorID]time.Time)
}

// flush makes the listener look through what is held back. Safe for concurrent use.
func (in *intake) flush() {
	select {
	case in.bell <- struct{}{}:
	default:
	}
}

// freeze keeps votes from the library until thaw. Safe for concurrent use.
func (in *intake) freeze(on bool) {
	in.gate.Lock()
	in.frozen = on
	in.gate.Unlock()
	in.flush()
}

// listen hears the peers until the session ends.
func (s *session) listen() {
	timer := time.NewTicker(holdFor / 4)
	defer timer.Stop()
	gap := newGap()
	defer gap.timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.e.inbox.bell:
			m, ok := s.e.inbox.take()
			from := chain.ValidatorID(m.from)
			if ok && from != s.me && s.set.Find(from) != nil && len(m.msg) > 0 {
				s.e.heard(from)
				s.hear(from, m.msg)
				gap.look(s)
			}
		case <-s.intake.bell:
			s.release()
		case <-timer.C:
			if s.intake.held.count > 0 {
				s.release()
			}
		case <-gap.timer.C:
			gap.over(s)
		}
	}
}

// hear takes one frame. What is malformed is dropped: a validator that sends such is faulty, and the others do not wait for it.
func (s *session) hear(from chain.ValidatorID, frame []byte) {
	kind, b := frame[0], frame[1:]
	switch kind {
	case frameLibrary:
		if m, err := parseLibrary(b); err == nil {
			if v := m.GetPrepare(); v != nil {
				s.voted(from, viewSeq{v.View, v.Seq}, v.Assist)
			} else if v := m.GetCommit(); v != nil {
				s.voted(from, viewSeq{v.View, v.Seq}, v.Assist)
			}
			s.take(heldBack{from, m, time.Now()})
		}
	case framePropose:
		if m, raw, err := parsePropose(b); err == nil && s.takeBody(from, m.GetPrePrepare(), raw) {
			s.take(heldBack{from, m, time.Now()})
		}
	case frameWaiting:
		if hashes, err := parseWaiting(b); err == nil {
			s.host.Wanted(order.PeerID(from), hashes)
		}
	case frameAskBody:
		if now := time.Now(); len(b) == len(crypto.Hash{}) && now.Sub(s.intake.answered[from]) >= askBodyEvery/2 {
			s.intake.answered[from] = now
			if found, _ := s.bodies.get(crypto.Hash(b)); found != nil {
				s.host.Send(order.PeerID(from), append([]byte{frameBody}, found.raw...))
			}
		}
	case frameBody:
		s.takeAskedBody(b)
	case frameAskView:
		view, _, _ := s.where() // one that was entered, even if another is asked for: those who have not must come here, or there is no quorum anywhere
		s.host.Send(order.PeerID(from), viewFrame(view, s.height()))
	case frameView:
		if at, err := parseView(b); err == nil {
			select {
			case s.views <- viewReport{from, at}:
			default:
			}
		}
	case frameAgree:
		if view, err := parseAgree(b); err == nil {
			s.agreed(from, view)
		}
	case frameNewView:
		s.hearProof(from, b)
	}
}

// voted notes a vote of a validator. One that only helps another says nothing of where its sender is.
func (s *session) voted(from chain.ValidatorID, at viewSeq, assists bool) {
	s.out.vote(from, at)
	if !assists {
		s.intake.held.vote(from, at.seq)
	}
}

// viewsAhead is how many views ahead of this node's a leader is listened to: few may send what has to be kept.
const viewsAhead = 2

// takeBody checks a pre-prepare against its body and keeps that. Hashing is work, so only those of leaders of the next views for the next heights are
// looked at.
func (s *session) takeBody(from chain.ValidatorID, p *smartbftprotos.PrePrepare, raw []byte) bool {
	height := s.height()
	view, _, _ := s.where()
	s.hint(p.View)
	most := max(height, s.intake.held.frontier.Load()) + window
	if leaderOf(s.set, p.View) != from || p.View < view || p.View > view+viewsAhead || p.Seq <= height || p.Seq > most {
		return false
	}
	hash := crypto.Hash(p.Proposal.Header)
	if md, err := parseMetadata(p.Proposal.Metadata); err != nil || md.LatestSequence != p.Seq || md.ViewId != p.View {
		return false
	}
	if p.Seq <= height+window {
		s.evidence.propose(s, from, p.View, p.Seq, digest(s.e.cfg.Suite, p.Proposal.Header, p.Proposal.Metadata))
	}
	if found, _ := s.bodies.get(hash); found != nil {
		return found.Height == p.Seq
	}
	proposal, err := order.DecodeProposal(raw)
	if err != nil || proposal.Height != p.Seq || proposal.Hash(s.e.cfg.Suite) != hash {
		return false
	}
	s.bodies.put(hash, proposal, raw, from)
	return true
}

// askBody asks all peers for a decided body. Safe for concurrent use.
func (s *session) askBody(hash crypto.Hash) {
	s.intake.mu.Lock()
	s.intake.wanted[hash] = true
	s.intake.mu.Unlock()
	s.send(0, append([]byte{frameAskBody}, hash[:]...))
}

func (s *session) takeAskedBody(raw []byte) {
	s.intake.mu.Lock()
	none := len(s.intake.wanted) == 0
	s.intake.mu.Unlock()
	if none {
		return
	}
	p, err := order.DecodeProposal(raw)
	if err != nil {
		return
	}
	hash := p.Hash(s.e.cfg.Suite)
	s.intake.mu.Lock()
	wanted := s.intake.wanted[hash]
	delete(s.intake.wanted, hash)
	s.intake.mu.Unlock()
	if wanted {
		s.bodies.put(hash, p, raw, asked)
	}
}

// release takes again what is held back.
func (s *session) release() {
	for _, h := range s.intake.held.takeAll() {
		s.take(h)
	}
}

// verdict is what becomes of a message.
type verdict int

const (
	drop verdict = iota
	hold
	pass
)

// take gives a message to the library, or keeps it for later, or drops it.
func (s *session) take(h heldBack) {
	switch s.judge(h) {
	case hold:
		s.intake.held.keep(h)
	case pass:
		s.lib.HandleMessage(uint64(h.from), h.m)
	case drop:
	}
}

func (s *session) judge(h heldBack) verdict {
	switch t := h.m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		return s.judgeVote(h, t.PrePrepare.View, t.PrePrepare.Seq)
	case *smartbftprotos.Message_Prepare:
		return s.judgeVote(h, t.Prepare.View, t.Prepare.Seq)
	case *smartbftprotos.Message_Commit:
		s.evidence.commit(s, h.from, t.Commit)
		return s.judgeVote(h, t.Commit.View, t.Commit.Seq)
	case *smartbftprotos.Message_ViewData:
		return s.judgeViewData(h, t.ViewData)
	case *smartbftprotos.Message_NewView:
		return s.judgeNewView(h, t.NewView)
	case *smartbftprotos.Message_HeartBeat:
		s.hint(t.HeartBeat.View)
		return pass
	case *smartbftprotos.Message_ViewChange:
		s.agree(h.from, t.ViewChange.NextView)
		return pass
	case *smartbftprotos.Message_HeartBeatResponse:
		return pass
	}
	return drop // what the keeper asks the peers for by frames of its own
}

// judgeVote passes what the library can use now. It takes the next two heights; it ends a view in which the leader speaks of another, so votes of
// views that are left are kept from it, unless it takes over a proposal of one.
func (s *session) judgeVote(h heldBack, view, seq uint64) verdict {
	s.mu.Lock()
	now, changing, next := s.view, s.changing, s.givenAt+1
	left := view < s.promised.view && !changing
	s.mu.Unlock()
	waited := time.Since(h.at) >= holdFor
	switch {
	case view < now && !changing, left, seq > max(next, s.intake.held.frontier.Load())+window:
		return drop
	case seq > next+1: // what comes before is on its way, or is fetched
		return hold
	case view > now && !waited:
		return hold
	}
	s.hint(view)
	s.intake.gate.Lock()
	defer s.intake.gate.Unlock()
	if s.intake.frozen {
		return hold
	}
	s.lib.HandleMessage(uint64(h.from), h.m)
	return drop
}

// hint notes that a peer speaks of a later view; tend asks for it when this node stays behind.
func (s *session) hint(view uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if view > s.view && s.hinted.IsZero() {
		s.hinted = time.Now()
	}
}
