package eth

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"

	"github.com/jialing-chain/jialing/internal/chain"
)

// JSON is written by appending: blocks and receipts are most of what a node sends, and reflection costs ten times as much. The shapes are
// geth's.

var null = json.RawMessage("null")

func appendBytes(b, v []byte) []byte {
	b = append(b, '"', '0', 'x')
	b = hex.AppendEncode(b, v)
	return append(b, '"')
}

func appendUint(b []byte, v uint64) []byte {
	b = append(b, '"', '0', 'x')
	b = strconv.AppendUint(b, v, 16)
	return append(b, '"')
}

// appendBig writes a quantity; nil is null.
func appendBig(b []byte, v *big.Int) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	if v.IsUint64() {
		return appendUint(b, v.Uint64())
	}
	b = append(b, '"', '0', 'x')
	b = v.Append(b, 16)
	return append(b, '"')
}

func appendU256(b []byte, v *uint256.Int) []byte {
	if v.IsUint64() {
		return appendUint(b, v.Uint64())
	}
	return appendBig(b, v.ToBig())
}

func appendAddress(b []byte, v *common.Address) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return appendBytes(b, v[:])
}

// appendHeader writes a header's fields without braces. hash nil gives null for hash, nonce and miner, as geth shows a pending block.
func appendHeader(b []byte, h *chain.Header, hash *common.Hash) []byte {
	b = append(b, `"parentHash":`...)
	b = appendBytes(b, h.ParentHash[:])
	b = append(b, `,"sha3Uncles":`...)
	b = appendBytes(b, h.UncleHash[:])
	b = append(b, `,"stateRoot":`...)
	b = appendBytes(b, h.Root[:])
	b = append(b, `,"transactionsRoot":`...)
	b = appendBytes(b, h.TxHash[:])
	b = append(b, `,"receiptsRoot":`...)
	b = appendBytes(b, h.ReceiptHash[:])
	b = append(b, `,"logsBloom":`...)
	b = appendBytes(b, h.Bloom[:])
	b = append(b, `,"difficulty":`...)
	b = appendBig(b, h.Difficulty)
	b = append(b, `,"number":`...)
	b = appendBig(b, h.Number)
	b = append(b, `,"gasLimit":`...)
	b = appendUint(b, h.GasLimit)
	b = append(b, `,"gasUsed":`...)
	b = appendUint(b, h.GasUsed)
	b = append(b, `,"timestamp":`...)
	b = appendUint(b, h.Time)
	b = append(b, `,"extraData":`...)
	b = appendBytes(b, h.Extra)
	b = append(b, `,"mixHash":`...)
	b = appendBytes(b, h.MixDigest[:])
	if hash != nil {
		b = append(b, `,"hash":`...)
		b = appendBytes(b, hash[:])
		b = append(b, `,"nonce":`...)
		b = appendBytes(b, h.Nonce[:])
		b = append(b, `,"miner":`...)
		b = appendBytes(b, h.Coinbase[:])
	} else {
		b = append(b, `,"hash":null,"nonce":null,"miner":null`...)
	}
	return appendOptional(b, h)
}

func appendOptional(b []byte, h *chain.Header) []byte {
	if h.BaseFee != nil {
		b = append(b, `,"baseFeePerGas":`...)
		b = appendBig(b, h.BaseFee)
	}
	if h.WithdrawalsHash != nil {
		b = append(b, `,"withdrawalsRoot":`...)
		b = appendBytes(b, h.WithdrawalsHash[:])
	}
	if h.BlobGasUsed != nil {
		b = append(b, `,"blobGasUsed":`...)
		b = appendUint(b, *h.BlobGasUsed)
	}
	if h.ExcessBlobGas != nil {
		b = append(b, `,"excessBlobGas":`...)
		b = appendUint(b, *h.ExcessBlobGas)
	}
	if h.ParentBeaconRoot != nil {
		b = append(b, `,"parentBeaconBlockRoot":`...)
		b = appendBytes(b, h.ParentBeaconRoot[:])
	}
	if h.RequestsHash != nil {
		b = append(b, `,"requestsHash":`...)
		b = appendBytes(b, h.RequestsHash[:])
	}
	return b
}

func headerJSON(h *chain.Header, hash common.Hash) json.RawMessage {
	b := make([]byte, 0, 2048)
	b = append(b, '{')
	b = appendHeader(b, h, &hash)
	return append(b, '}')
}

