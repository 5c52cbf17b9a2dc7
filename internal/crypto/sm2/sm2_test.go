package sm2

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/ecdh"
	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// GB/T 32918.5, A.2: the example of a signature on the recommended curve, with the identifier DefaultID.
var example = struct{ message, private, public, z, e, k, sig string }{
	message: "message digest",
	private: "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8",
	public:  "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13",
	z:       "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3",
	e:       "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640",
	k:       "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21",
	sig:     "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa",
}

var (
	n = new(big.Int).SetBytes(order[:])
	p = gmsm.P256().Params().P
)

func unhex(t require.TestingT, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func newKey(t require.TestingT) *PrivateKey {
	key, err := GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func word(v *big.Int) []byte { return v.FillBytes(make([]byte, 32)) }

// nonce is a source of randomness that gives k. gmsm may read a byte before, so that nobody relies on this: that one is not k's.
type nonce struct{ k []byte }

func (r nonce) Read(b []byte) (int, error) {
	if len(b) == 1 {
		return 1, nil
	}
	return copy(b, r.k), nil
}

func TestStandardsExample(t *testing.T) {
	key, err := ParsePrivateKey(unhex(t, example.private))
	require.NoError(t, err)
	require.Equal(t, example.public, hex.EncodeToString(key.Public().Bytes()))
	z, err := key.Public().Z(DefaultID)
	require.NoError(t, err)
	require.Equal(t, example.z, hex.EncodeToString(z[:]))
	e, err := key.Public().Digest(DefaultID, []byte(example.message))
	require.NoError(t, err)
	require.Equal(t, example.e, hex.EncodeToString(e[:]))
	sig, err := key.Sign(nonce{unhex(t, example.k)}, DefaultID, []byte(example.message))
	require.NoError(t, err)
	require.Equal(t, example.sig, hex.EncodeToString(sig))
	public, err := ParsePublicKey(unhex(t, example.public))
	require.NoError(t, err)
	require.True(t, public.Verify(DefaultID, []byte(example.message), sig))
	require.True(t, public.VerifyDigest(e, sig))
}

// The curve's numbers stand in this package as bytes; gmsm's are the oracle.
func TestCurve(t *testing.T) {
	params := gmsm.P256().Params()
	require.Equal(t, params.N.Bytes(), order[:])
	a := new(big.Int).Sub(params.P, big.NewInt(3))
	require.Equal(t, bytes.Join([][]byte{a.Bytes(), params.B.Bytes(), params.Gx.Bytes(), params.Gy.Bytes()}, nil), curve[:])
}

// TestZ holds it against gmsm's for identifiers up to the longest.
func TestZ(t *testing.T) {
	key := newKey(t)
	for _, id := range []string{"", "a", DefaultID, "ALICE123@YAHOO.COM", "嘉陵", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", maxID)} {
		want, err := gmsm.CalculateZA(key.Public().Key(), []byte(id))
		require.NoError(t, err)
		got, err := key.Public().Z(id)
		require.NoError(t, err)
		require.Equal(t, want, got[:], "%d bytes", len(id))
	}
	tooLong := strings.Repeat("x", maxID+1)
	_, err := key.Public().Z(tooLong)
	require.ErrorIs(t, err, errID)
	_, err = key.Sign(rand.Reader, tooLong, nil)
	require.ErrorIs(t, err, errID)
	sig, err := key.Sign(rand.Reader, DefaultID, nil)
	require.NoError(t, err)
	require.False(t, key.Public().Verify(tooLong, nil, sig))
}

func TestVerifyRefuses(t *testing.T) {
	key, other := newKey(t), newKey(t)
	msg := []byte("一手交钱，一手交货")
	sig, err := key.Sign(rand.Reader, DefaultID, msg)
	require.NoError(t, err)
	require.True(t, key.Public().Verify(DefaultID, msg, sig))
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	with := func(r, s *big.Int) []byte { return append(word(r), word(s)...) }
	zero, top := new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	above := new(big.Int).Add(n, big.NewInt(1))
	otherSig, err := other.Sign(rand.Reader, DefaultID, msg)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		key      *PrivateKey
		id       string
		msg, sig []byte
	}{
		"another identifier":       {key, "ALICE123@YAHOO.COM", msg, sig},
		"no identifier":            {key, "", msg, sig},
		"another message":          {key, DefaultID, msg[1:], sig},
		"no message":               {key, DefaultID, nil, sig},
		"a longer message":         {key, DefaultID, append(bytes.Clone(msg), 0), sig},
		"another's key":            {other, DefaultID, msg, sig},
		"another's signature":      {key, DefaultID, msg, otherSig},
		"r and s swapped":          {key, DefaultID, msg, with(s, r)},
		"r = 0":                    {key, DefaultID, msg, with(zero, s)},
		"s = 0":                    {key, DefaultID, msg, with(r, zero)},
		"both 0":                   {key, DefaultID, msg, make([]byte, 64)},
		"r = n":                    {key, DefaultID, msg, with(n, s)},
		"s = n":                    {key, DefaultID, msg, with(r, n)},
		"r = n+1":                  {key, DefaultID, msg, with(above, s)},
		"s = n+1":                  {key, DefaultID, msg, with(r, above)},
		"r = 2^256-1":              {key, DefaultID, msg, with(top, s)},
		"s = 2^256-1":              {key, DefaultID, msg, with(r, top)},
		"r + s = n":                {key, DefaultID, msg, with(r, new(big.Int).Sub(n, r))},
		"n - s, as ECDSA takes it": {key, DefaultID, msg, with(r, new(big.Int).Sub(n, s))},
		"n - r":                    {key, DefaultID, msg, with(new(big.Int).Sub(n, r), s)},
		"no signature":             {key, DefaultID, msg, nil},
		"a byte short":             {key, DefaultID, msg, sig[:63]},
		"a byte long":              {key, DefaultID, msg, append(bytes.Clone(sig), 0)},
		"a byte before":            {key, DefaultID, msg, append([]byte{0}, sig...)},
	} {
		require.False(t, c.key.Public().Verify(c.id, c.msg, c.sig), name)
		e, err := c.key.Public().Digest(c.id, c.msg)
		require.NoError(t, err)
		require.False(t, c.key.Public().VerifyDigest(e, c.sig), name)
	}
}

// Where r < p-n, r and r+n are one number modulo n: only the first is a signature. The message is chosen by its digest, e = r - x(kG).
func TestVerifyTakesOneFormOfR(t *testing.T) {
	key, k := newKey(t), big.NewInt(7)
	point, err := ParsePrivateKey(word(k))
	require.NoError(t, err)
	x := new(big.Int).SetBytes(point.Public().Bytes()[:32])
	r := big.NewInt(5)
	e := [32]byte(word(new(big.Int).Mod(new(big.Int).Sub(r, x), n)))
	sig, err := key.SignDigest(nonce{word(k)}, e)
	require.NoError(t, err)
	require.Equal(t, word(r), sig[:32])
	require.True(t, key.Public().VerifyDigest(e, sig))
	require.False(t, key.Public().VerifyDigest(e, append(word(new(big.Int).Add(r, n)), sig[32:]...)))
}

func TestParsePublicKey(t *testing.T) {
	good := newKey(t).Public().Bytes()
	x, y := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
	point := func(x, y *big.Int) []byte { return append(word(x), word(y)...) }
	smallX, smallY := pointOfSmallX(t)
	_, err := ParsePublicKey(point(smallX, smallY))
	require.NoError(t, err)
	mirrored, err := ParsePublicKey(point(x, new(big.Int).Sub(p, y)))
	require.NoError(t, err, "the point with the other y is on the curve too")
	require.NotEqual(t, good, mirrored.Bytes())
	for name, bad := range map[string][]byte{
		"nothing": nil, "a byte short": good[:63], "a byte long": append(bytes.Clone(good), 0), "the standards' 65 bytes": append([]byte{4}, good...),
		"compressed": append([]byte{2}, good[:32]...), "a private key's length": good[:32],
		"the point at infinity": make([]byte, 64), "not on the curve": point(x, new(big.Int).Add(y, big.NewInt(1))), "x and y swapped": point(y, x),
		"y = 0": point(x, new(big.Int)), "x = p": point(p, y), "y = p": point(x, p),
		"x + p": point(new(big.Int).Add(smallX, p), smallY), "all ones": bytes.Repeat([]byte{0xff}, 64),
		"P-256's generator": unhex(t, "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
	} {
		key, err := ParsePublicKey(bad)
		require.ErrorIs(t, err, ErrPublicKey, name)
		require.Nil(t, key, name)
	}
}

// pointOfSmallX is a point of the curve whose x+p fits into 32 bytes as well.
func pointOfSmallX(t *testing.T) (x, y *big.Int) {
	for x := big.NewInt(1); x.BitLen() < 10; x.Add(x, big.NewInt(1)) {
		if y := new(big.Int).ModSqrt(equation(x), p); y != nil {
			require.LessOrEqual(t, new(big.Int).Add(x, p).BitLen(), 256)
			return x, y
		}
	}
	t.Fatal("no point has a small x")
	return nil, nil
}

// equation is y² of the curve's points at x: x³ − 3x + b.
func equation(x *big.Int) *big.Int {
	cube := new(big.Int).Exp(x, big.NewInt(3), p)
	return cube.Sub(cube, new(big.Int).Mul(x, big.NewInt(3))).Add(cube, gmsm.P256().Params().B).Mod(cube, p)
}

func TestParsePrivateKey(t *testing.T) {
	for _, good := range []*big.Int{big.NewInt(1), new(big.Int).Sub(n, big.NewInt(2))} {
		key, err := ParsePrivateKey(word(good))
		require.NoError(t, err)
		require.Equal(t, word(good), key.Bytes())
		same, err := ecdh.P256().NewPrivateKey(word(good))
		require.NoError(t, err)
		require.Equal(t, same.PublicKey().Bytes()[1:], key.Public().Bytes())
		sig, err := key.Sign(rand.Reader, DefaultID, []byte("m"))
		require.NoError(t, err)
		require.True(t, key.Public().Verify(DefaultID, []byte("m"), sig))
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "short": make([]byte, 31), "long": append(make([]byte, 32), 1), "0": make([]byte, 32),
		"n-1, where 1+d has no inverse": word(new(big.Int).Sub(n, big.NewInt(1))), "n": order[:], "all ones": bytes.Repeat([]byte{0xff}, 32),
	} {
		_, err := ParsePrivateKey(bad)
		require.Error(t, err, name)
	}
}

func TestGenerateKey(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, 48)
	a, err := GenerateKey(bytes.NewReader(seed))
	require.NoError(t, err)
	b, err := GenerateKey(bytes.NewReader(seed))
	require.NoError(t, err)
	require.Equal(t, a.Bytes(), b.Bytes())
	for _, short := range []int{0, 32, 47} {
		_, err := GenerateKey(bytes.NewReader(seed[:short]))
		require.Error(t, err, "%d bytes", short)
	}
	// The ends of the range: what is drawn modulo n-2, and one more.
	m := new(big.Int).Sub(n, big.NewInt(2))
	for drawn, want := range map[*big.Int]*big.Int{new(big.Int): big.NewInt(1), m: big.NewInt(1), new(big.Int).Sub(m, big.NewInt(1)): m} {
		key, err := GenerateKey(bytes.NewReader(drawn.FillBytes(make([]byte, 48))))
		require.NoError(t, err)
		require.Equal(t, word(want), key.Bytes())
	}
}

// TestAgainstGMSM: what one signs the other verifies, under any identifier and over any message.
func TestAgainstGMSM(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := newKey(t)
		id := string(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "id"))
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "msg")
		sig, err := key.Sign(rand.Reader, id, msg)
		require.NoError(t, err)
		require.True(t, key.Public().Verify(id, msg, sig))
		require.False(t, key.Public().Verify(id+"x", msg, sig))
		require.False(t, key.Public().Verify(id, append(msg, 1), sig))
		der, err := EncodeDER(sig)
		require.NoError(t, err)
		require.True(t, gmsm.VerifyASN1WithSM2(key.Public().Key(), []byte(id), msg, der))

		der, err = key.Key().SignWithSM2(rand.Reader, []byte(id), msg)
		require.NoError(t, err)
		sig, err = DecodeDER(der)
		require.NoError(t, err)
		require.True(t, key.Public().Verify(id, msg, sig))
	})
}

