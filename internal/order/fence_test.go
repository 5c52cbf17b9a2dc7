package order_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/order"
)

func TestFence(t *testing.T) {
	start := time.UnixMilli(1_000_000)
	now := func() time.Time { return start }
	at := func(height uint64, after time.Duration) *chain.Decision {
		return &chain.Decision{Height: height, TimeMillis: uint64(start.Add(after).UnixMilli())}
	}

	open := order.NewFence(order.FenceOpen, "", now, nil, nil)
	require.True(t, open.May(0))
	require.True(t, open.May(9))
	require.NoError(t, open.Decided(nil))
	require.NoError(t, open.Decided(at(7, time.Hour)))
	require.True(t, open.May(3), "one that was never shut has no lowest height")

	fresh := order.NewFence(order.FenceUnsure, "", now, nil, nil)
	require.False(t, fresh.May(1))
	require.NoError(t, fresh.Decided(at(7, time.Hour)))
	require.False(t, fresh.May(8), "a decision says nothing of the key's past")
	fresh.Sure()
	require.True(t, fresh.May(1))

	var opened int
	shut := order.NewFence(order.FenceShut, "copied", now, nil, func() error { opened++; return nil })
	shut.Sure()
	require.False(t, shut.May(8), "whoever else does not know of it proves nothing")
	require.NoError(t, shut.Decided(at(7, 20*time.Second)))
	require.False(t, shut.May(8), "it may have been made before the start, by a clock that runs ahead")
	state, why := shut.State()
	require.Equal(t, order.FenceShut, state)
	require.Equal(t, "copied", why)
	require.Zero(t, opened)
	require.NoError(t, shut.Decided(at(9, 20*time.Second+time.Millisecond)))
	require.False(t, shut.May(9))
	require.True(t, shut.May(10))
	require.Equal(t, 1, opened)
	require.NoError(t, shut.Decided(at(10, time.Hour)))
	require.True(t, shut.May(10), "opened once")

	shut.Forgot("a commit")
	shut.Forgot("another")
	require.False(t, shut.May(100))
	_, why = shut.State()
	require.Equal(t, "a commit", why)

	full := errors.New("no space")
	broken := order.NewFence(order.FenceShut, "copied", now, nil, func() error { return full })
	require.ErrorIs(t, broken.Decided(at(9, time.Hour)), full)
	require.False(t, broken.May(10), "what cannot be made durable is not signed upon")
}
