package bft

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/rlp"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

// A validator cannot tell by itself that its journal is an old one: a machine that was rolled back to a snapshot looks to itself as it did then. The others
// can: they have heard its later commits, and those bear its signature. So before it signs anything, a validator that has started asks them for the newest
// commit of its own that they know. As many must answer as agreement takes besides it, so that waiting for them holds up nothing that could go on:
// after a failure of everybody's power all ask and all answer. What answers is a signature of its own or none, so nobody can lie it into silence.

const (
	// askSignedEvery is how often those are asked who have not answered.
	askSignedEvery = 300 * time.Millisecond
	// askSignedFor is after how long a node that is behind looks first what was decided meanwhile: the set may be another.
	askSignedFor = 3 * time.Second
	// maxAnswers is how many answers may wait: one of each validator, or a few of few.
	maxAnswers = chain.MaxValidators
)

// spoken is the newest commit of a validator that is known here.
type spoken struct {
	head head
	msg  []byte
	sig  []byte
}

// later tells whether s is of a later height or view than t.
func (s *spoken) later(t *spoken) bool {
	return t == nil || s.head.height > t.head.height || (s.head.height == t.head.height && s.head.view > t.head.view)
}

// hears remembers a commit for whoever signed it. It is not verified: it comes from its signer, and whoever is told of it knows its own signature.
func (e *Engine) hears(from chain.ValidatorID, h head, sig *smartbftprotos.Signature) {
	s := &spoken{head: h}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.later(e.spoken[from]) {
		s.msg, s.sig = bytes.Clone(sig.Msg), bytes.Clone(sig.Value)
		e.spoken[from] = s
	}
}

// newestOf is the newest commit of a validator that was heard, or that the last decision's proof holds: what was heard does not outlive the process.
func (e *Engine) newestOf(id chain.ValidatorID) *spoken {
	e.mu.Lock()
	newest, last := e.spoken[id], e.last
	e.mu.Unlock()
	given, _, err := checkpoint(e.cfg.Suite, last)
	if err != nil {
		return newest
	}
	for _, sig := range given.Signatures {
		if h, _, err := parseHead(sig.Msg); err == nil && sig.ID == uint64(id) {
			if s := (&spoken{h, sig.Msg, sig.Value}); s.later(newest) {
				newest = s
			}
		}
	}
	return newest
}

// answer is what travels of a spoken; nothing when there is none.
type answer struct{ Msg, Sig []byte }

// answerSigned tells a validator its own newest commit.
func (e *Engine) answerSigned(to chain.ValidatorID) {
	host := e.host.Load()
	if host == nil {
		return
	}
	var a answer
	if s := e.newestOf(to); s != nil {
		a = answer{s.msg, s.sig}
	}
	b, err := rlp.EncodeToBytes(&a)
	if err != nil {
		panic("bft: encode an answer: " + err.Error()) // all fields are encodable types
	}
	(*host).Send(order.PeerID(to), append([]byte{frameSigned}, b...))
}

func parseAnswer(b []byte) (a answer, err error) {
	if len(b) > headSize+maxAux+maxSignature+16 {
		return a, fmt.Errorf("%w: %d bytes of an answer", errFrame, len(b))
	}
	if err := rlp.DecodeBytes(b, &a); err != nil {
		return a, fmt.Errorf("%w: %w", errFrame, err)
	}
	return a, nil
}

// recall asks the others what they know to be signed by this node, and shuts the fence where that is more than the journal knows. False when it has not heard
// from enough and is behind.
func (e *Engine) recall(ctx context.Context, h order.Host, me *chain.Validator, set chain.ValidatorSet) (bool, error) {
	need := chain.BFT.Quorum(len(set)) - 1
	answered := make(map[chain.ValidatorID]bool, len(set))
	ticker := time.NewTicker(askSignedEvery)
	defer ticker.Stop()
	began := time.Now()
	ask := func() {
		for _, v := range set {
			if v.ID != me.ID && !answered[v.ID] {
				h.Send(order.PeerID(v.ID), []byte{frameAskSigned})
			}
		}
	}
	for ask(); len(answered) < need; {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-ticker.C:
			select {
			case <-h.Behind():
				if time.Since(began) >= askSignedFor {
					return false, nil
				}
			default:
			}
			ask()
		case l := <-e.answers:
			from := chain.ValidatorID(l.from)
			if from == me.ID || set.Find(from) == nil {
				continue
			}
			if a, err := parseAnswer(l.msg); err == nil {
				answered[from] = true
				e.recognise(me, a.Msg, a.Sig)
			}
		}
	}
	e.cfg.Fence.Sure()
	return true, nil
}

// recognise shuts the fence if a commit bears this node's signature and is none that its journal knows. What it signed in an earlier term is not in this
// term's journal; those heights are decided, and it signs nothing for them again.
func (e *Engine) recognise(me *chain.Validator, msg, sig []byte) {
	j := e.journal.Load()
	h, _, err := parseHead(msg)
	if err != nil || j == nil || h.height < e.cfg.From || j.knows(h) {
		return
	}
	if order.VerifySig(e.cfg.Suite, e.cfg.GenesisHash, me, commitMessage(msg), sig) == nil {
		e.cfg.Fence.Forgot(fmt.Sprintf("its key has signed a commit at height %d, which the journal does not know", h.height))
	}
}

// shut tells whether this node follows though it is a validator.
func (e *Engine) shut() bool {
	state, _ := e.cfg.Fence.State()
	return state == order.FenceShut
}
