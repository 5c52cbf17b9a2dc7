package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGateOrder: while the multiplexer is full writers wait, and are let in by priority, equal ones in order of arrival.
func TestGateOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		for range gatePieces {
			epoch, ok := g.enter(9)
			require.True(t, ok)
			g.leave(epoch, 100)
		}
		order := make(chan int, 10)
		for i, priority := range []int{50, 10, 0, 10, 0} {
			go func() {
				epoch, ok := g.enter(priority)
				if ok {
					order <- priority*10 + i
					g.leave(epoch, 100)
				}
			}()
			synctest.Wait()
		}
		require.Empty(t, order)
		var got []int
		for range 5 {
			g.out(100)
			synctest.Wait()
			require.Len(t, order, 1, "one leaves, one enters")
			got = append(got, <-order)
		}
		require.Equal(t, []int{2, 4, 101, 103, 500}, got)
		for range gatePieces {
			g.out(100)
		}
		require.Equal(t, g.submitted, g.written)
		require.Zero(t, g.held+g.inside)
		g.close()
	})
}

// TestGatePatience: writers that were let in and wait for their readers do not keep others out, and what they write later is still counted.
func TestGatePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var stuck []uint64
		for range gatePieces {
			epoch, ok := g.enter(0)
			require.True(t, ok)
			stuck = append(stuck, epoch)
		}
		start := time.Now()
		epoch, ok := g.enter(50)
		require.True(t, ok)
		require.Equal(t, gatePatience, time.Since(start))
		g.leave(epoch, 10)
		for _, epoch := range stuck {
			g.leave(epoch, 1000)
		}
		require.Equal(t, gatePieces, g.held)
		g.out(10)
		g.out(1000)
		g.out(1000)
		require.Zero(t, g.held+g.inside)
		require.Equal(t, g.submitted, g.written)
		g.close()
	})
}

// TestGateClose: whoever waits when the connection ends is told.
func TestGateClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		for range gatePieces {
			epoch, _ := g.enter(0)
			g.leave(epoch, 1)
		}
		told := make(chan bool, 1)
		go func() {
			_, ok := g.enter(0)
			told <- ok
		}()
		synctest.Wait()
		g.close()
		g.close()
		require.False(t, <-told)
		_, ok := g.enter(0)
		require.False(t, ok)
	})
}
