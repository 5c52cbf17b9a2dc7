package pow

import (
	"math"
	"math/big"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

func asertOf(t interface{ Fatal(...any) }, bits uint32, interval, halfLife int) *asert {
	a, ok := newAsert(&chain.WorkParams{Bits: bits, BlockMillis: interval, HalfLifeMillis: halfLife, Depth: 1})
	if !ok {
		t.Fatal("no target")
	}
	return a
}

// TestAsertGolden pins targets: they are consensus.
func TestAsertGolden(t *testing.T) {
	a := asertOf(t, 0x1f00ffff, 2000, 20_000)
	for _, c := range []struct {
		height, anchor, parent uint64
		want                   uint32
	}{
		{1, 5, 1, 0x1f00ffff},                                            // the genesis' own
		{2, 1_000_000, 1_000_000, 0x1f00ffff},                            // on the anchor
		{11, 1_000_000, 1_018_000, 0x1f00ffff},                           // on schedule
		{11, 1_000_000, 1_038_000, 0x1f01fffe},                           // late by a half-life
		{11, 1_000_000, 1_078_000, 0x1f07fff8},                           // by three
		{21, 1_000_000, 1_018_000, 0x1e7fff80},                           // early by one
		{11, 1_000_000, 1_028_000, 0x1f016a08},                           // late by half of one: √2
		{11, 1_000_000, 1_019_000, 0x1f010905},                           // by a twentieth
		{11, 1_000_000, 1 << 46, 0x2000ffff},                             // for ever: the easiest
		{11, 1_000_000, math.MaxUint64, 0x2000ffff},                      // absurd
		{1 << 40, 1_000_000, 1_000_000, 0x15008000},                      // early for ever: the hardest
		{math.MaxUint64, math.MaxUint64, 0, 0x15008000},                  // absurd
		{1_000_000, 1_000_000, 1_000_000 + 2000*999_998 + 1, 0x1f010001}, // late by a millisecond of two weeks
	} {
		require.Equalf(t, c.want, a.bits(c.height, c.anchor, c.parent), "height %d, anchor %d, parent %d: %#08x", c.height, c.anchor, c.parent, a.bits(c.height, c.anchor, c.parent))
	}
}

// TestAsertIsThePower holds the target against target×2^(late/halfLife) in rational numbers of 400 bits.
func TestAsertIsThePower(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		halfLife := rapid.IntRange(1000, 10_000_000).Draw(rt, "half-life")
		a := asertOf(t, rapid.SampledFrom([]uint32{0x1f00ffff, 0x1d00ffff, 0x207fffff, 0x1c7fffff}).Draw(rt, "bits"), 2000, halfLife)
		late := rapid.Int64Range(-int64(halfLife)*60, int64(halfLife)*40).Draw(rt, "late")
		got, ok := chain.CompactTarget(a.after(late))
		require.True(t, ok, "%#08x is canonical", a.after(late))

		// 2^(late/halfLife) by the fraction's bits: a chain of square roots of 2, none of the engine's tables.
		const precision = 400
		whole := late / int64(halfLife)
		rest := late % int64(halfLife)
		if rest < 0 {
			whole, rest = whole-1, rest+int64(halfLife)
		}
		exact := new(big.Float).SetPrec(precision).SetInt(a.target)
		fraction := new(big.Rat).SetFrac64(rest, int64(halfLife))
		root := new(big.Float).SetPrec(precision).SetInt64(2)
		half := big.NewRat(1, 2)
		for range 80 {
			root.Sqrt(root)
			if fraction.Cmp(half) >= 0 {
				exact.Mul(exact, root)
				fraction.Sub(fraction, half)
			}
			fraction.Mul(fraction, big.NewRat(2, 1))
		}
		exact.SetMantExp(exact, int(whole))
		want, _ := exact.Int(nil)
		switch {
		case want.Cmp(a.easiest) >= 0:
			require.Equal(t, compact(a.easiest), compact(got))
			return
		case want.BitLen() < hardestBits:
			require.Equal(t, hardestBits, got.BitLen())
			return
		}
		// The exponent is cut to 2^-16, which is a 94,000th of the target, and the compact form to 15 bits at the least.
		require.LessOrEqual(t, got.Cmp(want), 0)
		off, _ := new(big.Rat).SetFrac(new(big.Int).Sub(want, got), want).Float64()
		require.Less(t, off, 1.0/94_000+1.0/32_768)
	})
}

// TestAsertIsMonotone: who is later has no harder target.
func TestAsertIsMonotone(t *testing.T) {
	a := asertOf(t, 0x1f00ffff, 2000, 20_000)
	last := new(big.Int)
	for late := int64(-400_000); late < 250_000; late += 7 {
		target, ok := chain.CompactTarget(a.after(late))
		require.True(t, ok)
		require.GreaterOrEqual(t, target.Cmp(last), 0, "late by %d", late)
		last = target
	}
}

