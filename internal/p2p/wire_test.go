package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/crypto/gm"
	"github.com/jialing-chain/jialing/internal/crypto/intl"
)

// wiretap is a relay that keeps every byte that passes, by direction.
type wiretap struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	mu sync.Mutex
	// toListener and toDialler are of the first connection; more are refused.
	toListener, toDialler bytes.Buffer
	used                  bool
}

func newWiretap(t *testing.T, to string) *wiretap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &wiretap{listener: l, to: to}
	p.work.Go(p.run)
	t.Cleanup(func() {
		l.Close()
		p.work.Wait()
	})
	return p
}

func (p *wiretap) run() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.used {
			near.Close()
			continue
		}
		p.used = true
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			near.Close()
			continue
		}
		relay := func(from, to net.Conn, kept *bytes.Buffer) {
			defer from.Close()
			defer to.Close()
			buf := make([]byte, 1<<16)
			for {
				n, err := from.Read(buf)
				p.mu.Lock()
				kept.Write(buf[:n])
				p.mu.Unlock()
				if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
					return
				}
			}
		}
		p.work.Go(func() { relay(near, far, &p.toListener) })
		p.work.Go(func() { relay(far, near, &p.toDialler) })
	}
}

// captured are the bytes so far.
func (p *wiretap) captured() (toListener, toDialler []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.toListener.Bytes()), bytes.Clone(p.toDialler.Bytes())
}

// line is a line of libp2p's negotiation.
func line(text string) string {
	return string(binary.AppendUvarint(nil, uint64(len(text)+1))) + text + "\n"
}

// TestWire captures what two nodes of a gm chain say and accounts for every byte: the negotiation in plain words, which names the one channel and nothing
// else; then the channel's messages and records, in which nothing is readable.
func TestWire(t *testing.T) {
	before := suite
	suite = gm.Suite{}
	defer func() { suite = before }()
	a, b := start(t, options{}), start(t, options{})
	between := newWiretap(t, a.net.Address())
	a.net.SetMembers(map[chain.Peer]string{a.id(): "", b.id(): ""})
	b.net.SetMembers(map[chain.Peer]string{a.id(): between.listener.Addr().String(), b.id(): ""})
	a.awaitChange(b.id(), true)
	b.awaitChange(a.id(), true)
	secret := bytes.Repeat([]byte("a vote that nobody else reads; "), 5000)
	require.True(t, a.net.Send(b.id(), "votes", secret))
	require.Equal(t, secret, b.next().msg)
	require.True(t, b.net.Send(a.id(), "bulk", secret))
	require.Equal(t, secret, a.next().msg)
	require.Equal(t, "Noise_XX_SM2_SM4GCM_SM3", a.info(b.id()).Channel)
	require.Equal(t, "Noise_XX_SM2_SM4GCM_SM3", b.info(a.id()).Channel)
	a.stop()
	b.stop()

	toListener, toDialler := between.captured()
	for direction, wire := range map[string][]byte{"dialler": toListener, "listener": toDialler} {
		rest, found := bytes.CutPrefix(wire, []byte(line("/multistream/1.0.0")+line("/jialing/Noise_XX_SM2_SM4GCM_SM3/1")))
		require.True(t, found, "the %s negotiates %q", direction, wire[:min(len(wire), 100)])
		sizes := []int{}
		for len(rest) > 0 {
			require.GreaterOrEqual(t, len(rest), 2)
			n := int(binary.BigEndian.Uint16(rest))
			require.Greater(t, n, 16, "a message or record of the %s", direction)
			require.LessOrEqual(t, 2+n, len(rest), "a message or record of the %s", direction)
			rest = rest[2+n:]
			sizes = append(sizes, n)
		}
		total := 0
		for _, n := range sizes {
			total += n
		}
		require.Greater(t, total, len(secret))
		t.Logf("the %s says in plain: /multistream/1.0.0, /jialing/Noise_XX_SM2_SM4GCM_SM3/1; then %d messages and records, %d bytes", direction, len(sizes), total)
		plain := wire[len(line("/multistream/1.0.0"))+len(line("/jialing/Noise_XX_SM2_SM4GCM_SM3/1")):]
		for _, readable := range []string{"vote", "noise", "tls", "yamux", "multistream", "jialing", string(a.id()), string(b.id())} {
			require.NotContains(t, string(plain), readable)
		}
		if direction == "dialler" {
			require.Equal(t, 64, sizes[0], "the first message is an ephemeral key")
		}
	}
}

// heardLog is a log that tests can wait for.
type heardLog struct {
	slog.Handler
	lines chan string
}

func (h heardLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	select {
	case h.lines <- text:
	default:
	}
	return nil
}

func (h heardLog) Enabled(context.Context, slog.Level) bool { return true }

func (h heardLog) WithAttrs([]slog.Attr) slog.Handler { return h }

