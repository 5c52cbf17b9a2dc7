package gm

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"

	gmsm "github.com/emmansun/gmsm/sm2"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// TestAgreement holds the function against the curve's own multiplication.
func TestAgreement(t *testing.T) {
	a := Suite{}.Channel().Agreement
	curve := gmsm.P256()
	for range 20 {
		private, public, err := a.GenerateKey(rand.Reader)
		require.NoError(t, err)
		require.Len(t, public, a.PublicSize())
		other, otherPublic, err := a.GenerateKey(rand.Reader)
		require.NoError(t, err)
		secret, err := a.Agree(private, otherPublic)
		require.NoError(t, err)
		same, err := a.Agree(other, public)
		require.NoError(t, err)
		require.Equal(t, secret, same)

		//lint:ignore SA1019 the deprecated functions are the second opinion
		x, _ := curve.ScalarMult(new(big.Int).SetBytes(otherPublic[:32]), new(big.Int).SetBytes(otherPublic[32:]), private)
		require.Equal(t, x.FillBytes(make([]byte, 32)), secret)
		// A pair for agreement is a pair for signatures, too.
		key, err := sm2.ParsePrivateKey(private)
		require.NoError(t, err)
		require.Equal(t, key.Public().Bytes(), public)
	}
}

func TestAgreementRefusesWhatIsNoKey(t *testing.T) {
	a := Suite{}.Channel().Agreement
	private, public, err := a.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for i := range public {
		off := bytes.Clone(public)
		off[i] ^= 1
		_, err := a.Agree(private, off)
		require.ErrorIs(t, err, sm2.ErrPublicKey, "byte %d", i)
	}
	for _, bad := range [][]byte{nil, public[:63], append(bytes.Clone(public), 0), make([]byte, 64), bytes.Repeat([]byte{0xff}, 64)} {
		_, err := a.Agree(private, bad)
		require.ErrorIs(t, err, sm2.ErrPublicKey, "%x", bad)
	}
	for _, bad := range [][]byte{nil, private[:31], make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)} {
		_, err := a.Agree(bad, public)
		require.Error(t, err, "%x", bad)
	}
}

func TestChannelName(t *testing.T) {
	require.Equal(t, "Noise_XX_SM2_SM4GCM_SM3", Suite{}.Channel().Protocol())
}
