package pki_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/pki"
)

func TestGraceFile(t *testing.T) {
	onBoth(t, func(t *testing.T, suite, _ crypto.Suite) {
		key, genesis := newKey(t, suite), crypto.Hash{1, 2}
		g := pki.Grace{Created: now, Until: now.Add(2 * day), Days: 30, Reason: "all expired over the holidays"}
		b, err := pki.SignGrace(g, genesis, key)
		require.NoError(t, err)
		back, err := pki.OpenGrace(b, genesis, key.Public())
		require.NoError(t, err)
		require.Equal(t, g.Reason, back.Reason)
		for at, want := range map[time.Duration]time.Duration{-time.Hour: 0, 0: 30 * day, 2*day - time.Second: 30 * day, 2 * day: 0} {
			require.Equal(t, want, back.At(now.Add(at)), at)
		}
		require.Zero(t, (*pki.Grace)(nil).At(now))

		_, err = pki.OpenGrace(b, crypto.Hash{9}, key.Public())
		require.ErrorContains(t, err, "not signed by this node's key", "of another chain")
		_, err = pki.OpenGrace(b, genesis, newKey(t, suite).Public())
		require.ErrorContains(t, err, "not signed by this node's key", "of another node")
		for _, alter := range []*strings.Replacer{strings.NewReplacer(`"days": 30`, `"days": 31`), strings.NewReplacer("holidays", "weekend"),
			strings.NewReplacer("2026-03-06", "2026-03-07"), strings.NewReplacer("2026-03-04", "2026-03-03")} {
			altered := alter.Replace(string(b))
			require.NotEqual(t, string(b), altered)
			_, err := pki.OpenGrace([]byte(altered), genesis, key.Public())
			require.ErrorContains(t, err, "not signed by this node's key")
		}
		for text, bad := range map[string]pki.Grace{
			"lasts 7 days at most": {Created: now, Until: now.Add(7*day + time.Second), Days: 1, Reason: "x"},
			"after it begins":      {Created: now, Until: now, Days: 1, Reason: "x"},
			"1 to 365 days ago":    {Created: now, Until: now.Add(day), Days: 366, Reason: "x"},
			"give the reason":      {Created: now, Until: now.Add(day), Days: 1},
		} {
			_, err := pki.SignGrace(bad, genesis, key)
			require.ErrorContains(t, err, text)
		}
		for _, bad := range []string{"", "{}", "[", strings.Repeat(" ", pki.MaxGraceFile+1)} {
			_, err := pki.OpenGrace([]byte(bad), genesis, key.Public())
			require.Error(t, err)
		}
	})
}

func FuzzGrace(f *testing.F) {
	key := newKey(f, intl.Suite{})
	b, err := pki.SignGrace(pki.Grace{Created: now, Until: now.Add(day), Days: 3, Reason: "r"}, crypto.Hash{}, key)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := pki.OpenGrace(b, crypto.Hash{}, key.Public()); err == nil && g.Until.Sub(g.Created) > pki.MaxGrace {
			t.Fatal("more than a rescue may")
		}
	})
}
