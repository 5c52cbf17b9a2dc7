package sealed

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/flynn/noise"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// side is an end of a connection. Its value is part of what is signed.
type side byte

const (
	dialler  side = 1
	listener side = 2
)

func (s side) other() side { return dialler + listener - s }

// signed begins what a node's key signs in a handshake, and nothing else that it signs.
const signed = "jialing peer channel\x00"

const (
	// lengthBytes stand before each message and record.
	lengthBytes = 2
	// maxMessage bounds a message of the handshake: two public keys of at most maxField, a payload of two such fields and the multiplexers, tags and
	// lengths fit.
	maxMessage = 1024
	// readBuffer spares a system call between a record's length and a small body.
	readBuffer = 4096
)

// ErrHandshake is wrapped by every refusal of a peer that has not proven to be who it says, or whose messages were altered on their way.
var ErrHandshake = errors.New("peer channel refused")

// handshake is one connection's.
type handshake struct {
	t    *Transport
	conn net.Conn
	in   *bufio.Reader
	us   side
	want peer.ID // "": whoever it is

	static noise.DHKey
	state  *noise.HandshakeState
	buf    []byte

	peer     crypto.PublicKey // proven
	muxer    protocol.ID
	out, inc *noise.CipherState
}

// newHandshake draws the static key. Noise's pattern wants one that lasts or is authenticated otherwise: here it lives as long as the connection, so
// that nothing has to be kept, and the node's key vouches for it.
func newHandshake(t *Transport, conn net.Conn, want peer.ID, us side) (*handshake, error) {
	h := &handshake{t: t, conn: conn, in: bufio.NewReaderSize(conn, readBuffer), us: us, want: want, buf: make([]byte, 0, lengthBytes+maxMessage)}
	var err error
	if h.static, err = t.noise.GenerateKeypair(rand.Reader); err != nil {
		return nil, err
	}
	h.state, err = noise.NewHandshakeState(noise.Config{
		CipherSuite: t.noise, Pattern: noise.HandshakeXX, Initiator: us == dialler, StaticKeypair: h.static, Random: rand.Reader,
		// The only channel that either side offers: who was made to negotiate another one does not get through.
		Prologue: []byte(t.id),
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// run exchanges the three messages.
func (h *handshake) run() error {
	if h.us == listener {
		return h.listen()
	}
	if err := h.send(nil); err != nil {
		return err
	}
	if err := h.receiveProof(); err != nil {
		return err
	}
	return h.sendProof()
}

func (h *handshake) listen() error {
	first, err := h.receive()
	if err != nil {
		return err
	}
	if len(first) > 0 {
		return fmt.Errorf("%w: the first message says more than a key", ErrHandshake)
	}
	if err := h.sendProof(); err != nil {
		return err
	}
	return h.receiveProof()
}

// channel is the connection after run has succeeded.
func (h *handshake) channel() *Conn {
	return newConn(h)
}

// toSign is what binds a side's static key to this connection: so is the hash of everything said so far. It must be taken before the message that
// carries the signature.
func (h *handshake) toSign(who side, said, static []byte) []byte {
	return slices.Concat([]byte(signed), []byte(h.t.id), []byte{byte(who)}, said, static)
}

// said is the hash of the handshake up to here. The library calls it a channel binding, which it is at the end.
func (h *handshake) said() []byte { return bytes.Clone(h.state.ChannelBinding()) }

func (h *handshake) sendProof() error {
	signature, err := h.t.key.Sign(h.toSign(h.us, h.said(), h.static.Public))
	if err != nil {
		return fmt.Errorf("sign the handshake: %w", err)
	}
	p := payload{key: h.t.self, signature: signature, muxers: h.t.muxers}
	return h.send(p.encode())
}

func (h *handshake) receiveProof() error {
	said := h.said()
	b, err := h.receive()
	if err != nil {
		return err
	}
	p, err := decodePayload(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	key, err := h.t.suite.ParsePublicKey(p.key)
	if err != nil {
		return fmt.Errorf("%w: peer's key: %w", ErrHandshake, err)
	}
	if h.want != "" && h.want != Name(p.key) {
		return sec.ErrPeerIDMismatch{Expected: h.want, Actual: Name(p.key)}
	}
	if err := key.Verify(h.toSign(h.us.other(), said, h.state.PeerStatic()), p.signature); err != nil {
		return fmt.Errorf("%w: peer does not prove its key: %w", ErrHandshake, err)
	}
	h.peer = key
	return h.chooseMuxer(p.muxers)
}

// chooseMuxer takes the dialler's first that the listener knows, at both ends.
func (h *handshake) chooseMuxer(theirs []protocol.ID) error {
	first, second := h.t.muxers, theirs
	if h.us == listener {
		first, second = theirs, h.t.muxers
	}
	for _, m := range first {
		if slices.Contains(second, m) {
			h.muxer = m
			return nil
		}
	}
	return fmt.Errorf("%w: no stream multiplexer that both sides know", ErrHandshake)
}

// send writes the next message.
func (h *handshake) send(payload []byte) error {
	b, first, second, err := h.state.WriteMessage(h.buf[:lengthBytes], payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if len(b)-lengthBytes > maxMessage {
		return fmt.Errorf("handshake message of %d bytes, more than %d", len(b)-lengthBytes, maxMessage)
	}
	binary.BigEndian.PutUint16(b, uint16(len(b)-lengthBytes))
	h.finish(first, second)
	if _, err := h.conn.Write(b); err != nil {
		return fmt.Errorf("send handshake: %w", err)
	}
	return nil
}

// receive reads the next message and returns its payload.
func (h *handshake) receive() ([]byte, error) {
	var head [lengthBytes]byte
	if _, err := io.ReadFull(h.in, head[:]); err != nil {
		return nil, fmt.Errorf("receive handshake: %w", err)
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > maxMessage {
		return nil, fmt.Errorf("%w: message of %d bytes, more than %d", ErrHandshake, n, maxMessage)
	}
	msg := h.buf[:n]
	if _, err := io.ReadFull(h.in, msg); err != nil {
		return nil, fmt.Errorf("receive handshake: %w", err)
	}
	payload, first, second, err := h.state.ReadMessage(nil, msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	h.finish(first, second)
	return payload, nil
}

// finish keeps the ciphers that the last message gives: the first is the dialler's to write with.
func (h *handshake) finish(first, second *noise.CipherState) {
	if h.us == dialler {
		h.out, h.inc = first, second
	} else {
		h.out, h.inc = second, first
	}
	if first != nil {
		clear(h.static.Private) // the ephemeral one is the library's, and garbage soon
	}
}
