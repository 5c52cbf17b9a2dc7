package intl

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/cryptotest"
)

func TestContract(t *testing.T) { cryptotest.Run(t, Suite{}) }

// Vectors: FIPS 180-4 "abc"; RFC 8032 section 7.1, test 2.
func TestStandardVectors(t *testing.T) {
	require.Equal(t, "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Suite{}.Sum([]byte("abc")).String())

	seed, _ := hex.DecodeString("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
	key, err := Suite{}.ParsePrivateKey(seed)
	require.NoError(t, err)
	require.Equal(t, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", hex.EncodeToString(key.Public().Bytes()))
	sig, err := key.Sign([]byte{0x72})
	require.NoError(t, err)
	require.Equal(t, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00", hex.EncodeToString(sig))
}
