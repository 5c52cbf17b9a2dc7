package store

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// smallConfig is a store in memory with caches so small that everything is evicted all the time.
func smallConfig(fs vfs.FS) Config {
	c := DefaultConfig()
	c.Dir, c.FS = "data", fs
	c.BlockCacheBytes, c.StateCacheBytes, c.CommitmentBytes, c.MemTableBytes = 1<<20, 1<<20, 1<<20, 1<<20
	c.Encryption = fixtureEncryption
	return c
}

func testGenesis(tb testing.TB) *chain.Genesis {
	tb.Helper()
	key, err := intl.Suite{}.GenerateKey(rand.NewChaCha8([32]byte{1}))
	require.NoError(tb, err)
	g := &chain.Genesis{
		Name: "test", ChainID: 1337, TimeMillis: 1_700_000_000_000, Suite: "intl", GasLimit: 1_000_000_000,
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 10_000, MaxBlockBytes: 16 << 20},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "one", PublicKey: key.Public().Bytes(), Address: common.Address{0xff}}},
		Transactions: []chain.TxKind{chain.Secp256k1},
		Fees:         chain.Fees{Mode: chain.FeesZero},
		Alloc: map[common.Address]chain.GenesisAccount{
			{1}: {Balance: (*math.HexOrDecimal256)(big.NewInt(1_000_000))},
			{2}: {Code: []byte{0x60, 0x00}, Storage: map[common.Hash]common.Hash{{31: 1}: {31: 7}, {31: 2}: {1: 9}}},
		},
	}
	require.NoError(tb, g.Validate())
	return g
}

// ledger is a plain model of a chain that grows block by block, with every state it ever had.
type ledger struct {
	tb      testing.TB
	rng     *rand.Rand
	suite   crypto.Suite
	genesis *chain.Genesis
	key     *ecdsa.PrivateKey
	nonce   uint64
	// epochEntries makes stores begin epochs so soon that every test has many.
	epochEntries uint64
	// dataSize bounds the random call data of transactions.
	dataSize int

	header    *chain.Header
	decision  crypto.Hash
	blocks    []*chain.Executed // by height; 0 is nil
	states    []modelState      // by height
	headers   []*chain.Header
	addresses []common.Address
	keys      []common.Hash
}

// modelState is a whole state. Accounts and slots that do not exist are not in the maps.
type modelState struct {
	accounts map[common.Address]chain.Account
	slots    map[slotID]common.Hash
}

func (m modelState) clone() modelState {
	out := modelState{make(map[common.Address]chain.Account, len(m.accounts)), make(map[slotID]common.Hash, len(m.slots))}
	for k, v := range m.accounts {
		out.accounts[k] = v
	}
	for k, v := range m.slots {
		out.slots[k] = v
	}
	return out
}

func newLedger(tb testing.TB, seed uint64) *ledger {
	tb.Helper()
	key, err := gethcrypto.ToECDSA(common.LeftPadBytes([]byte{7}, 32))
	require.NoError(tb, err)
	l := &ledger{tb: tb, rng: rand.New(rand.NewPCG(seed, 1)), suite: fixtureSuite, genesis: testGenesis(tb), key: key, dataSize: 100, epochEntries: 150}
	state := modelState{map[common.Address]chain.Account{}, map[slotID]common.Hash{}}
	for _, c := range l.genesis.Writes(func(b []byte) common.Hash { return gethcrypto.Keccak256Hash(b) }) {
		state.accounts[c.Address] = *c.Account
		for _, s := range c.Slots {
			state.slots[slotID{c.Address, s.Key}] = s.Value
		}
	}
	l.states = []modelState{state}
	l.blocks = []*chain.Executed{nil}
	for i := range 12 {
		l.addresses = append(l.addresses, common.Address{byte(i)})
	}
	for i := range 6 {
		l.keys = append(l.keys, common.Hash{31: byte(i)})
	}
	return l
}

// open opens and initialises a store for the ledger.
func (l *ledger) open(cfg Config) *Store {
	l.tb.Helper()
	s, err := Open(cfg, l.suite)
	require.NoError(l.tb, err)
	if l.epochEntries > 0 {
		s.epochEntries = l.epochEntries
	}
	h, err := s.Init(l.genesis)
	require.NoError(l.tb, err)
	if l.header == nil {
		l.header, l.headers = h, []*chain.Header{h}
	}
	return s
}

func (l *ledger) tx(data []byte) *chain.Tx {
	l.tb.Helper()
	to := common.Address{9}
	inner := &types.DynamicFeeTx{ChainID: big.NewInt(1337), Nonce: l.nonce, Gas: 50_000, To: &to, Data: data, GasFeeCap: new(big.Int), GasTipCap: new(big.Int)}
	l.nonce++
	signed, err := types.SignNewTx(l.key, types.LatestSignerForChainID(inner.ChainID), inner)
	require.NoError(l.tb, err)
	raw, err := signed.MarshalBinary()
	require.NoError(l.tb, err)
	tx, err := chain.RestoreTx(raw, gethcrypto.PubkeyToAddress(l.key.PublicKey))
	require.NoError(l.tb, err)
	return tx
}

