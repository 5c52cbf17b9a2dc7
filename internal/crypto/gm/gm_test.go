package gm_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm4"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/cryptotest"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
)

func TestSuite(t *testing.T) {
	cryptotest.Run(t, gm.Suite{}, cryptotest.Vectors{
		Hashes: []cryptotest.HashVector{
			{Source: "GB/T 32905, A.1", Message: "616263", Digest: "66c7f0f4 62eeedd9 d1f2d46b dc10e4e2 4167c487 5cf2f7a2 297da02b 8f4ba8e0"},
			{Source: "GB/T 32905, A.2", Message: strings.Repeat("61626364", 16),
				Digest: "debe9ff9 2275b8a1 38604889 c18e5a4d 6fdb70e5 387e5765 293dcba3 9c0c5732"},
		},
		Signatures: []cryptotest.SignatureVector{{Source: "GB/T 32918.5, A.2",
			Private:   "3945208f 7b2144b1 3f36e38a c6d39f95 88939369 2860b51a 42fb81ef 4df7c5b8",
			Public:    "09f9df31 1e5421a1 50dd7d16 1e4bc5c6 72179fad 1833fc07 6bb08ff3 56f35020 ccea490c e26775a5 2dc6ea71 8cc1aa60 0aed05fb f35e084a 6632f607 2da9ad13",
			Message:   hex.EncodeToString([]byte("message digest")),
			Signature: "f5a03b06 48d2c463 0eeac513 e1bb81a1 5944da38 27d5b741 43ac7eac eee720b3 b1b6aa29 df212fd8 763182bc 0d421ca1 bb9038fd 1f7f42d4 840b69c4 85bbc1aa"}},
		Seals: []cryptotest.SealVector{{Source: "RFC 8998, A.1", Key: "0123456789abcdeffedcba9876543210", Nonce: "00001234567800000000abcd",
			Context: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
			Plain:   "aaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbb cccccccccccccccc dddddddddddddddd eeeeeeeeeeeeeeee ffffffffffffffff eeeeeeeeeeeeeeee aaaaaaaaaaaaaaaa",
			Sealed: "17f399f08c67d5ee 19d0dc9969c4bb7d 5fd46fd375648906 9157b282bb200735 d82710ca5c22f0cc fa7cbf93d496ac15 a56834cbcf98c397 b4024a2691233b8d" +
				"83de3541e4c2b581 77e065a9bf7b62ec"}},
	})
}

// The block cipher below the AEAD: GB/T 32907, A.1 and, a million times over, A.2.
func TestSM4(t *testing.T) {
	text, err := hex.DecodeString("0123456789abcdeffedcba9876543210")
	require.NoError(t, err)
	block, err := sm4.NewCipher(text)
	require.NoError(t, err)
	block.Encrypt(text, text)
	require.Equal(t, "681edf34d206965e86b3e94f536e4246", hex.EncodeToString(text))
	for range 999_999 {
		block.Encrypt(text, text)
	}
	require.Equal(t, "595298c7c6fd271f0402f804c33d3f66", hex.EncodeToString(text))
}
