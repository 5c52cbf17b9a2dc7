package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
)

// rules are all that the doctor knows. Each looks at the facts alone and finds one kind of fault; none depends on another.
var rules = []func(*facts) []finding{
	ruleHalted, ruleNotRunning, ruleNotAnswering, ruleWrongNode, ruleOneKey, ruleOtherGenesis, ruleDiverged, ruleContradiction, ruleAbstains, ruleAttendance, ruleTombstoned, ruleIgnored, ruleNoQuorum, ruleAway, ruleNoPeers,
	ruleUnreachable, ruleBanned, ruleClock, ruleDisk, rulePool, ruleStuck, ruleExecution, ruleAttestation, ruleNoLeader, ruleLeaderChanges,
	ruleSlowLeader, ruleBehind, ruleProblem, ruleVersions, ruleGap, ruleFees,
	ruleNobodyMines, ruleKey, ruleCertificate, ruleExpiry, ruleAuthorities, ruleRescue, ruleAudit, rulePortCertificate,
}

// perNode applies a rule to each node.
func perNode(f *facts, rule func(*nodeFacts) *finding) (out []finding) {
	for _, n := range f.nodes {
		if d := rule(n); d != nil {
			out = append(out, *d)
		}
	}
	return out
}

// perAnswer applies a rule to each node that answers.
func perAnswer(f *facts, rule func(*nodeFacts, *nodeStatus) *finding) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		if s := n.now(); s != nil {
			return rule(n, s)
		}
		return nil
	})
}

// startCommand is how to start the node.
func (f *facts) startCommand(n *nodeFacts) string {
	if n.folder.dir == filepath.Clean(f.dir) || f.dir == "" || isNodeFolder(f.dir) {
		return fmt.Sprintf("jialing start --dir %s", n.folder.dir)
	}
	return fmt.Sprintf("jialing network start --dir %s %s", f.dir, n.name)
}

// logPath is where to read more; a node that systemd runs has its log in the journal.
func (n *nodeFacts) logPath() string {
	if n.folder == nil {
		return "its log"
	}
	if path := filepath.Join(n.folder.dir, logFolder, logFile); exists(path) {
		return path
	}
	return fmt.Sprintf("its log (journalctl -u %s where systemd runs it)", strings.TrimSuffix(unitName(n.name), ".service"))
}

func ruleHalted(f *facts) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		if n.halt == nil {
			return nil
		}
		remedy := n.halt.advice
		if remedy == "" {
			remedy = fmt.Sprintf("Keep a copy of %s. If another node says the same, stop and find out which version or machine computed wrongly before going on. "+
				"If this one is alone, its disk, memory or program is at fault: check them, then make the node anew from the others (docs/operations.md, \"A node diverged\").",
				n.folder.dir)
		}
		if n.halt.forked {
			return &finding{broken, "forked", n.name + " halted itself: a chain of more work leaves out blocks that were final here", n.halt.evidence, remedy}
		}
		return &finding{broken, "diverged", n.name + " halted itself: its state differs from what a quorum of validators signed", n.halt.evidence, remedy}
	})
}

func ruleNotRunning(f *facts) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		if n.folder == nil || n.pid != 0 || n.now() != nil || n.elsewhere != "" {
			return nil
		}
		d := &finding{broken, "not_running", n.name + " does not run", "no process has its folder", "Start it: " + f.startCommand(n)}
		if exists(filepath.Join(n.folder.dir, pidFile)) {
			d.Evidence = "its pid file is there, but no such process: it crashed or was killed"
		}
		if last := lastLine(n.lastWords); last == stoppedWord {
			d.Evidence += "; it was stopped"
		} else if last != "" {
			d.Evidence += "\nits log ends with: " + n.lastWords
		}
		if len(n.taken) > 0 {
			d.Evidence += "\nsomething else listens on " + strings.Join(n.taken, ", ")
			d.Remedy = fmt.Sprintf("Stop what listens on %s (ss -ltnp shows it), or change the port in %s. Then start it: %s", strings.Join(n.taken, ", "),
				filepath.Join(n.folder.dir, "node.toml"), f.startCommand(n))
		}
		return d
	})
}

// lastLine is the last line of a text.
func lastLine(s string) string { return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:]) }

