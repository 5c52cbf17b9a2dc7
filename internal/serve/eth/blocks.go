package eth

import (
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

// chainService has the methods about the chain and the node as a whole.
type chainService struct{ a *API }

// ChainId is eth_chainId (EIP-695).
func (s *chainService) ChainId() hexutil.Uint64 { return hexutil.Uint64(s.a.genesis.ChainID) }

// BlockNumber is eth_blockNumber: the last executed and durable height.
func (s *chainService) BlockNumber() hexutil.Uint64 {
	return hexutil.Uint64(s.a.ledger.Head().Number.Uint64())
}

// Syncing is eth_syncing: false, as a node answers for what it has.
func (s *chainService) Syncing() bool { return false }

// Accounts is eth_accounts: nodes hold no accounts' keys.
func (s *chainService) Accounts() []common.Address { return []common.Address{} }

// Coinbase is eth_coinbase: the account of this validator or miner.
func (s *chainService) Coinbase() common.Address { return s.a.node.Status().Coinbase }

// blockService has the methods about blocks. A block that does not exist is null.
type blockService struct{ a *API }

// GetBlockByNumber is eth_getBlockByNumber.
func (s *blockService) GetBlockByNumber(n rpc.BlockNumber, full *bool) (json.RawMessage, error) {
	if n == rpc.PendingBlockNumber {
		head := s.a.ledger.Head()
		return pendingJSON(head, head.Hash(), s.a.calls.NextBaseFee(head)), nil
	}
	height, ok := s.a.height(n)
	if !ok {
		return null, nil
	}
	return s.blockAt(height, full)
}

// GetBlockByHash is eth_getBlockByHash.
func (s *blockService) GetBlockByHash(hash common.Hash, full *bool) (json.RawMessage, error) {
	height, ok, err := s.a.heightByHash(hash)
	if err != nil || !ok {
		return null, err
	}
	return s.blockAt(height, full)
}

func (s *blockService) blockAt(height uint64, full *bool) (json.RawMessage, error) {
	b, err := s.a.block(height)
	if err != nil {
		return nil, err
	}
	return blockJSON(b, full != nil && *full), nil
}

// GetHeaderByNumber is eth_getHeaderByNumber.
func (s *blockService) GetHeaderByNumber(n rpc.BlockNumber) (json.RawMessage, error) {
	height, ok := s.a.height(n)
	if !ok || n == rpc.PendingBlockNumber {
		return null, nil
	}
	h, hash, err := s.a.header(height)
	if err != nil {
		return nil, err
	}
	return headerJSON(h, hash), nil
}

// GetHeaderByHash is eth_getHeaderByHash.
func (s *blockService) GetHeaderByHash(hash common.Hash) (json.RawMessage, error) {
	height, ok, err := s.a.heightByHash(hash)
	if err != nil || !ok {
		return null, err
	}
	h, _, err := s.a.header(height)
	if err != nil {
		return nil, err
	}
	return headerJSON(h, hash), nil
}

// GetBlockReceipts is eth_getBlockReceipts.
func (s *blockService) GetBlockReceipts(at rpc.BlockNumberOrHash) (json.RawMessage, error) {
	height, ok, err := s.a.heightOf(&at)
	if err != nil || !ok {
		return null, err
	}
	b, err := s.a.block(height)
	if err != nil {
		return nil, err
	}
	receipts, err := s.a.receipts(height)
	if err != nil {
		return nil, err
	}
	return receiptsJSON(b, receipts)
}

func receiptsJSON(b *chain.Block, receipts []*chain.Receipt) (json.RawMessage, error) {
	if len(receipts) != len(b.Txs) {
		return nil, fmt.Errorf("block %d has %d transactions and %d receipts", b.Height(), len(b.Txs), len(receipts))
	}
	out := append(make([]byte, 0, 16+1400*len(receipts)), '[')
	for i, r := range receipts {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendReceipt(out, r, b.Txs[i])
	}
	return append(out, ']'), nil
}

// GetBlockTransactionCountByNumber is eth_getBlockTransactionCountByNumber.
func (s *blockService) GetBlockTransactionCountByNumber(n rpc.BlockNumber) (*hexutil.Uint64, error) {
	if n == rpc.PendingBlockNumber {
		return new(hexutil.Uint64), nil
	}
	height, ok := s.a.height(n)
	return s.count(height, ok, nil)
}

// GetBlockTransactionCountByHash is eth_getBlockTransactionCountByHash.
func (s *blockService) GetBlockTransactionCountByHash(hash common.Hash) (*hexutil.Uint64, error) {
	return s.count(s.a.heightByHash(hash))
}

func (s *blockService) count(height uint64, ok bool, err error) (*hexutil.Uint64, error) {
	if err != nil || !ok {
		return nil, err
	}
	b, err := s.a.block(height)
	if err != nil {
		return nil, err
	}
	n := hexutil.Uint64(len(b.Txs))
	return &n, nil
}

// GetUncleCountByBlockNumber is eth_getUncleCountByBlockNumber: there are none.
func (s *blockService) GetUncleCountByBlockNumber(n rpc.BlockNumber) *hexutil.Uint64 {
	if _, ok := s.a.height(n); !ok {
		return nil
	}
	return new(hexutil.Uint64)
}

// GetUncleCountByBlockHash is eth_getUncleCountByBlockHash.
func (s *blockService) GetUncleCountByBlockHash(hash common.Hash) (*hexutil.Uint64, error) {
	if _, ok, err := s.a.heightByHash(hash); err != nil || !ok {
		return nil, err
	}
	return new(hexutil.Uint64), nil
}

// GetUncleByBlockNumberAndIndex is eth_getUncleByBlockNumberAndIndex.
func (s *blockService) GetUncleByBlockNumberAndIndex(rpc.BlockNumber, hexutil.Uint64) json.RawMessage {
	return null
}

// GetUncleByBlockHashAndIndex is eth_getUncleByBlockHashAndIndex.
func (s *blockService) GetUncleByBlockHashAndIndex(common.Hash, hexutil.Uint64) json.RawMessage {
	return null
}
