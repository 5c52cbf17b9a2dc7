package bft

import (
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// A change of the view ends with a message of the new leader: the signed states of a quorum. Who crashes before that is in its journal is back in the
// old view; if that was most of them, those who had entered the new view are alone there, have told their states already, and the others are too few to
// change to it again. So the message is kept with the journal's note of having entered, and given to whoever asks for that view.

// viewProof is such a message, and the view that it begins; the zero value is none.
type viewProof struct {
	view uint64
	raw  []byte
}

// proves notes a message that begins a view.
func (s *session) proves(m *smartbftprotos.Message) {
	states := m.GetNewView().GetSignedViewData()
	if len(states) == 0 {
		return
	}
	view, _, ok := nextView(states[0])
	if s.provenBy(view) != nil {
		return // the leader sends it to one after the other
	}
	raw, err := proto.Marshal(m.GetNewView())
	if !ok || err != nil {
		return // the library would not have sent it, nor judgeNewView passed it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = viewProof{view, raw}
}

// provenBy is the message that began a view, nil if it is not here.
func (s *session) provenBy(view uint64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.view == view {
		return s.began.raw
	}
	return nil
}

// agree answers a validator that asks for a view that this node has entered or left, or has told its state for: it agrees, as it did when it came here.
// When faults have scattered the validators over several views, no next view of any of them finds a quorum without the votes of those who are further; and
// one that has caught up while the others change the view need not wait for them to ask again. The answer is no request, so nobody answers it.
func (s *session) agree(with chain.ValidatorID, view uint64) {
	now, _, _ := s.where()
	if view > max(now, s.intake.changeView.Load(), s.promisedView()) || view == 0 || !s.out.mayAsk(uint64(with), view) {
		return
	}
	s.host.Send(order.PeerID(with), agreeFrame(view))
	if view <= now {
		s.show(with, now)
	}
}

// agreed counts such an answer as the vote that it stands for.
func (s *session) agreed(from chain.ValidatorID, view uint64) {
	if now, _, _ := s.where(); view > now {
		s.lib.HandleMessage(uint64(from), &smartbftprotos.Message{Content: &smartbftprotos.Message_ViewChange{
			ViewChange: &smartbftprotos.ViewChange{NextView: view}}})
	}
}

// hearProof takes proofs of views no faster than the others repeat theirs: checking one costs a quorum of signatures.
func (s *session) hearProof(from chain.ValidatorID, raw []byte) {
	if now := time.Now(); now.Sub(s.intake.proven[from]) >= repeatAfter {
		s.intake.proven[from] = now
		s.takeProof(raw)
	}
}

// takeProof looks at the message that began a later view, from whoever is in it, and has the next session begin there. It counts only if nothing can have
// been committed between this node's last decision and that view: all of a quorum say under their signatures that they have decided as much as this node
// and have prepared nothing after. The way through the library is for the rest.
func (s *session) takeProof(raw []byte) {
	m := new(smartbftprotos.NewView)
	if proto.Unmarshal(raw, m) != nil || len(m.SignedViewData) < s.quorum || len(m.SignedViewData) > len(s.set) {
		return
	}
	view, _, ok := nextView(m.SignedViewData[0])
	if now, _, _ := s.where(); !ok || view <= now || !s.unchanged(m, view) {
		return
	}
	seen := make(map[uint64]bool, len(s.set))
	for _, d := range m.SignedViewData {
		if seen[d.Signer] || s.verify(d.Signer, viewDataMessage(d.RawViewData), d.Signature) != nil {
			return
		}
		seen[d.Signer] = true
	}
	select {
	case s.jump <- viewAt{view: view, height: s.height(), proof: raw}:
	default:
	}
}

// unchanged tells whether all states are for the view, and of this node's height with nothing prepared.
func (s *session) unchanged(m *smartbftprotos.NewView, view uint64) bool {
	height := s.height()
	for _, signed := range m.SignedViewData {
		d := new(smartbftprotos.ViewData)
		if proto.Unmarshal(signed.RawViewData, d) != nil || d.NextView != view || d.InFlightPrepared || d.LastDecision == nil {
			return false
		}
		decided := uint64(0)
		if len(d.LastDecision.Metadata) > 0 {
			md, err := parseMetadata(d.LastDecision.Metadata)
			if err != nil {
				return false
			}
			decided = md.LatestSequence
		}
		if decided != height {
			return false
		}
	}
	return true
}

// show gives the message that began this node's view to a validator that asks for that view or an earlier one.
func (s *session) show(to chain.ValidatorID, view uint64) {
	if raw := s.provenBy(view); raw != nil {
		s.send(uint64(to), append([]byte{frameNewView}, raw...))
	}
}
