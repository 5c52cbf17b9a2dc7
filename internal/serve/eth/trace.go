package eth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

// traceService has debug_trace*.
type traceService struct{ a *API }

// traceConfig is the last parameter of debug_trace*. The struct logger's switches stand beside the tracer's name, as geth has them.
type traceConfig struct {
	Tracer       *string         `json:"tracer"`
	TracerConfig json.RawMessage `json:"tracerConfig"`
	// Timeout is Go's notation of a duration; it can only shorten the node's.
	Timeout *string `json:"timeout"`

	EnableMemory     bool `json:"enableMemory"`
	DisableStack     bool `json:"disableStack"`
	DisableStorage   bool `json:"disableStorage"`
	EnableReturnData bool `json:"enableReturnData"`
	Limit            int  `json:"limit"`
}

// traceCallConfig is debug_traceCall's.
type traceCallConfig struct {
	traceConfig
	StateOverrides stateOverride   `json:"stateOverrides"`
	BlockOverrides *blockOverride  `json:"blockOverrides"`
	TxIndex        *hexutil.Uint64 `json:"txIndex"`
}

// options gives the executor's options and the time limit.
func (c *traceConfig) options(limit time.Duration) (chain.TraceOptions, time.Duration, error) {
	if c == nil {
		c = new(traceConfig)
	}
	if c.Limit < 0 {
		return chain.TraceOptions{}, 0, invalidParams("limit must not be negative")
	}
	out := chain.TraceOptions{TracerConfig: c.TracerConfig, Logger: appendMarshalled(nil, map[string]any{
		"EnableMemory": c.EnableMemory, "DisableStack": c.DisableStack, "DisableStorage": c.DisableStorage,
		"EnableReturnData": c.EnableReturnData, "Limit": c.Limit,
	})}
	if c.Tracer != nil {
		out.Tracer = *c.Tracer
	}
	if c.Timeout != nil {
		d, err := time.ParseDuration(*c.Timeout)
		if err != nil || d <= 0 {
			return out, 0, invalidParams("timeout %q is no positive duration such as \"5s\"", *c.Timeout)
		}
		limit = min(limit, d)
	}
	return out, limit, nil
}

// TraceTransaction is debug_traceTransaction.
func (s *traceService) TraceTransaction(ctx context.Context, hash common.Hash, cfg *traceConfig) (json.RawMessage, error) {
	tx, at, err := s.a.mined(hash)
	if err != nil {
		return nil, err
	}
	if tx == nil {
		return nil, errors.New("transaction not found")
	}
	b, err := s.a.block(at.header.Number.Uint64())
	if err != nil {
		return nil, err
	}
	only := int(at.index)
	results, err := s.replay(ctx, b, &only, cfg)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("the trace of one transaction gave %d results", len(results))
	}
	return results[0], nil
}

// TraceBlockByNumber is debug_traceBlockByNumber.
func (s *traceService) TraceBlockByNumber(ctx context.Context, n rpc.BlockNumber, cfg *traceConfig) (json.RawMessage, error) {
	height, ok := s.a.height(n)
	if !ok {
		return nil, fmt.Errorf("block #%d not found", n)
	}
	return s.block(ctx, height, cfg)
}

// TraceBlockByHash is debug_traceBlockByHash.
func (s *traceService) TraceBlockByHash(ctx context.Context, hash common.Hash, cfg *traceConfig) (json.RawMessage, error) {
	height, ok, err := s.a.heightByHash(hash)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("block %s not found", hash)
	}
	return s.block(ctx, height, cfg)
}

func (s *traceService) block(ctx context.Context, height uint64, cfg *traceConfig) (json.RawMessage, error) {
	b, err := s.a.block(height)
	if err != nil {
		return nil, err
	}
	results, err := s.replay(ctx, b, nil, cfg)
	if err != nil {
		return nil, err
	}
	if len(results) != len(b.Txs) {
		return nil, fmt.Errorf("the trace of %d transactions gave %d results", len(b.Txs), len(results))
	}
	out := []byte{'['}
	for i, r := range results {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"txHash":`...)
		out = appendHash(out, b.Txs[i].Hash())
		out = append(out, `,"result":`...)
		out = append(append(out, r...), '}')
	}
	return append(out, ']'), nil
}

func (s *traceService) replay(ctx context.Context, b *chain.Block, only *int, cfg *traceConfig) ([]json.RawMessage, error) {
	height := b.Height()
	if height == 0 {
		return nil, errors.New("genesis is not traceable")
	}
	opts, limit, err := cfg.options(s.a.cfg.TraceTimeout)
	if err != nil {
		return nil, err
	}
	st, err := s.a.states.State(height - 1)
	if err != nil {
		return nil, fmt.Errorf("state of block %d: %w", height-1, err)
	}
	return run(ctx, s.a.traceGate, limit, func(ctx context.Context) ([]json.RawMessage, error) {
		results, err := s.a.calls.TraceBlock(ctx, &chain.Replay{Block: b, State: st, BlockHash: s.a.blockHash}, only, opts)
		return results, s.fits(err, results...)
	})
}

// TraceCall is debug_traceCall.
func (s *traceService) TraceCall(ctx context.Context, args callArgs, at rpc.BlockNumberOrHash, cfg *traceCallConfig) (json.RawMessage, error) {
	if cfg == nil {
		cfg = new(traceCallConfig)
	}
	if cfg.TxIndex != nil {
		return nil, invalidParams("txIndex is not supported: the call runs after the whole block")
	}
	opts, limit, err := cfg.options(s.a.cfg.TraceTimeout)
	if err != nil {
		return nil, err
	}
	call, err := args.call(s.a.genesis.ChainID)
	if err != nil {
		return nil, err
	}
	cc, err := s.a.context(&at, cfg.StateOverrides, cfg.BlockOverrides)
	if err != nil {
		return nil, err
	}
	return run(ctx, s.a.traceGate, limit, func(ctx context.Context) (json.RawMessage, error) {
		result, err := s.a.calls.TraceCall(ctx, cc, call, opts, s.a.cfg.CallGas)
		return result, s.fits(err, result)
	})
}

// fits keeps err or bounds what a trace may send.
func (s *traceService) fits(err error, results ...json.RawMessage) error {
	if err != nil {
		return err
	}
	sum := 0
	for _, r := range results {
		sum += len(r)
	}
	if sum > s.a.cfg.MaxTraceBytes {
		return limitExceeded("the trace has %d bytes, at most %d; narrow it (disableStack, disableStorage, limit, or a tracer such as callTracer)",
			sum, s.a.cfg.MaxTraceBytes)
	}
	return nil
}
