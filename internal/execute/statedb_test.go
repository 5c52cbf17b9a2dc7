package execute_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/execute/executetest"
)

// ledgerWith is a ledger of one contract with one slot and one empty account.
func ledgerWith(t *testing.T, at, empty common.Address) *executetest.Ledger {
	t.Helper()
	code := []byte{1, 2, 3}
	ledger := executetest.New()
	_, err := ledger.Stage(context.Background(), 0, chain.WriteSet{
		{Address: empty, Account: &chain.Account{CodeHash: chain.EmptyCodeHash}},
		{Address: at, Account: &chain.Account{Nonce: 1, CodeHash: gethcrypto.Keccak256Hash(code)}, Code: code,
			Slots: []chain.SlotChange{{Key: common.Hash{1}, Value: common.Hash{7}}}},
	})
	require.NoError(t, err)
	return ledger
}

func TestRebornContractHasNoOldStorage(t *testing.T) {
	at, empty := common.Address{2}, common.Address{1}
	ledger := ledgerWith(t, at, empty)
	st, rules := execute.NewStateDB(ledger), params.Rules{IsEIP158: true}
	require.Equal(t, common.Hash{7}, st.GetState(at, common.Hash{1}))
	code := st.GetCode(at)
	st.SelfDestruct(at)
	require.True(t, st.Exist(at), "until the transaction ends")
	st.Finalise(rules)
	require.False(t, st.Exist(at))
	st.CreateAccount(at)
	st.SetNonce(at, 1, tracing.NonceChangeNewContract)
	st.SetCode(at, code, tracing.CodeChangeContractCreation)
	require.Equal(t, common.Hash{}, st.GetState(at, common.Hash{1}))
	st.SetState(at, common.Hash{2}, common.Hash{9})
	st.Finalise(rules)

	w := st.WriteSet()
	require.Len(t, w, 1)
	require.True(t, w[0].Wiped)
	require.Equal(t, code, w[0].Code)
	require.Equal(t, []chain.SlotChange{{Key: common.Hash{2}, Value: common.Hash{9}}}, w[0].Slots)
	_, err := ledger.Stage(context.Background(), 1, w)
	require.NoError(t, err)
	old, err := ledger.Slot(at, common.Hash{1})
	require.NoError(t, err)
	require.Equal(t, common.Hash{}, old)
}

// TestTouchedEmptyAccountGoes: EIP-161, and its revert.
func TestTouchedEmptyAccountGoes(t *testing.T) {
	at, empty := common.Address{2}, common.Address{1}
	st, rules := execute.NewStateDB(ledgerWith(t, at, empty)), params.Rules{IsEIP158: true}
	snapshot := st.Snapshot()
	st.AddBalance(empty, new(uint256.Int), tracing.BalanceChangeTouchAccount)
	st.RevertToSnapshot(snapshot)
	st.Finalise(rules)
	require.True(t, st.Exist(empty))
	require.Empty(t, st.WriteSet())

	st.AddBalance(empty, new(uint256.Int), tracing.BalanceChangeTouchAccount)
	st.Finalise(rules)
	require.False(t, st.Exist(empty))
	w := st.WriteSet()
	require.Len(t, w, 1)
	require.Nil(t, w[0].Account)
	require.False(t, w[0].Wiped, "it had no storage")
}

func TestPrepareEmptiesTheAccessList(t *testing.T) {
	st, rules := execute.NewStateDB(executetest.New()), params.Rules{IsBerlin: true}
	sender, to, other, listed := common.Address{1}, common.Address{2}, common.Address{3}, common.Address{4}
	st.AddSlotToAccessList(other, common.Hash{1})
	st.SetTransientState(other, common.Hash{1}, common.Hash{1})
	st.Prepare(rules, sender, other, &to, []common.Address{{9}}, types.AccessList{{Address: listed, StorageKeys: []common.Hash{{5}}}})
	require.False(t, st.AddressInAccessList(other), "neither what was warm nor, before Shanghai, the coinbase")
	require.Equal(t, common.Hash{}, st.GetTransientState(other, common.Hash{1}))
	for _, addr := range []common.Address{sender, to, {9}, listed} {
		require.True(t, st.AddressInAccessList(addr))
	}
	_, ok := st.SlotInAccessList(listed, common.Hash{5})
	require.True(t, ok)
	st.Prepare(rules, sender, other, nil, nil, nil)
	require.False(t, st.AddressInAccessList(common.Address{9}))
}

// recorder writes down what a tracer is told of the state.
type recorder struct{ events []string }

