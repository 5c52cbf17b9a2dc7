package govern_test

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

const (
	noEngine uint8 = iota
	soloEngine
	raftEngine
	bftEngine
	posEngine
)

// Hindrances of a change of engine.
const (
	unhindered uint8 = iota
	sameEngine
	changePending
	notConfigured
	tooFew
	notReady
	unsafeEngine
)

// changeable is a genesis of n validators and every engine's parameters.
func changeable(engine chain.EngineKind, n int) *chain.Genesis {
	g := staking(n)
	g.Consensus.Engine, g.Consensus.Raft = engine, chain.DefaultRaftParams()
	settleAlloc(g)
	g.Alloc[chain.EnginesAddress] = govern.EnginesAccount(g)
	return g
}

// engineWorld is the three contracts in an EVM.
type engineWorld struct{ *stakeWorld }

func newEngineWorld(t fataler, g *chain.Genesis) *engineWorld {
	t.Helper()
	w := &engineWorld{newStakeWorld(t, g)}
	a := g.Alloc[chain.EnginesAddress]
	w.db.CreateAccount(chain.EnginesAddress)
	w.db.SetNonce(chain.EnginesAddress, uint64(a.Nonce), tracing.NonceChangeGenesis)
	w.db.SetCode(chain.EnginesAddress, a.Code, tracing.CodeChangeGenesis)
	for k, v := range a.Storage {
		w.db.SetState(chain.EnginesAddress, k, v)
	}
	w.db.Finalise(w.rules)
	return w
}

// engines calls the contract; refusal is the name of the error with which it refused.
func (w *engineWorld) engines(from common.Address, method string, args ...any) (out []any, refusal string) {
	w.t.Helper()
	input, err := govern.EnginesABI().Pack(method, args...)
	require.NoError(w.t, err)
	w.cfg.Origin = from
	snapshot := w.db.Snapshot()
	ret, _, err := runtime.Call(chain.EnginesAddress, input, w.cfg)
	if err != nil {
		require.ErrorIs(w.t, err, vm.ErrExecutionReverted)
		w.db.RevertToSnapshot(snapshot)
	}
	w.db.Finalise(w.rules)
	if err != nil {
		for name, e := range govern.EnginesABI().Errors {
			if len(ret) >= 4 && [4]byte(ret) == [4]byte(e.ID[:4]) {
				return nil, name
			}
		}
		require.Fail(w.t, "an unknown refusal", "%#x", ret)
	}
	out, err = govern.EnginesABI().Unpack(method, ret)
	require.NoError(w.t, err)
	return out, ""
}

func (w *engineWorld) must(from common.Address, method string, args ...any) []any {
	w.t.Helper()
	out, refusal := w.engines(from, method, args...)
	require.Empty(w.t, refusal, method)
	return out
}

// decide has the engine voted for by a quorum of the founders.
func (w *engineWorld) decide(engine uint8) {
	w.t.Helper()
	p := w.must(account(1), "propose", engine)[0]
	for i := 1; i < chain.BFT.Quorum(len(w.g.Validators)); i++ {
		w.must(account(uint64(w.g.Validators[i].ID)), "vote", p)
	}
}

func (w *engineWorld) hindrance(engine uint8) uint8 {
	return w.must(account(1), "hindrance", engine)[0].(uint8)
}

func (w *engineWorld) terms() (newest, before chain.Term) {
	w.t.Helper()
	newest, before, err := govern.ReadEngines(w)
	require.NoError(w.t, err)
	out := w.must(account(1), "decided")
	require.Equal(w.t, []any{uint8(indexOf(newest.Engine)), newest.From}, out)
	return newest, before
}

func indexOf(kind chain.EngineKind) int {
	for i, k := range govern.EngineCodes {
		if k == kind {
			return i
		}
	}
	return 0
}

func TestEnginesConstants(t *testing.T) {
	w := newEngineWorld(t, changeable(chain.BFT, 4))
	require.Equal(t, []any{uint64(chain.ActivationDelay)}, w.must(account(1), "ACTIVATION_DELAY"))
	require.Equal(t, []any{big.NewInt(govern.MinRaft)}, w.must(account(1), "MIN_RAFT"))
	require.Equal(t, []any{big.NewInt(govern.MinBFT)}, w.must(account(1), "MIN_BFT"))
}

