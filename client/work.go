package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// CertificateOfWork is ProofCertificate.Kind on a chain of work.
const CertificateOfWork = "work"

// engineOfWork is the engine's word in the genesis.
const engineOfWork = "pow"

// TrustedWork is what binds the miners of a chain of work, and how much of their work a verifier asks for.
type TrustedWork struct {
	BlockMillis    int    `json:"blockMillis"`
	Depth          int    `json:"depth"`
	Bits           uint32 `json:"bits"`
	HalfLifeMillis int    `json:"halfLifeMillis"`
	// LeastWork is how many hashes must speak for a block, in the headers from the one that names it on. From a genesis it is the least that its rules can ask of Depth
	// blocks, so that every proof of the chain passes, and a forger's too who pays that little: set it to what forging is to cost. See docs/work.md.
	LeastWork *hexutil.Big `json:"leastWork"`
	// Checkpoints are headers that the chain goes through, by ascending height: headers of those heights must be these.
	Checkpoints []TrustedCheckpoint `json:"checkpoints,omitempty"`
}

// TrustedCheckpoint names a work header by its hash.
type TrustedCheckpoint struct {
	Height hexutil.Uint64 `json:"height"`
	Hash   common.Hash    `json:"hash"`
}

// Work is what speaks for a block of a chain of work.
type Work struct {
	// Named is the height of the header that names the block's executed header: Depth above the block. Confirmations counts the headers from that one on.
	Named         uint64
	Confirmations int
	// Hashes is how many hashes finding those headers takes on average: what a forger has to pay. Total adds those of the headers below, from the block's own on.
	Hashes, Total *big.Int
	// Claimed is the work of the whole chain up to the last header, as that says; it proves nothing.
	Claimed *big.Int
}

const (
	workHeaderSize    = 176
	workHeaderVersion = 1
	// maxWorkHeaders bounds the headers of a certificate: twice the greatest depth.
	maxWorkHeaders = 2000
	maxWorkDepth   = 1000
)

// workHeader is 176 bytes: version(4) = 1 ‖ chain(8) ‖ height(8) ‖ parent's work hash(32) ‖ decision(32) ‖ executed(32) ‖ anchor(8) ‖ parent's time(8) ‖ time(8) ‖
// bits(4) ‖ work(16) ‖ extra(8) ‖ nonce(8), numbers big-endian, times in milliseconds. chain is the beginning of the genesis hash, executed the suite's hash of
// the executed header Depth heights below, work the sum of the work up to and with this header. The work hash is the suite's hash of its hash.
type workHeader struct {
	chain                      [8]byte
	height                     uint64
	parent, decision, executed common.Hash
	anchor, parentTime, time   uint64
	bits                       uint32
	work                       *big.Int
	hash                       common.Hash
}

func decodeWorkHeader(s *suite, b []byte) (*workHeader, error) {
	if len(b) != workHeaderSize {
		return nil, fmt.Errorf("it has %d bytes, must have %d", len(b), workHeaderSize)
	}
	if v := binary.BigEndian.Uint32(b); v != workHeaderVersion {
		return nil, fmt.Errorf("its version is %d, this one reads %d", v, workHeaderVersion)
	}
	h := &workHeader{height: binary.BigEndian.Uint64(b[12:]), parent: common.Hash(b[20:52]), decision: common.Hash(b[52:84]), executed: common.Hash(b[84:116]),
		anchor: binary.BigEndian.Uint64(b[116:]), parentTime: binary.BigEndian.Uint64(b[124:]), time: binary.BigEndian.Uint64(b[132:]),
		bits: binary.BigEndian.Uint32(b[140:]), work: new(big.Int).SetBytes(b[144:160])}
	copy(h.chain[:], b[4:12])
	once := s.sum(b)
	h.hash = s.sum(once[:])
	return h, nil
}

// validate names the first field that cannot be.
func (w *TrustedWork) validate() error {
	switch {
	case w.BlockMillis < 1 || w.HalfLifeMillis < 1:
		return errors.New("work: blockMillis and halfLifeMillis must be positive")
	case w.Depth < 1 || w.Depth > maxWorkDepth:
		return fmt.Errorf("work: depth must be 1 to %d", maxWorkDepth)
	case w.LeastWork == nil || w.LeastWork.ToInt().Sign() < 0:
		return errors.New("work: leastWork is missing or negative")
	}
	if _, err := expandBits(w.Bits); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	for i, c := range w.Checkpoints {
		if c.Height == 0 || i > 0 && w.Checkpoints[i-1].Height >= c.Height {
			return fmt.Errorf("work: checkpoints[%d]: heights are nonzero and ascending", i)
		}
	}
	return nil
}

