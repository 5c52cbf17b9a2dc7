package govern_test

import (
	"testing"

	"github.com/jialing-chain/jialing/internal/crypto/gm"
)

// TestOnGM runs the tests of the contract with keys of 64 bytes, and of the tracker, once more on a chain of that suite.
func TestOnGM(t *testing.T) {
	before, size := suite, keySize
	suite, keySize = gm.Suite{}, 64
	t.Cleanup(func() { suite, keySize = before, size })
	for name, test := range map[string]func(*testing.T){
		"FoundingStorageIsTheContracts":          TestFoundingStorageIsTheContracts,
		"AddingTakesAQuorum":                     TestAddingTakesAQuorum,
		"RemovedValidatorsVotesDoNotCount":       TestRemovedValidatorsVotesDoNotCount,
		"OneChangePerBlock":                      TestOneChangePerBlock,
		"ChangingTheOwnEntryTakesVotes":          TestChangingTheOwnEntryTakesVotes,
		"OpenProposalsAreBounded":                TestOpenProposalsAreBounded,
		"Settled":                                TestSettled,
		"RegisteringTakesAQuorum":                TestRegisteringTakesAQuorum,
		"ASetRulesSixtyFourBlocksAfterItsChange": TestASetRulesSixtyFourBlocksAfterItsChange,
		"ChangesOneAfterTheOther":                TestChangesOneAfterTheOther,
		"FoundingStakeIsTheContracts":            TestFoundingStakeIsTheContracts,
		"Registering":                            TestRegistering,
		"Attendance":                             TestAttendance,
		"Slashing":                               TestSlashing,
		"ForgedEvidence":                         TestForgedEvidence,
		"FormerKeys":                             TestFormerKeys,
		"FromVotesToStakeAndBack":                TestFromVotesToStakeAndBack,
	} {
		t.Run(name, test)
	}
}