// TestVerifyAgainstGMSM: any 64 bytes and any digest are a signature to both or to neither.
func TestVerifyAgainstGMSM(t *testing.T) {
	key := newKey(t)
	// Numbers at the ends of the ranges, where a comparison may be wrong by one.
	edge := rapid.Custom(func(t *rapid.T) []byte {
		v := new(big.Int).Set(rapid.SampledFrom([]*big.Int{new(big.Int), n, p, big.NewInt(1 << 30)}).Draw(t, "near"))
		v.Add(v, big.NewInt(rapid.Int64Range(-3, 3).Draw(t, "off")))
		if v.Sign() < 0 {
			v.SetInt64(0)
		}
		return word(v)
	})
	number := rapid.OneOf(edge, rapid.SliceOfN(rapid.Byte(), 32, 32))
	rapid.Check(t, func(t *rapid.T) {
		e := [32]byte(number.Draw(t, "e"))
		r, s := number.Draw(t, "r"), number.Draw(t, "s")
		if rapid.Bool().Draw(t, "signed") {
			sig, err := key.SignDigest(rand.Reader, e)
			require.NoError(t, err)
			r, s = sig[:32], sig[32:]
		}
		want := gmsm.Verify(key.Public().Key(), e[:], new(big.Int).SetBytes(r), new(big.Int).SetBytes(s))
		require.Equal(t, want, key.Public().VerifyDigest(e, append(bytes.Clone(r), s...)))
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(unhex(f, example.public))
	f.Add(make([]byte, 64))
	f.Add(curve[64:])
	f.Add(append(p.Bytes(), curve[96:]...))
	sig := unhex(f, example.sig)
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ParsePublicKey(b)
		if err != nil {
			require.ErrorIs(t, err, ErrPublicKey)
			return
		}
		require.Equal(t, b, key.Bytes())
		x, y := new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:])
		require.True(t, x.Cmp(p) < 0 && y.Cmp(p) < 0)
		require.Equal(t, equation(x), new(big.Int).Exp(y, big.NewInt(2), p))
		require.Equal(t, bytes.Equal(b, unhex(t, example.public)), key.Verify(DefaultID, []byte(example.message), sig))
	})
}