// trusted is what a genesis says of work, with the least that a proof must show.
func (g *genesisWork) trusted() (*TrustedWork, error) {
	w := &TrustedWork{BlockMillis: g.BlockMillis, Depth: g.Depth, Bits: g.Bits, HalfLifeMillis: g.HalfLifeMillis}
	rule, err := newDifficulty(w)
	if err != nil {
		return nil, fmt.Errorf("consensus.work: %w", err)
	}
	w.LeastWork = (*hexutil.Big)(new(big.Int).Mul(big.NewInt(int64(g.Depth)), workOf(rule.easiest)))
	for _, c := range g.Checkpoints {
		w.Checkpoints = append(w.Checkpoints, TrustedCheckpoint{hexutil.Uint64(c.Height), c.Hash})
	}
	return w, nil
}

// verifyWork checks that enough work speaks for the executed header h with that suite hash: the certificate's headers follow each other from the height of h
// on, each meets the difficulty that its chain's rules ask for, the first one is the work for the decision that h executes, and the one Depth above names h.
func (c *ProofCertificate) verifyWork(s *suite, t *Trust, h *types.Header, decision common.Hash) (*Work, error) {
	height := h.Number.Uint64()
	switch {
	case c.Kind != CertificateOfWork || len(c.Attestations) > 0:
		return nil, fmt.Errorf("it is no certificate of work")
	case len(c.Work) <= t.Work.Depth || len(c.Work) > maxWorkHeaders:
		return nil, fmt.Errorf("%d work headers, want %d to %d", len(c.Work), t.Work.Depth+1, maxWorkHeaders)
	}
	rule, err := newDifficulty(t.Work)
	if err != nil {
		return nil, err
	}
	out := &Work{Named: height + uint64(t.Work.Depth), Hashes: new(big.Int), Total: new(big.Int)}
	var before *workHeader
	for i, raw := range c.Work {
		w, err := decodeWorkHeader(s, raw)
		if err == nil {
			err = rule.check(t, w, before)
		}
		if err != nil {
			return nil, fmt.Errorf("work header %d: %w", i, err)
		}
		switch {
		case w.height != height+uint64(i):
			return nil, fmt.Errorf("work header %d is of height %d, want %d", i, w.height, height+uint64(i))
		case i == 0 && w.decision != decision:
			return nil, errors.New("the work is for another decision than the block executes")
		case i == t.Work.Depth && w.executed != c.Header:
			return nil, fmt.Errorf("the work header of height %d names another block than this one", w.height)
		}
		own := workOf(rule.targets[w.bits])
		out.Total.Add(out.Total, own)
		if i >= t.Work.Depth {
			out.Hashes.Add(out.Hashes, own)
			out.Confirmations++
		}
		out.Claimed, before = w.work, w
	}
	if least := t.Work.LeastWork.ToInt(); out.Hashes.Cmp(least) < 0 {
		return nil, fmt.Errorf("%v hashes of work speak for the block, at least %v are asked for; a proof that is made later has more", out.Hashes, least)
	}
	return out, nil
}

// difficulty is a chain's rule of how hard a header must be to find.
type difficulty struct {
	params  *TrustedWork
	first   *big.Int
	easiest *big.Int
	roots   [16]uint64
	// targets are those seen so far by their compact form.
	targets map[uint32]*big.Int
}

func newDifficulty(w *TrustedWork) (*difficulty, error) {
	first, err := expandBits(w.Bits)
	if err != nil {
		return nil, err
	}
	d := &difficulty{params: w, first: first, easiest: new(big.Int).Lsh(first, 8), targets: make(map[uint32]*big.Int)}
	if d.easiest.BitLen() > 255 {
		d.easiest, _ = expandBits(0x207fffff)
	}
	// roots[i] is 2^(2^-(i+1)) in units of 2^-63.
	root := new(big.Int).Lsh(big.NewInt(2), 126)
	for i := range d.roots {
		root.Sqrt(root)
		d.roots[i] = root.Uint64()
		root.Lsh(root, 63)
	}
	return d, nil
}

