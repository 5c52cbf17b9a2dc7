package eth

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/ethclient/gethclient"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

func (n *node) client(t *testing.T, url string) *rpc.Client {
	c, err := rpc.Dial(url)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// next waits for a channel's next value.
func next[T any](t *testing.T, ch <-chan T, sub *rpc.ClientSubscription) T {
	select {
	case v := <-ch:
		return v
	case err := <-sub.Err():
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		require.Fail(t, "nothing came")
	}
	panic("unreachable")
}

func TestSubscriptionsOfEthclient(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, nil)
	raw := n.client(t, n.ws)
	c := ethclient.NewClient(raw)
	ctx := context.Background()
	heads := make(chan *types.Header, 100)
	headSub, err := c.SubscribeNewHead(ctx, heads)
	require.NoError(t, err)
	logs := make(chan types.Log, 100)
	logSub, err := c.SubscribeFilterLogs(ctx, ethereum.FilterQuery{Addresses: []common.Address{testToken}, Topics: [][]common.Hash{{topicA}, {topicB}}}, logs)
	require.NoError(t, err)
	receipts := make(chan []*types.Receipt, 100)
	wanted := f.kinds()
	receiptSub, err := raw.EthSubscribe(ctx, receipts, "transactionReceipts", map[string]any{"transactionHashes": []common.Hash{wanted[1].Hash(), wanted[2].Hash()}})
	require.NoError(t, err)

	// More blocks than one step of a feed.
	const blocks = 2*feedStep + 3
	for i := range blocks {
		switch i {
		case 4:
			n.publish(wanted)
		default:
			n.publish(f.kinds())
		}
	}
	for h := uint64(1); h <= blocks; h++ {
		require.Equal(t, f.at(h).Hash, next(t, heads, headSub.(*rpc.ClientSubscription)).Hash())
		if h%2 == 1 {
			continue
		}
		for range 2 {
			l := next(t, logs, logSub.(*rpc.ClientSubscription))
			require.Equal(t, h, l.BlockNumber)
			require.Equal(t, *f.at(h).receipts[l.TxIndex].Logs[0], l)
		}
	}
	got := next(t, receipts, receiptSub)
	require.Equal(t, []*types.Receipt{f.at(5).receipts[1], f.at(5).receipts[2]}, got)
	headSub.Unsubscribe()
	n.publish(nil)
	require.Empty(t, heads)
}

func TestPendingTransactionsOfGethclient(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, nil)
	c := gethclient.New(n.client(t, n.ws))
	ctx := context.Background()
	hashes, whole := make(chan common.Hash, 10), make(chan *types.Transaction, 10)
	hashSub, err := c.SubscribePendingTransactions(ctx, hashes)
	require.NoError(t, err)
	wholeSub, err := c.SubscribeFullPendingTransactions(ctx, whole)
	require.NoError(t, err)
	txs := f.kinds()
	for _, tx := range txs {
		f.pool[tx.Hash()] = tx
	}
	n.api.PublishPending(txs[:3])
	n.api.PublishPending(txs[3:])
	for _, tx := range txs {
		require.Equal(t, tx.Hash(), next(t, hashes, hashSub))
		require.Equal(t, tx.Hash(), next(t, whole, wholeSub).Hash())
	}
}

