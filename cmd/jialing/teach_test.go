package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

func TestParseScript(t *testing.T) {
	steps, err := parseScript(" 5s kill 1; 6s kill leader;8s restart;9s restart node2; 10s partition 1,2|3,4; 11s partition; 12s partition 3; 13s heal; "+
		"14s byzantine 2; 1m byzantine leader silent; 70s end;", 4, honestLies)
	require.NoError(t, err)
	require.Equal(t, []scriptStep{
		{5 * time.Second, command{action: faultKill}},
		{6 * time.Second, command{action: faultKill, node: theLeader}},
		{8 * time.Second, command{action: faultRestart, node: allDead}},
		{9 * time.Second, command{action: faultRestart, node: 1}},
		{10 * time.Second, command{action: faultPartition, groups: [][]int{{0, 1}, {2, 3}}}},
		{11 * time.Second, command{action: faultPartition, groups: [][]int{{0, 1}, {2, 3}}}},
		{12 * time.Second, command{action: faultPartition, groups: [][]int{{2}, {0, 1, 3}}}},
		{13 * time.Second, command{action: faultHeal}},
		{14 * time.Second, command{action: faultByzantine, node: 1, lie: node.LieDoubleSign}},
		{time.Minute, command{action: faultByzantine, node: theLeader, lie: node.LieSilent}},
		{70 * time.Second, command{action: commandEnd}},
	}, steps)

	steps, err = parseScript("2s kill 4", 4, nil)
	require.NoError(t, err)
	require.Equal(t, scriptStep{2*time.Second + scriptTail, command{action: commandEnd}}, steps[1], "it ends a while after its last step")

	for script, why := range map[string]string{
		"kill 1":                      "must begin with a time",
		"5s":                          "says when and not what",
		"-1s kill 1":                  "must begin with a time",
		"5h kill 1":                   "longer than",
		"5s kill 1; 4s heal":          "comes after a step of 5s",
		"5s end; 6s heal":             "after the end",
		"5s kill":                     "say whom",
		"5s kill 5":                   "no node",
		"5s kill 0":                   "no node",
		"5s kill 1 2":                 "too much",
		"5s heal 1":                   "too much",
		"5s explode":                  "none of",
		"5s partition 1,1|2":          "every node once",
		"5s partition 1,2,3,4":        "one part",
		"5s partition 1|leader":       "by number",
		"5s partition 1||2":           "no node",
		"5s byzantine":                "say whom",
		"5s byzantine 1 gossip":       "no way to lie",
		"5s byzantine 1 silent twice": "too much",
		strings.Repeat("1s heal;", maxScriptSteps+1): "more than",
	} {
		_, err := parseScript(script, 4, honestLies)
		require.ErrorContains(t, err, why, "%.40s", script)
		require.ErrorAs(t, err, new(usageError), "%.40s", script)
	}
	_, err = parseScript("1s partition", 1, nil)
	require.ErrorContains(t, err, "cannot be split")
	_, err = parseScript("1s byzantine 1", 1, nil)
	require.ErrorContains(t, err, "nobody to lie to")
	for i := range demoEngines {
		if e := &demoEngines[i]; e.script != "" {
			_, err := parseScript(e.script, e.nodes, e.lies)
			require.NoError(t, err, e.kind)
		}
	}
}

func FuzzParseScript(f *testing.F) {
	for _, s := range []string{killScript, workScript, "1s partition 1,2|3; 2s byzantine leader silent", ";;", "1s", "1s partition |"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		steps, err := parseScript(s, 4, honestLies)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(steps), maxScriptSteps+1)
		require.Equal(t, commandEnd, steps[len(steps)-1].action)
		for i, step := range steps {
			require.True(t, i == 0 || step.at >= steps[i-1].at)
			require.True(t, step.node >= allDead && step.node < 4)
		}
	})
}

