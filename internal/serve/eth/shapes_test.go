package eth

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// The fields that geth's ethapi gives, by type of transaction.
var (
	headerFields = []string{"number", "hash", "parentHash", "nonce", "mixHash", "sha3Uncles", "logsBloom", "stateRoot", "miner", "difficulty", "extraData", "gasLimit",
		"gasUsed", "timestamp", "transactionsRoot", "receiptsRoot", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash"}
	blockFields   = append(slices.Clone(headerFields), "size", "transactions", "uncles", "withdrawals")
	legacyFields  = []string{"blockHash", "blockNumber", "blockTimestamp", "from", "gas", "gasPrice", "hash", "input", "nonce", "to", "transactionIndex", "value", "type", "chainId", "v", "r", "s"}
	listFields    = append(slices.Clone(legacyFields), "accessList", "yParity")
	dynamicFields = append(slices.Clone(listFields), "maxFeePerGas", "maxPriorityFeePerGas")
	setCodeFields = append(slices.Clone(dynamicFields), "authorizationList")
	receiptFields = []string{"blockHash", "blockNumber", "transactionHash", "transactionIndex", "from", "to", "gasUsed", "cumulativeGasUsed", "contractAddress", "logs",
		"logsBloom", "type", "effectiveGasPrice", "status"}
	txFields = map[uint8][]string{types.LegacyTxType: legacyFields, types.AccessListTxType: listFields, types.DynamicFeeTxType: dynamicFields, types.SetCodeTxType: setCodeFields}
)

func fields(t *testing.T, b json.RawMessage) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &out), string(b))
	return out
}

func requireFields(t *testing.T, want []string, got map[string]json.RawMessage) {
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(got)))
}

// requireAgrees checks the values of what v's own MarshalJSON gives too, but for the fields named.
func requireAgrees(t *testing.T, v any, got map[string]json.RawMessage, but ...string) {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	n := 0
	for key, want := range fields(t, b) {
		if have, ok := got[key]; ok && !slices.Contains(but, key) {
			require.JSONEq(t, string(want), string(have), key)
			n++
		}
	}
	require.Greater(t, n, 5)
}

func TestShapesAreGeths(t *testing.T) {
	f := newFake(t)
	e := f.seal(f.kinds())
	header := e.Block.Header

	got := fields(t, headerJSON(header, e.Block.Hash))
	requireFields(t, headerFields, got)
	requireAgrees(t, header, got)
	b := fields(t, blockJSON(e.Block, true))
	requireFields(t, blockFields, b)
	requireAgrees(t, header, b)
	var txs []json.RawMessage
	require.NoError(t, json.Unmarshal(b["transactions"], &txs))
	require.Len(t, txs, len(e.Block.Txs))

	var geth []*types.Transaction
	for i, tx := range e.Block.Txs {
		var inner types.Transaction
		require.NoError(t, inner.UnmarshalBinary(tx.Raw()))
		geth = append(geth, &inner)
		got := fields(t, txs[i])
		requireFields(t, txFields[tx.Type()], got)
		requireAgrees(t, &inner, got, "gasPrice")
		require.JSONEq(t, `"`+"0x"+e.Receipts[i].EffectiveGasPrice.Text(16)+`"`, string(got["gasPrice"]), "a mined transaction's price is what it paid")
		pending := fields(t, appendTx(nil, tx, nil))
		requireFields(t, txFields[tx.Type()], pending)
		requireAgrees(t, &inner, pending, "gasPrice")
		require.JSONEq(t, `"`+"0x"+tx.FeeCap().Hex()[2:]+`"`, string(pending["gasPrice"]), "a pooled one's is what it offers")
		for _, key := range []string{"blockHash", "blockNumber", "blockTimestamp", "transactionIndex"} {
			require.Equal(t, "null", string(pending[key]))
		}

		r := fields(t, appendReceipt(nil, e.Receipts[i], tx))
		requireFields(t, receiptFields, r)
		requireAgrees(t, e.Receipts[i], r, "contractAddress")
		if tx.To() == nil {
			requireAgrees(t, e.Receipts[i], r)
			require.Equal(t, "null", string(r["to"]))
		} else {
			require.Equal(t, "null", string(r["contractAddress"]))
		}
	}
	whole := types.NewBlock(header, &types.Body{Transactions: geth, Withdrawals: types.Withdrawals{}}, e.Receipts, trie.NewStackTrie(nil))
	require.Equal(t, e.Block.Hash, whole.Hash(), "geth makes the same block of it")
	require.EqualValues(t, whole.Size(), blockSize(e.Block))
	raw, err := rlp.EncodeToBytes(whole)
	require.NoError(t, err)
	ours, err := blockRLP(e.Block)
	require.NoError(t, err)
	require.Equal(t, raw, ours)
}

