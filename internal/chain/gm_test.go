package chain_test

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
)

// TestOnGM runs the tests in which the suite signs and hashes once more, by SM2 and SM3.
func TestOnGM(t *testing.T) {
	before := suite
	suite = gm.Suite{}
	t.Cleanup(func() { suite = before })
	for name, test := range map[string]func(*testing.T){
		"CertificateVerify":   TestCertificateVerify,
		"RefusedCertificates": TestRefusedCertificates,
		"Equivocation":        TestEquivocation,
	} {
		t.Run(name, test)
	}
}
