package eth

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
)

// StakeStatus is what a node knows of its own stake. Its JSON form is jl_nodeStatus's "stake".
type StakeStatus struct {
	Validator chain.ValidatorID `json:"validator"`
	Epoch     uint64            `json:"epoch"`
	// BlocksLeft are those of the epoch that are still to come.
	BlocksLeft uint64 `json:"blocksLeft"`
	// Seat tells whether it has one now, Attended whether it has shown in this epoch that it is present.
	Seat     bool `json:"seat"`
	Attended bool `json:"attended"`
	// Jailed and Tombstoned are the contract's words.
	Jailed     bool `json:"jailed"`
	Tombstoned bool `json:"tombstoned"`
	// Operator is the account that acts for the node; nil where it has none. Problem says why it cannot; empty when it can.
	Operator *common.Address `json:"operator"`
	Problem  string          `json:"problem,omitempty"`
}
