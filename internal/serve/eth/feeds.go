package eth

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/internal/serve"
)

// feed is a position in what is published. One goroutine uses it.
type feed interface {
	// take returns what is there and not yet taken, each event as JSON, without waiting; more tells that there is more already. An error
	// is final.
	take() (events []json.RawMessage, more bool, err error)
	// wait returns when there may be something to take, or with ctx's error.
	wait(ctx context.Context) error
}

// subscription implements serve.Feed.
type subscription struct{ feed feed }

// Next implements serve.Feed.
func (s subscription) Next(ctx context.Context) ([]json.RawMessage, error) {
	for {
		events, _, err := s.feed.take()
		if err != nil || len(events) > 0 {
			return events, err
		}
		if err := s.feed.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Subscribe implements serve.Feeds: newHeads, logs, newPendingTransactions, transactionReceipts.
func (a *API) Subscribe(name string, params []json.RawMessage) (serve.Feed, error) {
	most := map[string]int{"newHeads": 0, "logs": 1, "newPendingTransactions": 1, "transactionReceipts": 1}
	max, ok := most[name]
	switch {
	case !ok:
		return nil, &serve.Error{Code: serve.CodeMethodNotFound, Message: fmt.Sprintf("no %q subscription in eth namespace", name)}
	case len(params) > max:
		return nil, invalidParams("too many arguments, want at most %d", max+1)
	}
	decode := func(into any) error {
		if len(params) == 0 {
			return nil
		}
		if err := json.Unmarshal(params[0], into); err != nil {
			return invalidParams("invalid argument 1: %v", err)
		}
		return nil
	}
	switch name {
	case "logs":
		f := new(logFilter)
		if err := decode(f); err != nil {
			return nil, err
		}
		if err := f.check(a.cfg.MaxLogTerms); err != nil {
			return nil, err
		}
		return subscription{a.newLogFeed(f)}, nil
	case "newPendingTransactions":
		var full bool
		if err := decode(&full); err != nil {
			return nil, err
		}
		return subscription{a.newPendingFeed(full)}, nil
	case "transactionReceipts":
		return a.subscribeReceipts(decode)
	}
	return subscription{a.newBlockFeed(func(b []json.RawMessage, block *sealedBlock) ([]json.RawMessage, error) {
		return append(b, headerJSON(block.Header, block.Hash)), nil
	})}, nil
}

// maxReceiptHashes bounds the transactions of a transactionReceipts subscription; it is geth's.
const maxReceiptHashes = 200

// subscribeReceipts sends, per block, the list of receipts of the transactions asked for, or of all.
func (a *API) subscribeReceipts(decode func(any) error) (serve.Feed, error) {
	var q struct {
		Hashes []common.Hash `json:"transactionHashes"`
	}
	if err := decode(&q); err != nil {
		return nil, err
	}
	if len(q.Hashes) > maxReceiptHashes {
		return nil, invalidParams("exceed max number of transaction hashes allowed per transactionReceipts subscription")
	}
	wanted := make(map[common.Hash]bool, len(q.Hashes))
	for _, h := range q.Hashes {
		wanted[h] = true
	}
	return subscription{a.newBlockFeed(func(events []json.RawMessage, block *sealedBlock) ([]json.RawMessage, error) {
		out := []byte{'['}
		for i, tx := range block.Txs {
			if len(wanted) > 0 && !wanted[tx.Hash()] {
				continue
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = appendReceipt(out, block.receipts[i], tx)
		}
		if len(out) == 1 {
			return events, nil
		}
		return append(events, append(out, ']')), nil
	})}, nil
}

// blockFeed follows blocks. encode appends the events of one.
type blockFeed struct {
	a       *API
	next    uint64
	changed <-chan struct{}
	encode  func([]json.RawMessage, *sealedBlock) ([]json.RawMessage, error)
}

func (a *API) newBlockFeed(encode func([]json.RawMessage, *sealedBlock) ([]json.RawMessage, error)) *blockFeed {
	head, _ := a.recent.watch()
	return &blockFeed{a: a, next: head + 1, encode: encode}
}

func (a *API) newLogFeed(f *logFilter) *blockFeed {
	return a.newBlockFeed(func(events []json.RawMessage, block *sealedBlock) ([]json.RawMessage, error) {
		for _, r := range block.receipts {
			for _, l := range r.Logs {
				if f.matches(l) {
					events = append(events, appendLog(make([]byte, 0, 640+2*len(l.Data)), l))
				}
			}
		}
		return events, nil
	})
}

// feedStep is how many blocks one take reads: enough to catch up quickly, few enough to send what is there.
const feedStep = 16

func (f *blockFeed) take() (events []json.RawMessage, more bool, err error) {
	head, changed := f.a.recent.watch()
	f.changed = changed
	if head >= f.next && head-f.next >= f.a.cfg.MaxSubscriberLag {
		return nil, false, fmt.Errorf("%d blocks behind, at most %d are kept for a subscriber", head-f.next+1, f.a.cfg.MaxSubscriberLag)
	}
	for step := 0; f.next <= head && step < feedStep; step++ {
		b, err := f.a.sealed(f.next)
		if err != nil {
			return nil, false, err
		}
		if events, err = f.encode(events, b); err != nil {
			return nil, false, err
		}
		f.next++
	}
	return events, f.next <= head, nil
}

func (f *blockFeed) wait(ctx context.Context) error {
	if head, _ := f.a.recent.watch(); head >= f.next {
		return nil
	}
	select {
	case <-f.changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sealed returns an existing block with its receipts.
func (a *API) sealed(height uint64) (*sealedBlock, error) {
	if b := a.recent.block(height); b != nil {
		return b, nil
	}
	b, err := a.block(height)
	if err != nil {
		return nil, err
	}
	receipts, err := a.receipts(height)
	if err != nil {
		return nil, err
	}
	if len(receipts) != len(b.Txs) {
		return nil, fmt.Errorf("block %d has %d transactions and %d receipts", height, len(b.Txs), len(receipts))
	}
	return &sealedBlock{Block: b, receipts: receipts}, nil
}

// pendingFeed follows the pool's new transactions, as hashes or whole. A transaction that is gone from pool and chain by the time that it
// would be sent whole is left out: it never will be mined.
type pendingFeed struct {
	a       *API
	full    bool
	next    uint64
	changed <-chan struct{}
}

func (a *API) newPendingFeed(full bool) *pendingFeed {
	return &pendingFeed{a: a, full: full, next: a.pending.position()}
}

// pendingStep is how many hashes one take reads.
const pendingStep = 1024

func (f *pendingFeed) take() (events []json.RawMessage, more bool, err error) {
	hashes, missed, changed := f.a.pending.read(f.next, pendingStep)
	f.changed = changed
	if missed > 0 {
		return nil, false, fmt.Errorf("%d transactions behind what is kept for a subscriber, see pending_window", missed)
	}
	f.next += uint64(len(hashes))
	for _, h := range hashes {
		if !f.full {
			events = append(events, appendHash(nil, h))
			continue
		}
		tx := f.a.pool.Get(h)
		if tx == nil {
			if tx, _, err = f.a.mined(h); err != nil {
				return nil, false, err
			}
		}
		if tx != nil {
			events = append(events, appendTx(nil, tx, nil))
		}
	}
	return events, len(hashes) == pendingStep, nil
}

func (f *pendingFeed) wait(ctx context.Context) error {
	select {
	case <-f.changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
