package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/jialing-chain/jialing/internal/chain"
)

// ErrNotConnected is returned by Request for a peer that is not connected.
var ErrNotConnected = errors.New("peer is not connected")

// RemoteError is a peer's answer that it could not do what it was asked.
type RemoteError string

// Error is the peer's text, of at most maxErrorText printable characters.
func (e RemoteError) Error() string { return "peer answers: " + string(e) }

const (
	maxErrorText = 200
	// A response is a frame whose first byte says what follows.
	responseOK     = 0
	responseFailed = 1
)

// Request asks a peer and waits for the answer.
func (n *Network) Request(ctx context.Context, to chain.Peer, method string, request []byte) ([]byte, error) {
	m := n.methods[method]
	if m == nil {
		return nil, fmt.Errorf("method %s is not registered", method)
	}
	if len(request) > m.method.MaxRequest {
		return nil, fmt.Errorf("request %s of %d bytes: %w: %d", method, len(request), errTooLong, m.method.MaxRequest)
	}
	c := n.book.connected(to)
	if c == nil {
		return nil, fmt.Errorf("request %s: %w", method, ErrNotConnected)
	}
	ctx, cancel := context.WithTimeout(ctx, m.method.Timeout)
	defer cancel()
	// As many as the peer answers at a time, and as many on their way; more would hold streams there for nothing.
	asking := c.asking[method]
	select {
	case asking <- struct{}{}:
		defer func() { <-asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("request %s: %w", method, ctx.Err())
	case <-c.closing:
		return nil, fmt.Errorf("request %s: %w", method, ErrNotConnected)
	}
	response, err := c.ask(ctx, m, request)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // what the stream says is that we reset it
		} else if c.ended() {
			err = fmt.Errorf("%w any more: %w", ErrNotConnected, err)
		}
		return nil, fmt.Errorf("request %s: %w", method, err)
	}
	return response, nil
}

func (c *conn) ask(ctx context.Context, m *served, request []byte) ([]byte, error) {
	stream, err := c.mux.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer func() {
		stop()
		_ = stream.Reset()
	}()
	head := append(appendFrame(nil, []byte(requestName(c.net.id.Genesis, m.method.Name))), frameHead(len(request))...)
	if err := c.write(m.method.Priority, stream, head, request); err != nil {
		return nil, refusedText(err)
	}
	m.traffic.sent.Add(1)
	m.traffic.sentBytes.Add(uint64(len(request)))
	c.record.sent.Add(uint64(len(request)))
	response, err := readFrame(bufio.NewReaderSize(stream, readBuffer), 1+max(m.method.MaxResponse, maxErrorText))
	switch {
	case errors.Is(err, errTooLong):
		c.net.Report(c.peer, Misbehaviour, fmt.Sprintf("response to %s: %v", m.method.Name, err))
		return nil, err
	case err != nil:
		return nil, refusedText(err)
	case len(response) == 0:
		c.net.Report(c.peer, Misbehaviour, "empty response to "+m.method.Name)
		return nil, errors.New("empty response")
	}
	c.record.received.Add(uint64(len(response)))
	m.traffic.receivedBytes.Add(uint64(len(response)))
	if response[0] != responseOK {
		return nil, RemoteError(printable(response[1:min(len(response), 1+maxErrorText)]))
	}
	return response[1:], nil
}

// refusedText says in words why a stream was refused.
func refusedText(err error) error {
	var reset *network.StreamError
	if !errors.As(err, &reset) || !reset.Remote {
		return err
	}
	switch reset.ErrorCode {
	case codeUnknown:
		return errors.New("peer does not answer such requests")
	case codeTooLong:
		return errors.New("peer finds the request too long")
	}
	return errors.New("peer broke off")
}

// answer serves one request. Waiting for a place is part of its time, so that a peer that asks too much gets errors and not a growing backlog.
func (c *conn) answer(ctx context.Context, m *served, stream network.MuxedStream, r *bufio.Reader) {
	ctx, cancel := context.WithTimeout(ctx, m.method.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	_ = stream.SetDeadline(deadline)
	places := c.answering[m.method.Name]
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		_ = stream.Reset()
		return
	}
	request, err := readFrame(r, m.method.MaxRequest)
	if err != nil {
		_ = stream.ResetWithError(codeTooLong)
		c.fault(err, Misbehaviour, "request "+m.method.Name)
		return
	}
	m.traffic.received.Add(1)
	m.traffic.receivedBytes.Add(uint64(len(request)))
	c.record.received.Add(uint64(len(request)))
	response, err := m.responder(ctx, c.peer, request)
	if err == nil && len(response) > m.method.MaxResponse {
		err = fmt.Errorf("response of %d bytes: %w: %d", len(response), errTooLong, m.method.MaxResponse)
	}
	kind := byte(responseOK)
	if err != nil {
		kind = responseFailed
		response = []byte(err.Error())
		response = response[:min(len(response), maxErrorText)]
	}
	if err := c.write(m.method.Priority, stream, append(frameHead(1+len(response)), kind), response); err != nil {
		_ = stream.Reset()
		return
	}
	m.traffic.sentBytes.Add(uint64(len(response)))
	c.record.sent.Add(uint64(len(response)))
	_ = stream.Close()
}

// maxTimeout bounds Method.Timeout: a stream that is held longer is a leak.
const maxTimeout = 10 * time.Minute
