package eth

import (
	"context"
	"encoding/json"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Ledger is the durable chain. All methods are safe for concurrent use and answer for durable heights; heights above Head are never asked
// for. What they return must not be altered.
type Ledger interface {
	Head() *chain.Header
	Header(height uint64) (*chain.Header, error)
	// HeightOf finds a block by its hash; false when there is none.
	HeightOf(hash common.Hash) (uint64, bool, error)
	Block(height uint64) (*chain.Block, error)
	// Receipts have their derived fields filled.
	Receipts(height uint64) (types.Receipts, error)
	// Tx is nil for a transaction that is in no block.
	Tx(hash common.Hash) (*chain.TxLookup, error)
	// Receipt is nil for a transaction that is in no block.
	Receipt(hash common.Hash) (*chain.Receipt, error)
	// Excluded says in which decision a transaction was decided and why its block left it out; nil when that never happened.
	Excluded(hash common.Hash) (*chain.Exclusion, uint64, error)
	Exclusions(height uint64) ([]chain.Exclusion, error)
	// SetChanges lists the changes of the validator set that rule from height from or later, ascending, at most limit.
	SetChanges(from uint64, limit int) ([]chain.SetChange, error)
	// Decision is the decision of that height with the transactions it names; nil for height 0.
	Decision(height uint64) (*chain.Decision, chain.Txs, error)
	// Logs fails rather than return more than q.MaxResults.
	Logs(ctx context.Context, q chain.LogQuery) ([]*types.Log, error)
	// Certificate is nil while the block has none.
	Certificate(height uint64) (*chain.Certificate, error)
}

// States reads state at every retained height. Safe for concurrent use.
type States interface {
	// State fails with a sentence for clients when the height is no longer kept.
	State(height uint64) (chain.State, error)
	Prove(ctx context.Context, height uint64, addr common.Address, slots []common.Hash) (*chain.AccountProof, error)
}

// Pool holds what is not yet in a block. Safe for concurrent use. The errors of AddBatch reach clients as they are.
type Pool interface {
	AddBatch(ctx context.Context, raws [][]byte, local bool) ([]*chain.Tx, []error)
	// Get is nil for a transaction that is not in the pool.
	Get(hash common.Hash) *chain.Tx
	// PendingNonce is the next free nonce, counting what waits.
	PendingNonce(addr common.Address) (uint64, error)
	// Content lists pending (executable) and queued transactions by sender, in nonce order, whole accounts until there are max.
	Content(max int) (pending, queued map[common.Address][]*chain.Tx)
	ContentFrom(addr common.Address) (pending, queued []*chain.Tx)
	Status() (pending, queued int)
}

// Calls runs messages that change nothing. Safe for concurrent use; each ends early when ctx does.
type Calls interface {
	Call(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (*chain.CallResult, error)
	EstimateGas(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (uint64, error)
	AccessList(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (*chain.AccessListResult, error)
	Simulate(ctx context.Context, cc *chain.CallContext, blocks []chain.SimulatedBlock, opts chain.SimulationOptions, gasCap uint64) ([]chain.SimulatedResult, error)
	TraceCall(ctx context.Context, cc *chain.CallContext, call *chain.Call, opts chain.TraceOptions, gasCap uint64) (json.RawMessage, error)
	// TraceBlock gives a result for every transaction or, if only is not nil, for that one alone.
	TraceBlock(ctx context.Context, in *chain.Replay, only *int, opts chain.TraceOptions) ([]json.RawMessage, error)
	NextBaseFee(h *chain.Header) *big.Int
}

// Node is what the node knows beyond its ledger. Safe for concurrent use.
type Node interface {
	// Finalized is the last attested height.
	Finalized() uint64
	// Rule says who attests the block of that height, and how many of them have to.
	Rule(height uint64) (*chain.Rule, error)
	Status() NodeStatus
	// Details and Peers are for people and tools; they may cost a system call.
	Details() NodeDetails
	Peers() []PeerStatus
}

// NodeStatus is a moment's view of a node.
type NodeStatus struct {
	// Version is the client's, as web3_clientVersion gives it.
	Version string
	// Executed is the last executed height, Durable the last written one.
	Executed, Durable uint64
	// Coinbase is this validator's or miner's account; zero on a node that is neither.
	Coinbase common.Address
	Peers    int
	// Engine is the consensus engine's own status as JSON; nil for none.
	Engine json.RawMessage
	// Problem says why the node takes no transactions; empty when it does.
	Problem string
}

// Sources are the other stages.
type Sources struct {
	Genesis *chain.Genesis
	Suite   crypto.Suite
	Ledger  Ledger
	States  States
	Pool    Pool
	Calls   Calls
	Node    Node
	Admin   Admin
	// Teaching is nil on a node that gives no lessons.
	Teaching Teaching
	// Miner is nil where blocks are not found by work.
	Miner Miner
}
