package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	muxer "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/libp2p/go-yamux/v5"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Of libp2p we take what turns a socket into authenticated streams: the upgrader with its negotiation, a security transport, the yamux multiplexer and
// the resource manager. Its swarm and host are left out: they keep several connections per peer, cannot dial who is not known by key, and bring
// peerstore, event bus, identify and address managers that a network of known nodes does not need and that cost CPU while idle.

const (
	// upgradeTime bounds the handshake of the channel, helloTime the exchange of hellos after it. Both are some round trips; an attacker holds a
	// place among maxHandshakes no longer than this.
	upgradeTime = 10 * time.Second
	helloTime   = 10 * time.Second
	// dialTime bounds connecting. The system asks again after one second and then after two more: a new attempt is no worse than waiting longer.
	dialTime = 3 * time.Second
	// maxHandshakes bounds inbound connections whose key is not proven yet.
	maxHandshakes = 128
	// maxMembers is how many connections are allowed beyond MaxPeers: more validators than any engine here takes, and the configured peers.
	maxMembers = 1024
	// perPeerConns leaves room for both dialling at once, and once more while the old connection is still being closed.
	perPeerConns = 6
	// perHostConns bounds the connections from one address (not loopback): the nodes of an organisation behind one gateway fit, a flood does not.
	perHostConns = 64
	// Of new connections, inbound or outbound, one address (not loopback) gets hostPerSecond in the long run and hostBurst at once: room for the nodes
	// behind one gateway to reconnect together, and no more than some milliseconds a second of handshakes for who is refused over and over.
	hostPerSecond, hostBurst = 10, 200
	// streamWindow bounds what one stream holds unread. Windows begin at 256 KiB and grow while a stream is limited by them: 4 MiB is a long
	// line's 40 MB/s at 100 ms.
	streamWindow = 4 << 20
	// maxPeerMemory bounds the windows promised to one peer, maxMemory those of all: promises, of which little is ever in use.
	maxPeerMemory = 64 << 20
	maxMemory     = 8 << 30
)

// channel makes connections. Safe for concurrent use.
type channel struct {
	dialer   net.Dialer
	listener net.ListenConfig
	upgrade  transport.Upgrader
	security *security
	refused  func(address string, offers []string)
	limits   network.ResourceManager
}

// newChannel builds what all connections share. maxStreams bounds the streams that a peer may have open, rejected counts failed handshakes, refused is
// told who came with channels that this node does not speak.
func newChannel(cfg *Config, id Identity, maxStreams int, rejected func(), refused func(address string, offers []string)) (*channel, error) {
	limits, err := newLimits(cfg)
	if err != nil {
		return nil, fmt.Errorf("resource limits: %w", err)
	}
	mux := yamux.DefaultConfig()
	mux.AcceptBacklog, mux.MaxIncomingStreams = maxStreams, uint32(maxStreams)
	// A third of the time until a silent peer is asked, two thirds to answer. What arrives in between counts as an answer and costs no ping.
	mux.KeepAliveInterval, mux.ConnectionWriteTimeout = cfg.DeadAfter/3, cfg.DeadAfter*2/3
	mux.MaxStreamWindowSize = streamWindow
	mux.ReadBufSize = 0 // the security transport buffers
	mux.LogOutput = io.Discard
	muxers := []upgrader.StreamMuxer{{ID: muxer.ID, Muxer: gatedMuxer{(*muxer.Transport)(mux)}}}
	secure, err := newSecurity(id, rejected)
	if err != nil {
		return nil, fmt.Errorf("security transport: %w", err)
	}
	c := &channel{limits: limits, security: secure, refused: refused}
	c.dialer = net.Dialer{Timeout: dialTime, Control: control(cfg.DeadAfter)}
	c.listener = net.ListenConfig{Control: control(cfg.DeadAfter)}
	// One channel is offered and one is accepted: there is none to be talked down to.
	c.upgrade, err = upgrader.New([]sec.SecureTransport{secure}, muxers, nil, limits, nil, upgrader.WithAcceptTimeout(upgradeTime))
	if err != nil {
		return nil, fmt.Errorf("upgrader: %w", err)
	}
	return c, nil
}

