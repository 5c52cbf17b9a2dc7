package execute_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"math/big"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute"
	"github.com/jialing-chain/jialing/internal/execute/executetest"
)

// world is a chain in memory: an executor, a ledger, the headers so far.
type world struct {
	t        testing.TB
	genesis  *chain.Genesis
	suite    crypto.Suite // of guomiWorld
	exec     *execute.Executor
	ledger   *executetest.Ledger
	headers  []*chain.Header
	verifier *chain.Verifier
	signer   types.Signer
	keys     []*ecdsa.PrivateKey
	addrs    []common.Address
}

var proposer = common.HexToAddress("0xc01bba5e00000000000000000000000000000001")

func newWorld(t testing.TB, alter func(*chain.Genesis), cfg execute.Config) *world {
	t.Helper()
	w := &world{t: t, ledger: executetest.New()}
	g := &chain.Genesis{
		Name: "test", ChainID: 1337, TimeMillis: 1_700_000_000_123, Suite: "intl",
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 10_000, MaxBlockBytes: 16 << 20},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "one", PublicKey: []byte{1}, Address: proposer}},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesZero}, GasLimit: 1_000_000_000,
		Alloc: map[common.Address]chain.GenesisAccount{},
	}
	for i := range 8 {
		key, err := gethcrypto.ToECDSA(gethcrypto.Keccak256([]byte{byte(i)}))
		require.NoError(t, err)
		addr := gethcrypto.PubkeyToAddress(key.PublicKey)
		w.keys, w.addrs = append(w.keys, key), append(w.addrs, addr)
		g.Alloc[addr] = chain.GenesisAccount{Balance: (*math.HexOrDecimal256)(big.NewInt(1e18))}
	}
	if alter != nil {
		alter(g)
	}
	require.NoError(t, g.Validate())
	var err error
	w.genesis = g
	w.exec, err = execute.New(cfg, g, intl.Suite{})
	require.NoError(t, err)
	writes := w.genesisWrites()
	root, err := w.ledger.Stage(context.Background(), 0, writes)
	require.NoError(t, err)
	w.headers = []*chain.Header{g.Header(intl.Suite{}, writes, root)}
	w.verifier = chain.NewVerifier(g)
	w.signer = types.LatestSignerForChainID(new(big.Int).SetUint64(g.ChainID))
	return w
}

func (w *world) genesisWrites() chain.WriteSet {
	return w.genesis.Writes(func(b []byte) common.Hash { return gethcrypto.Keccak256Hash(b) })
}

func (w *world) head() *chain.Header { return w.headers[len(w.headers)-1] }

func (w *world) blockHash(height uint64) common.Hash {
	if height >= uint64(len(w.headers)) {
		return common.Hash{}
	}
	return w.headers[height].Hash()
}

func (w *world) sign(from int, data types.TxData) *chain.Tx {
	w.t.Helper()
	inner, err := types.SignNewTx(w.keys[from], w.signer, data)
	require.NoError(w.t, err)
	tx, err := chain.NewTx(inner)
	require.NoError(w.t, err)
	require.NoError(w.t, w.verifier.Verify(tx))
	return tx
}

func (w *world) input(txs ...*chain.Tx) execute.Input {
	height := uint64(len(w.headers))
	return execute.Input{
		Parent:   w.head(),
		Decision: &chain.Decision{Height: height, TimeMillis: w.genesis.TimeMillis + height*700, Proposer: 1, Txs: chain.Txs(txs).Hashes()},
		Txs:      txs, State: w.ledger, Rule: w.genesis.Rule(), Next: w.genesis.Rule(), BlockHash: w.blockHash,
	}
}

// block executes the next block.
func (w *world) block(txs ...*chain.Tx) *chain.Executed {
	w.t.Helper()
	out, err := w.exec.Execute(context.Background(), w.input(txs...), w.ledger)
	require.NoError(w.t, err)
	w.headers = append(w.headers, out.Block.Header)
	return out
}

func (w *world) callContext() *chain.CallContext {
	return &chain.CallContext{Header: w.head(), State: w.ledger, BlockHash: w.blockHash}
}

