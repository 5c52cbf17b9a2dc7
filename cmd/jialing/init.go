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

// defaultDir is the node's folder unless --dir says otherwise.
const defaultDir = "jialing-data"

func dirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", defaultDir, "the node's folder")
}

func (c *cli) initCommand() *cobra.Command {
	var f genesisFlags
	var dir, genesis, keyFile, passFile string
	var encrypt bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a node's folder: a new chain, or one to join",
		Long: `Make a node's folder with genesis.json, node.toml, the node's key and an empty ledger. Nothing is ever overwritten.

Without --genesis it makes a new chain of one node. With --genesis it makes a node of that chain: a follower, unless --node-key brings
the key of one of its validators.`,
		Example: `  jialing init --dir mychain --dev
  jialing init --dir mychain --chain-id 8866 --fees market --alloc 0x7099…79C8=1000ether
  jialing init --dir copy --genesis mychain/genesis.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("dev-accounts") && !f.dev {
				return usagef("--dev-accounts funds accounts whose keys everybody knows: say --dev too")
			}
			g, key, dev, err := c.newChain(cmd, &f, genesis, keyFile)
			if err != nil {
				return err
			}
			cfg := node.DefaultConfig()
			cfg.Dir = dir
			if cfg.NewPassphrase, err = newNodePassphrase(passFile); err != nil {
				return err
			}
			defer clear(cfg.NewPassphrase)
			if err := encryptNew(&cfg, encrypt); err != nil {
				return err
			}
			if err := node.InitConfig(cfg, g, key); err != nil {
				return err
			}
			return c.printInit(dir, g, dev, cfg.NewPassphrase == nil)
		},
	}
	dirFlag(cmd, &dir)
	flags := cmd.Flags()
	flags.StringVar(&genesis, "genesis", "", "join the chain of this genesis file instead of making one")
	flags.StringVar(&keyFile, "node-key", "", "with --genesis: the node.key of one of its validators")
	newNodeKeyFlag(cmd, &passFile)
	encryptFlag(cmd, &encrypt)
	c.nodePassphraseFlag(cmd) // of --node-key
	f.register(cmd)
	return cmd
}

// newChain makes a genesis from the flags, or reads the one to join.
func (c *cli) newChain(cmd *cobra.Command, f *genesisFlags, genesis, keyFile string) (*chain.Genesis, crypto.SecretKey, []*client.Secp256k1, error) {
	if genesis == "" {
		if keyFile != "" {
			return nil, nil, nil, usagef("--node-key belongs to --genesis; a new chain draws its own key")
		}
		return buildGenesis(f)
	}
	for _, name := range []string{"chain-id", "name", "suite", "fees", "base-fee", "gas-limit", "batch-millis", "heartbeat-millis", "keep-states", "alloc", "transactions", "dev"} {
		if cmd.Flags().Changed(name) {
			return nil, nil, nil, usagef("--%s is settled by the --genesis file", name)
		}
	}
	g, err := readGenesis(genesis)
	if err != nil {
		return nil, nil, nil, err
	}
	suite, err := node.SuiteByName(g.Suite)
	if err != nil {
		return nil, nil, nil, err
	}
	if keyFile != "" {
		key, err := c.readNodeKey(keyFile, suite)
		return g, key, nil, err
	}
	key, err := suite.GenerateKey(rand.Reader)
	return g, key, nil, err
}

type initView struct {
	Dir      string      `json:"dir"`
	Name     string      `json:"name"`
	ChainID  uint64      `json:"chainId"`
	Fees     string      `json:"fees"`
	Genesis  common.Hash `json:"genesis"`
	Accounts []devView   `json:"devAccounts,omitempty"`
}

type devView struct {
	Address    common.Address `json:"address"`
	PrivateKey string         `json:"privateKey"`
}

func (c *cli) printInit(dir string, g *chain.Genesis, dev []*client.Secp256k1, drawn bool) error {
	trust, err := client.TrustFromGenesis(g.Encode())
	if err != nil {
		return err
	}
	v := initView{Dir: dir, Name: g.Name, ChainID: g.ChainID, Fees: string(g.Fees.Mode), Genesis: trust.Genesis}
	for _, a := range dev {
		v.Accounts = append(v.Accounts, devView{a.Address(), a.Hex()})
	}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "folder\t%s\nchain\t%s, id %d, fees %s\ngenesis\t%s\n", dir, v.Name, v.ChainID, v.Fees, v.Genesis)
		tellPassphrase(w, filepath.Join(dir, node.PassphraseFile), drawn)
		if len(dev) > 0 {
			fmt.Fprintf(w, "\nEverybody knows these keys. Never use them, or this chain, for anything of value.\n")
			for i, a := range v.Accounts {
				fmt.Fprintf(w, "dev:%d\t%s\t%s\n", i, a.Address, a.PrivateKey)
			}
		}
		fmt.Fprintf(w, "\nnext:\tjialing start --dir %s\n", dir)
		fmt.Fprintf(w, "give others:\t%s\n", filepath.Join(dir, "genesis.json"))
	})
}
