package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestAddRefuses(t *testing.T) {
	alice, poor, contract, delegated := person(1), person(2), person(3), person(4)
	l := newLedger()
	l.set(alice.addr, 5, 1e18)
	l.set(poor.addr, 0, 100)
	l.set(contract.addr, 0, 1e18)
	l.setCode(contract.addr, []byte{0x60, 0})
	l.set(delegated.addr, 0, 1e18)
	l.setCode(delegated.addr, types.AddressToDelegation(common.Address{9}))
	f := start(t, setup{ledger: l})

	to := common.Address{1}
	dyn := func(change func(*types.DynamicFeeTx)) []byte {
		d := &types.DynamicFeeTx{ChainID: big.NewInt(testChainID), Nonce: 5, Gas: 21_000, To: &to, GasFeeCap: new(big.Int), GasTipCap: new(big.Int), Value: new(big.Int)}
		change(d)
		return sign(t, alice, d)
	}
	setCode := func(auths int) []byte {
		d := &types.SetCodeTx{ChainID: uint256.NewInt(testChainID), Nonce: 5, Gas: 100_000, To: to, GasFeeCap: new(uint256.Int), GasTipCap: new(uint256.Int), Value: new(uint256.Int)}
		for range auths {
			auth, err := types.SignSetCode(alice.key, types.SetCodeAuthorization{Address: to})
			require.NoError(t, err)
			d.AuthList = append(d.AuthList, auth)
		}
		return sign(t, alice, d)
	}
	unsigned, err := types.NewTx(&types.LegacyTx{Nonce: 5, Gas: 21_000, To: &to, GasPrice: new(big.Int), Value: new(big.Int), V: big.NewInt(27), R: big.NewInt(1), S: big.NewInt(1)}).MarshalBinary()
	require.NoError(t, err)
	cases := []struct {
		name string
		raw  []byte
		want error
		text string
	}{
		{"empty", nil, nil, "decode transaction"},
		{"garbage", []byte{0xf8, 1, 2}, nil, "decode transaction"},
		{"oversized", make([]byte, chain.MaxTxSize+1), chain.ErrTxTooLarge, "oversized data"},
		{"blob type", []byte{3, 0xc0}, chain.ErrBlobTx, "transaction type not supported"},
		{"unknown type", []byte{0x33, 0xc0}, chain.ErrTxType, "transaction type not supported"},
		{"unprotected", unsigned, chain.ErrUnprotectedTx, "replay-protected"},
		{"other chain", spec{from: alice, nonce: 5, chainID: 5}.raw(t), chain.ErrChainID, "invalid chain id"},
		{"old nonce", spec{from: alice, nonce: 4}.raw(t), ErrNonceTooLow, "nonce too low: next nonce 5, tx nonce 4"},
		{"last nonce", spec{from: alice, nonce: math.MaxUint64}.raw(t), ErrNonceMax, "nonce has max value"},
		{"no gas", spec{from: alice, nonce: 5, gas: 20_999}.raw(t), ErrIntrinsicGas, "intrinsic gas too low: gas 20999, minimum needed 21000"},
		{"floor gas", spec{from: alice, nonce: 5, gas: 21_000 + 16*100, data: []byte(fmt.Sprintf("%0100d", 7))}.raw(t), ErrFloorDataGas, "minimum needed 25000"},
		{"gas above the cap", dyn(func(d *types.DynamicFeeTx) { d.Gas = 1<<24 + 1 }), ErrGasLimitTooHigh, "transaction gas limit too high (cap: 16777216, tx: 16777217)"},
		{"init code", dyn(func(d *types.DynamicFeeTx) { d.To, d.Data, d.Gas = nil, make([]byte, 49153), 1e7 }), ErrInitCodeSize, "max initcode size exceeded: code size 49153 limit 49152"},
		{"no authorization", setCode(0), ErrEmptyAuthorizations, "empty auth list"},
		{"underfunded", spec{from: poor, value: 101}.raw(t), ErrInsufficientFunds, "insufficient funds for gas * price + value: balance 100"},
		{"cost overflow", dyn(func(d *types.DynamicFeeTx) {
			d.Value = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
			d.GasFeeCap = big.NewInt(1)
		}), ErrInsufficientFunds, ""},
		{"contract as sender", spec{from: contract}.raw(t), ErrSenderNoEOA, "sender not an eoa"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tx, err := f.Add(context.Background(), c.raw, true)
			require.Nil(t, tx)
			require.ErrorContains(t, err, c.text)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			f.consistent()
		})
	}
	_, err = f.Add(context.Background(), setCode(2), true)
	require.NoError(t, err, "a type 4 transaction with authorizations is fine")
	f.must(spec{from: delegated}) // EIP-7702: a delegation is no obstacle
	_, err = f.add(spec{from: delegated})
	require.ErrorIs(t, err, ErrAlreadyKnown)
	require.EqualError(t, err, "already known")
}