// classOf is a lesson of four nodes of that engine, all up, without any process.
func classOf(t *testing.T, engine chain.EngineKind) *class {
	e, err := findDemoEngine(string(engine))
	require.NoError(t, err)
	d := &demonstration{flags: &demoFlags{engine: e, suite: "intl"}, nodes: &demoNodes{}}
	c := &class{d: d, begun: time.Now().Add(-83 * time.Second), chain: classChain{blocks: make(map[uint64]map[common.Hash]bool)}}
	for i, name := range []string{"node1", "node2", "node3", "node4"} {
		d.nodes.folders = append(d.nodes.folders, demoFolder{name: name})
		id, leader := chain.ValidatorID(i+1), chain.ValidatorID(2)
		s := &teachStatus{nodeStatus: nodeStatus{Name: name, Validator: &id, Leader: &leader, LeaderName: "node2", View: 3, Durable: 120, Executed: 120,
			Finalized: 119, Peers: 3, Unsigned: []chain.ValidatorID{4}, Validators: []member{{ID: 1, Name: "node1"}, {ID: 4, Name: "node4"}}}}
		c.nodes = append(c.nodes, classNode{name: name, conn: new(client.Client), look: nodeLook{status: s, kindsPerSecond: map[string]float64{"proposal": 4.25, "prepare": 0}}})
	}
	return c
}

