package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"
)

// fakeNode answers what the load generator asks, over a real WebSocket. A transaction is in a block as soon as it is accepted.
type fakeNode struct {
	mu     sync.Mutex
	blocks []block
	heads  []chan head
	finals []chan head

	known, refuse, fail, lost map[common.Hash]bool
	// instead is called in place of taking a transaction into a block.
	instead map[common.Hash]func()
	// unfinal is how many blocks are final only together with a later one; waiting holds those that are not yet.
	unfinal int
	waiting []head
	// asked are the blocks and transactions that were asked for.
	asked []any
}

func startFake(t *testing.T) (*fakeNode, []string) {
	n, servers := startFakes(t, 1)
	return n, []string{"ws" + strings.TrimPrefix(servers[0].URL, "http")}
}

// startFakes is a network whose nodes agree because they are one.
func startFakes(t *testing.T, nodes int) (*fakeNode, []*httptest.Server) {
	n := &fakeNode{blocks: make([]block, 1), known: map[common.Hash]bool{}, refuse: map[common.Hash]bool{}, fail: map[common.Hash]bool{}, lost: map[common.Hash]bool{}, instead: map[common.Hash]func(){}}
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("eth", n))
	require.NoError(t, server.RegisterName("jl", (*fakeStatus)(n)))
	socket := server.WebsocketHandler([]string{"*"})
	var out []*httptest.Server
	for range nodes {
		out = append(out, httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				socket.ServeHTTP(w, r)
				return
			}
			server.ServeHTTP(w, r)
		})))
		t.Cleanup(out[len(out)-1].Close)
	}
	t.Cleanup(server.Stop)
	return n, out
}

type fakeStatus fakeNode

func (f *fakeStatus) Status() map[string]any {
	n := (*fakeNode)(f)
	n.mu.Lock()
	defer n.mu.Unlock()
	return map[string]any{"finalized": hexutil.Uint64(len(n.blocks) - 1 - len(n.waiting))}
}

func (n *fakeNode) GetTransactionReceipt(hash common.Hash) map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, hash)
	if n.lost[hash] {
		return nil
	}
	return map[string]any{"transactionHash": hash}
}

type refusal struct{}

func (refusal) Error() string  { return "nonce too low" }
func (refusal) ErrorCode() int { return -32000 }

func (n *fakeNode) SendRawTransaction(raw hexutil.Bytes) (common.Hash, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return common.Hash{}, err
	}
	switch hash := tx.Hash(); {
	case n.refuse[hash]:
		return common.Hash{}, refusal{}
	case n.instead[hash] != nil:
		n.instead[hash]()
		return hash, nil
	default:
		if !n.first(hash) {
			return hash, errors.New("already known")
		}
		n.include(hash)
		return hash, nil
	}
}

func (n *fakeNode) first(hash common.Hash) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.known[hash]
	n.known[hash] = true
	return !known
}

// include makes a block of a transaction, as TestDrive's foreign case does of one that was never sent.
func (n *fakeNode) include(hash common.Hash) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := block{Number: hexutil.Uint64(len(n.blocks)), GasUsed: 50_000, Transactions: []common.Hash{hash}}
	n.blocks = append(n.blocks, b)
	for _, h := range n.heads {
		h <- head{b.Number}
	}
	n.waiting = append(n.waiting, head{b.Number})
	if n.unfinal > 0 {
		n.unfinal--
		return
	}
	for _, final := range n.waiting {
		for _, h := range n.finals {
			h <- final
		}
	}
	n.waiting = nil
}

func (n *fakeNode) BlockNumber() hexutil.Uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return hexutil.Uint64(len(n.blocks) - 1)
}

func (n *fakeNode) GetBlockByNumber(height hexutil.Uint64, full bool) *block {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, uint64(height))
	if int(height) >= len(n.blocks) {
		return nil
	}
	return &n.blocks[height]
}

func (n *fakeNode) GetBlockReceipts(height hexutil.Uint64) []map[string]any {
	var out []map[string]any
	for _, hash := range n.GetBlockByNumber(height, false).Transactions {
		status := hexutil.Uint64(1)
		if n.fail[hash] {
			status = 0
		}
		out = append(out, map[string]any{"status": status, "transactionHash": hash})
	}
	return out
}

func (n *fakeNode) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	return n.notify(ctx, &n.heads), nil
}

func (n *fakeNode) NewFinalizedHeads(ctx context.Context) (*rpc.Subscription, error) {
	return n.notify(ctx, &n.finals), nil
}

