package sim

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/store"
)

// ballots are the validators' votes on who is one, one after the other: the honest members propose and vote through the chain's own contract. Sets
// stay between one less and one more than the founding one, so that as many may lie as before. The clients' goroutine owns it.
type ballots struct {
	l    *workload
	next time.Time
	left int
	// member tells who will be in the set when all that was voted on rules.
	member map[*member]bool

	target   *member
	add      bool
	proposal *transfer
	votes    []*transfer
}

func newBallots(l *workload, votes int) *ballots {
	b := &ballots{l: l, left: votes, member: make(map[*member]bool), next: time.Now().Add(30 * time.Second)}
	for _, m := range l.w.members {
		b.member[m] = m.founder && !l.w.isTwin(m)
	}
	return b
}

// advance takes the next step of the vote under way, or begins one.
func (b *ballots) advance(ctx context.Context) {
	switch {
	case b.proposal == nil && b.left > 0 && !time.Now().Before(b.next):
		b.propose(ctx)
	case b.proposal != nil && b.votes == nil && b.proposal.told.height != 0:
		b.vote(ctx)
	case b.votes != nil && b.over():
		b.member[b.target] = b.add
		b.l.w.logf("voted: member %d is in the set: %v", b.target.index, b.add)
		b.proposal, b.votes = nil, nil
		b.next = time.Now().Add(time.Duration(10+b.l.draw(60)) * time.Second)
	}
}

// draw is a random number below n.
func (l *workload) draw(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.IntN(n)
}

func (b *ballots) propose(ctx context.Context) {
	var in, out, honest []*member
	for _, m := range b.l.w.members {
		switch {
		case b.l.w.isTwin(m):
		case b.member[m]:
			in = append(in, m)
			if m.vice == nil {
				honest = append(honest, m)
			}
		case m.vice == nil:
			out = append(out, m)
		}
	}
	founders := b.l.w.plan.validators
	b.add = len(out) > 0 && (len(in) < founders || len(in) == founders && b.l.draw(2) == 0)
	from := in
	if b.add {
		from = out
	}
	b.target = from[b.l.draw(len(from))]
	proposer := honest[b.l.draw(len(honest))]
	if !b.add && (len(in) < founders || proposer == b.target) {
		return // later, with other luck
	}
	b.left--
	var data []byte
	var err error
	if b.add {
		data, err = govern.ABI().Pack("proposeAdd", []byte(b.target.peer), b.target.account.address, fmt.Sprintf("member-%d", b.target.index), "")
	} else {
		id := b.l.w.idOf(b.target.peer)
		if id == 0 {
			return // it was voted in, but no node has executed that yet
		}
		data, err = govern.ABI().Pack("proposeRemove", uint64(id))
	}
	if err != nil {
		b.l.w.fail("encode a proposal: %v", err)
		return
	}
	b.l.w.logf("member %d proposes member %d, to be in the set: %v", proposer.index, b.target.index, b.add)
	b.l.w.count("set changes proposed")
	b.proposal = b.send(ctx, proposer, data)
}

// send signs a call of the contract with a member's account.
func (b *ballots) send(ctx context.Context, by *member, data []byte) *transfer {
	b.l.mu.Lock()
	t := b.l.signTo(by.account, govern.Address, 0, 2_000_000, data)
	b.l.mu.Unlock()
	b.l.offer(ctx, t)
	return t
}

// vote lets the other honest members vote for what was proposed.
func (b *ballots) vote(ctx context.Context) {
	id := b.number()
	if id == nil {
		return
	}
	data, err := govern.ABI().Pack("vote", id.Uint64())
	if err != nil {
		b.l.w.fail("encode a vote: %v", err)
		return
	}
	b.votes = []*transfer{}
	for _, m := range b.l.w.members {
		if b.member[m] && m.vice == nil && m.account != b.proposal.from {
			b.votes = append(b.votes, b.send(ctx, m, data))
		}
	}
}

// number is the proposal's, from its receipt at any honest node; nil when none tells now, or when it was refused.
func (b *ballots) number() (id *big.Int) {
	for _, m := range b.l.w.members {
		if m.untrusted.Load() {
			continue
		}
		m.now.Load().read(func(s *node.Stages) {
			r, err := s.Store.Receipt(b.proposal.hash)
			if err != nil || r == nil {
				return
			}
			for _, log := range r.Logs {
				if log.Topics[0] == govern.ABI().Events["Proposed"].ID {
					id = log.Topics[1].Big()
				}
			}
			if id == nil {
				b.l.w.fail("proposal %s left no event: status %d", b.proposal.hash, r.Status)
			}
		})
		if id != nil {
			return id
		}
	}
	return nil
}

func (b *ballots) over() bool {
	for _, t := range b.votes {
		if t.told.height == 0 {
			return false
		}
	}
	return true
}

// idOf is a peer's number in the newest set that names it; 0 for none. Any goroutine.
func (w *world) idOf(p chain.Peer) chain.ValidatorID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ids[p]
}

// learn notes the numbers of a set that a member will be ruled by.
func (w *world) learn(st *store.Store, height uint64) {
	rule, err := st.RuleAt(height)
	if err != nil {
		w.fail("validators of height %d: %v", height, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range rule.Set {
		w.ids[chain.Peer(v.PublicKey)] = v.ID
	}
}