func ruleNotAnswering(f *facts) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		err := n.second.err
		switch {
		case err == nil || (n.folder != nil && n.pid == 0 && n.elsewhere == ""):
			return nil
		case n.elsewhere != "":
			return &finding{remark, "elsewhere", fmt.Sprintf("%s is meant for %s and was not looked at", n.name, n.elsewhere), "",
				"Run the doctor there too, or name its JSON-RPC with --rpc."}
		case !errors.Is(err, client.ErrUnreachable):
			return &finding{broken, "not_answering", n.name + " answers, but not as a node of this version does", err.Error(),
				"Check that the URL is a Jialing node's, and of which version it is."}
		case n.folder != nil:
			return &finding{broken, "not_answering", fmt.Sprintf("%s runs (pid %d) but does not answer at %s", n.name, n.pid, n.url), err.Error(),
				"Wait a minute if it has just started: a large ledger takes time to open. Otherwise see " + n.logPath() +
					" and whether the machine is out of memory or its disk hangs."}
		}
		return &finding{broken, "not_answering", "no node answers at " + n.url, err.Error(),
			"Check that it runs, that [serve] addr in its node.toml is reachable from here, and the firewall between."}
	})
}

func ruleWrongNode(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if n.folder == nil || s.key() == n.folder.key {
			return nil
		}
		return &finding{broken, "wrong_node", fmt.Sprintf("another node answers at %s, where %s should", n.url, n.name),
			fmt.Sprintf("its key is %s (%s), the folder's %s", s.key(), dash(s.Name), n.folder.key),
			"Two folders have one port: change [serve] addr in one of their node.toml files."}
	})
}

// sameKeyText is what a peer says when it refuses a node because another one with its key is connected.
const sameKeyText = "same key"

// ruleOneKey finds two nodes with one key among those looked at, and believes the network where it has found them.
func ruleOneKey(f *facts) (out []finding) {
	remedy := "Stop one of them at once: two validators with one key can sign against each other. Give it a key of its own (a new folder: jialing node join), " +
		"or delete the copy."
	owner := make(map[chain.Peer]*nodeFacts)
	for _, n := range f.nodes {
		var key chain.Peer
		switch s := n.now(); {
		case s != nil:
			key = s.key()
		case n.folder != nil:
			key = n.folder.key
		default:
			continue
		}
		other := owner[key]
		owner[key] = n
		if other == nil || sameProcess(n.now(), other.now()) {
			continue
		}
		out = append(out, finding{broken, "one_key", fmt.Sprintf("%s and %s have one key", other.name, n.name), "both sign as " + key.String(), remedy})
	}
	return append(out, perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		signs := slices.Clone(s.Conflicts)
		for _, p := range n.second.peers {
			if !p.Connected && strings.Contains(p.LastError, sameKeyText) {
				signs = append(signs, fmt.Sprintf("%s at %s: %s", p.label(), dash(p.Address), p.LastError))
			}
		}
		if len(signs) == 0 {
			return nil
		}
		return &finding{broken, "one_key", "another node uses the key of " + n.name, strings.Join(signs, "\n"), remedy + " (A node remembers this until it is restarted.)"}
	})...)
}

// sameProcess tells that two answers are one node's, asked at two of its addresses.
func sameProcess(a, b *nodeStatus) bool { return a != nil && b != nil && a.StartedAt == b.StartedAt }

// ruleContradiction: who said two things of which one excludes the other is no honest validator, or is two.
func ruleContradiction(f *facts) []finding {
	said := make(map[string][]string)
	var order []string
	for _, n := range f.nodes {
		if s := n.now(); s != nil {
			for _, e := range s.Evidence {
				if said[e] == nil {
					order = append(order, e)
				}
				said[e] = append(said[e], n.name)
			}
		}
	}
	if len(order) == 0 {
		return nil
	}
	var text []string
	for _, e := range order {
		text = append(text, fmt.Sprintf("%s (seen by %s)", e, strings.Join(said[e], ", ")))
	}
	return []finding{{ailing, "contradiction", "a validator contradicted itself, which an honest one never does", strings.Join(text, "\n"),
		"Either two nodes have its key, or it was started on an old copy of its data, or somebody else has its key: ask its operator. The others can vote it out " +
			"(jialing validator remove). A node remembers this until it is restarted."}}
}

// ruleIgnored names connected peers whose word on blocks a node does not take.
func ruleIgnored(f *facts) (out []finding) {
	for _, n := range f.nodes {
		if n.now() == nil {
			continue
		}
		for _, p := range n.second.peers {
			if p.Connected && p.LastError != "" {
				out = append(out, finding{ailing, "ignored", fmt.Sprintf("%s does not take blocks from %s", n.name, p.label()), p.LastError,
					"One false or broken answer is forgiven after half a minute. If it comes back, that node's data or program is damaged: jialing db check there."})
			}
		}
	}
	return out
}

// lowDisk warns while there is this much more than the reserve: some hours of a busy chain.
const lowDisk = 4 << 30

