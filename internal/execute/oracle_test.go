package execute_test

import (
	"context"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/eth/tracers/logger"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/execute"
)

// gethLedger is geth's own StateDB on geth's own trie: the oracle.
type gethLedger struct {
	t      testing.TB
	config *params.ChainConfig
	db     state.Database
	root   common.Hash
	// feeTo gets base fees, which Ethereum burns; nil: burnt.
	feeTo *common.Address
}

func newGethLedger(t testing.TB, config *params.ChainConfig, alloc chain.WriteSet) *gethLedger {
	g := &gethLedger{t: t, config: config, root: types.EmptyRootHash}
	g.db = state.NewDatabase(triedb.NewDatabase(rawdb.NewMemoryDatabase(), triedb.HashDefaults), nil)
	st := g.state()
	for _, c := range alloc {
		st.SetNonce(c.Address, c.Account.Nonce, tracing.NonceChangeUnspecified)
		st.AddBalance(c.Address, &c.Account.Balance, tracing.BalanceChangeUnspecified)
		if c.Code != nil {
			st.SetCode(c.Address, c.Code, tracing.CodeChangeUnspecified)
		}
		for _, s := range c.Slots {
			st.SetState(c.Address, s.Key, s.Value)
		}
	}
	g.commit(st, 0)
	return g
}

func (g *gethLedger) state() *state.StateDB {
	st, err := state.New(g.root, g.db)
	require.NoError(g.t, err)
	return st
}

func (g *gethLedger) commit(st *state.StateDB, height uint64) {
	rules := g.config.Rules(new(big.Int).SetUint64(height), true, 1)
	root, err := st.Commit(rules, height)
	require.NoError(g.t, err)
	g.root = root
}

// gethBlock is what geth makes of the same transactions.
type gethBlock struct {
	receipts types.Receipts
	txs      types.Transactions
	excluded []string
	gasUsed  uint64
	traces   []json.RawMessage
}

func (g *gethLedger) block(h *chain.Header, hash func(uint64) common.Hash, txs chain.Txs) gethBlock {
	st := g.state()
	out := g.run(st, h, hash, txs, nil)
	g.commit(st, h.Number.Uint64())
	return out
}

// run applies the transactions to st; each may bring a tracer, told of everything by geth's own hooked state.
func (g *gethLedger) run(st *state.StateDB, h *chain.Header, hash func(uint64) common.Hash, txs chain.Txs, tracer func(i int, tx *chain.Tx) *tracers.Tracer) (out gethBlock) {
	var tr *tracers.Tracer
	random := h.MixDigest
	block := vm.BlockContext{CanTransfer: core.CanTransfer, Transfer: core.Transfer, GetHash: hash, Coinbase: h.Coinbase, GasLimit: h.GasLimit,
		BlockNumber: h.Number, Time: h.Time, Difficulty: new(big.Int), BaseFee: h.BaseFee, BlobBaseFee: big.NewInt(1), Random: &random}
	pool := core.NewGasPool(h.GasLimit)
	system := vm.NewEVM(block, st, g.config, vm.Config{})
	if system.GetRules().IsPrague {
		core.ProcessParentBlockHash(h.ParentHash, system, nil)
	}
	signer := types.LatestSigner(g.config)
	for _, tx := range txs {
		inner := new(types.Transaction)
		require.NoError(g.t, inner.UnmarshalBinary(tx.Raw()))
		msg, err := core.TransactionToMessage(inner, signer, h.BaseFee)
		require.NoError(g.t, err)
		cfg, view := vm.Config{}, vm.StateDB(st)
		if tracer != nil {
			tr = tracer(len(out.txs), tx)
			cfg.Tracer, view = tr.Hooks, state.NewHookedState(st, tr.Hooks)
		}
		evm := vm.NewEVM(block, view, g.config, cfg)
		if cfg.Tracer != nil && cfg.Tracer.OnTxStart != nil {
			cfg.Tracer.OnTxStart(evm.GetVMContext(), inner, msg.From)
		}
		before, snapshot := pool.Snapshot(), st.Snapshot()
		st.SetTxContext(tx.Hash(), len(out.txs), uint32(len(out.txs)+1))
		res, err := core.ApplyMessage(evm, msg, pool)
		if err != nil {
			st.RevertToSnapshot(snapshot)
			pool.Set(before)
			st.Finalise(evm.GetRules())
			out.excluded = append(out.excluded, err.Error())
			continue
		}
		if g.feeTo != nil {
			fee := new(uint256.Int).Mul(uint256.NewInt(res.UsedGas), uint256.MustFromBig(h.BaseFee))
			st.AddBalance(*g.feeTo, fee, tracing.BalanceIncreaseRewardTransactionFee)
		}
		view.Finalise(evm.GetRules())
		receipt := core.MakeReceipt(evm, res, st, h.Number, common.Hash{}, h.Time, inner, pool.CumulativeUsed(), nil)
		if cfg.Tracer != nil && cfg.Tracer.OnTxEnd != nil {
			cfg.Tracer.OnTxEnd(receipt, nil)
		}
		if tr != nil {
			trace, err := tr.GetResult()
			require.NoError(g.t, err)
			out.traces = append(out.traces, trace)
		}
		out.receipts, out.txs = append(out.receipts, receipt), append(out.txs, inner)
	}
	out.gasUsed = pool.Used()
	require.NoError(g.t, st.Error())
	return out
}

