package eth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/serve"
)

const testChainID = 1337

var (
	testKey, _  = gethcrypto.HexToECDSA("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291")
	testSender  = gethcrypto.PubkeyToAddress(testKey.PublicKey)
	testToken   = common.HexToAddress("0x7070000000000000000000000000000000000001")
	testMissing = common.HexToHash("0xdead")
	topicA      = common.HexToHash("0xaa")
	topicB      = common.HexToHash("0xbb")
)

// fake is all stages but serve, in memory. The EVM is replaced by a table: what a call does is decided by its data's first byte.
type fake struct {
	t       testing.TB
	genesis *chain.Genesis
	suite   crypto.Suite
	key     crypto.PrivateKey
	signer  types.Signer

	mu        sync.Mutex
	blocks    []*sealedBlock
	txs       map[common.Hash]*chain.TxLookup
	excluded  map[common.Hash]uint64
	pool      map[common.Hash]*chain.Tx
	finalized uint64
	// provisional: blocks are not final by themselves.
	provisional bool
	nonce       uint64
	changes     []chain.SetChange
	// uncertified is a height whose certificate is missing although later ones are there.
	uncertified uint64
	// pruned is the first height whose state is kept.
	pruned uint64
	// block, if not nil, is what calls wait for.
	block   chan struct{}
	batches [][]int
}

func newFake(t testing.TB) *fake {
	key, err := intl.Suite{}.ParsePrivateKey(bytesOf(32, 7))
	require.NoError(t, err)
	f := &fake{t: t, suite: intl.Suite{}, key: key, signer: types.LatestSignerForChainID(big.NewInt(testChainID)),
		txs: make(map[common.Hash]*chain.TxLookup), excluded: make(map[common.Hash]uint64), pool: make(map[common.Hash]*chain.Tx)}
	f.genesis = &chain.Genesis{
		Name: "test", ChainID: testChainID, TimeMillis: 1_700_000_000_123, Suite: "intl",
		Consensus:    chain.Consensus{Engine: chain.Solo, MaxBlockTxs: 1000, MaxBlockBytes: 1 << 20, BatchMillis: 5},
		Validators:   []chain.GenesisValidator{{ID: 1, Name: "one", PublicKey: key.Public().Bytes(), Address: common.HexToAddress("0x11")}},
		Transactions: []chain.TxKind{chain.Secp256k1}, Fees: chain.Fees{Mode: chain.FeesFixed, BaseFee: math.NewHexOrDecimal256(7)}, GasLimit: 60_000_000,
	}
	require.NoError(t, f.genesis.Validate())
	header := f.genesis.Header(f.suite, nil, types.EmptyRootHash)
	f.blocks = []*sealedBlock{{Block: chain.NewBlock(header, nil)}}
	return f
}

func bytesOf(n int, v byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = v
	}
	return b
}

// tx signs a transaction of every type in turn.
func (f *fake) tx(data types.TxData) *chain.Tx {
	signed, err := types.SignNewTx(testKey, f.signer, data)
	require.NoError(f.t, err)
	tx, err := chain.NewTx(signed)
	require.NoError(f.t, err)
	require.NoError(f.t, chain.NewVerifier(f.genesis).Verify(tx))
	return tx
}

// kinds are transactions of types 0, 1, 2 and 4, and a creation.
func (f *fake) kinds() chain.Txs {
	to, id := testToken, big.NewInt(testChainID)
	n := f.nonce
	f.nonce += 5
	list := types.AccessList{{Address: testToken, StorageKeys: []common.Hash{topicA, topicB}}}
	auth, err := types.SignSetCode(testKey, types.SetCodeAuthorization{ChainID: *uint256.NewInt(testChainID), Address: testToken, Nonce: n})
	require.NoError(f.t, err)
	return chain.Txs{
		f.tx(&types.LegacyTx{Nonce: n, GasPrice: big.NewInt(9), Gas: 21000, To: &to, Value: big.NewInt(1)}),
		f.tx(&types.AccessListTx{ChainID: id, Nonce: n + 1, GasPrice: big.NewInt(8), Gas: 50000, To: &to, Value: big.NewInt(0), Data: []byte{1, 2}, AccessList: list}),
		f.tx(&types.DynamicFeeTx{ChainID: id, Nonce: n + 2, GasFeeCap: big.NewInt(100), GasTipCap: big.NewInt(2), Gas: 60000, To: &to, Value: new(big.Int).Lsh(common.Big1, 70)}),
		f.tx(&types.SetCodeTx{ChainID: uint256.NewInt(testChainID), Nonce: n + 3, GasFeeCap: uint256.NewInt(20), GasTipCap: uint256.NewInt(1), Gas: 90000, To: to, AuthList: []types.SetCodeAuthorization{auth}}),
		f.tx(&types.DynamicFeeTx{ChainID: id, Nonce: n + 4, GasFeeCap: big.NewInt(7), GasTipCap: big.NewInt(0), Gas: 200000, Data: []byte{0x60, 0}}),
	}
}

