package sealed

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
)

// upgradeTime is what a handshake may take in the tests; those in a synctest bubble do not wait for it.
const upgradeTime = 10 * time.Second

var mux = []protocol.ID{"/yamux/1.0.0"}

func newKey(t testing.TB) crypto.PrivateKey {
	key, err := gm.Suite{}.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func newTransport(t testing.TB, key crypto.PrivateKey) *Transport {
	tr, err := New(gm.Suite{}, key, mux)
	require.NoError(t, err)
	return tr
}

func (t *Transport) name() peer.ID { return Name(t.self) }

// end is how a handshake went for one side.
type end struct {
	conn *Conn
	err  error
}

// meet runs a handshake through a relay that hands the nth message of the three, length included, to alter. want is whom the dialler asks for.
func meet(a, b *Transport, want peer.ID, alter func(n int, msg []byte) []byte) (dialled, listened end) {
	near, nearRelay := net.Pipe()
	farRelay, far := net.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), upgradeTime)
	defer cancel()
	relayed := make(chan struct{}, 2)
	relay := func(from, to net.Conn, numbers []int) {
		defer func() { relayed <- struct{}{} }()
		defer to.Close()
		defer from.Close()
		for _, n := range numbers {
			msg, err := readMessage(from)
			if err != nil {
				return
			}
			if alter != nil {
				msg = alter(n, msg)
			}
			if _, err := to.Write(msg); err != nil {
				return
			}
		}
		_, _ = io.Copy(to, from)
	}
	go relay(nearRelay, farRelay, []int{1, 3})
	go relay(farRelay, nearRelay, []int{2})
	done := make(chan end, 1)
	go func() {
		c, err := b.SecureInbound(ctx, far, "")
		done <- ended(c, err)
	}()
	c, err := a.SecureOutbound(ctx, near, want)
	dialled, listened = ended(c, err), <-done
	if dialled.err != nil || listened.err != nil {
		for _, c := range []net.Conn{near, far, nearRelay, farRelay} {
			c.Close()
		}
		<-relayed
		<-relayed
	}
	return dialled, listened
}

func ended(c any, err error) end {
	conn, _ := c.(*Conn)
	return end{conn, err}
}

// readMessage reads a message or record with its length.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, lengthBytes)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	msg := append(head, make([]byte, binary.BigEndian.Uint16(head))...)
	_, err := io.ReadFull(r, msg[lengthBytes:])
	return msg, err
}

// channels are the two ends of an established channel on a pipe.
func channels(t testing.TB, every uint64) (a, b *Conn) {
	ta, tb := newTransport(t, newKey(t)), newTransport(t, newKey(t))
	ta.rekeyEvery, tb.rekeyEvery = every, every
	near, far := net.Pipe()
	done := make(chan end, 1)
	go func() {
		c, err := tb.SecureInbound(context.Background(), far, ta.name())
		done <- ended(c, err)
	}()
	c, err := ta.SecureOutbound(context.Background(), near, tb.name())
	require.NoError(t, err)
	other := <-done
	require.NoError(t, other.err)
	t.Cleanup(func() { near.Close(); far.Close() })
	return c.(*Conn), other.conn
}

// tape is a connection whose writes are kept and whose reads are what the test lays down.
type tape struct {
	net.Conn
	written []byte
	toRead  []byte
	end     error // after toRead
	broken  error // of writes
	closed  bool
}

func (c *tape) Write(b []byte) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	c.written = append(c.written, b...)
	return len(b), nil
}

func (c *tape) Read(b []byte) (int, error) {
	if len(c.toRead) == 0 {
		return 0, c.end
	}
	n := copy(b, c.toRead)
	c.toRead = c.toRead[n:]
	return n, nil
}

func (c *tape) Close() error {
	c.closed = true
	return nil
}

// onTape puts both ends of an established channel on tapes: what a writes, b can be given to read.
func onTape(t testing.TB, every uint64) (a, b *Conn, written, read *tape) {
	a, b = channels(t, every)
	written, read = &tape{Conn: a.Conn, end: io.EOF}, &tape{Conn: b.Conn, end: io.EOF}
	a.Conn, b.Conn = written, read
	b.in.Reset(read)
	return a, b, written, read
}
