package main

import (
	"fmt"
	"strings"
	"time"
)

// The rules about movement: they compare the two looks.

// before is what the node said at the first look; nil when it did not answer both times.
func (n *nodeFacts) before() *nodeStatus {
	if n.now() == nil {
		return nil
	}
	return n.first.status
}

// perWatched applies a rule to each node that answered both times.
func perWatched(f *facts, rule func(n *nodeFacts, before, now *nodeStatus) *finding) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if n.before() == nil {
			return nil
		}
		return rule(n, n.before(), s)
	})
}

// quorumIsUp tells that the chain could make blocks as far as connections go.
func (f *facts) quorumIsUp() bool {
	s := f.anyStatus()
	return s != nil && len(f.reachableValidators()) >= s.Quorum
}

// ruleStuck: transactions wait, enough validators are connected, and nothing is ordered anywhere.
func ruleStuck(f *facts) []finding {
	var where []string
	var leader string
	for _, n := range f.nodes {
		before, now := n.before(), n.now()
		if before == nil {
			continue
		}
		if now.Ordered > before.Ordered || now.View != before.View {
			return nil
		}
		if before.Pool.Pending > 0 && now.Pool.Pending > 0 && now.Problem == nil {
			where = append(where, fmt.Sprintf("%d in the pool of %s", now.Pool.Pending, n.name))
			if l := now.leader(); l != "" {
				leader = l
			}
		}
	}
	if len(where) == 0 || !f.quorumIsUp() || f.work() != nil { // a block of work comes when it comes: ruleNobodyMines
		return nil
	}
	d := finding{broken, "stuck", "transactions wait and no block is ordered", fmt.Sprintf("in %s no height moved; waiting: %s", ago(f.watched), strings.Join(where, ", ")),
		"See the logs of the validators for what they refuse. If it lasts longer than the request timeout in the genesis, restart one validator after the other."}
	if leader != "" {
		d.Cause += "; the leader is " + leader
		d.Remedy = fmt.Sprintf("The validators ask for another leader by themselves after the request timeout in the genesis. If it lasts, see the log of %s and restart it.", leader)
	}
	return []finding{d}
}

// backlog is how many blocks a later stage may be behind an earlier one without anybody having to wonder.
const backlog = 16

func ruleExecution(f *facts) []finding {
	return perWatched(f, func(n *nodeFacts, before, now *nodeStatus) *finding {
		lag := int64(now.Ordered) - int64(now.Durable)
		if lag <= backlog || now.Problem != nil {
			return nil
		}
		d := &finding{ailing, "execution_slow", fmt.Sprintf("%s executes slower than blocks are ordered: %d blocks wait", n.name, lag),
			fmt.Sprintf("ordered %d, executed %d, on disk %d", now.Ordered, now.Executed, now.Durable),
			"It is busy (top, iostat): give it more CPU or a faster disk, or raise store.cache_mib and store.commitment_mib in its node.toml."}
		if now.Durable == before.Durable {
			d.Severity, d.Rule, d.Cause = broken, "execution_stuck", fmt.Sprintf("%s has stopped executing: %d blocks wait", n.name, lag)
			d.Remedy = "See " + n.logPath() + "; it may wait for transactions that no peer gives it, or for its disk."
		}
		return d
	})
}

func ruleAttestation(f *facts) []finding {
	return perWatched(f, func(n *nodeFacts, before, now *nodeStatus) *finding {
		lag := int64(now.Durable) - int64(now.Finalized)
		if lag <= backlog || now.Finalized != before.Finalized {
			return nil
		}
		return &finding{broken, "not_finalized", fmt.Sprintf("blocks are made but not certified: %s lacks signatures for the last %d", n.name, lag),
			fmt.Sprintf("on disk %d, certified %d; a certificate needs %d of %d validators; block %d lacks %s", now.Durable, now.Finalized, now.Quorum,
				len(now.Validators), now.Finalized+1, dash(now.memberNames(now.Unsigned))),
			"Validators that order but do not attest execute too slowly, have halted, or have a partly broken network: look at every one of them."}
	})
}

func ruleNoLeader(f *facts) []finding {
	if !f.quorumIsUp() {
		return nil
	}
	return perWatched(f, func(n *nodeFacts, before, now *nodeStatus) *finding {
		if now.Leader != nil || before.Leader != nil || len(now.Validators) < 2 || now.Validator == nil || now.Problem != nil {
			return nil
		}
		return &finding{broken, "no_leader", n.name + " sees no leader although enough validators are connected", fmt.Sprintf("view %d", now.View),
			"A change of leader takes a few seconds. If it lasts, compare clocks and restart this node."}
	})
}

