package p2p

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The stream multiplexer takes frames of all streams into one queue of 64 places, first come first served: with every stream writing as it likes, a
// vote would wait behind megabytes of blocks. The gate stands before that queue. It lets few pieces in at a time and chooses who is next by priority.
const (
	// pieceBytes bounds what one write hands to the multiplexer: just less than its largest frame and than the largest record of the channel, so
	// that a piece is one frame, one record and one system call.
	pieceBytes = 65_000
	// gatePieces is how many pieces may be in the multiplexer: one on its way to the socket and one to follow without a pause. While they are
	// there, small messages gather and leave together.
	gatePieces = 2
	// gatePatience is when a writer that was let in and does not come back is taken to wait for its reader, and no longer holds up the others.
	// Handing over a piece takes microseconds otherwise.
	gatePatience = 3 * time.Millisecond
)

// gate orders the writers of one connection. Safe for concurrent use.
type gate struct {
	done chan struct{} // closed by close

	mu sync.Mutex
	// ends are the pieces in the multiplexer, each by the count of bytes after which it is out.
	ends [gatePieces]uint64
	held int
	// submitted and written count bytes into and out of the multiplexer; they differ by what is in it.
	submitted, written uint64
	// inside are writers that were let in and are not back yet. A new epoch forgets them.
	inside  int
	epoch   uint64
	waiting []*turn // in order of arrival
	timer   *time.Timer
	armed   bool
	closed  bool
}

// turn is a writer that waits for its priority's turn.
type turn struct {
	priority int
	admitted chan struct{}
	epoch    uint64
}

func newGate() *gate { return &gate{done: make(chan struct{})} }

// enter waits for the turn; false means that the connection has ended. After true the caller writes one piece and calls leave with the epoch.
func (g *gate) enter(priority int) (epoch uint64, ok bool) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return 0, false
	}
	if g.held+g.inside < gatePieces && len(g.waiting) == 0 {
		g.inside++
		epoch = g.epoch
		g.mu.Unlock()
		return epoch, true
	}
	t := &turn{priority: priority, admitted: make(chan struct{})}
	g.waiting = append(g.waiting, t)
	g.watchInside()
	g.mu.Unlock()
	select {
	case <-t.admitted:
		return t.epoch, true
	case <-g.done:
		return 0, false
	}
}

// leave tells that n bytes were handed to the multiplexer.
func (g *gate) leave(epoch uint64, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if epoch == g.epoch {
		g.inside--
	}
	g.submitted += uint64(n)
	if n > 0 && g.submitted > g.written {
		if g.held == len(g.ends) { // more were let in than there are places: those of a forgotten epoch came back
			g.ends[g.held-1] = g.submitted
		} else {
			g.ends[g.held] = g.submitted
			g.held++
		}
	}
	g.admit()
}

// out tells that n bytes left the multiplexer.
func (g *gate) out(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.written += uint64(n)
	gone := 0
	for gone < g.held && g.ends[gone] <= g.written {
		gone++
	}
	if gone > 0 {
		copy(g.ends[:], g.ends[gone:g.held])
		g.held -= gone
		g.admit()
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
	close(g.done)
}

// admit lets in who is next. Called with mu held.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.held+g.inside < gatePieces {
		best := 0
		for i, t := range g.waiting {
			if t.priority < g.waiting[best].priority {
				best = i
			}
		}
		t := g.waiting[best]
		g.waiting = append(g.waiting[:best], g.waiting[best+1:]...)
		g.inside++
		t.epoch = g.epoch
		close(t.admitted)
	}
	g.watchInside()
}

// watchInside starts the patience with those inside while somebody waits for them. Called with mu held.
func (g *gate) watchInside() {
	if len(g.waiting) == 0 || g.inside == 0 || g.armed || g.closed {
		return
	}
	g.armed = true
	if g.timer == nil {
		g.timer = time.AfterFunc(gatePatience, g.forget)
	} else {
		g.timer.Reset(gatePatience)
	}
}

// forget no longer waits for who is inside.
func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = false
	if g.closed || g.inside == 0 || len(g.waiting) == 0 {
		return
	}
	g.epoch++
	g.inside = 0
	g.admit()
}

// meteredConn counts what the multiplexer has written, frame by frame, for its gate.
type meteredConn struct {
	net.Conn
	gate *gate
	// lingers makes Close leave the socket open for what the peer still has to read; whoever sets it closes Conn.
	lingers atomic.Bool
}

// muxHeader is the length of a frame's header, muxData the type of those that carry a stream's bytes.
const (
	muxHeader = 12
	muxData   = 0
)

// Write takes exactly one frame: the multiplexer hands over header and body together.
func (c *meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) > muxHeader && b[1] == muxData {
		c.gate.out(len(b) - muxHeader)
	}
	return n, err
}

// Close closes the socket, or ends reading soon where the connection lingers.
func (c *meteredConn) Close() error {
	if c.lingers.Load() {
		return c.Conn.SetReadDeadline(time.Now().Add(byeTime))
	}
	return c.Conn.Close()
}