func TestCallsOfGethclient(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, nil)
	n.publish(f.kinds())
	c := gethclient.New(n.client(t, n.url))
	ctx := context.Background()
	proof, err := c.GetProof(ctx, testToken, []string{topicA.Hex()}, big.NewInt(1))
	require.NoError(t, err)
	require.EqualValues(t, 1, proof.StorageProof[0].Value.Uint64())
	require.Equal(t, topicA.Hex(), proof.StorageProof[0].Key)
	list, gas, vmErr, err := c.CreateAccessList(ctx, ethereum.CallMsg{To: &testToken, Data: []byte{doRevertBare}})
	require.NoError(t, err)
	require.Equal(t, "execution reverted", vmErr)
	require.EqualValues(t, 30000, gas)
	require.Len(t, *list, 1)
	overrides := map[common.Address]gethclient.OverrideAccount{testToken: {Balance: big.NewInt(5), Nonce: 3, Code: []byte{1}, StateDiff: map[common.Hash]common.Hash{topicA: topicB}}}
	out, err := c.CallContractWithBlockOverrides(ctx, ethereum.CallMsg{To: &testToken}, nil, &overrides, gethclient.BlockOverrides{Number: big.NewInt(99)})
	require.NoError(t, err)
	require.Len(t, out, 96)
	require.EqualValues(t, 5, out[63])
	require.EqualValues(t, 99, out[95])

	e := ethclient.NewClient(n.client(t, n.url))
	_, err = e.CallContract(ctx, ethereum.CallMsg{To: &testToken, Data: []byte{doRevertReason}}, nil)
	require.EqualError(t, err, "execution reverted: not enough")
	var data rpc.DataError
	require.ErrorAs(t, err, &data)
	require.Equal(t, "0x"+common.Bytes2Hex(revertData("not enough")), data.ErrorData())
	_, err = e.FeeHistory(ctx, 2, nil, []float64{50})
	require.NoError(t, err)
	tx := f.kinds()[2]
	var inner types.Transaction
	require.NoError(t, inner.UnmarshalBinary(tx.Raw()))
	require.NoError(t, e.SendTransaction(ctx, &inner))
	require.EqualError(t, e.SendTransaction(ctx, &inner), "already known")
	got, pending, err := e.TransactionByHash(ctx, tx.Hash())
	require.NoError(t, err)
	require.True(t, pending)
	require.Equal(t, tx.Hash(), got.Hash())
	nonce, err := e.PendingNonceAt(ctx, testSender)
	require.NoError(t, err)
	require.EqualValues(t, f.nonce+1, nonce)
	header, err := e.HeaderByNumber(ctx, big.NewInt(int64(rpc.PendingBlockNumber)))
	require.NoError(t, err)
	require.EqualValues(t, 2, header.Number.Uint64())
}

// A subscriber of whole blocks that stopped reading is dropped with a reason once it is too far behind; nobody is skipped in silence.
func TestSlowSubscriberIsDropped(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.MaxSubscriberLag = 3; c.PendingWindow = 4 })
	feed, err := n.api.Subscribe("newHeads", nil)
	require.NoError(t, err)
	pending, err := n.api.Subscribe("newPendingTransactions", nil)
	require.NoError(t, err)
	for range 3 {
		n.publish(nil)
	}
	events, err := feed.Next(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 3)
	for range 4 {
		n.publish(nil)
	}
	_, err = feed.Next(t.Context())
	require.EqualError(t, err, "4 blocks behind, at most 3 are kept for a subscriber")

	n.api.PublishPending(f.kinds()[:4])
	events, err = pending.Next(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 4)
	n.api.PublishPending(f.kinds())
	_, err = pending.Next(t.Context())
	require.EqualError(t, err, "1 transactions behind what is kept for a subscriber, see pending_window")
}

// finalize makes blocks final and says so, as the node does.
func (n *node) finalize(height uint64) {
	n.mu.Lock()
	n.finalized = height
	n.mu.Unlock()
	n.api.PublishFinal()
}

// newProvisional is a node with blocks of which none is final.
func newProvisional(t *testing.T, blocks int, change func(*Config, *serve.Config)) *node {
	f := newFake(t)
	f.provisional = true
	n := newNode(t, f, change)
	for range blocks {
		n.publish(nil)
	}
	return n
}

// finals takes events, as many as there are heights, which have to be those of the given ones.
func (n *node) finals(t *testing.T, feed serve.Feed, from, to uint64) {
	t.Helper()
	for from <= to {
		events, err := feed.Next(t.Context())
		require.NoError(t, err)
		for _, e := range events {
			require.LessOrEqual(t, from, to, "%s", e)
			b := n.at(from)
			require.JSONEq(t, string(headerJSON(b.Header, b.Hash)), string(e))
			from++
		}
	}
}

// A subscriber of final blocks hears of each height once, in order, when it is final and not before.
func TestFinalizedHeads(t *testing.T) {
	for name, steps := range map[string][]uint64{
		"one by one":              {1, 2, 3, 4, 5},
		"several at once":         {3, 4, 40},
		"the same again":          {2, 2, 5, 5},
		"more than a step":        {feedStep + 1, 2*feedStep + 2},
		"nothing before a quorum": {0, 0, 40},
	} {
		t.Run(name, func(t *testing.T) {
			n := newProvisional(t, 40, func(c *Config, _ *serve.Config) { c.RecentBlocks = 8 })
			feed, err := n.api.Subscribe("newFinalizedHeads", nil)
			require.NoError(t, err)
			var had uint64
			for _, to := range steps {
				n.finalize(to)
				n.finals(t, feed, had+1, to)
				events, _, err := feed.(subscription).feed.take(t.Context())
				require.NoError(t, err)
				require.Empty(t, events, "no more than is final")
				had = to
			}
		})
	}
}

