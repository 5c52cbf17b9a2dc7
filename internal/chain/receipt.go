package chain

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

// maxTopics is what the EVM's LOG4 can write.
const maxTopics = 4

type storedReceipt struct {
	Status  uint64
	GasUsed uint64
	Logs    []storedLog
}

type storedLog struct {
	Address common.Address
	Topics  []common.Hash
	Data    []byte
}

// EncodeReceipt is a receipt's form in storage: what cannot be derived from the block.
func EncodeReceipt(r *Receipt) []byte {
	s := storedReceipt{Status: r.Status, GasUsed: r.GasUsed, Logs: make([]storedLog, len(r.Logs))}
	for i, l := range r.Logs {
		s.Logs[i] = storedLog{l.Address, l.Topics, l.Data}
	}
	b, err := rlp.EncodeToBytes(&s)
	if err != nil {
		panic("chain: encode receipt: " + err.Error()) // all fields are encodable types
	}
	return b
}

// DecodeReceipt reverses EncodeReceipt. Only Status, GasUsed and the logs' address, topics and data are set; DeriveReceipt fills the rest.
func DecodeReceipt(b []byte) (*Receipt, error) {
	var s storedReceipt
	if err := rlp.DecodeBytes(b, &s); err != nil {
		return nil, fmt.Errorf("decode receipt: %w", err)
	}
	if s.Status > types.ReceiptStatusSuccessful {
		return nil, fmt.Errorf("decode receipt: status %d is neither 0 (failed) nor 1", s.Status)
	}
	r := &Receipt{Status: s.Status, GasUsed: s.GasUsed, Logs: make([]*types.Log, len(s.Logs))}
	for i, l := range s.Logs {
		if len(l.Topics) > maxTopics {
			return nil, fmt.Errorf("decode receipt: log %d has %d topics, at most %d", i, len(l.Topics), maxTopics)
		}
		r.Logs[i] = &types.Log{Address: l.Address, Topics: l.Topics, Data: l.Data}
	}
	return r, nil
}

// ReceiptPosition is where a transaction stands in its block.
type ReceiptPosition struct {
	Index uint32
	// GasBefore is the gas that the block's earlier transactions used.
	GasBefore uint64
	// LogsBefore is the number of logs that they wrote.
	LogsBefore uint32
}

// DeriveReceipt fills every field of r that follows from its transaction, its header and its position. tx must be verified.
func DeriveReceipt(r *Receipt, tx *Tx, header *Header, blockHash common.Hash, at ReceiptPosition) {
	r.Type = tx.Type()
	r.TxHash = tx.Hash()
	r.BlockHash = blockHash
	r.BlockNumber = header.Number
	r.TransactionIndex = uint(at.Index)
	r.CumulativeGasUsed = at.GasBefore + r.GasUsed
	r.EffectiveGasPrice = EffectiveGasPrice(tx, header.BaseFee)
	r.ContractAddress = common.Address{}
	if tx.To() == nil {
		r.ContractAddress = gethcrypto.CreateAddress(tx.Sender(), tx.Nonce())
	}
	for i, l := range r.Logs {
		l.BlockNumber = header.Number.Uint64()
		l.BlockHash = blockHash
		l.BlockTimestamp = header.Time
		l.TxHash = r.TxHash
		l.TxIndex = r.TransactionIndex
		l.Index = uint(at.LogsBefore) + uint(i)
	}
	r.Bloom = types.CreateBloom(r)
}

// EffectiveGasPrice is what tx pays per gas in wei in a block with that base fee (EIP-1559): nothing where it is zero.
func EffectiveGasPrice(tx *Tx, baseFee *big.Int) *big.Int {
	base := new(uint256.Int)
	if baseFee != nil {
		base = uint256.MustFromBig(baseFee)
	}
	tip, ok := tx.EffectiveTip(base)
	if !ok {
		return tx.FeeCap().ToBig()
	}
	return tip.Add(tip, base).ToBig()
}
