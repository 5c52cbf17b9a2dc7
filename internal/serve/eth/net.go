package eth

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/internal/chain"
)

type netService struct{ a *API }

// Version is net_version: the chain id in decimal.
func (s *netService) Version() string { return strconv.FormatUint(s.a.genesis.ChainID, 10) }

// Listening is net_listening.
func (s *netService) Listening() bool { return true }

// PeerCount is net_peerCount.
func (s *netService) PeerCount() hexutil.Uint64 { return hexutil.Uint64(s.a.node.Status().Peers) }

type web3Service struct{ a *API }

// ClientVersion is web3_clientVersion.
func (s *web3Service) ClientVersion() string { return s.a.node.Status().Version }

// Sha3 is web3_sha3: Keccak-256.
func (s *web3Service) Sha3(data hexutil.Bytes) hexutil.Bytes { return gethcrypto.Keccak256(data) }

type txpoolService struct{ a *API }

// Status is txpool_status.
func (s *txpoolService) Status() map[string]hexutil.Uint64 {
	pending, queued := s.a.pool.Status()
	return map[string]hexutil.Uint64{"pending": hexutil.Uint64(pending), "queued": hexutil.Uint64(queued)}
}

// maxPoolContent and maxPoolBytes bound txpool_content and txpool_inspect, in transactions and in bytes of JSON. A pool may hold far more.
const (
	maxPoolContent = 20_000
	maxPoolBytes   = 32 << 20
)

// Content is txpool_content: whole senders, until the bounds are reached.
func (s *txpoolService) Content() json.RawMessage {
	pending, queued := s.a.pool.Content(maxPoolContent)
	return contentJSON(pending, queued, appendPooled)
}

// ContentFrom is txpool_contentFrom.
func (s *txpoolService) ContentFrom(addr common.Address) json.RawMessage {
	pending, queued := s.a.pool.ContentFrom(addr)
	b := append([]byte(nil), `{"pending":`...)
	b = appendByNonce(b, pending, appendPooled)
	b = append(b, `,"queued":`...)
	b = appendByNonce(b, queued, appendPooled)
	return json.RawMessage(append(b, '}'))
}

// Inspect is txpool_inspect, cut like txpool_content.
func (s *txpoolService) Inspect() json.RawMessage {
	pending, queued := s.a.pool.Content(maxPoolContent)
	return contentJSON(pending, queued, func(b []byte, tx *chain.Tx) []byte {
		to := "contract creation"
		if tx.To() != nil {
			to = tx.To().Hex()
		}
		return appendMarshalled(b, fmt.Sprintf("%s: %v wei + %v gas × %v wei", to, tx.Value(), tx.Gas(), tx.FeeCap()))
	})
}

func appendPooled(b []byte, tx *chain.Tx) []byte { return appendTx(b, tx, nil) }

func contentJSON(pending, queued map[common.Address][]*chain.Tx, encode func([]byte, *chain.Tx) []byte) json.RawMessage {
	b := append([]byte(nil), `{"pending":`...)
	b = appendBySender(b, pending, encode)
	b = append(b, `,"queued":`...)
	b = appendBySender(b, queued, encode)
	return json.RawMessage(append(b, '}'))
}

func appendBySender(b []byte, senders map[common.Address][]*chain.Tx, encode func([]byte, *chain.Tx) []byte) []byte {
	b = append(b, '{')
	first := true
	for addr, txs := range senders {
		if len(b) > maxPoolBytes {
			break
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(append(append(b, '"'), addr.Hex()...), '"', ':')
		b = appendByNonce(b, txs, encode)
	}
	return append(b, '}')
}

func appendByNonce(b []byte, txs []*chain.Tx, encode func([]byte, *chain.Tx) []byte) []byte {
	b = append(b, '{')
	for i, tx := range txs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendUint(append(b, '"'), tx.Nonce(), 10), '"', ':')
		b = encode(b, tx)
	}
	return append(b, '}')
}
