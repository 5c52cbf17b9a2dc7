package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
)

func (f *frame) hasPubSub() bool {
	for i := range f.items {
		if f.items[i].isPubSub() {
			return true
		}
	}
	return false
}

// pubSub answers a frame with subscriptions in it, item by item in the reader's goroutine, and starts the feeds after their ids are sent.
func (c *socket) pubSub(ctx context.Context, f *frame, body []byte) {
	if !json.Valid(body) {
		c.write(c.server.call(ctx, c.r, body)) // gives the parse error
		return
	}
	j := c.server.judge(c.caller, f)
	if wait := c.server.access.take(c.caller, j.cost); wait > 0 {
		c.server.metrics.refused.WithLabelValues("rate").Inc()
		c.write(answerAll(f, limited(wait)))
		return
	}
	var out []byte
	var start []func()
	for i := range f.items {
		var answer []byte
		switch it := &f.items[i]; {
		case len(out) > c.server.cfg.MaxBatchResponseBytes:
			answer = appendError(nil, it.id, &Error{Code: CodeResponseTooLarge, Message: "response too large"})
		case !j.plain && j.verdicts[i] == forbid:
			answer = c.server.forbid(c.caller, it)
		case !j.plain && j.verdicts[i] == record:
			answer = c.server.recorded(ctx, c.caller, c.r, it)
		case it.isPubSub():
			c.server.metrics.method(it.method).batched.Inc()
			var begin func()
			if answer, begin = c.pubSubItem(ctx, it.raw); begin != nil {
				start = append(start, begin)
			}
		default:
			answer = c.server.call(ctx, c.r, it.raw)
		}
		if len(answer) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = append(out, answer...)
	}
	if f.batch && len(out) > 0 {
		out = append(append([]byte{'['}, out...), ']')
	}
	if len(out) > 0 {
		c.write(out)
	}
	for _, begin := range start {
		begin()
	}
}

// pubSubItem answers one request; begin, if not nil, is to be called when the answer is on its way.
func (c *socket) pubSubItem(ctx context.Context, raw []byte) (answer []byte, begin func()) {
	var req struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Method  string          `json:"method"`
		Params  json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(raw, &req); err != nil || req.Version != "2.0" || len(req.ID) == 0 || req.ID[0] == '{' || req.ID[0] == '[' {
		return c.server.call(ctx, c.r, raw), nil // gives the right error, and nothing for a notification
	}
	namespace, verb, _ := strings.Cut(req.Method, "_")
	var params []json.RawMessage
	if len(req.Params) > 0 && json.Unmarshal(req.Params, &params) != nil {
		return appendError(nil, req.ID, &Error{Code: CodeInvalidParams, Message: "non-array args"}), nil
	}
	var name string
	if len(params) == 0 || json.Unmarshal(params[0], &name) != nil {
		return appendError(nil, req.ID, &Error{Code: CodeInvalidParams, Message: "expected a string as first argument"}), nil
	}
	if verb == "unsubscribe" {
		if !c.unsubscribe(rpc.ID(name)) {
			return appendError(nil, req.ID, rpc.ErrSubscriptionNotFound), nil
		}
		return appendResult(nil, req.ID, []byte("true")), nil
	}
	if namespace != "eth" || c.server.backend.Feeds == nil {
		return appendError(nil, req.ID, &Error{Code: CodeMethodNotFound, Message: fmt.Sprintf("no %q subscription in %s namespace", name, namespace)}), nil
	}
	id, begin, err := c.subscribe(ctx, name, params[1:])
	if err != nil {
		return appendError(nil, req.ID, err), nil
	}
	return appendResult(nil, req.ID, []byte(`"`+string(id)+`"`)), begin
}

func (c *socket) subscribe(ctx context.Context, name string, params []json.RawMessage) (rpc.ID, func(), error) {
	feed, err := c.server.backend.Feeds.Subscribe(name, params)
	if err != nil {
		return "", nil, err
	}
	id := rpc.NewID()
	ctx, cancel := context.WithCancel(ctx)
	if !c.keep(id, cancel) {
		cancel()
		c.server.metrics.refused.WithLabelValues("subscriptions").Inc()
		return "", nil, &Error{Code: CodeLimitExceeded, Message: fmt.Sprintf("too many subscriptions on this connection, at most %d", c.server.cfg.MaxSubscriptions)}
	}
	return id, func() {
		c.running.Go(func() {
			c.server.metrics.feeds.Inc()
			defer c.server.metrics.feeds.Dec()
			c.follow(ctx, id, feed)
		})
	}, nil
}

// keep reports whether there was room.
func (c *socket) keep(id rpc.ID, cancel context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.feeds) >= c.server.cfg.MaxSubscriptions {
		return false
	}
	c.feeds[id] = cancel
	return true
}

// unsubscribe reports whether id was there.
func (c *socket) unsubscribe(id rpc.ID) bool {
	c.mu.Lock()
	cancel := c.feeds[id]
	delete(c.feeds, id)
	c.mu.Unlock()
	if cancel == nil {
		return false
	}
	cancel()
	return true
}

// follow sends a feed's events. JSON-RPC has no word for "your subscription ended", and a client that hears nothing waits for ever: so
// when the feed drops its subscriber, the whole connection ends with the reason, which every client notices.
func (c *socket) follow(ctx context.Context, id rpc.ID, feed Feed) {
	defer c.unsubscribe(id)
	head := []byte(`{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"` + string(id) + `","result":`)
	var out []byte
	for {
		events, err := feed.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.server.metrics.refused.WithLabelValues("subscriber").Inc()
			c.close(websocket.CloseTryAgainLater, fmt.Sprintf("subscription %s dropped: %v", id, err))
			return
		}
		for _, e := range events {
			if ctx.Err() != nil {
				return
			}
			out = append(append(out[:0], head...), e...)
			out = append(out, "}}"...)
			c.write(out)
		}
	}
}
