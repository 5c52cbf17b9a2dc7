package serve

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// limitedListener answers 503 when all slots are taken and closes, rather than let clients hang in the kernel's queue.
type limitedListener struct {
	net.Listener
	slots   chan struct{}
	refused prometheus.Counter
	// silent: the clients speak TLS, so an answer in plain text says nothing to them.
	silent bool
	// leaving bounds the refused connections that are let to read their answer.
	leaving chan struct{}
	left    sync.WaitGroup
}

const busyResponse = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 43\r\n\r\n" +
	"too many connections (see max_connections)\n"

// maxLeaving is how many refused connections are seen off at once, for leaveTime at most each; beyond it they are cut.
const (
	maxLeaving = 64
	leaveTime  = time.Second
)

func newLimitedListener(l net.Listener, slots chan struct{}, refused prometheus.Counter) *limitedListener {
	return &limitedListener{Listener: l, slots: slots, refused: refused, leaving: make(chan struct{}, maxLeaving)}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
		}
		l.refused.Inc()
		if l.silent {
			conn.Close()
			continue
		}
		select {
		case l.leaving <- struct{}{}:
			l.left.Go(func() {
				seeOff(conn)
				<-l.leaving
			})
		default:
			conn.Close()
		}
	}
}

// seeOff answers a refused connection: after its request's header, as HTTP clients take no answer before they have asked, and not closing
// before the client does, for the reason that linger gives.
func seeOff(conn net.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(leaveTime)) != nil {
		return
	}
	r := bufio.NewReader(io.LimitReader(conn, lingerBytes))
	for blank := false; !blank; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return // no header, or one with a line beyond the reader's buffer
		}
		blank = len(bytes.TrimRight(line, "\r\n")) == 0
	}
	if _, err := conn.Write([]byte(busyResponse)); err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, r)
	}
}

// Close implements net.Listener. It returns when all refused connections are gone.
func (l *limitedListener) Close() error {
	err := l.Listener.Close()
	l.left.Wait()
	return err
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}

// budget is a number of bytes that all requests and answers share. It never waits: a client that sends slowly could make others wait for ever.
type budget struct{ free atomic.Int64 }

func newBudget(n int64) *budget {
	b := new(budget)
	b.free.Store(n)
	return b
}

func (b *budget) take(n int64) bool {
	if b.free.Add(-n) < 0 {
		b.free.Add(n)
		return false
	}
	return true
}

func (b *budget) put(n int64) { b.free.Add(n) }

// Errors of reading a message.
var (
	errTooLarge = errors.New("request too large")
	errBusy     = errors.New("server is busy: requests and answers fill its memory budget (see max_buffered_bytes), try again")
)

// freeBytes of a message are read without asking the budget: they are counted in MaxConnections.
const freeBytes = 64 << 10

// message is one request's bytes with what it took from the budget.
type message struct {
	buf   bytes.Buffer
	taken int64
	from  *budget
}

var messages = sync.Pool{New: func() any { return new(message) }}

// keptBytes is the largest buffer that goes back to the pool: larger ones are rare and would stay for ever.
const keptBytes = 1 << 20

// readMessage reads r to its end, at most limit bytes. The caller releases the message when nothing points into it any more.
func readMessage(r io.Reader, limit int, from *budget) (*message, error) {
	m := messages.Get().(*message)
	m.from = from
	for {
		if m.buf.Len()+bytes.MinRead > m.buf.Cap() && m.buf.Cap() >= freeBytes {
			// Growing doubles, so this is what the next buffer costs beyond the one held.
			if n := int64(m.buf.Cap()); from.take(n) {
				m.taken += n
			} else {
				m.release()
				return nil, errBusy
			}
		}
		m.buf.Grow(bytes.MinRead)
		space := m.buf.AvailableBuffer()
		n, err := r.Read(space[:cap(space)])
		m.buf.Write(space[:n])
		if m.buf.Len() > limit {
			m.release()
			return nil, errTooLarge
		}
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			m.release()
			return nil, err
		}
	}
}

func (m *message) bytes() []byte { return m.buf.Bytes() }

func (m *message) release() {
	m.from.put(m.taken)
	m.taken = 0
	if m.buf.Cap() > keptBytes {
		return
	}
	m.buf.Reset()
	messages.Put(m)
}