func TestBlockGasLimit(t *testing.T) {
	g := genesis(chain.FeesZero, 0)
	g.GasLimit = 16_777_216
	r := newRules(g, 1)
	r.gasLimit = 30_000
	tx, err := chain.DecodeTx(spec{from: person(1), gas: 30_001}.raw(t))
	require.NoError(t, err)
	require.ErrorIs(t, r.check(tx), ErrGasLimit)
}

func TestFeeFloors(t *testing.T) {
	alice := person(1)
	fixed := start(t, setup{mode: chain.FeesFixed, baseFee: 1000})
	fixed.rich(alice)
	_, err := fixed.add(spec{from: alice, feeCap: 999})
	require.ErrorIs(t, err, ErrFeeCapTooLow)
	require.EqualError(t, err, "max fee per gas less than block base fee: maxFeePerGas: 999, baseFee: 1000")
	fixed.must(spec{from: alice, feeCap: 1000})

	market := start(t, setup{mode: chain.FeesMarket, baseFee: 1000, cfg: func(c *Config) { c.MinFeeCap = 7 }})
	market.rich(alice)
	_, err = market.add(spec{from: alice, feeCap: 6})
	require.ErrorIs(t, err, ErrUnderpriced)
	market.must(spec{from: alice, feeCap: 7})
	require.Empty(t, market.build(), "below the base fee it waits")
	market.ledger.baseFee.SetInt64(7)
	market.Executed(market.ledger.block(nil, nil))
	require.Len(t, market.build(), 1)
}

func TestNonceOrder(t *testing.T) {
	alice := person(1)
	f := start(t, setup{})
	f.rich(alice)
	h2 := f.must(spec{from: alice, nonce: 2})
	h0 := f.must(spec{from: alice, nonce: 0})
	require.Equal(t, []common.Hash{h0}, f.build())
	pending, queued := f.Status()
	require.Equal(t, [2]int{1, 1}, [2]int{pending, queued})
	n, err := f.PendingNonce(alice.addr)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	h1 := f.must(spec{from: alice, nonce: 1})
	require.Equal(t, []common.Hash{h0, h1, h2}, f.build())
	n, _ = f.PendingNonce(alice.addr)
	require.EqualValues(t, 3, n)
	n, _ = f.PendingNonce(person(9).addr)
	require.Zero(t, n)

	txs := f.decide(h0, h1)
	require.Equal(t, []common.Hash{h2}, f.build(), "decided ones are left out")
	n, _ = f.PendingNonce(alice.addr)
	require.EqualValues(t, 3, n, "and their nonces count as used")
	_, err = f.add(spec{from: alice, nonce: 1, value: 9, feeCap: 100, tipCap: 100})
	require.ErrorIs(t, err, ErrNonceTooLow)
	f.execute(txs)
	require.Nil(t, f.Get(h0))
	require.Equal(t, []common.Hash{h2}, f.build())
	n, _ = f.PendingNonce(alice.addr)
	require.EqualValues(t, 3, n)
}