// notify adds a subscriber to one of the node's lists.
func (n *fakeNode) notify(ctx context.Context, to *[]chan head) *rpc.Subscription {
	notifier, _ := rpc.NotifierFromContext(ctx)
	sub := notifier.CreateSubscription()
	heads := make(chan head, 1<<16)
	n.mu.Lock()
	*to = append(*to, heads)
	n.mu.Unlock()
	go func() {
		for {
			select {
			case h := <-heads:
				notifier.Notify(sub.ID, h)
			case <-sub.Err():
				return
			}
		}
	}()
	return sub
}

// someTransfers are signed by holders of a token that the fake does not look at.
func someTransfers(t *testing.T, n int) []signed {
	h := newHolders(50, 1)
	c := newToken(common.Address{1}, 50)
	txs, err := c.signTransfers(t.Context(), h, newPayments(50, 1), n)
	require.NoError(t, err)
	return txs
}

func TestDrive(t *testing.T) {
	_, nodes := startFake(t)
	txs := someTransfers(t, 503)
	o, err := drive(t.Context(), nodes, load{txs: txs, batch: 10, connections: 3, window: 60})
	require.NoError(t, err)
	require.Equal(t, uint64(503), o.to-o.from)
	require.Len(t, o.latencies, 503)
	require.Equal(t, uint64(503*50_000), o.gas)
	require.Positive(t, o.seconds())
	for _, l := range o.latencies {
		require.Positive(t, l)
	}
	require.NoError(t, verifyReceipts(t.Context(), nodes[0], o, 503))
	require.ErrorContains(t, verifyReceipts(t.Context(), nodes[0], o, 504), "504 successes were due")
}

// TestDriveAtARate: the turn of a batch comes by the clock, and latency counts from there.
func TestDriveAtARate(t *testing.T) {
	_, nodes := startFake(t)
	txs := someTransfers(t, 100)
	begin := time.Now()
	o, err := drive(t.Context(), nodes, load{txs: txs, batch: 10, connections: 2, window: 100, rate: 500})
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begin), 180*time.Millisecond, "the last batch is due after 90 of 500 transactions per second")
	require.GreaterOrEqual(t, o.seconds(), 0.18)
}

