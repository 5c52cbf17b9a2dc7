package bft_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/order"
	"github.com/jialing-chain/jialing/internal/order/ordertest"
)

// holdingLog holds the library's view once, where it is about to hand over the decision of that height, until the controller ends the view.
type holdingLog struct {
	slog.Handler
	deciding string
	once     sync.Once
	ended    chan struct{}
	end      sync.Once
	held     func()
}

func (h *holdingLog) Enabled(context.Context, slog.Level) bool { return true }

func (h *holdingLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		switch said := a.Value.String(); {
		case said == h.deciding:
			h.once.Do(func() {
				h.held()
				<-h.ended
			})
		case strings.HasPrefix(said, "Aborting current view"), strings.HasPrefix(said, "Exiting controller run"):
			h.end.Do(func() { close(h.ended) })
		}
		return true
	})
	return nil
}

func (h *holdingLog) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *holdingLog) WithGroup(string) slog.Handler      { return h }

// TestViewEndsWhileItDecides: all validators end a view at the moment in which it decides. The library's controllers would wait for it for ever; they
// are back soon, and nothing is left behind.
func TestViewEndsWhileItDecides(t *testing.T) {
	var mu sync.Mutex
	held := 0
	ordertest.RunStream(t, ordertest.Engine{Nodes: 4, Settle: 30 * time.Second, New: func(t testing.TB, n ordertest.Node) order.Engine {
		n.Log = slog.New(&holdingLog{Handler: slog.DiscardHandler, deciding: fmt.Sprintf("Deciding on seq %d", 100), ended: make(chan struct{}),
			held: func() {
				mu.Lock()
				defer mu.Unlock()
				held++
			}})
		return engine(t, n)
	}}, 4*time.Second)
	require.Equal(t, 4, held)
}
