package bft

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
)

// TestOnGM runs the tests of proofs once more on a chain of that suite.
func TestOnGM(t *testing.T) {
	before := suite
	suite = gm.Suite{}
	t.Cleanup(func() { suite = before })
	for name, test := range map[string]func(*testing.T){
		"VerifyDecision":        TestVerifyDecision,
		"VerifyDecisionRefuses": TestVerifyDecisionRefuses,
		"Checkpoint":            TestCheckpoint,
		"Evidence":              TestEvidence,
		"NewViewIsChecked":      TestNewViewIsChecked,
	} {
		t.Run(name, test)
	}
}
