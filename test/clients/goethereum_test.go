package clients_test

import (
	"context"
	"crypto/ecdsa"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/test/clients/binding"
)

const refusal = "拒绝: not today" // what Probe.failWithError answers

// mined is how a step reports a transaction, and whether it succeeded.
type mined = func(hash common.Hash, ok bool)

// gopher is go-ethereum's ethclient with abigen's bindings of Probe.
type gopher struct {
	*node
	ctx   context.Context
	key   *ecdsa.PrivateKey
	me    common.Address
	probe *binding.Probe
	at    common.Address      // of the Probe
	bound *bind.BoundContract // to it
}

func goEthereum(t *testing.T, n *node, key *ecdsa.PrivateKey, want []string) {
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	g := &gopher{node: n, ctx: ctx, key: key, me: crypto.PubkeyToAddress(key.PublicKey), probe: binding.NewProbe()}
	runSteps(t, n, key, want, []step{
		{"chain", g.chain}, {"deploy", g.deploy}, {"call", g.call}, {"send", g.send}, {"types", g.types},
		{"reason", g.reason}, {"error", g.customError}, {"panic", g.panic}, {"payable", g.payable},
		{"estimate", g.estimate}, {"rejected", g.rejected}, {"logs", g.logs}, {"subscribe", g.subscribe},
		{"typedData", g.typedData}, {"setCode", g.setCode},
	})
}

// opts are the options of a transaction with everything left to the client.
func (g *gopher) opts() *bind.TransactOpts {
	opts := bind.NewKeyedTransactor(g.key, g.chainID)
	opts.Context = g.ctx
	return opts
}

// wait waits for a transaction that must succeed.
func (g *gopher) wait(t *testing.T, mined mined, tx *types.Transaction, err error) *types.Receipt {
	t.Helper()
	require.NoError(t, err)
	receipt, err := bind.WaitMined(g.ctx, g.client, tx.Hash())
	require.NoError(t, err)
	mined(tx.Hash(), true)
	return receipt
}

// transact sends a call to the Probe and waits for it.
func (g *gopher) transact(t *testing.T, mined mined, input []byte) *types.Receipt {
	t.Helper()
	tx, err := bind.Transact(g.bound, g.opts(), input)
	return g.wait(t, mined, tx, err)
}

func (g *gopher) value(t *testing.T, block *big.Int) int64 {
	t.Helper()
	value, err := bind.Call(g.bound, &bind.CallOpts{Context: g.ctx, BlockNumber: block}, g.probe.PackValue(), g.probe.UnpackValue)
	require.NoError(t, err)
	return value.Int64()
}

func (g *gopher) balance(t *testing.T, of common.Address) *big.Int {
	t.Helper()
	balance, err := g.client.BalanceAt(g.ctx, of, nil)
	require.NoError(t, err)
	return balance
}

// reverted returns the data of a revert, and checks what every revert says.
func reverted(t *testing.T, err error) []byte {
	t.Helper()
	require.ErrorContains(t, err, "execution reverted")
	var coded rpc.Error
	require.ErrorAs(t, err, &coded)
	require.Equal(t, 3, coded.ErrorCode())
	data, ok := ethclient.RevertErrorData(err)
	require.True(t, ok, "the error carries no revert data: %v", err)
	return data
}

// attempts are the ways to meet a revert before a transaction is sent.
func (g *gopher) attempts(input []byte) map[string]error {
	msg := ethereum.CallMsg{From: g.me, To: &g.at, Data: input}
	_, call := g.client.CallContract(g.ctx, msg, nil)
	_, estimate := g.client.EstimateGas(g.ctx, msg)
	_, send := bind.Transact(g.bound, g.opts(), input)
	return map[string]error{"call": call, "estimate": estimate, "send": send}
}

