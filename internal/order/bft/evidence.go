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

// commit hears a commit, and goes by what its signer signed: a view that a message names is nobody's word. Signatures are looked at when two differ: only then it
// matters who made them.
func (e *evidence) commit(s *session, from chain.ValidatorID, c *smartbftprotos.Commit) {
	sig := c.Signature
	if sig == nil || sig.Signer != uint64(from) || len(sig.Msg) > headSize+maxAux || len(sig.Value) > maxSignature {
		return
	}
	said, _, err := parseHead(sig.Msg)
	height := s.height()
	view, _, _ := s.where()
	if err != nil || said.view > view+viewsAhead || said.view+viewsBack < view {
		return // or one validator could fill the memory with views that there never are
	}
	if said.height <= height || said.height > height+window {
		return
	}
	s.e.hears(from, said, sig)
	key := statement{from, said.view, said.height, true}
	first, known := e.spoken[key]
	switch {
	case !known:
		e.remember(s, key, statementOf(said.digest, sig))
	case first.digest != said.digest && !first.accused:
		if s.verify(uint64(from), commitMessage(sig.Msg), sig.Value) != nil {
			return
		}
		if s.verify(uint64(from), commitMessage(first.msg), first.sig) != nil {
			e.spoken[key] = statementOf(said.digest, sig) // what was not signed must not hide what was
			return
		}
		first.accused = true
		e.spoken[key] = first
		proof := &chain.Contradiction{Validator: from, PublicKey: s.set.Find(from).PublicKey, Signatures: [2][]byte{first.sig, bytes.Clone(sig.Value)}}
		for i, msg := range [][]byte{first.msg, sig.Msg} {
			proof.Messages[i] = order.SigningMessage(s.e.cfg.GenesisHash, commitMessage(msg))
		}
		s.e.accuse(order.Evidence{Validator: from, Height: said.height, View: said.view, What: "commit", First: first.digest, Second: said.digest, Proof: proof})
	}
}

func statementOf(digest crypto.Hash, sig *smartbftprotos.Signature) said {
	return said{digest: digest, msg: bytes.Clone(sig.Msg), sig: bytes.Clone(sig.Value)}
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