// randomWrites changes the state at random: balances, slots, deletions, wipes, recreations, code.
func (l *ledger) randomWrites() (chain.WriteSet, modelState) {
	old, state := l.states[len(l.states)-1], l.states[len(l.states)-1].clone()
	var w chain.WriteSet
	for _, addr := range l.addresses {
		if l.rng.IntN(3) == 0 {
			if c := l.randomChange(addr, old, state); c != nil {
				w = append(w, *c)
			}
		}
	}
	slices.SortFunc(w, func(a, b chain.AccountChange) int { return a.Address.Cmp(b.Address) })
	return w, state
}

func (l *ledger) randomChange(addr common.Address, old, state modelState) *chain.AccountChange {
	c := &chain.AccountChange{Address: addr}
	if prev, ok := old.accounts[addr]; ok {
		c.Prev = &prev
		c.Wiped = l.rng.IntN(10) == 0
	}
	if c.Wiped || (c.Prev != nil && l.rng.IntN(10) == 0) {
		for id := range old.slots {
			if id.account == addr {
				delete(state.slots, id)
			}
		}
		if !c.Wiped || l.rng.IntN(2) == 0 {
			delete(state.accounts, addr)
			if c.Prev == nil {
				return nil
			}
			return c
		}
	}
	a := chain.Account{Nonce: l.rng.Uint64N(300) + 1, Balance: *uint256.NewInt(l.rng.Uint64()), CodeHash: chain.EmptyCodeHash}
	if l.rng.IntN(4) == 0 {
		c.Code = []byte(fmt.Sprintf("code %d", l.rng.IntN(5)))
		a.CodeHash = gethcrypto.Keccak256Hash(c.Code)
	}
	state.accounts[addr], c.Account = a, &a
	for _, key := range l.keys {
		id := slotID{addr, key}
		if l.rng.IntN(3) > 0 {
			continue
		}
		change := chain.SlotChange{Key: key}
		if !c.Wiped {
			change.Prev = old.slots[id]
		}
		switch l.rng.IntN(3) {
		case 0:
			change.Value = common.Hash{}
		case 1:
			change.Value = common.Hash{31: byte(l.rng.IntN(256))}
		default:
			for i := range change.Value {
				change.Value[i] = byte(l.rng.IntN(256))
			}
		}
		if change.Value == change.Prev {
			continue
		}
		if delete(state.slots, id); change.Value != (common.Hash{}) {
			state.slots[id] = change.Value
		}
		c.Slots = append(c.Slots, change)
	}
	slices.SortFunc(c.Slots, func(a, b chain.SlotChange) int { return a.Key.Cmp(b.Key) })
	return c
}

// work is a decision with all that executing it will give but the root.
type work struct {
	decision *chain.Decision
	txs      chain.Txs // decided
	executed *chain.Executed
	state    modelState
}

// randomWork draws the next decision with n transactions.
func (l *ledger) randomWork(n int) *work {
	w, state := l.randomWrites()
	return l.work(n, w, state)
}

func (l *ledger) work(n int, writes chain.WriteSet, state modelState) *work {
	height := uint64(len(l.blocks))
	d := &chain.Decision{Height: height, Parent: l.decision, TimeMillis: l.genesis.TimeMillis + height, Proposer: 1}
	e := &chain.Executed{Decision: d, Writes: writes, Block: &chain.Block{}}
	wk := &work{decision: d, executed: e, state: state}
	if height%5 == 3 {
		e.Change = &chain.SetChange{From: height + chain.ActivationDelay, Rule: chain.Rule{Engine: chain.EngineKinds[height%4], Set: chain.ValidatorSet{
			{ID: 1, PublicKey: []byte{1}, Address: common.Address{1}}, {ID: chain.ValidatorID(height), PublicKey: []byte{2}, Address: common.Address{2}}}}}
	}
	for range n {
		tx := l.tx(l.randomData())
		d.Txs = append(d.Txs, tx.Hash())
		wk.txs = append(wk.txs, tx)
		if l.rng.IntN(8) == 0 {
			e.Excluded = append(e.Excluded, chain.Exclusion{Tx: tx.Hash(), Reason: "nonce too low"})
			continue
		}
		e.Block.Txs = append(e.Block.Txs, tx)
		r := &types.Receipt{Status: 1, GasUsed: 21_000 + l.rng.Uint64N(1000), Logs: []*types.Log{}}
		for range l.rng.IntN(3) {
			r.Logs = append(r.Logs, l.randomLog())
		}
		e.Receipts = append(e.Receipts, r)
	}
	l.decision = d.Hash(l.suite)
	l.blocks = append(l.blocks, e)
	l.states = append(l.states, state)
	return wk
}