// TestClassView draws a fixed moment.
func TestClassView(t *testing.T) {
	v := &classView{Engine: chain.BFT, Suite: "intl", Finality: "2f+1 signatures", View: "view", At: 83 * time.Second, Lies: []string{"double-sign", "silent"}, Keys: true,
		Chosen: 1, BlocksPerSecond: 4.2, Last: 120, Ago: 2300 * time.Millisecond, P50: 12.4, P99: 250, Sent: 900, Included: 880, Open: 20, Forks: 0, Unsigned: "node4",
		Nodes: []classNodeView{
			{Name: "node1", State: "part 1 2", View: 3, Height: 120, Final: 119, Peers: 1, PoolSize: 7, Known: true, Kinds: map[string]float64{"proposal": 0, "commit": 12.5}},
			{Name: "node2", State: "lies: silent", Role: "leader", View: 3, Height: 120, Final: 119, Peers: 1, Known: true, Kinds: map[string]float64{"proposal": 4.25, "commit": 12.5}},
			{Name: "node3", State: "killed"},
			{Name: "node4", State: "ended"},
		},
		Events: []classEvent{{time.Second, "* kill node3"}, {90 * time.Second, "node2 leads (view 3)"}}}
	var b strings.Builder
	v.text(&b)
	golden := filepath.Join("testdata", "lesson_view.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// TestClassViewOfNodes: what nodes say becomes their lines.
func TestClassViewOfNodes(t *testing.T) {
	c := classOf(t, chain.BFT)
	require.Equal(t, 1, c.leader())
	require.Equal(t, "node2", c.leaderName())
	c.groups = [][]int{{0, 1}, {2, 3}}
	c.nodes[3].conn, c.nodes[3].dead = nil, true
	c.nodes[2].lie = node.LieInvalid
	c.chain.heard = []time.Time{c.begun, time.Now().Add(-2 * time.Second)}
	v := c.view(time.Now(), true)
	require.Equal(t, "part 1 2", v.Nodes[0].State)
	require.Equal(t, "leader", v.Nodes[1].Role)
	require.Equal(t, "lies: invalid", v.Nodes[2].State)
	require.Equal(t, "killed", v.Nodes[3].State)
	require.False(t, v.Nodes[3].Known, "who is dead says nothing")
	require.Equal(t, "node4", v.Unsigned, "a chain that stands still says whom it waits for")
	require.InDelta(t, 0.2, v.BlocksPerSecond, 0.01)
	require.True(t, v.Nodes[0].Known)
}

// TestKeys: every key asks for what the view says.
func TestKeys(t *testing.T) {
	c := classOf(t, chain.BFT)
	for _, step := range []struct {
		key  byte
		want command
	}{
		{'k', command{action: faultKill, node: 0}},
		{'3', command{}},
		{'9', command{}},
		{'x', command{}},
		{'k', command{action: faultKill, node: 2}},
		{'r', command{action: faultRestart, node: 2}},
		{'p', command{action: faultPartition, groups: [][]int{{2, 3}, {0, 1}}}},
		{'b', command{action: faultByzantine, node: 2, lie: node.LieDoubleSign}},
		{'h', command{action: faultHeal}},
		{'q', command{action: commandEnd}},
		{3, command{action: commandEnd}},
	} {
		cmd, asked := c.command(step.key)
		require.Equal(t, step.want, cmd, "%q", step.key)
		require.Equal(t, step.want.action != "", asked, "%q", step.key)
	}
	c.groups = [][]int{{2, 3}, {0, 1}}
	c.nodes[2].lie = node.LieDoubleSign
	cmd, _ := c.command('p')
	require.Equal(t, [][]int{{2}, {0, 1, 3}}, cmd.groups, "once more: the chosen one alone")
	cmd, _ = c.command('b')
	require.Equal(t, node.LieInvalid, cmd.lie, "once more: the next lie")
	solo := classOf(t, chain.Solo)
	solo.nodes = solo.nodes[:1]
	for _, key := range []byte{'p', 'b'} {
		_, asked := solo.command(key)
		require.False(t, asked)
	}
}

// TestFaultsAreSummedUp: what came of a fault is what happened between it and the next one.
func TestFaultsAreSummedUp(t *testing.T) {
	c := classOf(t, chain.BFT)
	c.load.open = map[common.Hash]*openTransfer{{1}: {}}
	c.d.nodes.folders = nil
	now := time.Now()
	c.begun = now.Add(-20 * time.Second)
	c.note(1, common.Hash{1}, nil, now.Add(-11*time.Second))
	c.begin(lessonFault{Action: faultKill, Nodes: []string{"node2"}})
	c.before.at = now.Add(-10 * time.Second)
	c.note(2, common.Hash{2}, nil, now.Add(-7*time.Second))
	c.note(2, common.Hash{2}, nil, now.Add(-6*time.Second)) // another node announces it, too
	c.note(3, common.Hash{3}, nil, now.Add(-6500*time.Millisecond))
	leader := chain.ValidatorID(1)
	for i := range c.nodes {
		s := c.nodes[i].look.status
		s.Leader, s.LeaderChanges, s.Evidence = &leader, 1, []string{"validator 2 made two commits at height 7, view 1: 0x01 and 0x02", "validator 2 made two commits at height 8, view 1: 0x03 and 0x04"}
		until := int64(1)
		c.nodes[i].look.peers = []peerStatus{{Name: "node2", BannedUntil: &until}}
	}
	c.begin(lessonFault{Action: faultHeal, Nodes: []string{"node1"}})
	f := c.faults[0]
	require.True(t, f.Led)
	require.Equal(t, 2, f.Blocks)
	require.InDelta(t, 6500, f.Still, 200)
	require.InDelta(t, 6500, f.Pause, 200, "the wait that is not over counts")
	require.True(t, f.Stopped)
	require.Equal(t, "node2", f.LeaderBefore)
	require.Equal(t, "node1", f.LeaderAfter)
	require.Equal(t, 1, f.LeaderChanges)
	require.Equal(t, []string{"validator 2 made two commits at height 7, view 1: 0x01 and 0x02"}, f.Evidence, "one of a kind")
	require.Equal(t, []string{"node2"}, f.Banned)
	require.Zero(t, f.Forks)

	c.load.open = nil
	c.note(3, common.Hash{4}, nil, now)
	c.close()
	f = c.faults[1]
	require.Equal(t, 1, f.Forks, "two blocks of one height")
	require.Empty(t, f.Evidence, "nothing new")
	require.False(t, f.Stopped, "nobody waits for a block")
}

func TestEndWords(t *testing.T) {
	require.Equal(t, "the node halted", endWords(`node3 said last: {"error":"the node halted","hint":"x"} (log)`))
	require.Equal(t, "node3 (signal: killed)", endWords("node3 (signal: killed)"))
	require.Len(t, []rune(endWords(strings.Repeat("嘉", 500))), maxEndWords+1)
}

func TestLessonFile(t *testing.T) {
	dir := t.TempDir()
	l, err := readLesson(dir)
	require.NoError(t, err)
	require.Empty(t, l.Runs)
	for i := range maxLessonRuns + 5 {
		l.add(lessonRun{Engine: chain.Raft, Suite: "intl", Nodes: i, Faults: []lessonFault{}})
	}
	l.add(lessonRun{Engine: chain.BFT, Suite: "gm", Faults: []lessonFault{}})
	require.Len(t, l.Runs, maxLessonRuns)
	require.NoError(t, l.write(dir))
	again, err := readLesson(dir)
	require.NoError(t, err)
	require.Equal(t, l, again)
	latest := again.latest()
	require.Len(t, latest, 2, "one of each engine and suite")
	require.Equal(t, chain.BFT, latest[0].Engine, "in the order of the engines")
	require.Equal(t, maxLessonRuns+4, latest[1].Nodes, "the last one")
	require.NoError(t, os.WriteFile(filepath.Join(dir, lessonFile), []byte(`{"format":2}`), 0o644))
	_, err = readLesson(dir)
	require.ErrorContains(t, err, "format 2")
	require.NoError(t, os.WriteFile(filepath.Join(dir, lessonFile), []byte(`{`), 0o644))
	_, err = readLesson(dir)
	require.ErrorContains(t, err, "read ")
}

func TestCompareText(t *testing.T) {
	var b strings.Builder
	compareText(&b, nil)
	require.Contains(t, b.String(), "no runs yet")
	b.Reset()
	figures := &lessonFigures{Transfers: 100, Blocks: 20, PerSecond: 99.6, LatencyP50: 12.2, LatencyP99: 30.7, MessagesPerTx: 8.014, BytesPerTx: 1112.4, CPUMicrosPerTx: 3280}
	compareText(&b, []lessonRun{
		{Engine: chain.Solo, Suite: "intl", Nodes: 1, Finality: "one node's word", Burst: figures, Parameters: "blocks of its own"},
		{Engine: chain.BFT, Suite: "gm", Nodes: 4, Finality: "2f+1 signatures", Burst: figures, Steady: figures, Totals: lessonTotals{Sent: 9, Lost: 1, Forks: 2, BlocksLost: 3}, Faults: []lessonFault{
			{Action: faultKill, Nodes: []string{"node1"}, Led: true, Pause: 973.4, LeaderBefore: "node1", LeaderAfter: "node2"},
			{Action: faultRestart, Nodes: []string{"node1"}, Pause: 10, LeaderBefore: "node2", LeaderAfter: "node2", CatchUp: 1.04, Behind: 45},
			{Action: faultPartition, Groups: [][]string{{"node1", "node2"}, {"node3", "node4"}}, Stopped: true, Still: 5020},
			{Action: faultHeal, Pause: 5100, Forks: 1},
			{Action: faultByzantine, Nodes: []string{"node3"}, Lie: "double-sign", Evidence: []string{"validator 3 attested two blocks at height 9: 0x01 and 0x02"},
				Banned: []string{"node3"}, ClockAhead: 7200, Ended: []string{"node4: it halted"}},
		}},
	})
	golden := filepath.Join("testdata", "lesson_table.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestParseCounters(t *testing.T) {
	c, err := parseCounters(strings.NewReader(`# HELP process_cpu_seconds_total x
process_cpu_seconds_total 12.5
jialing_p2p_messages_total{direction="out",protocol="order"} 10
jialing_p2p_messages_total{direction="in",protocol="order"} 99
jialing_p2p_messages_total{direction="out",protocol="txs"} 5
jialing_p2p_bytes_total{direction="out",protocol="txs"} 500
jialing_p2p_bans_total 2
jialing_engine_messages_total{direction="out",kind="commit"} 7
jialing_engine_messages_total{direction="in",kind="commit"} 70
`))
	require.NoError(t, err)
	require.Equal(t, counters{cpuSeconds: 12.5, messages: 15, bytes: 500, bans: 2, kinds: map[string]float64{"commit": 7}}, c)
	_, err = parseCounters(strings.NewReader("something else 1\n"))
	require.ErrorContains(t, err, "not a node's")
	sum := counters{}
	sum.add(c, 1)
	sum.add(c, 1)
	sum.add(c, -1)
	var f lessonFigures
	sum.perTx(5, &f)
	require.Equal(t, lessonFigures{MessagesPerTx: 3, BytesPerTx: 100, CPUMicrosPerTx: 2.5e6, ByKind: map[string]float64{"commit": 7}}, f)
}

// lessonOf runs a demo with a script and returns what lesson.json says of it.
func lessonOf(t *testing.T, engine, suite, script string) lessonRun {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	args := []string{"demo", "--once", "--json", "--http.addr", "127.0.0.1:0", "--dir", dir, "--transfers", "100", "--document", "demo.go", "--suite", suite, "--consensus", engine}
	if script != "" {
		args = append(args, "--script", script)
	}
	cmd := exec.Command("jialing", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	noneRuns(t, dir)
	var v demoView
	require.NoError(t, json.Unmarshal(out, &v), string(out))
	require.NotEmpty(t, v.Refusal, "the proof was made and held")
	l, err := readLesson(dir)
	require.NoError(t, err)
	require.Len(t, l.Runs, 1)
	r := l.Runs[0]
	require.Equal(t, engine, string(r.Engine))
	require.Positive(t, r.Burst.PerSecond)
	require.Positive(t, r.Steady.LatencyP50)
	require.Positive(t, r.Steady.CPUMicrosPerTx)
	require.Zero(t, r.Totals.Lost)
	require.True(t, r.Totals.SameHead)
	return r
}

// TestLessonOfFaults: a network that is split in two stands still and goes on when it is healed; one that lies does not stop the others and is named.
func TestLessonOfFaults(t *testing.T) {
	for _, suite := range []string{"intl", "gm"} {
		t.Run(suite, func(t *testing.T) {
			r := lessonOf(t, "bft", suite, "1s partition 1,2|3,4; 6s heal; 12s byzantine 3; 15s heal; 16s end")
			var actions []string
			for _, f := range r.Faults {
				actions = append(actions, f.Action)
			}
			require.Equal(t, []string{faultPartition, faultHeal, faultByzantine, faultHeal}, actions)
			parted, healed, lied := r.Faults[0], r.Faults[1], r.Faults[2]
			require.True(t, parted.Stopped, "two of four decide nothing: %+v", parted)
			require.Equal(t, [][]string{{"node1", "node2"}, {"node3", "node4"}}, parted.Groups)
			require.Positive(t, healed.Blocks, "whole again, it goes on")
			require.Positive(t, lied.Blocks, "three of four go on")
			require.NotEmpty(t, lied.Evidence)
			for _, e := range lied.Evidence {
				require.Contains(t, e, "validator 3 ", "the honest are not accused")
			}
			require.Zero(t, r.Totals.Forks)
			require.Positive(t, r.Steady.ByKind["commit"])
		})
	}
}

// TestLessonOfStake: who contradicts himself on a chain of stake is reported by the demo, and loses some of it.
func TestLessonOfStake(t *testing.T) {
	r := lessonOf(t, "pos", "gm", "1s byzantine 2; 8s end")
	lied := r.Faults[0]
	require.NotEmpty(t, lied.Evidence)
	require.Len(t, lied.Slashed, 1)
	require.Contains(t, lied.Slashed[0], "validator 2 is slashed")
	require.Positive(t, lied.Blocks)
}

// TestLessonOfEveryEngine: the demo's own script on the engines that its other tests do not run.
func TestLessonOfEveryEngine(t *testing.T) {
	for _, c := range []struct{ engine, suite string }{{"raft", "gm"}, {"pos", "intl"}, {"pow", "intl"}} {
		t.Run(c.engine, func(t *testing.T) {
			r := lessonOf(t, c.engine, c.suite, "")
			require.Equal(t, faultKill, r.Faults[0].Action)
			require.Equal(t, faultRestart, r.Faults[1].Action)
			require.Positive(t, r.Faults[1].CatchUp)
		})
	}
}
