package bft

import (
	"bytes"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// maxSpoken bounds what is remembered of who said what: two statements of each of a few hundred validators in the heights of the window.
const maxSpoken = 8192

// evidence finds validators that contradict themselves: a leader with two proposals, a validator with two commits, of one height in one view. It is
// the listener's.
type evidence struct {
	spoken map[statement]said
	// swept is at which height decided statements were dropped last.
	swept uint64
}

// viewsBack is how many views that were left are still watched.
const viewsBack = 8

type statement struct {
	by           chain.ValidatorID
	view, height uint64
	commit       bool
}

// said is what was said first; sig is there for commits.
type said struct {
	digest  crypto.Hash
	msg     []byte
	sig     []byte
	accused bool
}

func newEvidence() evidence { return evidence{spoken: make(map[statement]said)} }

// propose hears a leader's proposal.
func (e *evidence) propose(s *session, from chain.ValidatorID, view, height uint64, d crypto.Hash) {
	key := statement{from, view, height, false}
	first, known := e.spoken[key]
	switch {
	case !known:
		e.remember(s, key, said{digest: d})
	case first.digest != d && !first.accused:
		first.accused = true
		e.spoken[key] = first
		s.e.accuse(order.Evidence{Validator: from, Height: height, View: view, What: "proposal", First: first.digest, Second: d})
	}
}

// commit hears a commit. Signatures are looked at when two differ: only then it matters who made them.
func (e *evidence) commit(s *session, from chain.ValidatorID, c *smartbftprotos.Commit) {
	sig := c.Signature
	height := s.height()
	view, _, _ := s.where()
	if c.View > view+viewsAhead || c.View+viewsBack < view {
		return // or one validator could fill the memory with views that there never are
	}
	if sig == nil || sig.Signer != uint64(from) || len(sig.Msg) < len(crypto.Hash{}) || c.Seq <= height || c.Seq > height+window {
		return
	}
	d := crypto.Hash(sig.Msg[:len(crypto.Hash{})])
	key := statement{from, c.View, c.Seq, true}
	first, known := e.spoken[key]
	switch {
	case !known:
		e.remember(s, key, said{digest: d, msg: bytes.Clone(sig.Msg), sig: bytes.Clone(sig.Value)})
	case first.digest != d && !first.accused:
		if s.verify(uint64(from), commitMessage(first.msg), first.sig) != nil || s.verify(uint64(from), commitMessage(sig.Msg), sig.Value) != nil {
			return
		}
		first.accused = true
		e.spoken[key] = first
		s.e.accuse(order.Evidence{Validator: from, Height: c.Seq, View: c.View, What: "commit", First: first.digest, Second: d})
	}
}

// remember keeps a first statement, and drops those of decided heights when there are many.
func (e *evidence) remember(s *session, key statement, first said) {
	if height := s.height(); len(e.spoken) >= maxSpoken && height > e.swept {
		e.swept = height
		for k := range e.spoken {
			if k.height <= height {
				delete(e.spoken, k)
			}
		}
	}
	if len(e.spoken) < maxSpoken {
		e.spoken[key] = first
	}
}
