package execute

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// Config bounds what an Executor holds. It never changes a result.
type Config struct {
	// CodeCacheBytes bounds the contract code kept in memory.
	CodeCacheBytes int
	// TraceBytes bounds a struct logger's output: a loop that burns 50 million gas would else write gigabytes. What other tracers write is
	// bounded by the call's gas.
	TraceBytes int
	// TracerScripts lets debug_trace* run JavaScript that the request brings. A script's functions stop at the request's deadline, but what it
	// calls (a regular expression, a huge string) need not: it can hold a processor and memory. Only for nodes whose callers are trusted.
	TracerScripts bool
	// Permission decides who may do what; nil allows all.
	Permission Permission
	// ChainHash is the suite's hash of block 0's header, which contracts ask for by a precompile. Together with the genesis it is the chain's, not a node's
	// choice; where it is zero that precompile fails.
	ChainHash crypto.Hash
}

// DefaultConfig keeps 64 MiB of code (2,600 contracts of the largest size), allows traces of 64 MiB (some 200,000 steps) and no scripts.
func DefaultConfig() Config { return Config{CodeCacheBytes: 64 << 20, TraceBytes: 64 << 20} }

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	if c.CodeCacheBytes < 1<<20 {
		return fmt.Errorf("execute: codeCacheBytes: %d is below 1 MiB, one call could not hold the code that it runs", c.CodeCacheBytes)
	}
	if c.TraceBytes < 1<<16 {
		return fmt.Errorf("execute: traceBytes: %d is below 64 KiB, hardly a transaction's trace would fit", c.TraceBytes)
	}
	return nil
}

// Permission is the chain's rule about who may send what, read from the chain's own state. The answer must depend on st and tx alone.
type Permission interface {
	// Allow returns nil, or an error that wraps chain.ErrNotPermitted and whose text is the same on every node; any other error (the state
	// could not be read) fails the block. st is the state before the block.
	Allow(ctx context.Context, st chain.State, tx *chain.Tx) error
}

// Commitment takes a block's writes and answers the state root after them. Called once per block, in height order.
type Commitment interface {
	Stage(ctx context.Context, height uint64, w chain.WriteSet) (common.Hash, error)
}

// Executor runs blocks and calls of one chain. Execute is for one goroutine at a time; everything else is safe for concurrent use.
type Executor struct {
	cfg     Config
	genesis *chain.Genesis
	suite   crypto.Suite
	chain   *params.ChainConfig
	codes   *codeCache
	jumps   vm.JumpDestCache
	// precompiles are the chain's; not to be altered.
	precompiles vm.PrecompiledContracts
	// states are the calls' views, reused.
	states sync.Pool
	// state is Execute's view, reused from block to block.
	state *StateDB
}

// New returns the executor of the chain that g describes.
func New(cfg Config, g *chain.Genesis, suite crypto.Suite) (*Executor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Executor{cfg: cfg, genesis: g, suite: suite, chain: g.ChainConfig(), codes: newCodeCache(cfg.CodeCacheBytes), jumps: core.NewJumpDestCache(),
		precompiles: precompiles(suite, cfg.ChainHash)}
	e.state = newStateDB(e.codes)
	e.states.New = func() any { return newStateDB(e.codes) }
	return e, nil
}

// Input is all that a block follows from.
type Input struct {
	// Parent is the header at the height below, whose state State is.
	Parent   *chain.Header
	Decision *chain.Decision
	// Txs are the decision's, in its order, verified.
	Txs   chain.Txs
	State chain.State
	// Rule says who attests this block; the proposer, where there is one, is of its set.
	Rule *chain.Rule
	// Next is the rule of the block after it.
	Next *chain.Rule
	// BlockHash answers for the 256 heights below the parent; the zero hash says "unknown" and fails the block.
	BlockHash func(height uint64) common.Hash
}

