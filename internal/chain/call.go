package chain

import (
	"encoding/json"
	"errors"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
)

// Call is a message that is run without a signature: eth_call, eth_estimateGas, a simulation or a trace. Nil means "not given".
type Call struct {
	From  common.Address
	To    *common.Address
	Gas   *uint64
	Nonce *uint64
	// GasPrice excludes FeeCap and TipCap.
	GasPrice, FeeCap, TipCap *uint256.Int
	Value                    *uint256.Int
	Data                     []byte
	AccessList               types.AccessList
	Authorizations           []types.SetCodeAuthorization
}

// AccountOverride replaces parts of an account for one call. Storage (all slots) excludes StorageDiff (some).
type AccountOverride struct {
	Nonce            *uint64
	Balance          *uint256.Int
	Code             *[]byte
	Storage          map[common.Hash]common.Hash
	StorageDiff      map[common.Hash]common.Hash
	MovePrecompileTo *common.Address
}

// BlockOverride replaces parts of the block context for one call.
type BlockOverride struct {
	Number, Time, GasLimit *uint64
	Coinbase               *common.Address
	Prevrandao             *common.Hash
	BaseFee                *uint256.Int
}

// CallContext is where a call runs: after a block, with overrides.
type CallContext struct {
	// Header is the block whose state State is; the call sees its number, time and fees.
	Header *Header
	State  State
	// BlockHash answers BLOCKHASH for heights below Header's. Safe for concurrent use.
	BlockHash func(height uint64) common.Hash
	Accounts  map[common.Address]AccountOverride
	Block     *BlockOverride
}

// CallResult is what a call did.
type CallResult struct {
	Return  []byte
	GasUsed uint64
	// MaxGasUsed is the most that was in use at once, refunds not deducted. Simulations only.
	MaxGasUsed uint64
	Logs       []*types.Log
	// Err is why the call failed inside the EVM: a *RevertError or one of the EVM's own errors. Nil on success.
	Err error
}

// RevertError is a call that reverted. It carries the fields that clients decode: JSON-RPC code 3 and the data as one hex string.
type RevertError struct{ Data []byte }

// Error is "execution reverted", with the reason where the data is Solidity's Error(string) or Panic(uint256).
func (e *RevertError) Error() string {
	if reason, err := abi.UnpackRevert(e.Data); err == nil {
		return "execution reverted: " + reason
	}
	return "execution reverted"
}

// ErrCallTimeout is a call that ran into the node's time cap.
var ErrCallTimeout = errors.New("execution aborted (timeout)")

// AccessListResult is eth_createAccessList's.
type AccessListResult struct {
	AccessList types.AccessList
	GasUsed    uint64
	Err        error
}

// SimulatedBlock is one block of an eth_simulateV1 request.
type SimulatedBlock struct {
	Block    *BlockOverride
	Accounts map[common.Address]AccountOverride
	Calls    []Call
}

// SimulationOptions are eth_simulateV1's switches.
type SimulationOptions struct {
	// TraceTransfers adds a log of ERC-20's shape for every transfer of ether.
	TraceTransfers bool
	// Validation applies nonce, balance and fee checks as to real transactions.
	Validation bool
}

// SimulationError is a simulation that cannot be: a block or call out of bounds or order, or a call that no block could hold.
type SimulationError struct {
	// Code is the JSON-RPC error code of eth_simulateV1 (ethereum/execution-apis).
	Code   int
	Reason string
}

// Error is the reason.
func (e *SimulationError) Error() string { return e.Reason }

// ErrorCode is the JSON-RPC error code.
func (e *SimulationError) ErrorCode() int { return e.Code }

// SimulatedResult is one simulated block: a complete header with the results of its calls.
type SimulatedResult struct {
	Header *Header
	// Txs are the calls as unsigned transactions, with their senders.
	Txs     []*types.Transaction
	Senders []common.Address
	Results []CallResult
}

// Replay is a block that is run again, on its parent's state.
type Replay struct {
	Block *Block
	// State is the one before the block.
	State State
	// BlockHash answers BLOCKHASH for heights below the block. Safe for concurrent use.
	BlockHash func(height uint64) common.Hash
}

// TraceOptions choose a tracer. Tracer "" is the struct logger.
type TraceOptions struct {
	Tracer       string
	TracerConfig json.RawMessage
	// Logger is the struct logger's configuration (geth's logger.Config as JSON).
	Logger json.RawMessage
}
