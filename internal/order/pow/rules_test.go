package pow

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/order"
)

// testRules are those of the default parameters, as change makes them.
func testRules(t testing.TB, change func(*chain.WorkParams)) *rules {
	p := chain.DefaultWorkParams()
	if change != nil {
		change(p)
	}
	r, err := newRules(&Config{Suite: intl.Suite{}, GenesisHash: crypto.Hash{7}, GenesisMillis: 1000, Params: *p, Executed: func(context.Context, uint64) (crypto.Hash, error) { return crypto.Hash{}, nil }})
	require.NoError(t, err)
	return r
}

// solve finds the nonce of h.
func solve(r *rules, h *Header) crypto.Hash {
	for h.Nonce = 0; !Solved(r.suite, h); h.Nonce++ {
	}
	return Hash(r.suite, h.Encode())
}

// extend solves a block on parent at that time.
func extend(r *rules, parent *node, millis uint64) (*node, *chain.Decision) {
	d := &chain.Decision{Height: parent.header.Height + 1, TimeMillis: millis, Coinbase: [20]byte{1}}
	if d.Height > 1 {
		d.Parent = parent.header.Decision
	}
	h := r.next(parent, d, d.Hash(r.suite), crypto.Hash{})
	hash := solve(r, &h)
	d.Proof = h.Encode()
	return &node{header: h, hash: hash, parent: parent, decision: d}, d
}

func easyRules(t testing.TB) *rules {
	return testRules(t, func(p *chain.WorkParams) { p.Bits, p.Depth = 0x2000ffff, 3 })
}

func TestRules(t *testing.T) {
	r := easyRules(t)
	a, _ := extend(r, r.genesis(), 5000)
	b, _ := extend(r, a, 7000)
	for name, change := range map[string]func(h *Header){
		"another chain":       func(h *Header) { h.Chain[0] ^= 1 },
		"height":              func(h *Header) { h.Height++ },
		"height 0":            func(h *Header) { h.Height = 0 },
		"executed too early":  func(h *Header) { h.Executed = crypto.Hash{1} },
		"easier":              func(h *Header) { h.Bits = 0x207fffff },
		"harder":              func(h *Header) { h.Bits = 0x1f00ffff },
		"no target":           func(h *Header) { h.Bits = 0x2100ffff },
		"less work":           func(h *Header) { h.Work.SetUint64(1) },
		"more work":           func(h *Header) { h.Work.AddUint64(&h.Work, 1) },
		"another parent time": func(h *Header) { h.ParentTime++ },
		"another anchor":      func(h *Header) { h.Anchor-- },
		"time of the parent":  func(h *Header) { h.Time = 5000 },
		"time before it":      func(h *Header) { h.Time = 4999 },
		"time beyond all":     func(h *Header) { h.Time = maxMillis + 1 },
	} {
		h := b.header
		change(&h)
		for h.Nonce = 0; ; h.Nonce++ { // worth more than any of these targets ask for: it is not the hash that is refused
			if hash := Hash(r.suite, h.Encode()); hash[0] == 0 && (hash[1] == 0 || name != "harder") {
				break
			}
		}
		_, err := r.alone(&h, h.Encode())
		if err == nil {
			err = r.follows(a, &h)
		}
		require.ErrorIs(t, err, errRule, name)
	}
	_, err := r.alone(&b.header, b.header.Encode())
	require.NoError(t, err)
	require.NoError(t, r.follows(a, &b.header))
	unsolved := b.header
	for unsolved.Nonce = 0; Solved(r.suite, &unsolved); unsolved.Nonce++ {
	}
	_, err = r.alone(&unsolved, unsolved.Encode())
	require.ErrorContains(t, err, "misses the target")
}

// TestMedianTime: a block is after the median of the eleven before it.
func TestMedianTime(t *testing.T) {
	r := easyRules(t)
	n := r.genesis()
	for i := range uint64(11) {
		n, _ = extend(r, n, 5000+1000*(i/2)) // in pairs
	}
	require.EqualValues(t, 7000, n.median(), "the sixth of 5000 5000 6000 6000 7000 7000 8000 …")
}

func TestCheckpoints(t *testing.T) {
	r := easyRules(t)
	a, _ := extend(r, r.genesis(), 5000)
	b, _ := extend(r, r.genesis(), 6000)
	r.checkpoints[1] = a.hash
	_, err := r.alone(&a.header, a.header.Encode())
	require.NoError(t, err)
	_, err = r.alone(&b.header, b.header.Encode())
	require.ErrorContains(t, err, "checkpoint")
}

func TestProof(t *testing.T) {
	r := easyRules(t)
	a, first := extend(r, r.genesis(), 5000)
	_, second := extend(r, a, 7000)
	for _, d := range []*chain.Decision{first, second} {
		_, _, err := r.proof(d)
		require.NoError(t, err)
	}
	bad := *second
	bad.Coinbase = [20]byte{2}
	_, _, err := r.proof(&bad)
	require.ErrorIs(t, err, order.ErrProof)
	bad = *second
	bad.Proof = first.Proof
	_, _, err = r.proof(&bad)
	require.ErrorIs(t, err, order.ErrProof)
}

// BenchmarkHeader is what a header costs to check: all that is done for one beside its hash, and its hash.
func BenchmarkHeader(b *testing.B) {
	r := easyRules(b)
	n := r.genesis()
	for i := range uint64(12) {
		n, _ = extend(r, n, 5000+2000*i)
	}
	encoded := n.header.Encode()
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			h, err := DecodeHeader(encoded)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := r.alone(h, encoded); err != nil {
				b.Fatal(err)
			}
			if err := r.follows(n.parent, h); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hash", func(b *testing.B) {
		for b.Loop() {
			Hash(r.suite, encoded)
		}
	})
}

// BenchmarkGrind is what trying one nonce costs a thread.
func BenchmarkGrind(b *testing.B) {
	r := easyRules(b)
	h := r.next(r.genesis(), &chain.Decision{TimeMillis: 5000}, crypto.Hash{}, crypto.Hash{})
	h.Bits = 0x15008000 // nobody finds that
	ctx, cancel := context.WithTimeout(b.Context(), 300*time.Millisecond)
	defer cancel()
	g := new(grinder)
	for b.Loop() {
		g.Solve(ctx, Job{Suite: r.suite, Header: h, Threads: 1})
	}
	b.ReportMetric(g.Rate(), "hashes/s")
}