func transfer(nonce uint64, to common.Address, wei int64) *types.LegacyTx {
	return &types.LegacyTx{Nonce: nonce, To: &to, Value: big.NewInt(wei), Gas: 21_000, GasPrice: new(big.Int)}
}

func TestExecuteBuildsTheHeader(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	suite := intl.Suite{}
	in := w.input(w.sign(0, transfer(0, w.addrs[1], 5)))
	out, err := w.exec.Execute(context.Background(), in, w.ledger)
	require.NoError(t, err)
	h, parent := out.Block.Header, w.head()

	require.Equal(t, parent.Hash(), h.ParentHash)
	require.Equal(t, uint64(1), h.Number.Uint64())
	require.Equal(t, in.Decision.TimeMillis/1000, h.Time)
	require.Equal(t, proposer, h.Coinbase)
	require.Equal(t, w.genesis.GasLimit, h.GasLimit)
	require.Equal(t, uint64(21_000), h.GasUsed)
	require.Equal(t, w.ledger.Root(), h.Root)
	require.Equal(t, out.Block.Txs.Root(), h.TxHash)
	require.Equal(t, chain.ReceiptsRoot(out.Receipts), h.ReceiptHash)
	require.Equal(t, types.EmptyWithdrawalsHash, *h.WithdrawalsHash)
	require.Equal(t, types.EmptyRequestsHash, *h.RequestsHash)
	require.Equal(t, chain.Prevrandao(in.Decision.Hash(suite)), h.MixDigest)

	extra, err := chain.DecodeExtra(h.Extra)
	require.NoError(t, err)
	before, err := chain.DecodeExtra(parent.Extra)
	require.NoError(t, err)
	parentHash, err := chain.HeaderHash(suite, parent)
	require.NoError(t, err)
	require.Equal(t, chain.Extra{
		Millis: uint16(in.Decision.TimeMillis % 1000), Parent: parentHash, Decision: in.Decision.Hash(suite),
		Validators: in.Rule.Hash(suite), Next: in.Next.Hash(suite), Ledger: out.Writes.Digest(suite, before.Ledger),
		Records: chain.NewRecords(out.Block.Txs, out.Receipts).Root(suite),
	}, *extra)

	r := out.Receipts[0]
	require.Equal(t, h.Hash(), r.BlockHash)
	require.Equal(t, types.ReceiptStatusSuccessful, r.Status)
	require.Equal(t, in.Txs[0].Hash(), r.TxHash)
}

func TestTimeNeverDecreases(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	in := w.input()
	in.Decision.TimeMillis = 5
	out, err := w.exec.Execute(context.Background(), in, w.ledger)
	require.NoError(t, err)
	extra, err := chain.DecodeExtra(out.Block.Header.Extra)
	require.NoError(t, err)
	require.Equal(t, w.head().Time, out.Block.Header.Time)
	require.Equal(t, uint16(w.genesis.TimeMillis%1000), extra.Millis)
}

func TestExclusionLeavesNoTrace(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) { g.GasLimit = 17_000_000 }, execute.DefaultConfig())
	poor := transfer(0, w.addrs[1], 0)
	poor.Value = new(big.Int).Lsh(big.NewInt(1), 80)
	tooBig := transfer(1, w.addrs[1], 1)
	tooBig.Gas = 16_777_217
	little := transfer(0, w.addrs[1], 1)
	little.Gas = 20_999
	full := transfer(1, w.addrs[2], 1)
	full.Gas = 16_777_216
	noRoom := transfer(0, w.addrs[2], 1)
	noRoom.Gas = 16_777_216
	good := w.sign(0, transfer(0, w.addrs[1], 7))
	last := w.sign(0, full)
	out := w.block(
		good,
		w.sign(0, transfer(0, w.addrs[3], 7)), // nonce too low
		w.sign(1, transfer(4, w.addrs[3], 7)), // nonce too high
		w.sign(2, poor), w.sign(0, tooBig), w.sign(3, little), last, w.sign(4, noRoom),
	)
	require.Equal(t, []common.Hash{good.Hash(), last.Hash(), out.Block.Txs[2].Hash()}, out.Block.Txs.Hashes(), "unused gas goes back to the block")
	var reasons []string
	for _, x := range out.Excluded {
		reasons = append(reasons, x.Reason)
	}
	require.Len(t, reasons, 5)
	for i, want := range []string{"nonce too low", "nonce too high", "insufficient funds for gas * price + value", "transaction gas limit too high", "intrinsic gas too low"} {
		require.Contains(t, reasons[i], want)
	}

	// The same block without them has the same state.
	clean := newWorld(t, func(g *chain.Genesis) { g.GasLimit = 17_000_000 }, execute.DefaultConfig())
	same := clean.block(out.Block.Txs...)
	require.Equal(t, same.Block.Header.Root, out.Block.Header.Root)
	require.Equal(t, same.Writes, out.Writes)
	require.Equal(t, same.Block.Header.GasUsed, out.Block.Header.GasUsed)
}

