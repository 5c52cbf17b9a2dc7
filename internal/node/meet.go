package node

import (
	"github.com/jialing-chain/jialing/internal/chain"
)

// meet tells the network who belongs to the chain's validators: those of the ruling set and those that are settled to rule later, so that who joins
// is connected before its time comes. Called at start and by the execute stage when something of it has changed.
func (p *pipeline) meet() {
	height := p.executed.Load()
	var sets []chain.ValidatorSet
	for h := height + 1; h <= height+chain.ActivationDelay; h++ {
		set := p.sets.Of(h)
		if n := len(sets); len(set) > 0 && (n == 0 || &sets[n-1][0] != &set[0]) {
			sets = append(sets, set)
		}
	}
	p.members.set(sets)
	endpoints := make(map[chain.Peer]string)
	for _, peer := range p.members.others() {
		endpoints[peer] = ""
	}
	for _, m := range p.sets.Members() {
		if peer := chain.Peer(m.PublicKey); peer != p.members.self {
			endpoints[peer] = m.Endpoint
		}
	}
	p.network.SetMembers(endpoints)
}
