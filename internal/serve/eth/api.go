package eth

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// API answers for all namespaces. Safe for concurrent use; it starts no goroutine.
type API struct {
	cfg     Config
	genesis *chain.Genesis
	suite   crypto.Suite
	ledger  Ledger
	states  States
	pool    Pool
	calls   Calls
	node    Node
	admin   Admin
	// teaching is nil on a node that gives no lessons.
	teaching Teaching
	// miner is nil where blocks are not found by work.
	miner Miner

	recent  *recent
	pending *pendingWindow
	// final rings when more blocks are final.
	final   bell
	filters *filters
	// callGate and traceGate bound what runs at once.
	callGate, traceGate *gate
	tips                tipCache
}

// New builds the API. now is the wall clock; it only times filters.
func New(cfg Config, s Sources, now func() time.Time) (*API, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &API{
		cfg: cfg, genesis: s.Genesis, suite: s.Suite, ledger: s.Ledger, states: s.States, pool: s.Pool, calls: s.Calls, node: s.Node, admin: s.Admin, teaching: s.Teaching, miner: s.Miner,
		recent:   newRecent(cfg.RecentBlocks, cfg.RecentTxs, s.Ledger.Head().Number.Uint64()),
		pending:  newPendingWindow(cfg.PendingWindow),
		filters:  newFilters(cfg.MaxFilters, cfg.FilterLifetime, now),
		callGate: newGate("calls", cfg.MaxCalls, cfg.MaxQueuedCalls), traceGate: newGate("traces", cfg.MaxTraces, cfg.MaxQueuedCalls),
	}, nil
}

// Services are the receivers of each namespace's methods.
func (a *API) Services() map[string][]any {
	return map[string][]any{
		"eth": {
			&chainService{a}, &blockService{a}, &txService{a}, &stateService{a}, &callService{a}, &simulateService{a}, &feeService{a}, &logService{a}, &mineService{a},
		},
		"net":    {&netService{a}},
		"web3":   {&web3Service{a}},
		"txpool": {&txpoolService{a}},
		"debug":  {&rawService{a}, &traceService{a}},
		"jl":     {&jlService{a}, &adminService{a}, &teachService{a}},
	}
}

// Publish makes a durable block known: subscribers hear of it and it is answered from memory. Blocks come in height order, from one
// goroutine. It does not wait for anybody.
func (a *API) Publish(e *chain.Executed) { a.recent.add(e) }

// PublishFinal makes known that the height that Node.Finalized tells has moved. It does not wait for anybody.
func (a *API) PublishFinal() { a.final.ring() }

// PublishPending makes new executable transactions known to subscribers. It does not wait for anybody.
func (a *API) PublishPending(txs []*chain.Tx) { a.pending.add(txs) }

// SendRaw implements serve.Sender.
func (a *API) SendRaw(ctx context.Context, raws [][]byte) ([]common.Hash, []error) {
	txs, errs := a.pool.AddBatch(ctx, raws, true)
	hashes := make([]common.Hash, len(raws))
	for i := range raws {
		if errs[i] != nil {
			errs[i] = clientError(errs[i])
		} else {
			hashes[i] = txs[i].Hash()
		}
	}
	return hashes, errs
}
