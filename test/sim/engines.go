package sim

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
)

// ofChange is the plan for a chain that changes to and fro between raft and bft by its validators' votes, under faults that both bear: nobody lies or loses
// his disk, and no more are away than bft does without. Blocks come with and without transactions, so that what was voted takes effect.
func (p *plan) ofChange() *plan {
	times := p.bft
	p.ofRaft()
	p.bft, p.faulty = times, (p.validators-1)/3
	p.engines, p.votes, p.heartbeatMillis = 4, 0, 2000
	p.rounds, p.chaos = 2, min(p.chaos, 12*time.Minute)
	return p
}

// ofChange gives a genesis the other engine's parameters and the contract by which the chain changes.
func (w *world) ofChange(g *chain.Genesis) {
	g.Consensus.Raft = chain.DefaultRaftParams()
	if w.seed%2 == 0 {
		g.Consensus.Engine = chain.Raft
	}
	g.Alloc[chain.EnginesAddress] = govern.EnginesAccount(g)
}

// engineVotes are the validators' votes on the engine, one after the other. The clients' goroutine owns it.
type engineVotes struct {
	l        *workload
	left     int
	next     time.Time
	proposal *transfer
	votes    []*transfer
}

func newEngineVotes(l *workload) *engineVotes {
	return &engineVotes{l: l, left: l.w.plan.engines, next: time.Now().Add(30 * time.Second)}
}

// advance takes the next step of the vote under way, or begins one when no change is.
func (v *engineVotes) advance(ctx context.Context) {
	switch {
	case v.proposal == nil && v.left > 0 && !time.Now().Before(v.next):
		v.propose(ctx)
	case v.proposal != nil && v.votes == nil && v.proposal.told.height != 0:
		v.vote(ctx)
	case v.votes != nil && v.over():
		v.proposal, v.votes = nil, nil
		v.next = time.Now().Add(time.Duration(10+v.l.draw(90)) * time.Second)
	}
}

func (v *engineVotes) propose(ctx context.Context) {
	now, later := v.engines()
	if now == "" || now != later {
		return // nobody tells, or a change is under way
	}
	code := byte(2) // raft
	if now == chain.Raft {
		code++
	}
	data, err := govern.EnginesABI().Pack("propose", code)
	if err != nil {
		v.l.w.fail("encode a proposal: %v", err)
		return
	}
	v.left--
	v.l.w.count("engine changes proposed")
	v.l.w.logf("engine %s is proposed after %s", govern.EngineCodes[code], now)
	v.proposal = v.send(ctx, v.l.w.members[v.l.draw(v.l.w.plan.validators)], data)
}

// engines are those of the next block and of the last one that is settled, as any honest node has them.
func (v *engineVotes) engines() (now, later chain.EngineKind) {
	for _, m := range v.l.w.members {
		m.now.Load().read(func(s *node.Stages) {
			head := s.Store.Head().Number.Uint64()
			first, err := s.Store.RuleAt(head + 1)
			last, err2 := s.Store.RuleAt(head + chain.ActivationDelay)
			if err == nil && err2 == nil {
				now, later = first.Engine, last.Engine
			}
		})
		if now != "" {
			break
		}
	}
	return now, later
}

func (v *engineVotes) send(ctx context.Context, by *member, data []byte) *transfer {
	v.l.mu.Lock()
	t := v.l.signTo(by.account, chain.EnginesAddress, 0, 2_000_000, data)
	v.l.mu.Unlock()
	v.l.offer(ctx, t)
	return t
}

// vote lets the other validators vote for what was proposed. A proposal that was refused is given up.
func (v *engineVotes) vote(ctx context.Context) {
	r := v.receipt()
	if r == nil {
		return
	}
	v.votes = []*transfer{}
	if r.Status != types.ReceiptStatusSuccessful {
		v.l.w.count("engine changes refused")
		return
	}
	data, err := govern.EnginesABI().Pack("vote", r.Logs[0].Topics[1].Big().Uint64())
	if err != nil {
		v.l.w.fail("encode a vote: %v", err)
		return
	}
	for _, m := range v.l.w.members[:v.l.w.plan.validators] {
		if m.account != v.proposal.from {
			v.votes = append(v.votes, v.send(ctx, m, data))
		}
	}
}

func (v *engineVotes) receipt() (r *types.Receipt) {
	for _, m := range v.l.w.members {
		m.now.Load().read(func(s *node.Stages) { r, _ = s.Store.Receipt(v.proposal.hash) })
		if r != nil {
			return r
		}
	}
	return nil
}

func (v *engineVotes) over() bool {
	for _, t := range v.votes {
		if t.told.height == 0 {
			return false
		}
	}
	return true
}
