package sm2

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"sync"
	"testing"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var montgomery = new(big.Int).Lsh(big.NewInt(1), 256)

func (x *words) big() *big.Int {
	out := new(big.Int)
	for i := 3; i >= 0; i-- {
		out.Add(out.Lsh(out, 64), new(big.Int).SetUint64(x[i]))
	}
	return out
}

// fieldNumbers are below p, with all kinds of words: full, empty, at the prime's and anything.
var fieldNumbers = rapid.Custom(func(t *rapid.T) *big.Int {
	var w words
	for i := range w {
		w[i] = rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 1 << 32, 1<<32 - 1, 1 << 63, ^uint64(0), ^uint64(0) - 1, prime[i], prime[i] - 1, prime[i] + 1}),
			rapid.Uint64()).Draw(t, "word")
	}
	v := w.big()
	return v.Mod(v, p)
})

// TestField holds the arithmetic modulo p against math/big.
func TestField(t *testing.T) {
	require.Equal(t, p, prime.big())
	require.Equal(t, n, orderN.big())
	require.Equal(t, new(big.Int).Mod(montgomery, p), (*words)(&one).big())
	rapid.Check(t, func(t *rapid.T) {
		x, y := fieldNumbers.Draw(t, "x"), fieldNumbers.Draw(t, "y")
		a, b := element(toWords(word(x))), element(toWords(word(y)))
		value := func(e *element) *big.Int { return (*words)(e).big() }
		mod := func(v *big.Int) *big.Int { return v.Mod(v, p) }
		var got element
		got.add(&a, &b)
		require.Equal(t, mod(new(big.Int).Add(x, y)), value(&got))
		got.sub(&a, &b)
		require.Equal(t, mod(new(big.Int).Sub(x, y)), value(&got))
		got.mul(&a, &b)
		product := mod(new(big.Int).Mul(x, y))
		require.Zero(t, product.Cmp(mod(new(big.Int).Mul(value(&got), montgomery))))
		require.True(t, value(&got).Cmp(p) < 0)
		in := toWords(word(x))
		got.set(&in)
		require.Zero(t, mod(new(big.Int).Mul(x, montgomery)).Cmp(value(&got)))
		got.invert(&got)
		got.mul(&got, &a)
		require.Zero(t, value(&got).Cmp(new(big.Int).SetInt64(int64(x.Sign()))), "1/x·x, out of Montgomery's form by the product with x itself")
	})
}

// TestShift gives a step of Montgomery's reduction the ends of what it may be given.
func TestShift(t *testing.T) {
	two64 := new(big.Int).Lsh(big.NewInt(1), 64)
	inverse := new(big.Int).ModInverse(two64, p)
	limit := new(big.Int).Mul(p, new(big.Int).Add(two64, big.NewInt(1)))
	limit.Sub(limit, two64)
	for _, v := range []*big.Int{new(big.Int), big.NewInt(1), p, limit, new(big.Int).Sub(limit, p), new(big.Int).Sub(montgomery, big.NewInt(1)),
		montgomery, new(big.Int).Sub(two64, big.NewInt(1)), two64, new(big.Int).Mul(p, two64)} {
		b := v.FillBytes(make([]byte, 64))
		low, high := toWords(b[32:]), toWords(b[:32])
		t0, t1, t2, t3, t4 := shift(low[0], low[1], low[2], low[3], high[0])
		got := words{t0, t1, t2, t3}
		value := new(big.Int).Add(got.big(), new(big.Int).Mul(new(big.Int).SetUint64(t4), montgomery))
		require.Negative(t, value.Cmp(new(big.Int).Lsh(p, 1)), "%x", v)
		require.Zero(t, new(big.Int).Mod(value, p).Cmp(new(big.Int).Mod(new(big.Int).Mul(v, inverse), p)), "%x", v)
	}
}

