package eth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// The public client verifies, offline, what jl_getReceiptProof gives.
func TestReceiptProofVerifiesOffline(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.RecentBlocks = 2 })
	var all chain.Txs
	for range 30 {
		all = append(all, f.kinds()...)
	}
	n.publish(all) // beyond 127, where the trie's keys grow a byte
	n.publish(f.kinds()[:1])
	n.publish(nil)
	n.publish(nil)
	trust, err := client.TrustFromGenesis(f.genesis.Encode())
	require.NoError(t, err)
	c := n.client(t, n.url)
	for _, tx := range append(append(chain.Txs{}, all[0], all[1], all[126], all[127], all[128], all[149]), f.at(2).Txs[0]) {
		raw := call[json.RawMessage](t, c, "jl_getReceiptProof", tx.Hash())
		p, err := client.ParseProof(raw)
		require.NoError(t, err)
		got, err := client.Verify(p, trust)
		require.NoError(t, err)
		require.Equal(t, tx.Hash(), got.TxHash)
		require.Equal(t, testSender, got.From)
		l, _ := f.Tx(tx.Hash())
		require.Equal(t, l.Height, got.Height)
	}
	// The certificate of a later block serves where a block has none of its own; without any there is no proof.
	n.api.ledger = lateCertificates{f, 4}
	p, err := client.ParseProof(call[json.RawMessage](t, c, "jl_getReceiptProof", f.at(2).Txs[0].Hash()))
	require.NoError(t, err)
	require.Len(t, p.Links, 2)
	got, err := client.Verify(p, trust)
	require.NoError(t, err)
	require.EqualValues(t, 4, got.CertifiedHeight)
	n.api.ledger = lateCertificates{f, 5}
	var out json.RawMessage
	require.ErrorContains(t, c.Call(&out, "jl_getReceiptProof", f.at(2).Txs[0].Hash()), "block 2 is not finalized yet")
}

// lateCertificates is a ledger whose only certificate is of one height.
type lateCertificates struct {
	*fake
	only uint64
}

func (l lateCertificates) Certificate(height uint64) (*chain.Certificate, error) {
	if height != l.only {
		return nil, nil
	}
	return l.fake.Certificate(height)
}

// leaves is a list of encoded values.
type leaves [][]byte

func (l leaves) Len() int { return len(l) }

func (l leaves) EncodeIndex(i int, w *bytes.Buffer) { w.Write(l[i]) }

func TestProveLeafAgainstGethsTrie(t *testing.T) {
	for _, n := range []int{1, 2, 16, 17, 127, 128, 129, 300} {
		list := make(leaves, n)
		for i := range list {
			list[i] = bytesOf(1+i*7%90, byte(i+1))
		}
		root := types.DeriveSha(list, trie.NewStackTrie(nil))
		for _, at := range []int{0, 1, n / 2, n - 1} {
			if at >= n {
				continue
			}
			proof, err := proveLeaf(list, at, root)
			require.NoError(t, err)
			db := make(proofDB)
			for _, blob := range proof {
				db[string(gethcrypto.Keccak256(blob))] = blob
			}
			value, err := trie.VerifyProof(root, rlp.AppendUint64(nil, uint64(at)), db)
			require.NoError(t, err)
			require.Equal(t, list[at], value, "%d of %d", at, n)
		}
		_, err := proveLeaf(list, 0, common.Hash{1})
		require.ErrorContains(t, err, "the header says")
	}
}

type proofDB map[string][]byte

func (p proofDB) Has(key []byte) (bool, error)   { _, ok := p[string(key)]; return ok, nil }
func (p proofDB) Get(key []byte) ([]byte, error) { return p[string(key)], nil }

func TestSendRawTransactionSync(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, nil)
	c := n.client(t, n.url)
	send := func(tx *chain.Tx, args ...any) (json.RawMessage, error) {
		var out json.RawMessage
		err := c.Call(&out, "eth_sendRawTransactionSync", append([]any{hexutil.Encode(tx.Raw())}, args...)...)
		return out, err
	}
	txs := f.kinds()
	pooled := func(tx *chain.Tx) {
		require.Eventually(t, func() bool { return f.Get(tx.Hash()) != nil }, 20*time.Second, time.Millisecond)
	}
	go func() {
		pooled(txs[0])
		n.publish(nil)
		n.publish(txs[:1])
	}()
	out, err := send(txs[0], 20_000)
	require.NoError(t, err)
	requireFields(t, receiptFields, fields(t, out))

	go func() {
		pooled(txs[1])
		n.publish(nil, chain.Exclusion{Tx: txs[1].Hash(), Reason: "insufficient funds"})
	}()
	_, err = send(txs[1], "0x4e20")
	require.ErrorContains(t, err, "was left out of block 3: insufficient funds")

	_, err = send(txs[2], 1)
	require.ErrorContains(t, err, "was not processed in 1ms")
	require.Equal(t, codeSyncTimeout, err.(rpc.Error).ErrorCode())
	require.Equal(t, txs[2].Hash().Hex(), err.(rpc.DataError).ErrorData())
	_, err = send(txs[2], 1)
	require.ErrorContains(t, err, "already known")
}

// TestReceiptWaitsForWhatIsInThePool: who asks right after sending gets the receipt at the first call, and null in time if there is none.
func TestReceiptWaitsForWhatIsInThePool(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.ReceiptWait = 20 * time.Second })
	c := n.client(t, n.url)
	txs := f.kinds()
	f.mu.Lock()
	f.pool[txs[0].Hash()], f.pool[txs[1].Hash()] = txs[0], txs[1]
	f.mu.Unlock()
	go func() {
		n.publish(txs[:1])
		n.publish(nil, chain.Exclusion{Tx: txs[1].Hash(), Reason: "insufficient funds"})
	}()
	var out json.RawMessage
	require.NoError(t, c.Call(&out, "eth_getTransactionReceipt", txs[0].Hash()))
	requireFields(t, receiptFields, fields(t, out))
	require.NoError(t, c.Call(&out, "eth_getTransactionReceipt", txs[1].Hash()))
	require.Equal(t, "null", string(out), "it was left out")
	require.NoError(t, c.Call(&out, "eth_getTransactionReceipt", txs[2].Hash()))
	require.Equal(t, "null", string(out), "nobody has sent it, so nobody waits")
}

func TestBatchOfReceiptsWaitsOnce(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.ReceiptWait = 200 * time.Millisecond })
	var batch []rpc.BatchElem
	for range 20 {
		for _, tx := range f.kinds() {
			f.pool[tx.Hash()] = tx
			batch = append(batch, rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{tx.Hash()}, Result: new(json.RawMessage)})
		}
	}
	start := time.Now()
	require.NoError(t, n.client(t, n.url).BatchCall(batch))
	require.Less(t, time.Since(start), 10*time.Second, "one by one it would be 20 seconds")
	for _, e := range batch {
		require.NoError(t, e.Error)
		require.Equal(t, "null", string(*e.Result.(*json.RawMessage)))
	}
}

func TestCallsAreBounded(t *testing.T) {
	f := newFake(t)
	f.block = make(chan struct{})
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.MaxCalls, c.MaxQueuedCalls = 1, 1 })
	c := n.client(t, n.ws)
	args := map[string]any{"to": testToken}
	results := make(chan error, 3)
	for range 3 {
		go func() {
			var out hexutil.Bytes
			results <- c.Call(&out, "eth_call", args, "latest")
		}()
	}
	err := <-results
	require.ErrorContains(t, err, "server is busy: 1 calls run and 1 wait, try again")
	require.Equal(t, serve.CodeLimitExceeded, err.(rpc.Error).ErrorCode())
	close(f.block)
	require.NoError(t, <-results)
	require.NoError(t, <-results)
	require.Empty(t, n.api.callGate.slots)
}

func TestEndlessCallEnds(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) {
		c.CallTimeout, c.TraceTimeout = 50*time.Millisecond, 60*time.Millisecond
	})
	c := n.client(t, n.url)
	args := map[string]any{"to": testToken, "data": hexutil.Bytes{doWait}}
	var out json.RawMessage
	require.EqualError(t, c.Call(&out, "eth_call", args, "latest"), "execution aborted (timeout = 50ms)")
	require.EqualError(t, c.Call(&out, "eth_estimateGas", args), "execution aborted (timeout = 50ms)")
	require.EqualError(t, c.Call(&out, "debug_traceCall", args, "latest"), "execution aborted (timeout = 60ms)")
	require.EqualError(t, c.Call(&out, "debug_traceCall", args, "latest", map[string]any{"timeout": "10ms"}), "execution aborted (timeout = 10ms)")
}

// What breaks inside ends neither the process nor the connection, and gives its place back.
func TestPanicsAreAnswered(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.MaxCalls, c.MaxQueuedCalls = 1, 0 })
	for _, url := range []string{n.url, n.ws} {
		c := n.client(t, url)
		for range 3 {
			var out json.RawMessage
			require.EqualError(t, c.Call(&out, "eth_call", map[string]any{"to": testToken, "data": hexutil.Bytes{doPanic}}, "latest"), "method handler crashed")
		}
		require.Equal(t, hexutil.Uint64(testChainID), call[hexutil.Uint64](t, c, "eth_chainId"))
	}
}

