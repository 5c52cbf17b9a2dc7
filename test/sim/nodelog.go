package sim

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// keptRecords bounds what is kept of all nodes' logs: some minutes before a failure.
const keptRecords = 1500

// nodeLog keeps the last records of all nodes and writes them out only when somebody asks. Safe for concurrent use.
type nodeLog struct {
	mu      sync.Mutex
	records []logged
	next    int
	// leftovers counts the times that the consensus library did not stop and left goroutines behind.
	leftovers int
}

// leftBehind is what order/bft says then.
const leftBehind = "the consensus library does not stop; some of its goroutines are left behind"

type logged struct {
	handler *nodeHandler
	record  slog.Record
}

// nodeHandler is one node's slog.Handler.
type nodeHandler struct {
	log   *nodeLog
	attrs []slog.Attr
}

func (l *nodeLog) logger(member int) *slog.Logger {
	return slog.New(&nodeHandler{l, []slog.Attr{slog.Int("member", member)}})
}

// Enabled implements slog.Handler.
func (h *nodeHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// Handle implements slog.Handler.
func (h *nodeHandler) Handle(_ context.Context, r slog.Record) error {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if r.Message == leftBehind {
		h.log.leftovers++
	}
	if len(h.log.records) < keptRecords {
		h.log.records = append(h.log.records, logged{h, r})
		return nil
	}
	h.log.records[h.log.next] = logged{h, r}
	h.log.next = (h.log.next + 1) % keptRecords
	return nil
}

// WithAttrs implements slog.Handler.
func (h *nodeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &nodeHandler{h.log, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements slog.Handler. The nodes use none.
func (h *nodeHandler) WithGroup(string) slog.Handler { return h }

// write prints what is kept, with times since start.
func (l *nodeLog) write(out io.Writer, start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Duration("at", a.Value.Time().Sub(start))
		}
		return a
	}})
	for i := range l.records {
		r := l.records[(l.next+i)%len(l.records)]
		_ = text.WithAttrs(r.handler.attrs).Handle(context.Background(), r.record) // a lost line of a log
	}
}

// String is what write prints.
func (l *nodeLog) String(start time.Time) string {
	var b strings.Builder
	l.write(&b, start)
	return b.String()
}
