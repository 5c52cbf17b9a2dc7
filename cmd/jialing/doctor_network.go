package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The rules about nodes together: who reaches whom, and whether they agree.

// otherChainText is what a node's p2p says of a peer whose genesis differs.
const otherChainText = "of another chain"

func ruleOtherGenesis(f *facts) (out []finding) {
	remedy := "Compare the genesis.json files (sha256sum): all nodes need the very same one. A node with the wrong one needs a new folder: jialing node join --genesis FILE."
	byGenesis := make(map[string][]string)
	for _, n := range f.nodes {
		if s := n.now(); s != nil {
			g := fmt.Sprintf("%s (%s, id %d)", s.Genesis, s.Chain, s.ChainID)
			byGenesis[g] = append(byGenesis[g], n.name)
		}
	}
	if len(byGenesis) > 1 {
		var text []string
		for _, g := range slices.Sorted(maps.Keys(byGenesis)) {
			text = append(text, fmt.Sprintf("%s: genesis %s", strings.Join(byGenesis[g], ", "), g))
		}
		return []finding{{broken, "other_genesis", "the nodes are of different chains", strings.Join(text, "\n"), remedy}}
	}
	for _, n := range f.nodes {
		if others := n.refusedForChain(); others != "" && n.now().Peers == 0 {
			return []finding{{broken, "other_genesis", n.name + " has another genesis than the nodes that it knows", others, remedy}}
		}
	}
	for _, p := range f.absent() {
		switch {
		case !strings.Contains(p.why, otherChainText):
		case p.validator:
			out = append(out, finding{broken, "other_genesis", p.name + " has another genesis", fmt.Sprintf("%s (said by %s)", p.why, p.by), remedy})
		default:
			out = append(out, finding{remark, "other_genesis", fmt.Sprintf("a node of another chain was refused: %s at %s", p.name, dash(p.address)),
				fmt.Sprintf("%s (said by %s)", p.why, p.by), "Nothing, unless it is yours: then it needs this chain's genesis.json (jialing node join --genesis FILE)."})
		}
	}
	return out
}

// refusedForChain says which peers differ in their genesis; "" when none does or the node does not answer.
func (n *nodeFacts) refusedForChain() string {
	if n.now() == nil {
		return ""
	}
	var out []string
	for _, p := range n.second.peers {
		if !p.Connected && strings.Contains(p.LastError, otherChainText) {
			out = append(out, fmt.Sprintf("%s at %s: %s", p.label(), dash(p.Address), p.LastError))
		}
	}
	return strings.Join(out, "\n")
}

func ruleDiverged(f *facts) []finding {
	byHash := make(map[string][]string)
	for name, hash := range f.heads {
		byHash[hash] = append(byHash[hash], name)
	}
	if len(byHash) < 2 || len(ruleOtherGenesis(f)) > 0 { // blocks of different chains differ anyhow
		return nil
	}
	var text []string
	for _, hash := range slices.Sorted(maps.Keys(byHash)) {
		text = append(text, fmt.Sprintf("%s: %s", strings.Join(slices.Sorted(slices.Values(byHash[hash])), ", "), hash))
	}
	return []finding{{broken, "diverged", fmt.Sprintf("the nodes have different blocks at height %d", f.commonHeight), strings.Join(text, "\n"),
		"Trust the side that a quorum of validators has certified (jl_getCertificate). The other nodes should have halted by themselves: stop them, keep copies of " +
			"their folders, and make them anew (docs/operations.md, \"A node diverged\")."}}
}

// absentPeer is a validator or configured peer that somebody does not reach, merged over all that say so.
type absentPeer struct {
	key       chain.Peer
	name      string
	address   string
	validator bool
	why       string
	// by are the nodes that do not reach it.
	by string
	// banned is until when; zero when it is not.
	banned time.Time
}

