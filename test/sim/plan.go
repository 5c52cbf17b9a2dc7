package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/node"
)

// plan is everything that a seed decides beforehand: who is there, who lies, and how long faults last. What happens when is drawn on the way, from
// the same seed.
type plan struct {
	seed  uint64
	suite crypto.Suite
	// nodes are all hosts: the validators come first, then nodes that only follow, then the twins.
	nodes, validators int
	accounts          int
	heartbeatMillis   int
	// bft are the engine's times; nil: the engine is raft. stake: its seats are elected.
	bft   *chain.BFTParams
	stake bool
	// work are what binds miners where nobody orders by right; nil elsewhere.
	work *chain.WorkParams
	// faulty is how many validators may be untrusted.
	faulty int
	// vices are those of the Byzantine members, by index.
	vices map[int]viceKind
	// twins are hosts that run with another's key, by index: the member that they double.
	twins map[int]int
	// rounds of faults, each followed by a calm in which the network must recover.
	rounds int
	// chaos is how long the faults of a round last.
	chaos time.Duration
	// pace is the mean time from one fault to the next, gap the mean time from one burst of transactions to the next.
	pace, gap time.Duration
	// faults are the kinds that this seed draws from.
	faults []faultKind
	// votes is how many changes of the validator set are voted on.
	votes int
	// engines is how many changes of the engine are voted on.
	engines int
}

// newPlan draws the plan of a seed.
func newPlan(seed uint64) *plan {
	rng := rand.New(rand.NewPCG(seed, 0x706c616e))
	sizes := []int{4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 6, 6, 7, 7, 10} // small ones are cheap, and where a quorum is tightest
	p := &plan{seed: seed, suite: intl.Suite{}, validators: sizes[rng.IntN(len(sizes))], accounts: 4 + rng.IntN(5), vices: make(map[int]viceKind), twins: make(map[int]int),
		rounds: 2 + rng.IntN(2), chaos: time.Duration(8+rng.IntN(15)) * time.Minute,
		pace: time.Duration(8+rng.IntN(60)) * time.Second, gap: time.Duration(15+rng.IntN(50)) * time.Second}
	p.nodes = p.validators
	p.faulty = (p.validators - 1) / 3
	if rng.IntN(4) == 0 && p.validators < 8 {
		p.nodes++ // one that follows
	}
	if rng.IntN(6) == 0 {
		p.heartbeatMillis = 20_000
	}
	p.bft = chain.DefaultBFTParams()
	if rng.IntN(3) > 0 { // as for a network that spans continents; fewer signs of life make a minute cheaper, too
		p.bft = &chain.BFTParams{LeaderTimeoutMillis: 3000, RequestTimeoutMillis: 5000, ViewChangeTimeoutMillis: 6000}
	}
	if rng.IntN(8) == 0 { // votes on the set: with one validator less as many may lie
		p.votes, p.heartbeatMillis = 2+rng.IntN(4), 4000
		p.validators = []int{5, 6, 8}[rng.IntN(3)]
		p.nodes = p.validators + 1
		p.faulty = (p.validators - 2) / 3
	}
	// Who lies takes a place among the f that may.
	if rng.IntN(2) == 0 {
		for range 1 + rng.IntN(max(p.faulty, 1)) {
			i := rng.IntN(p.validators)
			p.vices[i] = drawVice(rng)
		}
	}
	for i := range p.validators {
		if p.vices[i]&twin != 0 {
			p.twins[p.nodes] = i
			p.vices[p.nodes] = twin
			p.nodes++
			break
		}
	}
	// A few kinds at a time: a mixture of all would never let any one show what it does.
	kinds := rng.Perm(int(faultKinds))
	for _, k := range kinds[:3+rng.IntN(4)] {
		p.faults = append(p.faults, faultKind(k))
	}
	return p
}

// ofRaft is the plan for the engine raft, which bears what crashes and cuts do, and nobody that lies or has lost his disk.
func (p *plan) ofRaft() *plan {
	p.bft, p.faulty = nil, (p.validators-1)/2
	p.nodes -= len(p.twins)
	clear(p.vices)
	clear(p.twins)
	p.faults = slices.DeleteFunc(p.faults, func(k faultKind) bool { return k == faultLostDisk })
	return p
}

// ofStake is the plan for the engine bft whose seats stake elects: two more members may win a seat, and one member at the most lies, as no more than four
// seats are sure whatever the elections bring. Epochs pass with empty blocks too.
func (p *plan) ofStake() *plan {
	p.stake, p.votes, p.heartbeatMillis, p.faulty = true, 0, 2000, 1
	p.rounds, p.chaos = 2, min(p.chaos, 12*time.Minute) // empty blocks cost as much as others: some five epochs are enough
	p.validators = min(p.validators, 7)
	p.nodes = p.validators + 2
	liars := slices.Sorted(maps.Keys(p.vices))
	liars = slices.DeleteFunc(liars, func(i int) bool { return i >= p.validators })
	for _, i := range liars[min(1, len(liars)):] {
		delete(p.vices, i)
	}
	maps.DeleteFunc(p.vices, func(i int, _ viceKind) bool { return i >= p.validators })
	clear(p.twins)
	for i, kinds := range p.vices {
		if kinds&twin != 0 {
			p.twins[p.nodes], p.vices[p.nodes] = i, twin
			p.nodes++
			break
		}
	}
	return p
}

// planOf is the plan with that name: a seed's number, the same behind a suite ("gm-17"), an engine ("raft-17", "pos-17", "pow-17"), changes of it ("change-17") or both ("gm-raft-17"), or one that is
// written out here.
func planOf(name string) (*plan, error) {
	if name == "31-validators" {
		return &plan{seed: 31, suite: intl.Suite{}, nodes: 31, validators: 31, faulty: 10, accounts: 8, bft: chain.DefaultBFTParams(), rounds: 1, chaos: 20 * time.Second, pace: 5 * time.Second,
			gap: 10 * time.Second, faults: []faultKind{faultPowerLoss, faultLeaderKills}}, nil
	}
	words := strings.Split(name, "-")
	seed, err := strconv.ParseUint(words[len(words)-1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("no such seed: %w", err)
	}
	p := newPlan(seed)
	for _, word := range words[:len(words)-1] {
		if of := map[string]func(*plan) *plan{string(chain.Raft): (*plan).ofRaft, string(chain.PoS): (*plan).ofStake, string(chain.PoW): (*plan).ofWork, "change": (*plan).ofChange}[word]; of != nil {
			p = of(p)
			continue
		}
		if p.suite, err = node.SuiteByName(word); err != nil {
			return nil, fmt.Errorf("no such seed: %w", err)
		}
	}
	return p, nil
}

// seedBytes is a key for a stream of its own.
func seedBytes(seed uint64, name string) [32]byte {
	return sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), name...))
}