func TestReplacement(t *testing.T) {
	alice := person(1)
	f := start(t, setup{mode: chain.FeesFixed, baseFee: 10})
	f.rich(alice)
	first := f.must(spec{from: alice, feeCap: 100, tipCap: 50})
	for _, s := range []spec{
		{from: alice, feeCap: 109, tipCap: 60}, {from: alice, feeCap: 200, tipCap: 54}, {from: alice, feeCap: 100, tipCap: 50, value: 1},
	} {
		_, err := f.add(s)
		require.ErrorIs(t, err, ErrReplaceUnderpriced)
		require.EqualError(t, err, "replacement transaction underpriced")
	}
	second := f.must(spec{from: alice, feeCap: 110, tipCap: 55})
	require.Equal(t, []common.Hash{second}, f.build())
	require.Nil(t, f.Get(first))
	require.Contains(t, f.Reason(first), "replaced")

	free := start(t, setup{})
	free.rich(alice)
	free.must(spec{from: alice})
	_, err := free.add(spec{from: alice, value: 1})
	require.ErrorIs(t, err, ErrReplaceUnderpriced, "two free ones never replace each other")
	free.must(spec{from: alice, value: 1, feeCap: 1})
}

func TestBalanceCoversAllQueued(t *testing.T) {
	alice := person(1)
	f := start(t, setup{mode: chain.FeesFixed, baseFee: 1})
	f.ledger.set(alice.addr, 0, 42_100)
	f.must(spec{from: alice, nonce: 0, value: 60, feeCap: 1})
	_, err := f.add(spec{from: alice, nonce: 1, value: 41, feeCap: 1})
	require.ErrorIs(t, err, ErrInsufficientFunds)
	_, err = f.add(spec{from: alice, nonce: 0, value: 80, feeCap: 3})
	require.ErrorIs(t, err, ErrInsufficientFunds, "the replacement's gas costs 63000")
	f.must(spec{from: alice, nonce: 1, value: 40, feeCap: 1})

	free := start(t, setup{})
	free.ledger.set(alice.addr, 0, 100)
	free.must(spec{from: alice, value: 100, feeCap: 1e9, tipCap: 1e9}) // what tools offer by habit is not charged
	_, err = free.add(spec{from: alice, nonce: 1, value: 1})
	require.ErrorIs(t, err, ErrInsufficientFunds)
}

func TestTurnsAreFair(t *testing.T) {
	f := start(t, setup{})
	a, b, c := person(1), person(2), person(3)
	f.rich(a, b, c)
	var as []common.Hash
	for n := range uint64(5) {
		as = append(as, f.must(spec{from: a, nonce: n}))
	}
	b0, b1, c0 := f.must(spec{from: b}), f.must(spec{from: b, nonce: 1}), f.must(spec{from: c})
	require.Equal(t, []common.Hash{as[0], b0, c0, as[1], b1, as[2], as[3], as[4]}, f.build())
	require.Equal(t, []common.Hash{as[0], b0}, f.Build(2, 1<<30, 1<<60))
	f.decide(as[0], b0)
	require.Equal(t, []common.Hash{c0, as[1], b1, as[2], as[3], as[4]}, f.build(), "who was served stands behind")
}

func TestBuildBounds(t *testing.T) {
	f := start(t, setup{})
	a, b := person(1), person(2)
	f.rich(a, b)
	big := f.must(spec{from: a, gas: 100_000, data: make([]byte, 1000)})
	next := f.must(spec{from: a, nonce: 1})
	small := f.must(spec{from: b})
	size := len(f.Get(small).Raw())
	require.Equal(t, []common.Hash{small}, f.Build(10, size, 1<<60), "a transaction that does not fit holds back its sender only")
	require.Equal(t, []common.Hash{small}, f.Build(10, 1<<30, 99_999))
	require.Equal(t, []common.Hash{big}, f.Build(1, 1<<30, 1<<60))
	require.Empty(t, f.Build(0, 1<<30, 1<<60))
	require.Empty(t, f.Build(10, 1<<30, 20_999))
	txs, bytes, gas, since := f.Ready()
	require.Equal(t, 3, txs)
	require.Equal(t, len(f.Get(big).Raw())+len(f.Get(next).Raw())+size, bytes)
	require.EqualValues(t, 142_000, gas)
	require.True(t, since.IsZero(), "a build has seen them")
}