func TestAQuorumChangesTheEngine(t *testing.T) {
	w := newEngineWorld(t, changeable(chain.Raft, 4))
	newest, before := w.terms()
	require.Equal(t, []chain.Term{{Engine: chain.Raft}, {Engine: chain.Raft}}, []chain.Term{newest, before})
	w.setHeight(10)
	p := w.must(account(1), "propose", bftEngine)[0]
	w.must(account(3), "vote", p)
	newest, _ = w.terms()
	require.Equal(t, chain.Raft, newest.Engine, "two of four are no quorum, of no engine")
	w.setHeight(12)
	w.must(account(5), "vote", p)
	newest, before = w.terms()
	require.Equal(t, chain.Term{Engine: chain.BFT, From: 12 + chain.ActivationDelay}, newest)
	require.Equal(t, chain.Term{Engine: chain.Raft}, before)
	require.Equal(t, []any{raftEngine}, w.must(account(1), "ruling"))
	// Another change waits until this one rules.
	require.Equal(t, changePending, w.hindrance(raftEngine))
	_, refusal := w.engines(account(1), "propose", raftEngine)
	require.Equal(t, "Hindered", refusal)
	w.setHeight(12 + chain.ActivationDelay)
	require.Equal(t, []any{bftEngine}, w.must(account(1), "ruling"))
	w.decide(raftEngine)
	newest, before = w.terms()
	require.Equal(t, []chain.Term{{Engine: chain.Raft, From: 12 + 2*chain.ActivationDelay}, {Engine: chain.BFT, From: 12 + chain.ActivationDelay}}, []chain.Term{newest, before})
}

func TestAVoteDuringAPendingChangeIsAppliedAfterwards(t *testing.T) {
	w := newEngineWorld(t, changeable(chain.Raft, 4))
	w.setHeight(1)
	back := w.must(account(1), "propose", bftEngine)[0]
	w.decide(bftEngine) // another proposal of the same
	w.must(account(3), "vote", back)
	w.must(account(5), "vote", back)
	_, refusal := w.engines(account(5), "execute", back)
	require.Equal(t, "Hindered", refusal)
	w.setHeight(1 + chain.ActivationDelay)
	require.Equal(t, sameEngine, w.hindrance(bftEngine))
	_, refusal = w.engines(account(5), "execute", back)
	require.Equal(t, "Hindered", refusal)
	require.Equal(t, []any{[]uint64{back.(uint64)}}, w.must(account(1), "openProposals"))
	w.must(account(1), "withdraw", back)
	require.Equal(t, []any{[]uint64{}}, w.must(account(1), "openProposals"))
}

func TestUnsafeEnginesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		founding chain.EngineKind
		n        int
		strip    func(*chain.Consensus)
		engine   uint8
		want     uint8
	}{
		"to one node":           {chain.Raft, 4, nil, soloEngine, unsafeEngine},
		"to none":               {chain.Raft, 4, nil, noEngine, notConfigured},
		"the same":              {chain.Raft, 4, nil, raftEngine, sameEngine},
		"bft of three":          {chain.Raft, 3, nil, bftEngine, tooFew},
		"raft of one":           {chain.Solo, 1, nil, raftEngine, tooFew},
		"bft of one":            {chain.Solo, 1, nil, bftEngine, tooFew},
		"raft without params":   {chain.BFT, 4, func(c *chain.Consensus) { c.Raft = nil }, raftEngine, notConfigured},
		"stake without params":  {chain.BFT, 4, func(c *chain.Consensus) { c.Stake = nil }, posEngine, notConfigured},
		"stake without stakers": {chain.BFT, 4, nil, posEngine, notReady},
		"raft to bft":           {chain.Raft, 4, nil, bftEngine, unhindered},
		"bft to raft":           {chain.BFT, 4, nil, raftEngine, unhindered},
		"stake to bft":          {chain.PoS, 4, nil, bftEngine, unhindered},
	} {
		t.Run(name, func(t *testing.T) {
			g := changeable(c.founding, c.n)
			if c.strip != nil {
				stake := g.Consensus.Stake
				c.strip(&g.Consensus)
				g.Alloc[chain.EnginesAddress] = govern.EnginesAccount(g)
				g.Consensus.Stake = stake // its contract is there all the same
			}
			w := newEngineWorld(t, g)
			require.Equal(t, c.want, w.hindrance(c.engine))
			_, refusal := w.engines(account(1), "propose", c.engine)
			require.Equal(t, map[bool]string{true: "", false: "Hindered"}[c.want == unhindered], refusal)
		})
	}
}