// scalars are below 2²⁵⁶: any, at the ends, and those whose signed digits carry all the way.
var scalars = rapid.Custom(func(t *rapid.T) *big.Int {
	return rapid.OneOf(rapid.Custom(func(t *rapid.T) *big.Int {
		return new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes"))
	}), rapid.Custom(func(t *rapid.T) *big.Int {
		near := rapid.SampledFrom([]*big.Int{big.NewInt(40), n, p, new(big.Int).Rsh(montgomery, 1), new(big.Int).Sub(montgomery, big.NewInt(40))}).Draw(t, "near")
		return new(big.Int).Add(near, big.NewInt(rapid.Int64Range(-39, 39).Draw(t, "off")))
	})).Draw(t, "scalar")
})

// TestTable holds multiples of points, the generator's own multiples among them, against gmsm's.
func TestTable(t *testing.T) {
	curve := gmsm.P256()
	rapid.Check(t, func(t *rapid.T) {
		k, m := scalars.Draw(t, "k"), scalars.Draw(t, "m")
		d := new(big.Int).Mod(scalars.Draw(t, "d"), new(big.Int).Sub(n, big.NewInt(2)))
		key, err := ParsePrivateKey(word(d.Add(d, big.NewInt(1))))
		require.NoError(t, err)
		var sum point
		kw, mw := toWords(word(k)), toWords(word(m))
		newTable(parseAffine(key.public.bytes[:]), rapid.IntRange(2, 8).Draw(t, "bits")).addTo(&sum, &kw)
		generator().addTo(&sum, &mw)
		total := new(big.Int).Mul(k, d)
		total.Add(total, m).Mod(total, n)
		if total.Sign() == 0 {
			require.True(t, sum.z.isZero())
			return
		}
		//lint:ignore SA1019 the deprecated function is the second opinion
		x, y := curve.ScalarBaseMult(word(total))
		got := normalize([]point{sum})[0]
		require.Equal(t, parseAffine(append(word(x), word(y)...)), got)
	})
}

// TestPreparedAgainstGMSM: a prepared key gives the verdict that gmsm gives. Keys are also the generator and its small multiples, where the sum meets its
// own summands, and signatures also such as anybody can make for a key: e follows from the numbers.
func TestPreparedAgainstGMSM(t *testing.T) {
	var held int
	rapid.Check(t, func(t *rapid.T) {
		d := new(big.Int).Mod(scalars.Draw(t, "d"), new(big.Int).Sub(n, big.NewInt(2)))
		key, err := ParsePrivateKey(word(d.Add(d, big.NewInt(1))))
		require.NoError(t, err)
		key.Public().Prepare()
		r, s := new(big.Int).Mod(scalars.Draw(t, "r"), n), new(big.Int).Mod(scalars.Draw(t, "s"), n)
		e := scalars.Draw(t, "e")
		// The point's x is that of s + (r+s)·d times the generator.
		k := new(big.Int).Add(r, s)
		k.Mul(k, d).Add(k, s).Mod(k, n)
		if k.Sign() != 0 && rapid.Bool().Draw(t, "holds") {
			//lint:ignore SA1019 the deprecated function is the second opinion
			x, _ := gmsm.P256().ScalarBaseMult(word(k))
			e.Sub(r, x).Mod(e, n)
			if more := new(big.Int).Add(e, n); more.BitLen() <= 256 && rapid.Bool().Draw(t, "e above n") {
				e = more
			}
		}
		sig := append(word(r), word(s)...)
		want := gmsm.Verify(key.Public().Key(), word(e), r, s)
		require.Equal(t, want, key.Public().VerifyDigest([32]byte(word(e)), sig))
		if want {
			held++
		}
	})
	require.NotZero(t, held, "signatures that hold were among them")
}

