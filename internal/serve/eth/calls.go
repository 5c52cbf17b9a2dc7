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

// callService has the methods that run messages and change nothing.
type callService struct{ a *API }

// context builds where a call runs: after a block, with overrides.
func (a *API) context(at *rpc.BlockNumberOrHash, accounts stateOverride, block *blockOverride) (*chain.CallContext, error) {
	st, height, err := a.stateAt(at)
	if err != nil {
		return nil, err
	}
	h, _, err := a.header(height)
	if err != nil {
		return nil, err
	}
	cc := &chain.CallContext{Header: h, State: st, BlockHash: a.blockHash}
	if cc.Accounts, err = accounts.accounts(); err != nil {
		return nil, err
	}
	if cc.Block, err = block.block(); err != nil {
		return nil, err
	}
	return cc, nil
}

// blockHash answers BLOCKHASH; zero for what is not there.
func (a *API) blockHash(height uint64) common.Hash {
	if height > a.ledger.Head().Number.Uint64() {
		return common.Hash{}
	}
	_, hash, err := a.header(height)
	if err != nil {
		return common.Hash{}
	}
	return hash
}

// run runs f under the gate and the time limit.
func run[T any](ctx context.Context, g *gate, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	leave, err := g.enter(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := f(ctx)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, chain.ErrCallTimeout), errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded):
		return out, fmt.Errorf("execution aborted (timeout = %s)", limit)
	}
	return out, clientError(err)
}

// Call is eth_call.
func (s *callService) Call(ctx context.Context, args callArgs, at *rpc.BlockNumberOrHash, accounts *stateOverride, block *blockOverride) (hexutil.Bytes, error) {
	call, cc, err := s.prepare(args, at, accounts, block)
	if err != nil {
		return nil, err
	}
	r, err := run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) (*chain.CallResult, error) {
		return s.a.calls.Call(ctx, cc, call, s.a.cfg.CallGas)
	})
	if err != nil {
		return nil, err
	}
	if r.Err != nil {
		return nil, clientError(r.Err)
	}
	return r.Return, nil
}

// EstimateGas is eth_estimateGas.
func (s *callService) EstimateGas(ctx context.Context, args callArgs, at *rpc.BlockNumberOrHash, accounts *stateOverride,
	block *blockOverride) (hexutil.Uint64, error) {
	call, cc, err := s.prepare(args, at, accounts, block)
	if err != nil {
		return 0, err
	}
	return run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) (hexutil.Uint64, error) {
		gas, err := s.a.calls.EstimateGas(ctx, cc, call, s.a.cfg.CallGas)
		return hexutil.Uint64(gas), err
	})
}

// CreateAccessList is eth_createAccessList (EIP-2930). A call that fails in the EVM still has a list.
func (s *callService) CreateAccessList(ctx context.Context, args callArgs, at *rpc.BlockNumberOrHash, accounts *stateOverride) (json.RawMessage, error) {
	call, cc, err := s.prepare(args, at, accounts, nil)
	if err != nil {
		return nil, err
	}
	r, err := run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) (*chain.AccessListResult, error) {
		return s.a.calls.AccessList(ctx, cc, call, s.a.cfg.CallGas)
	})
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), `{"accessList":`...)
	b = appendAccessList(b, r.AccessList)
	if r.Err != nil {
		b = append(b, `,"error":`...)
		b = appendMarshalled(b, r.Err.Error())
	}
	b = append(b, `,"gasUsed":`...)
	b = appendUint(b, r.GasUsed)
	return append(b, '}'), nil
}

func (s *callService) prepare(args callArgs, at *rpc.BlockNumberOrHash, accounts *stateOverride, block *blockOverride) (*chain.Call, *chain.CallContext, error) {
	call, err := args.call(s.a.genesis.ChainID)
	if err != nil {
		return nil, nil, err
	}
	var over stateOverride
	if accounts != nil {
		over = *accounts
	}
	cc, err := s.a.context(at, over, block)
	return call, cc, err
}