func TestDriveSaysWhatWentWrong(t *testing.T) {
	txs := someTransfers(t, 30)
	for name, c := range map[string]struct {
		spoil func(*fakeNode)
		text  string
	}{
		"refused": {func(n *fakeNode) { n.refuse[txs[7].hash] = true }, "the node refused transaction 7 of a batch: nonce too low (code -32000)"},
		"missing": {func(n *fakeNode) { n.instead[txs[7].hash] = func() {} }, "of 30 transactions were in blocks)"},
		"foreign": {func(n *fakeNode) { n.instead[txs[7].hash] = func() { n.include(common.Hash{9}) } }, "which we did not send"},
	} {
		t.Run(name, func(t *testing.T) {
			n, nodes := startFake(t)
			c.spoil(n)
			_, err := drive(t.Context(), nodes, load{txs: txs, batch: 10, connections: 1, window: 100, patience: 500 * time.Millisecond})
			require.ErrorContains(t, err, c.text)
		})
	}
	t.Run("failed", func(t *testing.T) {
		n, nodes := startFake(t)
		n.fail[txs[7].hash] = true
		o, err := drive(t.Context(), nodes, load{txs: txs, batch: 10, connections: 1, window: 100})
		require.NoError(t, err)
		require.ErrorContains(t, verifyReceipts(t.Context(), nodes[0], o, 30), "hold 30 receipts, 1 of them failed")
	})
	t.Run("interrupted", func(t *testing.T) {
		n, nodes := startFake(t)
		ctx, cancel := context.WithCancel(t.Context())
		n.instead[txs[7].hash] = cancel
		_, err := drive(ctx, nodes, load{txs: txs, batch: 10, connections: 1, window: 100})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("nobody there", func(t *testing.T) {
		_, err := drive(t.Context(), []string{"ws://127.0.0.1:1"}, load{txs: txs, batch: 10, connections: 1, window: 100})
		require.ErrorContains(t, err, "connect to ws://127.0.0.1:1")
	})
}

// TestFinalLatency: with several nodes every transfer has a latency until a final receipt on another node, no shorter than to the block.
func TestFinalLatency(t *testing.T) {
	n, servers := startFakes(t, 3)
	n.unfinal = 5
	var urls []string
	for _, s := range servers {
		urls = append(urls, "ws"+strings.TrimPrefix(s.URL, "http"))
	}
	o, err := drive(t.Context(), urls, load{txs: someTransfers(t, 95), batch: 10, connections: 3, window: 60, rate: 2000, final: true})
	require.NoError(t, err)
	require.Len(t, o.finals, 95)
	for _, l := range o.finals {
		require.Positive(t, l)
	}
}

// TestFinality: a block is final when the node has said so and has given one receipt of it. The block itself is fetched only where it is unknown.
func TestFinality(t *testing.T) {
	for name, c := range map[string]struct {
		known, lost bool
		asked       []any
		err         string
	}{
		"known":           {known: true, asked: []any{common.Hash{1}}},
		"not yet known":   {asked: []any{uint64(1), common.Hash{1}}},
		"without receipt": {known: true, lost: true, asked: []any{common.Hash{1}}, err: "block 1 is final and the node has no receipt"},
	} {
		t.Run(name, func(t *testing.T) {
			n, nodes := startFake(t)
			n.lost[common.Hash{1}] = c.lost
			f, err := newFinality(t.Context(), nodes, 0)
			require.NoError(t, err)
			defer f.close()
			begin := time.Now()
			n.include(common.Hash{1})
			if c.known {
				f.seen(&n.blocks[1])
			}
			f.endAt(1)
			if err := f.follow(t.Context(), 0); c.err != "" {
				require.ErrorContains(t, err, c.err)
			} else {
				require.NoError(t, err)
				require.WithinRange(t, f.at[0][1], begin, time.Now())
			}
			require.Equal(t, c.asked, n.asked)
		})
	}
}

// TestFinalityOfManyBlocks: those that are final in one go are so with a receipt of the newest.
func TestFinalityOfManyBlocks(t *testing.T) {
	f := &finality{at: []map[uint64]time.Time{{}}}
	arrived := make(chan arrival, 3)
	for h := hexutil.Uint64(2); h <= 4; h++ {
		arrived <- arrival{head: head{h}}
	}
	now := (&subscription{arrived: arrived}).newest(arrival{head: head{1}})
	require.Equal(t, uint64(4), now)
	f.note(0, 0, now)
	require.Len(t, f.at[0], 4)
	require.Equal(t, f.at[0][4], f.at[0][1])

	n, nodes := startFake(t)
	n.unfinal = 1
	f, err := newFinality(t.Context(), nodes, 0)
	require.NoError(t, err)
	defer f.close()
	n.include(common.Hash{1})
	n.include(common.Hash{2})
	f.endAt(2)
	require.NoError(t, f.follow(t.Context(), 0))
	require.Len(t, f.at[0], 2)
	require.Equal(t, common.Hash{2}, n.asked[len(n.asked)-1])
}

// TestBackgroundLoad: when a node dies under the load, its batches go to the others and every one of them ends in a block.
func TestBackgroundLoad(t *testing.T) {
	n, servers := startFakes(t, 4)
	b := &bench{settings: &settings{Rate: 2000}, report: &report{}, holders: newHolders(50, 1), payments: newPayments(50, 1), token: newToken(common.Address{1}, 50)}
	for _, s := range servers {
		b.nodes = append(b.nodes, &process{http: s.URL, ws: "ws" + strings.TrimPrefix(s.URL, "http")})
	}
	reach := func(ctx context.Context, blocks int) error {
		for int(n.BlockNumber()) < blocks {
			if err := sleepUntil(ctx, time.Now().Add(time.Millisecond)); err != nil {
				return err
			}
		}
		return nil
	}
	var sent *background
	require.NoError(t, b.underLoad(t.Context(), func(ctx context.Context, l *background) error {
		sent = l
		if err := reach(ctx, 50); err != nil {
			return err
		}
		servers[2].CloseClientConnections()
		servers[2].Close()
		if err := reach(ctx, 150); err != nil {
			return err
		}
		l.remove(2)
		b.nodes[2] = nil
		return reach(ctx, 200)
	}))
	require.GreaterOrEqual(t, sent.sent, 200)
	require.EqualValues(t, sent.sent, n.BlockNumber(), "a block for each")
	require.Equal(t, sent.sent, b.committed)
}

// TestPulse: a pause is what the blocks of a real subscription leave.
func TestPulse(t *testing.T) {
	n, nodes := startFake(t)
	p, err := watchPulse(t.Context(), nodes[0])
	require.NoError(t, err)
	defer p.close()
	n.include(common.Hash{1})
	require.NoError(t, p.after(t.Context(), time.Now().Add(-time.Hour)))
	require.Len(t, p.at, 1)
	require.Zero(t, p.longestGap(p.at[0].Add(-time.Second)), "one block has no gap")
}
