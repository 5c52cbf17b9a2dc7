package client_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"math/big"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/emmansun/gmsm/sm3"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
)

// fakeNode answers what the client asks, over HTTP and WebSocket. It mines nothing by itself: see mine.
type fakeNode struct {
	mu       sync.Mutex // guards all below
	baseFee  *big.Int
	sent     []*types.Transaction
	receipts map[common.Hash]*types.Receipt
	asked    int
	heads    []chan *types.Header
	// final is the last final height, onFinal is called under mu at every question for it. An old node does not tell of final blocks.
	final      int64
	finalAsked int
	onFinal    func(n *fakeNode, asked int)
	subscribed []string
	old        bool
	onAsk      func(n *fakeNode, asked int) // called under mu at every question for a receipt
	excluded   *client.ExcludedError
	revert     []byte
	result     hexutil.Bytes
	suite      string // of the chain; "": intl
}

func startFake(t *testing.T) (n *fakeNode, http, ws string) {
	n = &fakeNode{baseFee: big.NewInt(7), receipts: make(map[common.Hash]*types.Receipt)}
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("eth", n))
	require.NoError(t, server.RegisterName("jl", &fakeJL{n}))
	h := httptest.NewServer(server)
	w := httptest.NewServer(server.WebsocketHandler([]string{"*"}))
	t.Cleanup(func() { server.Stop(); h.Close(); w.Close() })
	return n, h.URL, "ws" + strings.TrimPrefix(w.URL, "http")
}

