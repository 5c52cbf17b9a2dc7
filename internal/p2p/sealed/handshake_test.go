package sealed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

func TestHandshake(t *testing.T) {
	a, b := newTransport(t, newKey(t)), newTransport(t, newKey(t))
	require.EqualValues(t, "/jialing/Noise_XX_SM2_SM4GCM_SM3/1", a.ID())
	for _, want := range []peer.ID{b.name(), ""} {
		x, y := meet(a, b, want, nil)
		require.NoError(t, x.err)
		require.NoError(t, y.err)
		for _, c := range []struct {
			conn        *Conn
			self, other *Transport
		}{{x.conn, a, b}, {y.conn, b, a}} {
			require.Equal(t, c.self.name(), c.conn.LocalPeer())
			require.Equal(t, c.other.name(), c.conn.RemotePeer())
			raw, err := c.conn.RemotePublicKey().Raw()
			require.NoError(t, err)
			require.Equal(t, c.other.self, raw)
			require.Equal(t, network.ConnectionState{StreamMultiplexer: mux[0], Security: a.ID(), UsedEarlyMuxerNegotiation: true}, c.conn.ConnState())
		}
		go func() { _, _ = x.conn.Write([]byte("hello")) }()
		got := make([]byte, 5)
		_, err := io.ReadFull(y.conn, got)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		require.NoError(t, x.conn.Close())
		_, err = y.conn.Read(got)
		require.ErrorIs(t, err, io.EOF)
	}
}

// TestEveryByte alters each byte of each message on its way: the listener never takes such a dialler, and the dialler notices at once or by the
// listener's hanging up.
func TestEveryByte(t *testing.T) {
	a, b := newTransport(t, newKey(t)), newTransport(t, newKey(t))
	var sizes [4]int
	x, y := meet(a, b, b.name(), func(n int, msg []byte) []byte {
		sizes[n] = len(msg)
		return msg
	})
	require.NoError(t, errors.Join(x.err, y.err))
	x.conn.Close()
	for n := 1; n <= 3; n++ {
		require.Greater(t, sizes[n], 64)
		for at := range sizes[n] {
			synctest.Test(t, func(t *testing.T) { // a length that claims more waits for the end of the time
				x, y := meet(a, b, b.name(), func(which int, msg []byte) []byte {
					if which == n {
						msg[at] ^= byte(1 << (at % 8))
					}
					return msg
				})
				require.Error(t, y.err, "message %d, byte %d", n, at)
				if n < 3 {
					require.Error(t, x.err, "message %d, byte %d", n, at)
				} else if x.err == nil {
					_, err := x.conn.Read(make([]byte, 1))
					require.Error(t, err, "byte %d", at)
				}
			})
		}
	}
}

// TestReplay: messages of an earlier connection get nobody in.
func TestReplay(t *testing.T) {
	a, b := newTransport(t, newKey(t)), newTransport(t, newKey(t))
	var recorded [4][]byte
	x, y := meet(a, b, b.name(), func(n int, msg []byte) []byte {
		recorded[n] = bytes.Clone(msg)
		return msg
	})
	require.NoError(t, errors.Join(x.err, y.err))
	x.conn.Close()

	// To the listener, as the dialler: it answers anew, and the recorded proof does not fit.
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan error, 1)
	go func() {
		_, err := b.SecureInbound(context.Background(), far, "")
		done <- err
	}()
	_, err := near.Write(recorded[1])
	require.NoError(t, err)
	answer, err := readMessage(near)
	require.NoError(t, err)
	require.NotEqual(t, recorded[2], answer)
	_, err = near.Write(recorded[3])
	require.NoError(t, err)
	require.ErrorIs(t, <-done, ErrHandshake)

	// To the dialler, as the listener; and the dialler's second message alone as an answer, and its own first one.
	for _, n := range []int{2, 3, 1} {
		x, y := meet(a, b, b.name(), func(which int, msg []byte) []byte {
			if which == 2 {
				return recorded[n]
			}
			return msg
		})
		require.ErrorIs(t, x.err, ErrHandshake, "message %d", n)
		require.Error(t, y.err)
	}
}