// absent lists the peers that answering nodes do not reach.
func (f *facts) absent() []*absentPeer {
	byKey := make(map[string]*absentPeer)
	var out []*absentPeer
	for _, n := range f.nodes {
		if n.now() == nil {
			continue
		}
		for _, p := range n.second.peers {
			if p.Connected {
				continue
			}
			key := string(p.PublicKey) + "@" + p.Address
			if len(p.PublicKey) > 0 {
				key = string(p.PublicKey)
			}
			a := byKey[key]
			if a == nil {
				a = &absentPeer{key: chain.Peer(p.PublicKey), name: p.label(), address: p.Address, validator: p.Validator != nil, why: p.LastError, by: n.name}
				byKey[key] = a
				out = append(out, a)
			} else {
				a.by += ", " + n.name
				a.why = cmp.Or(a.why, p.LastError)
			}
			if p.BannedUntil != nil {
				a.banned = time.UnixMilli(*p.BannedUntil)
			}
		}
	}
	return out
}

// ruleNoQuorum finds that too few validators are up or reach each other, and names who is missing.
func ruleNoQuorum(f *facts) []finding {
	s := f.anyStatus()
	if s == nil || len(s.Validators) < 2 {
		return nil
	}
	up := f.reachableValidators()
	missing := f.missingValidators(s, up)
	if len(s.Validators)-len(missing) < s.Quorum {
		return []finding{{broken, "no_quorum", fmt.Sprintf("no quorum, so no blocks: %s missing (%d of %d validators are up, %d must be)", strings.Join(missing, ", "), len(up),
			len(s.Validators), s.Quorum), f.whyMissing(up), "Bring back at least " + plural(s.Quorum-len(s.Validators)+len(missing), "validator") +
			" of those missing: start it, or repair the network between. Nothing is lost meanwhile; blocks go on by themselves."}}
	}
	// Enough are up, but do they reach each other?
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if reached := connectedValidators(n.second); s.Validator != nil && reached < s.Quorum && reached > 1 {
			return &finding{broken, "partitioned", fmt.Sprintf("%s reaches only %d of %d validators (itself included), %d must reach each other", n.name, reached,
				len(s.Validators), s.Quorum), strings.TrimPrefix(unreachable(n.second), "; "), "Repair the network between them: routes, firewall, the endpoints in the genesis."}
		}
		return nil
	})
}

// anyStatus is one answering node's, the one with the greatest height: it knows the newest set.
func (f *facts) anyStatus() (best *nodeStatus) {
	for _, n := range f.nodes {
		if s := n.now(); s != nil && (best == nil || s.Durable > best.Durable) {
			best = s
		}
	}
	return best
}

func (f *facts) missingValidators(s *nodeStatus, up map[string]bool) (missing []string) {
	for _, v := range s.Validators {
		if !up[string(v.PublicKey)] {
			missing = append(missing, memberName(v.Name, v.ID))
		}
	}
	return missing
}

// whyMissing says what others say of the validators that nobody reaches.
func (f *facts) whyMissing(up map[string]bool) string {
	var text []string
	for _, p := range f.absent() {
		if p.validator && !up[string(p.key)] {
			text = append(text, fmt.Sprintf("%s at %s: %s", p.name, dash(p.address), dash(p.why)))
		}
	}
	return strings.Join(text, "\n")
}

// ruleAway: the chain runs on without a validator, with less room for the next one to fail.
func ruleAway(f *facts) []finding {
	s := f.anyStatus()
	if s == nil || len(s.Validators) < 2 {
		return nil
	}
	up := f.reachableValidators()
	missing := f.missingValidators(s, up)
	left := len(s.Validators) - len(missing) - s.Quorum
	if len(missing) == 0 || left < 0 {
		return nil
	}
	return []finding{{ailing, "away", fmt.Sprintf("away: %s. The chain goes on; %d more may fail", strings.Join(missing, ", "), left), f.whyMissing(up),
		"Start it, or repair the network to it. It catches up by itself."}}
}

func ruleNoPeers(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Peers > 0 || s.Problem != nil || len(s.Validators) < 2 && len(n.second.peers) == 0 {
			return nil // a node with a problem is not in the network: that is the finding
		}
		d := &finding{broken, "no_peers", n.name + " is connected to no other node", "it knows of none",
			"Name one in [network] peers of its node.toml, or use a genesis whose validators have endpoints."}
		if len(n.second.peers) > 0 {
			d.Evidence = strings.TrimPrefix(unreachableAny(n.second), "; ")
			d.Remedy = "Check that the others run, that this machine reaches their ports (nc -vz HOST PORT) and that they let it in (firewall)."
		}
		return d
	})
}