// A subscription begins behind what is final already, and a subscriber that waits is woken over the socket.
func TestFinalizedHeadsOverSocket(t *testing.T) {
	n := newProvisional(t, 10, nil)
	n.finalize(4)
	c := n.client(t, n.ws)
	heads, finals := make(chan *types.Header, 100), make(chan *types.Header, 100)
	headSub, err := c.EthSubscribe(t.Context(), heads, "newHeads")
	require.NoError(t, err)
	finalSub, err := c.EthSubscribe(t.Context(), finals, "newFinalizedHeads")
	require.NoError(t, err)
	n.publish(nil)
	require.Equal(t, n.at(11).Hash, next(t, heads, headSub).Hash())
	require.Empty(t, finals, "it is not final")
	n.finalize(5)
	require.Equal(t, n.at(5).Hash, next(t, finals, finalSub).Hash())
	n.finalize(11)
	for h := uint64(6); h <= 11; h++ {
		require.Equal(t, n.at(h).Hash, next(t, finals, finalSub).Hash())
	}
	finalSub.Unsubscribe()
	n.publish(nil)
	n.finalize(12)
	require.Equal(t, n.at(12).Hash, next(t, heads, headSub).Hash())
	require.Empty(t, finals)
}

// Blocks that nobody certifies are nobody's lag; final ones that a subscriber does not take are.
func TestSlowSubscriberOfFinalizedHeadsIsDropped(t *testing.T) {
	n := newProvisional(t, 100, func(c *Config, _ *serve.Config) { c.MaxSubscriberLag = 40 })
	feed, err := n.api.Subscribe("newFinalizedHeads", nil)
	require.NoError(t, err)
	final := feed.(subscription).feed
	events, _, err := final.take(t.Context())
	require.NoError(t, err)
	require.Empty(t, events)
	woken := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, final.wait(ctx), context.Canceled, "there is nothing")
	go func() { woken <- final.wait(t.Context()) }()
	n.finalize(40)
	require.NoError(t, <-woken)
	n.finals(t, feed, 1, 40)
	n.finalize(81)
	_, err = feed.Next(t.Context())
	require.EqualError(t, err, "41 blocks behind, at most 40 are kept for a subscriber")
}

func TestBell(t *testing.T) {
	var b bell
	b.ring() // nobody waits
	require.Nil(t, b.waited)
	first, same := b.next(), b.next()
	require.Equal(t, first, same)
	b.ring()
	<-first
	select {
	case <-b.next():
		require.Fail(t, "it has not rung again")
	default:
	}
}

