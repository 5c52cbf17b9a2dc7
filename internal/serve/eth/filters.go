package eth

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/jialing-chain/jialing/internal/chain"
)

var errNoFilter = errors.New("filter not found")

// filters are the installed HTTP filters. A filter is a position in the chain and holds no results, so what it costs does not grow with
// what it finds. Safe for concurrent use.
type filters struct {
	max      int
	lifetime time.Duration
	now      func() time.Time

	mu   sync.Mutex
	byID map[rpc.ID]*list.Element
	// used holds *filter, the one polled longest ago first.
	used list.List
}

type filter struct {
	id   rpc.ID
	last time.Time

	// turn is held by who polls this filter; feed belongs to that one.
	turn chan struct{}
	feed feed
	// logs is set on log filters.
	logs *logFilter
}

func newFilters(max int, lifetime time.Duration, now func() time.Time) *filters {
	return &filters{max: max, lifetime: lifetime, now: now, byID: make(map[rpc.ID]*list.Element)}
}

func (f *filters) install(x *filter) (rpc.ID, error) {
	x.id, x.turn = rpc.NewID(), make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	x.last = f.now()
	f.expire(x.last)
	if len(f.byID) >= f.max {
		return "", limitExceeded("too many filters are installed, at most %d; subscribe over WebSocket instead", f.max)
	}
	f.byID[x.id] = f.used.PushBack(x)
	return x.id, nil
}

// poll finds a filter and keeps it alive.
func (f *filters) poll(id rpc.ID) *filter {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.expire(now)
	e := f.byID[id]
	if e == nil {
		return nil
	}
	x := e.Value.(*filter)
	x.last = now
	f.used.MoveToBack(e)
	return x
}

func (f *filters) remove(id rpc.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byID[id]
	if e == nil {
		return false
	}
	f.used.Remove(e)
	delete(f.byID, id)
	return true
}

// expire removes what nobody polled for a lifetime. f.mu is held.
func (f *filters) expire(now time.Time) {
	for e := f.used.Front(); e != nil && now.Sub(e.Value.(*filter).last) > f.lifetime; e = f.used.Front() {
		delete(f.byID, e.Value.(*filter).id)
		f.used.Remove(e)
	}
}

// NewFilter is eth_newFilter.
func (s *logService) NewFilter(f logFilter) (rpc.ID, error) {
	if err := f.check(s.a.cfg.MaxLogTerms); err != nil {
		return "", err
	}
	return s.a.filters.install(&filter{feed: s.a.newBlockFeed(0, s.a.pastLogs(&f)), logs: &f})
}

// NewBlockFilter is eth_newBlockFilter.
func (s *logService) NewBlockFilter() (rpc.ID, error) {
	return s.a.filters.install(&filter{feed: s.a.newBlockFeed(0, s.a.eachHeader(blockHashJSON))})
}

// NewPendingTransactionFilter is eth_newPendingTransactionFilter.
func (s *logService) NewPendingTransactionFilter(full *bool) (rpc.ID, error) {
	return s.a.filters.install(&filter{feed: s.a.newPendingFeed(full != nil && *full)})
}

// UninstallFilter is eth_uninstallFilter.
func (s *logService) UninstallFilter(id rpc.ID) bool { return s.a.filters.remove(id) }

// maxFilterBytes ends an answer to eth_getFilterChanges; the rest comes with the next poll.
const maxFilterBytes = 16 << 20

// GetFilterChanges is eth_getFilterChanges: what came since the last poll. When there is more than one answer may hold, the rest comes
// with the next poll.
func (s *logService) GetFilterChanges(ctx context.Context, id rpc.ID) (json.RawMessage, error) {
	f := s.a.filters.poll(id)
	if f == nil {
		return nil, errNoFilter
	}
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return nil, clientError(ctx.Err())
	}
	out := []byte{'['}
	for events := 0; events < s.a.cfg.MaxLogResults && len(out) < maxFilterBytes; {
		if err := ctx.Err(); err != nil {
			return nil, clientError(err)
		}
		batch, more, err := f.feed.take(ctx)
		if err != nil {
			s.a.filters.remove(id)
			return nil, err
		}
		for _, e := range batch {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, e...)
		}
		events += len(batch)
		if !more {
			break
		}
	}
	return append(out, ']'), nil
}

// GetFilterLogs is eth_getFilterLogs: all logs that a filter matches, as eth_getLogs gives them.
func (s *logService) GetFilterLogs(ctx context.Context, id rpc.ID) (json.RawMessage, error) {
	f := s.a.filters.poll(id)
	if f == nil || f.logs == nil {
		return nil, errNoFilter
	}
	return s.GetLogs(ctx, *f.logs)
}

func blockHashJSON(_ *chain.Header, hash common.Hash) json.RawMessage { return appendHash(nil, hash) }

func appendHash(b []byte, h common.Hash) []byte { return appendBytes(b, h[:]) }
