package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// lessonFile is where a demo's folder has what its runs measured. A later demo in the same folder keeps it, also with --fresh.
const lessonFile = "lesson.json"

// lessonFormat is lesson.json's "format". Fields are added to a format, never renamed or given another meaning.
const lessonFormat = 1

// maxLessonRuns bounds the runs that a folder remembers: enough to try every engine several times; the oldest give way.
const maxLessonRuns = 50

// maxLessonFile bounds what is read of lesson.json: the most runs, each with a long evening of faults.
const maxLessonFile = 8 << 20

// lesson is lesson.json: the runs of a demo's folder, the newest last.
type lesson struct {
	Format int         `json:"format"`
	Runs   []lessonRun `json:"runs"`
}

// lessonRun is what one demo measured. All figures are of that run, of this machine and of what else it did meanwhile.
type lessonRun struct {
	Engine chain.EngineKind `json:"engine"`
	Suite  string           `json:"suite"`
	Nodes  int              `json:"nodes"`
	// At is when the run ended.
	At time.Time `json:"at"`
	// Parameters are what the demo chose for this engine otherwise than a new network would have it, and why; "" for none.
	Parameters string `json:"parameters"`
	// Finality is what the engine's promise that a block stays rests on.
	Finality string `json:"finality"`
	// Burst is of transfers that were sent as fast as they were taken: what the engine carries. Steady is of transfers at the same rate for every engine,
	// until the first thing was done to a node: what one of them takes and costs. null where there were none.
	Burst  *lessonFigures `json:"burst"`
	Steady *lessonFigures `json:"steady"`
	// Faults are in the order in which they were made; empty where nothing was done to the nodes.
	Faults []lessonFault `json:"faults"`
	Totals lessonTotals  `json:"totals"`
}

// lessonFigures compare engines. Messages, bytes and CPU are sums over all nodes.
type lessonFigures struct {
	Transfers int     `json:"transfers"`
	Blocks    uint64  `json:"blocks"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	// The latencies are from sending to hearing of the durable block.
	LatencyP50 float64 `json:"latencyP50Millis"`
	LatencyP99 float64 `json:"latencyP99Millis"`
	// MessagesPerTx and BytesPerTx are what nodes sent to each other, of all protocols, gossip of transactions included.
	MessagesPerTx float64 `json:"messagesPerTx"`
	BytesPerTx    float64 `json:"bytesPerTx"`
	// CPUMicrosPerTx is the processor time of all nodes.
	CPUMicrosPerTx float64 `json:"cpuMicrosPerTx"`
	// ByKind are the engine's own messages by what they are, in all: a proposal to three others is three.
	ByKind map[string]float64 `json:"messagesByKind"`
}

// What is done to nodes: lessonFault.Action.
const (
	faultKill      = "kill"
	faultRestart   = "restart"
	faultPartition = "partition"
	faultHeal      = "heal"
	faultByzantine = "byzantine"
)

// lessonFault is one thing that was done to the nodes, and what the chain did from then until the next one, or the end.
type lessonFault struct {
	Action string `json:"action"`
	// Nodes are whom it was done to, by name: one for kill, restart and byzantine; all that were cut off or bound again for partition and heal.
	Nodes []string `json:"nodes"`
	// Groups are the parts of a partition.
	Groups [][]string `json:"groups,omitempty"`
	// Lie is how a Byzantine node misbehaves, see docs/learn and jl_misbehave.
	Lie string `json:"lie,omitempty"`
	// Led tells that the node led when it was done.
	Led bool `json:"led"`
	// At and Until are seconds since the load began.
	At    float64 `json:"atSeconds"`
	Until float64 `json:"untilSeconds"`
	// Pause is the longest time without a new block at any node, from the last one before the fault on; Still is how long there had been none at the end while
	// transfers waited for one.
	Pause float64 `json:"pauseMillis"`
	Still float64 `json:"stillMillis"`
	// Blocks are the heights that were new; Transfers those of ours in them.
	Blocks    int `json:"blocks"`
	Transfers int `json:"transfers"`
	// Stopped tells that transfers waited and no block came in the second half of the time, which was two seconds at least.
	Stopped bool `json:"stopped"`
	// Leaders are who led before and at the end; "" where the engine has no leader or nobody said so.
	LeaderBefore string `json:"leaderBefore"`
	LeaderAfter  string `json:"leaderAfter"`
	// LeaderChanges are those that the node saw which saw most of them.
	LeaderChanges int `json:"leaderChanges"`
	// Evidence is what nodes noted of others that contradicted themselves, one sentence for each kind of contradiction of each; Banned whom they banned. New ones
	// only.
	Evidence []string `json:"evidence"`
	Banned   []string `json:"banned"`
	// Slashed is what the Staking contract took from liars whom the demo reported to it, on a chain of stake.
	Slashed []string `json:"slashed,omitempty"`
	// ClockAhead is how far the chain's time was ahead of the clocks at the end, where that was more than honest nodes let pass.
	ClockAhead float64 `json:"clockAheadSeconds,omitempty"`
	// Forks are heights at which two nodes had different blocks.
	Forks int `json:"forks"`
	// Ended are nodes that stopped without having been killed, and what they said last.
	Ended []string `json:"ended"`
	// CatchUp is how long a restarted node took until it had what the others had when it served, Behind how many blocks it lacked then.
	CatchUp float64 `json:"catchUpSeconds,omitempty"`
	Behind  uint64  `json:"blocksBehind,omitempty"`
}

// lessonTotals are of all transfers, those under faults included.
type lessonTotals struct {
	// Sent were taken by some node, Included are in blocks at the end, Lost are not: the nodes that had them took them along.
	Sent     int `json:"sent"`
	Included int `json:"included"`
	Lost     int `json:"lost"`
	// Forks and BlocksLost are blocks that some node announced at a height where another one stands at the end.
	Forks      int `json:"forks"`
	BlocksLost int `json:"blocksLost"`
	// SameHead tells that all living nodes have the same last block at the end.
	SameHead bool `json:"sameHead"`
}

// readLesson reads a folder's lesson.json; a folder without it has an empty one.
func readLesson(dir string) (*lesson, error) {
	path := filepath.Join(dir, lessonFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &lesson{Format: lessonFormat}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if info.Size() > maxLessonFile {
		return nil, fmt.Errorf("read %s: %d bytes are too much", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	l := new(lesson)
	if err := json.Unmarshal(b, l); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if l.Format != lessonFormat {
		return nil, fmt.Errorf("read %s: format %d, this program knows %d; remove the file", path, l.Format, lessonFormat)
	}
	return l, nil
}

// add puts a run at the end.
func (l *lesson) add(r lessonRun) {
	l.Runs = append(l.Runs, r)
	l.Runs = l.Runs[max(0, len(l.Runs)-maxLessonRuns):]
}

// latest are the last runs of each engine and suite, in the order of the engines.
func (l *lesson) latest() (out []lessonRun) {
	type key struct {
		engine chain.EngineKind
		suite  string
	}
	last := make(map[key]lessonRun)
	for _, r := range l.Runs {
		last[key{r.Engine, r.Suite}] = r
	}
	for _, engine := range chain.EngineKinds {
		for _, suite := range []string{"intl", "gm"} {
			if r, ran := last[key{engine, suite}]; ran {
				out = append(out, r)
			}
		}
	}
	return out
}

// write replaces the folder's lesson.json.
func (l *lesson) write(dir string) error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", lessonFile, err)
	}
	path := filepath.Join(dir, lessonFile)
	draft := path + ".new"
	if err := os.WriteFile(draft, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