// impostor shows a public key and signs by other means.
type impostor struct {
	public crypto.PublicKey
	sign   func(msg []byte) ([]byte, error)
}

func (k impostor) Public() crypto.PublicKey        { return k.public }
func (k impostor) Sign(msg []byte) ([]byte, error) { return k.sign(msg) }

// TestImpostor: who shows a key without having it is refused, in both places and with every kind of signature it may come by.
func TestImpostor(t *testing.T) {
	victim, own := newKey(t), newKey(t)
	honest := newTransport(t, newKey(t))
	var overheard []byte // a signature of the victim in another handshake with the same honest node
	eavesdropped := newTransport(t, impostor{victim.Public(), func(msg []byte) (_ []byte, err error) {
		overheard, err = victim.Sign(msg)
		return overheard, err
	}})
	x, y := meet(eavesdropped, honest, "", nil)
	require.NoError(t, errors.Join(x.err, y.err))
	x.conn.Close()
	for name, sign := range map[string]func([]byte) ([]byte, error){
		"own signature":     own.Sign,
		"overheard":         func([]byte) ([]byte, error) { return overheard, nil },
		"zeroes":            func([]byte) ([]byte, error) { return make([]byte, 64), nil },
		"none":              func([]byte) ([]byte, error) { return nil, nil },
		"longer":            func(msg []byte) ([]byte, error) { s, err := victim.Sign(msg); return append(s, 0), err },
		"the other side's":  func(msg []byte) ([]byte, error) { return victim.Sign(otherSide(honest, msg)) },
		"of something else": func(msg []byte) ([]byte, error) { return victim.Sign(msg[len(signed):]) },
	} {
		fake := newTransport(t, impostor{victim.Public(), sign})
		_, y := meet(fake, honest, "", nil)
		require.ErrorIs(t, y.err, ErrHandshake, name)
		require.ErrorIs(t, y.err, crypto.ErrSignature, name)
		require.ErrorContains(t, y.err, "peer does not prove its key", name)
		x, _ := meet(honest, fake, Name(victim.Public().Bytes()), nil)
		require.ErrorIs(t, x.err, crypto.ErrSignature, name)
	}
}

// otherSide is what the other side would sign in the same place.
func otherSide(t *Transport, msg []byte) []byte {
	out := bytes.Clone(msg)
	at := len(signed) + len(t.id)
	out[at] = byte(side(out[at]).other())
	return out
}

func TestWrongKey(t *testing.T) {
	a, b := newTransport(t, newKey(t)), newTransport(t, newKey(t))
	wanted := Name(newKey(t).Public().Bytes())
	x, y := meet(a, b, wanted, nil)
	var mismatch sec.ErrPeerIDMismatch
	require.ErrorAs(t, x.err, &mismatch)
	require.Equal(t, sec.ErrPeerIDMismatch{Expected: wanted, Actual: b.name()}, mismatch)
	require.Error(t, y.err, "the dialler does not say who it is to whom it did not ask for")

	near, far := net.Pipe()
	go func() { _, _ = a.SecureOutbound(context.Background(), near, b.name()) }()
	_, err := b.SecureInbound(context.Background(), far, wanted)
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, a.name(), mismatch.Actual)
}

// TestOtherProtocol: what was negotiated is part of the handshake, so a side that was made to believe otherwise does not get through.
func TestOtherProtocol(t *testing.T) {
	a, b := newTransport(t, newKey(t)), newTransport(t, newKey(t))
	a.id = "/jialing/Noise_XX_SM2_SM4GCM_SM3/0"
	x, y := meet(a, b, "", nil)
	require.ErrorIs(t, x.err, ErrHandshake)
	require.Error(t, y.err)
}