func TestMarketOrder(t *testing.T) {
	f := start(t, setup{mode: chain.FeesMarket, baseFee: 100})
	a, b, c, d := person(1), person(2), person(3), person(4)
	f.rich(a, b, c, d)
	a0 := f.must(spec{from: a, feeCap: 200, tipCap: 5})
	a1 := f.must(spec{from: a, nonce: 1, feeCap: 900, tipCap: 90})
	b0 := f.must(spec{from: b, feeCap: 130, tipCap: 130}) // pays 30
	c0 := f.must(spec{from: c, feeCap: 500, tipCap: 20})
	d0 := f.must(spec{from: d, feeCap: 99, tipCap: 99}) // below the base fee
	require.Equal(t, []common.Hash{b0, c0, a0, a1}, f.build(), "by tip, inside a sender by nonce")

	rebase := func(fee int64) {
		f.ledger.baseFee.SetInt64(fee)
		f.Executed(f.ledger.block(nil, nil))
		f.consistent()
	}
	rebase(125)
	require.Equal(t, []common.Hash{c0, a0, a1, b0}, f.build(), "b pays 5 now like a, which came first and then offers 90")
	rebase(198)
	require.Equal(t, []common.Hash{c0, a0, a1}, f.build())
	rebase(10)
	require.Equal(t, []common.Hash{b0, d0, c0, a0, a1}, f.build())
	f.consistent()
}

func TestAccountBounds(t *testing.T) {
	f := start(t, setup{cfg: func(c *Config) { c.AccountExecutable, c.AccountGapped = 2, 1 }})
	a := person(1)
	f.rich(a)
	f.must(spec{from: a, nonce: 0})
	f.must(spec{from: a, nonce: 1})
	_, err := f.add(spec{from: a, nonce: 2})
	require.ErrorIs(t, err, ErrAccountLimit)
	f.must(spec{from: a, nonce: 5})
	_, err = f.add(spec{from: a, nonce: 6})
	require.ErrorIs(t, err, ErrAccountLimit)
}

func TestEvictionWithoutFees(t *testing.T) {
	f := start(t, setup{cfg: func(c *Config) { c.MaxTxs = 4 }})
	whale, b, c, gap, local := person(1), person(2), person(3), person(4), person(5)
	f.rich(whale, b, c, gap, local)
	hg := f.must(spec{from: gap, nonce: 3})
	w0, w1, w2 := f.must(spec{from: whale}), f.must(spec{from: whale, nonce: 1}), f.must(spec{from: whale, nonce: 2})
	_, err := f.add(spec{from: gap, nonce: 5})
	require.ErrorIs(t, err, ErrFull, "a gapped one evicts nothing")
	require.ErrorContains(t, err, "txpool is full")
	b0 := f.must(spec{from: b})
	require.Nil(t, f.Get(hg), "gapped ones go first")
	require.Equal(t, ErrEvicted.Error(), f.Reason(hg))
	_, err = f.add(spec{from: whale, nonce: 3})
	require.ErrorIs(t, err, ErrFull, "who has most cannot push others out")
	c0 := f.must(spec{from: c})
	require.Nil(t, f.Get(w2), "then the last of who has most")
	require.NotNil(t, f.Get(w1))
	tx, err := f.Add(context.Background(), spec{from: local}.raw(t), true)
	require.NoError(t, err)
	require.Nil(t, f.Get(w1))
	require.ElementsMatch(t, []common.Hash{w0, b0, c0, tx.Hash()}, f.build())
	_, err = f.add(spec{from: gap})
	require.ErrorIs(t, err, ErrFull, "everyone has one: first come, first served")
	f.consistent()
}

func TestEvictionByBytes(t *testing.T) {
	f := start(t, setup{cfg: func(c *Config) { c.MaxBytes = 2000 }})
	a, b := person(1), person(2)
	f.rich(a, b)
	for n := range uint64(10) {
		f.must(spec{from: a, nonce: n})
	}
	_, err := f.add(spec{from: b, gas: 200_000, data: make([]byte, 2500)})
	require.ErrorIs(t, err, ErrFull)
	f.must(spec{from: b, gas: 100_000, data: make([]byte, 1200)})
	require.LessOrEqual(t, f.bytes[ready]+f.bytes[gapped], 2000)
}

