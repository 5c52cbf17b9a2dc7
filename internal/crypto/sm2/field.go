package sm2

import (
	"encoding/binary"
	"math/bits"
)

// words is a number below 2²⁵⁶, the lowest 64 bits first.
type words [4]uint64

// element is a number modulo p in Montgomery's form, x·2²⁵⁶ mod p, always below p. Its functions take time that depends on the numbers: they serve
// verification, which knows no secret.
type element words

// The words of p = 2²⁵⁶ − 2²²⁴ − 2⁹⁶ + 2⁶⁴ − 1.
const (
	prime0 = 0xffffffffffffffff
	prime1 = 0xffffffff00000000
	prime2 = 0xffffffffffffffff
	prime3 = 0xfffffffeffffffff
)

var (
	prime  = words{prime0, prime1, prime2, prime3}
	orderN = toWords(order[:])
	// one is 2²⁵⁶ mod p, square 2⁵¹² mod p, which leads into Montgomery's form.
	one    = element{1, 0xffffffff, 0, 0x100000000}
	square = element{0x0000000200000003, 0x00000002ffffffff, 0x0000000100000001, 0x0000000400000002}
)

func toWords(b []byte) words {
	return words{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b)}
}

func (x *words) isZero() bool { return x[0]|x[1]|x[2]|x[3] == 0 }

func (x *words) less(y *words) bool {
	_, borrow := subtract(x, y)
	return borrow == 1
}

func add(x, y *words) (z words, carry uint64) {
	z[0], carry = bits.Add64(x[0], y[0], 0)
	z[1], carry = bits.Add64(x[1], y[1], carry)
	z[2], carry = bits.Add64(x[2], y[2], carry)
	z[3], carry = bits.Add64(x[3], y[3], carry)
	return z, carry
}

func subtract(x, y *words) (z words, borrow uint64) {
	z[0], borrow = bits.Sub64(x[0], y[0], 0)
	z[1], borrow = bits.Sub64(x[1], y[1], borrow)
	z[2], borrow = bits.Sub64(x[2], y[2], borrow)
	z[3], borrow = bits.Sub64(x[3], y[3], borrow)
	return z, borrow
}

// addMod is x+y modulo m, for x and y below m.
func addMod(x, y, m *words) words {
	sum, carry := add(x, y)
	reduced, borrow := subtract(&sum, m)
	if carry == 0 && borrow == 1 {
		return sum
	}
	return reduced
}

// subMod is x−y modulo m, for x and y below m.
func subMod(x, y, m *words) words {
	z, borrow := subtract(x, y)
	if borrow == 1 {
		z, _ = add(&z, m)
	}
	return z
}

func (z *element) add(x, y *element) {
	t0, c := bits.Add64(x[0], y[0], 0)
	t1, c := bits.Add64(x[1], y[1], c)
	t2, c := bits.Add64(x[2], y[2], c)
	t3, c := bits.Add64(x[3], y[3], c)
	z.below(t0, t1, t2, t3, c)
}

func (z *element) sub(x, y *element) {
	t0, b := bits.Sub64(x[0], y[0], 0)
	t1, b := bits.Sub64(x[1], y[1], b)
	t2, b := bits.Sub64(x[2], y[2], b)
	t3, b := bits.Sub64(x[3], y[3], b)
	var c uint64
	z[0], c = bits.Add64(t0, prime0&-b, 0)
	z[1], c = bits.Add64(t1, prime1&-b, c)
	z[2], c = bits.Add64(t2, prime2&-b, c)
	z[3], _ = bits.Add64(t3, prime3&-b, c)
}

// below is the number of five words less p, unless it is below p; it is below 2p.
func (z *element) below(t0, t1, t2, t3, t4 uint64) {
	r0, b := bits.Sub64(t0, prime0, 0)
	r1, b := bits.Sub64(t1, prime1, b)
	r2, b := bits.Sub64(t2, prime2, b)
	r3, b := bits.Sub64(t3, prime3, b)
	_, b = bits.Sub64(t4, 0, b)
	keep := -b // all ones where it was below p
	z[0] = r0 ^ (r0^t0)&keep
	z[1] = r1 ^ (r1^t1)&keep
	z[2] = r2 ^ (r2^t2)&keep
	z[3] = r3 ^ (r3^t3)&keep
}