// blockJSON writes a block with its transactions' hashes or, with full, the transactions.
func blockJSON(block *chain.Block, full bool) json.RawMessage {
	per := 70
	if full {
		per = 1100
	}
	b := make([]byte, 0, 2304+per*len(block.Txs))
	b = append(b, '{')
	b = appendHeader(b, block.Header, &block.Hash)
	b = append(b, `,"size":`...)
	b = appendUint(b, blockSize(block))
	b = append(b, `,"transactions":[`...)
	for i, tx := range block.Txs {
		if i > 0 {
			b = append(b, ',')
		}
		if full {
			b = appendTx(b, tx, &txPosition{hash: block.Hash, header: block.Header, index: uint32(i)})
		} else {
			hash := tx.Hash()
			b = appendBytes(b, hash[:])
		}
	}
	return append(b, `],"uncles":[],"withdrawals":[]}`...)
}

// pendingJSON is the block that would follow head if nothing waited: what a client reads of "pending" is its number and its base fee.
func pendingJSON(head *chain.Header, headHash common.Hash, baseFee *big.Int) json.RawMessage {
	h := types.CopyHeader(head)
	h.ParentHash, h.Number = headHash, new(big.Int).Add(head.Number, common.Big1)
	h.TxHash, h.ReceiptHash, h.Bloom, h.GasUsed, h.BaseFee, h.Extra = types.EmptyTxsHash, types.EmptyReceiptsHash, types.Bloom{}, 0, baseFee, nil
	b := make([]byte, 0, 2304)
	b = append(b, '{')
	b = appendHeader(b, h, nil)
	b = append(b, `,"size":`...)
	b = appendUint(b, blockSize(&chain.Block{Header: h}))
	return append(b, `,"transactions":[],"uncles":[],"withdrawals":[]}`...)
}

// blockSize is the length of the block's RLP.
func blockSize(block *chain.Block) uint64 {
	header, txs := headerRLP(block.Header), uint64(0)
	for _, tx := range block.Txs {
		txs += txSize(tx)
	}
	// Uncles and withdrawals are empty lists of one byte each.
	return rlp.ListSize(uint64(len(header)) + rlp.ListSize(txs) + 2)
}

// txSize is what a transaction takes in a block's RLP: typed ones are wrapped in a string.
func txSize(tx *chain.Tx) uint64 {
	if tx.Type() == types.LegacyTxType {
		return uint64(len(tx.Raw()))
	}
	return rlp.BytesSize(tx.Raw())
}

func headerRLP(h *chain.Header) []byte {
	b, err := rlp.EncodeToBytes(h)
	if err != nil {
		panic("eth: encode header: " + err.Error()) // all fields are encodable types
	}
	return b
}

// txPosition is where a mined transaction stands.
type txPosition struct {
	hash   common.Hash
	header *chain.Header
	index  uint32
}

// appendTx writes a transaction; at is nil for one of the pool. The sender must be known.
func appendTx(b []byte, tx *chain.Tx, at *txPosition) []byte {
	gasPrice := tx.FeeCap()
	if at != nil {
		b = append(b, `{"blockHash":`...)
		b = appendBytes(b, at.hash[:])
		b = append(b, `,"blockNumber":`...)
		b = appendBig(b, at.header.Number)
		b = append(b, `,"blockTimestamp":`...)
		b = appendUint(b, at.header.Time)
		b = append(b, `,"transactionIndex":`...)
		b = appendUint(b, uint64(at.index))
		gasPrice = uint256.MustFromBig(chain.EffectiveGasPrice(tx, at.header.BaseFee))
	} else {
		b = append(b, `{"blockHash":null,"blockNumber":null,"blockTimestamp":null,"transactionIndex":null`...)
	}
	from, hash, kind := tx.Sender(), tx.Hash(), tx.Type()
	b = append(b, `,"from":`...)
	b = appendBytes(b, from[:])
	b = append(b, `,"gas":`...)
	b = appendUint(b, tx.Gas())
	b = append(b, `,"gasPrice":`...)
	b = appendU256(b, gasPrice)
	if kind != types.LegacyTxType && kind != types.AccessListTxType {
		b = append(b, `,"maxFeePerGas":`...)
		b = appendU256(b, tx.FeeCap())
		b = append(b, `,"maxPriorityFeePerGas":`...)
		b = appendU256(b, tx.TipCap())
	}
	b = append(b, `,"hash":`...)
	b = appendBytes(b, hash[:])
	b = append(b, `,"input":`...)
	b = appendBytes(b, tx.Data())
	b = append(b, `,"nonce":`...)
	b = appendUint(b, tx.Nonce())
	b = append(b, `,"to":`...)
	b = appendAddress(b, tx.To())
	b = append(b, `,"value":`...)
	b = appendU256(b, tx.Value())
	b = append(b, `,"type":`...)
	b = appendUint(b, uint64(kind))
	return appendTxTail(b, tx)
}