func TestEngineVotesOfStrangersAndTwiceAreRefused(t *testing.T) {
	w := newEngineWorld(t, changeable(chain.Raft, 4))
	_, refusal := w.engines(account(99), "propose", bftEngine)
	require.Equal(t, "NotAValidator", refusal)
	p := w.must(account(1), "propose", bftEngine)[0]
	for _, c := range []struct {
		from   uint64
		method string
		arg    any
		want   string
	}{{99, "vote", p, "NotAValidator"}, {1, "vote", p, "AlreadyVoted"}, {3, "vote", uint64(77), "NoSuchProposal"}, {3, "withdraw", p, "NotTheProposer"}, {3, "execute", p, "NotEnoughVotes"}} {
		_, refusal := w.engines(account(c.from), c.method, c.arg)
		require.Equal(t, c.want, refusal, c.method)
	}
	w.must(account(1), "propose", bftEngine)
	_, refusal = w.engines(account(1), "propose", bftEngine)
	require.Equal(t, "TooManyOpen", refusal)
	w.setHeight(1_000_002)
	_, refusal = w.engines(account(3), "vote", p)
	require.Equal(t, "Expired", refusal)
	w.must(account(1), "propose", bftEngine) // the expired ones make room
}

// TestStakeTakesOverTheSeats: with the decision votes elect no more, and with the way back they do again.
func TestStakeTakesOverTheSeats(t *testing.T) {
	w := newEngineWorld(t, changeable(chain.PoS, 4))
	require.Equal(t, []any{true}, w.call(account(1), "electedByStake"))
	w.setHeight(5)
	w.decide(bftEngine)
	require.Equal(t, []any{false}, w.call(account(1), "electedByStake"))
	w.setHeight(5 + chain.ActivationDelay)
	require.Equal(t, unhindered, w.hindrance(posEngine))
	w.decide(posEngine)
	require.Equal(t, []any{true}, w.call(account(1), "electedByStake"))
}

func TestCheckRefusesAnotherEnginesContract(t *testing.T) {
	require.NoError(t, govern.Check(changeable(chain.Raft, 4)))
	for name, alter := range map[string]func(*chain.GenesisAccount){
		"code":    func(a *chain.GenesisAccount) { a.Code = []byte{1} },
		"nonce":   func(a *chain.GenesisAccount) { a.Nonce = 7 },
		"balance": func(a *chain.GenesisAccount) { a.Balance = hexed(big.NewInt(1)) },
		"engine": func(a *chain.GenesisAccount) {
			a.Storage = govern.EnginesAccount(changeable(chain.BFT, 4)).Storage
		},
	} {
		g := changeable(chain.Raft, 4)
		a := g.Alloc[chain.EnginesAddress]
		alter(&a)
		g.Alloc[chain.EnginesAddress] = a
		require.ErrorIs(t, govern.Check(g), chain.ErrGenesis, name)
	}
}

// TestTrackerFollowsTheEngine: a change of engine is a change of rule, and tells where its term begins.
func TestTrackerFollowsTheEngine(t *testing.T) {
	g := changeable(chain.Solo, 1)
	w := newEngineWorld(t, g)
	for _, id := range []uint64{3, 5, 7} {
		p := w.call(account(1), "proposeAdd", public(id), account(id), "new", "")[0].(uint64)
		for _, m := range w.agrees() {
			if out, err := w.raw(m.Account, "vote", p); err != nil {
				require.Contains(t, []string{"AlreadyVoted", "NoSuchProposal"}, w.revert(out))
			}
		}
		w.setHeight(w.cfg.BlockNumber.Uint64() + 1)
	}
	require.Len(t, w.agrees(), 4)
	l := &ledger{sets: []chain.SetChange{{Rule: chain.Rule{Engine: chain.Solo, Set: g.ValidatorSet()}}}, state: w}
	tr, err := govern.NewTracker(g, suite, l)
	require.NoError(t, err)
	require.Len(t, tr.Of(1).Set, 1, "solo is one validator, whoever waits")
	require.Len(t, tr.Members(), 4)
	w.g.Validators = changeable(chain.BFT, 4).Validators
	w.setHeight(1)
	w.decide(raftEngine)
	written := chain.WriteSet{{Address: chain.EnginesAddress, Slots: []chain.SlotChange{{Key: common.Hash{}, Value: common.Hash{31: 9}}}}}
	c, err := tr.Executed(1, written, w)
	require.NoError(t, err)
	require.Equal(t, uint64(1+chain.ActivationDelay), c.From)
	require.Equal(t, chain.Raft, c.Engine)
	require.Len(t, c.Set, 4)
	for height, want := range map[uint64]chain.Term{1: {Engine: chain.Solo}, chain.ActivationDelay: {Engine: chain.Solo},
		1 + chain.ActivationDelay: {Engine: chain.Raft, From: 1 + chain.ActivationDelay}} {
		term, ok := tr.TermOf(height)
		require.True(t, ok)
		require.Equal(t, want, term, "height %d", height)
		require.Equal(t, want.Engine, tr.Of(height).Engine)
	}
	_, ok := tr.TermOf(2 + chain.ActivationDelay)
	require.False(t, ok)
	settled, err := govern.Settled(w, 1)
	require.NoError(t, err)
	require.False(t, settled)
}
