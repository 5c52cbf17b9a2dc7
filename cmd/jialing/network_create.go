package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
	"github.com/jialing-chain/jialing/internal/node"
)

type networkFlags struct {
	genesisFlags
	dir                       string
	consensus                 string
	validators                int
	hosts                     []string
	p2pPort, httpPort, wsPort int
	accounts                  []string
	validatorBalance          string
	light                     bool
	nodePassFile              string
	encrypt                   bool
	// organisations gives every validator an organisation of its own that certifies it.
	organisations bool
	// teaching makes nodes for lessons, as the demo's are.
	teaching bool
}

// defaultP2PPort is where the first node listens for the others.
const defaultP2PPort = 30301

func (c *cli) networkCreate() *cobra.Command {
	var f networkFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the folder of a new network: keys, genesis, one folder per node, systemd units",
		Long: `Make the folder of a new network: one genesis, and for every validator a folder of its own with its node key, configuration and ledger, which
can be copied to another machine. Beside them lie start.sh, stop.sh, systemd units and a README that says what goes where.

Every validator has an account: its address receives the fees of its blocks and votes on changes of the validator set. create makes one for
each, encrypted with one passphrase in the node's folder "keystore"; --dev takes the well-known test accounts, --accounts takes addresses that
exist.`,
		Example: `  jialing network create --dir net --dev
  jialing network create --dir net --validators 7 --chain-id 8866 --fees market --validator-balance 100ether
  jialing network create --dir net --hosts a.example.org,b.example.org,c.example.org,d.example.org`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("dev-accounts") && !f.dev {
				return usagef("--dev-accounts funds accounts whose keys everybody knows: say --dev too")
			}
			if cmd.Flags().Changed("hosts") && f.hosts == nil {
				f.hosts = []string{}
			}
			if err := f.checkEngines(cmd.Flags().Changed); err != nil {
				return err
			}
			if err := f.forStake(cmd.Flags().Changed); err != nil {
				return err
			}
			if err := f.forWork(cmd.Flags().Changed); err != nil {
				return err
			}
			return c.createNetwork(&f)
		},
	}
	networkDirFlag(cmd, &f.dir)
	flags := cmd.Flags()
	flags.StringVar(&f.consensus, "consensus", string(chain.BFT), "bft: less than a third may fail in any way, lies included; raft: less than half may crash, nobody lies; pos: bft whose seats stake elects; pow: open to whoever works; solo: the first node, until the validators change that")
	flags.IntVar(&f.validators, "validators", minValidators, "how many, at least 4 for bft and pos and 3 for raft; the first miners for pow")
	flags.StringSliceVar(&f.hosts, "hosts", nil, "the hosts that the nodes will run on, one per validator (default: all on this machine's loopback)")
	flags.IntVar(&f.p2pPort, "p2p-port", defaultP2PPort, "port of a host's first node for the other nodes; the next ones count up")
	flags.IntVar(&f.httpPort, "http-port", 8545, "port of a host's first node for JSON-RPC (HTTP and WebSocket); the next ones count up")
	flags.IntVar(&f.wsPort, "ws-port", 0, "port of a host's first node for WebSocket alone; 0 shares the HTTP port")
	flags.StringSliceVar(&f.accounts, "accounts", nil, "the validators' accounts, one address each, instead of making them")
	flags.StringVar(&f.validatorBalance, "validator-balance", "", "fund every validator's account, in ether: where gas has a price, voting costs some")
	f.engineFlag(flags.StringSliceVar)
	f.stake.register(cmd)
	f.work.register(cmd)
	flags.BoolVar(&f.organisations, "organisations", false, "let nodes in by certificates: one organisation per validator, with its authority in the folder organisations")
	lightFlag(cmd, &f.light)
	newNodeKeyFlag(cmd, &f.nodePassFile)
	encryptFlag(cmd, &f.encrypt)
	cmd.Flags().StringVar(&c.passphraseFile, "passphrase-file", "", "file that holds the passphrase (default $JIALING_PASSPHRASE_FILE, else $JIALING_PASSPHRASE, else ask)")
	f.register(cmd)
	return cmd
}

