package pow

import (
	"errors"
	"fmt"
	"slices"

	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/order"
)

// errRule: a header or block breaks a rule of the chain, for good.
var errRule = errors.New("against the rules of work")

// rules are what binds every header of a chain.
type rules struct {
	suite         crypto.Suite
	chain         [8]byte
	root          crypto.Hash
	genesisMillis uint64
	depth         uint64
	asert         *asert
	checkpoints   map[uint64]crypto.Hash
}

func newRules(c *Config) (*rules, error) {
	a, ok := newAsert(&c.Params)
	if !ok {
		return nil, fmt.Errorf("pow: %#08x is no target", c.Params.Bits)
	}
	r := &rules{suite: c.Suite, root: Root(c.Suite, c.GenesisHash), genesisMillis: c.GenesisMillis, depth: uint64(c.Params.Depth), asert: a,
		checkpoints: make(map[uint64]crypto.Hash, len(c.Params.Checkpoints))}
	copy(r.chain[:], c.GenesisHash[:])
	for _, p := range c.Params.Checkpoints {
		r.checkpoints[p.Height] = p.Hash
	}
	return r, nil
}

// alone checks what a header says for itself: its chain, its difficulty by its own times, its work, and that its hash meets the target. It returns the hash.
// encoded is the header's form.
func (r *rules) alone(h *Header, encoded []byte) (crypto.Hash, error) {
	refuse := func(format string, args ...any) (crypto.Hash, error) {
		return crypto.Hash{}, fmt.Errorf("%w: header %d: %s", errRule, h.Height, fmt.Sprintf(format, args...))
	}
	switch {
	case h.Chain != r.chain:
		return refuse("it is of chain %x", h.Chain)
	case h.Height == 0:
		return refuse("there is none of that height")
	case h.Height == 1 && (h.Parent != r.root || h.ParentTime != r.genesisMillis || h.Anchor != h.Time):
		return refuse("it does not follow the genesis")
	case h.Height <= r.depth && !h.Executed.IsZero():
		return refuse("nothing was executed that it could name")
	case h.Time < h.ParentTime || h.ParentTime < h.Anchor && h.Height > 1 || h.Time > maxMillis:
		return refuse("its time %d is none after %d and %d", h.Time, h.ParentTime, h.Anchor)
	}
	if bits := r.asert.bits(h.Height, h.Anchor, h.ParentTime); h.Bits != bits {
		return refuse("its target is %#08x, due is %#08x", h.Bits, bits)
	}
	target, ok := expand(h.Bits)
	if !ok {
		return refuse("%#08x is no target", h.Bits)
	}
	if h.Work.Lt(worth(target)) {
		return refuse("it counts less work than its own")
	}
	hash := Hash(r.suite, encoded)
	if !meets(hash, target) {
		return refuse("hash %s misses the target %#08x", hash, h.Bits)
	}
	if want, ok := r.checkpoints[h.Height]; ok && want != hash {
		return refuse("it is %s, the genesis' checkpoint is %s", hash, want)
	}
	return hash, nil
}

// follows checks a header that stands for itself against its parent and those before.
func (r *rules) follows(parent *node, h *Header) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: header %d: %s", errRule, h.Height, fmt.Sprintf(format, args...))
	}
	p := &parent.header
	switch {
	case h.Height != p.Height+1:
		return refuse("its parent is of height %d", p.Height)
	case h.ParentTime != p.Time:
		return refuse("it says that its parent is of %d, that is of %d", h.ParentTime, p.Time)
	case h.Height > 1 && h.Anchor != p.Anchor:
		return refuse("it says that the chain began at %d, it did at %d", h.Anchor, p.Anchor)
	}
	if median := parent.median(); h.Time <= median {
		return refuse("its time %d is not after the median %d of those before", h.Time, median)
	}
	if sum := r.total(p, h.Bits); h.Work.Cmp(sum) != 0 || sum.BitLen() > 128 {
		return refuse("it counts %s of work, there is %s", h.Work.Dec(), sum.Dec())
	}
	return nil
}

// total is all the work up to a header of these bits on parent.
func (r *rules) total(parent *Header, bits uint32) *uint256.Int {
	target, ok := expand(bits)
	if !ok {
		return new(uint256.Int)
	}
	return new(uint256.Int).Add(&parent.Work, worth(target))
}

// next is the header of a decision on parent, before it is solved.
func (r *rules) next(parent *node, d *chain.Decision, hash, executed crypto.Hash) Header {
	p := &parent.header
	h := Header{Chain: r.chain, Height: p.Height + 1, Parent: parent.hash, Decision: hash, Executed: executed, Anchor: p.Anchor, ParentTime: p.Time, Time: d.TimeMillis}
	if h.Height == 1 {
		h.Anchor = h.Time
	}
	h.Bits = r.asert.bits(h.Height, h.Anchor, h.ParentTime)
	h.Work = *r.total(p, h.Bits)
	return h
}

// earliest is the least time that a block on parent may have.
func (r *rules) earliest(parent *node) uint64 { return max(parent.header.Time, parent.median()+1) }

// genesis stands for block 0: nobody worked for it.
func (r *rules) genesis() *node {
	return &node{header: Header{Chain: r.chain, Time: r.genesisMillis, ParentTime: r.genesisMillis}, hash: r.root, held: true, complete: true, checked: true}
}

// block checks that d is what the header of n is for and that it follows the decision of n's parent.
func (r *rules) block(n *node, d *chain.Decision) error {
	h := &n.header
	parent := crypto.Hash{}
	if h.Height > 1 {
		parent = n.parent.header.Decision
	}
	switch {
	case d.Height != h.Height || d.TimeMillis != h.Time:
		return fmt.Errorf("%w: block %d of time %d under a header of %d, %d", errRule, d.Height, d.TimeMillis, h.Height, h.Time)
	case d.Proposer != 0:
		return fmt.Errorf("%w: block %d names a proposer", errRule, d.Height)
	case d.Parent != parent:
		return fmt.Errorf("%w: block %d follows %s, its header follows %s", errRule, d.Height, d.Parent, parent)
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w: %w", errRule, err)
	}
	return nil
}

// proof checks a decision by its proof alone.
func (r *rules) proof(d *chain.Decision) (*Header, crypto.Hash, error) {
	fail := func(err error) (*Header, crypto.Hash, error) {
		return nil, crypto.Hash{}, fmt.Errorf("%w: %w", order.ErrProof, err)
	}
	if err := d.Validate(); err != nil {
		return fail(err)
	}
	h, err := DecodeHeader(d.Proof)
	if err != nil {
		return fail(err)
	}
	hash, err := r.alone(h, d.Proof)
	switch {
	case err != nil:
		return fail(err)
	case d.Proposer != 0 || d.Height != h.Height || d.TimeMillis != h.Time || h.Height == 1 && !d.Parent.IsZero():
		return fail(fmt.Errorf("%w: block %d of time %d under a header of %d, %d", errRule, d.Height, d.TimeMillis, h.Height, h.Time))
	}
	if sum := d.Hash(r.suite); sum != h.Decision {
		return fail(fmt.Errorf("%w: the header is for decision %s, this is %s", errRule, h.Decision, sum))
	}
	return h, hash, nil
}

// median is that of the times of n and those before it, medianOf at the most.
func (n *node) median() uint64 {
	var times [medianOf]uint64
	count := 0
	for a := n; a != nil && count < medianOf; a = a.parent {
		times[count] = a.header.Time
		count++
	}
	slices.Sort(times[:count])
	return times[count/2]
}
