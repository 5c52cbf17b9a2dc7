package attest

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
		"SingleSignerFinalizesAtOnce":          TestSingleSignerFinalizesAtOnce,
		"QuorumGathersBeforeAndAfterExecution": TestQuorumGathersBeforeAndAfterExecution,
		"DivergenceHalts":                      TestDivergenceHalts,
		"NeverSignsTwiceAtAHeight":             TestNeverSignsTwiceAtAHeight,
		"Refuses":                              TestRefuses,
		"FollowerSignsNothing":                 TestFollowerSignsNothing,
		"VerifiesNoMoreThanTheQuorumNeeds":     TestVerifiesNoMoreThanTheQuorumNeeds,
		"LateJoinerIsToldWhatItMissed":         TestLateJoinerIsToldWhatItMissed,
		"LargestCertificateFits":               TestLargestCertificateFits,
	} {
		t.Run(name, test)
	}
}