func (g *gopher) chain(t *testing.T, _ mined) {
	head, err := g.client.HeaderByNumber(g.ctx, nil)
	require.NoError(t, err)
	require.NotNil(t, head.BaseFee)
	require.Equal(t, g.fees, head.BaseFee.Sign() > 0)
	_, err = g.client.BlockByNumber(g.ctx, new(big.Int).Add(head.Number, big.NewInt(1_000_000)))
	require.ErrorIs(t, err, ethereum.NotFound)
	_, err = g.client.TransactionReceipt(g.ctx, common.Hash{})
	require.ErrorIs(t, err, ethereum.NotFound)
	_, _, err = g.client.TransactionByHash(g.ctx, common.Hash{})
	require.ErrorIs(t, err, ethereum.NotFound)
	history, err := g.client.FeeHistory(g.ctx, 1, nil, []float64{50})
	require.NoError(t, err)
	require.Len(t, history.BaseFee, 2)
	syncing, err := g.client.SyncProgress(g.ctx)
	require.NoError(t, err)
	require.Nil(t, syncing)
}

func (g *gopher) deploy(t *testing.T, mined mined) {
	opts := g.opts()
	opts.Value = big.NewInt(7)
	code := common.FromHex(binding.ProbeMetaData.Bin)
	address, tx, err := bind.DeployContract(opts, code, g.client, g.probe.PackConstructor(big.NewInt(41)))
	receipt := g.wait(t, mined, tx, err)
	require.Equal(t, address, receipt.ContractAddress)
	deployed, err := g.client.CodeAt(g.ctx, address, nil)
	require.NoError(t, err)
	require.NotEmpty(t, deployed)
	require.Equal(t, int64(7), g.balance(t, address).Int64())
	g.at, g.bound = address, g.probe.Instance(g.client, address)
}

func (g *gopher) call(t *testing.T, _ mined) {
	require.Equal(t, int64(41), g.value(t, nil))
	slot, err := g.client.StorageAt(g.ctx, g.at, common.Hash{}, nil)
	require.NoError(t, err)
	require.Equal(t, common.LeftPadBytes([]byte{41}, 32), slot)
}

func (g *gopher) send(t *testing.T, mined mined) {
	before := g.balance(t, g.me)
	receipt := g.transact(t, mined, g.probe.PackSet(big.NewInt(42), "first"))
	require.Equal(t, int64(42), g.value(t, nil))
	require.Equal(t, int64(41), g.value(t, new(big.Int).Sub(receipt.BlockNumber, big.NewInt(1))))
	cost := new(big.Int).Mul(new(big.Int).SetUint64(receipt.GasUsed), receipt.EffectiveGasPrice)
	require.Equal(t, cost.String(), new(big.Int).Sub(before, g.balance(t, g.me)).String())
	receipts, err := g.client.BlockReceipts(g.ctx, rpc.BlockNumberOrHashWithHash(receipt.BlockHash, true))
	require.NoError(t, err)
	require.Equal(t, receipt.TxHash, receipts[receipt.TransactionIndex].TxHash)
}

func (g *gopher) types(t *testing.T, mined mined) {
	price, err := g.client.SuggestGasPrice(g.ctx)
	require.NoError(t, err)
	price.Mul(price, big.NewInt(2))
	input := g.probe.PackSet(big.NewInt(42), "typed")
	list := types.AccessList{{Address: g.at, StorageKeys: []common.Hash{{}}}}
	for kind, make := range []func(nonce uint64) types.TxData{
		func(nonce uint64) types.TxData {
			return &types.LegacyTx{Nonce: nonce, GasPrice: price, Gas: 100_000, To: &g.at, Data: input}
		},
		func(nonce uint64) types.TxData {
			return &types.AccessListTx{ChainID: g.chainID, Nonce: nonce, GasPrice: price, Gas: 100_000, To: &g.at, Data: input, AccessList: list}
		},
		func(nonce uint64) types.TxData {
			return &types.DynamicFeeTx{ChainID: g.chainID, Nonce: nonce, GasFeeCap: price, GasTipCap: new(big.Int), Gas: 100_000, To: &g.at, Data: input}
		},
	} {
		nonce, err := g.client.PendingNonceAt(g.ctx, g.me)
		require.NoError(t, err)
		tx, err := types.SignNewTx(g.key, types.LatestSignerForChainID(g.chainID), make(nonce))
		require.NoError(t, err)
		receipt := g.wait(t, mined, tx, g.client.SendTransaction(g.ctx, tx))
		require.Equal(t, uint8(kind), receipt.Type)
		got, pending, err := g.client.TransactionByHash(g.ctx, tx.Hash())
		require.NoError(t, err)
		require.False(t, pending)
		want, err := tx.MarshalBinary()
		require.NoError(t, err)
		raw, err := got.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, want, raw)
	}
}

