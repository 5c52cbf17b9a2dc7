package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// village is two honest members, and a hostile node that is connected to the first.
type village struct {
	t             *testing.T
	victim, other *node
	hostile       *node
	// conn is the hostile node's connection, for sending what no honest node sends.
	conn *conn
}

func newVillage(t *testing.T, victim options) *village {
	v := &village{t: t}
	v.victim, v.other = pair(t, victim, options{})
	v.hostile = start(t, options{config: func(c *Config) { c.Peers = []string{v.victim.net.Address()} }})
	v.hostile.awaitChange(v.victim.id(), true)
	v.victim.awaitChange(v.hostile.id(), true)
	v.conn = v.hostile.net.book.connected(v.victim.id())
	return v
}

// peaceful shows that the honest members go on: on the same connection, without a loss.
func (v *village) peaceful() {
	v.t.Helper()
	c := v.victim.net.book.connected(v.other.id())
	require.NotNil(v.t, c)
	require.True(v.t, v.other.net.Send(v.victim.id(), "votes", []byte("still here")))
	for {
		if r := v.victim.next(); r.from == v.other.id() {
			require.Equal(v.t, "still here", string(r.msg))
			break
		}
	}
	require.True(v.t, v.victim.net.Send(v.other.id(), "votes", []byte("so am i")))
	require.Equal(v.t, "so am i", string(v.other.next().msg))
	require.False(v.t, c.ended())
	require.Zero(v.t, v.victim.info(v.other.id()).Score)
}

// stream opens a stream of the hostile node and writes to it, past every queue and gate.
func (v *village) stream(bytes ...[]byte) network.MuxedStream {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := v.conn.mux.OpenStream(ctx)
	require.NoError(v.t, err)
	for _, b := range bytes {
		_, err := s.Write(b)
		require.NoError(v.t, err)
	}
	return s
}

func (v *village) named(protocol string) []byte {
	return appendFrame(nil, []byte(streamName(v.victim.net.id.Genesis, protocol)))
}

// closed waits until the victim has ended a stream.
func (v *village) closed(s network.MuxedStream) {
	v.t.Helper()
	require.NoError(v.t, s.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, s)
	require.Error(v.t, err)
	require.False(v.t, isTimeout(err), "%v", err)
}

func TestGarbageInsteadOfHandshake(t *testing.T) { eachSuite(t, testGarbageInsteadOfHandshake) }

func testGarbageInsteadOfHandshake(t *testing.T) {
	v := newVillage(t, options{})
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", string(make([]byte, 1<<16)), "\x13/multistream/1.0.0\n\x07/noise\n" + string(make([]byte, 4096)), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		raw, err := net.Dial("tcp", v.victim.net.Address())
		require.NoError(t, err)
		_, err = raw.Write([]byte(garbage))
		require.NoError(t, err)
		_ = raw.(*net.TCPConn).CloseWrite() // it may be closed already
		require.NoError(t, raw.SetReadDeadline(time.Now().Add(patience)))
		_, err = io.Copy(io.Discard, raw) // ends when the victim has closed
		require.False(t, isTimeout(err), "%v", err)
		raw.Close()
	}
	v.peaceful()
	require.Len(t, v.victim.net.Connected(), 2)
}

// TestManySilentConnections: connections that say nothing take places of handshakes only, and those who belong get in beside them.
func TestManySilentConnections(t *testing.T) { eachSuite(t, testManySilentConnections) }

func testManySilentConnections(t *testing.T) {
	v := newVillage(t, options{})
	for range maxHandshakes / 2 {
		raw, err := net.Dial("tcp", v.victim.net.Address())
		require.NoError(t, err)
		defer raw.Close()
	}
	late := start(t, options{config: func(c *Config) { c.Peers = []string{v.victim.net.Address()} }})
	late.awaitChange(v.victim.id(), true)
	v.peaceful()
}

func TestGarbageInStream(t *testing.T) { eachSuite(t, testGarbageInStream) }

