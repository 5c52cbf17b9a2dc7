package chain

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

func numbered(n int) (key [sm2.PublicKeySize]byte, known knownKey) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key, knownKey{key: new(sm2.PublicKey), address: common.BigToAddress(common.Big1)}
}

// TestKnownKeysAreBounded: never more than the bound, and who is asked for stays while others pass.
func TestKnownKeysAreBounded(t *testing.T) {
	var c knownKeys
	regular, known := numbered(1 << 40)
	require.Zero(t, c.find(regular))
	c.add(regular, known)
	for n := range 3 * maxKnownKeys {
		key, k := numbered(n)
		c.add(key, k)
		require.Same(t, k.key, c.find(key).key)
		require.LessOrEqual(t, len(c.young)+len(c.old), maxKnownKeys)
		if n%1000 == 0 {
			require.Same(t, known.key, c.find(regular).key, "after %d others", n)
		}
	}
	first, _ := numbered(0)
	require.Zero(t, c.find(first), "who does not come back is forgotten")
}

// TestKnownKeysTogether has many ask and add at once; the race detector judges.
func TestKnownKeysTogether(t *testing.T) {
	var c knownKeys
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 2000 {
				key, k := numbered(n % 300)
				if found := c.find(key); found.key == nil {
					c.add(key, k)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, c.young, 300)
}

// TestBusyKeysArePrepared: once each, as long as there are places; then in the place of those who no longer send, never of those who do.
func TestBusyKeysArePrepared(t *testing.T) {
	var c knownKeys
	send := func(n int) (due bool) {
		key, _ := numbered(n)
		for i := range prepareAfter {
			require.False(t, due, "before the %dth transaction", i)
			due = c.find(key).due
		}
		return due
	}
	for n := range 2 * maxPrepared {
		key, k := numbered(n)
		c.add(key, k)
	}
	for n := range maxPrepared {
		require.True(t, send(n), n)
		require.False(t, send(n), "it is prepared")
	}
	// All have sent since the hand went by: newcomers find no place until it has gone round.
	for n := range maxPrepared {
		require.False(t, send(maxPrepared+n))
	}
	// The first half goes on sending, the second does not. The hand passes the one and takes the places of the other.
	for n := range maxPrepared / 2 {
		require.False(t, send(n))
	}
	for n := range maxPrepared {
		require.Equal(t, n >= maxPrepared/2, send(maxPrepared+n), n)
		require.Len(t, c.prepared, maxPrepared)
	}
	for n := range maxPrepared {
		key, _ := numbered(n)
		require.Equal(t, n < maxPrepared/2, c.young[key].placed, n)
	}
}