func (z *element) isZero() bool { return (*words)(z).isZero() }

// set takes a number below p.
func (z *element) set(x *words) { z.mul((*element)(x), &square) }

// mul is Montgomery's product, x·y·2⁻²⁵⁶ mod p.
func (z *element) mul(x, y *element) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
	var c, h0, h1, h2, h3, l0, l1, l2, l3, t0, t1, t2, t3, t4 uint64
	// x[0]·y on top, and a word off below.
	h0, l0 = bits.Mul64(x0, y0)
	h1, l1 = bits.Mul64(x0, y1)
	h2, l2 = bits.Mul64(x0, y2)
	h3, l3 = bits.Mul64(x0, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	h3 += c
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	t4, _ = bits.Add64(t4, h3, c)
	t0, t1, t2, t3, t4 = shift(t0, t1, t2, t3, t4)
	// x[1]·y on top, and a word off below.
	h0, l0 = bits.Mul64(x1, y0)
	h1, l1 = bits.Mul64(x1, y1)
	h2, l2 = bits.Mul64(x1, y2)
	h3, l3 = bits.Mul64(x1, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	h3 += c
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	t4, _ = bits.Add64(t4, h3, c)
	t0, t1, t2, t3, t4 = shift(t0, t1, t2, t3, t4)
	// x[2]·y on top, and a word off below.
	h0, l0 = bits.Mul64(x2, y0)
	h1, l1 = bits.Mul64(x2, y1)
	h2, l2 = bits.Mul64(x2, y2)
	h3, l3 = bits.Mul64(x2, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	h3 += c
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	t4, _ = bits.Add64(t4, h3, c)
	t0, t1, t2, t3, t4 = shift(t0, t1, t2, t3, t4)
	// x[3]·y on top, and a word off below.
	h0, l0 = bits.Mul64(x3, y0)
	h1, l1 = bits.Mul64(x3, y1)
	h2, l2 = bits.Mul64(x3, y2)
	h3, l3 = bits.Mul64(x3, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	h3 += c
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	t4, _ = bits.Add64(t4, h3, c)
	t0, t1, t2, t3, t4 = shift(t0, t1, t2, t3, t4)
	z.below(t0, t1, t2, t3, t4)
}

// shift is (t + m·p)/2⁶⁴ for the m that makes it whole. −1/p is 1 modulo 2⁶⁴, so m is the lowest word itself: that vanishes, and
// m·(2¹⁹² − 2¹⁶⁰ − 2³² + 1) goes to the words above. What it is given is below 2p and a word times a number
// below p more, at most 2⁶⁴·p + p − 2⁶⁴, and so its result is below 2p again.
func shift(t0, t1, t2, t3, t4 uint64) (uint64, uint64, uint64, uint64, uint64) {
	low, high := t0<<32, t0>>32
	d0, b := bits.Sub64(t0, low, 0)
	d1, b := bits.Sub64(0, high, b)
	d2, b := bits.Sub64(0, low, b)
	d3, _ := bits.Sub64(t0, high, b)
	t1, c := bits.Add64(t1, d0, 0)
	t2, c = bits.Add64(t2, d1, c)
	t3, c = bits.Add64(t3, d2, c)
	t4, c = bits.Add64(t4, d3, c)
	return t1, t2, t3, t4, c
}

// invert is x^(p−2), 1/x; 0 of 0.
func (z *element) invert(x *element) {
	exponent, _ := subtract(&prime, &words{2})
	out := one
	for i := 255; i >= 0; i-- {
		out.mul(&out, &out)
		if exponent[i/64]>>(i%64)&1 == 1 {
			out.mul(&out, x)
		}
	}
	*z = out
}