func testGarbageInStream(t *testing.T) {
	v := newVillage(t, options{})
	for _, s := range []network.MuxedStream{
		v.stream([]byte("no frame at all, but text that goes on and on and on and on and on and on and on and on and on and on")),
		v.stream(appendFrame(nil, []byte("/jialing/0000000000000000/votes/1"))),
		v.stream(append(appendFrame(nil, []byte(helloName)), "again"...)),
		v.stream(appendFrame(nil, nil)),
		v.stream(append(v.named("votes"), bytes.Repeat([]byte{0xff}, 11)...)),
	} {
		v.closed(s)
	}
	v.peaceful()
	require.LessOrEqual(t, v.victim.info(v.hostile.id()).Score, -2*int(Misbehaviour))
}

func TestLengthClaimOfGigabyte(t *testing.T) { eachSuite(t, testLengthClaimOfGigabyte) }

func testLengthClaimOfGigabyte(t *testing.T) {
	v := newVillage(t, options{})
	v.closed(v.stream(append(v.named("votes"), binary.AppendUvarint(nil, 1<<30)...)))
	eventually(t, "the claim counts", func() bool { return v.victim.info(v.hostile.id()).Score <= -int(Misbehaviour)+1 })
	v.peaceful()
	// Ten of them and the peer is out.
	for range 10 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		s, err := v.conn.mux.OpenStream(ctx)
		cancel()
		if err != nil {
			break
		}
		_, _ = s.Write(append(v.named("votes"), binary.AppendUvarint(nil, 1<<30)...))
	}
	v.victim.awaitChange(v.hostile.id(), false)
	require.False(t, v.victim.info(v.hostile.id()).BannedUntil.IsZero())
	v.peaceful()
}

// TestFlood: hundreds of megabytes, faster than they are handled, cost a bounded amount of memory, and the others are not held up.
func TestFlood(t *testing.T) { eachSuite(t, testFlood) }

