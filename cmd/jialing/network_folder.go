package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

// nodeFolder is a node's folder as it lies on the disk, whether or not the node runs.
type nodeFolder struct {
	name    string
	dir     string // absolute
	cfg     node.Config
	genesis *chain.Genesis
	key     chain.Peer
	// founder is the node's entry in the genesis; nil for one that has none.
	founder *chain.GenesisValidator
}

// errNoNetwork is a folder without nodes.
var errNoNetwork = errors.New("folder holds no network")

func openNodeFolder(dir string) (*nodeFolder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", dir, err)
	}
	n := &nodeFolder{name: filepath.Base(abs), dir: abs}
	if n.cfg, err = node.LoadConfig(abs); err != nil {
		return nil, err
	}
	if n.genesis, err = node.LoadGenesis(abs); err != nil {
		return nil, err
	}
	key, err := node.LoadPublic(abs, n.genesis)
	if err != nil {
		return nil, err
	}
	n.key = chain.Peer(key.Bytes())
	for i, v := range n.genesis.Validators {
		if chain.Peer(v.PublicKey) == n.key {
			n.founder = &n.genesis.Validators[i]
		}
	}
	return n, nil
}

// openNetwork opens the nodes' folders in dir, node2 before node10. A folder that is a single node's is a network of that one.
func openNetwork(dir string) ([]*nodeFolder, error) {
	if isNodeFolder(dir) {
		n, err := openNodeFolder(dir)
		if err != nil {
			return nil, err
		}
		return []*nodeFolder{n}, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s", errNoNetwork, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("look into the network's folder: %w", err)
	}
	var out []*nodeFolder
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !isNodeFolder(path) {
			continue
		}
		n, err := openNodeFolder(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no node's folder in it", errNoNetwork, dir)
	}
	slices.SortFunc(out, func(a, b *nodeFolder) int { return compareNames(a.name, b.name) })
	return out, nil
}

func isNodeFolder(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "node.toml"))
	return err == nil
}

// compareNames orders by the text and then by the number at the end.
func compareNames(a, b string) int {
	split := func(s string) (string, int) {
		text := strings.TrimRight(s, "0123456789")
		n, err := strconv.Atoi(s[len(text):])
		if err != nil {
			n = -1
		}
		return text, n
	}
	textA, nA := split(a)
	textB, nB := split(b)
	return cmp.Or(cmp.Compare(textA, textB), cmp.Compare(nA, nB), cmp.Compare(a, b))
}

// chosen are the nodes that arguments name: by name, or by the number at its end. No arguments name all.
func chosen(all []*nodeFolder, args []string) ([]*nodeFolder, error) {
	if len(args) == 0 {
		return all, nil
	}
	var out []*nodeFolder
	for _, arg := range args {
		i := slices.IndexFunc(all, func(n *nodeFolder) bool { return n.name == arg || n.name == "node"+arg })
		if i < 0 {
			names := make([]string, len(all))
			for i, n := range all {
				names[i] = n.name
			}
			return nil, usagef("there is no node %q here, only %s", arg, strings.Join(names, ", "))
		}
		if !slices.Contains(out, all[i]) {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// rpcURL is where the node answers on this machine.
func (n *nodeFolder) rpcURL() string {
	if n.cfg.Serve.TLS.Enabled() {
		return "https://" + reachable(n.cfg.Serve.Addr)
	}
	return "http://" + reachable(n.cfg.Serve.Addr)
}

// elsewhere names the host that the node is meant for when that is another machine, and is "" otherwise.
func (n *nodeFolder) elsewhere() string {
	endpoint := n.cfg.Network.Announce // of a chain whose genesis names nobody
	if n.founder != nil {
		endpoint = n.founder.Endpoint
	} else if n.genesis.Consensus.Engine.Signed() {
		return ""
	}
	if endpoint == "" {
		return ""
	}
	host := hostOf(endpoint)
	if isLocal(host) {
		return ""
	}
	return host
}
