package sim

import (
	"context"
	"fmt"
	"math/big"
	"time"

	gethmath "github.com/ethereum/go-ethereum/common/math"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
)

// What a world of stake is made of, in wei.
const (
	// stakePrice is what a transaction pays for gas: stakeBaseFee, at which a market of nearly empty blocks stays, and the rest as a tip.
	stakePrice   = 20
	stakeBaseFee = 7
	// stakeBalance is what everybody has who stakes; the rest is drawn below it.
	stakeBalance = int64(1e18)
	leastStake   = int64(1e12)
	// epochReward divides by nothing, so that shares leave fractions.
	epochReward = int64(98_765_432_109_877)
)

// stakeParams are those of a world of stake: the shortest epoch.
func stakeParams(seats int) *chain.StakeParams {
	return &chain.StakeParams{EpochBlocks: 2 * chain.ActivationDelay, Seats: seats, MinSelfStake: (*gethmath.HexOrDecimal256)(big.NewInt(leastStake)), UnbondingEpochs: 1,
		RewardPerEpoch: (*gethmath.HexOrDecimal256)(big.NewInt(epochReward)), SlashBasisPoints: 1000, JailEpochs: 1}
}

// ofStake makes the genesis one of stake: members and stakers have something to stake, and base fees go to the contract.
func (w *world) ofStake(g *chain.Genesis) {
	g.Consensus.Engine, g.Consensus.Stake = chain.PoS, stakeParams(w.plan.validators)
	g.Fees = chain.Fees{Mode: chain.FeesMarket, BaseFee: (*gethmath.HexOrDecimal256)(big.NewInt(stakeBaseFee)), BaseFeeTo: &chain.StakingAddress}
	rich := chain.GenesisAccount{Balance: (*gethmath.HexOrDecimal256)(big.NewInt(stakeBalance))}
	for _, m := range w.members {
		g.Alloc[m.account.address] = rich
	}
	for _, a := range w.clients.stakers {
		g.Alloc[a.address] = rich
	}
	g.Alloc[chain.StakingAddress] = govern.StakeAccount(g)
}

// stakers are those who stake: members that are no founders register, anybody delegates to anybody, takes back, withdraws and claims, validators leave and
// come again, all at random, so that every election may be another's. Who runs shows that it is present, as operators' nodes do. The clients' goroutine owns it.
type stakers struct {
	l *workload
	// own are accounts that stake and do nothing else.
	own  []*account
	next time.Time
	// registered are the members that have sent their registration; attended is the epoch (+1) for which each has shown its presence last.
	registered map[*member]bool
	attended   map[*member]uint64
	// reported are the node keys that have been reported to the contract.
	reported map[chain.Peer]bool
}

// newStakers is nil on a chain that is not of stake.
func newStakers(l *workload) *stakers {
	if !l.w.plan.stake {
		return nil
	}
	s := &stakers{l: l, own: l.stakers, next: time.Now().Add(20 * time.Second), registered: make(map[*member]bool), attended: make(map[*member]uint64),
		reported: make(map[chain.Peer]bool)}
	for _, m := range l.w.members {
		s.registered[m] = m.founder
	}
	return s
}

// advance lets one of them do something now and then.
func (s *stakers) advance(ctx context.Context) {
	if s == nil {
		return
	}
	s.attend(ctx)
	s.report(ctx)
	if time.Now().Before(s.next) {
		return
	}
	s.next = time.Now().Add(time.Duration(3+s.l.draw(20)) * time.Second)
	for _, m := range s.l.w.members {
		if !s.registered[m] && s.l.draw(3) == 0 {
			s.register(ctx, m)
			return
		}
	}
	s.act(ctx)
}

// register stakes for a member that is no founder.
func (s *stakers) register(ctx context.Context, m *member) {
	genesis := s.l.w.genesisHash.Load()
	if genesis == nil {
		return
	}
	signature, err := m.key.Sign(govern.StakeMessage(*genesis, m.account.address))
	if err != nil {
		s.l.w.fail("sign a registration: %v", err)
		return
	}
	s.registered[m] = true
	s.l.w.count("registrations")
	s.send(ctx, m.account, leastStake+int64(s.l.draw(int(leastStake))), "register", []byte(m.peer), signature, fmt.Sprintf("member-%d", m.index), "", uint16(s.l.draw(3000)))
}

