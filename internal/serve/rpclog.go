package serve

import (
	"context"
	"log/slog"

	gethlog "github.com/ethereum/go-ethereum/log"
)

// hearCrashes lets log hear of methods that panic: go-ethereum's rpc answers the client and tells only the logger of its own package, of which
// a process has one, and which else is silent. Everything below an error stays unsaid: rpc also logs every request that fails.
func hearCrashes(log *slog.Logger) {
	gethlog.SetDefault(rpcLogger{gethlog.NewLogger(errorsOnly{log.Handler()})})
}

// rpcLogger is a type of its own so that SetDefault does not make it slog's default as well.
type rpcLogger struct{ gethlog.Logger }

type errorsOnly struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }
