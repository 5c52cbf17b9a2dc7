package p2p

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
)

// The negotiation of libp2p says "na" to a channel that is not spoken here, and leaves no trace of what was asked for. Whoever runs a node wants to
// know, for it is a wrong genesis file most often: so the doorkeeper listens to what callers say before a channel is agreed on.

const (
	// maxOffers bounds what is remembered of one caller's words, in bytes: the names of some channels.
	maxOffers = 512
	// refusalPause is the shortest time between two lines in the log about callers without a channel: anybody can be one.
	refusalPause = 10 * time.Second
)

// doorkeeper is a listener whose connections tell refused if they end before a channel was agreed on.
type doorkeeper struct {
	manet.Listener
	refused func(address string, offers []string)
}

// Accept implements manet.Listener.
func (d doorkeeper) Accept() (manet.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &caller{Conn: c, refused: d.refused}, nil
}

// caller is an inbound connection until its channel is agreed on.
type caller struct {
	manet.Conn
	refused func(address string, offers []string)

	mu    sync.Mutex
	heard []byte
	over  bool // a channel was agreed on, or the refusal is told
}

// Read implements net.Conn.
func (c *caller) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.heard = append(c.heard, b[:min(n, maxOffers-len(c.heard))]...)
	}
	return n, err
}

// Close implements net.Conn.
func (c *caller) Close() error {
	c.mu.Lock()
	heard, over := c.heard, c.over
	c.heard, c.over = nil, true
	c.mu.Unlock()
	if !over {
		if offers := offered(heard); len(offers) > 0 {
			c.refused(c.Conn.RemoteAddr().String(), offers)
		}
	}
	return c.Conn.Close()
}

// in is the connection itself: its channel is agreed on.
func (c *caller) in() manet.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard, c.over = nil, true
	return c.Conn
}

// offered are the channels that a caller named: every whole line of the negotiation but its own name.
func offered(heard []byte) (out []string) {
	for len(heard) > 0 {
		n, w := binary.Uvarint(heard)
		if w <= 0 || n == 0 || n > uint64(len(heard)-w) {
			break
		}
		line := heard[w : w+int(n)]
		heard = heard[w+int(n):]
		name, ok := strings.CutSuffix(string(line), "\n")
		if !ok || !strings.HasPrefix(name, "/") {
			break
		}
		if name = printable([]byte(name)); !strings.HasPrefix(name, "/multistream/") && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// refuseChannel notes a caller that speaks other channels than this chain's.
func (n *Network) refuseChannel(address string, offers []string) {
	n.count.rejected.Add(1)
	text := fmt.Sprintf("caller speaks %s, and this chain's channel is %s only: it is of a chain with another suite, or no node",
		strings.Join(offers, ", "), n.channel.security.ID())
	n.mu.Lock()
	said := n.now().Sub(n.refusedAt) < refusalPause
	if !said {
		n.refusedAt = n.now()
	}
	n.mu.Unlock()
	if !said {
		n.log.Info("connection refused", "address", address, "reason", text)
	}
}