// Blocks that left memory are read from the ledger: what a subscriber sees does not depend on its pace.
func TestFeedReadsWhatLeftMemory(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.RecentBlocks = 1 })
	heads, err := n.api.Subscribe("newHeads", nil)
	require.NoError(t, err)
	logs, err := n.api.Subscribe("logs", []json.RawMessage{json.RawMessage(`{"topics":["` + topicA.Hex() + `"]}`)})
	require.NoError(t, err)
	for range 5 {
		n.publish(f.kinds())
	}
	require.Len(t, n.api.recent.blocks, 1)
	events, err := heads.Next(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 5)
	events, err = logs.Next(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = logs.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestSubscribeRefuses(t *testing.T) {
	n := newNode(t, newFake(t), func(c *Config, _ *serve.Config) { c.MaxLogTerms = 1 })
	for name, params := range map[string][]string{
		"nothing": nil, "newHeads": {`1`}, "newFinalizedHeads": {`1`}, "logs": {`{"address":["` + testToken.Hex() + `","` + testToken.Hex() + `"]}`}, "newPendingTransactions": {`"yes"`},
		"transactionReceipts": {`{"transactionHashes":[` + strings.Repeat(`"`+testMissing.Hex()+`",`, 200) + `"` + testMissing.Hex() + `"]}`},
	} {
		var raw []json.RawMessage
		for _, p := range params {
			raw = append(raw, json.RawMessage(p))
		}
		_, err := n.api.Subscribe(name, raw)
		require.Error(t, err, name)
		require.NotZero(t, err.(rpc.Error).ErrorCode(), name)
	}
}

func call[T any](t *testing.T, c *rpc.Client, method string, args ...any) (out T) {
	require.NoError(t, c.Call(&out, method, args...))
	return out
}

func TestFilters(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) {
		c.RecentBlocks = 2
		c.MaxLogResults = 40
		c.MaxFilters = 4
		c.MaxSubscriberLag = 1
	})
	c := n.client(t, n.url)
	n.publish(f.kinds())
	blocks := call[rpc.ID](t, c, "eth_newBlockFilter")
	logs := call[rpc.ID](t, c, "eth_newFilter", map[string]any{"address": testToken, "fromBlock": "0x1"})
	pending := call[rpc.ID](t, c, "eth_newPendingTransactionFilter")
	full := call[rpc.ID](t, c, "eth_newPendingTransactionFilter", true)
	var id rpc.ID
	require.ErrorContains(t, c.Call(&id, "eth_newBlockFilter"), "too many filters")
	require.Empty(t, call[[]common.Hash](t, c, "eth_getFilterChanges", blocks))
	require.Empty(t, call[[]types.Log](t, c, "eth_getFilterChanges", logs))

	// Far more than a subscriber may be behind: a filter costs nothing while it waits.
	const more = 50
	for range more {
		n.publish(f.kinds())
	}
	txs := f.kinds()
	f.pool[txs[0].Hash()] = txs[0]
	n.api.PublishPending(txs[:1])
	hashes := call[[]common.Hash](t, c, "eth_getFilterChanges", blocks)
	hashes = append(hashes, call[[]common.Hash](t, c, "eth_getFilterChanges", blocks)...)
	require.Len(t, hashes, more)
	for i, h := range hashes {
		require.Equal(t, f.at(uint64(i+2)).Hash, h)
	}
	var found []types.Log
	for {
		part := call[[]types.Log](t, c, "eth_getFilterChanges", logs)
		if len(part) == 0 {
			break
		}
		found = append(found, part...)
	}
	require.Len(t, found, 2*more, "in parts, as one answer holds some 40")
	for i, l := range found {
		require.EqualValues(t, i/2+2, l.BlockNumber)
	}
	require.Equal(t, []common.Hash{txs[0].Hash()}, call[[]common.Hash](t, c, "eth_getFilterChanges", pending))
	require.Len(t, call[[]*types.Transaction](t, c, "eth_getFilterChanges", full), 1)
	require.ErrorContains(t, c.Call(&found, "eth_getFilterLogs", logs), "too many logs")
	require.ErrorContains(t, c.Call(&found, "eth_getFilterLogs", blocks), "filter not found")
	require.True(t, call[bool](t, c, "eth_uninstallFilter", blocks))
	require.False(t, call[bool](t, c, "eth_uninstallFilter", blocks))
	require.ErrorContains(t, c.Call(&hashes, "eth_getFilterChanges", blocks), "filter not found")
	require.Len(t, n.api.filters.byID, 3)
}

func TestFiltersExpire(t *testing.T) {
	now := time.Unix(1000, 0)
	f := newFilters(2, time.Minute, func() time.Time { return now })
	first, err := f.install(&filter{})
	require.NoError(t, err)
	now = now.Add(40 * time.Second)
	second, err := f.install(&filter{})
	require.NoError(t, err)
	now = now.Add(15 * time.Second)
	require.NotNil(t, f.poll(first), "a poll keeps it")
	now = now.Add(50 * time.Second)
	require.Nil(t, f.poll(second))
	require.NotNil(t, f.poll(first))
	_, err = f.install(&filter{})
	require.NoError(t, err)
	_, err = f.install(&filter{})
	require.ErrorContains(t, err, "too many filters")
	now = now.Add(2 * time.Minute)
	_, err = f.install(&filter{})
	require.NoError(t, err, "expired ones make room")
}

func TestSendsOverWebSocketInBatches(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, nil)
	c, _, err := websocket.DefaultDialer.Dial(n.ws, nil)
	require.NoError(t, err)
	defer c.Close()
	var txs chain.Txs
	for range 20 {
		txs = append(txs, f.kinds()...)
	}
	var b strings.Builder
	for i, tx := range txs {
		fmt.Fprintf(&b, `,{"jsonrpc":"2.0","id":%d,"method":"eth_sendRawTransaction","params":["0x%x"]}`, i, tx.Raw())
	}
	require.NoError(t, c.WriteMessage(websocket.TextMessage, []byte("["+b.String()[1:]+"]")))
	var answers []struct {
		ID     int
		Result common.Hash
	}
	require.NoError(t, c.ReadJSON(&answers))
	require.Len(t, answers, len(txs))
	for i, a := range answers {
		require.Equal(t, i, a.ID)
		require.Equal(t, txs[i].Hash(), a.Result)
	}
	require.Len(t, f.batches, 1, "the pool saw one batch")
}