func dial(t *testing.T, url string) *client.Client {
	c, err := client.Dial(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func (n *fakeNode) header() *types.Header {
	return &types.Header{UncleHash: types.EmptyUncleHash, Difficulty: new(big.Int), Number: big.NewInt(1), BaseFee: n.baseFee, Extra: []byte{}}
}

// mine puts every sent transaction into a block, under mu.
func (n *fakeNode) mine(status uint64) {
	for _, tx := range n.sent {
		r := &types.Receipt{Type: tx.Type(), Status: status, TxHash: tx.Hash(), BlockNumber: big.NewInt(1), Logs: []*types.Log{}}
		if tx.To() == nil {
			r.ContractAddress = common.Address{0xc0}
		}
		n.receipts[tx.Hash()] = r
	}
	n.final = 1
	for _, ch := range n.heads {
		ch <- n.header()
	}
	n.heads = nil
}

func (n *fakeNode) ChainId() *hexutil.Big              { return (*hexutil.Big)(big.NewInt(77)) }
func (n *fakeNode) MaxPriorityFeePerGas() *hexutil.Big { return (*hexutil.Big)(big.NewInt(2)) }
func (n *fakeNode) GetBalance(common.Address, string) *hexutil.Big {
	return (*hexutil.Big)(big.NewInt(1e18))
}
func (n *fakeNode) GetTransactionCount(_ common.Address, tag string) (hexutil.Uint64, error) {
	if tag != "pending" {
		return 0, errors.New("asked for " + tag)
	}
	return 5, nil
}

func (n *fakeNode) GetBlockByNumber(tag string, full bool) *types.Header {
	switch tag {
	case "latest":
		return n.header()
	case "finalized":
		n.mu.Lock()
		defer n.mu.Unlock()
		n.finalAsked++
		if n.onFinal != nil {
			n.onFinal(n, n.finalAsked)
		}
		h := n.header()
		h.Number.SetInt64(n.final)
		return h
	}
	return nil
}

func (n *fakeNode) EstimateGas(map[string]any) (hexutil.Uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.revert != nil {
		return 0, revertError(n.revert)
	}
	return 50_000, nil
}

func (n *fakeNode) Call(map[string]any, string) (hexutil.Bytes, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.revert != nil {
		return nil, revertError(n.revert)
	}
	return n.result, nil
}

func (n *fakeNode) SendRawTransaction(raw hexutil.Bytes) (common.Hash, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return common.Hash{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.sent {
		if s.Hash() == tx.Hash() {
			return common.Hash{}, errors.New("already known")
		}
	}
	n.sent = append(n.sent, tx)
	return tx.Hash(), nil
}

func (n *fakeNode) GetTransactionReceipt(hash common.Hash) any {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if n.onAsk != nil {
		n.onAsk(n, n.asked)
	}
	if r, ok := n.receipts[hash]; ok {
		return r
	}
	return nil
}

// fakeJL is this platform's own namespace.
type fakeJL struct{ n *fakeNode }

func (j *fakeJL) Status() map[string]any {
	j.n.mu.Lock()
	defer j.n.mu.Unlock()
	return map[string]any{"suite": cmp.Or(j.n.suite, "intl")}
}

// GetExclusion returns no *client.ExcludedError as such: the server would send that as an error.
func (j *fakeJL) GetExclusion(common.Hash) map[string]any {
	j.n.mu.Lock()
	defer j.n.mu.Unlock()
	if j.n.excluded == nil {
		return nil
	}
	return map[string]any{"transaction": j.n.excluded.Tx, "height": j.n.excluded.Height, "reason": j.n.excluded.Reason}
}

type revertError []byte

func (revertError) Error() string    { return "execution reverted" }
func (revertError) ErrorCode() int   { return 3 }
func (e revertError) ErrorData() any { return hexutil.Encode(e) }

func account(t *testing.T) *client.Secp256k1 {
	dev, err := client.DevAccounts(1)
	require.NoError(t, err)
	return dev[0]
}

func TestSendFillsWhatIsOpen(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	to := common.Address{9}
	hash, err := c.Send(t.Context(), account(t), client.Tx{To: &to, Value: big.NewInt(3)})
	require.NoError(t, err)
	require.Len(t, n.sent, 1)
	tx := n.sent[0]
	require.Equal(t, tx.Hash(), hash)
	require.EqualValues(t, 5, tx.Nonce())
	require.EqualValues(t, 50_000, tx.Gas())
	require.EqualValues(t, 16, tx.GasFeeCap().Int64(), "tip and twice the base fee")
	require.EqualValues(t, 2, tx.GasTipCap().Int64())
	require.EqualValues(t, 77, tx.ChainId().Int64())
	sender, err := types.Sender(types.LatestSignerForChainID(big.NewInt(77)), tx)
	require.NoError(t, err)
	require.Equal(t, account(t).Address(), sender)
}

func TestSendKeepsWhatIsGiven(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	nonce, to := uint64(0), common.Address{9}
	auth, err := account(t).SignAuthorization(c.ChainID(), common.Address{8}, 1)
	require.NoError(t, err)
	_, err = c.Send(t.Context(), account(t), client.Tx{To: &to, Nonce: &nonce, Gas: 21_000, FeeCap: big.NewInt(1), Authorizations: []types.SetCodeAuthorization{auth}})
	require.NoError(t, err)
	tx := n.sent[0]
	require.Zero(t, tx.Nonce())
	require.EqualValues(t, 21_000, tx.Gas())
	require.EqualValues(t, 1, tx.GasFeeCap().Int64())
	require.EqualValues(t, 1, tx.GasTipCap().Int64(), "a tip never exceeds the cap")
	require.EqualValues(t, types.SetCodeTxType, tx.Type())
	authority, err := tx.SetCodeAuthorizations()[0].Authority()
	require.NoError(t, err)
	require.Equal(t, account(t).Address(), authority)
}

func TestSignRefusesWhatIsIncomplete(t *testing.T) {
	_, err := account(t).SignTx(big.NewInt(1), &client.Tx{})
	require.ErrorIs(t, err, client.ErrIncompleteTx)
	nonce := uint64(0)
	_, err = account(t).SignTx(big.NewInt(1), &client.Tx{Nonce: &nonce, Gas: 1, FeeCap: big.NewInt(0), TipCap: big.NewInt(0), Authorizations: make([]types.SetCodeAuthorization, 1)})
	require.ErrorContains(t, err, "cannot create a contract")
}

func TestSendRawBatchTellsOfEach(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	var raws [][]byte
	for i := range uint64(250) {
		raw, err := account(t).SignTx(c.ChainID(), &client.Tx{To: &common.Address{}, Nonce: &i, Gas: 21_000, FeeCap: big.NewInt(1), TipCap: big.NewInt(1)})
		require.NoError(t, err)
		raws = append(raws, raw)
	}
	raws = append(raws, raws[7], []byte{1})
	hashes, errs, err := c.SendRawBatch(t.Context(), raws)
	require.NoError(t, err)
	require.Len(t, n.sent, 250)
	for i := range 250 {
		require.NoError(t, errs[i])
		require.Equal(t, client.TxHash(raws[i]), hashes[i])
	}
	require.ErrorContains(t, errs[250], "already known")
	require.Error(t, errs[251])
}

func TestWaitReceiptOverHTTPAsksAgain(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	n.onAsk = func(n *fakeNode, asked int) {
		if asked == 3 {
			n.mine(1)
		}
	}
	hash, err := c.Send(t.Context(), account(t), client.Tx{To: &common.Address{}})
	require.NoError(t, err)
	r, err := c.WaitReceipt(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, hash, r.TxHash)
	require.Equal(t, 3, n.asked)
}

func TestWaitReceiptOverWebSocketIsTold(t *testing.T) {
	n, _, ws := startFake(t)
	c := dial(t, ws)
	hash, err := c.Send(t.Context(), account(t), client.Tx{To: &common.Address{}})
	require.NoError(t, err)
	n.onAsk = func(n *fakeNode, asked int) {
		if asked == 2 {
			require.Len(t, n.heads, 1, "the subscription stands before the first question")
			n.mine(1)
		}
	}
	r, err := c.WaitReceipt(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, hash, r.TxHash)
}

func TestWaitReceiptEndsWithItsContext(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	ctx, cancel := context.WithCancel(t.Context())
	n.onAsk = func(_ *fakeNode, asked int) {
		if asked == 2 {
			cancel()
		}
	}
	_, err := c.WaitReceipt(ctx, common.Hash{1})
	require.ErrorIs(t, err, context.Canceled)
}

func TestWaitReceiptTellsOfAnExclusion(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	n.onAsk = func(n *fakeNode, asked int) {
		if asked == 2 {
			n.excluded = &client.ExcludedError{Tx: common.Hash{1}, Height: 9, Reason: "nonce too low"}
		}
	}
	_, err := c.WaitReceipt(t.Context(), common.Hash{1})
	var excluded *client.ExcludedError
	require.ErrorAs(t, err, &excluded)
	require.ErrorContains(t, err, "left out of block 9: nonce too low")
}

func TestContract(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	n.onAsk = func(n *fakeNode, _ int) { n.mine(1) }
	address, _, err := c.DeployEvidence(t.Context(), account(t))
	require.NoError(t, err)
	require.Equal(t, common.Address{0xc0}, address)

	evidence := client.Contract{Address: address, ABI: apps.Evidence.ABI}
	_, err = c.Call(t.Context(), evidence, "stands", [32]byte{1})
	require.ErrorIs(t, err, client.ErrNoCode)
	n.result = common.LeftPadBytes([]byte{1}, 32)
	out, err := c.Call(t.Context(), evidence, "stands", [32]byte{1})
	require.NoError(t, err)
	require.Equal(t, []any{true}, out)

	content, err := os.ReadFile("fake_test.go")
	require.NoError(t, err)
	for i, of := range []struct {
		suite, hash string
		digest      [32]byte
	}{{"intl", "SHA-256", sha256.Sum256(content)}, {"gm", "SM3", sm3.Sum(content)}} {
		n.mu.Lock()
		n.suite = of.suite
		n.mu.Unlock()
		r, err := c.Notarise(t.Context(), account(t), address, "fake_test.go")
		require.NoError(t, err)
		require.Equal(t, n.sent[1+i].Hash(), r.TxHash)
		args, err := apps.Evidence.ABI.Methods["notarise"].Inputs.Unpack(n.sent[1+i].Data()[4:])
		require.NoError(t, err)
		require.Equal(t, []any{of.digest, "fake_test.go"}, args)
		digest, err := client.DigestFile(of.suite, "fake_test.go")
		require.NoError(t, err)
		require.EqualValues(t, of.digest, digest)
		require.Equal(t, of.hash, client.HashName(of.suite))
	}
	_, err = client.DigestFile("rot13", "fake_test.go")
	require.ErrorContains(t, err, "rot13")
	require.Empty(t, client.HashName("rot13"))

	n.onAsk = func(n *fakeNode, _ int) { n.mine(0) }
	nonce := uint64(6) // another transaction than the first
	_, err = c.Send(t.Context(), account(t), client.Tx{To: &address, Nonce: &nonce})
	require.NoError(t, err)
	_, err = c.Transact(t.Context(), account(t), evidence, "revoke", [32]byte{1}, "x")
	require.ErrorIs(t, err, client.ErrFailed)
}

func TestRevertIsNamed(t *testing.T) {
	n, http, _ := startFake(t)
	c := dial(t, http)
	evidence := client.Contract{Address: common.Address{1}, ABI: apps.Evidence.ABI}
	def := apps.Evidence.ABI.Errors["AlreadyNotarised"]
	data, err := def.Inputs.Pack([32]byte{1}, common.Address{2}, big.NewInt(3))
	require.NoError(t, err)
	n.revert = append(def.ID[:4:4], data...)
	_, err = c.Transact(t.Context(), account(t), evidence, "notarise", [32]byte{1}, "x")
	var revert *client.RevertError
	require.ErrorAs(t, err, &revert)
	require.Equal(t, "AlreadyNotarised", revert.Name)
	require.Equal(t, []any{[32]byte{1}, common.Address{2}, big.NewInt(3)}, revert.Args)
	require.ErrorContains(t, err, "execution reverted: AlreadyNotarised(0x01")
	require.Empty(t, n.sent)

	n.revert = hexutil.MustDecode("0x08c379a0" + "0000000000000000000000000000000000000000000000000000000000000020" +
		"0000000000000000000000000000000000000000000000000000000000000003" + "6e6f210000000000000000000000000000000000000000000000000000000000")
	_, err = c.Call(t.Context(), evidence, "stands", [32]byte{1})
	require.ErrorAs(t, err, &revert)
	require.Equal(t, "execution reverted: no!", revert.Error())
	require.Empty(t, revert.Name)
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	_, err := client.Dial(t.Context(), "http://127.0.0.1:1")
	require.ErrorIs(t, err, client.ErrUnreachable)
	_, err = client.Dial(t.Context(), "ws://127.0.0.1:1")
	require.ErrorIs(t, err, client.ErrUnreachable)
	for _, bad := range []string{"", "localhost:8545", "ftp://x", "http://"} {
		_, err = client.Dial(t.Context(), bad)
		require.Error(t, err, bad)
		require.NotErrorIs(t, err, client.ErrUnreachable, bad)
	}
	server := httptest.NewServer(rpc.NewServer())
	defer server.Close()
	_, err = client.Dial(t.Context(), server.URL)
	require.ErrorContains(t, err, "eth_chainId")
	require.NotErrorIs(t, err, client.ErrUnreachable)
}
