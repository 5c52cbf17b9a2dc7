package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// laterEngines are those that --engines may name.
var laterEngines = []string{string(chain.Raft), string(chain.BFT), string(chain.PoS)}

// engineFlag is --engines.
func (f *networkFlags) engineFlag(usage func(p *[]string, name string, value []string, usage string)) {
	usage(&f.engines, "engines", []string{string(chain.Raft), string(chain.BFT)},
		"the engines to which the validators may change the chain later (jialing engine): raft, bft, pos; \"none\": it keeps the one it begins with")
}

// checkEngines completes and checks --engines.
func (f *networkFlags) checkEngines(said func(flag string) bool) error {
	engine := chain.EngineKind(f.consensus)
	if engine == chain.PoW {
		if said("engines") {
			return usagef("--engines: a chain of work has no validators who could change its engine")
		}
		f.engines = nil
		return nil
	}
	if slices.Equal(f.engines, []string{"none"}) {
		f.engines = nil
	}
	for _, word := range f.engines {
		if !slices.Contains(laterEngines, word) {
			return usagef("--engines %q: use %s, or none", word, strings.Join(laterEngines, ", "))
		}
	}
	if engine == chain.Solo && len(f.engines) == 0 {
		return usagef("--consensus solo: one node that stays alone is made by \"jialing init\"; a network of it needs --engines to which it may change")
	}
	return nil
}

// ofStake tells that stake elects the validators, or may once.
func (f *networkFlags) ofStake() bool {
	return chain.EngineKind(f.consensus) == chain.PoS || slices.Contains(f.engines, string(chain.PoS))
}

// foundEngines gives a genesis the parameters of its engine and of those to which it may change, and the contracts for them.
func (f *genesisFlags) foundEngines(g *chain.Genesis) error {
	engine := g.Consensus.Engine
	if engine == chain.PoW || !engine.Networked() && len(f.engines) == 0 {
		return nil
	}
	has := func(kind chain.EngineKind) bool { return engine == kind || slices.Contains(f.engines, string(kind)) }
	if has(chain.Raft) {
		g.Consensus.Raft = chain.DefaultRaftParams()
	}
	if has(chain.BFT) || has(chain.PoS) {
		g.Consensus.BFT = chain.DefaultBFTParams()
	}
	g.Consensus.MaxBlockTxs = maxBFTBlockTxs
	g.Alloc[govern.Address] = govern.Account(g)
	if has(chain.PoS) {
		if err := f.stake.found(g); err != nil {
			return err
		}
	}
	if len(f.engines) > 0 {
		g.Alloc[chain.EnginesAddress] = govern.EnginesAccount(g)
	}
	return nil
}

// growthText tells the operator of a network whose first node orders alone how the others get a voice.
func growthText(g *chain.Genesis, founders []founder, dev bool) string {
	if g.Consensus.Engine != chain.Solo {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `
## From one node to several

%s orders alone, the others follow. Its validator votes them in, from its account; each that is in votes for the next, with the same command from its own:

`, founders[0].name)
	for i, v := range founders[1:] {
		for j := range chain.BFT.Quorum(i + 1) {
			from := "--keystore " + founders[j].name + "/keystore --from " + founders[j].address.Hex()
			if dev {
				from = fmt.Sprintf("--from dev:%d", j)
			}
			fmt.Fprintf(&b, "    jialing validator add 0x%x %s %s --endpoint %s %s\n", v.key.Public().Bytes(), v.address, v.name, v.endpoint(), from)
		}
	}
	b.WriteString("\nEach takes effect 64 blocks later. Then a quorum of them proposes raft or bft (jialing engine propose raft --from …), and again 64 blocks later they order\ntogether, without a restart. Blocks are made when there are transactions: without any, nothing changes.\n")
	return b.String()
}
