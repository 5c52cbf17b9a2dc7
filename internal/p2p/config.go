package p2p

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
)

// Config is the [network] table of node.toml. All of it is local to a node: no setting here can make nodes disagree.
type Config struct {
	// Listen is the host:port that peers connect to; port 0 lets the system choose. Empty turns the network off: the node listens nowhere, dials nobody.
	Listen string `toml:"listen"`
	// Announce is the host:port that others are told to reach this node at; empty means Listen, with the address that they see us come from where
	// Listen names no single host.
	Announce string `toml:"announce"`
	// Peers are dialled whoever they are and have room reserved: "host:port", or "0xKEY@host:port" to refuse any other node there.
	Peers []string `toml:"peers"`
	// MaxPeers bounds the connected peers that are neither members nor in Peers, so that strangers cannot take the members' room. Each may cost up
	// to maxPeerMemory.
	MaxPeers int `toml:"max_peers"`
	// Discovery lets peers tell each other of peers. Off by default: the nodes of a consortium are named in its genesis and in Peers.
	Discovery bool `toml:"discovery"`
	// BanTime is how long a peer stays out whose score reached -100.
	BanTime time.Duration `toml:"ban_time"`
	// ReconnectMin and ReconnectMax bound the pause between attempts to reach a peer. It doubles with each failure. Members are tried at least every
	// memberReconnectMax.
	ReconnectMin time.Duration `toml:"reconnect_min"`
	ReconnectMax time.Duration `toml:"reconnect_max"`
	// DeadAfter is when a peer that answers nothing at all is given up. Too short takes a busy machine for a dead one.
	DeadAfter time.Duration `toml:"dead_after"`
}

// DefaultConfig listens on loopback.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:30301", Peers: []string{}, MaxPeers: 64, BanTime: 10 * time.Minute,
		ReconnectMin: 100 * time.Millisecond, ReconnectMax: 10 * time.Second, DeadAfter: 6 * time.Second,
	}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	bad := func(field, rule string) error { return fmt.Errorf("network: %s %s", field, rule) }
	if c.Listen != "" {
		if err := checkEndpoint(c.Listen, true); err != nil {
			return fmt.Errorf("network: listen: %w", err)
		}
	}
	if c.Announce != "" {
		if err := checkEndpoint(c.Announce, false); err != nil {
			return fmt.Errorf("network: announce: %w", err)
		}
	}
	for _, p := range c.Peers {
		if _, _, err := parsePeer(p); err != nil {
			return fmt.Errorf("network: peers: %q: %w", p, err)
		}
	}
	switch {
	case len(c.Peers) > maxTargets:
		return bad("peers", fmt.Sprintf("must be at most %d", maxTargets))
	case c.MaxPeers < 0 || c.MaxPeers > 4096:
		return bad("max_peers", "must be 0 to 4096")
	case c.BanTime < time.Second || c.BanTime > 365*24*time.Hour:
		return bad("ban_time", "must be 1s to 8760h")
	case c.ReconnectMin < 10*time.Millisecond:
		return bad("reconnect_min", "must be at least 10ms")
	case c.ReconnectMax < c.ReconnectMin:
		return bad("reconnect_max", "must not be less than reconnect_min")
	case c.DeadAfter < time.Second || c.DeadAfter > 10*time.Minute:
		return bad("dead_after", "must be 1s to 10m")
	}
	return nil
}

// parsePeer splits "host:port" or "0xKEY@host:port". That the key is one of the suite's is checked where the suite is known.
func parsePeer(s string) (key chain.Peer, address string, err error) {
	address = s
	if k, rest, found := strings.Cut(s, "@"); found {
		digits, ok := strings.CutPrefix(k, "0x")
		raw, err := hex.DecodeString(digits)
		if !ok || err != nil || len(raw) == 0 {
			return "", "", errors.New("the part before @ must be a node's public key: 0x and hex digits")
		}
		key, address = chain.Peer(raw), rest
	}
	return key, address, checkEndpoint(address, false)
}

// maxEndpoint is the longest host name of DNS, a port and some room.
const maxEndpoint = 264

// checkEndpoint takes host:port. Only what is listened on may have no host or port 0.
func checkEndpoint(s string, listen bool) error {
	if len(s) > maxEndpoint {
		return fmt.Errorf("longer than %d characters", maxEndpoint)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("must be host:port: %w", err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q must be a number up to 65535", port)
	}
	if !listen && (host == "" || n == 0) {
		return errors.New("must name a host and a port that can be dialled")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == '/' || r == '@' || r > '~' }) {
		return fmt.Errorf("host %q has characters that no host name has", host)
	}
	return nil
}
