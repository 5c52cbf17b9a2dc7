package execute

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/tracers/logger"

	"github.com/jialing-chain/jialing/internal/chain"
)

// AccessList runs the call until the list of what it touches repeats itself, and returns that list (eth_createAccessList). Sender, recipient,
// precompiles and authorities are warm anyway and not listed.
func (e *Executor) AccessList(ctx context.Context, cc *chain.CallContext, call *chain.Call, gasCap uint64) (*chain.AccessListResult, error) {
	b, err := e.open(cc)
	if err != nil {
		return nil, err
	}
	defer b.close()
	msg, err := b.message(call, gasCap)
	if err != nil {
		return nil, err
	}
	warm := e.warmAnyway(b, call)
	for last := logger.NewAccessListTracer(call.AccessList, warm); ; {
		msg.AccessList = last.AccessList()
		tracer := logger.NewAccessListTracer(msg.AccessList, warm)
		res, _, err := b.run(ctx, msg, tracer.Hooks(), true)
		if err != nil {
			return nil, callError(err, msg.GasLimit)
		}
		if tracer.Equal(last) {
			return &chain.AccessListResult{AccessList: msg.AccessList, GasUsed: res.UsedGas, Err: failure(res)}, nil
		}
		last = tracer
	}
}

func (e *Executor) warmAnyway(b *sandbox, call *chain.Call) map[common.Address]struct{} {
	warm := map[common.Address]struct{}{call.From: {}}
	if call.To != nil {
		warm[*call.To] = struct{}{}
	} else {
		nonce := b.state.GetNonce(call.From)
		warm[crypto.CreateAddress(call.From, nonce)] = struct{}{}
	}
	for _, addr := range vm.ActivePrecompiles(e.chain.Rules(b.block.BlockNumber, true, b.block.Time)) {
		warm[addr] = struct{}{}
	}
	for _, a := range call.Authorizations {
		if authority, ok := e.authority(&a); ok {
			warm[authority] = struct{}{}
		}
	}
	return warm
}

// authority is the account that an authorization speaks for, if it could be valid on this chain at all.
func (e *Executor) authority(a *types.SetCodeAuthorization) (common.Address, bool) {
	if (!a.ChainID.IsZero() && a.ChainID.CmpBig(e.chain.ChainID) != 0) || a.Nonce+1 < a.Nonce {
		return common.Address{}, false
	}
	addr, err := a.Authority()
	return addr, err == nil
}
