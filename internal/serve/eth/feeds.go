package eth

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/serve"
)

// feed is a position in what is published. One goroutine uses it.
type feed interface {
	// take returns what is there and not yet taken, each event as JSON, without waiting for more; more tells that there is more already. An error
	// is final.
	take(ctx context.Context) (events []json.RawMessage, more bool, err error)
	// wait returns when there may be something to take, or with ctx's error.
	wait(ctx context.Context) error
}

// subscription implements serve.Feed.
type subscription struct{ feed feed }

// Next implements serve.Feed.
func (s subscription) Next(ctx context.Context) ([]json.RawMessage, error) {
	for {
		events, _, err := s.feed.take(ctx)
		if err != nil || len(events) > 0 {
			return events, err
		}
		if err := s.feed.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Subscribe implements serve.Feeds: newHeads, newFinalizedHeads, logs, newPendingTransactions, transactionReceipts.
func (a *API) Subscribe(name string, params []json.RawMessage) (serve.Feed, error) {
	most := map[string]int{"newHeads": 0, "newFinalizedHeads": 0, "logs": 1, "newPendingTransactions": 1, "transactionReceipts": 1}
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
		return subscription{a.newBlockFeed(a.cfg.MaxSubscriberLag, a.newLogs(f))}, nil
	case "newPendingTransactions":
		var full bool
		if err := decode(&full); err != nil {
			return nil, err
		}
		return subscription{a.newPendingFeed(full)}, nil
	case "transactionReceipts":
		return a.subscribeReceipts(decode)
	case "newFinalizedHeads":
		return subscription{a.newFinalFeed(a.cfg.MaxSubscriberLag, a.eachHeader(headerJSON))}, nil
	}
	return subscription{a.newBlockFeed(a.cfg.MaxSubscriberLag, a.eachHeader(headerJSON))}, nil
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
	return subscription{a.newBlockFeed(a.cfg.MaxSubscriberLag, a.eachBlock(func(events []json.RawMessage, b *sealedBlock) []json.RawMessage {
		out := []byte{'['}
		for i, tx := range b.Txs {
			if len(wanted) > 0 && !wanted[tx.Hash()] {
				continue
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = appendReceipt(out, b.receipts[i], tx)
		}
		if len(out) == 1 {
			return events
		}
		return append(events, append(out, ']'))
	}))}, nil
}

// blockFeed follows blocks.
type blockFeed struct {
	// watch returns how far there are blocks to tell of, and what is closed when that moves.
	watch   func() (head uint64, changed <-chan struct{})
	next    uint64
	changed <-chan struct{}
	// maxLag is how many blocks it may be behind; 0 is no bound.
	maxLag uint64
	read   blockReader
}

// blockReader returns the events of some or all of the blocks from to to, and the height after the last one read.
type blockReader func(ctx context.Context, from, to uint64) (events []json.RawMessage, next uint64, err error)

func (a *API) newBlockFeed(maxLag uint64, read blockReader) *blockFeed {
	head, _ := a.recent.watch()
	return &blockFeed{watch: a.recent.watch, next: head + 1, maxLag: maxLag, read: read}
}

// newFinalFeed follows final blocks. It is behind by what is final, not by what is durable: a chain without a quorum drops nobody. When it gets one, all that
// waited is final in one go, which is at most attest.MaxBacklog blocks, fewer than maxLag is by default.
func (a *API) newFinalFeed(maxLag uint64, read blockReader) *blockFeed {
	final, _ := a.watchFinal()
	return &blockFeed{watch: a.watchFinal, next: final + 1, maxLag: maxLag, read: read}
}

// watchFinal returns what the tag "finalized" means, and what is closed when that moves.
func (a *API) watchFinal() (final uint64, changed <-chan struct{}) {
	changed = a.final.next() // first: a move after the question is then seen
	final, _ = a.height(rpc.FinalizedBlockNumber)
	return final, changed
}

func (f *blockFeed) take(ctx context.Context) (events []json.RawMessage, more bool, err error) {
	head, changed := f.watch()
	f.changed = changed
	if head < f.next {
		return nil, false, nil
	}
	if behind := head - f.next + 1; f.maxLag > 0 && behind > f.maxLag {
		return nil, false, fmt.Errorf("%d blocks behind, at most %d are kept for a subscriber", behind, f.maxLag)
	}
	if events, f.next, err = f.read(ctx, f.next, head); err != nil {
		return nil, false, err
	}
	return events, f.next <= head, nil
}

func (f *blockFeed) wait(ctx context.Context) error {
	if head, _ := f.watch(); head >= f.next {
		return nil
	}
	select {
	case <-f.changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// feedStep is how many blocks one take reads: enough to catch up quickly, few enough to send what is there. It reads fewer when what it
// has exceeds feedBytes: a block can hold megabytes of logs, and every subscriber holds its own.
const (
	feedStep  = 16
	feedBytes = 256 << 10
)

// eachBlock reads whole blocks; encode appends the events of one.
func (a *API) eachBlock(encode func([]json.RawMessage, *sealedBlock) []json.RawMessage) blockReader {
	return func(_ context.Context, from, to uint64) (events []json.RawMessage, next uint64, err error) {
		size := 0
		for next = from; next <= to && next < from+feedStep && size < feedBytes; next++ {
			b, err := a.sealed(next)
			if err != nil {
				return nil, next, err
			}
			had := len(events)
			events = encode(events, b)
			for _, e := range events[had:] {
				size += len(e)
			}
		}
		return events, next, nil
	}
}

// eachHeader reads headers; encode makes the event of one.
func (a *API) eachHeader(encode func(*chain.Header, common.Hash) json.RawMessage) blockReader {
	return func(_ context.Context, from, to uint64) (events []json.RawMessage, next uint64, err error) {
		for next = from; next <= to && next < from+feedStep; next++ {
			h, hash, err := a.header(next)
			if err != nil {
				return nil, next, err
			}
			events = append(events, encode(h, hash))
		}
		return events, next, nil
	}
}

// newLogs reads the logs that f matches in blocks that mostly are in memory.
func (a *API) newLogs(f *logFilter) blockReader {
	return a.eachBlock(func(events []json.RawMessage, b *sealedBlock) []json.RawMessage {
		for _, r := range b.receipts {
			for _, l := range r.Logs {
				if f.matches(l) {
					events = append(events, appendLog(make([]byte, 0, 640+2*len(l.Data)), l))
				}
			}
		}
		return events
	})
}

// pastLogs is newLogs for filters, which may be polled rarely: a long way is asked of the index. Where it holds more logs than an answer
// may, it goes half as far.
func (a *API) pastLogs(f *logFilter) blockReader {
	near := a.newLogs(f)
	return func(ctx context.Context, from, to uint64) ([]json.RawMessage, uint64, error) {
		to = min(to, from+a.cfg.MaxLogRange-1)
		for to-from >= feedStep {
			logs, err := a.logs(ctx, f, from, to)
			if err == nil {
				events := make([]json.RawMessage, len(logs))
				for i, l := range logs {
					events[i] = appendLog(nil, l)
				}
				return events, to + 1, nil
			}
			if ctx.Err() != nil {
				return nil, from, clientError(ctx.Err())
			}
			to = from + (to-from)/2
		}
		return near(ctx, from, to)
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

func (f *pendingFeed) take(context.Context) (events []json.RawMessage, more bool, err error) {
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
