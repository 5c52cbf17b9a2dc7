package bft

import (
	"runtime"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// A validator that has told its state for the next view has said which proposal it had prepared, and must not commit to another one in an earlier
// view afterwards: the next leader may begin without it, and two decisions of one height would follow. The library goes back to the old view when the
// change takes too long, and stops it without waiting while it tells its state. So the rule is kept here, where everything is signed.

// promises is what this node has committed itself to. Under session.mu.
type promises struct {
	// view is the newest one for which this node has told its state.
	view uint64
	// height and header are of the newest proposal for which it has signed a commit.
	height uint64
	header crypto.Hash
}

// tellState signs this node's state for the next view, and makes the promise durable. nil when it must not be told.
func (s *session) tellState(raw []byte) []byte {
	d := new(smartbftprotos.ViewData)
	if err := proto.Unmarshal(raw, d); err != nil {
		s.finish(err)
		return nil
	}
	s.mu.Lock()
	next := s.givenAt + 1
	if !s.e.cfg.Fence.May(next) {
		s.mu.Unlock()
		s.finish(nil)
		return nil
	}
	missing := s.promised.height == next && (!d.InFlightPrepared || string(d.InFlightProposal.GetHeader()) != string(s.promised.header[:]))
	fresh := !missing && d.NextView > s.promised.view
	if fresh {
		s.promised.view = d.NextView
	}
	s.mu.Unlock()
	if missing { // it was committed to while the state was put together: the next session tells it from the journal
		s.finish(nil)
		return nil
	}
	if fresh {
		if err := s.journal.append(record{Height: s.height(), Promised: d.NextView}, false); err != nil {
			s.finish(err)
			return nil
		}
	}
	return s.sign(viewDataMessage(raw))
}

// mayCommit notes that this node commits to the proposal, in the view in which it was made. If that view was left for good, the library's goroutine,
// which is about to be stopped, ends here: there is no way to tell it no.
func (s *session) mayCommit(view, height uint64, header []byte) {
	s.mu.Lock()
	left := view < s.promised.view
	if !left {
		s.promised.height, s.promised.header = height, crypto.Hash(header)
	}
	s.mu.Unlock()
	if left {
		s.e.log.Debug("not committing in a view that was left", "height", height, "view", view)
		runtime.Goexit()
	}
}

// muted tells whether this node is in a view that it has promised to commit to nothing in.
func (s *session) muted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view < s.promised.view
}

// promisedView is the newest view for which this node has told its state.
func (s *session) promisedView() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.promised.view
}

// hurry makes the library ask for the next view while it prepares or is in one before that for which this node has told its state, maybe in an earlier
// session: it begins in the view of what it has prepared, commits to nothing there, and would wait for each leader on the way to be silent. Others who
// have told their states as well agree at once.
func (s *session) hurry() {
	if view := s.intake.changeView.Load(); view < s.promisedView() {
		s.lib.Complain(view, true)
	}
}

// maySign is asked last before a commit is signed, whatever the library and the rules above think of it: not while the fence is shut, and nothing that contradicts
// what was signed before. Where it answers no the session is over, and nothing leaves it any more.
func (s *session) maySign(h head) bool {
	if !s.e.cfg.Fence.May(h.height) {
		s.finish(nil)
		return false
	}
	if !s.journal.maySign(h) {
		s.e.log.Error("refusing to sign a commit beside another of the same height", "height", h.height, "view", h.view, "proposal", h.digest)
		s.finish(nil)
		return false
	}
	return true
}
