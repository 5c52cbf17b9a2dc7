package node

import (
	"github.com/jialing-chain/jialing/internal/chain"
)

// meet tells the network who belongs to the chain's validators: those of the ruling set and those that are settled to rule later, so that who joins
// is connected before its time comes. Called at start and by the execute stage when something of it has changed.
func (p *pipeline) meet() {
	height := p.executed.Load()
	var sets []chain.ValidatorSet
	var last *chain.Rule
	for h := height + 1; h <= height+chain.ActivationDelay; h++ {
		rule := p.sets.Of(h)
		if rule == nil {
			continue
		}
		if last == nil || !sameSet(last, rule) {
			sets = append(sets, rule.Set)
		}
		last = rule
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

// sameSet tells whether two rules share one set, not only an equal one: cheap, and never true for different ones.
func sameSet(a, b *chain.Rule) bool {
	return len(a.Set) == len(b.Set) && (len(a.Set) == 0 || &a.Set[0] == &b.Set[0])
}

// self is this node among the validators of a height; nil when it is none of them, or when they are not settled.
func (p *pipeline) self(height uint64) *chain.Validator {
	rule := p.sets.Of(height)
	if rule == nil {
		return nil
	}
	return self(rule.Set, p.key)
}
