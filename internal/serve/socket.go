package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
)

// socket is one WebSocket connection. Its reader goroutine owns reading; every other goroutine of it ends before serveWebSocket returns.
type socket struct {
	server *Server
	conn   *websocket.Conn
	r      *http.Request
	caller *caller
	stop   context.CancelFunc
	// inFlight holds a token per running message.
	inFlight chan struct{}
	running  sync.WaitGroup
	// sends is the lane of transactions, see runSends, which owns out. Nil until the first.
	sends chan pendingSends
	out   []byte

	writing sync.Mutex // held by the one that writes a message

	mu    sync.Mutex
	feeds map[rpc.ID]context.CancelFunc
}

// serveWebSocket upgrades and serves until the connection or the server ends.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	who, err := s.access.identify(r)
	if err != nil {
		s.unauthorized(w, r, err)
		return
	}
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	s.metrics.sockets.Inc()
	defer s.metrics.sockets.Dec()
	ctx, stop := context.WithCancel(r.Context())
	c := &socket{server: s, conn: conn, r: r, caller: who, stop: stop, inFlight: make(chan struct{}, s.cfg.MaxInFlight), feeds: make(map[rpc.ID]context.CancelFunc)}
	c.running.Go(func() { c.ping(ctx) })
	// The reader waits in the socket: what ends the connection has to close it.
	unhook := context.AfterFunc(ctx, func() {
		c.close(websocket.CloseGoingAway, "the node is stopping") // unless another reason was given already
		conn.Close()
	})
	c.read(ctx)
	stop()
	unhook()
	conn.Close()
	c.running.Wait()
	c.dropSends()
}

// read takes messages until the connection ends.
func (c *socket) read(ctx context.Context) {
	// A frame header's worth above our own bound, so that readMessage names the limit; gorilla then only guards against lies.
	c.conn.SetReadLimit(int64(c.server.cfg.MaxRequestBytes) + 1)
	c.conn.SetPongHandler(func(string) error { return c.conn.SetReadDeadline(time.Now().Add(c.server.cfg.IdleTimeout)) })
	for {
		// Set anew each time: while messages wait for their turn nobody reads pongs.
		c.conn.SetReadDeadline(time.Now().Add(c.server.cfg.IdleTimeout))
		_, r, err := c.conn.NextReader()
		if err != nil {
			return
		}
		m, err := readMessage(r, c.server.cfg.MaxRequestBytes, c.server.buffered)
		switch {
		case errors.Is(err, errTooLarge), errors.Is(err, websocket.ErrReadLimit):
			c.server.metrics.refused.WithLabelValues("request_bytes").Inc()
			c.refuse(websocket.CloseMessageTooBig, "message exceeds max_request_bytes")
			return
		case errors.Is(err, errBusy):
			c.server.metrics.refused.WithLabelValues("buffered_bytes").Inc()
			c.refuse(websocket.CloseTryAgainLater, errBusy.Error())
			return
		case err != nil:
			return
		}
		if !c.handle(ctx, m) {
			return
		}
	}
}

// handle starts the work that m asks for and waits while too much of it runs. It owns m and reports whether to go on.
func (c *socket) handle(ctx context.Context, m *message) bool {
	if !c.welcome() {
		m.release()
		return false
	}
	if f, ok := c.server.sends(c.caller, m.bytes()); ok {
		if wait := c.server.takeSends(c.caller, &f); wait > 0 {
			all := scanFrame(m.bytes(), c.server.cfg.MaxBatchItems)
			c.write(answerAll(&all, limited(wait)))
			m.release()
			return true
		}
		if c.sends == nil {
			c.sends = make(chan pendingSends, c.server.cfg.MaxInFlight)
			c.running.Go(func() { c.runSends(ctx) })
		}
		select {
		case c.sends <- pendingSends{m, f}:
			return true
		case <-ctx.Done():
			m.release()
			return false
		}
	}
	if f := scanFrame(m.bytes(), c.server.cfg.MaxBatchItems); !f.tooMany && f.hasPubSub() {
		c.pubSub(ctx, &f, m.bytes())
		m.release()
		return true
	}
	select {
	case c.inFlight <- struct{}{}:
	case <-ctx.Done():
		m.release()
		return false
	}
	c.running.Go(func() {
		out, put, _ := c.server.dispatch(ctx, c.caller, c.r, m.bytes())
		m.release()
		if len(out) > 0 {
			c.write(out)
		}
		put()
		<-c.inFlight
	})
	return true
}

// welcome ends the connection of a caller who is no longer who it was: its token was revoked, or its certificate ended.
func (c *socket) welcome() bool {
	err := c.server.access.still(c.caller)
	if err != nil {
		c.server.metrics.unauthorized.WithLabelValues("ended").Inc()
		c.close(websocket.ClosePolicyViolation, err.Error())
	}
	return err == nil
}

// dropSends gives back what runSends did not come to.
func (c *socket) dropSends() {
	for {
		select {
		case p := <-c.sends:
			p.message.release()
		default:
			return
		}
	}
}

// write sends one message. When the client does not take it in time, the connection ends.
func (c *socket) write(b []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
	if c.conn.WriteMessage(websocket.TextMessage, b) != nil {
		c.stop()
	}
}

// lingerTime is how long a refused client may go on sending before its connection is cut.
const lingerTime = 5 * time.Second

// refuse ends the connection in the middle of a message. What is still coming is thrown away for the reason that linger gives.
func (c *socket) refuse(code int, reason string) {
	defer c.stop()
	deadline := time.Now().Add(lingerTime)
	if c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(controlTime)) == nil &&
		c.conn.SetReadDeadline(deadline) == nil {
		_, _ = io.Copy(io.Discard, c.conn.NetConn()) // ends with the client's close or the deadline
	}
}

// controlTime is what a close or ping frame gets to leave.
const controlTime = time.Second

// close tells the client why and ends the connection.
func (c *socket) close(code int, reason string) {
	c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason[:min(len(reason), 120)]), time.Now().Add(controlTime))
	c.stop()
}

// ping keeps the connection's silence apart from its death, and says goodbye when the server stops.
func (c *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(c.server.cfg.IdleTimeout / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.server.stopping:
			c.stop()
			return
		case <-ticker.C:
			if !c.welcome() { // one who only listens sends nothing that could be checked
				return
			}
			if c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(controlTime)) != nil {
				c.stop()
				return
			}
		}
	}
}
