package node

import (
	"bytes"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// contradiction is one of key at a height.
func contradiction(t *testing.T, key crypto.PrivateKey, height uint64) *chain.Contradiction {
	c := &chain.Contradiction{Validator: 3, PublicKey: key.Public().Bytes()}
	for i := range c.Messages {
		c.Messages[i] = chain.AttestationMessage(crypto.Hash{7}, height, crypto.Hash{byte(i + 1)})
		sig, err := key.Sign(c.Messages[i])
		require.NoError(t, err)
		c.Signatures[i] = sig
	}
	return c
}

func TestDocket(t *testing.T) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), docketFile)
			key := func(i int) crypto.PrivateKey {
				k, err := suite.GenerateKey(rand.New(rand.NewSource(int64(i))))
				require.NoError(t, err)
				return k
			}
			var found []*chain.Contradiction
			var log bytes.Buffer
			open := func() *docket {
				d, err := openDocket(path, suite, crypto.Hash{7}, func() []*chain.Contradiction { return found }, slog.New(slog.NewTextHandler(&log, nil)))
				require.NoError(t, err)
				return d
			}
			d := open()
			require.Empty(t, d.All())
			first, later := contradiction(t, key(1), 5), contradiction(t, key(1), 6)
			found = []*chain.Contradiction{later, first}
			require.True(t, d.look())
			require.False(t, d.look(), "it is known")
			require.Equal(t, []*chain.Contradiction{later}, d.All(), "the newest of a key")
			require.NoError(t, d.save())
			for i := range 2 * maxDocket {
				found = append(found, contradiction(t, key(i+2), 1))
			}
			require.Len(t, d.All(), maxDocket, "bounded")

			found = nil
			require.Equal(t, []*chain.Contradiction{later}, open().All(), "it outlives the process")
			require.Empty(t, log.String())
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			alter := bytes.Index(b, []byte("firstSignature\": \"0x")) + 30
			b[alter] ^= 1
			if b[alter] == 'f'+1 || b[alter] == '`' {
				b[alter] = '0'
			}
			require.NoError(t, os.WriteFile(path, b, 0o600))
			require.Empty(t, open().All(), "what was altered convicts nobody")
			require.Contains(t, log.String(), "does not hold")
			for _, bad := range []string{"", "[", "{}", `[{"validator":1}]`} {
				require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
				require.Empty(t, open().All(), bad)
			}
		})
	}
}