func (r *recorder) add(format string, args ...any) {
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

// hooks are the present ones, or the older ones that geth still calls.
func (r *recorder) hooks(old bool) *tracing.Hooks {
	h := &tracing.Hooks{
		OnBalanceChange: func(a common.Address, prev, now *big.Int, reason tracing.BalanceChangeReason) {
			r.add("balance %s %s %s %d", a, prev, now, reason)
		},
		OnStorageChange: func(a common.Address, key, prev, now common.Hash) { r.add("slot %s %s %s %s", a, key, prev, now) },
		OnLog:           func(l *types.Log) { r.add("log %+v", *l) },
	}
	if old {
		h.OnNonceChange = func(a common.Address, prev, now uint64) { r.add("nonce %s %d %d", a, prev, now) }
		h.OnCodeChange = func(a common.Address, prevHash common.Hash, prev []byte, hash common.Hash, code []byte) {
			r.add("code %s %s %x %s %x", a, prevHash, prev, hash, code)
		}
		return h
	}
	h.OnNonceChangeV2 = func(a common.Address, prev, now uint64, reason tracing.NonceChangeReason) {
		r.add("nonce %s %d %d %d", a, prev, now, reason)
	}
	h.OnCodeChangeV2 = func(a common.Address, prevHash common.Hash, prev []byte, hash common.Hash, code []byte, reason tracing.CodeChangeReason) {
		r.add("code %s %s %x %s %x %d", a, prevHash, prev, hash, code, reason)
	}
	return h
}

// TestHooksEqualGeth compares every word that a tracer hears of the state, and its order, with what geth's hooked state says.
func TestHooksEqualGeth(t *testing.T) {
	r := seed(t)
	for _, old := range []bool{false, true} {
		w := newWorld(t, withSystemContracts, execute.DefaultConfig())
		config := w.genesis.ChainConfig()
		oracle := newGethLedger(t, config, w.genesisWrites())
		gen := newGenerator(r, w)
		heard := 0
		for range 8 {
			var block chain.Txs
			for range oracleTxs {
				i := gen.IntN(len(w.keys))
				block = append(block, w.sign(i, gen.tx(i)))
			}
			before, parentState := oracle.root, w.ledger.Copy()
			ours := w.block(block...)
			oracle.block(ours.Block.Header, w.blockHash, block)
			gen.resync()

			theirs := &recorder{}
			g := &gethLedger{t: t, config: config, db: oracle.db, root: before}
			g.run(g.state(), ours.Block.Header, w.blockHash, ours.Block.Txs, func(int, *chain.Tx) *tracers.Tracer {
				return &tracers.Tracer{Hooks: theirs.hooks(old), GetResult: noResult}
			})
			got := &recorder{}
			replay(t, w, config, parentState, ours.Block, got.hooks(old))
			require.Equal(t, theirs.events, got.events)
			heard += len(got.events)
		}
		require.Greater(t, heard, 1000)
	}
}

func noResult() (json.RawMessage, error) { return nil, nil }

// replay runs a block with one tracer for all of its transactions.
func replay(t *testing.T, w *world, config *params.ChainConfig, base chain.State, b *chain.Block, hooks *tracing.Hooks) {
	t.Helper()
	h, random, st := b.Header, b.Header.MixDigest, execute.NewStateDB(base)
	block := vm.BlockContext{CanTransfer: core.CanTransfer, Transfer: core.Transfer, GetHash: w.blockHash, Coinbase: h.Coinbase, GasLimit: h.GasLimit,
		BlockNumber: h.Number, Time: h.Time, Difficulty: new(big.Int), BaseFee: h.BaseFee, BlobBaseFee: big.NewInt(1), Random: &random}
	quiet := execute.NewRunner(config, block, st, vm.Config{}, nil, h.GasLimit)
	require.NoError(t, quiet.ParentHash(h.ParentHash))
	run := execute.NewRunner(config, block, st, vm.Config{Tracer: hooks}, nil, h.GasLimit)
	for i, tx := range b.Txs {
		msg := &core.Message{To: tx.To(), From: tx.Sender(), Nonce: tx.Nonce(), Value: tx.Value(), GasLimit: tx.Gas(), GasPrice: effective(tx),
			GasFeeCap: tx.FeeCap(), GasTipCap: tx.TipCap(), Data: tx.Data(), AccessList: tx.AccessList(), SetCodeAuthorizations: tx.Authorizations()}
		_, _, err := run.Apply(msg, tx.Hash(), i)
		require.NoError(t, err)
	}
}
