package crypto

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// countingSuite counts what it parses; other methods are nobody's here.
type countingSuite struct {
	Suite
	mu     sync.Mutex
	parsed map[string]int
}

type countedKey struct {
	PublicKey
	prepared int
}

func (k *countedKey) Prepare() { k.prepared++ }

var errNoKey = errors.New("no key")

func (s *countingSuite) ParsePublicKey(b []byte) (PublicKey, error) {
	if len(b) == 0 {
		return nil, errNoKey
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parsed[string(b)]++
	return new(countedKey), nil
}

func numbered(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func TestRememberParsesOnce(t *testing.T) {
	counting := &countingSuite{parsed: make(map[string]int)}
	suite := Remember(counting)
	for range 2 {
		_, err := suite.ParsePublicKey(nil)
		require.ErrorIs(t, err, errNoKey)
	}
	first, err := suite.ParsePublicKey(numbered(1))
	require.NoError(t, err)
	for n := range 3 * prepareAfter {
		again, err := suite.ParsePublicKey(numbered(1))
		require.NoError(t, err)
		require.Same(t, first, again)
		want := 0
		if n+1 >= prepareAfter {
			want = 1
		}
		require.Equal(t, want, first.(*countedKey).prepared)
	}
	require.Equal(t, 1, counting.parsed[string(numbered(1))])
}

// TestRememberIsBounded: who comes again stays, whoever else passes.
func TestRememberIsBounded(t *testing.T) {
	counting := &countingSuite{parsed: make(map[string]int)}
	suite := Remember(counting).(*remembering)
	for n := range 5 * maxRemembered {
		_, err := suite.ParsePublicKey(numbered(1 + n))
		require.NoError(t, err)
		_, err = suite.ParsePublicKey(numbered(0))
		require.NoError(t, err)
		require.LessOrEqual(t, len(suite.young)+len(suite.old), maxRemembered)
	}
	require.Equal(t, 1, counting.parsed[string(numbered(0))])
	_, err := suite.ParsePublicKey(numbered(1))
	require.NoError(t, err)
	require.Equal(t, 2, counting.parsed[string(numbered(1))], "it was forgotten")
}

// TestRememberTogether has many ask at once; the race detector judges.
func TestRememberTogether(t *testing.T) {
	suite := Remember(&countingSuite{parsed: make(map[string]int)})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 2000 {
				if _, err := suite.ParsePublicKey(numbered(n % 300)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