func TestEvictionWithFees(t *testing.T) {
	f := start(t, setup{mode: chain.FeesMarket, baseFee: 1, cfg: func(c *Config) { c.MaxTxs = 2 }})
	a, b, c := person(1), person(2), person(3)
	f.rich(a, b, c)
	cheap := f.must(spec{from: a, feeCap: 10, tipCap: 10})
	f.must(spec{from: b, feeCap: 30, tipCap: 1})
	_, err := f.add(spec{from: c, feeCap: 10, tipCap: 10})
	require.ErrorIs(t, err, ErrFull)
	f.must(spec{from: c, feeCap: 11, tipCap: 1})
	require.Nil(t, f.Get(cheap))
}

// Found by TestTinyBounds: an account that turned local while its last transaction was tracked for eviction was lost to both classes.
func TestTurningLocalStaysTracked(t *testing.T) {
	f := start(t, setup{mode: chain.FeesMarket, baseFee: 1, cfg: func(c *Config) { c.MaxTxs = 3 }})
	a, b, c := person(1), person(2), person(3)
	f.rich(a, b, c)
	f.must(spec{from: a, feeCap: 10})
	f.must(spec{from: a, nonce: 1, feeCap: 10})
	f.must(spec{from: b, feeCap: 20})
	_, err := f.add(spec{from: c, feeCap: 5})
	require.ErrorIs(t, err, ErrFull) // and from here on the pool tracks what is cheapest
	_, err = f.Add(context.Background(), spec{from: a, feeCap: 11}.raw(t), true)
	require.NoError(t, err)
	f.consistent()
	h := f.must(spec{from: c, feeCap: 30})
	require.NotNil(t, f.Get(h))
	require.Len(t, f.build(), 3, "b's went, for a is local now")
}

func TestGappedExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, setup{cfg: func(c *Config) { c.GappedLifetime = time.Hour }})
		a, b := person(1), person(2)
		f.rich(a, b)
		h := f.must(spec{from: a, nonce: 1})
		time.Sleep(50 * time.Minute)
		h2 := f.must(spec{from: b, nonce: 1})
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		require.Nil(t, f.Get(h))
		require.Contains(t, f.Reason(h), "expired")
		require.NotNil(t, f.Get(h2))
		f.must(spec{from: b, nonce: 2})
		time.Sleep(55 * time.Minute)
		synctest.Wait()
		require.NotNil(t, f.Get(h2), "the newest gapped one counts")
		f.consistent()
		f.stop()
	})
}

func TestExclusion(t *testing.T) {
	f := start(t, setup{cfg: func(c *Config) { c.Retries = 1 }})
	a := person(1)
	f.rich(a)
	h0, h1 := f.must(spec{from: a}), f.must(spec{from: a, nonce: 1})
	f.decide(h0, h1)
	require.Empty(t, f.build())
	leftOut := []chain.Exclusion{{Tx: h0, Reason: "gas limit reached"}, {Tx: h1, Reason: "nonce too high"}}
	f.Executed(f.ledger.block(nil, leftOut))
	f.consistent()
	require.Equal(t, []common.Hash{h0, h1}, f.build(), "one more try")
	f.decide(h0, h1)
	f.Executed(f.ledger.block(nil, leftOut))
	f.consistent()
	require.Empty(t, f.build())
	require.Equal(t, "left out of 2 blocks: gas limit reached", f.Reason(h0))

	unknown := common.Hash{1}
	f.Executed(f.ledger.block(nil, []chain.Exclusion{{Tx: unknown, Reason: "nonce too low"}}))
	require.Equal(t, "nonce too low", f.Reason(unknown))
}

