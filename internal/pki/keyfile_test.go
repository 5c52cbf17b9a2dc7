package pki_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/pki"
)

func TestKeyFile(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, other crypto.Suite) {
		key := newKey(t, suite)
		b, err := pki.SealKey(suite, rand.Reader, key, "correct", true)
		require.NoError(t, err)
		back, err := pki.OpenKey(suite, b, "correct")
		require.NoError(t, err)
		require.Equal(t, key.Bytes(), back.Bytes())
		_, err = pki.OpenKey(suite, b, "wrong")
		require.ErrorIs(t, err, pki.ErrPassphrase)
		_, err = pki.OpenKey(other, b, "correct")
		require.ErrorContains(t, err, "suite")
		for _, bad := range []string{"", "{}", strings.Replace(string(b), "4096", "1073741824", 1), strings.Replace(string(b), "4096", "4095", 1),
			strings.Repeat(" ", pki.MaxKeyFile+1)} {
			_, err := pki.OpenKey(suite, []byte(bad), "correct")
			require.Error(t, err)
		}
	})
}
