package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// The codes with which a stream is refused.
const (
	codeUnknown   network.StreamErrorCode = 1 + iota // no such protocol or method here
	codeNotMember                                    // for members only
	codeTooLong                                      // a frame exceeded its bound
	codeReplaced                                     // a later stream of the same protocol took its place
)

const (
	// nameTime bounds how long a new stream may take to say what it is for.
	nameTime = 10 * time.Second
	// A peer may open streamsPerSecond in the long run, streamsBurst at once: some requests at a time to be answered in a millisecond each. Beyond
	// that accepting waits, then the multiplexer refuses.
	streamsPerSecond, streamsBurst = 1000, 2000
	// An honest peer tries a protocol that is not spoken here a few times a minute. More than unknownBurst at once is no version's difference.
	unknownPerSecond, unknownBurst = 1, 64
)

// incoming is the one stream per protocol that a peer may have open to us.
type incoming struct {
	stream network.MuxedStream
	done   chan struct{} // its reader has ended
}

// accept takes the peer's streams until the connection ends and says why it did.
func (c *conn) accept(ctx context.Context) error {
	pace := newBucket(streamsPerSecond, streamsBurst)
	for {
		stream, err := c.mux.AcceptStream()
		if err != nil {
			return err
		}
		c.work.Go(func() { c.take(ctx, stream) })
		if err := pace.spend(ctx, 1); err != nil {
			return err
		}
	}
}

// take finds out what a new stream is for.
func (c *conn) take(ctx context.Context, stream network.MuxedStream) {
	r := bufio.NewReaderSize(stream, readBuffer)
	_ = stream.SetReadDeadline(time.Now().Add(nameTime))
	name, err := readFrame(r, maxStreamName)
	if err != nil {
		if isTimeout(err) {
			c.net.Report(c.peer, Nuisance, "stream that does not say what it is for")
		}
		c.fault(err, Misbehaviour, "name of a stream")
		_ = stream.ResetWithError(codeUnknown) // last: who sees its stream end has been judged for it
		return
	}
	_ = stream.SetReadDeadline(time.Time{})
	if p := c.net.byStream[string(name)]; p != nil {
		c.receive(ctx, p, stream, r)
	} else if m := c.net.byRequest[string(name)]; m != nil {
		c.answer(ctx, m, stream, r)
	} else {
		offence := Nuisance // of a later version, perhaps
		c.mu.Lock()
		if !c.unknown.take(1) {
			offence = Misbehaviour
		}
		c.mu.Unlock()
		c.net.Report(c.peer, offence, fmt.Sprintf("stream for %q, which is not spoken here", printable(name)))
		_ = stream.ResetWithError(codeUnknown)
	}
}

// receive reads messages of a protocol and hands them over, one at a time.
func (c *conn) receive(ctx context.Context, p *spoken, stream network.MuxedStream, r *bufio.Reader) {
	in := &incoming{stream: stream, done: make(chan struct{})}
	defer close(in.done)
	if code := c.admit(p, in); code != 0 {
		_ = stream.ResetWithError(code)
		return
	}
	defer c.dismiss(p, in)
	pace := newBucket(p.protocol.BytesPerSecond, p.protocol.Burst)
	for {
		msg, err := readFrame(r, p.protocol.MaxMessage)
		if err != nil {
			c.fault(err, Misbehaviour, "protocol "+p.protocol.Name)
			_ = stream.ResetWithError(codeTooLong)
			return
		}
		if ctx.Err() != nil {
			return
		}
		p.traffic.received.Add(1)
		p.traffic.receivedBytes.Add(uint64(len(msg)))
		c.record.received.Add(uint64(len(msg)))
		p.handler(c.peer, msg)
		if p.protocol.BytesPerSecond > 0 {
			if pace.spend(ctx, len(msg)+messageCost) != nil {
				return
			}
		}
	}
}

// messageCost is what a message counts beside its bytes, so that empty ones are not free.
const messageCost = 32

// admit makes in the stream of its protocol, after the reader of an earlier one has ended: a peer's messages are handled one at a time.
func (c *conn) admit(p *spoken, in *incoming) (refused network.StreamErrorCode) {
	for {
		c.mu.Lock()
		earlier := c.streams[p.protocol.Name]
		if earlier == nil {
			c.streams[p.protocol.Name] = in
		}
		c.mu.Unlock()
		if earlier == nil {
			// Asked when expel can see the stream, so that no change of members falls between.
			if p.protocol.MembersOnly && !c.net.book.isMember(c.peer) {
				c.dismiss(p, in)
				return codeNotMember
			}
			return 0
		}
		_ = earlier.stream.ResetWithError(codeReplaced)
		<-earlier.done
	}
}

func (c *conn) dismiss(p *spoken, in *incoming) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[p.protocol.Name] == in {
		delete(c.streams, p.protocol.Name)
	}
}

// expel ends the streams that only members may have.
func (c *conn) expel() {
	c.mu.Lock()
	var out []*incoming
	for name, in := range c.streams {
		if c.net.protocols[name].protocol.MembersOnly {
			out = append(out, in)
		}
	}
	c.mu.Unlock()
	for _, in := range out {
		_ = in.stream.ResetWithError(codeNotMember)
	}
}

// fault judges an error of reading from the peer: ends and resets happen to everyone, anything else is the peer's doing.
func (c *conn) fault(err error, offence Offence, where string) {
	var reset *network.StreamError
	var gone *network.ConnError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, network.ErrReset), errors.As(err, &reset), errors.As(err, &gone):
		return
	case c.ended(), isTimeout(err):
		return
	}
	c.net.Report(c.peer, offence, fmt.Sprintf("%s: %v", where, err))
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// bucket paces a peer. It belongs to one goroutine. The zero bucket lets everything pass.
type bucket struct {
	perSecond, burst, have float64
	at                     time.Time
}

func newBucket(perSecond, burst int) *bucket {
	return &bucket{perSecond: float64(perSecond), burst: float64(burst), have: float64(burst), at: time.Now()}
}

// spend takes n and waits while more is taken than there was.
func (b *bucket) spend(ctx context.Context, n int) error {
	if b.perSecond == 0 {
		return nil
	}
	if b.take(n) {
		return nil
	}
	timer := time.NewTimer(time.Duration(-b.have / b.perSecond * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take takes n and reports whether there was as much. Debts are paid before anything else.
func (b *bucket) take(n int) bool {
	now := time.Now()
	b.have = min(b.burst, b.have+b.perSecond*now.Sub(b.at).Seconds())
	b.at = now
	b.have -= float64(n)
	return b.have >= 0
}