// manyChanges of the leader in changesTime are more than one fault explains.
const (
	manyChanges = 3
	changesTime = 10 * time.Minute
)

// changeRate is how many changes of the leader the node saw per changesTime since it started; a young node counts as one of that age.
func (s *nodeStatus) changeRate() float64 {
	up := time.Duration(s.Now-s.StartedAt) * time.Millisecond
	return float64(s.LeaderChanges) * changesTime.Minutes() / max(up, changesTime).Minutes()
}

func ruleLeaderChanges(f *facts) []finding {
	var worst *nodeStatus
	var who string
	moving := false
	for _, n := range f.nodes {
		s := n.now()
		if s == nil {
			continue
		}
		if worst == nil || s.changeRate() > worst.changeRate() {
			worst, who = s, n.name
		}
		moving = moving || n.before() != nil && n.before().View != s.View
	}
	if worst == nil || (worst.changeRate() < manyChanges && !moving) {
		return nil
	}
	up := time.Duration(worst.Now-worst.StartedAt) * time.Millisecond
	evidence := fmt.Sprintf("%s saw %s in %s, now view %d", who, plural(worst.LeaderChanges, "change"), ago(up), worst.View)
	if moving {
		evidence += "; it changed while the doctor watched"
	}
	return []finding{{ailing, "leader_changes", "the leader changes often", evidence,
		"A machine is overloaded, its network loses packets or its clock jumps: see the other findings, then the logs for who was given up. " +
			"Far machines need longer timeouts in the genesis (consensus.bft)."}}
}

// slowLeader is a round trip in milliseconds to the leader that shows in every block.
const slowLeader = 250

func ruleSlowLeader(f *facts) []finding {
	var said []string
	var leader string
	for _, n := range f.nodes {
		s := n.now()
		if s == nil || s.Leader == nil {
			continue
		}
		for _, p := range n.second.peers {
			if p.Validator != nil && *p.Validator == *s.Leader && p.Connected && p.RoundTripMs != nil && *p.RoundTripMs > slowLeader {
				leader = s.leader()
				said = append(said, fmt.Sprintf("%s: %.0f ms", n.name, *p.RoundTripMs))
			}
		}
	}
	if leader == "" {
		return nil
	}
	return []finding{{ailing, "leader_slow", "the leader " + leader + " is slow to answer", "round trips from " + strings.Join(said, ", "),
		"Every block waits for it. Look at its load and its network; restarting it hands the lead to another validator."}}
}

// behindBlocks is how far a node may be behind before it counts: peers' heights are some hundred milliseconds old.
const behindBlocks = 32

func ruleBehind(f *facts) []finding {
	var top uint64
	for _, n := range f.nodes {
		s := n.now()
		if s == nil {
			continue
		}
		top = max(top, s.Ordered)
		for _, p := range n.second.peers {
			if p.Connected && p.Height != nil && !f.isSuspect(&p) {
				top = max(top, *p.Height)
			}
		}
	}
	return perWatched(f, func(n *nodeFacts, before, now *nodeStatus) *finding {
		if now.Ordered+behindBlocks >= top || now.Problem != nil {
			return nil
		}
		lag := top - now.Ordered
		d := &finding{ailing, "behind", fmt.Sprintf("%s is %d blocks behind and does not catch up", n.name, lag), fmt.Sprintf("it is at %d, others at %d", now.Ordered, top),
			"See " + n.logPath() + " for what its peers refuse it. If they no longer have the blocks that it needs, make the folder anew (jialing node join)."}
		if moved := now.Ordered - min(before.Ordered, now.Ordered); moved > 0 {
			d.Severity, d.Rule = remark, "catching_up"
			d.Cause = fmt.Sprintf("%s is catching up: %d blocks to go", n.name, lag)
			d.Remedy = "Wait."
			if f.watched > 0 {
				left := time.Duration(float64(f.watched) * float64(lag) / float64(moved))
				d.Remedy = fmt.Sprintf("Wait, about %s at this pace.", ago(left))
			}
		}
		return d
	})
}

// isSuspect tells that nobody believes the peer: what a stranger says of its height proves nothing.
func (f *facts) isSuspect(p *peerStatus) bool { return p.Score < 0 || p.Validator == nil }
