package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/govern"
)

// minValidators is what tolerates one faulty node; chain.Genesis holds engine bft to it too.
const minValidators = 4

// minRaftValidators is what tolerates one crashed node.
const minRaftValidators = 3

// plannedNode is where a node of a network to be made will be.
type plannedNode struct {
	name string
	// host is where the others reach it. local tells that it is the loopback of a network on one machine.
	host          string
	local         bool
	p2p, http, ws int
	// sharing is how many nodes the host has, this one included.
	sharing int
}

// endpoint is what the genesis tells the other nodes.
func (n *plannedNode) endpoint() string { return net.JoinHostPort(n.host, strconv.Itoa(n.p2p)) }

// p2pAddr is where the node listens for others: on loopback in a network on one machine, on every interface otherwise.
func (n *plannedNode) p2pAddr() string {
	switch ip := net.ParseIP(n.host); {
	case n.local:
		return n.endpoint()
	case ip != nil && ip.To4() == nil:
		return net.JoinHostPort("::", strconv.Itoa(n.p2p))
	}
	return net.JoinHostPort("0.0.0.0", strconv.Itoa(n.p2p))
}

// loopback is the address of a port that only this machine reaches: JSON-RPC, until its operator opens it.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// planNodes gives every node a name, a host and ports. Nodes of one host count their ports up; a host of its own has the first ones.
func planNodes(engine chain.EngineKind, validators int, hosts []string, p2pPort, httpPort, wsPort int) ([]plannedNode, error) {
	switch {
	case !engine.Known():
		return nil, usagef("--consensus %q: use bft, raft, pos, pow or solo", engine)
	case engine == chain.Solo && validators < 1:
		return nil, usagef("--validators %d: a network has at least one node", validators)
	case engine == chain.PoW && validators < 1:
		return nil, usagef("--validators %d: a chain of work begins with at least one miner", validators)
	case (engine == chain.BFT || engine == chain.PoS) && validators < minValidators:
		return nil, usagef("--validators %d: %s needs at least %d, which tolerate one faulty node (n tolerate (n-1)/3)", validators, engine, minValidators)
	case engine == chain.Raft && validators < minRaftValidators:
		return nil, usagef("--validators %d: raft needs at least %d, which tolerate one crashed node (n tolerate (n-1)/2)", validators, minRaftValidators)
	case validators > govern.MaxMembers:
		return nil, usagef("--validators %d: at most %d, consensus traffic grows with the square", validators, govern.MaxMembers)
	case hosts != nil && len(hosts) != validators:
		return nil, usagef("--hosts lists %d hosts for %d validators: give one for each, comma-separated (the same one several times is fine)", len(hosts), validators)
	}
	seen := make(map[string]int)
	out := make([]plannedNode, validators)
	for i := range out {
		n := &out[i]
		n.name, n.host, n.local = fmt.Sprintf("node%d", i+1), "127.0.0.1", hosts == nil
		if hosts != nil {
			var err error
			if n.host, err = parseHost(hosts[i]); err != nil {
				return nil, err
			}
		}
		nth := seen[machine(n.host)]
		seen[machine(n.host)]++
		n.p2p, n.http = p2pPort+nth, httpPort+nth
		if wsPort != 0 {
			n.ws = wsPort + nth
		}
	}
	most := 0
	for i := range out {
		out[i].sharing = seen[machine(out[i].host)]
		most = max(most, out[i].sharing)
	}
	return out, checkPortRanges(most, p2pPort, httpPort, wsPort)
}

// machine is a word for the machine of a host: all of loopback is one.
func machine(host string) string {
	if isLoopback(host) {
		return "loopback"
	}
	return strings.ToLower(host)
}

// checkPortRanges: n ports from each first one must exist, and no range may meet another.
func checkPortRanges(n, p2pPort, httpPort, wsPort int) error {
	ranges := []struct {
		flag  string
		first int
	}{{"--p2p-port", p2pPort}, {"--http-port", httpPort}, {"--ws-port", wsPort}}
	for i, r := range ranges {
		if r.flag == "--ws-port" && r.first == 0 {
			continue
		}
		if r.first < 1 || r.first+n-1 > 65535 {
			return usagef("%s %d: %d ports from there must lie within 1 to 65535", r.flag, r.first, n)
		}
		for _, other := range ranges[:i] {
			if r.first < other.first+n && other.first < r.first+n {
				return usagef("%s %d and %s %d overlap: each needs %d ports of its own", other.flag, other.first, r.flag, r.first, n)
			}
		}
	}
	return nil
}

// hostName is a DNS name: letters, digits and hyphens between dots.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*\.?$`)

// parseHost accepts an IP address or a DNS name, without a port.
func parseHost(s string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if ip := net.ParseIP(host); ip != nil {
		if ip.IsUnspecified() {
			return "", usagef("--hosts %q: the other nodes must be able to reach it; give the machine's own address or name", s)
		}
		return host, nil
	}
	// 230 leaves room for the port in an endpoint's 255.
	if len(host) > 230 || !hostName.MatchString(host) {
		return "", usagef("--hosts %q is no address or name of a host (ports come from --p2p-port)", s)
	}
	return host, nil
}

// checkPortsFree makes sure that no other program listens where the nodes of this machine will.
func checkPortsFree(nodes []plannedNode) error {
	for _, n := range nodes {
		if !isLocal(n.host) {
			continue
		}
		addrs := []struct{ what, addr string }{{"p2p", n.p2pAddr()}, {"HTTP", loopback(n.http)}}
		if n.ws != 0 {
			addrs = append(addrs, struct{ what, addr string }{"WebSocket", loopback(n.ws)})
		}
		for _, a := range addrs {
			l, err := net.Listen("tcp", a.addr)
			if errors.Is(err, syscall.EADDRINUSE) {
				return fmt.Errorf("%w: %s, which %s would use for %s", errPortTaken, a.addr, n.name, a.what)
			}
			if err != nil {
				return fmt.Errorf("try port of %s for %s: %w", n.name, a.what, err)
			}
			if err := l.Close(); err != nil {
				return fmt.Errorf("try port of %s for %s: %w", n.name, a.what, err)
			}
		}
	}
	return nil
}

var errPortTaken = errors.New("another program listens there")

// lookupTimeout bounds the look-up of a host's name: with no name server, nobody should wait long to hear so.
const lookupTimeout = 2 * time.Second

// isLocal tells whether a host is this machine. A name is looked up; one that does not resolve is somebody else's.
func isLocal(host string) bool {
	if host == "localhost" {
		return true
	}
	ips := []net.IP{net.ParseIP(host)}
	if ips[0] == nil {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		var err error
		if ips, err = net.DefaultResolver.LookupIP(ctx, "ip", host); err != nil {
			return false
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, ip := range ips {
		if ip.IsLoopback() {
			return true
		}
		for _, a := range own {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return true
			}
		}
	}
	return false
}

// hostOf is the host of a host:port, or all of it where there is no port.
func hostOf(endpoint string) string {
	if host, _, err := net.SplitHostPort(endpoint); err == nil {
		return host
	}
	return endpoint
}

// afterKey is a configured peer without the key before its @.
func afterKey(peer string) string {
	if _, address, found := strings.Cut(peer, "@"); found {
		return address
	}
	return peer
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
