package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// outbox is what waits for one peer in one protocol, and the goroutine that writes it. push is safe for concurrent use and never blocks.
type outbox struct {
	protocol Protocol
	conn     *conn
	traffic  *traffic
	wake     chan struct{} // holds one token when there may be work

	mu     sync.Mutex
	queue  [][]byte
	head   int // queue[:head] is gone
	bytes  int
	closed bool
}

const (
	// A peer that refuses a stream (not a member yet, or no longer) is asked again after reopenMin, later reopenMax: what waits meanwhile is at most
	// the queue.
	reopenMin = 250 * time.Millisecond
	reopenMax = 10 * time.Second
	// openTime bounds opening a stream, which waits only while the peer has not acknowledged its predecessors.
	openTime = 10 * time.Second
)

// pieces are buffers in which small messages are joined.
var pieces = sync.Pool{New: func() any { b := make([]byte, 0, pieceBytes); return &b }}

func newOutbox(c *conn, p Protocol, t *traffic) *outbox {
	return &outbox{protocol: p, conn: c, traffic: t, wake: make(chan struct{}, 1)}
}

// push queues msg; false when it does not fit or the connection has ended.
func (o *outbox) push(msg []byte) bool {
	o.mu.Lock()
	waiting := len(o.queue) - o.head
	if o.closed || len(msg) > o.protocol.MaxMessage || waiting >= o.protocol.QueueMessages || o.bytes+len(msg) > o.protocol.QueueBytes {
		o.mu.Unlock()
		o.lost(1)
		return false
	}
	if o.head > 64 && o.head > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.head:])
		clear(o.queue[n:])
		o.queue, o.head = o.queue[:n], 0
	}
	o.queue = append(o.queue, msg)
	o.bytes += len(msg)
	o.mu.Unlock()
	if waiting == 0 {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// run writes what is pushed until the connection ends.
func (o *outbox) run(ctx context.Context) {
	defer o.close()
	pause := reopenMin
	for o.wait(ctx) {
		began := time.Now()
		if !o.serve(ctx) {
			return
		}
		// The stream broke and the connection did not: the peer refused it.
		if time.Since(began) > reopenMax {
			pause = reopenMin
		}
		select {
		case <-ctx.Done():
			return
		case <-o.conn.reopen(o.protocol.Name):
			pause = reopenMin
		case <-time.After(pause):
			pause = min(2*pause, reopenMax)
		}
		o.again()
	}
}

// again makes wait return if there is anything.
func (o *outbox) again() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// wait waits for a message; false when the connection ends.
func (o *outbox) wait(ctx context.Context) bool {
	for {
		o.mu.Lock()
		work := o.head < len(o.queue)
		o.mu.Unlock()
		if work {
			return ctx.Err() == nil
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			return false
		}
	}
}

// serve opens a stream and writes to it until it breaks (true) or the connection ends (false).
func (o *outbox) serve(ctx context.Context) (broken bool) {
	opening, cancel := context.WithTimeout(ctx, openTime)
	stream, err := o.conn.mux.OpenStream(opening)
	cancel()
	if err != nil {
		return ctx.Err() == nil
	}
	defer stream.Reset()
	header := appendFrame(nil, []byte(streamName(o.conn.net.id.Genesis, o.protocol.Name)))
	for o.wait(ctx) {
		if err := o.write(stream, header); err != nil {
			return !errors.Is(err, errEnded) && ctx.Err() == nil
		}
		header = nil
	}
	return false
}

// write writes what is first in the queue: as many small messages as fit a piece, or a long one in pieces of its own.
func (o *outbox) write(stream network.MuxedStream, header []byte) error {
	epoch, ok := o.conn.gate.enter(o.protocol.Priority)
	if !ok {
		return errEnded
	}
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	// Taken only now: what came while others were writing goes along.
	piece, rest, messages, bytes := o.take(append((*buf)[:0], header...))
	n, err := stream.Write(piece)
	o.conn.gate.leave(epoch, n)
	for err == nil && len(rest) > 0 {
		if epoch, ok = o.conn.gate.enter(o.protocol.Priority); !ok {
			err = errEnded
			break
		}
		n, err = stream.Write(rest[:min(len(rest), pieceBytes)])
		o.conn.gate.leave(epoch, n)
		rest = rest[n:]
	}
	if err != nil {
		o.lost(messages)
		return err
	}
	o.traffic.sent.Add(uint64(messages))
	o.traffic.sentBytes.Add(uint64(bytes))
	o.conn.record.sent.Add(uint64(bytes))
	return nil
}

// take moves messages into piece while they fit. If not even the first one does, its beginning fills the piece and rest is what remains.
func (o *outbox) take(piece []byte) (_, rest []byte, messages, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.head < len(o.queue) {
		msg := o.queue[o.head]
		room := pieceBytes - len(piece) - binary.MaxVarintLen32
		if len(msg) > room && messages > 0 {
			break
		}
		o.queue[o.head] = nil
		o.head++
		o.bytes -= len(msg)
		messages++
		bytes += len(msg)
		if len(msg) > room {
			piece = append(binary.AppendUvarint(piece, uint64(len(msg))), msg[:room]...)
			rest = msg[room:]
			break
		}
		piece = appendFrame(piece, msg)
	}
	if o.head == len(o.queue) {
		o.queue, o.head = o.queue[:0], 0
		if cap(o.queue) > 4096 {
			o.queue = nil // a burst's memory does not stay
		}
	}
	return piece, rest, messages, bytes
}

// close drops what waits.
func (o *outbox) close() {
	o.mu.Lock()
	waiting := len(o.queue) - o.head
	o.queue, o.head, o.bytes, o.closed = nil, 0, 0, true
	o.mu.Unlock()
	o.lost(waiting)
}

func (o *outbox) lost(messages int) {
	o.traffic.dropped.Add(uint64(messages))
	o.conn.record.dropped.Add(uint64(messages))
}