func ruleDisk(f *facts) []finding {
	return perNode(f, func(n *nodeFacts) *finding {
		var free, reserve uint64
		switch s := n.now(); {
		case s != nil && (s.Disk.Free > 0 || s.Disk.Reserve > 0):
			free, reserve = s.Disk.Free, s.Disk.Reserve
		case n.diskKnown:
			free, reserve = n.diskFree, uint64(n.folder.cfg.Store.MinFreeMiB)<<20
		default:
			return nil
		}
		remedy := "Free space or enlarge the disk; the node resumes by itself. What grows is the folder data: keep fewer states " +
			"(retention.stateBlocks in a new chain, jialing db prune) or give it a disk of its own."
		switch {
		case free < max(reserve, 1<<20):
			return &finding{broken, "disk_full", "the disk of " + n.name + " is full: it takes no transactions",
				fmt.Sprintf("%s are free, the node keeps %s in reserve", bytesText(free), bytesText(reserve)), remedy}
		case free < reserve+lowDisk:
			return &finding{ailing, "disk_low", "the disk of " + n.name + " is nearly full",
				fmt.Sprintf("%s are free; at %s the node stops taking transactions", bytesText(free), bytesText(reserve)), remedy}
		}
		return nil
	})
}

// poolHigh is the share of a pool at which senders will soon be refused.
const poolHigh = 0.9

func rulePool(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		held := s.Pool.Pending + s.Pool.Queued
		if s.Pool.Max == 0 || float64(held) < poolHigh*float64(s.Pool.Max) {
			return nil
		}
		d := &finding{ailing, "pool_full", "the transaction pool of " + n.name + " is nearly full", "",
			"Senders send faster than blocks are made: let them slow down or wait for receipts. Where blocks do not come, see the other findings."}
		if held >= s.Pool.Max {
			d.Severity, d.Cause = broken, "the transaction pool of "+n.name+" is full: it refuses transactions"
		}
		d.Evidence = fmt.Sprintf("%d executable and %d waiting for a missing nonce, of at most %d", s.Pool.Pending, s.Pool.Queued, s.Pool.Max)
		if s.Pool.Queued > s.Pool.Pending {
			d.Remedy = "Most wait for an earlier nonce that nobody sends: their senders must send it, or they go after pool.gapped_lifetime."
		}
		return d
	})
}

// ruleGap tells senders why nothing happens.
func ruleGap(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Pool.Pending > 0 || s.Pool.Queued == 0 {
			return nil
		}
		return &finding{remark, "nonce_gap", fmt.Sprintf("%s in the pool of %s for a nonce that was not sent", waiting(s.Pool.Queued), n.name), "none of them is executable",
			"Their senders must send the missing nonce (txpool_content shows whose they are)."}
	})
}

// ruleFees: who cannot pay cannot vote.
func ruleFees(f *facts) []finding {
	if f.baseFee == nil || len(f.poor) == 0 || f.anyStatus() == nil || len(f.anyStatus().Validators) < 2 {
		return nil
	}
	return []finding{{remark, "no_balance", "these validators cannot pay for a vote: " + strings.Join(f.poor, ", "),
		fmt.Sprintf("their accounts hold nothing and gas costs %s", formatAmount(f.baseFee)), "Send their accounts (jialing validator list) some before they are asked to vote."}}
}

func waiting(n int) string {
	if n == 1 {
		return "1 transaction waits"
	}
	return fmt.Sprintf("%d transactions wait", n)
}

// ruleProblem passes on what a node says of itself and no other rule explains.
func ruleProblem(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Problem == nil || s.Disk.Free < s.Disk.Reserve || isKeyDeviceProblem(*s.Problem) {
			return nil
		}
		return &finding{broken, "problem", n.name + " takes no transactions", *s.Problem, "See " + n.logPath() + "; most problems of this kind need a restart of the node once their cause is gone."}
	})
}

func ruleVersions(f *facts) []finding {
	seen := make(map[string][]string)
	var order []string
	for _, n := range f.nodes {
		if s := n.now(); s != nil {
			if seen[s.Version] == nil {
				order = append(order, s.Version)
			}
			seen[s.Version] = append(seen[s.Version], n.name)
		}
	}
	if len(order) < 2 {
		return nil
	}
	var text []string
	for _, v := range order {
		text = append(text, fmt.Sprintf("%s: %s", v, strings.Join(seen[v], ", ")))
	}
	return []finding{{remark, "versions", "the nodes run different versions", strings.Join(text, "\n"),
		"Fine while one machine after the other is updated; finish it."}}
}

func bytesText(n uint64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// ago is a duration as people say it.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
