package execute_test

import (
	"context"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute"
)

// precompileCall is one call of each contract and what it answers.
type precompileCall struct {
	name     string
	addr     common.Address
	in, want []byte
	fails    bool
}

func precompileCalls(t testing.TB, w *world) []precompileCall {
	sealed := unhex(t, rfc8998Sealed)
	forged := append([]byte{sealed[0] ^ 1}, sealed[1:]...)
	aad := unhex(t, rfc8998AAD)
	return []precompileCall{
		{"sm3", execute.SM3Address, []byte("abc"), unhex(t, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"), false},
		{"sm2", execute.SM2Address, sm2Example(t), word(1), false},
		{"sm2 refused", execute.SM2Address, sm2Example(t)[1:], nil, false},
		{"seal", execute.SM4SealAddress, sm4Input(aad, unhex(t, rfc8998Plain)), sealed, false},
		{"open", execute.SM4OpenAddress, sm4Input(aad, sealed), unhex(t, rfc8998Plain), false},
		{"open forged", execute.SM4OpenAddress, sm4Input(aad, forged), nil, true},
		{"open malformed", execute.SM4OpenAddress, sealed[:31], nil, true},
		{"node signature", execute.NodeSignatureAddress, signedInput(t, w.suite, []byte("a message")), word(1), false},
		{"node signature refused", execute.NodeSignatureAddress, signedInput(t, w.suite, []byte("a message"))[1:], nil, false},
		{"chain hash", execute.ChainHashAddress, nil, w.chainHash(), false},
	}
}

// relay is code that passes its input on to addr with that much gas, and returns whether the call succeeded (32 bytes) and what it answered.
func relay(addr common.Address, gas uint64) []byte {
	var p program
	p.op(vm.CALLDATASIZE, vm.PUSH0, vm.PUSH0, vm.CALLDATACOPY)
	p.op(vm.PUSH0, vm.PUSH0, vm.CALLDATASIZE, vm.PUSH0)
	p.push(addr[:])
	p.num(gas)
	p.op(vm.STATICCALL, vm.PUSH0, vm.MSTORE, vm.RETURNDATASIZE, vm.PUSH0)
	p.push([]byte{32})
	p.op(vm.RETURNDATACOPY, vm.RETURNDATASIZE)
	p.push([]byte{32})
	p.op(vm.ADD, vm.PUSH0, vm.RETURN)
	return p
}

func guomiWorld(t testing.TB, suite crypto.Suite) *world {
	w := newWorld(t, nil, scripted)
	w.genesis.Suite = suite.Name()
	w.headers = []*chain.Header{w.genesis.Header(suite, w.genesisWrites(), w.ledger.Root())}
	var err error
	w.suite = suite
	cfg := scripted
	cfg.ChainHash = crypto.Hash(w.chainHash())
	w.exec, err = execute.New(cfg, w.genesis, suite)
	require.NoError(t, err)
	return w
}

// chainHash is what names the chain in what validators sign.
func (w *world) chainHash() []byte {
	hash, err := chain.HeaderHash(w.suite, w.headers[0])
	require.NoError(w.t, err)
	return hash[:]
}

func onBothSuites(t *testing.T, test func(t *testing.T, w *world)) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) { test(t, guomiWorld(t, suite)) })
	}
}

// calldataGas is what a transaction costs before it runs, and its least (EIP-2028, EIP-7623).
func calldataGas(data []byte) (before, least uint64) {
	var tokens uint64
	for _, b := range data {
		if b == 0 {
			tokens++
		} else {
			tokens += 4
		}
	}
	return 21_000 + 4*tokens, 21_000 + 10*tokens
}

func TestTransactionsToPrecompiles(t *testing.T) {
	onBothSuites(t, func(t *testing.T, w *world) {
		calls := precompileCalls(t, w)
		var txs chain.Txs
		for i, c := range calls {
			txs = append(txs, w.sign(0, &types.LegacyTx{Nonce: uint64(i), To: &c.addr, Gas: 100_000, GasPrice: new(big.Int), Data: c.in}))
		}
		out := w.block(txs...)
		require.Empty(t, out.Excluded)
		for i, c := range calls {
			before, least := calldataGas(c.in)
			want := max(least, before+contractAt(t, c.addr).RequiredGas(c.in))
			status := types.ReceiptStatusSuccessful
			if c.fails {
				want, status = 100_000, types.ReceiptStatusFailed
			}
			require.Equal(t, status, out.Receipts[i].Status, c.name)
			require.Equal(t, want, out.Receipts[i].GasUsed, c.name)
		}
	})
}

func TestPrecompilesInCalls(t *testing.T) {
	onBothSuites(t, func(t *testing.T, w *world) {
		for _, c := range precompileCalls(t, w) {
			call := &chain.Call{From: w.addrs[0], To: &c.addr, Data: c.in}
			res, err := w.exec.Call(context.Background(), w.callContext(), call, 1_000_000)
			require.NoError(t, err, c.name)
			require.Equal(t, c.fails, res.Err != nil, c.name)
			require.Equal(t, c.want, res.Return, c.name)
			if !c.fails {
				gas, err := w.exec.EstimateGas(context.Background(), w.callContext(), call, 1_000_000)
				require.NoError(t, err)
				require.GreaterOrEqual(t, gas, res.GasUsed, c.name)
				call.Gas = &gas
				again, err := w.exec.Call(context.Background(), w.callContext(), call, 1_000_000)
				require.NoError(t, err)
				require.NoError(t, again.Err, "%s with the gas that it was estimated to need", c.name)
				call.Gas = nil
			}
			sim, err := w.simulate([]chain.SimulatedBlock{{Calls: []chain.Call{{From: w.addrs[0], To: &c.addr, Data: c.in, Gas: ptr(uint64(1_000_000))}}}}, chain.SimulationOptions{})
			require.NoError(t, err)
			require.Equal(t, c.want, sim[0].Results[0].Return, c.name)

			moved := common.HexToAddress("0x1234")
			cc := w.callContext()
			cc.Accounts = map[common.Address]chain.AccountOverride{c.addr: {MovePrecompileTo: &moved}}
			call.To = &moved
			res, err = w.exec.Call(context.Background(), cc, call, 1_000_000)
			require.NoError(t, err)
			require.Equal(t, c.want, res.Return, c.name)
		}
	})
}

// TestPrecompileGasAtTheBorder: the contract runs with the gas that it requires, not with one less; it is warm from the start.
func TestPrecompileGasAtTheBorder(t *testing.T) {
	onBothSuites(t, func(t *testing.T, w *world) {
		for _, c := range precompileCalls(t, w) {
			need := contractAt(t, c.addr).RequiredGas(c.in)
			run := func(addr common.Address, gas uint64, list types.AccessList) *chain.CallResult {
				res, err := w.exec.Call(context.Background(), w.with(relay(addr, gas)), &chain.Call{To: &contract, Data: c.in, AccessList: list}, 1_000_000)
				require.NoError(t, err)
				require.NoError(t, res.Err)
				return res
			}
			exact, short := run(c.addr, need, nil), run(c.addr, need-1, nil)
			require.Equal(t, !c.fails, exact.Return[31] == 1, c.name)
			require.Equal(t, c.want, emptyNil(exact.Return[32:]), c.name)
			require.Equal(t, word(0), short.Return, "%s with a unit less", c.name)

			// Listing it costs 2,400 and saves nothing: it is warm. An account that nobody named costs 2,500 more.
			before, least := calldataGas(c.in)
			if before+need > least && !c.fails {
				require.Equal(t, exact.GasUsed+2_400, run(c.addr, need, types.AccessList{{Address: c.addr}}).GasUsed, c.name)
			}
			list, err := w.exec.AccessList(context.Background(), w.with(relay(c.addr, need)), &chain.Call{To: &contract, Data: c.in}, 1_000_000)
			require.NoError(t, err)
			require.Empty(t, list.AccessList, "%s is listed though it is warm", c.name)
		}
	})
}

func emptyNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// TestTracersKnowThePrecompiles: geth's tracers leave calls of precompiles out, or say that they are some.
func TestTracersKnowThePrecompiles(t *testing.T) {
	w := guomiWorld(t, gm.Suite{})
	trace := func(opts chain.TraceOptions) string {
		cc := w.with(relay(execute.SM2Address, 100_000))
		res, err := w.exec.TraceCall(context.Background(), cc, &chain.Call{From: w.addrs[0], To: &contract, Data: sm2Example(t), Value: new(uint256.Int)}, opts, 1_000_000)
		require.NoError(t, err)
		return string(res)
	}
	require.Contains(t, trace(chain.TraceOptions{Tracer: "callTracer"}), `"to":"0x0000000000000000000000000000000000005002"`)
	flat := trace(chain.TraceOptions{Tracer: "flatCallTracer"})
	require.NotContains(t, flat, "5002", "a flat trace has no entry for a precompile")
	var frames []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(flat), &frames))
	require.Len(t, frames, 1)
	require.JSONEq(t, `{"0xf0b43e94-156":1}`, trace(chain.TraceOptions{Tracer: "4byteTracer"}), "only the outer call has a selector")
	require.JSONEq(t, `[true, false]`, trace(chain.TraceOptions{Tracer: `{fault(){}, result(ctx) {
		return [isPrecompiled(toAddress("0x0000000000000000000000000000000000005002")), isPrecompiled(toAddress("0x0000000000000000000000000000000000005007"))] }}`}))
}
