package execute_test

import (
	"bytes"
	"math/rand"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/execute"
)

// signedInput is a node's signature over message as the contract takes it.
func signedInput(t testing.TB, suite crypto.Suite, message []byte) []byte {
	t.Helper()
	key, err := suite.GenerateKey(rand.New(rand.NewSource(7)))
	require.NoError(t, err)
	sig, err := key.Sign(message)
	require.NoError(t, err)
	require.Len(t, sig, 64)
	require.Len(t, key.Public().Bytes(), suite.PublicKeySize())
	return bytes.Join([][]byte{sig, key.Public().Bytes(), message}, nil)
}

// ofChain is a precompile as a chain of the suite has it.
func ofChain(suite crypto.Suite, hash crypto.Hash, addr common.Address) vm.PrecompiledContract {
	return execute.Precompiles(suite, hash)[addr]
}

func TestNodeSignaturePrecompile(t *testing.T) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		t.Run(suite.Name(), func(t *testing.T) {
			c := ofChain(suite, crypto.Hash{1}, execute.NodeSignatureAddress)
			run := func(in []byte) []byte {
				out, err := c.Run(in)
				require.NoError(t, err)
				return out
			}
			for _, message := range [][]byte{nil, []byte("m"), make([]byte, 9000)} {
				good := signedInput(t, suite, message)
				kept := bytes.Clone(good)
				require.Equal(t, word(1), run(good), "%d bytes", len(message))
				require.Equal(t, kept, good, "the contract altered its input")
				require.Empty(t, run(append(bytes.Clone(good), 0)), "a longer message")
			}
			good := signedInput(t, suite, []byte("a message"))
			for n := range good {
				require.Empty(t, run(good[:n]), "%d bytes", n)
				bad := bytes.Clone(good)
				bad[n] ^= 1 << (n % 8)
				require.Empty(t, run(bad), "byte %d", n)
			}
			require.Empty(t, run(nil))
			require.Empty(t, run(make([]byte, 200)))
			require.Empty(t, run(bytes.Repeat([]byte{0xff}, 200)))
		})
	}
	// The other suite's signature is none here.
	require.Empty(t, must(ofChain(intl.Suite{}, crypto.Hash{}, execute.NodeSignatureAddress).Run(signedInput(t, gm.Suite{}, []byte("m")))))
	require.Empty(t, must(ofChain(gm.Suite{}, crypto.Hash{}, execute.NodeSignatureAddress).Run(signedInput(t, intl.Suite{}, []byte("m")))))
}

func must(out []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return out
}

func TestChainHashPrecompile(t *testing.T) {
	c := ofChain(intl.Suite{}, crypto.Hash{1, 2}, execute.ChainHashAddress)
	for _, in := range [][]byte{nil, make([]byte, 100)} {
		require.Equal(t, append([]byte{1, 2}, make([]byte, 30)...), must(c.Run(in)))
	}
	require.EqualValues(t, 30, c.RequiredGas(make([]byte, 1<<20)))
	_, err := ofChain(intl.Suite{}, crypto.Hash{}, execute.ChainHashAddress).Run(nil)
	require.ErrorContains(t, err, "no chain")
	_, err = contractAt(t, execute.NodeSignatureAddress).Run(nil)
	require.ErrorContains(t, err, "no chain", "geth's own table must not answer for a chain")
}

func FuzzNodeSignaturePrecompile(f *testing.F) {
	for _, suite := range []crypto.Suite{intl.Suite{}, gm.Suite{}} {
		f.Add(suite.Name() == "gm", signedInput(f, suite, []byte("seed")))
	}
	f.Add(false, []byte(nil))
	f.Add(true, make([]byte, 128))
	f.Fuzz(func(t *testing.T, chinese bool, in []byte) {
		suite := crypto.Suite(intl.Suite{})
		if chinese {
			suite = gm.Suite{}
		}
		c := ofChain(suite, crypto.Hash{1}, execute.NodeSignatureAddress)
		before := bytes.Clone(in)
		out, err := c.Run(in)
		require.NoError(t, err)
		require.True(t, bytes.Equal(before, in))
		if len(out) > 0 {
			require.Equal(t, word(1), out)
			key, err := suite.ParsePublicKey(in[64 : 64+suite.PublicKeySize()])
			require.NoError(t, err)
			require.NoError(t, key.Verify(in[64+suite.PublicKeySize():], in[:64]))
		}
	})
}