func (l *ledger) randomData() []byte {
	b := make([]byte, l.rng.IntN(l.dataSize))
	for i := range b {
		b[i] = byte(l.rng.Uint32())
	}
	return b
}

func (l *ledger) randomLog() *types.Log {
	log := &types.Log{Address: l.addresses[l.rng.IntN(4)], Topics: []common.Hash{}, Data: make([]byte, l.rng.IntN(40))}
	for range l.rng.IntN(5) {
		log.Topics = append(log.Topics, l.keys[l.rng.IntN(len(l.keys))])
	}
	return log
}

// seal completes the block once its state root is known.
func (l *ledger) seal(e *chain.Executed, root common.Hash) {
	parent := l.headers[e.Decision.Height-1]
	h := types.CopyHeader(parent)
	h.ParentHash, h.Number, h.Root = parent.Hash(), new(big.Int).SetUint64(e.Decision.Height), root
	h.Time = e.Decision.TimeMillis / 1000
	h.TxHash = e.Block.Txs.Root()
	extra := chain.Extra{Decision: e.Decision.Hash(l.suite), Validators: l.ruleAt(e.Decision.Height).Hash(l.suite),
		Next: l.ruleAt(e.Decision.Height + 1).Hash(l.suite)}
	var err error
	extra.Parent, err = chain.HeaderHash(l.suite, parent)
	require.NoError(l.tb, err)
	before, err := chain.DecodeExtra(parent.Extra)
	require.NoError(l.tb, err)
	extra.Ledger = e.Writes.Digest(l.suite, before.Ledger)
	h.Extra = extra.Encode()
	block := chain.NewBlock(h, e.Block.Txs)
	var at chain.ReceiptPosition
	for i, r := range e.Receipts {
		chain.DeriveReceipt(r, e.Block.Txs[i], h, block.Hash, at)
		at = chain.ReceiptPosition{Index: at.Index + 1, GasBefore: r.CumulativeGasUsed, LogsBefore: at.LogsBefore + uint32(len(r.Logs))}
	}
	records := chain.NewRecords(e.Block.Txs, e.Receipts)
	extra.Records = records.Root(l.suite)
	h.Extra, h.ReceiptHash = extra.Encode(), records.ReceiptsRoot()
	h.Bloom, h.GasUsed = types.MergeBloom(e.Receipts), at.GasBefore
	*e.Block = *chain.NewBlock(h, e.Block.Txs)
	for _, r := range e.Receipts {
		r.BlockHash = e.Block.Hash
		for _, log := range r.Logs {
			log.BlockHash = e.Block.Hash
		}
	}
	l.headers = append(l.headers[:e.Decision.Height], h)
}

// ruleAt is who attests height.
func (l *ledger) ruleAt(height uint64) *chain.Rule {
	for h := min(int64(height)-chain.ActivationDelay, int64(len(l.blocks))-1); h > 0; h-- {
		if c := l.blocks[h].Change; c != nil {
			return &c.Rule
		}
	}
	return l.genesis.Rule()
}

// put runs one piece of work through the store.
func (l *ledger) put(s *Store, w *work) {
	l.tb.Helper()
	require.NoError(l.tb, l.tryPut(s, w))
}

func (l *ledger) tryPut(s *Store, w *work) error {
	ctx := context.Background()
	if err := s.AppendDecision(ctx, w.decision, w.txs); err != nil {
		return err
	}
	root, err := s.Stage(ctx, w.decision.Height, w.executed.Writes)
	if err != nil {
		return err
	}
	l.seal(w.executed, root)
	return s.Commit(ctx, w.executed, &chain.Attestation{Validator: 1, Signature: []byte{1}})
}

// checkState compares a view with the model, all accounts and slots of it.
func (l *ledger) checkState(st chain.State, want modelState) {
	l.tb.Helper()
	for _, addr := range l.addresses {
		a, err := st.Account(addr)
		require.NoError(l.tb, err)
		if w, ok := want.accounts[addr]; ok {
			require.Equal(l.tb, &w, a, "account %s", addr)
			if w.CodeHash != chain.EmptyCodeHash {
				code, err := st.Code(w.CodeHash)
				require.NoError(l.tb, err)
				require.Equal(l.tb, w.CodeHash, gethcrypto.Keccak256Hash(code))
			}
		} else {
			require.Nil(l.tb, a, "account %s", addr)
		}
		for _, key := range l.keys {
			v, err := st.Slot(addr, key)
			require.NoError(l.tb, err)
			require.Equal(l.tb, want.slots[slotID{addr, key}], v, "slot %s of %s", key, addr)
		}
	}
}