func testFlood(t *testing.T) {
	const total, size = 200 << 20, 4 << 20
	let := make(chan struct{})
	v := newVillage(t, options{slow: func(r received) {
		if r.protocol == "bulk" {
			<-let
		}
	}})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	s := v.stream(v.named("bulk"))
	sent := make(chan error, 1)
	go func() {
		msg := appendFrame(nil, make([]byte, size))
		for range total / size {
			if _, err := s.Write(msg); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	most := uint64(0)
	for range total / size {
		v.peaceful()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
		let <- struct{}{}
		select {
		case r := <-v.victim.inbox: // and not kept
			require.Len(t, r.msg, size)
		case <-time.After(patience):
			t.Fatal("the flood stands still")
		}
	}
	require.NoError(t, await(t, sent, "the end of the flood"))
	v.peaceful()
	require.Less(t, most-min(most, before.HeapAlloc), uint64(100<<20), "memory beside what was there before")
}

func TestThousandStreams(t *testing.T) { eachSuite(t, testThousandStreams) }

func testThousandStreams(t *testing.T) {
	v := newVillage(t, options{})
	limit := v.victim.net.maxStreams()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var open []network.MuxedStream
	for range 1000 {
		s, err := v.conn.mux.OpenStream(ctx)
		if err != nil {
			break
		}
		open = append(open, s)
	}
	v.peaceful()
	eventually(t, "a bounded number of streams", func() bool { return v.conn.ended() || v.conn.session.NumStreams() <= limit+10 })
	if c := v.victim.net.book.connected(v.hostile.id()); c != nil {
		require.LessOrEqual(t, c.session.NumStreams(), limit+10)
	}
	require.NotEmpty(t, open)
	v.peaceful()
}

// TestUnknownStreams: opening streams for nothing ends in a ban.
func TestUnknownStreams(t *testing.T) { eachSuite(t, testUnknownStreams) }

func testUnknownStreams(t *testing.T) {
	v := newVillage(t, options{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 1000 {
		s, err := v.conn.mux.OpenStream(ctx)
		if err != nil {
			break
		}
		_, _ = s.Write(v.named("nonsense"))
	}
	v.victim.awaitChange(v.hostile.id(), false)
	require.Equal(t, float64(1), metric(t, v.victim.net, "jialing_p2p_bans_total"))
	v.peaceful()
}

// TestOtherIdentity: whoever answers at an address with another key than the one that was asked for is not taken.
func TestOtherIdentity(t *testing.T) { eachSuite(t, testOtherIdentity) }

func testOtherIdentity(t *testing.T) {
	v := newVillage(t, options{})
	wanted := newNobody(t)
	v.victim.net.SetMembers(map[chain.Peer]string{v.other.id(): "", wanted: v.hostile.net.Address()})
	eventually(t, "the reason", func() bool { return v.victim.info(wanted).LastError != "" })
	i := v.victim.info(wanted)
	require.Equal(t, errOther.Error()+": "+v.hostile.id().String(), i.LastError)
	require.False(t, i.Connected)
	v.peaceful()

	// The same by configuration.
	asker := start(t, options{config: func(c *Config) { c.Peers = []string{wanted.String() + "@" + v.victim.net.Address()} }})
	eventually(t, "the reason", func() bool { return asker.info(wanted).LastError != "" })
	require.Contains(t, asker.info(wanted).LastError, v.victim.id().String())
	require.Empty(t, asker.net.Connected())
}

// TestOtherChain: both sides know why they are not connected.
func TestOtherChain(t *testing.T) { eachSuite(t, testOtherChain) }

func testOtherChain(t *testing.T) {
	v := newVillage(t, options{})
	foreign := start(t, options{genesis: crypto.Hash{9}})
	foreign.net.SetMembers(map[chain.Peer]string{v.victim.id(): v.victim.net.Address()})
	eventually(t, "the reason at the foreign node", func() bool { return foreign.info(v.victim.id()).LastError != "" })
	require.Equal(t, "is of another chain: genesis "+crypto.Hash{1, 2, 3}.String()+", chain id 7", foreign.info(v.victim.id()).LastError)
	eventually(t, "the reason at the victim", func() bool { return v.victim.info(foreign.id()).LastError != "" })
	require.Equal(t, "is of another chain: genesis "+crypto.Hash{9}.String()+", chain id 7", v.victim.info(foreign.id()).LastError)
	require.Empty(t, foreign.net.Connected())
	require.Zero(t, v.victim.info(foreign.id()).Score, "a wrong file is no attack")
	v.peaceful()
}

// TestBan: a banned peer is thrown out, told so, refused, and taken again when its time is over.
func TestBan(t *testing.T) { eachSuite(t, testBan) }

func testBan(t *testing.T) {
	v := newVillage(t, options{})
	ended := v.conn
	for range 9 {
		v.victim.net.Report(v.hostile.id(), Misbehaviour, "test")
	}
	require.Equal(t, -90, v.victim.info(v.hostile.id()).Score)
	for range 200 {
		v.victim.net.Report(v.hostile.id(), Nuisance, "test")
	}
	require.Equal(t, -90, v.victim.info(v.hostile.id()).Score, "nuisances ban nobody")
	v.victim.clock.advance(100 * time.Second)
	require.Equal(t, -80, v.victim.info(v.hostile.id()).Score, "it heals")
	v.victim.net.Report(v.hostile.id(), Attack, "test")
	v.victim.awaitChange(v.hostile.id(), false)
	v.hostile.awaitChange(v.victim.id(), false)
	require.Equal(t, "peer has banned this node", ended.ending())
	eventually(t, "a refusal", func() bool { return v.hostile.info(v.victim.id()).LastError == "peer refuses this node: banned here" })
	require.False(t, v.victim.net.Send(v.hostile.id(), "votes", nil))
	v.peaceful()

	v.victim.clock.advance(v.victim.net.cfg.BanTime - time.Minute)
	require.Equal(t, banned, refusedNow(t, v.hostile, v.victim))
	v.victim.clock.advance(time.Minute)
	v.victim.awaitChange(v.hostile.id(), true)
	require.Zero(t, v.victim.info(v.hostile.id()).Score)
	v.peaceful()
}

// refusedNow lets a dial b and says what b answers.
func refusedNow(t *testing.T, a, b *node) verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	mux, err := a.net.channel.dial(ctx, b.net.Address(), b.id())
	require.NoError(t, err)
	_, err = a.net.greet(ctx, mux, b.net.Address(), toPeer)
	var r *refusal
	require.ErrorAs(t, err, &r)
	return r.verdict
}

// TestSlowReader: a peer that reads nothing costs a full queue and no more.
func TestSlowReader(t *testing.T) { eachSuite(t, testSlowReader) }

func testSlowReader(t *testing.T) {
	let := make(chan struct{})
	a := start(t, options{})
	b := start(t, options{slow: func(received) { <-let }})
	t.Cleanup(sync.OnceFunc(func() { close(let) }))
	c := start(t, options{})
	join(a, b)
	join(a, c)
	const size = 4 << 20
	taken := 0
	send := func() bool {
		ok := a.net.Send(b.id(), "bulk", make([]byte, size))
		if ok {
			taken++
		}
		return ok
	}
	eventually(t, "b's queue is full", func() bool { return !send() })
	for i := range 100 {
		require.True(t, a.net.Send(c.id(), "bulk", []byte{byte(i)}))
		require.Equal(t, []byte{byte(i)}, c.next().msg)
		send()
	}
	require.Less(t, taken*size, bulk.QueueBytes+streamWindow+3*size, "what was taken for b: a queue, its window, and what is being written, read and handled")
}

// TestMembersOnly: a peer's streams of such protocols work while it is a member, and only then.
func TestMembersOnly(t *testing.T) { eachSuite(t, testMembersOnly) }

func testMembersOnly(t *testing.T) {
	v := newVillage(t, options{})
	heard := func(from *node) bool {
		from.net.Send(v.victim.id(), "board", []byte("motion"))
		select {
		case r := <-v.victim.inbox:
			return r.from == from.id() && r.protocol == "board"
		default:
			return false
		}
	}
	eventually(t, "a member is heard", func() bool { return heard(v.other) })
	require.True(t, v.other.net.Send(v.victim.id(), "board", []byte("the last")))
	for string(v.victim.next().msg) != "the last" {
	}
	for range 20 {
		s := v.stream(append(v.named("board"), appendFrame(nil, []byte("motion"))...))
		v.closed(s)
	}
	require.Empty(t, v.victim.inbox)
	require.Zero(t, v.victim.info(v.hostile.id()).Score, "whose set is a block older is no enemy")
	v.peaceful()

	v.victim.net.SetMembers(map[chain.Peer]string{v.hostile.id(): "", v.victim.id(): ""})
	eventually(t, "the new member is heard", func() bool { return heard(v.hostile) })
	c := v.victim.net.book.connected(v.other.id())
	eventually(t, "the former member's stream has ended", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.streams["board"] == nil
	})
	require.True(t, v.other.net.Send(v.victim.id(), "votes", []byte("still a peer")))
	eventually(t, "the former member as a peer", func() bool {
		r := v.victim.next()
		return r.from == v.other.id() && r.protocol == "votes"
	})
}

// TestTwoNodesWithOneKey: the first stays, the second is refused, both are told.
func TestTwoNodesWithOneKey(t *testing.T) { eachSuite(t, testTwoNodesWithOneKey) }

func testTwoNodesWithOneKey(t *testing.T) {
	key := newKey(t)
	v := newVillage(t, options{})
	first := start(t, options{key: key})
	join(v.victim, first)
	second := start(t, options{key: key, config: func(c *Config) { c.Peers = []string{v.victim.net.Address()} }})
	require.Contains(t, await(t, second.twice, "the refused one's sign"), "another node with this node's key is connected to it")
	require.Contains(t, await(t, first.twice, "the connected one's sign"), "another node with this node's key came from 127.0.0.1:")
	require.Len(t, first.net.Conflicts(), 1)
	require.False(t, v.victim.net.book.connected(first.id()).ended())
	require.True(t, first.net.Send(v.victim.id(), "votes", []byte("the first")))
	require.Equal(t, "the first", string(v.victim.next().msg))
	require.Empty(t, second.net.Connected())

	// They also notice when they meet.
	third := start(t, options{key: key, config: func(c *Config) { c.Peers = []string{first.net.Address()} }})
	require.Contains(t, await(t, third.twice, "the sign at the dialler"), "another node with this node's key is at 127.0.0.1:")
	require.Contains(t, await(t, first.twice, "the sign at the listener"), "another node with this node's key")
}

// TestOwnAddress: a node whose own address is among its peers leaves it alone.
func TestOwnAddress(t *testing.T) { eachSuite(t, testOwnAddress) }

func testOwnAddress(t *testing.T) {
	first := start(t, options{})
	address := first.net.Address()
	first.stop()
	n := start(t, options{config: func(c *Config) { c.Listen, c.Peers = address, []string{address} }})
	eventually(t, "the target has ended", func() bool {
		for _, i := range n.net.Peers() {
			if i.Address == address && i.LastError == "" {
				return false
			}
		}
		return true
	})
	require.Empty(t, n.net.Connected())
	require.Empty(t, n.net.Conflicts())
}
