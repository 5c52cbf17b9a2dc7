package pow

import (
	"encoding/binary"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// grown is a tree with blocks that nobody solved: the tree does not look at hashes.
type grown struct {
	*tree
	last uint64
}

func newGrown(t testing.TB, limit int) *grown {
	r := testRules(t, nil)
	return &grown{tree: newTree(r, r.genesis(), limit)}
}

// on adds a header to parent, interval milliseconds later.
func (g *grown) on(parent *node, interval uint64) *node {
	h := g.rules.next(parent, &chain.Decision{TimeMillis: max(parent.header.Time, 100_000) + interval}, crypto.Hash{}, crypto.Hash{})
	if h.Height > g.rules.depth {
		h.Executed = crypto.Hash{byte(h.Height - g.rules.depth)}
	}
	g.last++
	var hash crypto.Hash
	binary.BigEndian.PutUint64(hash[:], g.last)
	return g.add(parent, &h, hash, 1)
}

// chain adds n blocks that are here.
func (g *grown) chain(parent *node, n int, interval uint64) *node {
	for range n {
		parent = g.on(parent, interval)
		g.hold(parent)
	}
	return parent
}

func TestMostWorkCounts(t *testing.T) {
	g := newGrown(t, 1000)
	a := g.chain(g.root, 3, 2000)
	require.Equal(t, a, g.tip)
	b := g.chain(g.root, 3, 2000)
	require.Equal(t, a, g.tip, "of equal ones the first")
	b4 := g.on(b, 2000)
	require.Equal(t, b4, g.best)
	require.Equal(t, a, g.tip, "its block is not here")
	require.True(t, g.hold(b4))
	require.Equal(t, b4, g.tip)
	require.Equal(t, g.root, junction(a, b4))
	// A longer branch of easier blocks has less work.
	slow := g.chain(g.root, 2, 60_000)
	slow = g.chain(slow, 3, 100)
	require.Equal(t, uint64(5), slow.header.Height)
	require.True(t, slow.header.Work.Lt(&b4.header.Work))
	require.Equal(t, b4, g.tip)
}

func TestCompleteFromBelow(t *testing.T) {
	g := newGrown(t, 1000)
	one := g.on(g.root, 2000)
	two := g.on(one, 2000)
	three := g.on(two, 2000)
	require.False(t, g.hold(three))
	require.False(t, g.hold(two))
	require.Equal(t, g.root, g.tip)
	require.True(t, g.hold(one))
	require.Equal(t, three, g.tip)
	require.Equal(t, 3, g.bodies)
}

func TestInvalidAndWithheld(t *testing.T) {
	g := newGrown(t, 1000)
	a := g.chain(g.root, 2, 2000)
	b := g.chain(g.root, 4, 2000)
	require.Equal(t, b, g.tip)
	g.invalidate(b.at(3))
	require.Equal(t, uint64(2), g.tip.header.Height)
	require.Equal(t, a, g.tip, "the first of equal ones")
	c := g.on(g.on(g.on(a, 2000), 2000), 2000)
	require.Equal(t, c, g.best)
	g.withhold(c.at(3))
	require.Equal(t, g.tip, g.best)
	d := g.on(c, 2000)
	require.Equal(t, g.tip, g.best, "what follows is passed over too")
	g.hold(c.at(3))
	require.Equal(t, d, g.best, "until the block comes")
}

func TestExecutedIsChecked(t *testing.T) {
	g := newGrown(t, 1000)
	depth := int(g.rules.depth)
	n := g.chain(g.root, depth+2, 2000)
	require.False(t, n.checked)
	require.True(t, n.at(uint64(depth)).checked)
	require.Empty(t, g.ran(1, crypto.Hash{1}))
	require.True(t, n.at(uint64(depth+1)).checked)
	require.Equal(t, []*node{n}, g.ran(2, crypto.Hash{99}))
	require.Equal(t, n.parent, g.tip)
	require.True(t, g.on(n.parent, 1).invalid, "one that comes later is held against it at once")
}

func TestAdvance(t *testing.T) {
	g := newGrown(t, 1000)
	a := g.chain(g.root, 20, 2000)
	g.chain(g.root, 3, 1000)
	side := g.chain(a.at(15), 2, 1000)
	var p path
	for h := uint64(1); h <= 18; h++ {
		p.follow(g.root, g.tip)
		require.Equal(t, a.at(h), p.at(h))
		require.Nil(t, p.at(h-1))
		require.Nil(t, p.at(21))
		dropped := g.advance(a.at(h))
		switch h {
		case 1:
			require.Len(t, dropped, 3)
		case 16:
			require.Len(t, dropped, 2)
			require.NotContains(t, g.nodes, side.hash)
		default:
			require.Empty(t, dropped)
		}
		require.Equal(t, a, g.tip)
	}
	require.Len(t, g.nodes, 3)
	require.Equal(t, 2, g.bodies)
	depth := 0
	for n := g.root; n.parent != nil; n = n.parent {
		depth++
	}
	require.Equal(t, medianOf, depth, "what the median needs is there, and no more")
	// Catching up moves the root along headers whose blocks never were here.
	b := g.on(g.on(g.on(a, 2000), 2000), 2000)
	for h := uint64(19); h <= 22; h++ {
		g.advance(b.at(h))
	}
	require.Equal(t, g.root, g.tip)
	require.Equal(t, b, g.best)
}

// TestFullTree: a flood of headers ends at the limit and takes nothing from the branches that count.
func TestFullTree(t *testing.T) {
	g := newGrown(t, 200)
	a := g.chain(g.root, 50, 2000)
	b := g.on(g.on(a, 2000), 2000) // best headers
	random := rand.New(rand.NewSource(1))
	flooded := 0
	for !g.full() {
		n := a.at(uint64(random.Intn(40)))
		for range 1 + random.Intn(8) {
			n = g.on(n, uint64(1+random.Intn(60_000)))
			flooded++
		}
	}
	require.Equal(t, b, g.best)
	g.prune()
	require.Len(t, g.nodes, 53)
	require.Equal(t, b, g.best)
	require.Equal(t, a, g.tip)
	n := g.on(b, 2000)
	require.Equal(t, n, g.best)
	require.Len(t, g.root.children, 1)

	// A branch of little work that comes first and fills the tree goes once its blocks are not to be had.
	g = newGrown(t, 100)
	low := g.root
	for !g.full() {
		low = g.on(low, 600_000)
	}
	require.Equal(t, low, g.best)
	g.prune()
	require.True(t, g.full(), "it is the best that there is")
	g.withhold(low.at(1))
	g.prune()
	require.Len(t, g.nodes, 1)
}

// selfish lets a miner with a share of the hash power publish as Eyal and Sirer describe, and returns its share of the blocks that count. Of the others, gamma work
// on its block where both are equally good.
func selfish(t *testing.T, seed int64, share, gamma float64, blocks int) float64 {
	g := newGrown(t, 1<<30)
	random := rand.New(rand.NewSource(seed))
	power := 65536.0 / 2000
	now := 200_000.0
	mine := make(map[*node]bool)
	var private []*node // its blocks that it has not published, on base
	base := g.root
	var race *node // its tip that competes with the others' of the same work
	own := func() *node {
		if len(private) > 0 {
			return private[len(private)-1]
		}
		return base
	}
	add := func(parent *node) *node {
		n := g.on(parent, uint64(max(now-float64(max(parent.header.Time, 100_000)), 1)))
		return n
	}
	publish := func(n int) {
		for _, p := range private[:n] {
			g.hold(p)
			base = p
		}
		private = private[n:]
	}
	hashes := func(n *node) float64 {
		target, _ := expand(g.rules.asert.bits(n.header.Height+1, n.header.Anchor, n.header.Time))
		return worth(target).Float64()
	}
	for range blocks {
		theirs := g.tip
		if race != nil && random.Float64() < gamma {
			theirs = race
		}
		a, h := share*power/hashes(own()), (1-share)*power/hashes(theirs)
		now += random.ExpFloat64() / (a + h)
		if random.Float64() < a/(a+h) {
			n := add(own())
			mine[n] = true
			private = append(private, n)
			if race != nil { // it is ahead: everybody has to follow
				publish(len(private))
				race = nil
			}
			continue
		}
		lead := int(own().header.Height) - int(theirs.header.Height)
		n := add(theirs)
		g.hold(n)
		race = nil
		switch {
		case lead <= 0:
			private, base = nil, g.tip
		case lead == 1:
			publish(len(private))
			if race = base; g.tip == base { // it has more work: no race
				race = nil
			}
		case lead == 2:
			publish(len(private))
		default:
			publish(1)
		}
		if len(private) == 0 && race == nil {
			base = g.tip
		}
	}
	count, all := 0, 0
	for n := g.tip; n.header.Height > 0; n = n.parent {
		all++
		if mine[n] {
			count++
		}
	}
	return float64(count) / float64(all)
}

// TestSelfishMiner holds the gain of a selfish miner on this fork choice against what is known: with 30 % it loses by it as long as the others follow the block
// that they saw first, and gains where half of them see its block first.
func TestSelfishMiner(t *testing.T) {
	for _, c := range []struct{ share, gamma float64 }{{0.3, 0}, {0.3, 0.5}, {0.4, 0}, {0.2, 0}} {
		a, g := c.share, c.gamma
		want := (a*(1-a)*(1-a)*(4*a+g*(1-2*a)) - a*a*a) / (1 - a*(1+(2-a)*a))
		got := 0.0
		const runs = 4
		for seed := range int64(runs) {
			got += selfish(t, seed, a, g, 20_000) / runs
		}
		t.Logf("%.0f %% of the hash power, γ %.1f: %.1f %% of the blocks (Eyal and Sirer: %.1f %%)", 100*a, g, 100*got, 100*want)
		require.InDelta(t, want, got, 0.04)
	}
}