func (g *gopher) reason(t *testing.T, mined mined) {
	for attempt, err := range g.attempts(g.probe.PackFailWithReason("not enough stamps")) {
		require.ErrorContains(t, err, "not enough stamps", attempt)
		reason, err := abi.UnpackRevert(reverted(t, err))
		require.NoError(t, err, attempt)
		require.Equal(t, "not enough stamps", reason, attempt)
	}
	opts := g.opts()
	opts.GasLimit = 100_000
	tx, err := bind.Transact(g.bound, opts, g.probe.PackFailWithReason("on chain"))
	require.NoError(t, err)
	receipt, err := bind.WaitMined(g.ctx, g.client, tx.Hash())
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusFailed, receipt.Status)
	mined(tx.Hash(), false)
}

func (g *gopher) customError(t *testing.T, _ mined) {
	for attempt, err := range g.attempts(g.probe.PackFailWithError(big.NewInt(7))) {
		decoded, err := g.probe.UnpackError(reverted(t, err))
		require.NoError(t, err, attempt)
		require.Equal(t, &binding.ProbeRefused{Caller: g.me, Asked: big.NewInt(7), Why: refusal}, decoded, attempt)
	}
}

func (g *gopher) panic(t *testing.T, _ mined) {
	for attempt, err := range g.attempts(g.probe.PackFailWithPanic(big.NewInt(1))) {
		reason, err := abi.UnpackRevert(reverted(t, err))
		require.NoError(t, err, attempt)
		require.Equal(t, "division or modulo by zero", reason, attempt)
	}
}

func (g *gopher) payable(t *testing.T, mined mined) {
	before, held := g.balance(t, g.me), g.balance(t, g.at)
	opts := g.opts()
	opts.Value = big.NewInt(1000)
	tx, err := bind.Transact(g.bound, opts, g.probe.PackDeposit())
	receipt := g.wait(t, mined, tx, err)
	cost := new(big.Int).Mul(new(big.Int).SetUint64(receipt.GasUsed), receipt.EffectiveGasPrice)
	require.Equal(t, cost.Add(cost, opts.Value).String(), new(big.Int).Sub(before, g.balance(t, g.me)).String())
	require.Equal(t, int64(1000), new(big.Int).Sub(g.balance(t, g.at), held).Int64())
	deposited, err := g.probe.UnpackDepositedEvent(receipt.Logs[0])
	require.NoError(t, err)
	require.Equal(t, g.me, deposited.From)
	require.Equal(t, big.NewInt(1000), deposited.Amount)

	_, err = bind.Transact(g.bound, opts, g.probe.PackSet(big.NewInt(1), "takes none"))
	require.ErrorContains(t, err, "execution reverted")
}

func (g *gopher) estimate(t *testing.T, mined mined) {
	receipt := g.transact(t, mined, g.probe.PackNested(big.NewInt(2000)))
	tx, _, err := g.client.TransactionByHash(g.ctx, receipt.TxHash)
	require.NoError(t, err)
	require.Greater(t, tx.Gas(), receipt.GasUsed, "the call inside gets 63/64 of the rest")
}

func (g *gopher) rejected(t *testing.T, _ mined) {
	opts := g.opts()
	opts.GasLimit, opts.Nonce = 100_000, new(big.Int)
	_, err := bind.Transact(g.bound, opts, g.probe.PackDeposit())
	require.ErrorContains(t, err, "nonce too low")
	opts.Nonce, opts.Value = nil, new(big.Int).Mul(g.balance(t, g.me), big.NewInt(2))
	_, err = bind.Transact(g.bound, opts, g.probe.PackDeposit())
	require.Error(t, err)
	require.Contains(t, strings.ToLower(err.Error()), "insufficient funds")
}

