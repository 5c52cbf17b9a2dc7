package execute_test

import (
	"context"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/eth/gasestimator"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

// returning is code that returns what ops leave on the stack.
func returning(ops ...vm.OpCode) []byte {
	var p program
	p.op(ops...)
	p.op(vm.PUSH0, vm.MSTORE)
	p.push([]byte{32})
	p.op(vm.PUSH0, vm.RETURN)
	return p
}

// loop is code that never ends.
var loop = []byte{byte(vm.JUMPDEST), byte(vm.PUSH0), byte(vm.JUMP)}

var contract = common.HexToAddress("0xc0de")

// with is a call context whose contract has that code.
func (w *world) with(code []byte) *chain.CallContext {
	cc := w.callContext()
	cc.Accounts = map[common.Address]chain.AccountOverride{contract: {Code: &code}}
	return cc
}

func word(n uint64) []byte { return common.BigToHash(new(big.Int).SetUint64(n)).Bytes() }

func ptr[T any](v T) *T { return &v }

func TestBlockOverrides(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	w.block()
	coinbase, random := common.HexToAddress("0xabcd"), common.HexToHash("0x77")
	for name, c := range map[string]struct {
		op   vm.OpCode
		o    *chain.BlockOverride
		want []byte
	}{
		"number stays":    {vm.NUMBER, nil, word(1)},
		"number":          {vm.NUMBER, &chain.BlockOverride{Number: ptr(uint64(99))}, word(99)},
		"time":            {vm.TIMESTAMP, &chain.BlockOverride{Time: ptr(uint64(7))}, word(7)},
		"gas limit":       {vm.GASLIMIT, &chain.BlockOverride{GasLimit: ptr(uint64(123_456))}, word(123_456)},
		"coinbase":        {vm.COINBASE, &chain.BlockOverride{Coinbase: &coinbase}, common.BytesToHash(coinbase[:]).Bytes()},
		"prevrandao":      {vm.PREVRANDAO, &chain.BlockOverride{Prevrandao: &random}, random[:]},
		"base fee unseen": {vm.BASEFEE, &chain.BlockOverride{BaseFee: uint256.NewInt(5)}, word(0)},
		"blob base fee":   {vm.BLOBBASEFEE, nil, word(1)},
	} {
		cc := w.with(returning(c.op))
		cc.Block = c.o
		res, err := w.exec.Call(context.Background(), cc, &chain.Call{To: &contract}, 1_000_000)
		require.NoError(t, err, name)
		require.NoError(t, res.Err, name)
		require.Equal(t, c.want, res.Return, name)
	}
	// With a price the base fee counts.
	cc := w.with(returning(vm.BASEFEE))
	cc.Block = &chain.BlockOverride{BaseFee: uint256.NewInt(5)}
	res, err := w.exec.Call(context.Background(), cc, &chain.Call{From: w.addrs[0], To: &contract, GasPrice: uint256.NewInt(6)}, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, word(5), res.Return)
	_, err = w.exec.Call(context.Background(), cc, &chain.Call{From: w.addrs[0], To: &contract, GasPrice: uint256.NewInt(4)}, 1_000_000)
	require.ErrorIs(t, err, core.ErrFeeCapTooLow)

	// BLOCKHASH knows the chain, and the call's own block once the number is past it.
	hashOf := func(n byte) []byte { return returning(vm.PUSH1, vm.OpCode(n), vm.BLOCKHASH) }
	for n, want := range map[byte]common.Hash{0: w.headers[0].Hash(), 1: w.headers[1].Hash(), 2: {}} {
		cc := w.with(hashOf(n))
		cc.Block = &chain.BlockOverride{Number: ptr(uint64(5))}
		res, err := w.exec.Call(context.Background(), cc, &chain.Call{To: &contract}, 1_000_000)
		require.NoError(t, err)
		require.Equal(t, want[:], res.Return)
	}
}

func TestAccountOverrides(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	key, other, value := common.Hash{31: 1}, common.Hash{31: 2}, common.Hash{31: 9}
	read := func(key byte) []byte { return returning(vm.PUSH1, vm.OpCode(key), vm.SLOAD) }
	// A contract with a slot of its own.
	var store program
	store.push([]byte{5})
	store.push([]byte{1})
	store.op(vm.SSTORE)
	init := append(store, deployingAfter(len(store), []byte{0})...)
	out := w.block(w.sign(0, &types.LegacyTx{Gas: 1_000_000, GasPrice: new(big.Int), Data: init}))
	require.Equal(t, types.ReceiptStatusSuccessful, out.Receipts[0].Status)
	at := out.Receipts[0].ContractAddress

	call := func(o map[common.Address]chain.AccountOverride) ([]byte, error) {
		cc := w.callContext()
		cc.Accounts = o
		res, err := w.exec.Call(context.Background(), cc, &chain.Call{To: &at}, 1_000_000)
		if err != nil {
			return nil, err
		}
		return res.Return, res.Err
	}
	for name, c := range map[string]struct {
		o    chain.AccountOverride
		want []byte
	}{
		"code, own storage": {chain.AccountOverride{Code: ptr(read(1))}, word(5)},
		"diff keeps":        {chain.AccountOverride{Code: ptr(read(1)), StorageDiff: map[common.Hash]common.Hash{other: value}}, word(5)},
		"diff changes":      {chain.AccountOverride{Code: ptr(read(2)), StorageDiff: map[common.Hash]common.Hash{other: value}}, value[:]},
		"state replaces":    {chain.AccountOverride{Code: ptr(read(1)), Storage: map[common.Hash]common.Hash{other: value}}, word(0)},
		"state sets":        {chain.AccountOverride{Code: ptr(read(1)), Storage: map[common.Hash]common.Hash{key: value}}, value[:]},
		"empty state":       {chain.AccountOverride{Code: ptr(read(1)), Storage: map[common.Hash]common.Hash{}}, word(0)},
		"balance":           {chain.AccountOverride{Code: ptr(returning(vm.SELFBALANCE)), Balance: uint256.NewInt(77)}, word(77)},
	} {
		got, err := call(map[common.Address]chain.AccountOverride{at: c.o})
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	_, err := call(map[common.Address]chain.AccountOverride{at: {Storage: map[common.Hash]common.Hash{}, StorageDiff: map[common.Hash]common.Hash{}}})
	require.ErrorContains(t, err, "has both 'state' and 'stateDiff'")
}

// deployingAfter is deploying for init code that stands behind n bytes of other code.
func deployingAfter(n int, code []byte) []byte {
	b := deploying(code)
	b[9+1+8] += byte(n) // the low byte of the code's offset
	return b
}

func TestMovePrecompile(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	identity, to := common.BytesToAddress([]byte{4}), common.HexToAddress("0x1234")
	cc := w.callContext()
	cc.Accounts = map[common.Address]chain.AccountOverride{identity: {MovePrecompileTo: &to, Code: ptr(returning(vm.NUMBER))}}
	call := &chain.Call{To: &to, Data: []byte("moved")}
	res, err := w.exec.Call(context.Background(), cc, call, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, []byte("moved"), res.Return)
	call.To = &identity
	res, err = w.exec.Call(context.Background(), cc, call, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, word(0), res.Return, "the code that took its place")

	for text, accounts := range map[string]map[common.Address]chain.AccountOverride{
		"is not a precompile":   {contract: {MovePrecompileTo: &to}},
		"is already overridden": {identity: {MovePrecompileTo: &to}, to: {}},
	} {
		cc.Accounts = accounts
		_, err := w.exec.Call(context.Background(), cc, call, 1_000_000)
		require.ErrorContains(t, err, text)
	}
}

func TestRevertCarriesItsData(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	// Error(string) "no"
	data := common.FromHex("0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000")
	var p program
	for i := 0; i < len(data); i += 32 {
		chunk := make([]byte, 32)
		copy(chunk, data[i:])
		p.push(chunk)
		p.num(uint64(i))
		p.op(vm.MSTORE)
	}
	p.num(uint64(len(data)))
	p.op(vm.PUSH0, vm.REVERT)
	cc := w.with(p)
	res, err := w.exec.Call(context.Background(), cc, &chain.Call{To: &contract}, 1_000_000)
	require.NoError(t, err)
	var revert *chain.RevertError
	require.ErrorAs(t, res.Err, &revert)
	require.Equal(t, data, revert.Data)
	require.Equal(t, "execution reverted: no", res.Err.Error())
	_, err = w.exec.EstimateGas(context.Background(), cc, &chain.Call{To: &contract}, 1_000_000)
	require.ErrorAs(t, err, &revert)
	require.Equal(t, data, revert.Data)
}

func TestCallsAreBounded(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	cc, call := w.with(loop), &chain.Call{To: &contract}
	_, err := w.exec.Call(ctx, cc, call, 0)
	require.ErrorIs(t, err, chain.ErrCallTimeout)
	for _, run := range []func() error{
		func() error { _, err := w.exec.EstimateGas(ctx, cc, call, 0); return err },
		func() error { _, err := w.exec.AccessList(ctx, cc, call, 0); return err },
		func() error {
			_, err := w.exec.TraceCall(ctx, cc, call, chain.TraceOptions{Tracer: "callTracer"}, 0)
			return err
		},
		func() error {
			_, err := w.exec.Simulate(ctx, cc, []chain.SimulatedBlock{{Accounts: cc.Accounts, Calls: []chain.Call{*call}}}, chain.SimulationOptions{}, 0)
			return err
		},
	} {
		require.ErrorIs(t, run(), chain.ErrCallTimeout)
	}
	canceled, stop := context.WithCancel(context.Background())
	stop()
	_, err = w.exec.Call(canceled, cc, call, 0)
	require.ErrorIs(t, err, context.Canceled)

	// The gas cap holds whatever the call asks for.
	call.Gas = ptr(uint64(1 << 50))
	res, err := w.exec.Call(context.Background(), cc, call, 100_000)
	require.NoError(t, err)
	require.ErrorIs(t, res.Err, vm.ErrOutOfGas)
	require.Equal(t, uint64(100_000), res.GasUsed)
	_, err = w.exec.EstimateGas(context.Background(), cc, call, 100_000)
	require.EqualError(t, err, "gas required exceeds allowance (100000)")

	// Timeouts in the middle of a run.
	for _, opts := range []chain.TraceOptions{{}, {Tracer: "callTracer"}, {Tracer: "opcountTracer"}} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err := w.exec.TraceCall(ctx, cc, &chain.Call{To: &contract}, opts, 0)
		require.ErrorIs(t, err, chain.ErrCallTimeout)
		cancel()
	}
}

func TestCallErrorsAreClear(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	for text, call := range map[string]*chain.Call{
		"both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified": {To: &contract, GasPrice: uint256.NewInt(1), FeeCap: uint256.NewInt(1)},
		"insufficient funds":    {To: &contract, Value: uint256.NewInt(1)},
		"intrinsic gas too low": {To: &contract, Gas: ptr(uint64(20_000))},
		"max priority fee per gas higher than max fee per gas":   {From: w.addrs[0], To: &contract, FeeCap: uint256.NewInt(1), TipCap: uint256.NewInt(2)},
		"EIP-7702 transaction cannot be used to create contract": {Authorizations: []types.SetCodeAuthorization{{}}},
	} {
		_, err := w.exec.Call(context.Background(), w.callContext(), call, 1_000_000)
		require.ErrorContains(t, err, text)
	}
	cc := w.callContext()
	cc.State = &failing{w.ledger, 0}
	_, err := w.exec.Call(context.Background(), cc, &chain.Call{To: &contract}, 1_000_000)
	require.ErrorIs(t, err, errDisk)
	_, err = w.exec.EstimateGas(context.Background(), cc, &chain.Call{To: &contract}, 1_000_000)
	require.ErrorIs(t, err, errDisk)
}

func TestAccessListIsAFixpoint(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	var p program // SLOAD 3, then BALANCE of the address found there
	p.push([]byte{3})
	p.op(vm.SLOAD, vm.BALANCE, vm.POP)
	code := []byte(p)
	target := common.HexToAddress("0x5555")
	cc := w.callContext()
	cc.Accounts = map[common.Address]chain.AccountOverride{contract: {Code: &code, StorageDiff: map[common.Hash]common.Hash{{31: 3}: common.BytesToHash(target[:])}}}
	res, err := w.exec.AccessList(context.Background(), cc, &chain.Call{From: w.addrs[0], To: &contract}, 1_000_000)
	require.NoError(t, err)
	require.NoError(t, res.Err)
	require.Equal(t, types.AccessList{{Address: target, StorageKeys: []common.Hash{}}, {Address: contract, StorageKeys: []common.Hash{{31: 3}}}}, res.AccessList)
	with, err := w.exec.Call(context.Background(), cc, &chain.Call{From: w.addrs[0], To: &contract, AccessList: res.AccessList}, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, with.GasUsed, res.GasUsed)
}

// estimateChain is what geth's estimator asks of a chain.
type estimateChain struct {
	consensus.ChainHeaderReader
	w *world
}

type estimateEngine struct{ consensus.Engine }

func (c estimateChain) Engine() consensus.Engine    { return estimateEngine{} }
func (c estimateChain) Config() *params.ChainConfig { return c.w.genesis.ChainConfig() }
func (c estimateChain) GetHeader(_ common.Hash, height uint64) *types.Header {
	return c.w.headers[height]
}
func (estimateEngine) Author(h *types.Header) (common.Address, error) { return h.Coinbase, nil }

// TestEstimatesEqualGeth estimates random calls on a random state, here and with geth's estimator on geth's state.
func TestEstimatesEqualGeth(t *testing.T) {
	w := newWorld(t, withSystemContracts, execute.DefaultConfig())
	config := w.genesis.ChainConfig()
	oracle := newGethLedger(t, config, w.genesisWrites())
	gen := newGenerator(seed(t), w)
	for range 10 {
		var block chain.Txs
		for range oracleTxs {
			i := gen.IntN(len(w.keys))
			block = append(block, w.sign(i, gen.tx(i)))
		}
		ours := w.block(block...)
		oracle.block(ours.Block.Header, w.blockHash, block)
		gen.resync()
	}
	same := 0
	for range 400 {
		data := types.NewTx(gen.tx(gen.IntN(len(w.keys))))
		call := &chain.Call{From: w.addrs[gen.IntN(len(w.addrs))], To: data.To(), Data: data.Data(), Value: uint256.MustFromBig(data.Value())}
		if gen.IntN(3) == 0 {
			call.Gas = ptr(data.Gas())
		}
		if gen.IntN(3) == 0 {
			call.GasPrice = uint256.NewInt(gen.Uint64N(1 << 38))
		}
		gasCap := uint64(gen.IntN(20_000_000))
		got, err := w.exec.EstimateGas(context.Background(), w.callContext(), call, gasCap)

		price := new(uint256.Int)
		if call.GasPrice != nil {
			price = call.GasPrice
		}
		msg := &core.Message{From: call.From, To: call.To, Value: call.Value, Data: call.Data, GasPrice: price, GasFeeCap: price, GasTipCap: price}
		if call.Gas != nil {
			msg.GasLimit = *call.Gas
		}
		opts := &gasestimator.Options{Config: config, Chain: estimateChain{w: w}, Header: w.head(), State: oracle.state(), ErrorRatio: 0.015}
		want, _, wantErr := gasestimator.Estimate(context.Background(), msg.SkipNonceCheck().SkipEOACheck().SkipGasLimitCapCheck(), opts, gasCap)
		if errors.Is(wantErr, core.ErrFloorDataGas) { // geth's estimator takes only the intrinsic gas for "too little"
			require.ErrorContains(t, err, "gas required exceeds allowance")
			continue
		}
		if wantErr != nil {
			require.EqualError(t, err, wantErr.Error())
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
		same++
	}
	t.Logf("%d estimates equal geth's, the others fail with its error", same)
	require.Greater(t, same, 100)
}