// founder is a validator in the making.
type founder struct {
	plannedNode
	key     crypto.SecretKey
	address common.Address
	// account is nil where --accounts brought the address.
	account client.KeyAccount
	// acting is the account with which the node acts by itself where stake rules; nil elsewhere.
	acting client.KeyAccount
}

func (c *cli) createNetwork(f *networkFlags) error {
	plan, err := planNodes(chain.EngineKind(f.consensus), f.validators, f.hosts, f.p2pPort, f.httpPort, f.wsPort)
	if err != nil {
		return err
	}
	if err := checkNewFolder(f.dir); err != nil {
		return err
	}
	if err := checkPortsFree(plan); err != nil {
		return err
	}
	founders, err := f.founders(plan)
	if err != nil {
		return err
	}
	g, dev, err := f.networkGenesis(founders)
	if err != nil {
		return err
	}
	pass := ""
	if !f.dev && f.accounts == nil || f.organisations {
		if pass, err = c.passphrase("New passphrase for the validators' accounts", true); err != nil {
			return err
		}
	}
	orgs, err := f.foundOrganisations(g, founders, pass)
	if err != nil {
		return err
	}
	// Everything is made beside the folder and moved there whole, so that a failure leaves nothing behind that looks like a network.
	parent := filepath.Dir(filepath.Clean(f.dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make the network's folder: %w", err)
	}
	draft, err := os.MkdirTemp(parent, ".jialing-network-")
	if err != nil {
		return fmt.Errorf("make the network's folder: %w", err)
	}
	defer os.RemoveAll(draft)
	if err := c.fillNetwork(draft, f, g, founders, pass); err != nil {
		return err
	}
	if err := certifyFounders(draft, orgs, founders, pass); err != nil {
		return err
	}
	if err := os.Chmod(draft, 0o755); err != nil {
		return fmt.Errorf("make the network's folder: %w", err)
	}
	if err := os.Remove(f.dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty, see checkNewFolder
		return fmt.Errorf("make the network's folder: %w", err)
	}
	if err := os.Rename(draft, f.dir); err != nil {
		return fmt.Errorf("make the network's folder: %w", err)
	}
	c.warnPoor(g, founders)
	return c.printNetwork(f, g, founders, dev)
}

// errFolderExists is a folder that a network would be mixed into.
var errFolderExists = errors.New("folder exists and is not empty")

func checkNewFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the folder: %w", err)
	}
	return fmt.Errorf("%w: %s", errFolderExists, dir)
}

// founders draws the keys.
func (f *networkFlags) founders(plan []plannedNode) ([]founder, error) {
	if f.accounts != nil && f.dev {
		return nil, usagef("--accounts and --dev exclude each other: --dev gives the validators the test accounts")
	}
	if f.accounts != nil && len(f.accounts) != len(plan) {
		return nil, usagef("--accounts lists %d addresses for %d validators", len(f.accounts), len(plan))
	}
	suite, err := f.cryptography()
	if err != nil {
		return nil, err
	}
	kind, err := f.ownKind()
	if err != nil {
		return nil, err
	}
	var dev []*client.Secp256k1
	if f.dev {
		if dev, err = client.DevAccounts(len(plan)); err != nil {
			return nil, usageError{err}
		}
		f.devAccounts = max(f.devAccounts, len(plan))
	}
	out := make([]founder, len(plan))
	owner := make(map[common.Address]string)
	for i := range out {
		v := &out[i]
		v.plannedNode = plan[i]
		if v.key, err = suite.GenerateKey(rand.Reader); err != nil {
			return nil, fmt.Errorf("make the key of %s: %w", v.name, err)
		}
		if f.ofStake() && f.stake.attend {
			if err := v.act(kind); err != nil {
				return nil, err
			}
		}
		switch {
		case f.accounts != nil:
			if v.address, err = parseAddress(f.accounts[i]); err != nil {
				return nil, err
			}
			if other := owner[v.address]; other != "" {
				return nil, usagef("--accounts: %s stands for %s and %s; every validator votes with an account of its own", v.address, other, v.name)
			}
			owner[v.address] = v.name
			continue
		case f.dev:
			v.account = dev[i]
		default:
			if v.account, err = client.NewAccount(kind); err != nil {
				return nil, usagef("make the account of %s: %w", v.name, err)
			}
		}
		v.address = v.account.Address()
	}
	return out, nil
}

