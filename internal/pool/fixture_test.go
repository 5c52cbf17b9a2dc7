package pool

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

const (
	testChainID = 77
	// waitFor and tick are for what another goroutine does soon.
	waitFor = 10 * time.Second
	tick    = 5 * time.Millisecond
)

// ledger is a chain whose blocks the tests write by hand.
type ledger struct {
	mu       sync.Mutex
	height   uint64
	baseFee  *big.Int
	accounts map[common.Address]chain.Account
	codes    map[common.Hash][]byte
	failing  error
	// rich makes every unknown account one with money.
	rich bool
	// onRead runs before each account read, without the lock.
	onRead func(common.Address)
}

func newLedger() *ledger {
	return &ledger{baseFee: new(big.Int), accounts: make(map[common.Address]chain.Account), codes: make(map[common.Hash][]byte)}
}

func (l *ledger) State() chain.State { return ledgerState{l} }

func (l *ledger) Head() *chain.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &chain.Header{Number: new(big.Int).SetUint64(l.height)}
}

func (l *ledger) NextBaseFee() *big.Int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return new(big.Int).Set(l.baseFee)
}

type ledgerState struct{ l *ledger }

func (s ledgerState) Account(addr common.Address) (*chain.Account, error) {
	if s.l.onRead != nil {
		s.l.onRead(addr)
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	if s.l.failing != nil {
		return nil, s.l.failing
	}
	a, ok := s.l.accounts[addr]
	if !ok && s.l.rich {
		return &chain.Account{Balance: *uint256.NewInt(1e18), CodeHash: chain.EmptyCodeHash}, nil
	}
	if !ok {
		return nil, nil
	}
	return &a, nil
}

func (s ledgerState) Slot(common.Address, common.Hash) (common.Hash, error) {
	return common.Hash{}, nil
}

func (s ledgerState) Code(h common.Hash) ([]byte, error) { return s.l.codes[h], nil }

// set makes an account what the next block will tell.
func (l *ledger) set(addr common.Address, nonce, balance uint64) chain.AccountChange {
	l.mu.Lock()
	defer l.mu.Unlock()
	acc := chain.Account{Nonce: nonce, Balance: *uint256.NewInt(balance), CodeHash: chain.EmptyCodeHash}
	if old, ok := l.accounts[addr]; ok {
		acc.CodeHash = old.CodeHash
	}
	l.accounts[addr] = acc
	return chain.AccountChange{Address: addr, Account: &acc}
}

func (l *ledger) setCode(addr common.Address, code []byte) chain.AccountChange {
	l.mu.Lock()
	defer l.mu.Unlock()
	acc := l.accounts[addr]
	acc.CodeHash = chain.EmptyCodeHash
	if len(code) > 0 {
		acc.CodeHash = gethcrypto.Keccak256Hash(code)
		l.codes[acc.CodeHash] = code
	}
	l.accounts[addr] = acc
	return chain.AccountChange{Address: addr, Account: &acc, Code: code}
}

// block makes the next block with these transactions and writes.
func (l *ledger) block(txs chain.Txs, excluded []chain.Exclusion, writes ...chain.AccountChange) *chain.Executed {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.height++
	set := chain.WriteSet(writes)
	sortWrites(set)
	return &chain.Executed{Block: &chain.Block{Header: &chain.Header{Number: new(big.Int).SetUint64(l.height)}, Txs: txs}, Excluded: excluded, Writes: set}
}

func sortWrites(w chain.WriteSet) {
	for i := range w {
		for j := i; j > 0 && w[j].Address.Cmp(w[j-1].Address) < 0; j-- {
			w[j], w[j-1] = w[j-1], w[j]
		}
	}
}

// who is a sender: of Ethereum's kind, or where sm2 is set of the other, whose transactions of type 2 are then of type 0x50.
type who struct {
	key  *ecdsa.PrivateKey
	addr common.Address
	sm2  *sm2.PrivateKey
}

var people sync.Map

func person(n int) who {
	if w, ok := people.Load(n); ok {
		return w.(who)
	}
	w := born(n)
	people.Store(n, w)
	return w
}

func born(n int) who {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[24:], uint64(n)+1)
	key, err := gethcrypto.ToECDSA(seed[:])
	if err != nil {
		panic(err)
	}
	if n%3 != 2 {
		return who{key: key, addr: gethcrypto.PubkeyToAddress(key.PublicKey)}
	}
	other, err := sm2.ParsePrivateKey(seed[:])
	if err != nil {
		panic(err)
	}
	return who{addr: chain.SM2Address(other.Public().Bytes()), sm2: other}
}

// spec is a transaction to be; zero fields get usual values.
type spec struct {
	from           who
	nonce          uint64
	value          uint64
	gas            uint64
	feeCap, tipCap uint64
	data           []byte
	chainID        int64
}

func (s spec) raw(t testing.TB) []byte {
	t.Helper()
	if s.gas == 0 {
		s.gas = 21_000
	}
	if s.chainID == 0 {
		s.chainID = testChainID
	}
	to := common.Address{0xaa}
	return sign(t, s.from, &types.DynamicFeeTx{ChainID: big.NewInt(s.chainID), Nonce: s.nonce, Gas: s.gas, To: &to, Data: s.data,
		Value: new(big.Int).SetUint64(s.value), GasFeeCap: new(big.Int).SetUint64(s.feeCap), GasTipCap: new(big.Int).SetUint64(s.tipCap)})
}