func TestPendingBlockShape(t *testing.T) {
	f := newFake(t)
	e := f.seal(f.kinds())
	got := fields(t, pendingJSON(e.Block.Header, e.Block.Hash, big.NewInt(9)))
	requireFields(t, blockFields, got)
	require.JSONEq(t, `"0x2"`, string(got["number"]))
	require.JSONEq(t, `"0x9"`, string(got["baseFeePerGas"]))
	require.JSONEq(t, `"`+e.Block.Hash.Hex()+`"`, string(got["parentHash"]))
	for _, key := range []string{"hash", "nonce", "miner"} {
		require.Equal(t, "null", string(got[key]))
	}
	require.EqualValues(t, 7, e.Block.Header.BaseFee.Int64(), "the head is as it was")
	require.NotEmpty(t, e.Block.Header.Extra)
}

// A quantity has no leading zeros and zero is 0x0, whatever its size.
func TestQuantities(t *testing.T) {
	for want, v := range map[string]*big.Int{`"0x0"`: new(big.Int), `"0x1"`: big.NewInt(1), `"0xffffffffffffffff"`: new(big.Int).SetUint64(1<<64 - 1),
		`"0x10000000000000000"`: new(big.Int).Lsh(common.Big1, 64), `"0x8` + string(bytesOf(63, '0')) + `"`: new(big.Int).Lsh(common.Big1, 255), `null`: nil} {
		require.Equal(t, want, string(appendBig(nil, v)))
	}
}

func TestSimulatedShape(t *testing.T) {
	f := newFake(t)
	f.seal(f.kinds())
	blocks, err := f.Simulate(t.Context(), &chain.CallContext{Header: f.Head()}, []chain.SimulatedBlock{{Calls: []chain.Call{{To: &testToken}, {To: &testToken, Data: []byte{doRevertReason}}, {To: &testToken, Data: []byte{doOutOfGas}}}}}, chain.SimulationOptions{}, 0)
	require.NoError(t, err)
	for _, full := range []bool{false, true} {
		out, err := appendSimulated(nil, &blocks[0], full)
		require.NoError(t, err)
		got := fields(t, out)
		requireFields(t, append(slices.Clone(blockFields), "calls"), got)
		var calls, txs []json.RawMessage
		require.NoError(t, json.Unmarshal(got["calls"], &calls))
		require.NoError(t, json.Unmarshal(got["transactions"], &txs))
		require.Len(t, calls, 3)
		requireFields(t, []string{"returnData", "logs", "gasUsed", "maxUsedGas", "status"}, fields(t, calls[0]))
		requireFields(t, []string{"returnData", "logs", "gasUsed", "maxUsedGas", "status", "error"}, fields(t, calls[1]))
		require.JSONEq(t, `{"code":3,"message":"execution reverted: not enough","data":"`+"0x"+common.Bytes2Hex(revertData("not enough"))+`"}`, string(fields(t, calls[1])["error"]))
		require.JSONEq(t, `{"code":-32015,"message":"out of gas"}`, string(fields(t, calls[2])["error"]))
		if full {
			requireFields(t, dynamicFields, fields(t, txs[0]))
		}
	}
}
