package e2e

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
)

// The bank is the load of the network tests and what they check: clients pay each other through all nodes while nodes fail, and read the balances and
// nonces of all of them. The history of what they saw must be linearizable (porcupine), and every payment that was acknowledged must be on every node.
//
// What is claimed, and so checked:
//
//   - A payment is acknowledged when a node shows its receipt in a block that it calls final. From then on every read that goes through the chain
//     shows it, whichever node it asks, whatever node has died since.
//   - A read goes through the chain: the reader has a transaction of its own ordered, waits until that is final, and reads the state of that block,
//     on a node that it draws. The state is the same on all nodes.
//
// What is not claimed: that eth_getBalance at "latest" or "finalized" on one node shows what another node has acknowledged. A node may be behind; such
// a read is of some final block, never of a wrong one (the nodes' blocks are compared at the end).

// bankClients is how many clients there are, each with an account of its own: those after the validators' of the network.
const bankClients = 6

// firstBankAccount is behind the accounts of as many validators as the tests have.
const firstBankAccount = 5

// account is what is read of one.
type account struct {
	Balance uint64 // above or below what it began with, in wei, from a middle
	Nonce   uint64
}

// middle is the balance that accounts of the model begin with.
const middle = 1 << 40

// books are all accounts of the bank: the state of the model.
type books [bankClients]account

// payment moves wei; to itself it moves nothing and orders a read.
type payment struct {
	from, to int
	amount   uint64
	nonce    uint64
}

// bankModel is the bank as one machine that does one thing at a time.
var bankModel = porcupine.Model{
	Init: func() any {
		var b books
		for i := range b {
			b[i].Balance = middle
		}
		return b
	},
	Step: func(state, input, output any) (bool, any) {
		b := state.(books)
		p, paid := input.(payment)
		if !paid { // a read
			return output.(books) == b, b
		}
		if b[p.from].Nonce != p.nonce {
			return false, b
		}
		b[p.from].Nonce++
		b[p.from].Balance -= p.amount
		b[p.to].Balance += p.amount
		return true, b
	},
	DescribeOperation: func(input, output any) string {
		if p, paid := input.(payment); paid {
			return fmt.Sprintf("%d pays %d to %d (nonce %d)", p.from, p.amount, p.to, p.nonce)
		}
		return fmt.Sprintf("read %v", output)
	},
}

// bank is the clients and what they saw.
type bank struct {
	t       testing.TB
	nw      *network
	keys    [bankClients]*ecdsa.PrivateKey
	address [bankClients]common.Address
	initial [bankClients]*big.Int
	begin   time.Time
	acks    atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
	served  map[common.Hash]acknowledged
}

func openBank(t testing.TB, nw *network) *bank {
	b := &bank{t: t, nw: nw, begin: time.Now(), served: map[common.Hash]acknowledged{}}
	for i := range bankClients {
		b.keys[i] = devAccount(t, firstBankAccount+i)
		b.address[i] = gethcrypto.PubkeyToAddress(b.keys[i].PublicKey)
		var balance hexutil.Big
		nw.processes()[0].call(&balance, "eth_getBalance", b.address[i], "0x0")
		b.initial[i] = balance.ToInt()
	}
	return b
}

