package node

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/bft"
	"github.com/jialing-chain/jialing/internal/order/pow"
	"github.com/jialing-chain/jialing/internal/order/raft"
	"github.com/jialing-chain/jialing/internal/order/relay"
	"github.com/jialing-chain/jialing/internal/order/solo"
	"github.com/jialing-chain/jialing/internal/store"
)

// newEngine is the engine of a chain: the one of its genesis, or where there are several validators a relay, which changes to the one that they decide on. A
// nil fence is an open one.
func newEngine(g *chain.Genesis, suite crypto.Suite, genesis crypto.Hash, key crypto.PrivateKey, st *store.Store, sets *govern.Tracker,
	fence *order.Fence, log *slog.Logger) (order.Engine, error) {
	m := &engineMaker{genesis: g, suite: suite, hash: genesis, public: key.Public().Bytes(), sets: sets, fence: fence, log: log}
	switch {
	case g.Consensus.Engine == chain.PoW:
		return newWorkEngine(g, suite, genesis, st, log, func(*pow.Config) {})
	case !g.Networked():
		return m.make(chain.Term{Engine: g.Consensus.Engine}, nil)
	}
	journal, err := st.EngineLog()
	if err != nil {
		return nil, err
	}
	last, err := st.LastDecision()
	if err != nil {
		return nil, fmt.Errorf("read the last decision: %w", err)
	}
	cfg := relay.Config{Terms: sets, Rule: sets.Of, Make: m.make, Journal: journal, Log: log}
	if last != nil {
		cfg.Last = last.Height
	}
	return relay.New(cfg)
}

// engineMaker makes engines of a chain.
type engineMaker struct {
	genesis *chain.Genesis
	suite   crypto.Suite
	hash    crypto.Hash
	public  []byte
	sets    *govern.Tracker
	fence   *order.Fence
	log     *slog.Logger
}

// make is the one place where a word becomes an engine.
func (m *engineMaker) make(term chain.Term, journal order.Journal) (order.Engine, error) {
	c := &m.genesis.Consensus
	heartbeat := time.Duration(c.HeartbeatMillis) * time.Millisecond
	switch {
	case term.Engine == chain.Solo:
		return solo.New(m.suite, m.hash, m.public, heartbeat), nil
	case term.Engine == chain.Raft && c.Raft != nil:
		return raft.New(raft.Config{Suite: m.suite, GenesisHash: m.hash, Founders: m.founders(term.From), From: term.From, Public: m.public, Params: *c.Raft,
			Heartbeat: heartbeat, Journal: journal, Log: m.log})
	case term.Engine == chain.BFT && c.BFT != nil, term.Engine == chain.PoS && c.BFT != nil && c.Stake != nil:
		return bft.New(bft.Config{Kind: term.Engine, Suite: m.suite, GenesisHash: m.hash, From: term.From, Public: m.public, Params: *c.BFT, Heartbeat: heartbeat,
			Fence: m.fence, Journal: journal, Log: m.log})
	}
	return nil, fmt.Errorf("engine %q: %w", term.Engine, relay.ErrNotConfigured)
}

// founders are the validators with whom a term began. A node that no longer knows them began with a later state, and is told by the others who they are.
func (m *engineMaker) founders(from uint64) chain.ValidatorSet {
	if from <= 1 {
		return m.genesis.ValidatorSet()
	}
	if rule := m.sets.Of(from); rule != nil {
		return rule.Set
	}
	return nil
}
