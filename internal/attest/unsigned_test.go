package attest

import (
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// refusingStore fails the test when anything is asked of it: without signatures there is nothing to keep.
type refusingStore struct{ t *testing.T }

func (s refusingStore) fail() { s.t.Error("the store was asked") }
func (s refusingStore) Attestation(uint64) (*chain.Attestation, error) {
	s.fail()
	return nil, nil
}
func (s refusingStore) PutCertificate(*chain.Certificate) error {
	s.fail()
	return nil
}
func (s refusingStore) Certificate(uint64) (*chain.Certificate, error) {
	s.fail()
	return nil, nil
}
func (s refusingStore) Header(uint64) (*chain.Header, error) {
	s.fail()
	return nil, nil
}

// TestUnsigned is a chain of work: blocks are final with their durability, and nothing is signed, sent or taken.
func TestUnsigned(t *testing.T) {
	suite := intl.Suite{}
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	a := New(Config{Suite: suite, Key: key, Unsigned: true, Store: refusingStore{t}, Finalized: 6})
	require.Equal(t, uint64(6), a.Finalized())
	for height := int64(7); height <= 9; height++ {
		h, moved := &chain.Header{Number: big.NewInt(height)}, a.Moved()
		own, err := a.Own(h)
		require.NoError(t, err)
		require.Nil(t, own)
		require.NoError(t, a.Wait(t.Context()))
		require.Equal(t, uint64(height-1), a.Finalized(), "before it is durable")
		require.NoError(t, a.Executed(h, own))
		require.Equal(t, uint64(height), a.Finalized())
		require.Zero(t, a.Backlog())
		require.Empty(t, a.Missing())
		select {
		case <-moved:
		default:
			t.Fatal("nobody was told that the height moved")
		}
	}
	a.Joined("peer") // nothing to tell
	require.ErrorIs(t, a.Receive("peer", encodeMessage(&message{Lacks: 1})), ErrMessage)
	require.Error(t, a.Executed(&chain.Header{Number: big.NewInt(10)}, &chain.Attestation{Validator: 1}), "a signature has no place here")
}
