package sm2

import "sync"

// affine is a point by its coordinates; never the point at infinity.
type affine struct{ x, y element }

// point is (x/z², y/z³), or the point at infinity where z is 0.
type point struct{ x, y, z element }

// table has the multiples of a point that make any multiple of it a sum of one entry for each window of bits, with no doubling: entry k of window i
// is k·2^(bits·i) times the point, for k from 1 to half of 2^bits. Digits are signed, so the other half is its mirror image.
type table struct {
	bits   int
	points []affine
}

const (
	// keyBits makes a key's table 52 windows of 16 points, 52 KiB, in some 0.3 ms.
	keyBits = 5
	// generatorBits makes the generator's, which all share, 33 windows of 128 points, 264 KiB.
	generatorBits = 8
)

// generator is made when the first key is prepared.
var generator = sync.OnceValue(func() *table { return newTable(parseAffine(curve[64:]), generatorBits) })

// parseAffine takes x ‖ y of a point of the curve.
func parseAffine(b []byte) (p affine) {
	x, y := toWords(b[:32]), toWords(b[32:])
	p.x.set(&x)
	p.y.set(&y)
	return p
}

func newTable(p affine, bits int) *table {
	// Scalars have 256 bits, and a signed digit may carry into one more.
	windows, half := 256/bits+1, 1<<(bits-1)
	first := make([]point, windows)
	q := point{p.x, p.y, one}
	for i := range first {
		first[i] = q
		for range bits {
			q.double()
		}
	}
	starts, all := normalize(first), make([]point, 0, windows*half)
	for _, start := range starts {
		q := point{start.x, start.y, one}
		for range half - 1 {
			all = append(all, q)
			q.add(&start)
		}
		all = append(all, q)
	}
	return &table{bits, normalize(all)}
}

// addTo adds k times the table's point to p, for k below 2²⁵⁶.
func (t *table) addTo(p *point, k *words) {
	half, carry := uint64(1)<<(t.bits-1), uint64(0)
	for i, at := 0, 0; at < len(t.points); i, at = i+t.bits, at+int(half) {
		digit := carry
		if i < 256 {
			window := k[i/64] >> (i % 64)
			if i%64+t.bits > 64 && i/64 < 3 {
				window |= k[i/64+1] << (64 - i%64)
			}
			digit += window & (2*half - 1)
		}
		carry = 0
		switch {
		case digit > half: // digit − 2^bits, and one more in the next window
			carry = 1
			if back := 2*half - digit; back > 0 {
				q := t.points[at+int(back)-1]
				q.y.sub(new(element), &q.y)
				p.add(&q)
			}
		case digit > 0:
			p.add(&t.points[at+int(digit)-1])
		}
	}
}

// add adds q to p.
func (p *point) add(q *affine) {
	if p.z.isZero() {
		*p = point{q.x, q.y, one}
		return
	}
	var zz, h, r, hh, hhh, v, y element
	zz.mul(&p.z, &p.z)
	h.mul(&q.x, &zz)
	h.sub(&h, &p.x)
	r.mul(&q.y, &p.z)
	r.mul(&r, &zz)
	r.sub(&r, &p.y)
	if h.isZero() { // the same x: q is p or −p
		if r.isZero() {
			p.double()
		} else {
			*p = point{}
		}
		return
	}
	hh.mul(&h, &h)
	hhh.mul(&h, &hh)
	v.mul(&p.x, &hh)
	p.z.mul(&p.z, &h)
	p.x.mul(&r, &r)
	p.x.sub(&p.x, &hhh)
	p.x.sub(&p.x, &v)
	p.x.sub(&p.x, &v)
	y.mul(&p.y, &hhh)
	v.sub(&v, &p.x)
	p.y.mul(&r, &v)
	p.y.sub(&p.y, &y)
}

// double doubles p; no point of the curve has order 2, and the point at infinity stays what it is. The tangent's slope is 3x²+a over 2y, with a = −3.
func (p *point) double() {
	var zz, yy, xyy, slope, t element
	zz.mul(&p.z, &p.z)
	yy.mul(&p.y, &p.y)
	xyy.mul(&p.x, &yy)
	t.add(&p.x, &zz)
	slope.sub(&p.x, &zz)
	slope.mul(&slope, &t)
	t.add(&slope, &slope)
	slope.add(&slope, &t) // 3·(x−z²)·(x+z²)
	p.z.mul(&p.z, &p.y)
	p.z.add(&p.z, &p.z) // 2·y·z
	xyy.add(&xyy, &xyy)
	xyy.add(&xyy, &xyy) // 4·x·y²
	p.x.mul(&slope, &slope)
	p.x.sub(&p.x, &xyy)
	p.x.sub(&p.x, &xyy)
	yy.add(&yy, &yy)
	yy.mul(&yy, &yy)
	yy.add(&yy, &yy) // 8·y⁴
	xyy.sub(&xyy, &p.x)
	p.y.mul(&slope, &xyy)
	p.y.sub(&p.y, &yy)
}

// normalize is the points by their coordinates, at the cost of one inversion for all of them. None may be the point at infinity.
func normalize(in []point) []affine {
	out, product := make([]affine, len(in)), one
	for i := range in {
		out[i].x = product // of all z before
		product.mul(&product, &in[i].z)
	}
	var inverse, z, zz element
	inverse.invert(&product)
	for i := len(in) - 1; i >= 0; i-- {
		z.mul(&inverse, &out[i].x) // 1/z of this one
		inverse.mul(&inverse, &in[i].z)
		zz.mul(&z, &z)
		out[i].x.mul(&in[i].x, &zz)
		zz.mul(&zz, &z)
		out[i].y.mul(&in[i].y, &zz)
	}
	return out
}

// verify checks a signature, 1 to n−1 each, over e (GB/T 32918.2, 7.1): r is e + x of s·G + (r+s)·Q modulo n, where the table is Q's.
func (t *table) verify(e [32]byte, sig []byte) bool {
	r, s, digest := toWords(sig[:32]), toWords(sig[32:]), toWords(e[:])
	both := addMod(&r, &s, &orderN)
	if both.isZero() {
		return false
	}
	var sum point
	generator().addTo(&sum, &s)
	t.addTo(&sum, &both)
	if sum.z.isZero() {
		return false
	}
	if !digest.less(&orderN) { // once is enough: 2²⁵⁶ is less than 2n
		digest, _ = subtract(&digest, &orderN)
	}
	// x/z² is known modulo n, and x and z modulo p: two numbers below p may be the one.
	want := subMod(&r, &digest, &orderN)
	if sum.hasX(&want) {
		return true
	}
	want, carry := add(&want, &orderN)
	return carry == 0 && want.less(&prime) && sum.hasX(&want)
}

// hasX tells whether x, below p, is the point's. It spares the inversion of z.
func (p *point) hasX(x *words) bool {
	var zz, got element
	got.set(x)
	zz.mul(&p.z, &p.z)
	got.mul(&got, &zz)
	return got == p.x
}