// check holds a header against the rules, and against the one before it where that is known.
func (d *difficulty) check(t *Trust, w, before *workHeader) error {
	if [8]byte(t.Genesis[:8]) != w.chain {
		return errors.New("it is of another chain")
	}
	if before != nil {
		switch {
		case w.parent != before.hash:
			return errors.New("it does not follow the one before")
		case w.parentTime != before.time || w.anchor != before.anchor:
			return errors.New("it contradicts the times of the one before")
		}
	}
	if want := d.bits(w); w.bits != want {
		return fmt.Errorf("its target is %#08x, the rules say %#08x", w.bits, want)
	}
	target := d.targets[w.bits]
	if target == nil {
		var err error
		if target, err = expandBits(w.bits); err != nil {
			return err
		}
		d.targets[w.bits] = target
	}
	if new(big.Int).SetBytes(w.hash[:]).Cmp(target) > 0 {
		return errors.New("it does not have the work that it claims")
	}
	if before != nil && new(big.Int).Add(before.work, workOf(target)).Cmp(w.work) != 0 {
		return errors.New("its sum of work is wrong")
	}
	for _, c := range t.Work.Checkpoints {
		if uint64(c.Height) == w.height && c.Hash != w.hash {
			return fmt.Errorf("the chain goes through %s at height %d, this is %s", c.Hash, w.height, w.hash)
		}
	}
	return nil
}

// bits is the target that the rules ask of a header: the genesis', doubled for each half-life that its parent is behind the schedule of one block each
// BlockMillis since the block at height 1 (anchor), and halved for each that it is ahead.
func (d *difficulty) bits(w *workHeader) uint32 {
	if w.height <= 1 {
		return d.params.Bits
	}
	const latest = 1 << 47
	due := int64(min(w.height-2, 1<<40)) * int64(d.params.BlockMillis)
	late := int64(min(w.parentTime, latest)) - int64(min(w.anchor, latest)) - due
	life := int64(d.params.HalfLifeMillis)
	whole := late / life
	if late%life < 0 {
		whole--
	}
	part := uint64(late-whole*life) << 16 / uint64(life)
	hardest := new(big.Int).Lsh(big.NewInt(1), 159)
	switch {
	case whole > 256:
		return compactBits(d.easiest)
	case whole < -256:
		return compactBits(hardest)
	}
	power := uint64(1) << 63 // 2^(part/2^16)
	for i, root := range d.roots {
		if part>>(15-i)&1 == 1 {
			hi, lo := bits.Mul64(power, root)
			power = hi<<1 | lo>>63
		}
	}
	target := new(big.Int).Mul(d.first, new(big.Int).SetUint64(power))
	if whole >= 63 {
		target.Lsh(target, uint(whole-63))
	} else {
		target.Rsh(target, uint(63-whole))
	}
	switch {
	case target.Cmp(d.easiest) > 0:
		target = d.easiest
	case target.Cmp(hardest) < 0:
		target = hardest
	}
	return compactBits(target)
}

// workOf is how many hashes a target takes on average: 2^256/(target+1).
func workOf(target *big.Int) *big.Int {
	return new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 256), new(big.Int).Add(target, big.NewInt(1)))
}

// expandBits is the target of a compact form: exponent(1) ‖ mantissa(3), worth mantissa × 256^(exponent−3).
func expandBits(b uint32) (*big.Int, error) {
	exponent, mantissa := int(b>>24), int64(b&0xffffff)
	if mantissa < 0x8000 || mantissa > 0x7fffff || exponent < 3 || exponent > 32 {
		return nil, fmt.Errorf("bits %#08x is no target", b)
	}
	return new(big.Int).Lsh(big.NewInt(mantissa), uint(8*(exponent-3))), nil
}

// compactBits is the compact form of target, rounded down.
func compactBits(target *big.Int) uint32 {
	size := (target.BitLen() + 7) / 8
	mantissa := new(big.Int).Rsh(new(big.Int).Lsh(target, 24), uint(8*size)).Uint64()
	if mantissa > 0x7fffff {
		mantissa >>= 8
		size++
	}
	return uint32(size)<<24 | uint32(mantissa)
}