func unreachableAny(a *answer) string {
	var out []string
	for _, p := range a.peers {
		if !p.Connected {
			out = append(out, fmt.Sprintf("%s at %s: %s", p.label(), dash(p.Address), dash(p.LastError)))
		}
	}
	return strings.Join(out, "\n")
}

// ruleUnreachable names the peers that some do not reach although they are up, and those that are no validators.
func ruleUnreachable(f *facts) (out []finding) {
	up := f.reachableValidators()
	for _, p := range f.absent() {
		if p.why == "" || !p.banned.IsZero() || strings.Contains(p.why, otherChainText) || (p.validator && !up[string(p.key)]) {
			continue // ruleBanned, ruleOtherGenesis, ruleAway and ruleNoQuorum tell of it
		}
		if f.work() != nil && !p.validator {
			continue // on an open chain peers come and go; who has none at all is told of by ruleNoPeers
		}
		out = append(out, finding{ailing, "unreachable", fmt.Sprintf("%s cannot reach %s at %s", p.by, p.name, dash(p.address)), p.why,
			"Check that it runs and that the port is open from there; correct the address in [network] peers or in the validator contract."})
	}
	return out
}

func ruleBanned(f *facts) (out []finding) {
	for _, p := range f.absent() {
		if p.banned.IsZero() {
			continue
		}
		out = append(out, finding{ailing, "banned", fmt.Sprintf("%s has banned %s until %s", p.by, p.name, p.banned.UTC().Format(timeLayout)), p.why,
			"See the log of " + p.by + " for what it did. A wrong version or another chain's node heals with the right one; a foreign node should stay out."})
	}
	return out
}

const (
	// clockOff is worth a warning; beyond clockLimit a leader's blocks are refused (order.maxDrift).
	clockOff   = time.Second
	clockLimit = 10 * time.Second
)

// ruleClock compares the nodes' clocks with the middle one of all that are known.
func ruleClock(f *facts) (out []finding) {
	clocks := f.clocks()
	if len(clocks) < 2 {
		return nil
	}
	sorted := slices.Clone(clocks)
	slices.SortFunc(sorted, func(a, b clock) int { return cmp.Compare(a.offset, b.offset) })
	middle := sorted[(len(sorted)-1)/2].offset
	for _, c := range clocks {
		off := c.offset - middle
		if off.Abs() <= clockOff+c.exact {
			continue
		}
		direction := "ahead of"
		if off < 0 {
			direction = "behind"
		}
		d := finding{ailing, "clock", fmt.Sprintf("the clock of %s is %s %s the others", c.name, ago(off.Abs()), direction), "measured " + c.how,
			"Keep the machine's time in step: timedatectl set-ntp true, or chrony. Compare with date -u."}
		if off.Abs() > clockLimit {
			d.Severity, d.Cause = broken, d.Cause+fmt.Sprintf(": more than %s, so blocks that it or the others propose are refused", clockLimit)
		}
		out = append(out, d)
	}
	return out
}

// clock is what is known of a node's clock against this machine's.
type clock struct {
	name          string
	offset, exact time.Duration
	how           string
}

// clocks are those of the nodes asked and, through them, of their peers.
func (f *facts) clocks() (out []clock) {
	seen := make(map[string]bool)
	for _, n := range f.nodes {
		if offset, exact, ok := n.second.offset(); ok && !seen[string(n.now().PublicKey)] {
			seen[string(n.now().PublicKey)] = true
			out = append(out, clock{n.name, offset, exact, "by asking it"})
		}
	}
	for _, n := range f.nodes {
		offset, exact, ok := n.second.offset()
		if !ok {
			continue
		}
		for _, p := range n.second.peers {
			if p.ClockOffsetMs == nil || !p.Connected || seen[string(p.PublicKey)] {
				continue
			}
			seen[string(p.PublicKey)] = true
			c := clock{p.label(), offset + time.Duration(*p.ClockOffsetMs)*time.Millisecond, exact, "by " + n.name}
			if p.RoundTripMs != nil {
				c.exact += time.Duration(*p.RoundTripMs * float64(time.Millisecond) / 2)
			}
			out = append(out, c)
		}
	}
	return out
}
