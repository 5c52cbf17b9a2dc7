package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is one thing to do to the nodes. Nodes are counted from 0.
type command struct {
	action string
	// node is whom kill, restart and byzantine are for: a number, theLeader, or allDead for restart.
	node int
	// groups are the parts of a partition.
	groups [][]int
	// lie is how a Byzantine node misbehaves.
	lie string
}

// Words for nodes that have no number.
const (
	theLeader = -1
	allDead   = -2
)

// commandEnd ends the lesson; it is no fault.
const commandEnd = "end"

// scriptStep is a command with its time since the load began.
type scriptStep struct {
	at time.Duration
	command
}

const (
	// maxScriptSteps and maxScriptTime bound a script: an evening of lessons.
	maxScriptSteps = 500
	maxScriptTime  = 4 * time.Hour
	// scriptTail is how long the load goes on after the last step of a script that does not say when it ends: enough to see what came of it.
	scriptTail = 5 * time.Second
)

// parseScript reads steps like "5s kill 1; 8s restart 1; 10s partition 1,2|3,4; 15s heal; 16s byzantine 2 double-sign; 20s end": times are since the load began
// and do not go back. It always ends with an end.
func parseScript(text string, nodes int, lies []string) ([]scriptStep, error) {
	var out []scriptStep
	last := time.Duration(0)
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		at, err := time.ParseDuration(words[0])
		switch {
		case err != nil || at < 0:
			return nil, usagef("--script: %q must begin with a time since the load began, like 5s or 1m30s", strings.TrimSpace(part))
		case at < last:
			return nil, usagef("--script: %q comes after a step of %s", strings.TrimSpace(part), last)
		case at > maxScriptTime:
			return nil, usagef("--script: %s is longer than %s", at, maxScriptTime)
		case len(words) < 2:
			return nil, usagef("--script: %q says when and not what", strings.TrimSpace(part))
		case len(out) > 0 && out[len(out)-1].action == commandEnd:
			return nil, usagef("--script: %q comes after the end", strings.TrimSpace(part))
		case len(out) == maxScriptSteps:
			return nil, usagef("--script: more than %d steps", maxScriptSteps)
		}
		cmd, err := parseCommand(words[1:], nodes, lies)
		if err != nil {
			return nil, fmt.Errorf("--script: %q: %w", strings.TrimSpace(part), err)
		}
		last = at
		out = append(out, scriptStep{at, cmd})
	}
	if len(out) == 0 || out[len(out)-1].action != commandEnd {
		out = append(out, scriptStep{last + scriptTail, command{action: commandEnd}})
	}
	return out, nil
}

// parseCommand reads what follows the time.
func parseCommand(words []string, nodes int, lies []string) (c command, err error) {
	c.action = words[0]
	args := words[1:]
	switch c.action {
	case commandEnd, faultHeal:
		return c, tooMany(args, 0)
	case faultKill:
		if err := tooMany(args, 1); err != nil {
			return c, err
		}
		if len(args) == 0 {
			return c, usagef("say whom: a number or leader")
		}
		c.node, err = parseNode(args[0], nodes)
		return c, err
	case faultRestart:
		c.node = allDead
		if len(args) > 0 {
			c.node, err = parseNode(args[0], nodes)
		}
		if err != nil {
			return c, err
		}
		return c, tooMany(args, 1)
	case faultPartition:
		c.groups, err = parseGroups(strings.Join(args, ""), nodes)
		return c, err
	case faultByzantine:
		return parseByzantine(args, nodes, lies)
	}
	return c, usagef("%q is none of kill, restart, partition, heal, byzantine, end", c.action)
}

func parseByzantine(args []string, nodes int, lies []string) (c command, err error) {
	c.action = faultByzantine
	if len(lies) == 0 {
		return c, usagef("nobody can lie here: there is nobody to lie to")
	}
	if len(args) == 0 {
		return c, usagef("say whom: a number or leader")
	}
	if c.node, err = parseNode(args[0], nodes); err != nil {
		return c, err
	}
	c.lie = lies[0]
	if len(args) > 1 {
		c.lie = args[1]
	}
	if !slices.Contains(lies, c.lie) {
		return c, usagef("%q is no way to lie here, use %s", c.lie, strings.Join(lies, ", "))
	}
	return c, tooMany(args, 2)
}

func tooMany(args []string, most int) error {
	if len(args) > most {
		return usagef("%q is too much", strings.Join(args[most:], " "))
	}
	return nil
}

// parseNode reads 1 to n, or leader.
func parseNode(word string, nodes int) (int, error) {
	if word == "leader" {
		return theLeader, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(word, "node"))
	if err != nil || n < 1 || n > nodes {
		return 0, usagef("%q is no node: 1 to %d, or leader", word, nodes)
	}
	return n - 1, nil
}

// parseGroups reads "1,2|3,4". Who is in no group is in one more; "" is halves, "3" is that node alone.
func parseGroups(text string, nodes int) ([][]int, error) {
	if nodes < 2 {
		return nil, usagef("one node cannot be split")
	}
	if text == "" {
		return halves(0, nodes), nil
	}
	var groups [][]int
	where := make(map[int]bool)
	for group := range strings.SplitSeq(text, "|") {
		var members []int
		for word := range strings.SplitSeq(group, ",") {
			i, err := parseNode(word, nodes)
			if err != nil {
				return nil, err
			}
			if i == theLeader || where[i] {
				return nil, usagef("partition %q: every node once, by number", text)
			}
			where[i] = true
			members = append(members, i)
		}
		groups = append(groups, members)
	}
	var rest []int
	for i := range nodes {
		if !where[i] {
			rest = append(rest, i)
		}
	}
	if rest != nil {
		groups = append(groups, rest)
	}
	if len(groups) < 2 {
		return nil, usagef("partition %q: that is one part", text)
	}
	return groups, nil
}

// halves splits nodes in two, the first half from that node on.
func halves(first, nodes int) [][]int {
	out := make([][]int, 2)
	for i := range nodes {
		half := 0
		if i >= nodes/2 {
			half = 1
		}
		out[half] = append(out[half], (first+i)%nodes)
	}
	for _, g := range out {
		slices.Sort(g)
	}
	return out
}
