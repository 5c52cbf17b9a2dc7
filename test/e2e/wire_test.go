package e2e

import (
	"bytes"
	encoding "encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire is relays before the ports of a network's nodes, which keep what passes.
type wire struct {
	t    *testing.T
	work sync.WaitGroup

	mu    sync.Mutex
	calls []*call
	ended bool
}

// call is a connection through a relay.
type call struct {
	to string // the endpoint that was dialled
	// said is by the dialler and by the listener. Guarded by the wire's mu.
	said [2]bytes.Buffer
	ends [2]net.Conn
}

// overWires puts a relay before each node: the node listens elsewhere, and its endpoint in the genesis is the relay's.
func (nw *network) overWires(t *testing.T) *wire {
	w := &wire{t: t}
	var listeners []net.Listener
	for i := range nw.dirs {
		endpoint := nw.endpoint(i)
		behind := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1))
		nw.editConfig(i, fmt.Sprintf("listen = %q", endpoint), fmt.Sprintf("listen = %q", behind))
		nw.editConfig(i, `announce = ""`, fmt.Sprintf("announce = %q", endpoint))
		l, err := net.Listen("tcp", endpoint)
		require.NoError(t, err)
		listeners = append(listeners, l)
		w.work.Go(func() { w.relay(l, endpoint, behind) })
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			l.Close()
		}
		w.mu.Lock()
		w.ended = true
		for _, c := range w.calls {
			c.ends[0].Close()
			c.ends[1].Close()
		}
		w.mu.Unlock()
		w.work.Wait()
	})
	return w
}

func (w *wire) relay(l net.Listener, endpoint, behind string) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", behind)
		if err != nil {
			near.Close() // the node is not up yet
			continue
		}
		c := &call{to: endpoint, ends: [2]net.Conn{near, far}}
		w.mu.Lock()
		if w.ended {
			near.Close()
			far.Close()
		}
		w.calls = append(w.calls, c)
		w.mu.Unlock()
		for side := range 2 {
			w.work.Go(func() { w.pass(c, side) })
		}
	}
}

// pass hands on what one side says until either hangs up.
func (w *wire) pass(c *call, side int) {
	from, to := c.ends[side], c.ends[1-side]
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		c.said[side].Write(buf[:n])
		w.mu.Unlock()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// negotiated takes the lines of libp2p's negotiation off the beginning of what a side said.
func negotiated(said []byte) (lines []string, rest []byte) {
	for len(said) > 0 {
		n, width := encoding.Uvarint(said)
		if width <= 0 || n == 0 || n > uint64(len(said)-width) || said[width] != '/' || said[width+int(n)-1] != '\n' {
			break
		}
		lines = append(lines, string(said[width:width+int(n)-1]))
		said = said[width+int(n):]
	}
	return lines, said
}

// TestWire captures everything that four validators of a gm network say to each other while they take payments and one of them is killed and comes
// back. In plain words there is the negotiation of one channel; every other byte belongs to that channel's messages and records.
func TestWire(t *testing.T) {
	nw := createNetwork(t, 4, "--suite", "gm")
	w := nw.overWires(t)
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(drawSeed(t))
	defer stop()
	b.progress("payments over wires", 50)
	victim := nw.leader()
	nw.kill(victim)
	b.progress("payments without one", 20)
	nw.start(victim)
	nw.caughtUp(victim)
	nw.speak("gm", channels["gm"])
	stop()
	b.audit()
	nw.stop()

	w.mu.Lock()
	defer w.mu.Unlock()
	plain := map[string]int{}
	records, total, complete := 0, 0, 0
	for _, c := range w.calls {
		for side := range 2 {
			lines, rest := negotiated(c.said[side].Bytes())
			for _, l := range lines {
				plain[l]++
			}
			if len(lines) == 2 {
				require.Equal(t, []string{"/multistream/1.0.0", "/jialing/" + channels["gm"] + "/1"}, lines)
			} else { // hung up before that: by a node that ends, or is not ready
				require.Less(t, len(lines), 2, "%q", lines)
				require.Less(t, len(rest), 64, "%q", rest)
				continue
			}
			text := strings.ToLower(string(rest))
			for _, readable := range []string{"/jialing/", "/noise", "/tls", "/yamux", "/multistream", "development"} {
				require.NotContains(t, text, readable)
			}
			for len(rest) >= 2 {
				n := int(encoding.BigEndian.Uint16(rest))
				require.Greater(t, n, 16, "a message or record")
				if n > len(rest)-2 { // only kill -9 cuts one
					break
				}
				rest = rest[2+n:]
				records++
				total += n
			}
			if len(rest) == 0 {
				complete++
			}
		}
	}
	require.Positive(t, complete)
	require.Greater(t, total, 100_000)
	var words []string
	for l, n := range plain {
		words = append(words, fmt.Sprintf("%s (%d times)", l, n))
	}
	slices.Sort(words)
	t.Logf("%d connections; in plain: %s; under it %d messages and records of %d bytes", len(w.calls), strings.Join(words, ", "), records, total)
	require.Len(t, plain, 2)
}