func (g *gopher) logs(t *testing.T, mined mined) {
	receipt := g.transact(t, mined, g.probe.PackSet(big.NewInt(77), "收据"))
	from := receipt.BlockNumber.Uint64()
	found, err := bind.FilterEvents(g.bound, &bind.FilterOpts{Start: from, Context: g.ctx}, g.probe.UnpackValueSetEvent,
		[]any{g.me}, []any{big.NewInt(42)})
	require.NoError(t, err)
	defer found.Close()
	require.True(t, found.Next(), "no event: %v", found.Error())
	event := found.Value()
	require.Equal(t, []any{g.me, "42", "77", "收据"}, []any{event.By, event.Before.String(), event.Value.String(), event.Note})
	require.Equal(t, receipt.TxHash, event.Raw.TxHash)
	require.Equal(t, receipt.BlockHash, event.Raw.BlockHash)
	require.False(t, found.Next())
	require.NoError(t, found.Error())
	none, err := g.client.FilterLogs(g.ctx, ethereum.FilterQuery{Addresses: []common.Address{g.at}, Topics: [][]common.Hash{nil, nil, {{43}}}})
	require.NoError(t, err)
	require.Empty(t, none)
}

func (g *gopher) subscribe(t *testing.T, mined mined) {
	socket, err := ethclient.DialContext(g.ctx, g.ws)
	require.NoError(t, err)
	defer socket.Close()
	heads := make(chan *types.Header, 16)
	headSub, err := socket.SubscribeNewHead(g.ctx, heads)
	require.NoError(t, err)
	defer headSub.Unsubscribe()
	events := make(chan *binding.ProbeValueSet, 16)
	eventSub, err := bind.WatchEvents(g.probe.Instance(socket, g.at), &bind.WatchOpts{Context: g.ctx}, g.probe.UnpackValueSetEvent, events)
	require.NoError(t, err)
	defer eventSub.Unsubscribe()

	receipt := g.transact(t, mined, g.probe.PackSet(big.NewInt(78), "over the socket"))
	select {
	case event := <-events:
		require.Equal(t, []any{g.me, "77", "78", "over the socket"}, []any{event.By, event.Before.String(), event.Value.String(), event.Note})
		require.Equal(t, receipt.TxHash, event.Raw.TxHash)
	case err := <-eventSub.Err():
		t.Fatalf("the subscription to logs ended: %v", err)
	case <-g.ctx.Done():
		t.Fatal("no event came")
	}
	for {
		select {
		case head := <-heads:
			if head.Number.Cmp(receipt.BlockNumber) == 0 {
				require.Equal(t, receipt.BlockHash, head.Hash())
				return
			}
		case err := <-headSub.Err():
			t.Fatalf("the subscription to heads ended: %v", err)
		case <-g.ctx.Done():
			t.Fatal("no head came")
		}
	}
}

