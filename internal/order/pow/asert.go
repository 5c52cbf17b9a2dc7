package pow

import (
	"math/big"
	"math/bits"

	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The difficulty is absolute and exponential (ASERT): a schedule begins with the block at height 1, one block each BlockMillis. The target of a block is
// the genesis' target, doubled for each HalfLifeMillis that its parent is behind the schedule and halved for each that it is ahead. So no error adds up,
// a block's time moves the target of the next one only, and whoever lies about the time gives back what he gains.

const (
	// easing is how much easier than the genesis' target a target can become, as a shift: hash power may fall to a 256th. The floor keeps headers from
	// costing nothing.
	easing = 8
	// hardestBits is the shortest target, in bits: below it a header's work exceeds 2^96, and 2^32 of them what a header can add up to.
	hardestBits = 160
	// fraction is how finely the exponent is taken, in bits.
	fraction = 16
)

// roots[i] is 2^(2^-(i+1)) in units of 2^-63, rounded down.
var roots = func() (out [fraction]uint64) {
	root := new(big.Int).Lsh(big.NewInt(2), 126) // the square of what is kept, so that a square root stays in its units
	for i := range out {
		root.Sqrt(root)
		out[i] = root.Uint64()
		root.Mul(root, new(big.Int).Lsh(big.NewInt(1), 63))
	}
	return out
}()

// asert is the difficulty of one chain.
type asert struct {
	first    uint32
	target   *big.Int
	easiest  *big.Int
	interval int64
	halfLife int64
}

func newAsert(p *chain.WorkParams) (*asert, bool) {
	target, ok := p.Target()
	if !ok {
		return nil, false
	}
	easiest := new(big.Int).Lsh(target, easing)
	if easiest.BitLen() > 255 {
		easiest, _ = chain.CompactTarget(0x207fffff)
	}
	return &asert{first: p.Bits, target: target, easiest: easiest, interval: int64(p.BlockMillis), halfLife: int64(p.HalfLifeMillis)}, true
}

// maxMillis bounds times, so that sums of them do not overflow: the year 6432.
const maxMillis = 1 << 47

// bits is the target of the block at height, in compact form. Times above maxMillis count as that.
func (a *asert) bits(height, anchor, parentTime uint64) uint32 {
	if height <= 1 {
		return a.first
	}
	// Blocks beyond 2^40 are none: the product with an interval of up to an hour stays in 63 bits.
	due := int64(min(height-2, 1<<40)) * a.interval
	late := int64(min(parentTime, maxMillis)) - int64(min(anchor, maxMillis)) - due
	return a.after(late)
}

// after is the target of a block whose parent is that many milliseconds behind the schedule.
func (a *asert) after(late int64) uint32 {
	// late×2^16/halfLife, rounded down, as a whole and a fraction. The whole beyond ±256 hits a bound anyway.
	whole := floorDiv(late, a.halfLife)
	rest := late - whole*a.halfLife
	part := uint64(rest) << fraction / uint64(a.halfLife)
	switch {
	case whole > 256:
		return compact(a.easiest)
	case whole < -256:
		return compact(new(big.Int).Lsh(big.NewInt(1), hardestBits-1))
	}
	target := new(big.Int).Mul(a.target, new(big.Int).SetUint64(power(part)))
	if shift := whole - 63; shift >= 0 {
		target.Lsh(target, uint(shift))
	} else {
		target.Rsh(target, uint(-shift))
	}
	switch {
	case target.Cmp(a.easiest) > 0:
		target = a.easiest
	case target.BitLen() < hardestBits:
		target = new(big.Int).Lsh(big.NewInt(1), hardestBits-1)
	}
	return compact(target)
}

// power is 2^(part/2^16) in units of 2^-63, by one multiplication for each bit of part.
func power(part uint64) uint64 {
	f := uint64(1) << 63
	for i, root := range roots {
		if part>>(fraction-1-i)&1 == 1 {
			hi, lo := bits.Mul64(f, root)
			f = hi<<1 | lo>>63
		}
	}
	return f
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// compact is the compact form of target, rounded down.
func compact(target *big.Int) uint32 {
	size := (target.BitLen() + 7) / 8
	var mantissa uint64
	if size <= 3 {
		mantissa = target.Uint64() << (8 * (3 - size))
	} else {
		mantissa = new(big.Int).Rsh(target, uint(8*(size-3))).Uint64()
	}
	if mantissa > 0x7fffff {
		mantissa >>= 8
		size++
	}
	return uint32(size)<<24 | uint32(mantissa)
}

// expand is the target of canonical bits, as chain.CompactTarget has it.
func expand(bits uint32) (*uint256.Int, bool) {
	exponent, mantissa := uint(bits>>24), uint64(bits&0xffffff)
	if mantissa < 0x8000 || mantissa > 0x7fffff || exponent < 3 || exponent > 32 {
		return nil, false
	}
	target := uint256.NewInt(mantissa)
	return target.Lsh(target, 8*(exponent-3)), true
}

// worth is how many hashes a header of that target takes on average: 2^256/(target+1).
func worth(target *uint256.Int) *uint256.Int {
	// 2^256/(t+1) = (2^256−t−1)/(t+1) + 1, and 2^256−t−1 is the complement of t.
	w := new(uint256.Int).Not(target)
	w.Div(w, new(uint256.Int).AddUint64(target, 1))
	return w.AddUint64(w, 1)
}

// meets tells whether hash, as a big-endian number, does not exceed target.
func meets(hash [32]byte, target *uint256.Int) bool {
	return new(uint256.Int).SetBytes32(hash[:]).Cmp(target) <= 0
}