func TestMuxers(t *testing.T) {
	known := func(names ...protocol.ID) *Transport {
		tr, err := New(gm.Suite{}, newKey(t), names)
		require.NoError(t, err)
		return tr
	}
	x, y := meet(known("/a", "/b", "/c"), known("/c", "/b"), "", nil)
	require.NoError(t, errors.Join(x.err, y.err))
	require.EqualValues(t, "/b", x.conn.ConnState().StreamMultiplexer)
	require.EqualValues(t, "/b", y.conn.ConnState().StreamMultiplexer)
	x.conn.Close()
	x, y = meet(known("/a"), known("/b"), "", nil)
	require.ErrorContains(t, x.err, "no stream multiplexer that both sides know")
	require.Error(t, y.err)
}

func TestNew(t *testing.T) {
	_, err := New(intl.Suite{}, newKey(t), mux)
	require.ErrorIs(t, err, ErrIncomplete)
	_, err = New(gm.Suite{}, newKey(t), nil)
	require.Error(t, err)
	_, err = New(gm.Suite{}, newKey(t), make([]protocol.ID, maxMuxers+1))
	require.Error(t, err)
}

// TestSilence: a peer that says nothing, or half of something, is given up when the time is over.
func TestSilence(t *testing.T) {
	for _, said := range [][]byte{nil, {0}, {0, 64}, {0, 64, 1, 2, 3}} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			ctx, cancel := context.WithTimeout(t.Context(), upgradeTime)
			defer cancel()
			go func() { _, _ = near.Write(said) }()
			_, err := newTransport(t, newKey(t)).SecureInbound(ctx, far, "")
			require.ErrorIs(t, err, context.DeadlineExceeded, "%x", said)
			_, err = far.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.ErrClosedPipe)
		})
	}
}

// TestSignerFails: a device that does not sign is an error that says so.
func TestSignerFails(t *testing.T) {
	pulled := errors.New("the token was pulled")
	dead := newTransport(t, impostor{newKey(t).Public(), func([]byte) ([]byte, error) { return nil, pulled }})
	honest := newTransport(t, newKey(t))
	x, y := meet(dead, honest, "", nil)
	require.ErrorIs(t, x.err, pulled)
	require.Error(t, y.err)
	x, y = meet(honest, dead, "", nil)
	require.Error(t, x.err)
	require.ErrorIs(t, y.err, pulled)
}

func TestName(t *testing.T) {
	for _, key := range [][]byte{{1}, make([]byte, 32), make([]byte, 64), make([]byte, 200)} {
		back, err := KeyOf(Name(key))
		require.NoError(t, err)
		require.Equal(t, key, back)
	}
	for _, bad := range []peer.ID{"", "\x00", "\x00\x05abcd", "\x00\x03abcd", "\x12\x01a", "jialing: any peer"} {
		_, err := KeyOf(bad)
		require.Error(t, err, "%q", string(bad))
	}
	one, other := publicKey{newKey(t).Public()}, publicKey{newKey(t).Public()}
	require.True(t, one.Equals(one))
	require.False(t, one.Equals(other))
	ok, err := one.Verify([]byte("m"), make([]byte, 64))
	require.NoError(t, err)
	require.False(t, ok)
}

// FuzzListener: whatever a caller sends, the handshake ends with an error.
func FuzzListener(f *testing.F) {
	a, b := newTransport(f, newKey(f)), newTransport(f, newKey(f))
	var recorded []byte
	x, y := meet(a, b, "", func(n int, msg []byte) []byte {
		if n != 2 {
			recorded = append(recorded, msg...)
		}
		return msg
	})
	require.NoError(f, errors.Join(x.err, y.err))
	f.Add(recorded)
	f.Add(recorded[:66])
	f.Add([]byte{0, 0})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := b.SecureInbound(context.Background(), &tape{toRead: said, end: io.EOF}, "")
		require.Error(t, err)
		require.Nil(t, c)
	})
}

// FuzzPayload: what is taken is what would be written.
func FuzzPayload(f *testing.F) {
	whole := payload{key: make([]byte, 64), signature: make([]byte, 64), muxers: mux}
	f.Add(whole.encode())
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{0x80, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePayload(b)
		if err != nil {
			require.ErrorIs(t, err, errPayload)
			return
		}
		require.Equal(t, b, p.encode())
	})
}