// TestForeignChannel: a node of another suite, and whoever offers TLS or libp2p's Noise, is refused, and both ends say why.
func TestForeignChannel(t *testing.T) {
	before := suite
	defer func() { suite = before }()
	for _, c := range []struct {
		own, other    crypto.Suite
		speaks, wants string
	}{
		{gm.Suite{}, intl.Suite{}, "/noise", "/jialing/Noise_XX_SM2_SM4GCM_SM3/1"},
		{intl.Suite{}, gm.Suite{}, "/jialing/Noise_XX_SM2_SM4GCM_SM3/1", "/noise"},
	} {
		suite = c.own
		lines := make(chan string, 1024)
		own := start(t, options{setup: func(n *Network) { n.log = slog.New(heardLog{slog.DiscardHandler, lines}) }})
		suite = c.other
		other := start(t, options{config: func(cfg *Config) { cfg.Peers = []string{own.net.Address()} }})
		heard := func(what string) {
			for {
				if text := await(t, lines, what); strings.Contains(text, "connection refused") {
					require.Contains(t, text, what)
					return
				}
			}
		}
		heard("caller speaks " + c.speaks + ", and this chain's channel is " + c.wants + " only: it is of a chain with another suite, or no node")
		eventually(t, "the reason at the caller", func() bool { return other.net.Peers()[0].LastError != "" })
		require.Equal(t, errOtherChannel.Error()+" "+c.other.Channel().Protocol(), other.net.Peers()[0].LastError)
		require.Empty(t, own.net.Connected())
		require.GreaterOrEqual(t, metric(t, own.net, "jialing_p2p_rejected_total"), 1.0)

		// Whoever offers everything that libp2p has.
		own.clock.advance(refusalPause)
		raw, err := net.Dial("tcp", own.net.Address())
		require.NoError(t, err)
		foreign := []protocol.ID{"/tls/1.0.0", "/plaintext/2.0.0"}
		if c.wants != "/noise" {
			foreign = append(foreign, "/noise")
		}
		_, err = multistream.SelectOneOf(foreign, raw)
		require.ErrorIs(t, err, multistream.ErrNotSupported[protocol.ID]{})
		raw.Close()
		for { // the other node may come again in between
			text := await(t, lines, "the sentence")
			if strings.Contains(text, "/tls/1.0.0") {
				require.Contains(t, text, "caller speaks /tls/1.0.0, /plaintext/2.0.0")
				break
			}
			own.clock.advance(refusalPause)
			raw, err := net.Dial("tcp", own.net.Address())
			require.NoError(t, err)
			_, err = multistream.SelectOneOf(foreign, raw)
			require.Error(t, err)
			raw.Close()
		}
		other.stop()
		own.stop()
	}
}

// pipeEnd is a connection within the process, with addresses as libp2p wants them.
type pipeEnd struct{ net.Conn }

func (pipeEnd) LocalMultiaddr() ma.Multiaddr  { return ma.StringCast("/ip4/127.0.0.1/tcp/1") }
func (pipeEnd) RemoteMultiaddr() ma.Multiaddr { return ma.StringCast("/ip4/127.0.0.1/tcp/2") }

// TestAlteredNegotiation alters each byte of the negotiation, in both directions: no connection comes about, however the sides were misled.
func TestAlteredNegotiation(t *testing.T) { eachSuite(t, testAlteredNegotiation) }

func testAlteredNegotiation(t *testing.T) {
	keys := []crypto.PrivateKey{newKey(t), newKey(t)}
	size := len(line("/multistream/1.0.0")) + len(line(string(idOf(t, keys[0]))))
	require.NoError(t, errors.Join(upgradePair(t, keys, func(bool, int) byte { return 0 })...), "unaltered")
	for _, toListener := range []bool{true, false} {
		for at := range size {
			synctest.Test(t, func(t *testing.T) { // where both wait for more, the time ends at once
				errs := upgradePair(t, keys, func(direction bool, n int) byte {
					if direction == toListener && n == at {
						return byte(1 << (at % 7))
					}
					return 0
				})
				require.Error(t, errs[0], "dialler, byte %d", at)
				require.Error(t, errs[1], "listener, byte %d", at)
			})
		}
	}
}

func idOf(t *testing.T, key crypto.PrivateKey) protocol.ID {
	s, err := newSecurity(Identity{Suite: suite, Key: key}, nil)
	require.NoError(t, err)
	return s.ID()
}