// FuzzVerify: any key, digest and numbers are a signature to a prepared key or to none.
func FuzzVerify(f *testing.F) {
	f.Add(unhex(f, example.private), unhex(f, example.e), unhex(f, example.sig))
	f.Add(word(big.NewInt(1)), make([]byte, 32), append(word(big.NewInt(1)), word(new(big.Int).Sub(n, big.NewInt(1)))...))
	f.Add(word(new(big.Int).Sub(n, big.NewInt(2))), n.Bytes(), append(word(new(big.Int).Sub(n, big.NewInt(1))), word(big.NewInt(2))...))
	f.Fuzz(func(t *testing.T, private, e, sig []byte) {
		key, err := ParsePrivateKey(private)
		if err != nil || len(e) != 32 || len(sig) > 100 {
			return
		}
		want := key.Public().VerifyDigest([32]byte(e), sig)
		key.Public().Prepare()
		require.Equal(t, want, key.Public().VerifyDigest([32]byte(e), sig))
	})
}

// Where x of the point is at least n, it is another number than the x modulo n that the signature shows: the point of x = n+something, as far as there are such.
func TestXAboveTheOrder(t *testing.T) {
	found := 0
	for x := new(big.Int).Set(n); found < 20; x.Add(x, big.NewInt(1)) {
		y := new(big.Int).ModSqrt(equation(x), p)
		if y == nil {
			continue
		}
		found++
		// P = Q·(r+s) + s·G is this point where Q = (P − s·G)/(r+s).
		r, s := big.NewInt(3), big.NewInt(5)
		//lint:ignore SA1019 the deprecated functions are the second opinion
		gx, gy := gmsm.P256().ScalarBaseMult(word(s))
		//lint:ignore SA1019 as above
		qx, qy := gmsm.P256().Add(x, y, gx, new(big.Int).Sub(p, gy))
		//lint:ignore SA1019 as above
		qx, qy = gmsm.P256().ScalarMult(qx, qy, word(new(big.Int).ModInverse(new(big.Int).Add(r, s), n)))
		key, err := ParsePublicKey(append(word(qx), word(qy)...))
		require.NoError(t, err)
		e := [32]byte(word(new(big.Int).Mod(new(big.Int).Sub(r, x), n)))
		sig := append(word(r), word(s)...)
		require.True(t, key.VerifyDigest(e, sig))
		key.Prepare()
		require.True(t, key.VerifyDigest(e, sig))
		e[31] ^= 1
		require.False(t, key.VerifyDigest(e, sig))
		key.Release()
		require.Nil(t, key.table.Load())
		require.False(t, key.VerifyDigest(e, sig))
	}
}

// TestPrepareWhileVerifying: many prepare one key and verify with it at once, which the race detector checks too.
func TestPrepareWhileVerifying(t *testing.T) {
	key, msg := newKey(t), []byte("m")
	sig, err := key.Sign(rand.Reader, DefaultID, msg)
	require.NoError(t, err)
	public, err := ParsePublicKey(key.Public().Bytes())
	require.NoError(t, err)
	var all sync.WaitGroup
	held := make([]bool, 8)
	for i := range held {
		all.Go(func() {
			held[i] = public.Verify(DefaultID, msg, sig)
			public.Prepare()
			held[i] = held[i] && public.Verify(DefaultID, msg, sig) && !public.Verify(DefaultID, msg, append(bytes.Clone(sig[1:]), 1))
		})
	}
	all.Wait()
	require.NotContains(t, held, false)
}

func BenchmarkVerify(b *testing.B) {
	key, msg := newKey(b), make([]byte, 200)
	sig, err := key.Sign(rand.Reader, DefaultID, msg)
	require.NoError(b, err)
	verify := func(b *testing.B) {
		for b.Loop() {
			if !key.Public().Verify(DefaultID, msg, sig) {
				b.Fatal("it does not verify")
			}
		}
	}
	b.Run("any key", verify)
	b.Run("prepared", func(b *testing.B) {
		key.Public().Prepare()
		verify(b)
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParsePublicKey(key.public.bytes[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prepare", func(b *testing.B) {
		generator()
		for b.Loop() {
			newTable(parseAffine(key.public.bytes[:]), keyBits)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	key, msg := newKey(b), make([]byte, 200)
	for b.Loop() {
		if _, err := key.Sign(rand.Reader, DefaultID, msg); err != nil {
			b.Fatal(err)
		}
	}
}
