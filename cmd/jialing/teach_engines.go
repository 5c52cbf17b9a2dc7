package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

// demoEngine is what the demo must know of a consensus engine: an engine joins the demo by one more of these in demoEngines.
type demoEngine struct {
	kind chain.EngineKind
	// nodes is how many the demo runs.
	nodes int
	// finality is what a final block rests on, for the table.
	finality string
	// lies are the ways in which a node may be made to misbehave, the first by default; none where nobody else could see it.
	lies []string
	// tune makes the demo's genesis otherwise than a new network's, and says what and why; nil leaves it.
	tune func(*chain.Genesis) string
	// script is what a demo without a terminal does to the nodes; the load goes on meanwhile.
	script string
	// view is what the engine calls its leader's time.
	view string
	// slow is how many times longer than usual steps may take, for engines whose blocks do not come at once; 0 is 1.
	slow int
}

// demoEngines are in the order of the table.
var demoEngines = []demoEngine{
	{kind: chain.Solo, nodes: 1, finality: "one node's word"},
	{kind: chain.Raft, nodes: demoValidators, finality: "a majority's disks; nobody lies", script: killScript, view: "term", lies: honestLies},
	{kind: chain.BFT, nodes: demoValidators, finality: "2f+1 signatures; up to f lie", script: killScript, view: "view", lies: honestLies},
}

// killScript is the demo's own: the leader dies under load and comes back.
const killScript = "1s kill leader; 3s restart; 4s end"

// honestLies are the ways to lie where validators sign.
var honestLies = []string{node.LieDoubleSign, node.LieInvalid, node.LieSilent}

// demoAll is the word for all engines, one after the other.
const demoAll = "all"

// findDemoEngine is the engine of a word.
func findDemoEngine(word string) (*demoEngine, error) {
	var words []string
	for i := range demoEngines {
		if string(demoEngines[i].kind) == word {
			return &demoEngines[i], nil
		}
		words = append(words, string(demoEngines[i].kind))
	}
	return nil, usagef("--consensus %q: use %s, or %s", word, strings.Join(words, ", "), demoAll)
}

// patience is the factor of waits.
func (e *demoEngine) patience() int { return max(e.slow, 1) }

// viewWord is what a leader's time is called.
func (e *demoEngine) viewWord() string { return cmp.Or(e.view, "view") }

// makes says what is made.
func (e *demoEngine) makes() string {
	if e.nodes == 1 {
		return "chain of one node"
	}
	return fmt.Sprintf("network of %d validators", e.nodes)
}