// miner is what a simulated chain's blocks are made by: how long the next takes, and what time it bears.
type simulatedChain struct {
	a      *asert
	rules  *rules
	random *rand.Rand
	now    float64 // milliseconds
	tip    *node
}

func newSimulatedChain(t *testing.T, seed int64) *simulatedChain {
	r := testRules(t, nil)
	return &simulatedChain{a: r.asert, rules: r, random: rand.New(rand.NewSource(seed)), now: 1e12, tip: r.genesis()}
}

// mine appends a block by hash power per millisecond; stamp says the time that it bears.
func (c *simulatedChain) mine(power float64, stamp func(now, earliest uint64) uint64) {
	h := c.rules.next(c.tip, &chain.Decision{}, [32]byte{}, [32]byte{})
	target, _ := expand(h.Bits)
	c.now += c.random.ExpFloat64() * worth(target).Float64() / power
	now, earliest := uint64(c.now), c.rules.earliest(c.tip)
	h.Time = max(stamp(now, earliest), earliest)
	if h.Height == 1 {
		h.Anchor = h.Time
	}
	c.tip = &node{header: h, parent: c.tip}
	if a := c.tip.at(h.Height - min(h.Height, medianOf)); a != nil {
		a.parent = nil
	}
}

func honest(now, _ uint64) uint64 { return now }

// TestTenfold changes the hash power tenfold, up and down, on chains of the default parameters: 100 blocks later the interval is the target's.
func TestTenfold(t *testing.T) {
	const runs = 400
	for _, factor := range []float64{10, 0.1} {
		var at [101]float64 // what the next block takes on average, that many blocks after the change, of the target's interval
		var mean100, first100 float64
		for seed := range int64(runs) {
			c := newSimulatedChain(t, seed)
			power := 65536.0 / 2000
			for range 300 {
				c.mine(power, honest)
			}
			power *= factor
			start := c.now
			for i := range at {
				h := c.rules.next(c.tip, &chain.Decision{}, [32]byte{}, [32]byte{})
				target, _ := expand(h.Bits)
				at[i] += worth(target).Float64() / power / 2000 / runs
				if i < 100 {
					c.mine(power, honest)
				}
			}
			first100 += (c.now - start) / 100 / 2000 / runs
			start = c.now
			for range 100 {
				c.mine(power, honest)
			}
			mean100 += (c.now - start) / 100 / 2000 / runs
		}
		settled := 100
		for settled > 0 && math.Abs(at[settled-1]-1) <= 0.10 {
			settled--
		}
		at100 := at[100]
		t.Logf("hash power ×%g: the expected interval is within a tenth of the target's from block %d on, at block 100 it is %.3f of it; the mean of blocks 101 to 200 is %.3f, that of the first 100 %.3f",
			factor, settled, at100, mean100, first100)
		require.InDelta(t, 1, at100, 0.10)
		require.InDelta(t, 1, mean100, 0.02)
	}
}

// TestTimewarp has a share of the blocks bear the worst times that pass: the pace of the chain stays its schedule's.
func TestTimewarp(t *testing.T) {
	ahead := func(now, _ uint64) uint64 { return now + 4000 }   // as far ahead as two intervals allow
	back := func(_, earliest uint64) uint64 { return earliest } // as far back as the rules allow
	power := 65536.0 / 2000
	pace := func(share float64, lie func(now, earliest uint64) uint64, blocks int) (float64, *simulatedChain) {
		c := newSimulatedChain(t, 7)
		for range 300 {
			c.mine(power, honest)
		}
		start := c.now
		for range blocks {
			stamp := honest
			if c.random.Float64() < share {
				stamp = lie
			}
			c.mine(power, stamp)
		}
		return (c.now - start) / float64(blocks) / 2000, c
	}
	for _, share := range []float64{0.3, 0.51} {
		for name, lie := range map[string]func(now, earliest uint64) uint64{"ahead": ahead, "back": back} {
			got, _ := pace(share, lie, 5000)
			t.Logf("%.0f %% of blocks dated %s: interval %.3f of the target's", 100*share, name, got)
			require.InDelta(t, 1, got, 0.02, "%s %g", name, share)
		}
	}
	// With everybody lying about the past time stands still for the chain: it gets harder, not easier, until the median rule drags it on.
	got, c := pace(1, back, 60)
	t.Logf("all blocks dated back: interval %.1f of the target's", got)
	require.Greater(t, got, 1.0)
	require.Less(t, c.tip.header.Time, uint64(c.now))
}