// requireSame compares a block of ours with geth's.
func requireSame(t *testing.T, ours *chain.Executed, theirs gethBlock, root common.Hash) {
	t.Helper()
	h := ours.Block.Header
	var reasons []string
	for _, x := range ours.Excluded {
		reasons = append(reasons, x.Reason)
	}
	require.Equal(t, theirs.excluded, reasons)
	require.Equal(t, theirs.gasUsed, h.GasUsed)
	for i, r := range theirs.receipts {
		got := ours.Receipts[i]
		require.Equal(t, r.Status, got.Status, "transaction %d", i)
		require.Equal(t, r.GasUsed, got.GasUsed, "transaction %d", i)
		require.Equal(t, r.CumulativeGasUsed, got.CumulativeGasUsed)
		require.Equal(t, r.ContractAddress, got.ContractAddress)
		require.Equal(t, r.Bloom, got.Bloom)
		require.Len(t, got.Logs, len(r.Logs))
		for j, l := range r.Logs {
			l.BlockHash = ours.Block.Hash
			require.Equal(t, l, got.Logs[j])
		}
	}
	require.Equal(t, types.DeriveSha(theirs.txs, trie.NewStackTrie(nil)), h.TxHash)
	require.Equal(t, types.DeriveSha(theirs.receipts, trie.NewStackTrie(nil)), h.ReceiptHash)
	require.Equal(t, types.MergeBloom(theirs.receipts), h.Bloom)
	require.Equal(t, root, h.Root)
}

const (
	oracleBlocks = 80
	oracleTxs    = 40
)

// TestRandomBlocksEqualGeth runs random blocks through Execute and through geth's StateDB and trie.
func TestRandomBlocksEqualGeth(t *testing.T) {
	r := seed(t)
	for _, kept := range []bool{false, true} {
		w := newWorld(t, func(g *chain.Genesis) {
			g.GasLimit = 40_000_000 // some transactions find no room
			withSystemContracts(g)
			if kept {
				// To an account that sends, receives and is looked at; on a market, whose base fee moves.
				receiver := slices.SortedFunc(maps.Keys(g.Alloc), common.Address.Cmp)[2]
				g.Fees = chain.Fees{Mode: chain.FeesMarket, BaseFee: (*math.HexOrDecimal256)(big.NewInt(1000)), BaseFeeTo: &receiver}
			}
		}, execute.DefaultConfig())
		oracle := newGethLedger(t, w.genesis.ChainConfig(), w.genesisWrites())
		oracle.feeTo = w.genesis.Fees.BaseFeeTo
		gen := newGenerator(r, w)
		txs, excluded, failed := 0, 0, 0
		for range oracleBlocks {
			var block chain.Txs
			for range oracleTxs {
				i := gen.IntN(len(w.keys))
				block = append(block, w.sign(i, gen.tx(i)))
			}
			ours := w.block(block...)
			theirs := oracle.block(ours.Block.Header, w.blockHash, block)
			requireSame(t, ours, theirs, oracle.root)
			txs, excluded = txs+len(ours.Block.Txs), excluded+len(ours.Excluded)
			for _, r := range ours.Receipts {
				failed += 1 - int(r.Status)
			}
			gen.resync()
		}
		t.Logf("base fees kept %t: %d transactions (%d failed inside), %d excluded, %d program steps", kept, txs, failed, excluded, gen.ops)
		require.Greater(t, gen.ops, 10_000)
		require.Greater(t, txs, oracleBlocks*oracleTxs/4)
		require.Positive(t, excluded)
	}
}

