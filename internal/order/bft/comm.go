package bft

import (
	"fmt"
	"sync"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// comm is the library's Comm.
type comm struct {
	s     *session
	nodes []uint64
}

// Nodes implements the library's Comm.
func (c comm) Nodes() []uint64 { return c.nodes }

// SendTransaction implements the library's Comm: its requests are our tickets, which are nobody else's business.
func (c comm) SendTransaction(uint64, []byte) {}

// SendConsensus implements the library's Comm.
func (c comm) SendConsensus(to uint64, m *smartbftprotos.Message) {
	s := c.s
	if _, asks := m.GetContent().(*smartbftprotos.Message_StateTransferRequest); asks {
		s.answerLibrary(to)
		return
	}
	if s.dead() || to == uint64(s.me) {
		return
	}
	switch t := m.GetContent().(type) {
	case *smartbftprotos.Message_StateTransferResponse:
		return // nobody asks: see answerLibrary
	case *smartbftprotos.Message_ViewData:
		if len(t.ViewData.Signature) == 0 {
			return // it must not be told, see tellState
		}
	case *smartbftprotos.Message_NewView:
		s.proves(m)
	case *smartbftprotos.Message_ViewChange:
		s.mu.Lock()
		s.changing = s.changing || t.ViewChange.NextView > s.view
		s.mu.Unlock()
		if !s.out.mayAsk(to, t.ViewChange.NextView) {
			return
		}
	}
	frame, err := s.out.frame(m, to, s.bodies)
	if err != nil {
		s.e.log.Error("cannot send a message of the consensus library", "err", err)
		return
	}
	s.host.Send(order.PeerID(to), frame)
}

// answerLibrary answers the library's question for the others' view at once with its own. It asks and waits with a lock held, and would not hear
// real answers while it starts; the keeper asks the peers instead, and begins another session if they are elsewhere.
func (s *session) answerLibrary(peer uint64) {
	view, _, _ := s.where()
	s.mu.Lock()
	next := s.givenAt + 1
	s.mu.Unlock()
	s.lib.HandleMessage(peer, &smartbftprotos.Message{Content: &smartbftprotos.Message_StateTransferResponse{
		StateTransferResponse: &smartbftprotos.StateTransferResponse{ViewNum: view, Sequence: next}}})
}

// sent is a message that is sent again until it is of no use any more.
type sent struct {
	frame []byte
	to    uint64 // 0: all
	view  uint64
	seq   uint64
	at    time.Time
}

// Kinds of messages that are repeated.
const (
	sentPropose = iota
	sentPrepare
	sentCommit
	sentViewData
	sentNewView
	sentKinds
)

// outbox encodes the library's messages once for all receivers and remembers those that may have to be repeated. Safe for concurrent use.
type outbox struct {
	mu     sync.Mutex
	last   *smartbftprotos.Message
	coded  []byte
	repeat [sentKinds]*sent
	// voted is what each validator has voted for last: it has that proposal, the one message that is long.
	voted map[chain.ValidatorID]viewSeq
	asked map[asking]time.Time
}

// asking is a view that a peer was asked to change to.
type asking struct{ peer, view uint64 }

const (
	// askAgain is how soon the same view may be asked for again. The library does so every 500 ms, but answers each peer that asks for an earlier view
	// than its own by asking everybody for that: validators that do not know how far the others have come answer each other's answers, n−1 for one.
	askAgain = 200 * time.Millisecond
	// maxAsked bounds what is remembered of that: a few views for each of the most validators.
	maxAsked = 4 * chain.MaxValidators
)

// mayAsk tells whether a peer may be asked for a view now, and takes it that it is.
func (o *outbox) mayAsk(peer, view uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key, now := asking{peer, view}, time.Now()
	if at, known := o.asked[key]; known && now.Sub(at) < askAgain {
		return false
	}
	if o.asked == nil || len(o.asked) >= maxAsked {
		o.asked = make(map[asking]time.Time)
	}
	o.asked[key] = now
	return true
}

// frame is m as it travels.
func (o *outbox) frame(m *smartbftprotos.Message, to uint64, known *bodies) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == m { // the library sends one message to all, one by one
		return o.coded, nil
	}
	var err error
	var b []byte
	if p := m.GetPrePrepare(); p != nil {
		if len(p.Proposal.GetHeader()) != len(crypto.Hash{}) {
			return nil, fmt.Errorf("bft: a proposal without a hash")
		}
		found, _ := known.get(crypto.Hash(p.Proposal.Header))
		if found == nil {
			return nil, fmt.Errorf("bft: the body of a proposal of height %d is gone", p.Seq)
		}
		b, err = proposeFrame(m, found.raw)
	} else {
		b, err = libraryFrame(m)
	}
	if err != nil {
		return nil, fmt.Errorf("bft: encode: %w", err)
	}
	o.last, o.coded = m, b
	o.remember(m, to, b)
	return b, nil
}

// remember keeps what may have to be repeated. It runs under mu.
func (o *outbox) remember(m *smartbftprotos.Message, to uint64, frame []byte) {
	s := &sent{frame: frame, at: time.Now()}
	kind := sentKinds
	switch t := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		kind, s.view, s.seq = sentPropose, t.PrePrepare.View, t.PrePrepare.Seq
	case *smartbftprotos.Message_Prepare:
		if !t.Prepare.Assist {
			kind, s.view, s.seq = sentPrepare, t.Prepare.View, t.Prepare.Seq
		}
	case *smartbftprotos.Message_Commit:
		if !t.Commit.Assist {
			kind, s.view, s.seq = sentCommit, t.Commit.View, t.Commit.Seq
		}
	case *smartbftprotos.Message_ViewData:
		kind, s.to = sentViewData, to
	case *smartbftprotos.Message_NewView:
		kind = sentNewView
	}
	if kind < sentKinds {
		o.repeat[kind] = s
	}
}

// resume remembers the pre-prepare of the journal's proposal.
func (o *outbox) resume(m *smartbftprotos.Message, body []byte) error {
	b, err := proposeFrame(m, body)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remember(m, 0, b)
	return nil
}

// due lists what was sent before then and is still of use: votes above height, and what a change of the view needs while it goes on or, for the
// message that ends it, until newViewUntil.
func (o *outbox) due(then time.Time, height uint64, changing bool, newViewUntil time.Time) (out []*sent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for kind, s := range o.repeat {
		if s == nil || s.at.After(then) {
			continue
		}
		switch kind {
		case sentViewData:
			if !changing {
				continue
			}
		case sentNewView:
			if s.at.Before(newViewUntil) {
				continue
			}
		default:
			if s.seq <= height {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// viewSeq names a proposal.
type viewSeq struct{ view, seq uint64 }

// vote notes that a validator votes for a proposal.
func (o *outbox) vote(from chain.ValidatorID, v viewSeq) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.voted == nil {
		o.voted = make(map[chain.ValidatorID]viewSeq)
	}
	o.voted[from] = v
}

// lacks tells whether a validator may lack what was sent.
func (o *outbox) lacks(id chain.ValidatorID, m *sent) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return m != o.repeat[sentPropose] || o.voted[id] != viewSeq{m.view, m.seq}
}

// send sends frame to all others, or to one.
func (s *session) send(to uint64, frame []byte) {
	for _, v := range s.set {
		if v.ID != s.me && (to == 0 || v.ID == chain.ValidatorID(to)) && !s.dead() {
			s.host.Send(order.PeerID(v.ID), frame)
		}
	}
}
