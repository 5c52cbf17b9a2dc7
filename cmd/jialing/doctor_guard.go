package main

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// stakeStatus is jl_nodeStatus's "stake".
type stakeStatus struct {
	Validator  chain.ValidatorID `json:"validator"`
	Epoch      uint64            `json:"epoch"`
	BlocksLeft uint64            `json:"blocksLeft"`
	Seat       bool              `json:"seat"`
	Attended   bool              `json:"attended"`
	Tombstoned bool              `json:"tombstoned"`
	Operator   *common.Address   `json:"operator"`
	Problem    string            `json:"problem"`
}

// ruleAbstains: a validator that may have forgotten what it signed follows, and says so.
func ruleAbstains(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Abstains == nil {
			return nil
		}
		return &finding{ailing, "abstains", n.name + " signs nothing: it may have forgotten what its key has signed", *s.Abstains,
			"Nothing need be done if its data was restored or copied: it signs again with the first block that is decided more than 20 seconds after its start. See that the other " +
				"validators make blocks, and that no other node has its key. If every validator was started from a copy, see docs/slashing.md."}
	})
}

// ruleAttendance: a seat that shows itself in no block of its epoch earns nothing for it and may be jailed.
func ruleAttendance(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		st := s.Stake
		if st == nil || !st.Seat || st.Attended || st.Tombstoned {
			return nil
		}
		evidence := fmt.Sprintf("epoch %d ends in %d blocks", st.Epoch, st.BlocksLeft)
		if st.Operator == nil {
			return &finding{ailing, "attendance", n.name + " has a seat and has not shown in this epoch that it is present: it will earn nothing and may be jailed", evidence,
				`Let "jialing stake attend" run beside the node, or name an account under [stake] in its node.toml; see docs/stake.md.`}
		}
		if st.Problem == "" {
			return nil // it is about to
		}
		return &finding{ailing, "attendance", n.name + " has a seat and cannot show that it is present: it will earn nothing and may be jailed", evidence + "\n" + st.Problem,
			"See to it that its account " + st.Operator.Hex() + " has the gas for it."}
	})
}

// ruleTombstoned: a slashed validator never stands again.
func ruleTombstoned(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Stake == nil || !s.Stake.Tombstoned {
			return nil
		}
		return &finding{ailing, "slashed", n.name + " was slashed for contradicting itself and never stands again", fmt.Sprintf("validator %d is tombstoned", s.Stake.Validator),
			"Find out who else had its key. A new validator needs a new key and a new account: docs/slashing.md."}
	})
}