func TestTraceSizeIsBounded(t *testing.T) {
	f := newFake(t)
	n := newNode(t, f, func(c *Config, _ *serve.Config) { c.MaxTraceBytes = 1024 })
	var txs chain.Txs
	for range 10 {
		txs = append(txs, f.kinds()...)
	}
	n.publish(txs)
	var out json.RawMessage
	require.ErrorContains(t, n.client(t, n.url).Call(&out, "debug_traceBlockByNumber", "0x1"), "at most 1024")
}

func TestRecentForgetsTheOldest(t *testing.T) {
	f := newFake(t)
	r := newRecent(3, 12, 0)
	var blocks []*chain.Executed
	for range 5 {
		e := f.seal(f.kinds(), chain.Exclusion{Tx: common.BigToHash(big.NewInt(int64(f.nonce))), Reason: "x"})
		blocks = append(blocks, e)
		r.add(e)
		require.LessOrEqual(t, len(r.txs), 12)
	}
	require.Len(t, r.blocks, 2, "twelve transactions are two blocks of six")
	require.Len(t, r.hashes, 2)
	require.Nil(t, r.block(3))
	require.NotNil(t, r.block(4))
	_, _, ok := r.tx(blocks[2].Block.Txs[0].Hash())
	require.False(t, ok)
	b, p, ok := r.tx(blocks[4].Block.Txs[2].Hash())
	require.True(t, ok)
	require.Equal(t, place{height: 5, index: 2}, p)
	require.Equal(t, blocks[4].Block, b.Block)
	_, p, ok = r.tx(blocks[3].Excluded[0].Tx)
	require.True(t, ok)
	require.True(t, p.excluded)
	head, _ := r.watch()
	require.EqualValues(t, 5, head)

	// A block above the bound by itself is still held: it is the newest.
	var many chain.Txs
	for range 4 {
		many = append(many, f.kinds()...)
	}
	r.add(f.seal(many))
	require.Len(t, r.blocks, 1)
	require.Len(t, r.txs, 20)
}

// A transaction that was left out once and decided again keeps the newer answer, and is forgotten with it.
func TestRecentKeepsTheNewerPlace(t *testing.T) {
	f := newFake(t)
	r := newRecent(2, 1000, 0)
	tx := f.kinds()[0]
	r.add(f.seal(nil, chain.Exclusion{Tx: tx.Hash(), Reason: "nonce too high"}))
	r.add(f.seal(chain.Txs{tx}))
	_, p, ok := r.tx(tx.Hash())
	require.True(t, ok)
	require.False(t, p.excluded)
	r.add(f.seal(nil))
	_, p, ok = r.tx(tx.Hash())
	require.True(t, ok, "the first block left, the second is there")
	require.EqualValues(t, 2, p.height)
	r.add(f.seal(nil))
	_, _, ok = r.tx(tx.Hash())
	require.False(t, ok)
}

func TestZeroFeesShowZeros(t *testing.T) {
	f := newFake(t)
	f.genesis.Fees = chain.Fees{Mode: chain.FeesZero}
	n := newNode(t, f, nil)
	n.publish(f.kinds())
	n.api.calls = zeroBaseFee{f}
	c := n.client(t, n.url)
	require.Equal(t, "0x0", call[string](t, c, "eth_gasPrice"))
	require.Equal(t, "0x0", call[string](t, c, "eth_maxPriorityFeePerGas"))
}

type zeroBaseFee struct{ *fake }

func (zeroBaseFee) NextBaseFee(*chain.Header) *big.Int { return new(big.Int) }

func TestConfigNamesWhatIsWrong(t *testing.T) {
	ok := DefaultConfig()
	require.NoError(t, ok.Validate())
	for field, change := range map[string]func(*Config){
		"call_gas": func(c *Config) { c.CallGas = 1 }, "call_timeout": func(c *Config) { c.CallTimeout = 0 }, "trace_timeout": func(c *Config) { c.TraceTimeout = 0 },
		"max_calls": func(c *Config) { c.MaxCalls = 0 }, "max_queued_calls": func(c *Config) { c.MaxQueuedCalls = -1 }, "max_traces": func(c *Config) { c.MaxTraces = 0 },
		"max_trace_bytes": func(c *Config) { c.MaxTraceBytes = 0 }, "max_log_range": func(c *Config) { c.MaxLogRange = 0 }, "max_log_results": func(c *Config) { c.MaxLogResults = 0 },
		"max_log_terms": func(c *Config) { c.MaxLogTerms = 0 }, "max_filters": func(c *Config) { c.MaxFilters = 0 }, "filter_lifetime": func(c *Config) { c.FilterLifetime = 0 },
		"max_storage_keys": func(c *Config) { c.MaxStorageKeys = 0 }, "fee_history_blocks": func(c *Config) { c.FeeHistoryBlocks = 0 },
		"fee_history_reward_blocks": func(c *Config) { c.FeeHistoryRewardBlocks = 0 }, "recent_blocks": func(c *Config) { c.RecentBlocks = 0 }, "recent_txs": func(c *Config) { c.RecentTxs = 0 },
		"pending_window": func(c *Config) { c.PendingWindow = 0 }, "max_subscriber_lag": func(c *Config) { c.MaxSubscriberLag = 0 },
		"sync_send_timeout": func(c *Config) { c.SyncSendTimeout = 0 }, "max_sync_send_timeout": func(c *Config) { c.MaxSyncSendTimeout = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), field)
	}
}