// resync takes the senders' nonces from the ledger, excluded transactions left gaps.
func (g *generator) resync() {
	for i, addr := range g.w.addrs {
		a, err := g.w.ledger.Account(addr)
		if err != nil || a == nil {
			panic("sender is gone")
		}
		g.nonces[i] = a.Nonce
	}
}

// withSystemContracts adds the EIP-2935 contract (and its like) as Ethereum has them, and a base fee: without one gas is free here and not
// on Ethereum.
func withSystemContracts(g *chain.Genesis) {
	g.Fees = chain.Fees{Mode: chain.FeesFixed, BaseFee: (*math.HexOrDecimal256)(big.NewInt(1))}
	for addr, a := range core.SystemContractAllocs() {
		g.Alloc[addr] = chain.GenesisAccount{Nonce: math.HexOrDecimal64(a.Nonce), Code: a.Code}
	}
}

// TestOldSelfdestructEqualsGeth runs random blocks under Shanghai's rules, where SELFDESTRUCT deletes contracts of earlier blocks, whose
// storage is then gone, and CREATE2 brings them back: a Runner and a write set per block against geth.
func TestOldSelfdestructEqualsGeth(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	config := *w.genesis.ChainConfig()
	config.CancunTime, config.PragueTime, config.OsakaTime, config.BlobScheduleConfig = nil, nil, nil, nil
	oracle := newGethLedger(t, &config, w.genesisWrites())
	gen := newGenerator(seed(t), w)
	phoenix := gethcrypto.CreateAddress(w.addrs[0], 0)
	code, child := gen.phoenix(phoenix)
	wiped, reborn, ran := 0, 0, 0
	for height := uint64(1); height <= oracleBlocks; height++ {
		var block chain.Txs
		// In every block a contract of the block before is destroyed and brought back.
		for _, to := range []*common.Address{&child, &phoenix} {
			call := transfer(gen.nonces[0], *to, 0)
			call.Gas, call.GasPrice = 500_000, big.NewInt(1)
			if height == 1 && to == &child { // it is not there yet: deploy what makes it
				call.To, call.Data = nil, deploying(code)
			}
			block = append(block, w.sign(0, call))
			gen.nonces[0]++
		}
		for len(block) < oracleTxs {
			i := gen.IntN(len(w.keys))
			if data := gen.tx(i); types.NewTx(data).Type() != types.SetCodeTxType {
				block = append(block, w.sign(i, data))
			}
		}
		h := &chain.Header{Number: new(big.Int).SetUint64(height), Time: 1000 * height, GasLimit: 40_000_000, BaseFee: big.NewInt(1), Coinbase: proposer}
		theirs := oracle.block(h, w.blockHash, block)

		st := execute.NewStateDB(w.ledger)
		random := h.MixDigest
		run := execute.NewRunner(&config, vm.BlockContext{CanTransfer: core.CanTransfer, Transfer: core.Transfer, GetHash: w.blockHash,
			Coinbase: proposer, GasLimit: h.GasLimit, BlockNumber: h.Number, Time: h.Time, Difficulty: new(big.Int), BaseFee: h.BaseFee, Random: &random},
			st, vm.Config{}, nil, h.GasLimit)
		index := 0
		for _, tx := range block {
			msg := &core.Message{To: tx.To(), From: tx.Sender(), Nonce: tx.Nonce(), Value: tx.Value(), GasLimit: tx.Gas(), GasPrice: effective(tx),
				GasFeeCap: tx.FeeCap(), GasTipCap: tx.TipCap(), Data: tx.Data(), AccessList: tx.AccessList()}
			res, logs, err := run.Apply(msg, tx.Hash(), index)
			if err != nil {
				continue
			}
			want := theirs.receipts[index]
			require.Equal(t, want.GasUsed, res.UsedGas)
			require.Len(t, logs, len(want.Logs))
			index++
		}
		require.Equal(t, len(theirs.receipts), index)
		ran += index
		writes := st.WriteSet()
		for _, c := range writes {
			wiped += boolInt(c.Wiped)
			reborn += boolInt(c.Wiped && c.Account != nil)
		}
		root, err := w.ledger.Stage(context.Background(), height, writes)
		require.NoError(t, err)
		require.Equal(t, oracle.root, root, "block %d", height)
		gen.resync()
	}
	t.Logf("%d transactions, %d program steps, %d accounts wiped, of which %d came back in the same block", ran, gen.ops, wiped, reborn)
	require.Positive(t, wiped)
	require.GreaterOrEqual(t, reborn, oracleBlocks/2)
}

