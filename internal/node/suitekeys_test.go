package node

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// TestGenesisKeysAreOfItsSuite: with a key of another suite, or one that is a key of none, a node does not start and names the validator.
func TestGenesisKeysAreOfItsSuite(t *testing.T) {
	for _, suite := range Suites() {
		key := func() []byte {
			k, err := suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			return k.Public().Bytes()
		}
		g := &chain.Genesis{Suite: suite.Name(), Validators: []chain.GenesisValidator{{PublicKey: key()}, {PublicKey: key()}}}
		require.NoError(t, checkKeys(g, suite))
		for _, bad := range [][]byte{nil, bytes.Repeat([]byte{1}, 31), bytes.Repeat([]byte{1}, 65), make([]byte, 96-len(key()))} { // the last: of the other suite's length
			g.Validators[1].PublicKey = bad
			err := checkKeys(g, suite)
			require.ErrorIs(t, err, chain.ErrGenesis)
			require.ErrorContains(t, err, "validators[1].publicKey")
		}
	}
}
