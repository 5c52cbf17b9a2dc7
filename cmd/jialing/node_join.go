package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
)

func (c *cli) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Add this machine to a network that exists, and rescue it"}
	cmd.AddCommand(c.nodeJoin(), c.nodeRescue())
	return cmd
}

type joinFlags struct {
	dir, genesis, listen, announce, httpAddr string
	peers                                    []string
	passFile                                 string
	token                                    tokenFlags
}

func (c *cli) nodeJoin() *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Make the folder of a node that follows a network's chain",
		Long: `Make the folder of a node that follows a network's chain: with a key of its own, the network's genesis and the nodes to connect to. Once started it
fetches the chain and keeps up with it, serves clients and passes on their transactions. It becomes a validator when the validators vote for it.`,
		Example: `  jialing node join --genesis genesis.json --peers a.example.org:30301,b.example.org:30301 --dir node5
  jialing start --dir node5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.joinNetwork(&f) },
	}
	dirFlag(cmd, &f.dir)
	flags := cmd.Flags()
	flags.StringVar(&f.genesis, "genesis", "", "the network's genesis.json (required)")
	flags.StringSliceVar(&f.peers, "peers", nil, "nodes to connect to, host:port or 0xKEY@host:port (default: the validators that the genesis has endpoints of)")
	flags.StringVar(&f.listen, "listen", "", "host:port where other nodes reach this one (default 0.0.0.0:30301; 127.0.0.1:30301 where all peers are on this machine)")
	flags.StringVar(&f.announce, "announce", "", "host:port to tell the others, where that differs from --listen")
	newNodeKeyFlag(cmd, &f.passFile)
	c.nodePassphraseFlag(cmd) // of a device: its PIN
	f.token.register(cmd)
	flags.StringVar(&f.httpAddr, "http.addr", "127.0.0.1:8545", "host:port for JSON-RPC")
	return cmd
}

func (c *cli) joinNetwork(f *joinFlags) error {
	if f.genesis == "" {
		return usagef("which chain? give its --genesis FILE; any node of it has one")
	}
	g, err := readGenesis(f.genesis)
	if err != nil {
		return err
	}
	if g.Consensus.Engine == chain.Solo && !g.Networked() {
		return usagef("the chain of this genesis has one node alone (engine \"solo\"): others cannot follow it")
	}
	if len(f.peers) == 0 && !hasEndpoints(g) {
		return usagef("whom to connect to? this genesis has no endpoints: give --peers host:port,…")
	}
	suite, err := node.SuiteByName(g.Suite)
	if err != nil {
		return err
	}
	cfg := node.DefaultConfig()
	key, err := c.joinKey(f, suite, &cfg)
	if err != nil {
		return err
	}
	cfg.Dir = f.dir
	cfg.Serve.Addr = f.httpAddr
	cfg.Network.Listen, cfg.Network.Announce = f.listenAddr(g), f.announce
	if len(f.peers) > 0 {
		cfg.Network.Peers = f.peers
	}
	if g.Consensus.Engine == chain.PoW {
		cfg.Network.Discovery = true
	}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	if cfg.NewPassphrase, err = newNodePassphrase(f.passFile); err != nil {
		return err
	}
	defer clear(cfg.NewPassphrase)
	if err := node.InitConfig(cfg, g, key); err != nil {
		return err
	}
	return c.printJoin(f, g, key.Public().Bytes(), &cfg)
}

// joinKey is the new node's key: the device's, or one that is drawn.
func (c *cli) joinKey(f *joinFlags, suite crypto.Suite, cfg *node.Config) (crypto.PrivateKey, error) {
	device, err := f.token.given()
	if err != nil {
		return nil, err
	}
	if device {
		return f.token.open(c, suite, cfg)
	}
	key, err := suite.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the node's key: %w", err)
	}
	return key, nil
}

// listenAddr is where the node listens: on loopback if everybody that it knows of is there, else on every interface.
func (f *joinFlags) listenAddr(g *chain.Genesis) string {
	if f.listen != "" {
		return f.listen
	}
	known := f.peers
	for _, v := range g.Validators {
		if v.Endpoint != "" {
			known = append(known, v.Endpoint)
		}
	}
	for _, peer := range known {
		if !isLoopback(hostOf(afterKey(peer))) {
			return fmt.Sprintf("0.0.0.0:%d", defaultP2PPort)
		}
	}
	return loopback(defaultP2PPort)
}

func hasEndpoints(g *chain.Genesis) bool {
	for _, v := range g.Validators {
		if v.Endpoint != "" {
			return true
		}
	}
	return false
}

type joinView struct {
	Dir       string      `json:"dir"`
	Name      string      `json:"name"`
	ChainID   uint64      `json:"chainId"`
	Genesis   common.Hash `json:"genesis"`
	PublicKey string      `json:"publicKey"`
	Listen    string      `json:"listen"`
	RPC       string      `json:"rpc"`
}

func (c *cli) printJoin(f *joinFlags, g *chain.Genesis, public []byte, cfg *node.Config) error {
	trust, err := client.TrustFromGenesis(g.Encode())
	if err != nil {
		return err
	}
	v := joinView{Dir: f.dir, Name: g.Name, ChainID: g.ChainID, Genesis: trust.Genesis, PublicKey: chain.Peer(public).String(), Listen: cfg.Network.Listen,
		RPC: "http://" + reachable(cfg.Serve.Addr)}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "folder\t%s\nchain\t%s, id %d\ngenesis\t%s\n", v.Dir, v.Name, v.ChainID, v.Genesis)
		fmt.Fprintf(w, "public key\t%s\nother nodes\tlistens on %s\n", v.PublicKey, v.Listen)
		tellPassphrase(w, filepath.Join(v.Dir, node.PassphraseFile), cfg.NewPassphrase == nil && cfg.Key.Source == node.KeyInFile)
		fmt.Fprintf(w, "\nnext:\tjialing start --dir %s\n", v.Dir)
		if !g.Consensus.Engine.Signed() {
			fmt.Fprintf(w, "\nIt follows the chain. To mine, name an account in [mine] coinbase of its node.toml and say enabled = true, or run jialing mine beside it.\n")
			return
		}
		fmt.Fprintf(w, "\nIt follows the chain. To make it a validator, give it an account (jialing account new) and let a quorum of the validators each run:\n")
		fmt.Fprintf(w, "  jialing validator add %s ACCOUNT NAME --endpoint HOST:PORT --from THEIR-ACCOUNT\n", v.PublicKey)
	})
}