// networkGenesis is block 0 of the network.
func (f *networkFlags) networkGenesis(founders []founder) (*chain.Genesis, []*client.Secp256k1, error) {
	validators := make([]chain.GenesisValidator, len(founders))
	for i, v := range founders {
		validators[i] = chain.GenesisValidator{ID: chain.ValidatorID(i + 1), Name: v.name, PublicKey: v.key.Public().Bytes(), Address: v.address,
			Endpoint: v.endpoint()}
	}
	if chain.EngineKind(f.consensus) == chain.Solo {
		validators = validators[:1] // the others follow until they are voted in
	}
	g, dev, err := f.genesis(chain.EngineKind(f.consensus), validators)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range founders {
		if f.validatorBalance != "" {
			if err := endow(g, v.address, f.validatorBalance); err != nil {
				return nil, nil, err
			}
		}
		if v.acting != nil && g.Fees.Mode != chain.FeesZero {
			if err := endow(g, v.acting.Address(), actingBalance); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := errors.Join(g.Validate(), govern.Check(g)); err != nil {
		return nil, nil, usageError{err}
	}
	return g, dev, nil
}

// keystoreFolderName is where a node's folder has its validator's account.
const keystoreFolderName = "keystore"

// fillNetwork writes everything that a network's folder holds.
func (c *cli) fillNetwork(dir string, f *networkFlags, g *chain.Genesis, founders []founder, pass string) error {
	nodePass, err := newNodePassphrase(f.nodePassFile)
	if err != nil {
		return err
	}
	defer clear(nodePass)
	step, end := c.progress()
	defer end()
	for i, v := range founders {
		step("nodes made", uint64(i), uint64(len(founders)))
		cfg := node.DefaultConfig()
		cfg.Dir, cfg.NewPassphrase = filepath.Join(dir, v.name), nodePass
		cfg.Network.Listen, cfg.Serve.Addr = v.p2pAddr(), loopback(v.http)
		if !v.local {
			cfg.Network.Announce = v.endpoint()
		}
		cfg.Store.CacheMiB, cfg.Store.CommitmentMiB = shareOf(cfg.Store.CacheMiB, v.sharing), shareOf(cfg.Store.CommitmentMiB, v.sharing)
		if v.ws != 0 {
			cfg.Serve.WebSocketAddr = loopback(v.ws)
		}
		if g.Consensus.Engine == chain.PoW {
			v.mine(&cfg, founders)
		}
		if err := encryptNew(&cfg, f.encrypt); err != nil {
			return fmt.Errorf("make %s: %w", v.name, err)
		}
		if f.teaching {
			teach(&cfg)
		}
		if v.acting != nil {
			if err := v.saveActing(&cfg); err != nil {
				return fmt.Errorf("make the acting account of %s: %w", v.name, err)
			}
		}
		if err := node.InitConfig(cfg, g, v.key); err != nil {
			return fmt.Errorf("make %s: %w", v.name, err)
		}
		if f.dev || v.account == nil {
			continue
		}
		if err := v.saveAccount(filepath.Join(cfg.Dir, keystoreFolderName), pass, f.light); err != nil {
			return fmt.Errorf("save the account of %s: %w", v.name, err)
		}
	}
	return writeNetworkFiles(dir, g, founders, f.dev)
}

// minShare is the memory in MiB below which a node reads back from disk what it has just let go.
const minShare = 64

// shareOf divides a machine's memory among the nodes on it.
func shareOf(mib int64, nodes int) int64 { return max(mib/int64(nodes), minShare) }

func (v *founder) saveAccount(folder, pass string, light bool) error {
	strength := client.StandardKeystore
	if light {
		strength = client.LightKeystore
	}
	file, err := v.account.Keystore(pass, strength)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return writeNew(filepath.Join(folder, keystoreName(v.address, time.Now())), file, 0o600)
}

type networkView struct {
	Dir        string           `json:"dir"`
	Name       string           `json:"name"`
	ChainID    uint64           `json:"chainId"`
	Fees       string           `json:"fees"`
	Genesis    common.Hash      `json:"genesis"`
	Engine     chain.EngineKind `json:"engine"`
	Validators []nodeView       `json:"validators"`
	Quorum     int              `json:"quorum"`
	Accounts   []devView        `json:"devAccounts,omitempty"`
}

type nodeView struct {
	Name     string         `json:"name"`
	Folder   string         `json:"folder"`
	Account  common.Address `json:"account"`
	Endpoint string         `json:"endpoint"`
	RPC      string         `json:"rpc"`
}

func (c *cli) printNetwork(f *networkFlags, g *chain.Genesis, founders []founder, dev []*client.Secp256k1) error {
	trust, err := client.TrustFromGenesis(g.Encode())
	if err != nil {
		return err
	}
	n := len(founders)
	v := networkView{Dir: f.dir, Name: g.Name, ChainID: g.ChainID, Fees: string(g.Fees.Mode), Genesis: trust.Genesis, Quorum: g.Consensus.Engine.Quorum(n), Engine: g.Consensus.Engine}
	for _, who := range founders {
		v.Validators = append(v.Validators, nodeView{Name: who.name, Folder: filepath.Join(f.dir, who.name), Account: who.address,
			Endpoint: who.endpoint(), RPC: "http://" + loopback(who.http)})
	}
	for _, a := range dev {
		v.Accounts = append(v.Accounts, devView{a.Address(), a.Hex()})
	}
	return c.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "folder\t%s\nchain\t%s, id %d, fees %s\ngenesis\t%s\n", v.Dir, v.Name, v.ChainID, v.Fees, v.Genesis)
		fmt.Fprintf(w, "consensus\t%s\n%s\n\n", v.Engine, whoDecides(g, n))
		fmt.Fprintf(w, "node\taccount\tother nodes\tJSON-RPC\n")
		for _, one := range v.Validators {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", one.Name, one.Account, one.Endpoint, one.RPC)
		}
		tellPassphrase(w, node.PassphraseFile+" in each folder", f.nodePassFile == "")
		if len(v.Accounts) > 0 {
			fmt.Fprintf(w, "\nEverybody knows the keys of this chain's accounts. Never use it for anything of value.\n")
		}
		if f.hosts == nil {
			fmt.Fprintf(w, "\nnext:\tjialing network start --dir %s\n", f.dir)
		} else {
			fmt.Fprintf(w, "\nnext:\tcopy every node's folder to its host: %s says how\n", filepath.Join(f.dir, networkReadme))
		}
	})
}

// needsFunds tells that the validators cannot pay for a vote.
func needsFunds(g *chain.Genesis, founders []founder) (poor []string) {
	if g.Fees.Mode == chain.FeesZero {
		return nil
	}
	for _, v := range founders {
		if b := g.Alloc[v.address].Balance; b == nil || (*big.Int)(b).Sign() == 0 {
			poor = append(poor, v.name)
		}
	}
	return poor
}

// warnPoor says so once.
func (c *cli) warnPoor(g *chain.Genesis, founders []founder) {
	if poor := needsFunds(g, founders); len(poor) > 0 {
		c.warn("Gas has a price here and the accounts of %s hold nothing: send them some before they can vote (or create with --validator-balance).",
			strings.Join(poor, ", "))
	}
}
