package pow

import (
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func sample() *Header {
	h := &Header{Chain: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Height: 0x1112131415161718, Anchor: 0x21, ParentTime: 0x22, Time: 0x23, Bits: 0x1f00ffff, Extra: 0x3132333435363738,
		Nonce: 0x4142434445464748}
	for i := range h.Parent {
		h.Parent[i], h.Decision[i], h.Executed[i] = byte(i), byte(0x40+i), byte(0x80+i)
	}
	h.Work.SetFromBig(new(big.Int).SetBytes([]byte{0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}))
	return h
}

// TestHeaderGolden pins the encoding and its hashes: another one is another chain.
func TestHeaderGolden(t *testing.T) {
	const want = "00000001" + "0102030405060708" + "1112131415161718" +
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
		"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f" +
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f" +
		"0000000000000021" + "0000000000000022" + "0000000000000023" + "1f00ffff" + "f00102030405060708090a0b0c0d0e0f" +
		"3132333435363738" + "4142434445464748"
	b := sample().Encode()
	require.Equal(t, want, hex.EncodeToString(b))
	require.Len(t, b, HeaderSize)
	back, err := DecodeHeader(b)
	require.NoError(t, err)
	require.Equal(t, sample(), back)
	for _, c := range []struct {
		suite      crypto.Suite
		hash, root string
	}{
		{intl.Suite{}, "0x4096959e6c32ba9e768c5f3ad2be1827971b2b260a124c1d77b558a4e78fbb02", "0x89e38bdf6a4f372994640192cdcd263c42e29d9f09c2577a8db9568ac93ce894"},
		{gm.Suite{}, "0x0cbffc9ee8bc032b121fd8d126058b30fd5845d985fd3b1e1f0e4b855d49a520", "0x286b140643ca72b73ac69523a85117ef7e0c1c0dd18c401d21bee29a150df715"},
	} {
		require.Equal(t, c.hash, Hash(c.suite, b).String(), c.suite.Name())
		require.Equal(t, c.root, Root(c.suite, crypto.Hash{7}).String(), c.suite.Name())
	}
}

func TestHeaderForm(t *testing.T) {
	b := sample().Encode()
	for name, bad := range map[string][]byte{"empty": nil, "short": b[:HeaderSize-1], "long": append(b[:HeaderSize:HeaderSize], 0), "another version": append([]byte{0, 0, 0, 2}, b[4:]...)} {
		_, err := DecodeHeader(bad)
		require.ErrorIs(t, err, errHeader, name)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(sample().Encode())
	f.Add(make([]byte, HeaderSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHeader(b)
		if err == nil {
			require.Equal(t, b, h.Encode())
		}
	})
}

func FuzzFrame(f *testing.F) {
	h := sample()
	f.Add(tipFrame(h))
	f.Add(askFrame([]place{{3, crypto.Hash{1}}, {0, crypto.Hash{2}}}))
	f.Add(headersFrame([][]byte{h.Encode(), h.Encode()}))
	f.Add(wantFrame([]crypto.Hash{{1}, {2}}))
	f.Add(blockFrame(&chain.Decision{Height: 1, Coinbase: [20]byte{1}, Proof: h.Encode()}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		switch b[0] {
		case frameAsk:
			if places, err := parseAsk(b[1:]); err == nil {
				require.Equal(t, b, askFrame(places))
			}
		case frameHeaders:
			if page, err := parseHeaders(b[1:]); err == nil {
				require.Equal(t, b, headersFrame(page))
			}
		case frameWant:
			if hashes, err := parseWant(b[1:]); err == nil {
				require.Equal(t, b, wantFrame(hashes))
			}
		case frameBlock:
			if d, err := parseBlock(b[1:]); err == nil {
				require.Equal(t, b, blockFrame(d))
			}
		}
	})
}

// TestWorth holds the work of a target against its definition in big integers.
func TestWorth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := new(uint256.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 32).Draw(t, "target"))
		if target.Eq(new(uint256.Int).Not(new(uint256.Int))) {
			return
		}
		want := new(big.Int).Lsh(big.NewInt(1), 256)
		want.Div(want, new(big.Int).Add(target.ToBig(), big.NewInt(1)))
		if want.BitLen() > 256 { // target 0
			return
		}
		require.Equal(t, want.String(), worth(target).Dec())
	})
}

// TestExpand holds targets against those of the genesis' package.
func TestExpand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0x02000000, 0x22ffffff)).Draw(t, "bits")
		want, ok := chain.CompactTarget(bits)
		got, can := expand(bits)
		require.Equal(t, ok, can, "%#08x", bits)
		if ok {
			require.Equal(t, want.String(), got.Dec(), "%#08x", bits)
		}
	})
}