func newLimits(cfg *Config) (network.ResourceManager, error) {
	conns := func(n int) rcmgr.LimitVal { return rcmgr.LimitVal(n) }
	all := cfg.MaxPeers + maxMembers + maxHandshakes
	partial := rcmgr.PartialLimitConfig{
		System:    rcmgr.ResourceLimits{Conns: conns(2 * all), ConnsInbound: conns(all), ConnsOutbound: conns(all), FD: conns(2 * all), Memory: maxMemory},
		Transient: rcmgr.ResourceLimits{Conns: conns(2 * maxHandshakes), ConnsInbound: conns(maxHandshakes), ConnsOutbound: conns(maxHandshakes)},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: conns(perPeerConns), ConnsInbound: conns(perPeerConns), ConnsOutbound: conns(perPeerConns), Memory: maxPeerMemory,
		},
	}
	pace := func(prefix int) []rate.SubnetLimit {
		return []rate.SubnetLimit{{PrefixLength: prefix, Limit: rate.Limit{RPS: hostPerSecond, Burst: hostBurst}}}
	}
	unpaced := rate.Limit{}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(partial.Build(rcmgr.InfiniteLimits)), rcmgr.WithMetricsDisabled(),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{
				{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Limit: unpaced}, {Prefix: netip.MustParsePrefix("::1/128"), Limit: unpaced},
			},
			SubnetRateLimiter: rate.SubnetLimiter{IPv4SubnetLimits: pace(32), IPv6SubnetLimits: pace(56), GracePeriod: time.Minute},
		}),
		rcmgr.WithLimitPerSubnet([]rcmgr.ConnLimitPerSubnet{{ConnCount: perHostConns, PrefixLength: 32}},
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: perHostConns, PrefixLength: 56}}))
}

// errOther tells that another node than expected has proven its key.
var errOther = errors.New("another node answers there")

// errOtherChannel tells that somebody answers who does not speak this node's channel.
var errOtherChannel = errors.New("who answers there is of a chain with another suite, or no node: it does not speak this chain's channel")

// dial connects to address; whoever answers there has to have key want, if any is given.
func (c *channel) dial(ctx context.Context, address string, want chain.Peer) (transport.CapableConn, error) {
	id := anyPeer
	if want != "" {
		var err error
		if id, err = c.security.nameOf(want); err != nil {
			return nil, err
		}
	}
	raw, err := c.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn, err := manet.WrapNetConn(raw)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("address %s: %w", raw.RemoteAddr(), err)
	}
	scope, err := c.limits.OpenConnection(network.DirOutbound, true, conn.RemoteMultiaddr())
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("too many connections: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeTime)
	defer cancel()
	up, err := c.upgrade.Upgrade(ctx, nil, conn, network.DirOutbound, id, scope)
	if err != nil {
		conn.Close()
		if mismatch := (sec.ErrPeerIDMismatch{}); errors.As(err, &mismatch) {
			return nil, fmt.Errorf("%w: %s", errOther, c.security.peerNamed(mismatch.Actual))
		}
		if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
			return nil, fmt.Errorf("%w %s", errOtherChannel, c.security.name)
		}
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return up, nil
}

// listen accepts connections at address.
func (c *channel) listen(ctx context.Context, address string) (transport.Listener, error) {
	l, err := c.listener.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	wrapped, err := manet.WrapNetListener(l)
	if err != nil {
		l.Close()
		return nil, err
	}
	return c.upgrade.UpgradeGatedMaListener(nil, c.upgrade.GateMaListener(doorkeeper{wrapped, c.refused})), nil
}

// gatedMuxer is yamux behind a gate.
type gatedMuxer struct{ *muxer.Transport }

// gatedConn is a multiplexed connection with its gate.
type gatedConn struct {
	network.MuxedConn
	metered *meteredConn
}

func (m gatedMuxer) NewConn(c net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	metered := &meteredConn{Conn: c, gate: newGate()}
	out, err := m.Transport.NewConn(metered, isServer, scope)
	if err != nil {
		return nil, err
	}
	return gatedConn{out, metered}, nil
}

// As gives the channel below the multiplexer, or what yamux gives.
func (c gatedConn) As(target any) bool {
	if m, ok := target.(**meteredConn); ok {
		*m = c.metered
		return true
	}
	return c.MuxedConn.As(target)
}
