package intl_test

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/cryptotest"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func TestSuite(t *testing.T) {
	cryptotest.Run(t, intl.Suite{}, cryptotest.Vectors{
		Hashes: []cryptotest.HashVector{{Source: "FIPS 180-4, SHA-256 of one block", Message: "616263",
			Digest: "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad"}},
		Signatures: []cryptotest.SignatureVector{{Source: "RFC 8032, 7.1, test 2", Deterministic: true, Message: "72",
			Private:   "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			Public:    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
			Signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"}},
		Seals: []cryptotest.SealVector{{Source: "McGrew and Viega's specification of GCM, test case 16", Nonce: "cafebabefacedbaddecaf888",
			Key:     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
			Context: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
			Plain:   "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			Sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
				"76fc6ece0f4e1768cddf8853bb2d551b"}},
	})
}
