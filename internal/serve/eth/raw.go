package eth

import (
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

// rawService has debug_getRaw*: the bytes that hashes and roots are made of.
type rawService struct{ a *API }

// GetRawHeader is debug_getRawHeader: RLP whose Keccak-256 is the block hash.
func (s *rawService) GetRawHeader(at rpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	height, err := s.existing(&at)
	if err != nil {
		return nil, err
	}
	h, _, err := s.a.header(height)
	if err != nil {
		return nil, err
	}
	return headerRLP(h), nil
}

// GetRawBlock is debug_getRawBlock.
func (s *rawService) GetRawBlock(at rpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	height, err := s.existing(&at)
	if err != nil {
		return nil, err
	}
	b, err := s.a.block(height)
	if err != nil {
		return nil, err
	}
	return blockRLP(b)
}

// GetRawTransaction is debug_getRawTransaction; null when unknown.
func (s *rawService) GetRawTransaction(hash common.Hash) (json.RawMessage, error) {
	return s.a.rawTx(hash)
}

// GetRawReceipts is debug_getRawReceipts: what receiptsRoot is made of.
func (s *rawService) GetRawReceipts(at rpc.BlockNumberOrHash) ([]hexutil.Bytes, error) {
	height, err := s.existing(&at)
	if err != nil {
		return nil, err
	}
	receipts, err := s.a.receipts(height)
	if err != nil {
		return nil, err
	}
	out := make([]hexutil.Bytes, len(receipts))
	for i, r := range receipts {
		if out[i], err = r.MarshalBinary(); err != nil {
			return nil, fmt.Errorf("encode receipt %d of block %d: %w", i, height, err)
		}
	}
	return out, nil
}

func (s *rawService) existing(at *rpc.BlockNumberOrHash) (uint64, error) {
	height, ok, err := s.a.heightOf(at)
	if err == nil && !ok {
		err = errNoBlock
	}
	return height, err
}

// blockRLP is Ethereum's block: header, transactions, no uncles, no withdrawals.
func blockRLP(b *chain.Block) ([]byte, error) {
	w := rlp.NewEncoderBuffer(nil)
	block := w.List()
	w.Write(headerRLP(b.Header))
	txs := w.List()
	for _, tx := range b.Txs {
		if tx.Type() == types.LegacyTxType {
			w.Write(tx.Raw())
		} else {
			w.WriteBytes(tx.Raw())
		}
	}
	w.ListEnd(txs)
	w.ListEnd(w.List())
	w.ListEnd(w.List())
	w.ListEnd(block)
	return w.ToBytes(), w.Flush()
}
