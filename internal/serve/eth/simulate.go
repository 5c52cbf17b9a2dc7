package eth

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// simulateService has eth_simulateV1.
type simulateService struct{ a *API }

// Bounds of one simulation; they are geth's.
const (
	maxSimulatedBlocks = 256
	maxSimulatedCalls  = 5000
)

// Error codes of eth_simulateV1.
const (
	codeClientLimit = -38026
	codeVMError     = -32015
)

type simulateArgs struct {
	BlockStateCalls        []simulateBlock `json:"blockStateCalls"`
	TraceTransfers         bool            `json:"traceTransfers"`
	Validation             bool            `json:"validation"`
	ReturnFullTransactions bool            `json:"returnFullTransactions"`
}

type simulateBlock struct {
	block    *blockOverride
	accounts stateOverride
	calls    []callArgs
}

// UnmarshalJSON refuses override keys that it does not know: what they would have changed stays as it is.
func (s *simulateBlock) UnmarshalJSON(b []byte) error {
	var in struct {
		Block    json.RawMessage                    `json:"blockOverrides"`
		Accounts map[common.Address]json.RawMessage `json:"stateOverrides"`
		Calls    []callArgs                         `json:"calls"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = simulateBlock{calls: in.Calls}
	if len(in.Block) > 0 {
		if err := checkKeys(in.Block, reflect.TypeFor[blockOverride](), "block override"); err != nil {
			return err
		}
		if err := json.Unmarshal(in.Block, &s.block); err != nil {
			return err
		}
	}
	if len(in.Accounts) > 0 {
		s.accounts = make(stateOverride, len(in.Accounts))
	}
	for addr, raw := range in.Accounts {
		if err := checkKeys(raw, reflect.TypeFor[accountOverride](), "state override for "+addr.Hex()); err != nil {
			return err
		}
		var a accountOverride
		if err := json.Unmarshal(raw, &a); err != nil {
			return err
		}
		s.accounts[addr] = a
	}
	return nil
}

// SimulateV1 is eth_simulateV1: blocks of calls on top of a real block, each seeing what came before. CallGas bounds the sum.
func (s *simulateService) SimulateV1(ctx context.Context, args simulateArgs, at *rpc.BlockNumberOrHash) (json.RawMessage, error) {
	blocks, err := s.blocks(&args)
	if err != nil {
		return nil, err
	}
	cc, err := s.a.context(at, nil, nil)
	if err != nil {
		return nil, err
	}
	results, err := run(ctx, s.a.callGate, s.a.cfg.CallTimeout, func(ctx context.Context) ([]chain.SimulatedResult, error) {
		opts := chain.SimulationOptions{TraceTransfers: args.TraceTransfers, Validation: args.Validation}
		return s.a.calls.Simulate(ctx, cc, blocks, opts, s.a.cfg.CallGas)
	})
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	for i := range results {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendSimulated(out, &results[i], args.ReturnFullTransactions); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func (s *simulateService) blocks(args *simulateArgs) ([]chain.SimulatedBlock, error) {
	switch n := len(args.BlockStateCalls); {
	case n == 0:
		return nil, invalidParams("empty input")
	case n > maxSimulatedBlocks:
		return nil, &serve.Error{Code: codeClientLimit, Message: "too many blocks"}
	}
	out := make([]chain.SimulatedBlock, len(args.BlockStateCalls))
	for i := range args.BlockStateCalls {
		in := &args.BlockStateCalls[i]
		if len(in.calls) > maxSimulatedCalls {
			return nil, &serve.Error{Code: codeClientLimit, Message: fmt.Sprintf("too many calls in block: %d > %d", len(in.calls), maxSimulatedCalls)}
		}
		if in.block != nil && in.block.Difficulty != nil {
			return nil, invalidParams("block %d: difficulty override is not allowed after the merge", i)
		}
		var err error
		if out[i].Block, err = in.block.block(); err != nil {
			return nil, invalidParams("%v", err)
		}
		if out[i].Accounts, err = in.accounts.accounts(); err != nil {
			return nil, invalidParams("%v", err)
		}
		for j := range in.calls {
			call, err := in.calls[j].call(s.a.genesis.ChainID)
			if err != nil {
				return nil, invalidParams("%v", err)
			}
			out[i].Calls = append(out[i].Calls, *call)
		}
	}
	return out, nil
}

// appendSimulated writes a simulated block with its calls' results.
func appendSimulated(b []byte, r *chain.SimulatedResult, full bool) ([]byte, error) {
	if len(r.Txs) != len(r.Results) || len(r.Txs) != len(r.Senders) {
		return nil, fmt.Errorf("simulation gave %d transactions, %d senders and %d results", len(r.Txs), len(r.Senders), len(r.Results))
	}
	hash := r.Header.Hash()
	b = append(b, '{')
	b = appendHeader(b, r.Header, &hash)
	b = append(b, `,"transactions":[`...)
	size := uint64(0)
	for i, tx := range r.Txs {
		if i > 0 {
			b = append(b, ',')
		}
		raw, err := tx.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encode simulated transaction: %w", err)
		}
		if size += uint64(len(raw)); tx.Type() != types.LegacyTxType {
			size += rlp.BytesSize(raw) - uint64(len(raw))
		}
		if !full {
			b = appendHash(b, tx.Hash())
			continue
		}
		// A simulated transaction carries no signature, so it cannot be a chain.Tx: it is wrapped for its encoding only.
		b = appendUnsigned(b, tx, r.Senders[i], &txPosition{hash: hash, header: r.Header, index: uint32(i)})
	}
	b = append(b, `],"size":`...)
	b = appendUint(b, rlp.ListSize(uint64(len(headerRLP(r.Header)))+rlp.ListSize(size)+2))
	b = append(b, `,"uncles":[],"withdrawals":[],"calls":[`...)
	for i := range r.Results {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCallResult(b, &r.Results[i])
	}
	return append(b, `]}`...), nil
}

func appendCallResult(b []byte, r *chain.CallResult) []byte {
	b = append(b, `{"returnData":`...)
	b = appendBytes(b, r.Return)
	b = append(b, `,"logs":`...)
	b = appendLogs(b, r.Logs)
	b = append(b, `,"gasUsed":`...)
	b = appendUint(b, r.GasUsed)
	b = append(b, `,"maxUsedGas":`...)
	b = appendUint(b, max(r.MaxGasUsed, r.GasUsed))
	b = append(b, `,"status":`...)
	if r.Err == nil {
		return append(b, `"0x1"}`...)
	}
	e := struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
		Data    any    `json:"data,omitempty"`
	}{Message: r.Err.Error(), Code: codeVMError}
	if w, ok := clientError(r.Err).(*serve.Error); ok {
		e.Code, e.Data = w.Code, w.Data
	}
	b = append(b, `"0x0","error":`...)
	return append(appendMarshalled(b, &e), '}')
}

// appendUnsigned writes a simulated transaction in the shape of appendTx.
func appendUnsigned(b []byte, tx *types.Transaction, from common.Address, at *txPosition) []byte {
	v, r, s := tx.RawSignatureValues()
	price := tx.GasPrice()
	if tx.Type() >= types.DynamicFeeTxType && at.header.BaseFee != nil {
		if price = tx.GasTipCap(); price.Add(price, at.header.BaseFee).Cmp(tx.GasFeeCap()) > 0 {
			price = tx.GasFeeCap()
		}
	}
	m := map[string]any{
		"blockHash": at.hash, "blockNumber": (*hexutil.Big)(at.header.Number), "blockTimestamp": hexutil.Uint64(at.header.Time),
		"transactionIndex": hexutil.Uint64(at.index), "from": from, "gas": hexutil.Uint64(tx.Gas()), "gasPrice": (*hexutil.Big)(price),
		"hash": tx.Hash(), "input": hexutil.Bytes(tx.Data()), "nonce": hexutil.Uint64(tx.Nonce()), "to": tx.To(), "value": (*hexutil.Big)(tx.Value()),
		"type": hexutil.Uint64(tx.Type()), "v": (*hexutil.Big)(v), "r": (*hexutil.Big)(r), "s": (*hexutil.Big)(s),
	}
	if tx.Type() != types.LegacyTxType {
		list := tx.AccessList()
		if list == nil {
			list = types.AccessList{}
		}
		m["accessList"], m["chainId"], m["yParity"] = list, (*hexutil.Big)(tx.ChainId()), hexutil.Uint64(v.Sign())
	}
	if tx.Type() >= types.DynamicFeeTxType {
		m["maxFeePerGas"], m["maxPriorityFeePerGas"] = (*hexutil.Big)(tx.GasFeeCap()), (*hexutil.Big)(tx.GasTipCap())
	}
	if tx.Type() == types.SetCodeTxType {
		m["authorizationList"] = tx.SetCodeAuthorizations()
	}
	return appendMarshalled(b, m)
}