// run lets all clients pay and read until stop is called, which waits for what they have begun: everything that was sent is acknowledged.
func (b *bank) run(seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for i := range bankClients {
		work.Go(func() { b.client(ctx, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	return func() { cancel(); work.Wait() }
}

// client does one thing after the other. It looks at ctx between them only.
func (b *bank) client(ctx context.Context, me int, rnd *rand.Rand) {
	nonce := b.nonce(me)
	for ; ctx.Err() == nil && !b.t.Failed(); nonce++ {
		p := payment{from: me, to: me, nonce: nonce}
		read := rnd.IntN(4) == 0
		if !read {
			p.to, p.amount = (me+1+rnd.IntN(bankClients-1))%bankClients, uint64(1+rnd.IntN(9))
		}
		call := time.Since(b.begin)
		ack, err := b.pay(p, rnd)
		if err != nil {
			b.t.Errorf("client %d: %v", me, err)
			return
		}
		b.record(me, p, nil, call)
		if !read {
			continue
		}
		state, err := b.read(uint64(ack.BlockNumber), rnd)
		if err != nil {
			b.t.Errorf("client %d: %v", me, err)
			return
		}
		b.record(me, nil, state, call)
	}
}

// nonce is the client's next one when nothing of it is under way.
func (b *bank) nonce(me int) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := uint64(0)
	for _, op := range b.history {
		if p, paid := op.Input.(payment); paid && p.from == me {
			n = max(n, p.nonce+1)
		}
	}
	return n
}

// devAccount is the key of one of the accounts that --dev funds; the network's validators have the first ones.
func devAccount(t testing.TB, i int) *ecdsa.PrivateKey {
	accounts, err := client.DevAccounts(i + 1)
	require.NoError(t, err)
	key, err := gethcrypto.HexToECDSA(strings.TrimPrefix(accounts[i].Hex(), "0x"))
	require.NoError(t, err)
	return key
}

func (b *bank) record(client int, input, output any, call time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history = append(b.history, porcupine.Operation{ClientId: client, Input: input, Output: output, Call: int64(call), Return: int64(time.Since(b.begin))})
}

// retryAfter is when a client gives a transaction to another node too: the first may be cut off from the others.
const retryAfter = time.Second

// pay has a node take the payment, the next one when that fails, and returns when a node shows the receipt in a final block.
func (b *bank) pay(p payment, rnd *rand.Rand) (*acknowledged, error) {
	id := big.NewInt(defaultChainID)
	tx, err := types.SignNewTx(b.keys[p.from], types.LatestSignerForChainID(id), &types.DynamicFeeTx{ChainID: id, Nonce: p.nonce, GasTipCap: new(big.Int),
		GasFeeCap: new(big.Int), Gas: 21_000, To: &b.address[p.to], Value: new(big.Int).SetUint64(p.amount)})
	if err != nil {
		return nil, err
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(patience)
	var taken time.Time // when a node took it last
	for turn := rnd.IntN(64); ; turn++ {
		clients := b.nw.clients()
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("payment %s is not final after %s; a node took it: %v; last error: %v", tx.Hash(), patience, !taken.IsZero(), err)
		}
		if len(clients) == 0 {
			pause(context.Background())
			continue
		}
		c := clients[turn%len(clients)]
		if time.Since(taken) > retryAfter {
			if err = ask(c, new(common.Hash), "eth_sendRawTransaction", hexutil.Bytes(raw)); err != nil && !known(err) {
				pause(context.Background())
				continue
			}
			taken = time.Now()
		}
		var ack *acknowledged
		if ack, err = finalReceipt(c, tx.Hash()); ack != nil {
			b.mu.Lock()
			b.served[ack.Hash] = *ack
			b.mu.Unlock()
			b.acks.Add(1)
			return ack, nil
		}
		pause(context.Background())
	}
}

// finalReceipt asks a node for a receipt; nil while it has none or does not call the block final.
func finalReceipt(c *rpc.Client, hash common.Hash) (*acknowledged, error) {
	var ack *acknowledged
	if err := ask(c, &ack, "eth_getTransactionReceipt", hash); err != nil || ack == nil {
		return nil, err
	}
	if final, err := finalHeight(c); err != nil || final < uint64(ack.BlockNumber) {
		return nil, err
	}
	return ack, nil
}

func finalHeight(c *rpc.Client) (uint64, error) {
	var final struct {
		Number hexutil.Uint64 `json:"number"`
	}
	err := ask(c, &final, "eth_getBlockByNumber", "finalized", false)
	return uint64(final.Number), err
}

// read reads all accounts at a height on a node where it is final.
func (b *bank) read(height uint64, rnd *rand.Rand) (books, error) {
	deadline := time.Now().Add(patience)
	var err error
	for turn := rnd.IntN(64); time.Now().Before(deadline); turn++ {
		clients := b.nw.clients()
		if len(clients) > 0 {
			c := clients[turn%len(clients)]
			var final uint64
			if final, err = finalHeight(c); err == nil && final >= height {
				var state books
				if state, err = b.readAt(c, height); err == nil {
					return state, nil
				}
			}
		}
		pause(context.Background())
	}
	return books{}, fmt.Errorf("no node shows block %d as final after %s: %v", height, patience, err)
}

func (b *bank) readAt(c *rpc.Client, height uint64) (state books, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var balances [bankClients]hexutil.Big
	var nonces [bankClients]hexutil.Uint64
	var calls []rpc.BatchElem
	for i := range bankClients {
		calls = append(calls, rpc.BatchElem{Method: "eth_getBalance", Args: []any{b.address[i], hexutil.Uint64(height)}, Result: &balances[i]},
			rpc.BatchElem{Method: "eth_getTransactionCount", Args: []any{b.address[i], hexutil.Uint64(height)}, Result: &nonces[i]})
	}
	if err := c.BatchCallContext(ctx, calls); err != nil {
		return state, err
	}
	for _, call := range calls {
		if call.Error != nil {
			return state, call.Error
		}
	}
	for i := range bankClients {
		moved := new(big.Int).Sub(balances[i].ToInt(), b.initial[i])
		state[i] = account{Balance: uint64(middle + moved.Int64()), Nonce: uint64(nonces[i])}
	}
	return state, nil
}

// progress waits until that many more payments have been acknowledged.
func (b *bank) progress(what string, payments int64) {
	b.t.Helper()
	want := b.acks.Load() + payments
	eventually(b.t, what, func() error {
		if now := b.acks.Load(); now < want {
			return fmt.Errorf("%d payments of %d are acknowledged", payments-(want-now), payments)
		}
		return nil
	})
}

// quiet is how long nothing may be acknowledged to say that nothing is: a healthy network under this load acknowledges many payments in it.
const quiet = 3 * time.Second

// standsStill waits until nothing is acknowledged any more; what was under way may still arrive. A network that decides never comes to rest, which fails.
func (b *bank) standsStill(what string) {
	b.t.Helper()
	last, since := b.acks.Load(), time.Now()
	eventually(b.t, what, func() error {
		if now := b.acks.Load(); now != last {
			last, since = now, time.Now()
		}
		if still := time.Since(since); still < quiet {
			return fmt.Errorf("the last payment was acknowledged %s ago", still)
		}
		return nil
	})
}

// audit checks everything that the clients saw against every node that runs. The load must have been stopped.
func (b *bank) audit() {
	b.t.Helper()
	if b.t.Failed() {
		b.t.FailNow()
	}
	height := b.nw.settled()
	b.nw.sameBlocks(height)
	require.NotEmpty(b.t, b.served)
	for i, p := range b.nw.processes() {
		if p != nil {
			b.auditReceipts(i, p)
		}
	}
	begin := time.Now()
	result, info := porcupine.CheckOperationsVerbose(bankModel, b.history, patience)
	if result != porcupine.Ok {
		f, err := os.CreateTemp("", "jialing-history-*.html") // it outlives the test
		require.NoError(b.t, err)
		defer f.Close()
		require.NoError(b.t, porcupine.Visualize(bankModel, info, f))
		b.t.Fatalf("the history of %d operations is not linearizable (%s), see %s", len(b.history), result, f.Name())
	}
	b.t.Logf("%d payments acknowledged, history of %d operations linearizable (checked in %s), %d blocks the same on all nodes", len(b.served), len(b.history),
		time.Since(begin).Round(time.Millisecond), height)
}

// auditReceipts asks a node for every payment that was acknowledged by any.
func (b *bank) auditReceipts(node int, p *process) {
	b.t.Helper()
	var calls []rpc.BatchElem
	for hash := range b.served {
		calls = append(calls, rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{hash}, Result: new(*acknowledged)})
	}
	for len(calls) > 0 {
		some := calls[:min(100, len(calls))]
		calls = calls[len(some):]
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := p.client.BatchCallContext(ctx, some)
		cancel()
		require.NoError(b.t, err)
		for _, c := range some {
			require.NoError(b.t, c.Error)
			want := b.served[c.Args[0].(common.Hash)]
			got := *c.Result.(**acknowledged)
			require.NotNil(b.t, got, "node %d has lost payment %s of block %d", node+1, want.Hash, want.BlockNumber)
			require.Equal(b.t, want, *got, "node %d", node+1)
		}
	}
}

// ask is a call that gives up a node which does not answer.
func ask(c *rpc.Client, out any, method string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return c.CallContext(ctx, out, method, args...)
}

// TestBankModel shows what the model refuses: reads that miss an acknowledged payment, that show one which nobody made, or that go back.
func TestBankModel(t *testing.T) {
	paid := books{}
	for i := range paid {
		paid[i].Balance = middle
	}
	unpaid := paid
	paid[0] = account{middle - 5, 1}
	paid[1].Balance += 5
	pay := func(call, end int64) porcupine.Operation {
		return porcupine.Operation{Input: payment{from: 0, to: 1, amount: 5}, Call: call, Return: end}
	}
	read := func(b books, call, end int64) porcupine.Operation {
		return porcupine.Operation{Output: b, Call: call, Return: end}
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		fine    bool
	}{
		"seen after it was acknowledged":   {[]porcupine.Operation{pay(0, 10), read(paid, 11, 20)}, true},
		"either while it is under way":     {[]porcupine.Operation{pay(0, 10), read(unpaid, 1, 4), read(paid, 5, 20)}, true},
		"lost after it was acknowledged":   {[]porcupine.Operation{pay(0, 10), read(unpaid, 11, 20)}, false},
		"gone again":                       {[]porcupine.Operation{pay(0, 30), read(paid, 1, 4), read(unpaid, 5, 20)}, false},
		"nobody made it":                   {[]porcupine.Operation{read(paid, 0, 10)}, false},
		"made twice":                       {[]porcupine.Operation{pay(0, 10), pay(11, 20)}, false},
		"a reader after another sees less": {[]porcupine.Operation{pay(0, 5), read(paid, 6, 10), read(unpaid, 11, 20)}, false},
	} {
		require.Equal(t, c.fine, porcupine.CheckOperations(bankModel, c.history), name)
	}
}