// seal makes the next block; every second receipt has a log of token with topicA and, on even heights, topicB.
func (f *fake) seal(txs chain.Txs, excluded ...chain.Exclusion) *chain.Executed {
	f.mu.Lock()
	defer f.mu.Unlock()
	parent := f.blocks[len(f.blocks)-1]
	height := parent.Height() + 1
	decision := &chain.Decision{Height: height, TimeMillis: f.genesis.TimeMillis + 1000*height, Proposer: 1, Txs: txs.Hashes()}
	for _, x := range excluded {
		decision.Txs = append(decision.Txs, x.Tx)
		f.excluded[x.Tx] = height
	}
	parentHash, err := chain.HeaderHash(f.suite, parent.Header)
	require.NoError(f.t, err)
	extra := chain.Extra{Millis: 5, Parent: parentHash, Decision: decision.Hash(f.suite), Validators: f.ruleAt(height).Hash(f.suite),
		Next: f.ruleAt(height + 1).Hash(f.suite)}
	receipts := make(types.Receipts, len(txs))
	gas := uint64(0)
	for i := range txs {
		receipts[i] = &types.Receipt{Status: uint64(1 - i%4/3), GasUsed: 21000 + uint64(i), Logs: []*types.Log{}}
		gas += receipts[i].GasUsed
		if i%2 == 1 {
			topics := []common.Hash{topicA}
			if height%2 == 0 {
				topics = append(topics, topicB)
			}
			receipts[i].Logs = append(receipts[i].Logs, &types.Log{Address: testToken, Topics: topics, Data: []byte{byte(i), 0xff}})
		}
		receipts[i].Type, receipts[i].CumulativeGasUsed = txs[i].Type(), gas
		receipts[i].Bloom = types.CreateBloom(receipts[i])
	}
	extra.Records = chain.NewRecords(txs, receipts).Root(f.suite)
	h := &chain.Header{
		ParentHash: parent.Hash, UncleHash: types.EmptyUncleHash, Coinbase: common.HexToAddress("0x11"), Root: common.BigToHash(big.NewInt(int64(height))),
		TxHash: txs.Root(), ReceiptHash: chain.ReceiptsRoot(receipts), Bloom: types.MergeBloom(receipts), Difficulty: new(big.Int), Number: new(big.Int).SetUint64(height),
		GasLimit: f.genesis.GasLimit, GasUsed: gas, Time: decision.TimeMillis / 1000, Extra: extra.Encode(), MixDigest: common.HexToHash("0x77"), BaseFee: f.genesis.BaseFee(),
		WithdrawalsHash: &types.EmptyWithdrawalsHash, BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64), ParentBeaconRoot: new(common.Hash), RequestsHash: &types.EmptyRequestsHash,
	}
	b := chain.NewBlock(h, txs)
	gas, logs := 0, uint32(0)
	for i, tx := range txs {
		chain.DeriveReceipt(receipts[i], tx, h, b.Hash, chain.ReceiptPosition{Index: uint32(i), GasBefore: gas, LogsBefore: logs})
		gas += receipts[i].GasUsed
		logs += uint32(len(receipts[i].Logs))
		f.txs[tx.Hash()] = &chain.TxLookup{Tx: tx, BlockHash: b.Hash, Height: height, Index: uint32(i), Time: h.Time}
		delete(f.pool, tx.Hash())
	}
	e := &chain.Executed{Block: b, Decision: decision, Receipts: receipts, Excluded: excluded}
	f.blocks = append(f.blocks, &sealedBlock{Block: b, receipts: receipts, decision: decision, excluded: excluded})
	if !f.provisional {
		f.finalized = height
	}
	return e
}

func (f *fake) at(height uint64) *sealedBlock {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blocks[height]
}

func (f *fake) Head() *chain.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blocks[len(f.blocks)-1].Header
}

func (f *fake) Header(height uint64) (*chain.Header, error) { return f.at(height).Header, nil }
func (f *fake) Block(height uint64) (*chain.Block, error)   { return f.at(height).Block, nil }
func (f *fake) Receipts(height uint64) (types.Receipts, error) {
	return f.at(height).receipts, nil
}