func TestExecutedRechecksSenders(t *testing.T) {
	f := start(t, setup{})
	a, b, c := person(1), person(2), person(3)
	f.rich(a, b, c)
	a0, a1 := f.must(spec{from: a, value: 10}), f.must(spec{from: a, nonce: 1, value: 50})
	b0, b1 := f.must(spec{from: b}), f.must(spec{from: b, nonce: 1})
	c0 := f.must(spec{from: c})
	// A block in which a lost its money, b used a nonce by an authorization and c became a contract.
	f.Executed(f.ledger.block(nil, nil, f.ledger.set(a.addr, 0, 20), f.ledger.set(b.addr, 1, 1e18), f.ledger.setCode(c.addr, []byte{1})))
	f.consistent()
	require.NotNil(t, f.Get(a0))
	require.Nil(t, f.Get(a1))
	require.Contains(t, f.Reason(a1), "insufficient funds")
	require.Nil(t, f.Get(b0))
	require.Contains(t, f.Reason(b0), "nonce too low")
	require.Nil(t, f.Get(c0))
	require.Contains(t, f.Reason(c0), "sender not an eoa")
	require.Equal(t, []common.Hash{b1, a0}, sorted(f.build(), b1))
}

func sorted(hashes []common.Hash, first common.Hash) []common.Hash {
	if len(hashes) == 2 && hashes[1] == first {
		hashes[0], hashes[1] = hashes[1], hashes[0]
	}
	return hashes
}

func TestDecidedOfUnknown(t *testing.T) {
	f := start(t, setup{})
	a := person(1)
	f.rich(a)
	mine := f.must(spec{from: a})
	next := f.must(spec{from: a, nonce: 1})
	theirs, err := chain.DecodeTx(spec{from: a, value: 5}.raw(t))
	require.NoError(t, err)
	require.NoError(t, f.verifier.Verify(theirs))
	far, err := chain.DecodeTx(spec{from: person(2), nonce: 7}.raw(t))
	require.NoError(t, err)
	require.NoError(t, f.verifier.Verify(far))
	f.Decided(chain.Txs{theirs, far})
	f.consistent()
	require.Nil(t, f.Get(mine))
	require.Equal(t, []common.Hash{next}, f.build())
	hash, ok := f.DecidedAlready([]common.Hash{next, theirs.Hash()})
	require.True(t, ok)
	require.Equal(t, theirs.Hash(), hash)
	f.Executed(f.ledger.block(chain.Txs{theirs}, []chain.Exclusion{{Tx: far.Hash(), Reason: "nonce too high"}}, f.ledger.set(a.addr, 1, 1e18)))
	f.consistent()
	require.Equal(t, []common.Hash{next}, f.build())
}

func TestStateMovesDuringAdmission(t *testing.T) {
	f := start(t, setup{})
	a := person(1)
	f.rich(a)
	moved := false
	f.ledger.onRead = func(addr common.Address) {
		if addr == a.addr && !moved { // the block lands after the old account was read
			moved = true
			old, _ := ledgerState{f.ledger}.Account(addr)
			require.Zero(t, old.Nonce)
			f.ledger.onRead = nil
			write := chain.AccountChange{Address: a.addr, Account: &chain.Account{Nonce: 1, Balance: *uint256.NewInt(1e18), CodeHash: chain.EmptyCodeHash}}
			f.Executed(f.ledger.block(nil, nil, write))
		}
	}
	_, err := f.add(spec{from: a})
	require.True(t, moved)
	require.ErrorIs(t, err, ErrNonceTooLow, "the write of the block in between counts, not the read before it")
}

func TestStateUnreadable(t *testing.T) {
	f := start(t, setup{})
	f.ledger.failing = errors.New("disk on fire")
	_, err := f.add(spec{from: person(1)})
	require.ErrorIs(t, err, f.ledger.failing)
	_, err = f.PendingNonce(person(1).addr)
	require.ErrorIs(t, err, f.ledger.failing)
}

type refuseAll struct{ err error }

func (r refuseAll) Allow(context.Context, chain.State, *chain.Tx) error { return r.err }

