package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

// demoFolder is one node of a demo.
type demoFolder struct {
	name, dir, httpAddr string
}

// make prepares the folder and the chain in it; it returns the test accounts and the nodes' folders.
func (f *demoFlags) make(c *cli) ([]*client.Secp256k1, []demoFolder, error) {
	// First the ports: with a node of an earlier demo still running, its folder must stay.
	ports, err := f.ports(f.engine.nodes)
	if err != nil {
		return nil, nil, err
	}
	if err := clearDemo(f.dir, f.fresh); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, demoMarker), []byte("jialing demo --fresh replaces this folder but for "+lessonFile+"\n"), 0o644); err != nil {
		return nil, nil, fmt.Errorf("mark the folder: %w", err)
	}
	genesis := genesisFlags{chainID: defaultChainID, name: "demo", suite: f.suite, fees: string(chain.FeesZero), gasLimit: defaultGasLimit,
		batchMillis: defaultBatchMillis, dev: true, devAccounts: max(10, f.senders+1)}
	if f.solo {
		g, key, dev, err := buildGenesis(&genesis)
		if err != nil {
			return nil, nil, err
		}
		cfg := node.DefaultConfig()
		cfg.Dir = f.dir
		teach(&cfg)
		return dev, []demoFolder{{"node1", f.dir, ports.addrs[0]}}, node.InitConfig(cfg, g, key)
	}
	return f.makeNetwork(c, genesis, ports)
}

// teach makes a node one for lessons: on loopback, for nobody but who sits here.
func teach(cfg *node.Config) {
	cfg.Teaching.Enabled = true
	cfg.Access.Anonymous = append(cfg.Access.Anonymous, "debug")
}

// makeNetwork does what "jialing network create --dev" does.
func (f *demoFlags) makeNetwork(c *cli, genesis genesisFlags, ports demoPorts) ([]*client.Secp256k1, []demoFolder, error) {
	nf := &networkFlags{genesisFlags: genesis, dir: f.dir, consensus: f.consensus, validators: len(ports.addrs), teaching: true}
	plan, err := planNodes(chain.EngineKind(nf.consensus), nf.validators, nil, ports.p2p, ports.http, 0)
	if err != nil {
		return nil, nil, err
	}
	if f.engine.prepare != nil {
		f.engine.prepare(nf)
	}
	founders, err := nf.founders(plan)
	if err != nil {
		return nil, nil, err
	}
	g, dev, err := nf.networkGenesis(founders)
	if err != nil {
		return nil, nil, err
	}
	if f.engine.tune != nil {
		f.parameters = f.engine.tune(g)
		if err := g.Validate(); err != nil {
			return nil, nil, err
		}
	}
	var folders []demoFolder
	for i, v := range founders {
		folders = append(folders, demoFolder{v.name, filepath.Join(f.dir, v.name), ports.addrs[i]})
	}
	return dev, folders, c.fillNetwork(f.dir, nf, g, founders, "")
}

// demoPorts are where the nodes of a demo serve and find each other.
type demoPorts struct {
	// addrs are for JSON-RPC, by node.
	addrs []string
	// http and p2p are the first ports in the nodes' configuration; the next nodes' count up.
	http, p2p int
}

// ports finds out from --http.addr, and makes sure that all of them are free now.
func (f *demoFlags) ports(n int) (p demoPorts, err error) {
	host, text, err := net.SplitHostPort(f.httpAddr)
	if err != nil {
		return p, usagef("--http.addr: %w", err)
	}
	if p.http, err = strconv.Atoi(text); err != nil || p.http < 0 || p.http+n-1 > 65535 {
		return p, usagef("--http.addr %q: the port must be a number, with %d to follow it", f.httpAddr, n-1)
	}
	p.p2p = defaultP2PPort
	switch {
	case p.http == 0 && n == 1:
		p.addrs = []string{f.httpAddr} // the node takes a free one
		return p, nil
	case p.http == 0: // "jialing network status" must find them, so they stand in the nodes' configuration
		if p.p2p, err = freePorts(2 * n); err != nil {
			return p, err
		}
		p.http = p.p2p + n
	}
	if err := portsFree(host, p.http, n); err != nil {
		return p, err
	}
	if n > 1 {
		if err := portsFree("127.0.0.1", p.p2p, n); err != nil {
			return p, err
		}
	}
	for i := range n {
		p.addrs = append(p.addrs, net.JoinHostPort(host, strconv.Itoa(p.http+i)))
	}
	return p, nil
}

// portsFree tries to listen on n ports in a row.
func portsFree(host string, first, n int) error {
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(first+i)))
		if err != nil {
			return fmt.Errorf("listen on %s: %w", net.JoinHostPort(host, strconv.Itoa(first+i)), err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// freePorts finds n ports in a row on loopback that nobody listens on, below those that the kernel gives to outgoing connections.
func freePorts(n int) (first int, err error) {
	for range 100 {
		first = 10_000 + rand.IntN(20_000)
		if err = portsFree("127.0.0.1", first, n); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("find %d free ports in a row: %w", n, err)
}
