package sm2

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// numbers are all lengths of r and s that DER tells apart, and any between.
var numbers = rapid.Custom(func(t *rapid.T) *big.Int {
	size := rapid.IntRange(1, 32).Draw(t, "bytes")
	v := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "number"))
	return v.Mod(v, new(big.Int).Sub(n, big.NewInt(1))).Add(v, big.NewInt(1))
})

// TestDER holds both directions against encoding/asn1.
func TestDER(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, s := numbers.Draw(t, "r"), numbers.Draw(t, "s")
		sig := append(word(r), word(s)...)
		der, err := EncodeDER(sig)
		require.NoError(t, err)
		want, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		require.NoError(t, err)
		require.Equal(t, want, der)
		back, err := DecodeDER(der)
		require.NoError(t, err)
		require.Equal(t, sig, back)
	})
}

func TestEncodeDERRefuses(t *testing.T) {
	one := word(big.NewInt(1))
	for name, bad := range map[string][]byte{
		"nothing": nil, "short": make([]byte, 63), "long": append(append(one, one...), 0), "r = 0": append(make([]byte, 32), one...),
		"s = 0": append(bytes.Clone(one), make([]byte, 32)...), "r = n": append(bytes.Clone(order[:]), one...), "s = n": append(bytes.Clone(one), order[:]...),
	} {
		_, err := EncodeDER(bad)
		require.ErrorIs(t, err, ErrSignature, name)
	}
	last := word(new(big.Int).Sub(n, big.NewInt(1)))
	der, err := EncodeDER(append(bytes.Clone(last), last...))
	require.NoError(t, err)
	require.Len(t, der, maxDER)
}

func TestDecodeDERRefuses(t *testing.T) {
	const good = "3006020101020102"
	sig, err := DecodeDER(unhex(t, good))
	require.NoError(t, err)
	require.Equal(t, append(word(big.NewInt(1)), word(big.NewInt(2))...), sig)
	order := unhex(t, "022100fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123")
	for name, bad := range map[string][]byte{
		"nothing":                  nil,
		"a tag alone":              {0x30},
		"an empty sequence":        {0x30, 0},
		"a set":                    unhex(t, "3106020101020102"),
		"one number":               unhex(t, "3003020101"),
		"three numbers":            unhex(t, "3009020101020102020103"),
		"a byte after it":          unhex(t, good+"00"),
		"a byte in it":             unhex(t, "300702010102010200"),
		"a length too short":       unhex(t, "3005020101020102"),
		"a length too long":        unhex(t, "3007020101020102"),
		"a length in two bytes":    unhex(t, "308106020101020102"),
		"an indefinite length":     unhex(t, "30800201010201020000"),
		"an integer's long length": unhex(t, "300702810101020102"),
		"r with a zero too many":   unhex(t, "300702020001020102"),
		"s with a zero too many":   unhex(t, "300702010102020001"),
		"r negative":               unhex(t, "3006020181020102"),
		"s negative":               unhex(t, "3006020101020180"),
		"r = 0":                    unhex(t, "3006020100020102"),
		"s = 0":                    unhex(t, "3006020101020100"),
		"r of no byte":             unhex(t, "30050200020102"),
		"s of no byte":             unhex(t, "30050201010200"),
		"s cut off":                unhex(t, "3006020101020202"),
		"r beyond the sequence":    unhex(t, "3006027f01020102"),
		"s is no integer":          unhex(t, "3006020101040102"),
		"r is no integer":          unhex(t, "3006030101020102"),
		"r = n":                    append(append([]byte{0x30, 38}, order...), 2, 1, 2),
		"s = n":                    append([]byte{0x30, 38, 2, 1, 1}, order...),
		"r of 34 bytes":            append(append([]byte{0x30, 39, 2, 34, 0, 0xff}, order[3:]...), 2, 1, 2),
		"r of 33 full bytes":       append(append([]byte{0x30, 38, 2, 33, 1}, order[3:]...), 2, 1, 2),
		"longer than any":          append([]byte{0x30, maxDER - 1}, make([]byte, maxDER-1)...),
	} {
		out, err := DecodeDER(bad)
		require.ErrorIs(t, err, ErrSignature, name)
		require.Nil(t, out, name)
	}
}

func FuzzDecodeDER(f *testing.F) {
	for _, seed := range []string{"", "3006020101020102", "300702020001020102", "3006020181020102", "308106020101020102"} {
		f.Add(unhex(f, seed))
	}
	der, err := EncodeDER(unhex(f, example.sig))
	require.NoError(f, err)
	f.Add(der)
	f.Fuzz(func(t *testing.T, b []byte) {
		sig, err := DecodeDER(b)
		if err != nil {
			require.ErrorIs(t, err, ErrSignature)
			return
		}
		again, err := EncodeDER(sig)
		require.NoError(t, err)
		require.Equal(t, b, again, "a signature has one DER form")
		var numbers struct{ R, S *big.Int }
		rest, err := asn1.Unmarshal(b, &numbers)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, sig, append(word(numbers.R), word(numbers.S)...))
	})
}