func TestPermission(t *testing.T) {
	want := errors.New("not a member")
	f := start(t, setup{permission: refuseAll{want}})
	f.rich(person(1))
	_, err := f.add(spec{from: person(1)})
	require.ErrorIs(t, err, want)
}

func TestBatchKeepsOrder(t *testing.T) {
	f := start(t, setup{cfg: func(c *Config) { c.Workers, c.AccountGapped = 8, 0 }})
	a := person(1)
	f.rich(a)
	var raws [][]byte
	for n := range uint64(300) {
		raws = append(raws, spec{from: a, nonce: n}.raw(t))
	}
	raws = append(raws, []byte{0xc0}, raws[0])
	txs, errs := f.AddBatch(context.Background(), raws, true)
	for i := range 300 {
		require.NoError(t, errs[i])
		require.EqualValues(t, i, txs[i].Nonce())
	}
	require.Error(t, errs[300])
	require.ErrorIs(t, errs[301], ErrAlreadyKnown)
	require.Len(t, f.build(), 300)
	f.consistent()
}

// gate is a Permission that lets one transaction at a time through and notes them.
type gate struct {
	pass chan struct{}
	seen []common.Hash
}

func (g *gate) Allow(_ context.Context, _ chain.State, tx *chain.Tx) error {
	<-g.pass
	g.seen = append(g.seen, tx.Hash())
	return nil
}

func TestUrgentComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{pass: make(chan struct{})}
		f := start(t, setup{permission: g, cfg: func(c *Config) { c.Workers = 1 }})
		a, b := person(1), person(2)
		f.rich(a, b)
		var raws [][]byte
		for i := range uint64(3 * chunk) {
			raws = append(raws, spec{from: a, nonce: i}.raw(t))
		}
		var calls sync.WaitGroup
		calls.Go(func() {
			_, errs := f.AddBatch(context.Background(), raws, false)
			require.NoError(t, errors.Join(errs...))
		})
		synctest.Wait() // the worker has the first chunk
		calls.Go(func() {
			txs, errs := f.AddUrgent(context.Background(), [][]byte{spec{from: b}.raw(t)})
			require.NoError(t, errs[0])
			require.Equal(t, b.addr, txs[0].Sender())
		})
		synctest.Wait()
		close(g.pass)
		calls.Wait()
		require.Len(t, g.seen, 3*chunk+1)
		require.Equal(t, gethcrypto.Keccak256Hash(spec{from: b}.raw(t)), g.seen[chunk], "right behind the chunk that was begun")
		f.consistent()
		f.stop()
	})
}

func TestClosing(t *testing.T) {
	f := start(t, setup{})
	ch, cancel := f.Subscribe(1)
	f.rich(person(1))
	h := f.must(spec{from: person(1)})
	require.Equal(t, h, (<-ch)[0].Hash())
	<-f.Notify()
	f.stop()
	_, open := <-ch
	require.False(t, open)
	cancel()
	_, err := f.add(spec{from: person(1), nonce: 1})
	require.ErrorIs(t, err, ErrClosed)
	late, cancel := f.Subscribe(1)
	_, open = <-late
	require.False(t, open)
	cancel()
}