func TestErrorsOfOtherStagesKeepTheirCode(t *testing.T) {
	require.NoError(t, clientError(nil))
	require.Equal(t, -38010, clientError(&chain.SimulationError{Code: -38010, Reason: "x"}).(rpc.Error).ErrorCode())
	wrapped := clientError(fmt.Errorf("simulate: %w", &chain.SimulationError{Code: -38010, Reason: "x"}))
	require.Equal(t, -38010, wrapped.(rpc.Error).ErrorCode())
	require.EqualError(t, wrapped, "simulate: x")
	revert := clientError(fmt.Errorf("estimate: %w", &chain.RevertError{Data: []byte{1}}))
	require.EqualError(t, revert, "execution reverted")
	require.Equal(t, "0x01", revert.(rpc.DataError).ErrorData())
	require.Equal(t, serve.CodeTimeout, clientError(context.DeadlineExceeded).(rpc.Error).ErrorCode())
	_, coded := clientError(fmt.Errorf("plain")).(rpc.Error)
	require.False(t, coded)
}

// Every decoder of arguments: what it takes, it takes without breaking, and it converts without breaking.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{`{"fromBlock":"0x1","toBlock":"latest","address":["0x7070000000000000000000000000000000000001"],"topics":[null,["0x00000000000000000000000000000000000000000000000000000000000000aa",null]]}`,
		`{"to":"0x7070000000000000000000000000000000000001","gas":"0x1","value":"0x0","data":"0x00","accessList":[{"address":"0x7070000000000000000000000000000000000001","storageKeys":[]}],"authorizationList":[{"chainId":"0x1","address":"0x7070000000000000000000000000000000000001","nonce":"0x0","yParity":"0x0","r":"0x1","s":"0x1"}]}`,
		`{"0x7070000000000000000000000000000000000001":{"balance":"0x1","state":{"0x00000000000000000000000000000000000000000000000000000000000000aa":"0x00000000000000000000000000000000000000000000000000000000000000aa"}}}`,
		`{"number":"0x1","withdrawals":[],"beaconRoot":null}`, `{"blockStateCalls":[{"blockOverrides":{"number":"0x1"},"stateOverrides":{},"calls":[{}]}]}`,
		`{"tracer":"callTracer","timeout":"1s","limit":1,"stateOverrides":{},"txIndex":"0x1"}`, `"0x1"`, `12`, `"-1"`, `""`, `"`, `null`, `[]`, `{"blockHash":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) {
			return // go-ethereum's rpc has checked that before
		}
		var logs logFilter
		if json.Unmarshal(b, &logs) == nil {
			logs.matches(&types.Log{Topics: []common.Hash{topicA}})
			_ = logs.check(10)
		}
		var args callArgs
		if json.Unmarshal(b, &args) == nil {
			_, _ = args.call(1)
		}
		var accounts stateOverride
		if json.Unmarshal(b, &accounts) == nil {
			_, _ = accounts.accounts()
		}
		var block *blockOverride
		if json.Unmarshal(b, &block) == nil {
			_, _ = block.block()
		}
		var sim simulateArgs
		if json.Unmarshal(b, &sim) == nil {
			_, _ = (&simulateService{&API{genesis: &chain.Genesis{}}}).blocks(&sim)
		}
		var trace *traceCallConfig
		if json.Unmarshal(b, &trace) == nil && trace != nil {
			_, _, _ = trace.options(time.Second)
		}
		var n hexOrNumber
		if n.UnmarshalJSON(b) == nil {
			require.NotEmpty(t, b)
		}
		var s string
		if json.Unmarshal(b, &s) == nil {
			slot, _, err := parseSlot(s)
			if err == nil {
				require.True(t, len(s) <= 66 || slot == common.Hash{}, s)
			}
		}
	})
}