func TestBlockGasLimitExcludes(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) { g.GasLimit = 16_777_216 }, execute.DefaultConfig())
	whole := transfer(0, w.addrs[2], 1)
	whole.Gas = 16_777_216
	out := w.block(w.sign(0, transfer(0, w.addrs[2], 1)), w.sign(1, whole), w.sign(2, transfer(0, w.addrs[2], 1)))
	require.Len(t, out.Block.Txs, 2)
	require.Equal(t, "gas limit reached", out.Excluded[0].Reason)
}

type deny struct{ from common.Address }

func (d deny) Allow(_ context.Context, _ chain.State, tx *chain.Tx) error {
	if tx.Sender() == d.from {
		return chain.ErrNotPermitted
	}
	return nil
}

type broken struct{}

func (broken) Allow(context.Context, chain.State, *chain.Tx) error { return errors.New("disk on fire") }

func TestPermission(t *testing.T) {
	cfg := execute.DefaultConfig()
	w := newWorld(t, nil, cfg)
	cfg.Permission = deny{w.addrs[1]}
	w = newWorld(t, nil, cfg)
	out := w.block(w.sign(0, transfer(0, w.addrs[2], 1)), w.sign(1, transfer(0, w.addrs[2], 1)))
	require.Len(t, out.Block.Txs, 1)
	require.Equal(t, chain.ErrNotPermitted.Error(), out.Excluded[0].Reason)

	cfg.Permission = broken{}
	w = newWorld(t, nil, cfg)
	_, err := w.exec.Execute(context.Background(), w.input(w.sign(0, transfer(0, w.addrs[2], 1))), w.ledger)
	require.ErrorIs(t, err, execute.ErrState)
}

// failing is a state that fails after some reads.
type failing struct {
	chain.State
	left int
}

var errDisk = errors.New("disk on fire")

func (f *failing) Account(addr common.Address) (*chain.Account, error) {
	if f.left--; f.left < 0 {
		return nil, errDisk
	}
	return f.State.Account(addr)
}

func TestStateErrorFailsTheBlock(t *testing.T) {
	for reads := range 4 {
		w := newWorld(t, nil, execute.DefaultConfig())
		in := w.input(w.sign(0, transfer(0, w.addrs[1], 5)))
		in.State = &failing{w.ledger, reads}
		root := w.ledger.Root()
		out, err := w.exec.Execute(context.Background(), in, w.ledger)
		require.ErrorIs(t, err, errDisk, "after %d reads", reads)
		require.ErrorIs(t, err, execute.ErrState)
		require.Nil(t, out)
		require.Equal(t, root, w.ledger.Root())
	}
}

