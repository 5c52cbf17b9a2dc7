package bft

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"github.com/jialing-chain/jialing/internal/chain"
)

const (
	// window is how far above the newest decision that is known of messages are kept: the library takes the next two heights only, and drops the rest.
	window = 16
	// reach is of how many heights a validator's messages are held: with a decision every ten milliseconds, what comes in while the last blocks are
	// fetched and a new session begins.
	reach = 64
	// maxHeldBackOfOne bounds what is held of one validator: all phases of reach heights. In sets so large that this would make more than maxHeldBack of
	// all it is less, but never less than leastHeldBackOfOne.
	maxHeldBackOfOne   = 3 * reach
	maxHeldBack        = 8192
	leastHeldBackOfOne = 24
)

// heldBack is a message that the library cannot use yet.
type heldBack struct {
	from chain.ValidatorID
	m    *smartbftprotos.Message
	at   time.Time
}

// holdings are what is held back, and how far the validators are. They outlive sessions: a validator that fetches decisions from peers faster than it
// takes part goes on with what was said meanwhile, or it would begin each session as far behind as the one before. So where there is no room for
// a message, the oldest of the same validator gives way. They are the listener's, but for frontier.
type holdings struct {
	set   chain.ValidatorSet
	of    map[chain.ValidatorID][]heldBack // oldest first
	count int
	most  int // of one validator
	// votes are the heights that the validators have voted for last.
	votes map[chain.ValidatorID]uint64
	// frontier is the highest height that more than the faulty validators have voted for or passed: one that is honest has decided all below. Safe for
	// concurrent use.
	frontier atomic.Uint64
}

// newHoldings is what the members of set said before, in old.
func newHoldings(set chain.ValidatorSet, old *holdings) *holdings {
	h := &holdings{set: set, of: make(map[chain.ValidatorID][]heldBack), votes: make(map[chain.ValidatorID]uint64)}
	h.most = max(min(maxHeldBackOfOne, maxHeldBack/max(len(set), 1)), leastHeldBackOfOne)
	if old != nil {
		for _, v := range set {
			if seq, ok := old.votes[v.ID]; ok {
				h.vote(v.ID, seq)
			}
			for _, m := range old.of[v.ID] {
				h.keep(m)
			}
		}
	}
	return h
}

// keep holds a message of a member.
func (h *holdings) keep(m heldBack) {
	all := h.of[m.from]
	if len(all) >= h.most {
		all[0] = heldBack{}
		all = all[1:]
		h.count--
	}
	h.of[m.from] = append(all, m)
	h.count++
}

// takeAll empties the holdings, and returns what was in them, each validator's in the order in which it came.
func (h *holdings) takeAll() (out []heldBack) {
	out = make([]heldBack, 0, h.count)
	for _, v := range h.set {
		out = append(out, h.of[v.ID]...)
	}
	clear(h.of)
	h.count = 0
	return out
}

// vote notes that a member votes at a height.
func (h *holdings) vote(from chain.ValidatorID, seq uint64) {
	h.votes[from] = seq
	if seq <= h.frontier.Load() || len(h.votes) <= chain.BFT.Faulty(len(h.set)) {
		return
	}
	seqs := make([]uint64, 0, len(h.votes))
	for _, v := range h.set {
		seqs = append(seqs, h.votes[v.ID])
	}
	slices.Sort(seqs)
	if at := seqs[len(seqs)-1-chain.BFT.Faulty(len(h.set))]; at > h.frontier.Load() {
		h.frontier.Store(at)
	}
}
