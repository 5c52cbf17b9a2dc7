package eth

import (
	"encoding/json"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/serve"
)

// Costs of methods in units of the rate limit, by what they keep busy: a call runs the EVM for up to 50 ms, a trace for seconds.
const (
	heavy = 10
	trace = 100
)

// methods are the served methods in their groups. A method stands in one place; the tests compare the table with what is served.
var methods = map[serve.Role][]string{
	serve.Read: {
		"eth_chainId", "eth_blockNumber", "eth_syncing", "eth_accounts", "eth_coinbase", "eth_mining", "eth_hashrate",
		"eth_getBlockByNumber", "eth_getBlockByHash", "eth_getHeaderByNumber", "eth_getHeaderByHash", "eth_getBlockReceipts",
		"eth_getBlockTransactionCountByNumber", "eth_getBlockTransactionCountByHash", "eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash",
		"eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex",
		"eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getRawTransactionByHash", "eth_getTransactionByBlockNumberAndIndex",
		"eth_getTransactionByBlockHashAndIndex", "eth_getRawTransactionByBlockNumberAndIndex", "eth_getRawTransactionByBlockHashAndIndex",
		"eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_getProof",
		"eth_call", "eth_estimateGas", "eth_createAccessList", "eth_simulateV1",
		"eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_feeHistory", "eth_blobBaseFee",
		"eth_getLogs", "eth_newFilter", "eth_newBlockFilter", "eth_newPendingTransactionFilter", "eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter",
		"net_version", "net_listening", "net_peerCount", "web3_clientVersion", "web3_sha3",
		"txpool_status", "txpool_content", "txpool_contentFrom", "txpool_inspect",
		"jl_status", "jl_nodeStatus", "jl_peers", "jl_genesis", "jl_getDecision", "jl_getCertificate", "jl_getValidators", "jl_getSetChanges", "jl_getExclusion",
		"jl_getReceiptProof",
		"jl_getEvidence",
	},
	serve.Submit: {"eth_sendRawTransaction", "eth_sendRawTransactionSync", "eth_getWork", "eth_submitWork"},
	serve.Admin:  {"jl_reloadAccess", "jl_rekey", "jl_setMining"},
	serve.Debug: {
		"debug_traceTransaction", "debug_traceCall", "debug_traceBlockByNumber", "debug_traceBlockByHash",
		"debug_getRawHeader", "debug_getRawBlock", "debug_getRawTransaction", "debug_getRawReceipts",
		"jl_isolate", "jl_misbehave",
	},
}

var costs = map[string]int{
	"eth_call": heavy, "eth_estimateGas": heavy, "eth_createAccessList": heavy, "eth_simulateV1": heavy, "eth_getLogs": heavy, "eth_getFilterLogs": heavy,
	"eth_getProof": heavy, "eth_getBlockReceipts": heavy, "eth_feeHistory": heavy, "txpool_content": heavy, "txpool_inspect": heavy, "jl_getReceiptProof": heavy,
	"debug_traceTransaction": trace, "debug_traceCall": trace, "debug_traceBlockByNumber": trace, "debug_traceBlockByHash": trace,
}

// Methods gives each served method its group and cost.
func Methods() map[string]serve.Method {
	out := make(map[string]serve.Method)
	for role, names := range methods {
		for _, name := range names {
			out[name] = serve.Method{Role: role, Cost: costs[name]}
		}
	}
	return out
}

// Admin is what administrative methods do. Safe for concurrent use.
type Admin interface {
	// ReloadAccess reads tokens and TLS files again; what cannot be used is in the error and the old one stays in force.
	ReloadAccess() (serve.AccessStatus, error)
	// Rekey begins to seal the ledger with a new key and returns at once.
	Rekey() error
}

// adminService has the methods that change the node.
type adminService struct{ a *API }

// ReloadAccess is jl_reloadAccess.
func (s *adminService) ReloadAccess() (*accessJSON, error) {
	status, err := s.a.admin.ReloadAccess()
	if err != nil {
		return nil, err
	}
	return accessView(&status), nil
}

// Rekey is jl_rekey; jl_nodeStatus tells how far it is.
func (s *adminService) Rekey() (json.RawMessage, error) {
	return json.RawMessage(`"begun"`), s.a.admin.Rekey()
}

// accessJSON is part of jl_nodeStatus: the ports' certificate and the tokens.
type accessJSON struct {
	TLS bool `json:"tls"`
	// Expires is null without TLS.
	Expires        *int64 `json:"expires"`
	Tokens         int    `json:"tokens"`
	ReloadFailures int64  `json:"reloadFailures"`
}

// accessView is nil where no port is open.
func accessView(s *serve.AccessStatus) *accessJSON {
	if s == nil {
		return nil
	}
	return &accessJSON{TLS: s.TLS, Expires: moment(s.Expires), Tokens: s.Tokens, ReloadFailures: s.Failures}
}

// auditJSON is part of jl_nodeStatus.
type auditJSON struct {
	Seq  uint64      `json:"seq"`
	Hash crypto.Hash `json:"hash"`
}

// auditView is nil for a log without records.
func auditView(seq uint64, head crypto.Hash) *auditJSON {
	if seq == 0 {
		return nil
	}
	return &auditJSON{seq, head}
}