func TestExecuteRefusesInputThatDoesNotFit(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	tx, other := w.sign(0, transfer(0, w.addrs[1], 5)), w.sign(1, transfer(0, w.addrs[1], 5))
	unverified, err := chain.DecodeTx(tx.Raw())
	require.NoError(t, err)
	for name, alter := range map[string]func(*execute.Input){
		"does not follow": func(in *execute.Input) { in.Decision.Height = 7 },
		"is no validator": func(in *execute.Input) { in.Decision.Proposer = 9 },
		"1 were given":    func(in *execute.Input) { in.Decision.Txs = nil },
		"decided is":      func(in *execute.Input) { in.Txs = chain.Txs{other} },
		"verified false":  func(in *execute.Input) { in.Txs = chain.Txs{unverified} },
		"not of this platform's format": func(in *execute.Input) {
			in.Parent = types.CopyHeader(in.Parent)
			in.Parent.Extra = nil
		},
	} {
		in := w.input(tx)
		alter(&in)
		_, err := w.exec.Execute(context.Background(), in, w.ledger)
		require.ErrorContains(t, err, name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = w.exec.Execute(ctx, w.input(tx), w.ledger)
	require.ErrorIs(t, err, context.Canceled)
}

func TestFeeModes(t *testing.T) {
	fee := func(mode chain.FeeMode, wei int64) func(*chain.Genesis) {
		return func(g *chain.Genesis) {
			g.Fees = chain.Fees{Mode: mode, BaseFee: (*math.HexOrDecimal256)(big.NewInt(wei))}
		}
	}
	pay := func(w *world, nonce uint64, feeCap, tip int64) *chain.Tx {
		return w.sign(0, &types.DynamicFeeTx{ChainID: big.NewInt(1337), Nonce: nonce, To: &w.addrs[1], Gas: 21_000,
			GasFeeCap: big.NewInt(feeCap), GasTipCap: big.NewInt(tip)})
	}
	w := newWorld(t, fee(chain.FeesFixed, 1000), execute.DefaultConfig())
	out := w.block(pay(w, 0, 999, 0), pay(w, 0, 2000, 5))
	require.Contains(t, out.Excluded[0].Reason, "max fee per gas less than block base fee")
	require.Equal(t, int64(1005), out.Receipts[0].EffectiveGasPrice.Int64())
	tips, err := w.ledger.Account(proposer)
	require.NoError(t, err)
	require.Equal(t, uint64(5*21_000), tips.Balance.Uint64(), "the base fee is burnt, the tip is the proposer's")
	require.Equal(t, int64(1000), w.block().Block.Header.BaseFee.Int64())

	w = newWorld(t, fee(chain.FeesMarket, 1000), execute.DefaultConfig())
	require.Equal(t, int64(875), w.block().Block.Header.BaseFee.Int64(), "an empty block lowers it by an eighth")

	w = newWorld(t, nil, execute.DefaultConfig())
	w.block(w.sign(0, transfer(0, w.addrs[1], 5)))
	coinbase, err := w.ledger.Account(proposer)
	require.NoError(t, err)
	require.Nil(t, coinbase, "without fees no empty coinbase account is made")
}

// TestGasIsFreeWithoutABaseFee: on a zero-fee chain an account without money may use tools that offer a tip by default.
func TestGasIsFreeWithoutABaseFee(t *testing.T) {
	w := newWorld(t, func(g *chain.Genesis) {
		for addr := range g.Alloc {
			delete(g.Alloc, addr)
		}
	}, execute.DefaultConfig())
	gwei := big.NewInt(1e9)
	out := w.block(
		w.sign(0, &types.DynamicFeeTx{ChainID: w.signer.ChainID(), To: &w.addrs[1], Gas: 50_000, GasFeeCap: gwei, GasTipCap: gwei}),
		w.sign(1, &types.LegacyTx{To: &w.addrs[0], Gas: 50_000, GasPrice: gwei}),
		w.sign(2, &types.LegacyTx{To: &w.addrs[0], Gas: 50_000, GasPrice: gwei, Value: big.NewInt(1)}),
	)
	require.Len(t, out.Block.Txs, 2)
	require.Contains(t, out.Excluded[0].Reason, "insufficient funds")
	for _, r := range out.Receipts {
		require.Zero(t, r.EffectiveGasPrice.Sign())
	}
	for _, c := range out.Writes {
		require.True(t, c.Account.Balance.IsZero())
	}
	call := &chain.Call{From: w.addrs[3], To: &w.addrs[1], GasPrice: uint256.NewInt(1e9)}
	res, err := w.exec.Call(context.Background(), w.callContext(), call, 1_000_000)
	require.NoError(t, err)
	require.NoError(t, res.Err)
	gas, err := w.exec.EstimateGas(context.Background(), w.callContext(), call, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, uint64(21_000), gas)
}

func TestCallSeesTheState(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	res, err := w.exec.Call(context.Background(), w.callContext(), &chain.Call{From: w.addrs[0], To: &w.addrs[1]}, 50_000_000)
	require.NoError(t, err)
	require.NoError(t, res.Err)
	require.Equal(t, uint64(21_000), res.GasUsed)

	gas, err := w.exec.EstimateGas(context.Background(), w.callContext(), &chain.Call{From: w.addrs[0], To: &w.addrs[1]}, 50_000_000)
	require.NoError(t, err)
	require.Equal(t, uint64(21_000), gas)
}

func TestUnknownBlockHashFailsTheBlock(t *testing.T) {
	w := newWorld(t, nil, execute.DefaultConfig())
	for range 3 {
		w.block()
	}
	var p program // ask for the grandparent's hash
	p.push([]byte{2})
	p.op(vm.NUMBER, vm.SUB, vm.BLOCKHASH)
	create := &types.LegacyTx{Gas: 100_000, GasPrice: new(big.Int), Data: p}
	in := w.input(w.sign(0, create))
	in.BlockHash = func(uint64) common.Hash { return common.Hash{} }
	_, err := w.exec.Execute(context.Background(), in, w.ledger)
	require.ErrorIs(t, err, execute.ErrState)
	require.ErrorContains(t, err, "hash of block 2 is unknown")
	in.BlockHash = w.blockHash
	_, err = w.exec.Execute(context.Background(), in, w.ledger)
	require.NoError(t, err)
}

func TestParentHashIsRecorded(t *testing.T) {
	w := newWorld(t, withSystemContracts, execute.DefaultConfig())
	w.block()
	w.block()
	// EIP-2935: the contract answers a 32-byte height.
	for height := range uint64(2) {
		res, err := w.exec.Call(context.Background(), w.callContext(), &chain.Call{To: &params.HistoryStorageAddress, Data: word(height)}, 1_000_000)
		require.NoError(t, err)
		require.NoError(t, res.Err)
		require.Equal(t, w.headers[height].Hash().Bytes(), res.Return)
	}
	// The beacon root is never set (see the package's documentation).
	res, err := w.exec.Call(context.Background(), w.callContext(), &chain.Call{To: &params.BeaconRootsAddress, Data: word(w.head().Time)}, 1_000_000)
	require.NoError(t, err)
	require.ErrorContains(t, res.Err, "execution reverted")
}

// TestCallsBesideExecution runs calls of all kinds while blocks are executed; the race detector watches, and the answers must not change.
func TestCallsBesideExecution(t *testing.T) {
	w := newWorld(t, withSystemContracts, execute.DefaultConfig())
	r := seed(t)
	gen := newGenerator(r, w)
	draw := func() (txs chain.Txs) {
		for range 10 {
			i := gen.IntN(len(w.keys))
			txs = append(txs, w.sign(i, gen.tx(i)))
		}
		return txs
	}
	block := w.block(draw()...).Block
	gen.resync()
	cc := w.callContext()
	cc.State = w.ledger.Copy()
	code := returning(vm.SELFBALANCE)
	cc.Accounts = map[common.Address]chain.AccountOverride{contract: {Code: &code, Balance: uint256.NewInt(42)}}
	cc.BlockHash = func(uint64) common.Hash { return block.Header.ParentHash }
	call := &chain.Call{From: w.addrs[0], To: &contract}

	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				res, err := w.exec.Call(context.Background(), cc, call, 1_000_000)
				if !assert.NoError(t, err) || !assert.Equal(t, word(42), res.Return) {
					return
				}
				_, err = w.exec.EstimateGas(context.Background(), cc, call, 1_000_000)
				assert.NoError(t, err)
				_, err = w.exec.TraceCall(context.Background(), cc, call, chain.TraceOptions{Tracer: "callTracer"}, 1_000_000)
				assert.NoError(t, err)
			}
		})
	}
	for range 10 {
		w.block(draw()...)
		gen.resync()
	}
	close(done)
	wg.Wait()
}