// NextBaseFee is the base fee of the block after h in wei.
func (e *Executor) NextBaseFee(h *chain.Header) *big.Int {
	if e.genesis.Fees.Mode == chain.FeesMarket {
		return eip1559.CalcBaseFee(e.chain, h)
	}
	return e.genesis.BaseFee()
}

// Execute makes the block of a decision. An error leaves nothing behind but possibly the staged writes; the block must then not be used.
func (e *Executor) Execute(ctx context.Context, in Input, c Commitment) (*chain.Executed, error) {
	header, extra, err := e.prepareHeader(&in)
	if err != nil {
		return nil, err
	}
	e.state.Reset(in.State)
	defer e.state.Reset(nil)
	out := &chain.Executed{Decision: in.Decision}
	txs, err := e.run(ctx, &in, header, out)
	if err != nil {
		return nil, err
	}
	out.Writes = e.state.WriteSet()
	if err := e.seal(ctx, header, extra, txs, out, c); err != nil {
		return nil, err
	}
	return out, nil
}

// run applies the transactions; it fills out.Receipts (status, gas, logs) and out.Excluded and returns those that are in the block.
func (e *Executor) run(ctx context.Context, in *Input, header *chain.Header, out *chain.Executed) (chain.Txs, error) {
	baseFee, overflow := uint256.FromBig(header.BaseFee)
	if overflow {
		return nil, fmt.Errorf("base fee %s exceeds 256 bits", header.BaseFee)
	}
	r := e.runner(blockContext(header, e.blockHashes(in, header)), e.state, vm.Config{}, header.GasLimit)
	defer r.Close()
	if err := r.ParentHash(header.ParentHash); err != nil {
		return nil, err
	}
	txs := make(chain.Txs, 0, len(in.Txs))
	receipts := make([]types.Receipt, len(in.Txs))
	out.Receipts = make(types.Receipts, 0, len(in.Txs))
	for _, tx := range in.Txs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		res, logs, err := e.apply(ctx, in.State, r, tx, baseFee, len(txs))
		if errors.Is(err, ErrState) {
			return nil, err
		}
		if err != nil {
			out.Excluded = append(out.Excluded, chain.Exclusion{Tx: tx.Hash(), Reason: err.Error()})
			continue
		}
		receipt := &receipts[len(txs)]
		receipt.GasUsed, receipt.Logs = res.UsedGas, logs
		if !res.Failed() {
			receipt.Status = types.ReceiptStatusSuccessful
		}
		txs = append(txs, tx)
		out.Receipts = append(out.Receipts, receipt)
		r.lighten()
	}
	header.GasUsed = r.GasUsed()
	return txs, e.endBlock(ctx, r, in.Rule.Engine, header)
}

// apply runs one decided transaction. Its error is the reason for leaving it out, or wraps ErrState.
func (e *Executor) apply(ctx context.Context, st chain.State, r *Runner, tx *chain.Tx, baseFee *uint256.Int, index int) (*core.ExecutionResult, []*types.Log, error) {
	if e.cfg.Permission != nil {
		if err := e.cfg.Permission.Allow(ctx, st, tx); errors.Is(err, chain.ErrNotPermitted) {
			return nil, nil, err
		} else if err != nil {
			return nil, nil, fmt.Errorf("%w: permission of %s: %w", ErrState, tx.Hash(), err)
		}
	}
	return r.Apply(message(tx, baseFee), tx.Hash(), index)
}

// blockHashes answers BLOCKHASH. A hash that should be known and is not must fail the block: zero would be executed as an answer.
func (e *Executor) blockHashes(in *Input, header *chain.Header) vm.GetHashFunc {
	parent := in.Parent.Number.Uint64()
	return func(height uint64) common.Hash {
		if height == parent {
			return header.ParentHash
		}
		hash := in.BlockHash(height)
		if hash == (common.Hash{}) {
			e.state.fail(fmt.Errorf("hash of block %d is unknown", height))
		}
		return hash
	}
}
