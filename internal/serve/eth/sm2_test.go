package eth

import (
	"context"
	"crypto/rand"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"slices"
	"testing"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

var sm2Fields = append(slices.Clone(dynamicFields), "publicKey")

// sm2Tx signs a transaction of type 0x50 by gmsm over geth's RLP of its fields.
func (f *fake) sm2Tx(key *gmsm.PrivateKey, nonce uint64, to *common.Address, data []byte) *chain.Tx {
	recipient := []byte{}
	if to != nil {
		recipient = to[:]
	}
	list := types.AccessList{{Address: testToken, StorageKeys: []common.Hash{topicA}}}
	fields := []any{uint64(testChainID), nonce, uint64(2), uint64(100), uint64(60000), recipient, new(big.Int).Lsh(common.Big1, 70), data, list}
	message, err := rlp.EncodeToBytes(fields)
	require.NoError(f.t, err)
	der, err := key.SignWithSM2(rand.Reader, []byte("1234567812345678"), append([]byte{0x50}, message...))
	require.NoError(f.t, err)
	var sig struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(der, &sig)
	require.NoError(f.t, err)
	raw, err := rlp.EncodeToBytes(append(fields, append(key.X.FillBytes(make([]byte, 32)), key.Y.FillBytes(make([]byte, 32))...), sig.R, sig.S))
	require.NoError(f.t, err)
	tx, err := chain.DecodeTx(append([]byte{0x50}, raw...))
	require.NoError(f.t, err)
	require.NoError(f.t, chain.NewVerifier(f.genesis).Verify(tx))
	return tx
}

// newMixedFake has a chain that takes both kinds; its first block has both, its second SM2 alone.
func newMixedFake(t *testing.T) *fake {
	f := newFake(t)
	f.genesis.Transactions = []chain.TxKind{chain.Secp256k1, chain.SM2}
	key, err := gmsm.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f.seal(append(f.kinds(), f.sm2Tx(key, 0, &testToken, []byte{1, 2, 3}), f.sm2Tx(key, 1, nil, []byte{0x60, 0})))
	f.seal(chain.Txs{f.sm2Tx(key, 2, &testToken, nil)})
	return f
}

// rpcTx is a transaction of type 0x50 as a client reads it, and all that this client knows.
type rpcTx struct {
	ChainID              *hexutil.Big
	Nonce, Gas           hexutil.Uint64
	MaxPriorityFeePerGas *hexutil.Big
	MaxFeePerGas         *hexutil.Big
	To                   *common.Address
	From                 common.Address
	Value                *hexutil.Big
	Input, PublicKey     hexutil.Bytes
	AccessList           types.AccessList
	R, S                 *hexutil.Big
	V, YParity, Type     string
	Hash                 common.Hash
}

// raw is the transaction put together again from its JSON.
func (r *rpcTx) raw(t *testing.T) []byte {
	recipient := []byte{}
	if r.To != nil {
		recipient = r.To[:]
	}
	b, err := rlp.EncodeToBytes([]any{r.ChainID.ToInt(), uint64(r.Nonce), r.MaxPriorityFeePerGas.ToInt(), r.MaxFeePerGas.ToInt(), uint64(r.Gas), recipient,
		r.Value.ToInt(), []byte(r.Input), r.AccessList, []byte(r.PublicKey), r.R.ToInt(), r.S.ToInt()})
	require.NoError(t, err)
	return append([]byte{0x50}, b...)
}

// TestMixedBlocksFromTheirJSON recomputes hashes, senders and roots of blocks with both kinds from nothing but what the methods answer.
func TestMixedBlocksFromTheirJSON(t *testing.T) {
	f := newMixedFake(t)
	n := newNode(t, f, nil)
	c := n.client(t, n.url)
	for height, sm2 := range map[uint64]int{1: 2, 2: 1} {
		var header types.Header
		var body struct {
			Hash         common.Hash
			Transactions []json.RawMessage
		}
		var block, receiptsJSON json.RawMessage
		require.NoError(t, c.Call(&block, "eth_getBlockByNumber", hexutil.Uint64(height), true))
		require.NoError(t, json.Unmarshal(block, &header))
		require.NoError(t, json.Unmarshal(block, &body))
		require.Equal(t, body.Hash, header.Hash())
		require.NoError(t, c.Call(&receiptsJSON, "eth_getBlockReceipts", hexutil.Uint64(height)))
		var receipts []*types.Receipt
		require.NoError(t, json.Unmarshal(receiptsJSON, &receipts))
		require.Len(t, receipts, len(body.Transactions))

		txs, answers := trie.NewStackTrie(nil), trie.NewStackTrie(nil)
		order := make([]int, len(receipts)) // a stack trie takes ascending keys, and 0 is encoded as 0x80
		for i := range order {
			order[i] = (i + 1) % len(order)
		}
		seen := 0
		for _, i := range order {
			raw := rawOf(t, body.Transactions[i])
			if raw[0] == 0x50 {
				seen++
				requireFields(t, sm2Fields, fields(t, body.Transactions[i]))
			}
			require.Equal(t, raw[0] == 0x50, receipts[i].Type == 0x50)
			require.Equal(t, gethcrypto.Keccak256Hash(raw), receipts[i].TxHash)
			encoded, err := receipts[i].MarshalBinary()
			require.NoError(t, err)
			key := rlp.AppendUint64(nil, uint64(i))
			require.NoError(t, txs.Update(key, raw))
			require.NoError(t, answers.Update(key, encoded))
			requireReread(t, n, body.Transactions[i], raw)
		}
		require.Equal(t, sm2, seen)
		require.Equal(t, header.TxHash, txs.Hash())
		require.Equal(t, header.ReceiptHash, answers.Hash())
		var rawBlock hexutil.Bytes
		require.NoError(t, c.Call(&rawBlock, "debug_getRawBlock", hexutil.Uint64(height)))
		var whole struct {
			Header      types.Header
			Txs         []rlp.RawValue
			Uncles      []types.Header
			Withdrawals []types.Withdrawal
		}
		require.NoError(t, rlp.DecodeBytes(rawBlock, &whole))
		require.Len(t, whole.Txs, len(receipts))
	}
}

// rawOf rebuilds a transaction's canonical bytes and checks hash and sender on the way.
func rawOf(t *testing.T, b json.RawMessage) []byte {
	var own rpcTx
	require.NoError(t, json.Unmarshal(b, &own))
	if own.Type != "0x50" {
		var tx types.Transaction
		require.NoError(t, json.Unmarshal(b, &tx))
		raw, err := tx.MarshalBinary()
		require.NoError(t, err)
		return raw
	}
	require.Equal(t, "0x0", own.V)
	require.Equal(t, "0x0", own.YParity)
	raw := own.raw(t)
	require.Equal(t, own.Hash, gethcrypto.Keccak256Hash(raw))
	hash := sm3.Sum(own.PublicKey)
	require.Equal(t, own.From, common.BytesToAddress(hash[12:]))
	return raw
}

// requireReread asks for the transaction of b by hash, by place and raw.
func requireReread(t *testing.T, n *node, b json.RawMessage, raw []byte) {
	var at struct {
		Hash, BlockHash  common.Hash
		TransactionIndex string
	}
	require.NoError(t, json.Unmarshal(b, &at))
	c := n.client(t, n.url)
	for method, args := range map[string][]any{"eth_getTransactionByHash": {at.Hash}, "eth_getTransactionByBlockHashAndIndex": {at.BlockHash, at.TransactionIndex}} {
		var again json.RawMessage
		require.NoError(t, c.Call(&again, method, args...))
		require.JSONEq(t, string(b), string(again), method)
	}
	for method, args := range map[string][]any{"eth_getRawTransactionByHash": {at.Hash}, "eth_getRawTransactionByBlockHashAndIndex": {at.BlockHash, at.TransactionIndex},
		"debug_getRawTransaction": {at.Hash}} {
		var got hexutil.Bytes
		require.NoError(t, c.Call(&got, method, args...))
		require.Equal(t, raw, []byte(got), method)
	}
}

// TestEthclientAndSM2 holds what docs/rpc.md says of go-ethereum's client: it reads headers and receipts and refuses the transactions themselves.
func TestEthclientAndSM2(t *testing.T) {
	f := newMixedFake(t)
	n := newNode(t, f, nil)
	c, err := ethclient.Dial(n.url)
	require.NoError(t, err)
	defer c.Close()
	ctx := context.Background()
	want := f.at(2)
	h, err := c.HeaderByNumber(ctx, big.NewInt(2))
	require.NoError(t, err)
	require.Equal(t, want.Hash, h.Hash())
	r, err := c.TransactionReceipt(ctx, want.Txs[0].Hash())
	require.NoError(t, err)
	require.Equal(t, want.receipts[0], r)
	_, err = c.BlockByNumber(ctx, big.NewInt(2))
	require.ErrorIs(t, err, types.ErrTxTypeNotSupported)
	_, _, err = c.TransactionByHash(ctx, want.Txs[0].Hash())
	require.ErrorIs(t, err, types.ErrTxTypeNotSupported)
}

// TestSM2IsSentAndRefused sends a transaction of type 0x50 to nodes of a chain that takes it and of one that does not.
func TestSM2IsSentAndRefused(t *testing.T) {
	f := newMixedFake(t)
	n := newNode(t, f, nil)
	c := n.client(t, n.url)
	key, err := gmsm.GenerateKey(rand.Reader)
	require.NoError(t, err)
	tx := f.sm2Tx(key, 0, &testToken, []byte{9})
	var hash common.Hash
	require.NoError(t, c.Call(&hash, "eth_sendRawTransaction", hexutil.Bytes(tx.Raw())))
	require.Equal(t, tx.Hash(), hash)
	var pooled json.RawMessage
	require.NoError(t, c.Call(&pooled, "eth_getTransactionByHash", hash))
	requireFields(t, sm2Fields, fields(t, pooled))
	require.Equal(t, tx.Raw(), rawOf(t, pooled))

	f = newFake(t)
	n = newNode(t, f, nil)
	err = n.client(t, n.url).Call(&hash, "eth_sendRawTransaction", hexutil.Bytes(tx.Raw()))
	require.ErrorContains(t, err, `the sender signed with sm2, the genesis lists ["secp256k1"]: send it from an account of a kind that is listed`)
}
