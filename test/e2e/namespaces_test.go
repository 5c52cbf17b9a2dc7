package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// namespaces are network namespaces of this machine, one per node, on one bridge, on which the tests are too. What they do to the traffic of the nodes
// with each other does not touch JSON-RPC, which comes from the bridge's own address.
type namespaces struct {
	t      testing.TB
	names  []string
	subnet string // the first three bytes of the addresses
}

// p2pPort is every node's: each has an address of its own.
const p2pPort = 30301

// openNamespaces makes n namespaces, or skips the test and says why.
func openNamespaces(t testing.TB, n int) *namespaces {
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED, NOT TESTED: partitions and lost packets need %s (Debian's packages iproute2 and nftables)", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: partitions and lost packets need root, to make network namespaces")
	}
	ns := &namespaces{t: t, subnet: fmt.Sprintf("10.231.%d", os.Getpid()%256)}
	prefix := fmt.Sprintf("jl%d", os.Getpid()%100_000)
	bridge := prefix + "b"
	if out, err := exec.Command("ip", "link", "add", bridge, "type", "bridge").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: partitions and lost packets need a bridge, which this machine does not allow: %v: %s", err, out)
	}
	t.Cleanup(func() { run(t, "ip", "link", "del", bridge) })
	run(t, "ip", "addr", "add", ns.host()+"/24", "dev", bridge)
	run(t, "ip", "link", "set", bridge, "up")
	for i := range n {
		name := fmt.Sprintf("%sn%d", prefix, i+1)
		outside := fmt.Sprintf("%sv%d", prefix, i+1)
		run(t, "ip", "netns", "add", name)
		t.Cleanup(func() { run(t, "ip", "netns", "del", name) })
		ns.names = append(ns.names, name)
		run(t, "ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
		run(t, "ip", "link", "set", outside, "master", bridge, "up")
		run(t, "ip", "-n", name, "addr", "add", ns.address(i)+"/24", "dev", "eth0")
		run(t, "ip", "-n", name, "link", "set", "eth0", "up")
		run(t, "ip", "-n", name, "link", "set", "lo", "up")
	}
	return ns
}

func run(t testing.TB, args ...string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%s: %s", strings.Join(args, " "), out)
}

func (ns *namespaces) address(node int) string { return fmt.Sprintf("%s.%d", ns.subnet, node+1) }

// host is the tests' own address on the bridge.
func (ns *namespaces) host() string { return ns.subnet + ".254" }

// nft loads rules into a node's namespace, in the place of those that it had.
func (ns *namespaces) nft(node int, table string) {
	ns.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns.names[node], "nft", "-f", "-")
	cmd.Stdin = strings.NewReader("flush ruleset\n" + table)
	out, err := cmd.CombinedOutput()
	require.NoError(ns.t, err, "%s", out)
}

// drop loses what a node sends to and receives from others, where the condition holds.
func (ns *namespaces) drop(node int, others []int, condition string) {
	ns.t.Helper()
	var addresses []string
	for _, o := range others {
		addresses = append(addresses, ns.address(o))
	}
	set := "{ " + strings.Join(addresses, ", ") + " }"
	ns.nft(node, fmt.Sprintf(`table inet faults {
	chain in { type filter hook input priority 0; ip saddr %[1]s %[2]s drop; }
	chain out { type filter hook output priority 0; ip daddr %[1]s %[2]s drop; }
}`, set, condition))
}

// split cuts the nodes in two groups: these ones, and the rest.
func (ns *namespaces) split(group ...int) {
	ns.t.Helper()
	inside := map[int]bool{}
	for _, n := range group {
		inside[n] = true
	}
	var rest []int
	for i := range ns.names {
		if !inside[i] {
			rest = append(rest, i)
		}
	}
	for _, n := range group {
		ns.drop(n, rest, "")
	}
}

// lossy loses that many of a hundred packets that a node gets from or sends to others.
func (ns *namespaces) lossy(percent int) {
	ns.t.Helper()
	for i := range ns.names {
		ns.drop(i, others(len(ns.names), i), fmt.Sprintf("numgen random mod 100 < %d", percent))
	}
}

func others(n, one int) (out []int) {
	for i := range n {
		if i != one {
			out = append(out, i)
		}
	}
	return out
}

// heal ends every fault.
func (ns *namespaces) heal() {
	ns.t.Helper()
	for i := range ns.names {
		ns.nft(i, "")
	}
}

// delay leads new connections between nodes through toxiproxy, which holds back what it passes on, each way, for that many milliseconds and up to jitter
// more or less. (The kernels of small machines often lack netem.)
func (ns *namespaces) delay(millis, jitter int) {
	ns.t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	ports := make([]int, len(ns.names))
	for i := range ns.names {
		proxy := toxiproxy.NewProxy(server, fmt.Sprint("node", i+1), ns.host()+":0", fmt.Sprintf("%s:%d", ns.address(i), p2pPort))
		require.NoError(ns.t, proxy.Start())
		ns.t.Cleanup(proxy.Stop)
		for _, stream := range []string{"upstream", "downstream"} {
			_, err := proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
				`{"name": "late-%[1]s", "type": "latency", "stream": "%[1]s", "attributes": {"latency": %[2]d, "jitter": %[3]d}}`, stream, millis, jitter)))
			require.NoError(ns.t, err)
		}
		_, err := fmt.Sscanf(proxy.Listen[strings.LastIndexByte(proxy.Listen, ':')+1:], "%d", &ports[i])
		require.NoError(ns.t, err)
	}
	for i := range ns.names {
		var rules strings.Builder
		for _, o := range others(len(ns.names), i) {
			fmt.Fprintf(&rules, "ip daddr %s tcp dport %d dnat to %s:%d; ", ns.address(o), p2pPort, ns.host(), ports[o])
		}
		ns.nft(i, "table ip detour {\n\tchain out { type nat hook output priority -100; "+rules.String()+"}\n}")
	}
}
