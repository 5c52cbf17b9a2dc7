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
	return key, knownKey{new(sm2.PublicKey), common.BigToAddress(common.Big1)}
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