// upgradePair makes a connection of two nodes through a relay that flips the bits that alter says, byte by byte.
func upgradePair(t *testing.T, keys []crypto.PrivateKey, alter func(toListener bool, n int) byte) []error {
	near, nearRelay := net.Pipe()
	farRelay, far := net.Pipe()
	var work sync.WaitGroup
	relay := func(from, to net.Conn, toListener bool) {
		defer from.Close()
		defer to.Close()
		buf := make([]byte, 1<<12)
		for n := 0; ; {
			count, err := from.Read(buf)
			for i := range count {
				buf[i] ^= alter(toListener, n)
				n++
			}
			if _, werr := to.Write(buf[:count]); err != nil || werr != nil {
				return
			}
		}
	}
	work.Go(func() { relay(nearRelay, farRelay, true) })
	work.Go(func() { relay(farRelay, nearRelay, false) })
	ctx, cancel := context.WithTimeout(context.Background(), upgradeTime)
	defer cancel()
	errs := make([]error, 2)
	ends := []net.Conn{near, far}
	conns := make([]transport.CapableConn, 2)
	cfg := DefaultConfig()
	var upgrades sync.WaitGroup
	for i, direction := range []network.Direction{network.DirOutbound, network.DirInbound} {
		ch, err := newChannel(&cfg, Identity{Suite: suite, Key: keys[i]}, 8, func() {}, nil)
		require.NoError(t, err)
		defer ch.limits.Close()
		scope, err := ch.limits.OpenConnection(direction, false, pipeEnd{}.RemoteMultiaddr())
		require.NoError(t, err)
		id := anyPeer
		if i == 0 {
			id, err = ch.security.nameOf(peerWith(keys[1]))
			require.NoError(t, err)
		}
		upgrades.Go(func() {
			if direction == network.DirInbound {
				id = ""
			}
			conns[i], errs[i] = ch.upgrade.Upgrade(ctx, nil, pipeEnd{ends[i]}, direction, id, scope)
			if errs[i] != nil {
				ends[i].Close()
			}
		})
	}
	upgrades.Wait()
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	near.Close()
	far.Close()
	work.Wait()
	return errs
}

// TestOffered: what callers say before a channel is agreed on is read as lines, bounded, and made printable.
func TestOffered(t *testing.T) {
	hello := line("/multistream/1.0.0")
	for heard, want := range map[string][]string{
		"":                         nil,
		hello:                      nil,
		hello + line("/noise"):     {"/noise"},
		hello + "\x08/noise":       nil, // without its end
		"GET / HTTP/1.1\r\n\r\n":   nil,
		hello + line("/a\x1b[2J"):  {"/a?[2J"},
		"\xff\xff\xff\xff\xff\xff": nil,
		hello + line("/noise") + line("/tls/1.0.0") + line("/noise"): {"/noise", "/tls/1.0.0"},
	} {
		require.Equal(t, want, offered([]byte(heard)), "%q", heard)
	}
	c := &caller{Conn: pipeEnd{zeroes{}}}
	for range 100 {
		n, err := c.Read(make([]byte, 100))
		require.NoError(t, err)
		require.Equal(t, 100, n)
	}
	require.Len(t, c.heard, maxOffers)
}

// zeroes is a connection from which they come for ever.
type zeroes struct{ net.Conn }

func (zeroes) Read(b []byte) (int, error) { return len(b), nil }

func FuzzOffered(f *testing.F) {
	f.Add([]byte(line("/multistream/1.0.0") + line("/noise")))
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, heard []byte) {
		for _, name := range offered(heard) {
			require.Equal(t, name, printable([]byte(name)))
		}
	})
}

// deviceKey signs and gives nothing away.
type deviceKey struct{ inside crypto.PrivateKey }

func (k deviceKey) Public() crypto.PublicKey        { return k.inside.Public() }
func (k deviceKey) Sign(msg []byte) ([]byte, error) { return k.inside.Sign(msg) }

// TestKeyInDevice: a node whose key signs and does no more is a peer like any other.
func TestKeyInDevice(t *testing.T) { eachSuite(t, testKeyInDevice) }

func testKeyInDevice(t *testing.T) {
	_, given := crypto.PrivateKey(deviceKey{}).(crypto.SecretKey)
	require.False(t, given)
	a, b := pair(t, options{key: deviceKey{newKey(t)}}, options{key: deviceKey{newKey(t)}})
	require.True(t, a.net.Send(b.id(), "votes", []byte("signed by a device")))
	require.Equal(t, received{a.id(), "votes", []byte("signed by a device")}, b.next())
}

// TestGarbageInChannel: garbage and cut records after a good handshake end the connection and cost nobody else anything.
func TestGarbageInChannel(t *testing.T) { eachSuite(t, testGarbageInChannel) }

func testGarbageInChannel(t *testing.T) {
	v := newVillage(t, options{})
	for _, garbage := range [][]byte{{0, 1, 0}, {0, 0}, bytes.Repeat([]byte{0xff}, 1<<17), append([]byte{1, 0}, make([]byte, 100)...)} {
		id, err := v.hostile.net.channel.security.nameOf(v.victim.id())
		require.NoError(t, err)
		raw, err := net.Dial("tcp", v.victim.net.Address())
		require.NoError(t, err)
		_, err = multistream.SelectOneOf([]protocol.ID{v.hostile.net.channel.security.ID()}, raw)
		require.NoError(t, err)
		own, err := newSecurity(Identity{Suite: suite, Key: newKey(t)}, nil)
		require.NoError(t, err)
		_, err = own.SecureOutbound(t.Context(), raw, id)
		require.NoError(t, err)
		_, _ = raw.Write(garbage)           // below the channel; it may have hung up in the middle
		_ = raw.(*net.TCPConn).CloseWrite() // it may be closed already
		_, err = io.Copy(io.Discard, raw)   // ends when the victim has closed
		require.False(t, isTimeout(err), "%v", err)
		raw.Close()
	}
	v.peaceful()
}
