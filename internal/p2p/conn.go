package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-yamux/v5"

	"github.com/jialing-chain/jialing/internal/chain"
)

// conn is a connection to a peer whose key it has proven. The book has at most one per peer; it starts when the book takes it and its goroutines have
// ended when done is closed.
type conn struct {
	net     *Network
	peer    chain.Peer
	inbound bool
	// wanted tells that the configuration names the address, whoever is there.
	wanted bool
	// address is what was dialled, or where the connection came from.
	address string
	mux     transport.CapableConn
	session *yamux.Session
	metered *meteredConn
	gate    *gate
	remote  hello
	// objection is what is wrong with the peer's certificates; shown holds those that were admitted last, a string.
	objection string
	shown     atomic.Value
	record    *record
	since     time.Time

	outboxes          map[string]*outbox
	asking, answering map[string]chan struct{}
	work              sync.WaitGroup // streams
	before            *conn          // the peer's previous connection, whose end run waits for; nil after that
	ready             chan struct{}  // closed when watchers know of the connection
	closing           chan struct{}  // closed by end
	done              chan struct{}

	mu      sync.Mutex
	cause   error
	code    network.ConnErrorCode
	streams map[string]*incoming
	unknown *bucket // streams for what is not spoken here
	again   map[string]chan struct{}
}

// way is how a connection came about.
type way int

const (
	fromPeer  way = iota // the peer dialled
	toPeer               // we dialled, a peer that we know by key
	toAddress            // we dialled an address of the configuration
)

// errEnded is returned by writers whose connection is no more.
var errEnded = errors.New("connection has ended")

// The codes with which a connection is ended, so that the peer can say why.
const (
	codeBye    network.ConnErrorCode = 0x100 + iota // this node is shutting down
	codeBanned                                      // the peer misbehaved
	codeTwice                                       // another connection takes this one's place
	codeRefused
	codeUncertified // its certificate lets the peer in no longer
)

// byeTime bounds how long the last frame may take: a peer that does not read is not waited for.
const byeTime = 300 * time.Millisecond

func (n *Network) newConn(mux transport.CapableConn, address string, how way) (*conn, error) {
	peer, err := peerOf(mux.RemotePublicKey())
	if err != nil {
		return nil, err
	}
	c := &conn{net: n, peer: peer, inbound: how == fromPeer, wanted: how == toAddress, address: address, mux: mux, since: n.now(),
		ready: make(chan struct{}), closing: make(chan struct{}), done: make(chan struct{}),
		outboxes: make(map[string]*outbox, len(n.protocols)), asking: make(map[string]chan struct{}), answering: make(map[string]chan struct{}),
		streams: make(map[string]*incoming), unknown: newBucket(unknownPerSecond, unknownBurst), again: make(map[string]chan struct{})}
	if !mux.As(&c.session) || !mux.As(&c.metered) {
		return nil, errors.New("connection is not multiplexed by ours")
	}
	c.gate = c.metered.gate
	for name, p := range n.protocols {
		c.outboxes[name] = newOutbox(c, p.protocol, p.traffic)
		c.again[name] = make(chan struct{}, 1)
	}
	for name, m := range n.methods {
		c.asking[name], c.answering[name] = make(chan struct{}, 2*m.method.Parallel), make(chan struct{}, m.method.Parallel)
	}
	return c, nil
}

// run carries the connection until it ends.
func (c *conn) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer close(c.done)
	if c.before != nil {
		<-c.before.done // a peer's messages are handled one at a time
		c.before = nil
	}
	for _, o := range c.outboxes {
		c.work.Go(func() { o.run(ctx) })
	}
	c.work.Go(func() {
		select {
		case <-c.ready:
			c.end(c.accept(ctx), codeRefused)
		case <-c.closing:
		}
	})
	select {
	case <-c.closing:
	case <-c.session.CloseChan():
		c.end(errEnded, codeRefused) // accept, if it has started, knows better and comes first or not; see ending
	}
	c.net.book.leave(c)
	cancel()
	c.mu.Lock()
	code := c.code
	c.mu.Unlock()
	c.hangUp(code)
	c.work.Wait()
}