func (g *gopher) typedData(t *testing.T, mined mined) {
	delivery := binding.ProbeDelivery{From: g.me, To: g.at, Document: "提单 B/L 7", Amount: big.NewInt(12345)}
	digest, _, err := apitypes.TypedDataAndHash(apitypes.TypedData{
		Types: apitypes.Types{
			"EIP712Domain": {{Name: "name", Type: "string"}, {Name: "version", Type: "string"}, {Name: "chainId", Type: "uint256"}, {Name: "verifyingContract", Type: "address"}},
			"Delivery":     {{Name: "from", Type: "address"}, {Name: "to", Type: "address"}, {Name: "document", Type: "string"}, {Name: "amount", Type: "uint256"}},
		},
		PrimaryType: "Delivery",
		Domain:      apitypes.TypedDataDomain{Name: "Jialing Probe", Version: "1", ChainId: (*math.HexOrDecimal256)(g.chainID), VerifyingContract: g.at.Hex()},
		Message: apitypes.TypedDataMessage{
			"from": delivery.From.Hex(), "to": delivery.To.Hex(), "document": delivery.Document, "amount": delivery.Amount.String(),
		},
	})
	require.NoError(t, err)
	onChain, err := bind.Call(g.bound, &bind.CallOpts{Context: g.ctx}, g.probe.PackDigestOf(delivery), g.probe.UnpackDigestOf)
	require.NoError(t, err)
	require.Equal(t, hexutil.Encode(digest), hexutil.Encode(onChain[:]))

	sig, err := crypto.Sign(digest, g.key)
	require.NoError(t, err)
	r, s, v := [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64]+27
	receipt := g.transact(t, mined, g.probe.PackAccept(delivery, v, r, s))
	accepted, err := g.probe.UnpackAcceptedEvent(receipt.Logs[0])
	require.NoError(t, err)
	require.Equal(t, []any{g.me, onChain, "12345"}, []any{accepted.Signer, accepted.Digest, accepted.Amount.String()})

	forged := delivery
	forged.Amount = big.NewInt(1)
	_, err = bind.Transact(g.bound, g.opts(), g.probe.PackAccept(forged, v, r, s))
	decoded, err := g.probe.UnpackError(reverted(t, err))
	require.NoError(t, err)
	wrong, ok := decoded.(*binding.ProbeWrongSigner)
	require.True(t, ok, "%T", decoded)
	require.Equal(t, g.me, wrong.Want)
}

// authorize sends the account a transaction that puts the code of target on it, and input as the call.
func (g *gopher) authorize(t *testing.T, mined mined, target common.Address, input []byte) *types.Receipt {
	t.Helper()
	nonce, err := g.client.PendingNonceAt(g.ctx, g.me)
	require.NoError(t, err)
	price, err := g.client.SuggestGasPrice(g.ctx)
	require.NoError(t, err)
	chainID := uint256.MustFromBig(g.chainID)
	auth, err := types.SignSetCode(g.key, types.SetCodeAuthorization{ChainID: *chainID, Address: target, Nonce: nonce + 1})
	require.NoError(t, err)
	tx, err := types.SignNewTx(g.key, types.LatestSignerForChainID(g.chainID), &types.SetCodeTx{
		ChainID: chainID, Nonce: nonce, GasTipCap: new(uint256.Int), GasFeeCap: uint256.MustFromBig(price.Mul(price, big.NewInt(2))),
		Gas: 300_000, To: g.me, Data: input, AuthList: []types.SetCodeAuthorization{auth},
	})
	require.NoError(t, err)
	return g.wait(t, mined, tx, g.client.SendTransaction(g.ctx, tx))
}

func (g *gopher) setCode(t *testing.T, mined mined) {
	delegate := binding.NewDelegate()
	target, tx, err := bind.DeployContract(g.opts(), common.FromHex(binding.DelegateMetaData.Bin), g.client, nil)
	g.wait(t, mined, tx, err)

	calls := []binding.DelegateCall{{To: g.at, Value: new(big.Int), Data: g.probe.PackSet(big.NewInt(79), "by a delegate")}}
	receipt := g.authorize(t, mined, target, delegate.PackExecuteBatch(calls))
	require.Equal(t, uint8(types.SetCodeTxType), receipt.Type)
	code, err := g.client.CodeAt(g.ctx, g.me, nil)
	require.NoError(t, err)
	require.Equal(t, types.AddressToDelegation(target), code)
	require.Len(t, receipt.Logs, 2)
	set, err := g.probe.UnpackValueSetEvent(receipt.Logs[0])
	require.NoError(t, err)
	require.Equal(t, []any{g.me, "78", "79", "by a delegate"}, []any{set.By, set.Before.String(), set.Value.String(), set.Note})
	executed, err := delegate.UnpackExecutedEvent(receipt.Logs[1])
	require.NoError(t, err)
	require.Equal(t, g.me, executed.Account)

	g.authorize(t, mined, common.Address{}, nil)
	code, err = g.client.CodeAt(g.ctx, g.me, nil)
	require.NoError(t, err)
	require.Empty(t, code)
}
