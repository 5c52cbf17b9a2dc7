package pow

import (
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Forge makes blocks for tests: good ones, and such as no honest miner makes.
type Forge struct {
	rules *rules
	tip   *node
}

// NewForge begins at the genesis of c's chain.
func NewForge(c Config) *Forge {
	r, err := newRules(&c)
	if err != nil {
		panic(err)
	}
	return &Forge{r, r.genesis()}
}

// Fork is another forge at the same tip.
func (f *Forge) Fork() *Forge { return &Forge{f.rules, f.tip} }

// Make solves a block on the tip. With alter it may break rules; the tip stays then.
func (f *Forge) Make(millis uint64, alter func(*chain.Decision, *Header)) *chain.Decision {
	d := &chain.Decision{Height: f.tip.header.Height + 1, TimeMillis: millis, Coinbase: [20]byte{99}}
	if d.Height > 1 {
		d.Parent = f.tip.header.Decision
	}
	h := f.rules.next(f.tip, d, crypto.Hash{}, crypto.Hash{})
	if alter != nil {
		alter(d, &h)
	}
	h.Decision = d.Hash(f.rules.suite)
	hash := solve(f.rules, &h)
	d.Proof = h.Encode()
	if alter == nil {
		f.tip = &node{header: h, hash: hash, parent: f.tip}
	}
	return d
}

// What a peer says.
func TipFrame(d *chain.Decision) []byte   { return append([]byte{frameTip}, d.Proof...) }
func BlockFrame(d *chain.Decision) []byte { return blockFrame(d) }

func HeadersFrame(ds ...*chain.Decision) []byte {
	var page [][]byte
	for _, d := range ds {
		page = append(page, d.Proof)
	}
	return headersFrame(page)
}

// IsAsk and IsWant tell what was said.
func IsAsk(msg []byte) bool  { return msg[0] == frameAsk }
func IsWant(msg []byte) bool { return msg[0] == frameWant }

const (
	MaxOrphans     = maxOrphans
	OrphansPerPeer = orphansPerPeer
)

// NewGrinder is the Solver on this machine's processors.
func NewGrinder() Solver { return new(grinder) }

// AskedAfter are the hashes that an ask names, the highest first.
func AskedAfter(msg []byte) (out [][32]byte) {
	places, err := parseAsk(msg[1:])
	if err != nil {
		panic(err)
	}
	for _, p := range places {
		out = append(out, p.hash)
	}
	return out
}

const MaxPage = maxPage
