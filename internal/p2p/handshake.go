package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	manet "github.com/multiformats/go-multiaddr/net"
)

// refusal is the end of a handshake that one side did not want to go on.
type refusal struct {
	verdict verdict
	text    string
}

func (r *refusal) Error() string { return r.text }

// encode is what the peer is told; nil is welcome. It knows the words for a verdict itself and has its own for another chain; what is wrong with its
// certificate it must be told.
func (r *refusal) encode() []byte {
	if r == nil {
		return encodeVerdict(welcome, "")
	}
	if r.verdict == uncertified {
		return encodeVerdict(r.verdict, r.text)
	}
	return encodeVerdict(r.verdict, "")
}

// errReplaced is why a connection ends when both sides have dialled.
var errReplaced = errors.New("another connection to the same node is kept")

// askTime is how long a connected peer may take to show that it is alive when a second process appears with its key.
const askTime = 2 * time.Second

// greet exchanges hellos on a new connection. On success the connection is in the book and runs; otherwise it is closed.
//
// The dialler says hello, the listener answers with its own hello and verdict, the dialler with its verdict. So each side has judged the other, and
// knows what the other found, before either sends a message.
func (n *Network) greet(ctx context.Context, mux transport.CapableConn, address string, how way) (*conn, error) {
	c, err := n.newConn(mux, address, how)
	if err != nil {
		_ = mux.CloseWithError(codeRefused)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.metered.Conn.Close() })
	if c.inbound {
		err = n.answerHello(ctx, c, stop)
	} else {
		err = n.sayHello(ctx, c, stop)
	}
	if err != nil {
		stop()
		c.hangUp(codeRefused)
		return c, err
	}
	return c, nil
}

func (n *Network) sayHello(ctx context.Context, c *conn, inTime func() bool) error {
	stream, err := c.mux.OpenStream(ctx)
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	defer stream.Close() // not reset: that would throw away what the peer has not read yet
	if err := c.write(0, stream, appendFrame(appendFrame(nil, []byte(helloName)), n.ownHello())); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	r := bufio.NewReader(stream)
	if err := c.readHello(r); err != nil {
		return err
	}
	// Our own judgement comes first: it names the other chain.
	if err := n.refuse(c, n.judge(ctx, c, false)); err != nil {
		_ = c.write(0, stream, appendFrame(nil, err.encode()))
		return err
	}
	if err := n.readVerdict(c, r); err != nil {
		return err
	}
	ours := n.refuse(c, n.commit(ctx, c, inTime))
	if err := c.write(0, stream, appendFrame(nil, ours.encode())); err != nil && ours == nil {
		c.end(fmt.Errorf("hello: %w", err), codeRefused)
		return nil // it is in the book: it ends like any other
	}
	if ours != nil {
		return ours
	}
	return nil
}

func (n *Network) answerHello(ctx context.Context, c *conn, inTime func() bool) error {
	stream, err := c.mux.AcceptStream()
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	defer stream.Close() // not reset: that would throw away what the peer has not read yet
	r := bufio.NewReader(stream)
	name, err := readFrame(r, maxStreamName)
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if string(name) != helloName {
		return fmt.Errorf("hello: the first stream is for %q", printable(name))
	}
	if err := c.readHello(r); err != nil {
		return err
	}
	ours := n.refuse(c, n.judge(ctx, c, false))
	if err := c.write(0, stream, appendFrame(appendFrame(nil, n.ownHello()), ours.encode())); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	// Read what the peer says even when it is refused: closing at once could throw our answer away before it is read.
	if err := n.readVerdict(c, r); err != nil && ours == nil {
		return err
	}
	if ours != nil {
		return ours
	}
	if refused := n.refuse(c, n.commit(ctx, c, inTime)); refused != nil {
		return refused
	}
	return nil
}

// ownHello is this node's, with the certificates that it has now.
func (n *Network) ownHello() []byte {
	h := *n.hello
	if n.admission != nil {
		h.Certificates = encodeCertificates(n.admission.Certificates())
	}
	return h.encode()
}

// readHello takes the peer's hello.
func (c *conn) readHello(r *bufio.Reader) error {
	b, err := readFrame(r, maxHello)
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if c.remote, err = decodeHello(b); err != nil {
		c.net.Report(c.peer, Misbehaviour, err.Error())
		return err
	}
	return nil
}

// readVerdict takes what the peer says to our hello.
func (n *Network) readVerdict(c *conn, r *bufio.Reader) error {
	b, err := readFrame(r, maxVerdict)
	if err != nil {
		return fmt.Errorf("hello: no answer: %w", err)
	}
	v, text, err := decodeVerdict(b)
	if err != nil {
		n.Report(c.peer, Misbehaviour, err.Error())
		return err
	}
	if v == welcome {
		return nil
	}
	if v == oneKey {
		n.conflict(fmt.Sprintf("peer %s says that another node with this node's key is connected to it", c.peer))
	}
	if text != "" {
		text = ": " + text
	}
	return &refusal{v, "peer refuses this node: " + v.String() + text}
}