// effective is what tx pays per gas at the base fee of these tests.
func effective(tx *chain.Tx) *uint256.Int {
	base := uint256.NewInt(1)
	tip, ok := tx.EffectiveTip(base)
	if !ok {
		return tx.FeeCap()
	}
	return tip.Add(tip, base)
}

// TestTracesEqualGeth traces random blocks with every tracer, here and on geth's hooked state.
func TestTracesEqualGeth(t *testing.T) {
	w := newWorld(t, withSystemContracts, scripted)
	config := w.genesis.ChainConfig()
	oracle := newGethLedger(t, config, w.genesisWrites())
	gen := newGenerator(seed(t), w)
	options := []chain.TraceOptions{
		{}, {Logger: json.RawMessage(`{"enableMemory":true,"enableReturnData":true}`)},
		{Tracer: "callTracer", TracerConfig: json.RawMessage(`{"withLog":true}`)}, {Tracer: "flatCallTracer"},
		{Tracer: "prestateTracer"}, {Tracer: "prestateTracer", TracerConfig: json.RawMessage(`{"diffMode":true}`)},
		{Tracer: "4byteTracer"}, {Tracer: "noopTracer"}, {Tracer: "keccak256PreimageTracer"},
		{Tracer: "muxTracer", TracerConfig: json.RawMessage(`{"callTracer":{},"4byteTracer":{}}`)},
		{Tracer: "opcountTracer"}, {Tracer: "prestateTracerLegacy"}, {Tracer: "callTracerLegacy"},
		{Tracer: `{n: 0, step: function(log, db) { this.n += log.getGas() }, fault: function() {}, result: function(ctx) { return {gas: this.n, to: toHex(ctx.to)} }}`},
	}
	compared := 0
	for range 3 {
		var block chain.Txs
		for range 12 {
			i := gen.IntN(len(w.keys))
			block = append(block, w.sign(i, gen.tx(i)))
		}
		before := oracle.root
		parentState := w.ledger.Copy()
		ours := w.block(block...)
		oracle.block(ours.Block.Header, w.blockHash, block)
		gen.resync()
		replay := &chain.Replay{Block: ours.Block, State: parentState, BlockHash: w.blockHash}
		for _, opts := range options {
			got, err := w.exec.TraceBlock(context.Background(), replay, nil, opts)
			require.NoError(t, err)
			want := gethTraces(t, &gethLedger{t: t, config: config, db: oracle.db, root: before}, w, ours.Block, opts)
			require.Len(t, got, len(want))
			for i := range want {
				require.JSONEq(t, string(want[i]), string(got[i]), "tracer %q, transaction %d", opts.Tracer, i)
				one, err := w.exec.TraceBlock(context.Background(), replay, &i, opts)
				require.NoError(t, err)
				require.JSONEq(t, string(want[i]), string(one[0]), "tracer %q, transaction %d alone", opts.Tracer, i)
				compared++
			}
		}
	}
	t.Logf("%d traces compared", compared)
	require.Greater(t, compared, 100)
}

func gethTraces(t *testing.T, g *gethLedger, w *world, b *chain.Block, opts chain.TraceOptions) []json.RawMessage {
	return g.run(g.state(), b.Header, w.blockHash, b.Txs, func(i int, tx *chain.Tx) *tracers.Tracer {
		if opts.Tracer == "" {
			var cfg logger.Config
			if opts.Logger != nil {
				require.NoError(t, json.Unmarshal(opts.Logger, &cfg))
			}
			l := logger.NewStructLogger(&cfg)
			return &tracers.Tracer{Hooks: l.Hooks(), GetResult: l.GetResult, Stop: l.Stop}
		}
		at := &tracers.Context{BlockHash: b.Hash, BlockNumber: b.Header.Number, TxIndex: i, TxHash: tx.Hash()}
		tr, err := tracers.DefaultDirectory.New(opts.Tracer, at, opts.TracerConfig, g.config)
		require.NoError(t, err)
		return tr
	}).traces
}