func (f *fake) HeightOf(hash common.Hash) (uint64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, b := range f.blocks {
		if b.Hash == hash {
			return uint64(i), true, nil
		}
	}
	return 0, false, nil
}

func (f *fake) Tx(hash common.Hash) (*chain.TxLookup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.txs[hash], nil
}

func (f *fake) Receipt(hash common.Hash) (*chain.Receipt, error) {
	l, _ := f.Tx(hash)
	if l == nil {
		return nil, nil
	}
	return f.at(l.Height).receipts[l.Index], nil
}

func (f *fake) Excluded(hash common.Hash) (*chain.Exclusion, uint64, error) {
	f.mu.Lock()
	height, ok := f.excluded[hash]
	f.mu.Unlock()
	if !ok {
		return nil, 0, nil
	}
	for _, x := range f.at(height).excluded {
		if x.Tx == hash {
			return &x, height, nil
		}
	}
	return nil, 0, errors.New("lost exclusion")
}

func (f *fake) Exclusions(height uint64) ([]chain.Exclusion, error) {
	return f.at(height).excluded, nil
}

// ruleOf is one validator's.
func ruleOf(v chain.Validator) chain.Rule {
	return chain.Rule{Engine: chain.Solo, Set: chain.ValidatorSet{v}}
}

// ruleAt is who attests a height.
func (f *fake) ruleAt(height uint64) *chain.Rule {
	rule := f.genesis.Rule()
	for _, c := range f.changes {
		if c.From <= height {
			rule = &c.Rule
		}
	}
	return rule
}

func (f *fake) SetChanges(from uint64, limit int) (out []chain.SetChange, err error) {
	for _, c := range f.changes {
		if c.From >= from && len(out) < limit {
			out = append(out, c)
		}
	}
	return out, nil
}

func (f *fake) Decision(height uint64) (*chain.Decision, chain.Txs, error) {
	return f.at(height).decision, nil, nil
}

// Logs takes trailing positions without alternatives for none, as the store does.
func (f *fake) Logs(ctx context.Context, q chain.LogQuery) ([]*types.Log, error) {
	for len(q.Topics) > 0 && len(q.Topics[len(q.Topics)-1]) == 0 {
		q.Topics = q.Topics[:len(q.Topics)-1]
	}
	match := logFilter{Addresses: q.Addresses, Topics: q.Topics}
	var out []*types.Log
	bytes := 0
	for h := q.From; h <= q.To; h++ {
		for _, r := range f.at(h).receipts {
			for _, l := range r.Logs {
				if match.matches(l) {
					out = append(out, l)
					bytes += len(l.Data)
				}
			}
		}
	}
	if len(out) > q.MaxResults || bytes > q.MaxBytes {
		return nil, errors.New("query returns too many logs")
	}
	return out, ctx.Err()
}

func (f *fake) Certificate(height uint64) (*chain.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if height == 0 || height > f.finalized || height == f.uncertified {
		return nil, nil
	}
	b := f.blocks[height]
	genesis, err := chain.HeaderHash(f.suite, f.blocks[0].Header)
	if err != nil {
		return nil, err
	}
	hash, err := chain.HeaderHash(f.suite, b.Header)
	if err != nil {
		return nil, err
	}
	sig, err := f.key.Sign(chain.AttestationMessage(genesis, height, hash))
	return &chain.Certificate{Height: height, Block: b.Hash, Header: hash, Attestations: []chain.Attestation{{Validator: 1, Signature: sig}}}, err
}

// State at height h: the sender has nonce h and balance 1000+h; the token has code and slot topicA = h.
func (f *fake) State(height uint64) (chain.State, error) {
	if height < f.pruned {
		return nil, errors.New("state at this height is no longer kept (pruned)")
	}
	return fakeState(height), nil
}

var tokenCode = []byte{0x60, 0x80}

type fakeState uint64

func (s fakeState) Account(addr common.Address) (*chain.Account, error) {
	switch addr {
	case testSender:
		return &chain.Account{Nonce: uint64(s), Balance: *uint256.NewInt(1000 + uint64(s)), CodeHash: chain.EmptyCodeHash}, nil
	case testToken:
		return &chain.Account{Nonce: 1, CodeHash: gethcrypto.Keccak256Hash(tokenCode)}, nil
	}
	return nil, nil
}

func (s fakeState) Slot(addr common.Address, slot common.Hash) (common.Hash, error) {
	if addr == testToken && slot == topicA {
		return common.BigToHash(new(big.Int).SetUint64(uint64(s))), nil
	}
	return common.Hash{}, nil
}