func sign(t testing.TB, from who, data types.TxData) []byte {
	t.Helper()
	if from.sm2 != nil {
		return signSM2(t, from.sm2, data.(*types.DynamicFeeTx))
	}
	tx, err := types.SignNewTx(from.key, types.LatestSignerForChainID(types.NewTx(data).ChainId()), data)
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return raw
}

// signatures keeps what was signed, by account and fields: SM2 draws another signature every time, and these tests send a transaction again.
var signatures sync.Map

func signSM2(t testing.TB, key *sm2.PrivateKey, tx *types.DynamicFeeTx) []byte {
	t.Helper()
	to := []byte{}
	if tx.To != nil {
		to = tx.To[:]
	}
	fields := []any{tx.ChainID, tx.Nonce, tx.GasTipCap, tx.GasFeeCap, tx.Gas, to, tx.Value, tx.Data, tx.AccessList}
	message, err := rlp.EncodeToBytes(fields)
	require.NoError(t, err)
	memo := string(key.Public().Bytes()) + string(message)
	if raw, ok := signatures.Load(memo); ok {
		return raw.([]byte)
	}
	sig, err := key.Sign(rand.Reader, sm2.DefaultID, append([]byte{chain.SM2TxType}, message...))
	require.NoError(t, err)
	raw, err := rlp.EncodeToBytes(append(fields, key.Public().Bytes(), new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])))
	require.NoError(t, err)
	raw = append([]byte{chain.SM2TxType}, raw...)
	signatures.Store(memo, raw)
	return raw
}

func genesis(mode chain.FeeMode, baseFee int64) *chain.Genesis {
	g := &chain.Genesis{ChainID: testChainID, GasLimit: 100_000_000, Transactions: []chain.TxKind{chain.Secp256k1, chain.SM2}, Fees: chain.Fees{Mode: mode}}
	if mode != chain.FeesZero {
		g.Fees.BaseFee = (*math.HexOrDecimal256)(big.NewInt(baseFee))
	}
	return g
}

// fixture is a running pool on a ledger.
type fixture struct {
	testing.TB
	*Pool
	ledger *ledger
	stop   func()
	// decisions counts Decided calls' transactions, in order.
	txs map[common.Hash]*chain.Tx
}

type setup struct {
	cfg        func(*Config)
	mode       chain.FeeMode
	baseFee    int64
	ledger     *ledger
	permission Permission
	log        *slog.Logger
	now        func() time.Time
	sealer     Sealer
}

func start(t testing.TB, s setup) *fixture {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Workers = 2
	if s.cfg != nil {
		s.cfg(&cfg)
	}
	if s.mode == "" {
		s.mode = chain.FeesZero
	}
	if s.ledger == nil {
		s.ledger = newLedger()
		s.ledger.baseFee.SetInt64(s.baseFee)
	}
	p, err := New(cfg, genesis(s.mode, s.baseFee), s.ledger, Options{Permission: s.permission, Log: s.log, Now: s.now, Sealer: s.sealer})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	f := &fixture{TB: t, Pool: p, ledger: s.ledger, txs: make(map[common.Hash]*chain.Tx)}
	f.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(f.stop)
	return f
}

// add submits from a remote peer and returns the error.
func (f *fixture) add(s spec) (common.Hash, error) {
	f.Helper()
	tx, err := f.Add(context.Background(), s.raw(f), false)
	if err != nil {
		return common.Hash{}, err
	}
	f.txs[tx.Hash()] = tx
	return tx.Hash(), nil
}

func (f *fixture) must(s spec) common.Hash {
	f.Helper()
	h, err := f.add(s)
	require.NoError(f, err)
	f.consistent()
	return h
}

// build asks for everything.
func (f *fixture) build() []common.Hash { return f.Build(1<<20, 1<<30, 1<<60) }

func (f *fixture) decide(hashes ...common.Hash) chain.Txs {
	f.Helper()
	txs, missing := f.Bodies(hashes)
	require.Empty(f, missing)
	f.Decided(txs)
	f.consistent()
	return txs
}

// execute runs a block of txs that leaves their senders rich.
func (f *fixture) execute(txs chain.Txs) {
	f.Helper()
	last := make(map[common.Address]uint64)
	for _, tx := range txs {
		last[tx.Sender()] = tx.Nonce() + 1
	}
	var writes []chain.AccountChange
	for addr, nonce := range last {
		writes = append(writes, f.ledger.set(addr, nonce, 1e18))
	}
	f.Executed(f.ledger.block(txs, nil, writes...))
	f.consistent()
}

func (f *fixture) rich(ws ...who) {
	for _, w := range ws {
		f.ledger.set(w.addr, 0, 1e18)
	}
}

// consistent checks every invariant of the pool's data from scratch.
func (f *fixture) consistent() {
	f.Helper()
	p := f.Pool
	p.mu.Lock()
	defer p.mu.Unlock()
	require.NoError(f, p.verifyInvariants())
}
