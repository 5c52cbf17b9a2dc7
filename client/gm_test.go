package client_test

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// TestOnGM verifies once more what the tests of evidence and handovers make, on chains of that suite.
func TestOnGM(t *testing.T) {
	withSuite(t, gm.Suite{})
	for name, test := range map[string]func(*testing.T){
		"TrustFromGenesisAgreesWithTheNode": TestTrustFromGenesisAgreesWithTheNode,
		"TrustFromGenesisAgreesOnAnyAlloc":  TestTrustFromGenesisAgreesOnAnyAlloc,
		"VerifyTellsWhatIsProven":           TestVerifyTellsWhatIsProven,
		"VerifyRefusesEveryAlteredValue":    TestVerifyRefusesEveryAlteredValue,
		"VerifyRefusesForgedProofs":         TestVerifyRefusesForgedProofs,
		"ParseProofHasOneForm":              TestParseProofHasOneForm,
		"TrustRefusesWhatCannotBe":          TestTrustRefusesWhatCannotBe,
		"ProofsHoldAcrossChangesOfTheSet":   TestProofsHoldAcrossChangesOfTheSet,
		"EveryByteOfAHandoverCounts":        TestEveryByteOfAHandoverCounts,
		"FollowRefusesForgedHandovers":      TestFollowRefusesForgedHandovers,
		"FollowThroughCycles":               TestFollowThroughCycles,
		"ALaterTrustNeedsNoEarlierChange":   TestALaterTrustNeedsNoEarlierChange,
		"VerifyCertificate":                 TestVerifyCertificate,
		"AnyHistoryOfSets":                  TestAnyHistoryOfSets,
	} {
		t.Run(name, test)
	}
}

// otherSuite is the word for the one that the ledgers are not of.
func otherSuite() string {
	if on := (gm.Suite{}).Name(); suite.Name() != on {
		return on
	}
	return intl.Suite{}.Name()
}