// act does one thing at random; much of it is refused by the contract.
func (s *stakers) act(ctx context.Context) {
	from, id := s.own[s.l.draw(len(s.own))], uint64(1+s.l.draw(len(s.l.w.members)))
	m := s.l.w.members[s.l.draw(len(s.l.w.members))]
	switch what := s.l.draw(20); {
	case what < 8:
		s.l.w.count("delegations")
		s.send(ctx, from, leastStake/1000+int64(s.l.draw(int(3*leastStake))), "delegate", id)
	case what < 12:
		amount := gethmath.MaxBig256 // all
		if s.l.draw(2) == 0 {
			amount = big.NewInt(int64(s.l.draw(int(leastStake))))
		}
		s.send(ctx, from, 0, "undelegate", id, amount)
	case what < 14:
		s.send(ctx, from, 0, "withdraw")
	case what < 16:
		s.send(ctx, from, 0, "claim", id)
	case s.l.w.isTwin(m):
	case what < 17:
		s.send(ctx, m.account, 0, "resign")
	case what < 18:
		s.send(ctx, m.account, 0, "stand")
	case what < 19:
		s.send(ctx, m.account, 0, "unjail")
	default:
		s.send(ctx, m.account, 0, "changeCommission", uint16(s.l.draw(5001)))
	}
}

// attend shows once an epoch that a member's node runs.
func (s *stakers) attend(ctx context.Context) {
	genesis := s.l.w.genesisHash.Load()
	for _, m := range s.l.w.members {
		id := s.l.w.idOf(m.peer)
		if id == 0 || genesis == nil || s.l.w.isTwin(m) {
			continue
		}
		var epoch uint64
		runs := m.now.Load().read(func(st *node.Stages) {
			epoch = st.Store.Head().Number.Uint64() / s.l.w.genesis.Consensus.Stake.EpochBlocks
		})
		if !runs || s.attended[m] > epoch {
			continue
		}
		s.attended[m] = epoch + 1
		signature, err := m.key.Sign(govern.AttendMessage(*genesis, id, epoch))
		if err != nil {
			s.l.w.fail("sign an attendance: %v", err)
			return
		}
		s.send(ctx, s.own[0], 0, "attend", uint64(id), epoch, signature)
	}
}

// report tells the contract of whom any honest node or who reads along has caught; that must never be anybody honest.
func (s *stakers) report(ctx context.Context) {
	found := s.l.w.check.convicts.all()
	for _, m := range s.l.w.members {
		if !m.untrusted.Load() {
			m.now.Load().read(func(st *node.Stages) { found = append(found, st.Contradictions()...) })
		}
	}
	for _, c := range found {
		peer := chain.Peer(c.PublicKey)
		for _, m := range s.l.w.members {
			if m.peer == peer && !m.untrusted.Load() {
				s.l.w.fail("member %d is honest, and there is proof that it contradicted itself: %x and %x", m.index, c.Messages[0], c.Messages[1])
			}
		}
		if s.reported[peer] {
			continue
		}
		s.reported[peer] = true
		s.l.w.count("liars reported")
		s.send(ctx, s.own[1], 0, "slash", uint64(c.Validator), c.Messages[0], c.Signatures[0], c.Messages[1], c.Signatures[1])
	}
}

// send signs a call of the contract.
func (s *stakers) send(ctx context.Context, from *account, value int64, method string, args ...any) {
	data, err := govern.StakingABI().Pack(method, args...)
	if err != nil {
		s.l.w.fail("encode %s: %v", method, err)
		return
	}
	s.l.mu.Lock()
	t := s.l.signTo(from, chain.StakingAddress, value, 2_000_000, data)
	s.l.mu.Unlock()
	s.l.offer(ctx, t)
}
