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
	// prepare fills what the command line asks of a network of this engine; nil where it asks nothing more.
	prepare func(*networkFlags)
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
	{kind: chain.PoS, nodes: demoValidators, finality: "2f+1 signatures of the elected; liars lose stake", script: killScript, view: "view",
		lies: honestLies, prepare: prepareStake, tune: tuneStake},
	{kind: chain.PoW, nodes: demoValidators, finality: "the work on top of it", script: workScript, view: "", lies: []string{node.LieInvalid, node.LieSilent}, tune: tuneWork, slow: 6},
}

// prepareStake takes the staking parameters that a new network would.
func prepareStake(f *networkFlags) {
	p := chain.DefaultStakeParams()
	f.stake = stakeFlags{epochBlocks: 2 * chain.ActivationDelay, unbondingEpochs: p.UnbondingEpochs, jailEpochs: p.JailEpochs, seats: p.Seats,
		slash: p.SlashBasisPoints, minSelfStake: etherText(p.MinSelfStake), epochReward: etherText(p.RewardPerEpoch)}
}

// tuneStake says what prepareStake chose.
func tuneStake(g *chain.Genesis) string {
	return fmt.Sprintf("epochs of %d blocks, the shortest that there are, so that some pass while you look; gas costs nothing, so that accounts need no ether",
		g.Consensus.Stake.EpochBlocks)
}

// The demo's chain of work.
const (
	demoWorkMillis = 1000
	demoWorkDepth  = 5
	// workScript leaves time for blocks.
	workScript = "2s kill 1; 8s restart; 10s end"
)

// tuneWork makes blocks come faster.
func tuneWork(g *chain.Genesis) string {
	w := g.Consensus.Work
	was := *w
	w.BlockMillis, w.HalfLifeMillis = demoWorkMillis, 10*demoWorkMillis
	w.Depth = demoWorkDepth
	return fmt.Sprintf("a block each %d ms instead of %d, so that one that is final at depth %d takes some %d s instead of %d; on a real network that would make more forks",
		w.BlockMillis, was.BlockMillis, w.Depth, w.BlockMillis*w.Depth/1000, was.BlockMillis*was.Depth/1000)
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
	if e.kind == chain.PoW {
		return fmt.Sprintf("network of %d miners", e.nodes)
	}
	return fmt.Sprintf("network of %d validators", e.nodes)
}
