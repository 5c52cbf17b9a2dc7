package keys

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
	"github.com/jialing-chain/jialing/internal/crypto/sm2"
)

// card is a device whose owner can pull it. Its SM2 key signs a digest, as vendors' devices do.
type card struct {
	key    crypto.SecretKey
	scheme scheme
	pulled bool
	liar   bool
	closed int
}

var errPulled = errors.New("pulled")

func (c *card) Public() []byte { return c.key.Public().Bytes() }
func (c *card) Close() error   { c.closed++; return nil }

func (c *card) Sign(msg []byte) ([]byte, error) {
	if c.pulled {
		return nil, errPulled
	}
	input, err := c.scheme.input(c.Public(), msg)
	if err != nil {
		return nil, err
	}
	if c.liar {
		input = append([]byte("another: "), input...)
	}
	if _, ok := c.scheme.(sm2Scheme); ok {
		key, err := sm2.ParsePrivateKey(c.key.Bytes())
		if err != nil {
			return nil, err
		}
		return key.SignDigest(rand.Reader, [32]byte(input))
	}
	return c.key.Sign(input)
}

func TestDeviceIsPulledAndComesBack(t *testing.T) {
	for _, c := range []struct {
		suite  crypto.Suite
		scheme scheme
	}{{intl.Suite{}, (&Token{}).scheme()}, {gm.Suite{}, (&Token{SM2Mechanism: 0x80000001}).scheme()}} {
		t.Run(c.suite.Name(), func(t *testing.T) {
			secret, err := c.suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			d := &card{key: secret, scheme: c.scheme}
			key, err := NewDeviceKey(c.suite, secret.Public(), func() (Device, error) {
				if d.pulled {
					return nil, errPulled
				}
				return d, nil
			})
			require.NoError(t, err)
			sig, err := key.Sign([]byte("block"))
			require.NoError(t, err)
			require.NoError(t, secret.Public().Verify([]byte("block"), sig))

			d.pulled = true
			_, err = key.Sign([]byte("block"))
			require.ErrorIs(t, err, ErrDevice)
			require.Equal(t, 1, d.closed)
			_, err = key.Sign([]byte("block"))
			require.ErrorIs(t, err, ErrDevice)
			require.ErrorIs(t, key.Recover(), errPulled)

			d.pulled = false
			_, err = key.Sign([]byte("block"))
			require.ErrorIs(t, err, ErrDevice, "it signs again when that is asked for, not by itself")
			require.NoError(t, key.Recover())
			_, err = key.Sign([]byte("block"))
			require.NoError(t, err)

			require.NoError(t, key.Close())
			_, err = key.Sign([]byte("block"))
			require.ErrorIs(t, err, ErrDevice)
			require.NoError(t, key.Close())
		})
	}
}

func TestDeviceIsHeldToItsWord(t *testing.T) {
	suite := intl.Suite{}
	secret, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	other, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	d := &card{key: secret, scheme: edDSA{}}
	open := func() (Device, error) { return d, nil }
	_, err = NewDeviceKey(suite, other.Public(), open)
	require.ErrorContains(t, err, "another key than the one in node.key")
	_, err = NewDeviceKey(gm.Suite{}, nil, open)
	require.ErrorContains(t, err, `none of suite "gm"`)
	require.Equal(t, 2, d.closed)

	key, err := NewDeviceKey(suite, nil, open)
	require.NoError(t, err)
	require.Equal(t, secret.Public().Bytes(), key.Public().Bytes(), "whichever is there")
	d.liar = true
	_, err = key.Sign([]byte("block"))
	require.ErrorContains(t, err, "does not verify")
	require.ErrorIs(t, key.Recover(), ErrDevice, "the first signature shows it")
}

func TestPointsOfDevices(t *testing.T) {
	for _, c := range []struct {
		suite  crypto.Suite
		scheme scheme
		prefix []byte
	}{{intl.Suite{}, edDSA{}, nil}, {gm.Suite{}, sm2Scheme(1), []byte{4}}} {
		secret, err := c.suite.GenerateKey(rand.Reader)
		require.NoError(t, err)
		raw := append(c.prefix, secret.Public().Bytes()...)
		for _, point := range [][]byte{raw, append([]byte{4, byte(len(raw))}, raw...)} {
			public, err := c.scheme.public(point)
			require.NoError(t, err)
			require.Equal(t, secret.Public().Bytes(), public)
		}
		for _, bad := range [][]byte{nil, raw[1:], append([]byte{3, byte(len(raw))}, raw...), append([]byte{4, 9}, raw...)} {
			_, err := c.scheme.public(bad)
			require.Error(t, err)
		}
	}
	_, err := sm2Scheme(1).public(append([]byte{3}, make([]byte, 64)...))
	require.ErrorContains(t, err, "uncompressed")
}
