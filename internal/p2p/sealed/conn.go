package sealed

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/flynn/noise"
	libp2p "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// maxRecord is the longest message of Noise, tag included.
	maxRecord = 65535
	maxPlain  = maxRecord - overhead
	// rekeyEvery is after how many records a direction's key is replaced by the one that Noise derives from it (section 11.3), at both ends: 2^20 of
	// the longest are 2^32 blocks of 16 bytes, where an attacker's advantage against GCM is below 2^-64. Nonces go on counting.
	rekeyEvery = 1 << 20
)

// ErrRecord is wrapped by every refusal of a record: altered, cut short, out of order, or too many.
var ErrRecord = errors.New("peer channel broken")

// frames are buffers of one record and its length. An idle connection holds none.
var frames = sync.Pool{New: func() any { return new([lengthBytes + maxRecord]byte) }}

// Conn is an established channel. It is a net.Conn: one goroutine may read while another writes, deadlines and Close come from anywhere.
type Conn struct {
	net.Conn
	in         *bufio.Reader
	local      peer.ID
	remote     publicKey
	muxer      protocol.ID
	security   protocol.ID
	rekeyEvery uint64

	// The mutexes are held while the socket is read or written: records have an order, and whoever holds one is woken by a deadline or Close.

	reading sync.Mutex
	inc     *noise.CipherState
	got     int // of the record on its way, length included
	head    [lengthBytes]byte
	frame   *[lengthBytes + maxRecord]byte // holds the record on its way, or plain
	plain   []byte                         // opened and not read yet
	readErr error                          // final

	writing  sync.Mutex
	out      *noise.CipherState
	writeErr error // final
}

func newConn(h *handshake) *Conn {
	return &Conn{Conn: h.conn, in: h.in, local: Name(h.t.self), remote: publicKey{h.peer}, muxer: h.muxer, security: h.t.id, rekeyEvery: h.t.rekeyEvery,
		inc: h.inc, out: h.out}
}

// LocalPeer is this node's Name.
func (c *Conn) LocalPeer() peer.ID { return c.local }

// RemotePeer is the Name of the key that the peer has proven.
func (c *Conn) RemotePeer() peer.ID { return Name(c.remote.Bytes()) }

// RemotePublicKey is the key that the peer has proven.
func (c *Conn) RemotePublicKey() libp2p.PubKey { return c.remote }

// ConnState says what was negotiated.
func (c *Conn) ConnState() network.ConnectionState {
	return network.ConnectionState{StreamMultiplexer: c.muxer, Security: c.security, UsedEarlyMuxerNegotiation: true}
}

// Read implements io.Reader. io.EOF comes between records only. A deadline that passes leaves the connection as it was: reading goes on after it.
func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	if len(c.plain) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.plain)
	if c.plain = c.plain[n:]; len(c.plain) == 0 {
		c.release()
	}
	return n, nil
}

// Write implements io.Writer. Any error is final: a record was numbered, and perhaps half of it is on its way.
func (c *Conn) Write(b []byte) (written int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.writeErr != nil {
		return 0, c.writeErr
	}
	frame := frames.Get().(*[lengthBytes + maxRecord]byte)
	defer frames.Put(frame)
	for len(b) > 0 {
		piece := b[:min(len(b), maxPlain)]
		if err := c.writeRecord(frame, piece); err != nil {
			c.writeErr = err
			return written, err
		}
		written, b = written+len(piece), b[len(piece):]
	}
	return written, nil
}

func (c *Conn) writeRecord(frame *[lengthBytes + maxRecord]byte, piece []byte) error {
	record, err := c.out.Encrypt(frame[:lengthBytes], nil, piece)
	if err != nil { // the counter is at its end
		_ = c.Conn.Close()
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	c.turnKey(c.out)
	binary.BigEndian.PutUint16(record, uint16(len(record)-lengthBytes))
	_, err = c.Conn.Write(record)
	return err
}

// turnKey replaces a direction's key when it is time.
func (c *Conn) turnKey(s *noise.CipherState) {
	if s.Nonce()%c.rekeyEvery == 0 {
		s.Rekey()
	}
}

// next reads and opens a record. Called with reading held.
func (c *Conn) next() error {
	if c.readErr != nil {
		return c.readErr
	}
	err := c.readRecord()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	c.readErr = err
	c.release()
	if errors.Is(err, ErrRecord) {
		_ = c.Conn.Close() // whoever altered one would alter more
	}
	return err
}

// readRecord goes on where the last call was interrupted.
func (c *Conn) readRecord() error {
	for c.got < lengthBytes {
		if err := c.readInto(c.head[c.got:]); err != nil {
			return err
		}
	}
	size := int(binary.BigEndian.Uint16(c.head[:]))
	if size <= overhead {
		return fmt.Errorf("%w: record of %d bytes", ErrRecord, size)
	}
	if c.frame == nil {
		c.frame = frames.Get().(*[lengthBytes + maxRecord]byte)
	}
	for c.got < lengthBytes+size {
		if err := c.readInto(c.frame[c.got : lengthBytes+size]); err != nil {
			return err
		}
	}
	plain, err := c.inc.Decrypt(c.frame[lengthBytes:lengthBytes], nil, c.frame[lengthBytes:lengthBytes+size])
	if err != nil {
		return fmt.Errorf("%w: record cannot be opened: altered, or not in its order: %w", ErrRecord, err)
	}
	c.turnKey(c.inc)
	c.got, c.plain = 0, plain
	return nil
}

func (c *Conn) readInto(b []byte) error {
	n, err := c.in.Read(b)
	c.got += n
	if errors.Is(err, io.EOF) && c.got > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *Conn) release() {
	if c.frame != nil {
		frames.Put(c.frame)
		c.frame, c.plain = nil, nil
	}
}