// appendTxTail writes access list, authorizations, chain id and signature. An SM2 signature has no parity: v and yParity are then 0, because clients
// that do not know its type read it as they read type 2.
func appendTxTail(b []byte, tx *chain.Tx) []byte {
	v, r, s := tx.Signature()
	kind := tx.Type()
	if kind != types.LegacyTxType {
		b = append(b, `,"accessList":`...)
		b = appendAccessList(b, tx.AccessList())
	}
	if kind == types.SetCodeTxType {
		b = append(b, `,"authorizationList":`...)
		b = appendMarshalled(b, tx.Authorizations())
	}
	b = append(b, `,"chainId":`...)
	b = appendBig(b, tx.ChainID())
	b = append(b, `,"v":`...)
	b = appendBig(b, v)
	b = append(b, `,"r":`...)
	b = appendBig(b, r)
	b = append(b, `,"s":`...)
	b = appendBig(b, s)
	if kind != types.LegacyTxType {
		b = append(b, `,"yParity":`...)
		b = appendUint(b, uint64(v.Sign()))
	}
	if key := tx.PublicKey(); key != nil {
		b = append(b, `,"publicKey":`...)
		b = appendBytes(b, key)
	}
	return append(b, '}')
}

func appendAccessList(b []byte, list types.AccessList) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"address":`...)
		b = appendBytes(b, list[i].Address[:])
		b = append(b, `,"storageKeys":`...)
		b = appendHashes(b, list[i].StorageKeys)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendHashes(b []byte, hashes []common.Hash) []byte {
	b = append(b, '[')
	for i := range hashes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendBytes(b, hashes[i][:])
	}
	return append(b, ']')
}

// appendMarshalled writes what is too rare for code of its own.
func appendMarshalled(b []byte, v any) []byte {
	enc, err := json.Marshal(v)
	if err != nil {
		panic("eth: encode: " + err.Error()) // callers pass encodable types
	}
	return append(b, enc...)
}

// appendReceipt writes a receipt with its derived fields.
func appendReceipt(b []byte, r *chain.Receipt, tx *chain.Tx) []byte {
	from := tx.Sender()
	b = append(b, `{"blockHash":`...)
	b = appendBytes(b, r.BlockHash[:])
	b = append(b, `,"blockNumber":`...)
	b = appendBig(b, r.BlockNumber)
	b = append(b, `,"transactionHash":`...)
	b = appendBytes(b, r.TxHash[:])
	b = append(b, `,"transactionIndex":`...)
	b = appendUint(b, uint64(r.TransactionIndex))
	b = append(b, `,"from":`...)
	b = appendBytes(b, from[:])
	b = append(b, `,"to":`...)
	b = appendAddress(b, tx.To())
	b = append(b, `,"gasUsed":`...)
	b = appendUint(b, r.GasUsed)
	b = append(b, `,"cumulativeGasUsed":`...)
	b = appendUint(b, r.CumulativeGasUsed)
	b = append(b, `,"contractAddress":`...)
	if r.ContractAddress != (common.Address{}) {
		b = appendBytes(b, r.ContractAddress[:])
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"logs":`...)
	b = appendLogs(b, r.Logs)
	b = append(b, `,"logsBloom":`...)
	b = appendBytes(b, r.Bloom[:])
	b = append(b, `,"type":`...)
	b = appendUint(b, uint64(r.Type))
	b = append(b, `,"effectiveGasPrice":`...)
	b = appendBig(b, r.EffectiveGasPrice)
	b = append(b, `,"status":`...)
	b = appendUint(b, r.Status)
	return append(b, '}')
}

func appendLogs(b []byte, logs []*types.Log) []byte {
	b = append(b, '[')
	for i, l := range logs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLog(b, l)
	}
	return append(b, ']')
}

func appendLog(b []byte, l *types.Log) []byte {
	b = append(b, `{"address":`...)
	b = appendBytes(b, l.Address[:])
	b = append(b, `,"topics":`...)
	b = appendHashes(b, l.Topics)
	b = append(b, `,"data":`...)
	b = appendBytes(b, l.Data)
	b = append(b, `,"blockNumber":`...)
	b = appendUint(b, l.BlockNumber)
	b = append(b, `,"transactionHash":`...)
	b = appendBytes(b, l.TxHash[:])
	b = append(b, `,"transactionIndex":`...)
	b = appendUint(b, uint64(l.TxIndex))
	b = append(b, `,"blockHash":`...)
	b = appendBytes(b, l.BlockHash[:])
	b = append(b, `,"blockTimestamp":`...)
	b = appendUint(b, l.BlockTimestamp)
	b = append(b, `,"logIndex":`...)
	b = appendUint(b, uint64(l.Index))
	return append(b, `,"removed":false}`...)
}