func (s fakeState) Code(hash common.Hash) ([]byte, error) {
	if hash == chain.EmptyCodeHash {
		return nil, nil
	}
	return tokenCode, nil
}

func (f *fake) Prove(_ context.Context, height uint64, addr common.Address, slots []common.Hash) (*chain.AccountProof, error) {
	acc, _ := fakeState(height).Account(addr)
	p := &chain.AccountProof{Address: addr, StorageHash: types.EmptyRootHash, Proof: [][]byte{{1}, {2, 3}}}
	if acc != nil {
		p.Account = *acc
	}
	for _, slot := range slots {
		v, _ := fakeState(height).Slot(addr, slot)
		p.Storage = append(p.Storage, chain.SlotProof{Key: slot, Value: v, Proof: [][]byte{{4}}})
	}
	return p, nil
}

// AddBatch refuses what cannot be decoded, and nonces below the next.
func (f *fake) AddBatch(_ context.Context, raws [][]byte, _ bool) ([]*chain.Tx, []error) {
	txs, errs := make([]*chain.Tx, len(raws)), make([]error, len(raws))
	verify := chain.NewVerifier(f.genesis)
	var order []int
	for i, raw := range raws {
		tx, err := chain.DecodeTx(raw)
		if err == nil {
			err = verify.Verify(tx)
		}
		f.mu.Lock()
		switch {
		case err != nil:
		case f.pool[tx.Hash()] != nil:
			err = errors.New("already known")
		case f.txs[tx.Hash()] != nil:
			err = fmt.Errorf("nonce too low: next nonce %d, tx nonce %d", f.nonce, tx.Nonce())
		default:
			f.pool[tx.Hash()] = tx
			order = append(order, int(tx.Nonce()))
			txs[i] = tx
		}
		f.mu.Unlock()
		errs[i] = err
	}
	f.mu.Lock()
	f.batches = append(f.batches, order)
	f.mu.Unlock()
	return txs, errs
}

func (f *fake) Get(hash common.Hash) *chain.Tx {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pool[hash]
}

func (f *fake) PendingNonce(addr common.Address) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nonce + uint64(len(f.pool)), nil
}

func (f *fake) Content(max int) (pending, queued map[common.Address][]*chain.Tx) {
	p, q := f.ContentFrom(testSender)
	return map[common.Address][]*chain.Tx{testSender: p}, map[common.Address][]*chain.Tx{testToken: q}
}

func (f *fake) ContentFrom(addr common.Address) (pending, queued []*chain.Tx) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tx := range f.pool {
		if tx.Sender() == addr {
			pending = append(pending, tx)
		}
	}
	return pending, nil
}

// inPool counts; Status is the node's.
func (f *fake) inPool() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pool)
}

type fakePool struct{ *fake }

func (p fakePool) Status() (pending, queued int) { return p.inPool(), 0 }

// node is a served fake.
type node struct {
	*fake
	api    *API
	server *serve.Server
	url    string
	ws     string
}

// access lets everybody do everything but administer.
func access(t testing.TB) serve.AccessConfig {
	cfg := serve.DefaultAccessConfig()
	cfg.Anonymous, cfg.Tokens = []string{"read", "submit", "debug"}, filepath.Join(t.TempDir(), "tokens.json")
	return cfg
}

// newNode serves f on real sockets until the test ends. change adapts the limits.
func newNode(t testing.TB, f *fake, change func(*Config, *serve.Config)) *node {
	cfg, scfg := DefaultConfig(), serve.DefaultConfig()
	scfg.Addr = "127.0.0.1:0"
	if change != nil {
		change(&cfg, &scfg)
	}
	api, err := New(cfg, Sources{Genesis: f.genesis, Suite: f.suite, Ledger: f, States: f, Pool: fakePool{f}, Calls: f, Node: f}, time.Now)
	require.NoError(t, err)
	s, err := serve.New(scfg, serve.Backend{Services: api.Services(), Sender: api, Feeds: api, Methods: Methods(), Access: access(t), Suite: f.suite, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, s.Listen())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	return &node{fake: f, api: api, server: s, url: "http://" + s.Addr(), ws: "ws://" + s.WebSocketAddr()}
}

// publish seals a block and makes it known.
func (n *node) publish(txs chain.Txs, excluded ...chain.Exclusion) *chain.Executed {
	e := n.seal(txs, excluded...)
	n.api.Publish(e)
	return e
}