// refuse makes a refusal of a verdict that is none of welcome.
func (n *Network) refuse(c *conn, v verdict) *refusal {
	if v == welcome {
		return nil
	}
	if v != already && v != ourselves {
		n.count.refused.Add(1)
	}
	text := v.String()
	if v == otherChain {
		text = fmt.Sprintf("is of another chain: genesis %s, chain id %d", c.remote.Genesis, c.remote.ChainID)
	}
	if v == uncertified {
		text = c.objection
	}
	return &refusal{v, text}
}

// judge decides about a peer that has said hello. With commit, welcome means that the connection is in the book and runs.
func (n *Network) judge(ctx context.Context, c *conn, commit bool) verdict {
	if v := n.admit(c); v != welcome {
		return v
	}
	for {
		v, unsure := n.book.judge(n, c, commit)
		if v == oneKey {
			n.conflict(fmt.Sprintf("another node with this node's key is at %s", c.address))
		}
		if unsure == nil {
			return v
		}
		// Another process of the same key is connected. Either that one is gone and we have not noticed, or there are two.
		if unsure.alive(askTime) {
			n.twins(ctx, unsure, c)
			return oneKey
		}
		unsure.end(fmt.Errorf("peer came back from %s as a new process", c.address), codeTwice)
	}
}

// commit is judge for good. inTime stops the handshake's clock: what is in the book is ended by others.
func (n *Network) commit(ctx context.Context, c *conn, inTime func() bool) verdict {
	if !inTime() {
		return leaving // the time is over, or the node is stopping
	}
	round := n.readmissions.Load()
	v := n.judge(ctx, c, true)
	if v == welcome && n.readmissions.Load() != round { // what was asked about it may have changed before it was in the book
		n.readmit(c)
	}
	return v
}

// judge is Network.judge under the book's lock. A connection is returned that must be asked whether it is alive first.
func (b *book) judge(n *Network, c *conn, commit bool) (v verdict, unsure *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n.leaving.Load() {
		return leaving, nil
	}
	if c.remote.Genesis != n.id.Genesis || c.remote.ChainID != n.id.ChainID {
		return otherChain, nil
	}
	if c.peer == n.self {
		if c.remote.Instance == n.hello.Instance {
			return ourselves, nil
		}
		return oneKey, nil
	}
	r := b.get(c.peer)
	if r.bannedTil.After(b.now()) {
		return banned, nil
	}
	before := r.conn
	switch {
	case before == nil:
		if !r.reserved() && !c.wanted && b.strangers() >= n.cfg.MaxPeers {
			return full, nil
		}
	case before.ended():
	case before.remote.Instance != c.remote.Instance:
		return welcome, before
	case !n.prefers(c, before):
		return already, nil
	}
	if !commit {
		return welcome, nil
	}
	c.record = r
	r.found = r.found || c.wanted
	if e := reachableAt(c); e != "" {
		r.announced = e
	}
	b.enter(c)
	n.work.Go(c.run)
	return welcome, nil
}

// strangers counts the connected peers that have no room reserved. Called with mu held.
func (b *book) strangers() (count int) {
	for _, r := range b.records {
		if r.conn != nil && !r.reserved() {
			count++
		}
	}
	return count
}

// prefers decides between two connections of the same two processes, so that both ends keep the same one: if both have dialled, the dial of the smaller
// key; if the peer has dialled twice, its later one, for it has given up the first; if we have, the first.
func (n *Network) prefers(c, before *conn) bool {
	if c.inbound != before.inbound {
		return c.inbound == (c.peer < n.self)
	}
	return c.inbound
}

// reachableAt is where the peer says it listens. Where it names no host, it is taken to be where it came from.
func reachableAt(c *conn) string {
	host, port, err := net.SplitHostPort(c.remote.Endpoint)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host = hostOf(c.mux); host == "" {
			return ""
		}
	}
	return net.JoinHostPort(host, port)
}

// hostOf is the address that a connection comes from, portOf its port there.
func hostOf(mux network.ConnMultiaddrs) string {
	if a, err := manet.ToNetAddr(mux.RemoteMultiaddr()); err == nil {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.IP.String()
		}
	}
	return ""
}

func portOf(mux network.ConnMultiaddrs) string {
	if a, err := manet.ToNetAddr(mux.RemoteMultiaddr()); err == nil {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return strconv.Itoa(tcp.Port)
		}
	}
	return ""
}