func TestAddBeforeRun(t *testing.T) {
	p, err := New(DefaultConfig(), genesis(chain.FeesZero, 0), newLedger(), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = p.Add(ctx, spec{from: person(1)}.raw(t), true)
	require.ErrorIs(t, err, context.Canceled)
}

func TestSlowSubscriberIsTold(t *testing.T) {
	f := start(t, setup{})
	a := person(1)
	f.rich(a)
	ch, cancel := f.Subscribe(1)
	defer cancel()
	f.must(spec{from: a})
	f.must(spec{from: a, nonce: 1})
	_, open := <-ch
	require.True(t, open)
	_, open = <-ch
	require.False(t, open, "the second batch found the buffer full")
}

func TestLocalSubscriptionAndWaiting(t *testing.T) {
	f := start(t, setup{})
	a, b := person(1), person(2)
	f.rich(a, b)
	ch, cancel := f.SubscribeLocal(4)
	defer cancel()
	remote := f.must(spec{from: a})
	gap, err := f.Add(context.Background(), spec{from: b, nonce: 1}.raw(t), true)
	require.NoError(t, err)
	require.Equal(t, []common.Hash{remote}, f.Waiting(10), "what waits for a nonce is nobody's yet")
	first := f.must(spec{from: b})
	require.Equal(t, []*chain.Tx{gap}, <-ch, "a peer's transaction filled the gap before a local one; only that is local")
	require.Equal(t, []common.Hash{remote, first, gap.Hash()}, f.Waiting(10))
	require.Equal(t, []common.Hash{remote, first}, f.Waiting(2))
	require.Empty(t, ch)
	f.stop()
	_, open := <-ch
	require.False(t, open)
}

func TestContent(t *testing.T) {
	f := start(t, setup{})
	a, b := person(1), person(2)
	f.rich(a, b)
	f.must(spec{from: a})
	f.must(spec{from: a, nonce: 2})
	f.must(spec{from: b})
	c := f.Content(100)
	require.False(t, c.Truncated)
	require.Len(t, c.Pending[a.addr], 1)
	require.EqualValues(t, 2, c.Queued[a.addr][0].Nonce())
	require.Len(t, c.Pending[b.addr], 1)
	require.True(t, f.Content(1).Truncated)
	pending, queued := f.ContentFrom(a.addr)
	require.Len(t, pending, 1)
	require.Len(t, queued, 1)
}

func TestReasonsAreBounded(t *testing.T) {
	f := start(t, setup{cfg: func(c *Config) { c.Reasons = 2 }})
	for i := range byte(3) {
		f.Executed(f.ledger.block(nil, []chain.Exclusion{{Tx: common.Hash{i + 1}, Reason: "x"}}))
	}
	require.Empty(t, f.Reason(common.Hash{1}))
	require.Equal(t, "x", f.Reason(common.Hash{3}))
	require.Len(t, f.reasons, 2)
}

func TestConfigNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"workers": func(c *Config) { c.Workers = -1 }, "max_txs": func(c *Config) { c.MaxTxs = 0 }, "max_bytes": func(c *Config) { c.MaxBytes = 0 },
		"account_executable": func(c *Config) { c.AccountExecutable = 0 }, "account_gapped": func(c *Config) { c.AccountGapped = -1 },
		"gapped_lifetime": func(c *Config) { c.GappedLifetime = 0 }, "price_bump_percent": func(c *Config) { c.PriceBumpPercent = 0 },
		"retries": func(c *Config) { c.Retries = -1 }, "reasons": func(c *Config) { c.Reasons = 0 },
		"journal_bytes": func(c *Config) { c.Journal, c.JournalBytes = "x", 1 },
	} {
		cfg := DefaultConfig()
		require.NoError(t, cfg.Validate())
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), field)
	}
}

// TestStale: what has been ready for long is listed; what is gapped, young or decided is not.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, setup{})
		a, b := person(1), person(2)
		f.rich(a, b)
		first, other, gapped := f.must(spec{from: a}), f.must(spec{from: b}), f.must(spec{from: a, nonce: 5})
		time.Sleep(time.Second)
		young := f.must(spec{from: a, nonce: 1})
		before := time.Now().Add(-time.Second / 2)
		require.ElementsMatch(t, []common.Hash{first, other}, f.Stale(before, 10))
		require.Len(t, f.Stale(before, 1), 1)
		require.Contains(t, f.Stale(time.Now().Add(time.Second), 10), young)
		require.NotContains(t, f.Stale(time.Now().Add(time.Second), 10), gapped)
		require.Zero(t, f.LongestWait(time.Time{}))
		f.decide(first)
		require.Equal(t, []common.Hash{other}, f.Stale(before, 10))
		require.Equal(t, time.Second, f.LongestWait(before))
		time.Sleep(time.Second)
		f.decide(young)
		require.Equal(t, time.Second, f.LongestWait(before))
		require.Equal(t, time.Second, f.LongestWait(time.Now().Add(-time.Millisecond)))
		require.Zero(t, f.LongestWait(time.Now()))
		f.stop()
	})
}