// hangUp tells the peer why and closes when it has heard it, or after byeTime. A socket that is closed while there is something to read resets the
// connection, and what the peer has not read by then is lost to it: so reading goes on until the peer closes.
func (c *conn) hangUp(code network.ConnErrorCode) {
	c.gate.close()
	slow := time.AfterFunc(byeTime, func() { _ = c.metered.Conn.Close() })
	defer slow.Stop()
	c.metered.lingers.Store(true)
	_ = c.mux.CloseWithError(code)
	_ = c.metered.Conn.Close()
}

// end closes the connection; the first cause is the one that is told. It does not wait.
func (c *conn) end(cause error, code network.ConnErrorCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause, c.code = cause, code
	close(c.closing)
}

func (c *conn) ended() bool {
	select {
	case <-c.closing:
		return true
	default:
		return c.session.IsClosed()
	}
}

// ending says in words why the connection ended.
func (c *conn) ending() string {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	if errors.Is(cause, errEnded) { // the session ended before anything else was known: ask it
		_, cause = c.mux.AcceptStream()
	}
	var gone *network.ConnError
	if errors.As(cause, &gone) && gone.Remote {
		switch gone.ErrorCode {
		case codeBye:
			return "peer is shutting down"
		case codeBanned:
			return "peer has banned this node"
		case codeTwice:
			return "peer prefers another connection"
		case codeUncertified:
			return "peer no longer accepts this node's certificate"
		}
		return "closed by the peer"
	}
	switch {
	case errors.Is(cause, yamux.ErrKeepAliveTimeout), errors.Is(cause, yamux.ErrConnectionWriteTimeout), errors.Is(cause, syscall.ETIMEDOUT):
		return fmt.Sprintf("peer did not answer for %v", c.net.cfg.DeadAfter)
	case errors.Is(cause, io.EOF), errors.Is(cause, syscall.ECONNRESET), errors.Is(cause, syscall.EPIPE), errors.Is(cause, net.ErrClosed):
		return "connection was closed at the other end"
	case cause == nil:
		return "unknown"
	}
	return cause.Error()
}

// write writes parts to a stream in pieces that take their turn. Small parts go together.
func (c *conn) write(priority int, stream io.Writer, parts ...[]byte) error {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	piece := (*buf)[:0]
	send := func(b []byte) error {
		epoch, ok := c.gate.enter(priority)
		if !ok {
			return errEnded
		}
		n, err := stream.Write(b)
		c.gate.leave(epoch, n)
		return err
	}
	for _, part := range parts {
		for len(part) > 0 {
			n := min(len(part), pieceBytes-len(piece))
			piece, part = append(piece, part[:n]...), part[n:]
			if len(piece) == pieceBytes {
				if err := send(piece); err != nil {
					return err
				}
				piece = piece[:0]
			}
		}
	}
	if len(piece) > 0 {
		return send(piece)
	}
	return nil
}

// reopen rings when a refused stream is worth another try before its pause is over.
func (c *conn) reopen(protocol string) <-chan struct{} { return c.again[protocol] }

// retry rings reopen for the protocols of members.
func (c *conn) retry() {
	for name, ring := range c.again {
		if c.net.protocols[name].protocol.MembersOnly {
			select {
			case ring <- struct{}{}:
			default:
			}
		}
	}
}

// alive asks the peer and waits for the answer, at most within.
func (c *conn) alive(within time.Duration) bool {
	answered := make(chan bool, 1)
	go func() { // ends with the session, or by its own time-out
		_, err := c.session.Ping()
		answered <- err == nil
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case ok := <-answered:
		return ok
	case <-timer.C:
		return false
	case <-c.closing:
		return false
	}
}
