package govern

import (
	_ "embed"
	"encoding/json"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// Address is where the contract Validators is on every chain with a networked engine: above Ethereum's precompiles (which end at 0x0100), where no key
// and no deployment leads.
var Address = common.HexToAddress("0x0000000000000000000000000000000000001001")

// ApplyGas is what the vote that applies a proposal costs at the most, beyond one that does not. Whoever estimates a vote's gas adds it: another
// vote may come first, and then the estimated one applies the proposal.
const ApplyGas = 2_500_000

// What the contract allows; its constants of these names say the same.
const (
	// MinMembers is what bears one fault.
	MinMembers = 4
	// MaxMembers bounds what every node reads after a change (some 1,300 slots) and what a vote counts. Consensus, whose traffic grows with the
	// square, becomes slow long before.
	MaxMembers = 128
	// MaxKey, MaxName (64 characters of four bytes) and MaxEndpoint (a host name's limit) are in bytes.
	MaxKey      = 128
	MaxName     = 256
	MaxEndpoint = 255
)

//go:embed contract/artifacts/Validators.json
var artifact []byte

// contract is the artifact that apps/build.mjs makes of contract/Validators.sol.
var contract = sync.OnceValue(func() *compiled {
	c := new(compiled)
	if err := json.Unmarshal(artifact, c); err != nil || len(c.Code) == 0 {
		panic("govern: the embedded contract cannot be read") // it is part of the program and its tests
	}
	return c
})

type compiled struct {
	ABI  abi.ABI       `json:"abi"`
	Code hexutil.Bytes `json:"deployedBytecode"`
}

// ABI is the contract's interface. Callers must not alter it.
func ABI() *abi.ABI { return &contract().ABI }

// Code is the contract as it runs. Callers must not alter it.
func Code() []byte { return contract().Code }
