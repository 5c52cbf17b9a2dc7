package sealed

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"net"
	"testing"

	"github.com/emmansun/gmsm/ecdh"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
	"github.com/stretchr/testify/require"
)

// speaker is a dialler written down from the Noise specification, revision 34, on gmsm alone: the second opinion on what goes over the wire. Names are the
// specification's.
type speaker struct {
	t     *testing.T
	h, ck []byte
	k     []byte
	n     uint64
}

func digest(parts ...[]byte) []byte {
	h := sm3.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// hkdf2 is section 4.3's HKDF with two outputs.
func hkdf2(ck, input []byte) (one, two []byte) {
	mac := func(key []byte, parts ...[]byte) []byte {
		m := hmac.New(sm3.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	temp := mac(ck, input)
	one = mac(temp, []byte{1})
	return one, mac(temp, one, []byte{2})
}

// aead is SM4-GCM under the first half of k, the nonce four zero bytes and n.
func (s *speaker) aead(k []byte, n uint64) (cipher.AEAD, []byte) {
	block, err := sm4.NewCipher(k[:16])
	require.NoError(s.t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(s.t, err)
	return gcm, binary.BigEndian.AppendUint64(make([]byte, 4), n)
}

func (s *speaker) mixHash(b []byte) { s.h = digest(s.h, b) }
func (s *speaker) mixKey(b []byte)  { s.ck, s.k = hkdf2(s.ck, b); s.n = 0 }

func (s *speaker) encryptAndHash(plain []byte) []byte {
	gcm, nonce := s.aead(s.k, s.n)
	out := gcm.Seal(nil, nonce, plain, s.h)
	s.n++
	s.mixHash(out)
	return out
}

func (s *speaker) decryptAndHash(b []byte) []byte {
	gcm, nonce := s.aead(s.k, s.n)
	out, err := gcm.Open(nil, nonce, b, s.h)
	require.NoError(s.t, err)
	s.n++
	s.mixHash(b)
	return out
}

func (s *speaker) dh(private *ecdh.PrivateKey, public []byte) []byte {
	point, err := ecdh.P256().NewPublicKey(append([]byte{4}, public...))
	require.NoError(s.t, err)
	out, err := private.ECDH(point)
	require.NoError(s.t, err)
	return out
}

func (s *speaker) send(c net.Conn, msg []byte) {
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	require.NoError(s.t, err)
}

// TestSpecification talks to a listener by the words of the specification.
func TestSpecification(t *testing.T) {
	listener, key := newTransport(t, newKey(t)), newKey(t)
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan end, 1)
	go func() {
		c, err := listener.SecureInbound(context.Background(), far, "")
		done <- ended(c, err)
	}()
	s := &speaker{t: t}
	name := "Noise_XX_SM2_SM4GCM_SM3" // of 23 bytes: padded with zeros, not hashed
	s.h = append([]byte(name), make([]byte, sm3.Size-len(name))...)
	s.ck = s.h
	s.mixHash([]byte("/jialing/Noise_XX_SM2_SM4GCM_SM3/1"))
	e, err := ecdh.P256().GenerateKey(rand.Reader)
	require.NoError(t, err)
	static, err := ecdh.P256().GenerateKey(rand.Reader)
	require.NoError(t, err)

	// -> e
	s.mixHash(e.PublicKey().Bytes()[1:])
	s.mixHash(nil)
	s.send(near, e.PublicKey().Bytes()[1:])

	// <- e, ee, s, es
	saidBySecond := s.h
	msg, err := readMessage(near)
	require.NoError(t, err)
	msg = msg[lengthBytes:]
	re := msg[:64]
	s.mixHash(re)
	s.mixKey(s.dh(e, re))
	rs := s.decryptAndHash(msg[64 : 64+80])
	s.mixKey(s.dh(e, rs))
	p, err := decodePayload(s.decryptAndHash(msg[64+80:]))
	require.NoError(t, err)
	require.Equal(t, listener.self, p.key)
	require.NoError(t, listener.key.Public().Verify([]byte("jialing peer channel\x00/jialing/Noise_XX_SM2_SM4GCM_SM3/1\x02"+string(saidBySecond)+string(rs)), p.signature))

	// -> s, se
	public := static.PublicKey().Bytes()[1:]
	signature, err := key.Sign([]byte("jialing peer channel\x00/jialing/Noise_XX_SM2_SM4GCM_SM3/1\x01" + string(s.h) + string(public)))
	require.NoError(t, err)
	last := s.encryptAndHash(public)
	s.mixKey(s.dh(static, re))
	own := payload{key: key.Public().Bytes(), signature: signature, muxers: mux}
	s.send(near, append(last, s.encryptAndHash(own.encode())...))
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, Name(key.Public().Bytes()), got.conn.RemotePeer())

	// Split: one record each way.
	k1, k2 := hkdf2(s.ck, nil)
	gcm, nonce := s.aead(k1, 0)
	go s.send(near, gcm.Seal(nil, nonce, []byte("from the dialler"), nil))
	buf := make([]byte, 64)
	n, err := got.conn.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "from the dialler", string(buf[:n]))
	go func() { _, _ = got.conn.Write([]byte("from the listener")) }()
	record, err := readMessage(near)
	require.NoError(t, err)
	gcm, nonce = s.aead(k2, 0)
	plain, err := gcm.Open(nil, nonce, record[lengthBytes:], nil)
	require.NoError(t, err)
	require.Equal(t, "from the listener", string(plain))
}
