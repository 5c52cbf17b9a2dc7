package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"
)

func (n *fakeNode) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	return n.notify(ctx, "newHeads")
}

func (n *fakeNode) NewFinalizedHeads(ctx context.Context) (*rpc.Subscription, error) {
	n.mu.Lock()
	old := n.old
	n.mu.Unlock()
	if old {
		return nil, errors.New("no such subscription")
	}
	return n.notify(ctx, "newFinalizedHeads")
}

// notify tells of the next block that mine makes.
func (n *fakeNode) notify(ctx context.Context, kind string) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	sub := notifier.CreateSubscription()
	ch := make(chan *types.Header, 1)
	n.mu.Lock()
	n.heads = append(n.heads, ch)
	n.subscribed = append(n.subscribed, kind)
	n.mu.Unlock()
	go func() {
		select {
		case h := <-ch:
			_ = notifier.Notify(sub.ID, h)
		case <-sub.Err():
		}
	}()
	return sub, nil
}

// TestWaitFinal: it hears of final blocks where the node tells of them, else of new ones, and asks by itself over HTTP.
func TestWaitFinal(t *testing.T) {
	for name, c := range map[string]struct {
		http, old  bool
		subscribed []string
	}{
		"subscription": {subscribed: []string{"newFinalizedHeads"}},
		"old node":     {old: true, subscribed: []string{"newHeads"}},
		"http":         {http: true},
	} {
		t.Run(name, func(t *testing.T) {
			n, http, ws := startFake(t)
			n.old = c.old
			if c.http {
				ws = http
			}
			conn := dial(t, ws)
			n.onFinal = func(n *fakeNode, asked int) {
				if asked == 2 {
					n.mine(1)
				}
			}
			require.NoError(t, conn.WaitFinal(t.Context(), 1))
			require.Equal(t, c.subscribed, n.subscribed)
			require.GreaterOrEqual(t, n.finalAsked, 2)
		})
	}
}
