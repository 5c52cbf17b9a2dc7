package execute_test

import (
	"context"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

var treasury = common.HexToAddress("0x7e450000000000000000000000000000000000aa")

// feesKept is a chain whose base fee of 1 gwei goes to treasury.
func feesKept(g *chain.Genesis) {
	g.Fees = chain.Fees{Mode: chain.FeesFixed, BaseFee: (*math.HexOrDecimal256)(big.NewInt(1e9)), BaseFeeTo: &treasury}
}

func (w *world) balance(addr common.Address) *uint256.Int {
	w.t.Helper()
	a, err := w.ledger.Account(addr)
	require.NoError(w.t, err)
	if a == nil {
		return new(uint256.Int)
	}
	return &a.Balance
}

// TestSupplyIsConserved: over random blocks all wei stays where somebody holds it where the base fee is kept, and exactly the base fee vanishes where it is not.
// Self-destruction to oneself burns as on Ethereum, so the generator's programs are left out: transfers, deployments and failures of all fee shapes remain.
func TestSupplyIsConserved(t *testing.T) {
	r := seed(t)
	for _, kept := range []bool{true, false} {
		w := newWorld(t, func(g *chain.Genesis) {
			if feesKept(g); !kept {
				g.Fees.BaseFeeTo = nil
			}
		}, execute.DefaultConfig())
		nonces := make([]uint64, len(w.keys))
		burnt := new(uint256.Int)
		before := w.ledger.Supply()
		for range 20 {
			var txs chain.Txs
			for range 10 {
				from, to := r.IntN(len(w.keys)), w.addrs[r.IntN(len(w.keys))]
				tip := r.Int64N(3e9)
				tx := &types.DynamicFeeTx{ChainID: new(big.Int).SetUint64(w.genesis.ChainID), Nonce: nonces[from], To: &to, Value: big.NewInt(r.Int64N(100)),
					Gas: 60_000, GasFeeCap: big.NewInt(1e9 + r.Int64N(3e9)), GasTipCap: big.NewInt(tip)}
				if tx.GasFeeCap.Cmp(tx.GasTipCap) < 0 {
					tx.GasFeeCap.Set(tx.GasTipCap)
				}
				switch r.IntN(4) {
				case 0:
					tx.To, tx.Data = nil, []byte{byte(vm.INVALID)} // uses all its gas
				case 1:
					tx.GasFeeCap.SetInt64(5) // excluded
					tx.GasTipCap.SetInt64(0)
					nonces[from]--
				}
				nonces[from]++
				txs = append(txs, w.sign(from, tx))
			}
			fees, tips := w.balance(treasury).Clone(), w.balance(proposer).Clone()
			out := w.block(txs...)
			paid := new(uint256.Int).Mul(uint256.NewInt(out.Block.Header.GasUsed), uint256.NewInt(1e9))
			if burnt.Add(burnt, paid); kept {
				require.Equal(t, paid, new(uint256.Int).Sub(w.balance(treasury), fees))
			}
			want := new(uint256.Int)
			for i, tx := range out.Block.Txs {
				tip, ok := tx.EffectiveTip(uint256.NewInt(1e9))
				require.True(t, ok)
				want.Add(want, tip.Mul(tip, uint256.NewInt(out.Receipts[i].GasUsed)))
			}
			require.Equal(t, want, new(uint256.Int).Sub(w.balance(proposer), tips), "the tip stays the proposer's")
		}
		require.False(t, burnt.IsZero())
		if kept {
			burnt.Clear()
		}
		require.Equal(t, before, burnt.Add(burnt, w.ledger.Supply()))
	}
}

// TestCallsAndTracesPayBaseFeesToo: what a call, a simulation or a trace shows of the receiver is what a block would do.
func TestCallsAndTracesPayBaseFeesToo(t *testing.T) {
	w := newWorld(t, feesKept, execute.DefaultConfig())
	pay := chain.Call{From: w.addrs[0], To: &w.addrs[1], Value: uint256.NewInt(1), FeeCap: uint256.NewInt(3e9), TipCap: uint256.NewInt(1e9), Gas: ptr(uint64(21_000))}
	free := chain.Call{From: w.addrs[0], To: &w.addrs[1], Value: uint256.NewInt(1)}
	var look program
	look.push(treasury[:])
	look.op(vm.BALANCE)
	look.num(0)
	look.op(vm.MSTORE)
	look.num(32)
	look.num(0)
	look.op(vm.RETURN)
	looking := chain.Call{From: w.addrs[0], To: &contract}
	const fee = 21_000 * 1e9
	for _, tc := range []struct {
		validation bool
		call       chain.Call
		want       uint64
	}{{true, pay, fee}, {false, pay, 0}, {false, free, 0}} {
		block := chain.SimulatedBlock{Accounts: map[common.Address]chain.AccountOverride{contract: {Code: ptr([]byte(look))}}, Calls: []chain.Call{tc.call, looking}}
		if tc.validation {
			block.Calls[1].FeeCap, block.Calls[1].Gas = uint256.NewInt(3e9), ptr(uint64(50_000))
		}
		out, err := w.simulate([]chain.SimulatedBlock{block}, chain.SimulationOptions{Validation: tc.validation})
		require.NoError(t, err)
		// Without validation a simulation's base fee is zero, as geth has it.
		require.Equal(t, word(tc.want), out[0].Results[1].Return)
	}

	trace := func(call *chain.Call) (pre, post map[common.Address]struct{ Balance *hexutil.Big }) {
		raw, err := w.exec.TraceCall(context.Background(), w.callContext(), call, chain.TraceOptions{Tracer: "prestateTracer",
			TracerConfig: json.RawMessage(`{"diffMode":true}`)}, 0)
		require.NoError(t, err)
		var diff struct {
			Pre, Post map[common.Address]struct{ Balance *hexutil.Big }
		}
		require.NoError(t, json.Unmarshal(raw, &diff))
		return diff.Pre, diff.Post
	}
	_, post := trace(&pay)
	require.Equal(t, big.NewInt(fee), post[treasury].Balance.ToInt())
	_, post = trace(&free)
	require.Nil(t, post[treasury].Balance, "who pays nothing pays no base fee")

	tx := w.sign(0, &types.LegacyTx{To: &w.addrs[1], Value: big.NewInt(5), Gas: 21_000, GasPrice: big.NewInt(4e9)})
	parent := w.ledger.Copy()
	out := w.block(tx)
	raw, err := w.exec.TraceBlock(context.Background(), &chain.Replay{Block: out.Block, State: parent, BlockHash: w.blockHash}, nil,
		chain.TraceOptions{Tracer: "prestateTracer", TracerConfig: json.RawMessage(`{"diffMode":true}`)})
	require.NoError(t, err)
	var diff struct {
		Pre, Post map[common.Address]struct{ Balance *hexutil.Big }
	}
	require.NoError(t, json.Unmarshal(raw[0], &diff))
	require.Len(t, diff.Post, 4, "sender, recipient, proposer and receiver of the base fee")
	for addr, a := range diff.Post {
		require.Equal(t, w.balance(addr).ToBig(), a.Balance.ToInt())
	}
	require.Equal(t, big.NewInt(fee), diff.Post[treasury].Balance.ToInt())

	gas, err := w.exec.EstimateGas(context.Background(), w.callContext(), &chain.Call{From: w.addrs[0], To: &treasury, FeeCap: uint256.NewInt(2e9)}, 0)
	require.NoError(t, err)
	require.Equal(t, uint64(21_000), gas)
	require.Equal(t, uint256.NewInt(fee), w.balance(treasury), "estimates leave nothing behind")
}
